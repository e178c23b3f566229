/**
 * Finds one key of a table for readers without memory for a window. Results are views of the source's bytes, valid until its next
 * load.
 *
 * Cost: an index descent and a data block per call; an IndexPath (about 1.5 KiB).
 */
import { EMPTY } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import { compareBytes, copyBytes } from '../base/bytes.ts'
import type { BlockSource } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { IndexPath } from './index/index-path.ts'
import type { IndexedTable } from './open-table.ts'

export class KeyProbe {
  keyLength = 0
  readonly #source: BlockSource
  readonly #block = new DataBlock()
  #suffixStart = 0
  #suffixEnd = 0
  #bytes: Uint8Array = EMPTY

  constructor(source: BlockSource) {
    this.#source = source
  }

  /** First key >= the given one. */
  atOrAfter(table: IndexedTable, key: Uint8Array, start: number, end: number): boolean {
    const path = new IndexPath(table)
    if (!path.seek(this.#source, key, start, end)) return false
    this.#load(table, path)
    const i = this.#block.lowerBound(key, start, end)
    if (i < this.#block.count) return this.#found(i)
    if (!path.next(this.#source)) return false
    this.#load(table, path)
    return this.#found(0)
  }

  /** Last key < the given one; without `key` the last of all. */
  before(table: IndexedTable, key: Uint8Array | undefined, start: number, end: number): boolean {
    const path = new IndexPath(table)
    let i = -1
    if (key !== undefined && path.seek(this.#source, key, start, end)) {
      this.#load(table, path)
      i = this.#block.lowerBound(key, start, end) - 1
      if (i >= 0) return this.#found(i)
      if (!path.prev(this.#source)) return false
    } else if (!path.last(this.#source)) {
      return false
    }
    this.#load(table, path)
    return this.#found(this.#block.count - 1)
  }

  compare(key: Uint8Array, length: number): number {
    const { prefixAt, prefixLength } = this.#block
    const shared = Math.min(prefixLength, length)
    const order = compareBytes(this.#bytes, prefixAt, prefixAt + shared, key, 0, shared)
    if (order !== 0) return order
    if (shared < prefixLength) return 1
    return compareBytes(this.#bytes, this.#suffixStart, this.#suffixEnd, key, prefixLength, length)
  }

  copyTo(to: Uint8Array): void {
    const { prefixAt, prefixLength } = this.#block
    copyBytes(this.#bytes, prefixAt, prefixAt + prefixLength, to, 0)
    copyBytes(this.#bytes, this.#suffixStart, this.#suffixEnd, to, prefixLength)
  }

  #found(i: number): true {
    const block = this.#block
    this.#suffixStart = block.suffixStart(i)
    this.#suffixEnd = block.suffixEnd(i)
    this.keyLength = block.prefixLength + this.#suffixEnd - this.#suffixStart
    return true
  }

  #load(table: IndexedTable, path: IndexPath): void {
    const source = this.#source
    source.load(table, path.blockOffset, path.blockBytes)
    if (source.bytes[source.start] !== BLOCK_DATA) {
      throw new CorruptionError(table.file.path, path.blockOffset, 'no data block where the index says')
    }
    this.#bytes = source.bytes
    this.#block.open(source.bytes, source.start)
  }
}
