/**
 * Reusable buffers of a table writer, which avoid 150 KiB of garbage per table. One writer at a time; old contents are never read.
 * With the writer's own buffers at most `TableWriter.workingBytes`, even after long keys.
 */
import { DataBlockWriter } from './block/data-block-writer.ts'
import { WRITE_BUFFER_BYTES } from './block/stored-block-writer.ts'
import { FilterWriter } from './filter/filter-writer.ts'
import type { IndexNodeWriter } from './index/index-node-writer.ts'
import { maxPartitionKeys } from './index/index-writer.ts'

export class WriterBuffers {
  readonly blockBytes: number
  readonly filterBitsPerKey: number
  readonly filter: FilterWriter
  readonly written: Uint8Array = new Uint8Array(WRITE_BUFFER_BYTES)
  /** By level, on demand. */
  readonly nodes: IndexNodeWriter[] = []
  #block: DataBlockWriter | undefined

  constructor(blockBytes: number, filterBitsPerKey: number) {
    this.blockBytes = blockBytes
    this.filterBitsPerKey = filterBitsPerKey
    this.filter = new FilterWriter(maxPartitionKeys(blockBytes), filterBitsPerKey)
  }

  /** On demand: kernel merges have columns of their own. */
  get block(): DataBlockWriter { return this.#block ??= new DataBlockWriter(this.blockBytes) }

  reset(): void {
    this.#block?.reset()
    this.filter.reset()
    for (const node of this.nodes) node.reset()
  }
}
