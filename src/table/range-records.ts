/**
 * Range tombstones of a table in stored order, one block in memory at a time. The current record is a copy, valid until `next` or
 * `close`.
 */
import type { Kernels } from '../kernels/kernels.ts'
import { EMPTY } from '../base/cursor.ts'
import type { WindowPool } from '../memory/windows.ts'
import { StoredBlockReader, type BlockFile } from './block/stored-block-reader.ts'
import { RANGE_HEADER_BYTES, type ListBlocks } from './list-reader.ts'
import { LIST_HEADER_BYTES } from './list-writer.ts'
import { readU32, readU64 } from './little-endian.ts'

export class RangeRecords {
  /** Tombstone from bytes[start, split) to bytes[split, end). */
  bytes: Uint8Array<ArrayBuffer> = EMPTY
  start = 0
  split = 0
  end = 0
  seq = 0
  readonly #table: BlockFile
  readonly #loader: StoredBlockReader
  readonly #handles: Uint32Array
  readonly #windows: WindowPool | undefined
  readonly #seqOffset: number
  #nextBlock = 0
  #left = 0

  constructor(table: BlockFile, kernels: Kernels, blocks: ListBlocks, windows?: WindowPool, seqOffset = 0) {
    this.#table = table
    this.#loader = new StoredBlockReader(kernels)
    this.#handles = blocks.handles
    this.#windows = windows
    this.#seqOffset = seqOffset
  }

  /** Throws CorruptionError, and BUDGET_TOO_SMALL without memory for a block. */
  next(): boolean {
    while (this.#left === 0) {
      if (this.#nextBlock === this.#handles.length) return false
      this.#load()
    }
    const { bytes } = this
    const at = this.end
    this.#left--
    this.seq = readU64(bytes, at) + this.#seqOffset
    this.start = at + RANGE_HEADER_BYTES
    this.split = this.start + readU32(bytes, at + 8)
    this.end = this.split + readU32(bytes, at + 12)
    return true
  }

  close(): void {
    if (this.#windows !== undefined && this.bytes !== EMPTY) this.#windows.give(this.bytes)
    this.bytes = EMPTY
    this.#left = 0
    this.#nextBlock = this.#handles.length
  }

  #load(): void {
    const loader = this.#loader
    const offset = this.#handles[this.#nextBlock]!
    const storedBytes = this.#handles[this.#nextBlock + 1]!
    this.#nextBlock += 2
    loader.load(this.#table, offset, storedBytes)
    const { memory } = loader.kernels
    const length = loader.end - loader.start
    if (length > this.bytes.length) {
      if (this.#windows !== undefined && this.bytes !== EMPTY) {
        this.#windows.give(this.bytes)
        this.bytes = EMPTY
      }
      this.bytes = this.#windows === undefined ? new Uint8Array(length) : this.#windows.take(length)
    }
    this.bytes.set(memory.subarray(loader.start, loader.end))
    this.#left = readU32(this.bytes, 12)
    this.end = LIST_HEADER_BYTES
  }
}
