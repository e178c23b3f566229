/**
 * The range tombstones of one table, packed for reading: sorted fragments that are equal or disjoint, each with its sequence
 * numbers in descending order, in one buffer.
 *
 * Cost: 24 bytes and two keys a tombstone; a lookup is two binary searches, without allocation.
 */
import { compareBytes, copyBytes } from './bytes.ts'

/** Finds the range tombstone that covers a key at a snapshot. */
export interface RangeLookup {
  readonly size: number
  /** Largest seq <= `snapshotSeq` of a tombstone that covers key[start, end); 0 if none. No allocation. */
  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number
}

/** The list, its buffer and four views, measured. */
const OBJECT_BYTES = 800

export class FragmentList implements RangeLookup {
  /** Fragments. */
  size = 0
  /** Fragment i is from keys[ends[2i - 1], ends[2i]) to keys[ends[2i], ends[2i + 1]). */
  readonly #ends: Uint32Array
  /** Fragment i has seqs[lists[i], lists[i + 1]). */
  readonly #lists: Uint32Array
  readonly #seqs: Float64Array
  readonly #keys: Uint8Array
  #count = 0

  /** `keyBytes`: of all keys. */
  static bytesFor(count: number, keyBytes: number): number {
    return OBJECT_BYTES + count * 20 + 4 + keyBytes
  }

  constructor(count: number, keyBytes: number) {
    const buffer = new ArrayBuffer(count * 20 + 4 + keyBytes)
    this.#seqs = new Float64Array(buffer, 0, count)
    this.#ends = new Uint32Array(buffer, count * 8, count * 2)
    this.#lists = new Uint32Array(buffer, count * 16, count + 1)
    this.#keys = new Uint8Array(buffer, count * 20 + 4)
  }

  /** Append bytes[start, split) to bytes[split, end), not empty: after the last one, or the same with a smaller seq. */
  add(bytes: Uint8Array, start: number, split: number, end: number, seq: number): void {
    const ends = this.#ends
    const last = this.size - 1
    const lastEnd = last < 0 ? 0 : ends[2 * last + 1]!
    if (last < 0 || compareBytes(bytes, start, split, this.#keys, ends[2 * last]!, lastEnd) >= 0) {
      const at = this.size++
      copyBytes(bytes, start, end, this.#keys, lastEnd)
      ends[2 * at] = lastEnd + split - start
      ends[2 * at + 1] = lastEnd + end - start
    }
    this.#seqs[this.#count++] = seq
    this.#lists[this.size] = this.#count
  }

  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const ends = this.#ends
    const keys = this.#keys
    // First fragment that ends beyond the key.
    let low = 0
    let high = this.size
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareBytes(keys, ends[2 * middle]!, ends[2 * middle + 1]!, key, start, end) <= 0) low = middle + 1
      else high = middle
    }
    if (low === this.size) return 0
    if (compareBytes(keys, low === 0 ? 0 : ends[2 * low - 1]!, ends[2 * low]!, key, start, end) > 0) return 0
    const seqs = this.#seqs
    let from = this.#lists[low]!
    let to = this.#lists[low + 1]!
    const last = to
    while (from < to) {
      const middle = (from + to) >>> 1
      if (seqs[middle]! > snapshotSeq) from = middle + 1
      else to = middle
    }
    return from < last ? seqs[from]! : 0
  }
}
