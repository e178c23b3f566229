/**
 * The tables outside a flush or merge: whether one may hold something older than a tombstone. Their hulls cut the key space into
 * intervals, each with its smallest sequence number.
 *
 * Cost: packed, 16 bytes and two keys a table. The index is built in O(n log n) and takes 24 bytes a table more; a key is one
 * binary search, a range one and a step per interval.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'

/** Point keys lie in [firstKey, lastKey], sequence numbers from minSeq on. */
export interface OutsideTable {
  firstKey: Uint8Array
  lastKey: Uint8Array
  minSeq: number
}

/** Packed, for another thread. */
export interface OutsideTables {
  keys: Uint8Array
  /** First key i is keys[ends[2i - 1], ends[2i]), last key i is keys[ends[2i], ends[2i + 1]). */
  ends: Uint32Array
  minSeqs: Float64Array
}

export function packOutside(tables: readonly OutsideTable[]): OutsideTables {
  const ends = new Uint32Array(tables.length * 2)
  const minSeqs = new Float64Array(tables.length)
  let end = 0
  for (let i = 0; i < tables.length; i++) {
    const { firstKey, lastKey, minSeq } = tables[i]!
    ends[2 * i] = end += firstKey.length
    ends[2 * i + 1] = end += lastKey.length
    minSeqs[i] = minSeq
  }
  const keys = new Uint8Array(end)
  for (let i = 0; i < tables.length; i++) {
    const { firstKey, lastKey } = tables[i]!
    copyBytes(firstKey, 0, firstKey.length, keys, ends[2 * i]! - firstKey.length)
    copyBytes(lastKey, 0, lastKey.length, keys, ends[2 * i]!)
  }
  return { keys, ends, minSeqs }
}

export class OutsideIndex {
  /** See `findNext`. */
  readonly keys: Uint8Array
  nextStart = 0
  nextEnd = 0
  readonly #ends: Uint32Array
  /** Numbers of keys, sorted: even ones begin an interval with their key, odd ones right after it. */
  readonly #bounds: Uint32Array
  /** Of the interval from bound i on, Infinity without tables. */
  readonly #minSeqs: Float64Array

  constructor({ keys, ends, minSeqs }: OutsideTables) {
    this.keys = keys
    this.#ends = ends
    const bounds = Uint32Array.from(ends, (_, i) => i)
    bounds.sort((a, b) => compareBytes(keys, this.#startOf(a), ends[a]!, keys, this.#startOf(b), ends[b]!) || (a & 1) - (b & 1))
    const smallest = new Float64Array(bounds.length)
    /** Of the tables over the interval, ascending. */
    const open: number[] = []
    for (let i = 0; i < bounds.length; i++) {
      const bound = bounds[i]!
      const minSeq = minSeqs[bound >>> 1]!
      const at = countBelow(open, minSeq)
      if ((bound & 1) === 0) open.splice(at, 0, minSeq)
      else open.splice(at, 1)
      smallest[i] = open.length === 0 ? Infinity : open[0]!
    }
    this.#bounds = bounds
    this.#minSeqs = smallest
  }

  /** Smallest sequence number of tables that may hold the key; Infinity: none. */
  minSeqAt(key: Uint8Array, start: number, end: number): number {
    const at = this.#intervalOf(key, start, end)
    return at < 0 ? Infinity : this.#minSeqs[at]!
  }

  /** Find the first key after which `minSeqAt` may change; false: none. */
  findNext(key: Uint8Array, start: number, end: number): boolean {
    const at = this.#intervalOf(key, start, end) + 1
    if (at >= this.#bounds.length) return false
    const bound = this.#bounds[at]!
    this.nextStart = this.#startOf(bound)
    this.nextEnd = this.#ends[bound]!
    return true
  }

  /** For all keys of [start, end). */
  minSeqOver(start: Uint8Array, end: Uint8Array): number {
    const bounds = this.#bounds
    let at = this.#intervalOf(start, 0, start.length)
    let smallest = at < 0 ? Infinity : this.#minSeqs[at]!
    for (at++; at < bounds.length; at++) {
      const bound = bounds[at]!
      if (compareBytes(this.keys, this.#startOf(bound), this.#ends[bound]!, end, 0, end.length) >= 0) break
      if (this.#minSeqs[at]! < smallest) smallest = this.#minSeqs[at]!
    }
    return smallest
  }

  /** Last bound at or before the key; -1: none. */
  #intervalOf(key: Uint8Array, start: number, end: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const bound = bounds[middle]!
      const order = compareBytes(this.keys, this.#startOf(bound), this.#ends[bound]!, key, start, end)
      if ((bound & 1) === 0 ? order <= 0 : order < 0) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  #startOf(key: number): number {
    return key === 0 ? 0 : this.#ends[key - 1]!
  }
}

/** `numbers` ascend. */
function countBelow(numbers: readonly number[], limit: number): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle]! < limit) low = middle + 1
    else high = middle
  }
  return low
}
