/**
 * Writes records (range tombstones, value-file numbers) as a chain of blocks. Layout: FORMAT.md, Lists.
 *
 * Invariant: a block is written when the next record would exceed LIST_BLOCK_BYTES, so the buffer holds that much or one record.
 */
import type { StoredBlockWriter } from './block/stored-block-writer.ts'
import { writeU32 } from './little-endian.ts'

export const LIST_HEADER_BYTES = 16
const LIST_BLOCK_BYTES = 8 * 1024

export class ListWriter {
  /** After `finish`; 0 bytes: empty list. */
  headOffset = 0
  headBytes = 0
  /** Reserved records are written here. */
  bytes: Uint8Array = new Uint8Array(0)
  readonly #blocks: StoredBlockWriter
  readonly #type: number
  #records = 0
  #used = LIST_HEADER_BYTES

  constructor(blocks: StoredBlockWriter, type: number) {
    this.#blocks = blocks
    this.#type = type
  }

  /** Maximum allocation for such records. */
  static bytesFor(recordBytes: number): number {
    return Math.max(LIST_BLOCK_BYTES, LIST_HEADER_BYTES + recordBytes)
  }

  get bufferBytes(): number { return this.bytes.length }
  get pendingBytes(): number { return this.#records === 0 ? 0 : this.#used }

  /** Returns a position in `bytes`. */
  reserve(recordBytes: number): number {
    if (this.#records > 0 && this.#used + recordBytes > LIST_BLOCK_BYTES) this.finish()
    const at = this.#used
    const needed = at + recordBytes
    if (needed > this.bytes.length) {
      const larger = new Uint8Array(Math.max(LIST_BLOCK_BYTES, needed))
      larger.set(this.bytes.subarray(0, at))
      this.bytes = larger
    }
    this.#used = needed
    this.#records++
    return at
  }

  finish(): void {
    if (this.#records === 0) return
    const bytes = this.bytes
    bytes.fill(0, 0, LIST_HEADER_BYTES)
    bytes[0] = this.#type
    writeU32(bytes, 4, this.headOffset)
    writeU32(bytes, 8, this.headBytes)
    writeU32(bytes, 12, this.#records)
    const { memory, a } = this.#blocks.kernels
    memory.set(bytes.subarray(0, this.#used), a)
    this.#blocks.store(this.#used)
    this.headOffset = this.#blocks.lastOffset
    this.headBytes = this.#blocks.lastBytes
    this.#records = 0
    this.#used = LIST_HEADER_BYTES
  }
}
