/**
 * The buffers of a table writer, for one writer after the other: a job that writes many tables, or one job after the other, must
 * not leave some 150 KiB of garbage behind each of them.
 *
 * Invariants
 * 1. One writer at a time uses them. What the one before left in them is never looked at.
 * 2. Together with the writer's own they take at most `TableWriter.workingBytes`, also after long keys.
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
  /** By level; made when an index first has that level. */
  readonly nodes: IndexNodeWriter[] = []
  #block: DataBlockWriter | undefined

  constructor(blockBytes: number, filterBitsPerKey: number) {
    this.blockBytes = blockBytes
    this.filterBitsPerKey = filterBitsPerKey
    this.filter = new FilterWriter(maxPartitionKeys(blockBytes), filterBitsPerKey)
  }

  /** Made when it is first wanted: merges in the kernels have columns of their own. */
  get block(): DataBlockWriter { return this.#block ??= new DataBlockWriter(this.blockBytes) }

  reset(): void {
    this.#block?.reset()
    this.filter.reset()
    for (const node of this.nodes) node.reset()
  }
}
