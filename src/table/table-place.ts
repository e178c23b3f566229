/**
 * A place in a table, of which no memory is kept but the way through its index: the block is loaded again when it is needed.
 *
 * Invariants
 * 1. `blockOffset` and `position` name an entry, from a true return of a move until the next move.
 * 2. A move leaves the block in the source.
 *
 * Cost: what `IndexPath` keeps, about 1.5 KiB.
 */
import { CorruptionError } from '../base/errors.ts'
import type { BlockSource } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { IndexPath } from './index/index-path.ts'
import type { TableReader } from './table-reader.ts'

/** One at a time is looked at. */
const block = new DataBlock()

export class TablePlace {
  readonly table: TableReader
  /** Number of the entry in its block. */
  position = 0
  readonly #path: IndexPath

  constructor(table: TableReader) {
    this.table = table
    this.#path = new IndexPath(table)
  }

  first(source: BlockSource): boolean {
    this.position = 0
    if (!this.#path.first(source)) return false
    this.load(source)
    return true
  }

  /** To the first entry whose key is >= the given one. */
  seek(source: BlockSource, key: Uint8Array, start: number, end: number): boolean {
    if (!this.#path.seek(source, key, start, end)) return false
    this.load(source)
    block.open(source.bytes, source.start)
    this.position = block.lowerBound(key, start, end)
    return this.position < block.count || this.nextBlock(source)
  }

  /** To the first entry of the next block. */
  nextBlock(source: BlockSource): boolean {
    this.position = 0
    if (!this.#path.next(source)) return false
    this.load(source)
    return true
  }

  /** Have its block in the source. */
  load(source: BlockSource): void {
    const { blockOffset, blockBytes } = this.#path
    source.load(this.table, blockOffset, blockBytes)
    if (source.bytes[source.start] !== BLOCK_DATA) {
      throw new CorruptionError(this.table.file.path, blockOffset, 'no data block where the index says')
    }
  }
}
