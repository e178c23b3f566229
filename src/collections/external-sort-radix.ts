/**
 * Sorts the index of an arena by key, stably and without allocation per entry.
 *
 * LSD radix sort of eight key bytes after the common prefix, as two integers; bytes equal in all keys are skipped. Groups equal in
 * all eight are sorted by the next eight, small groups by comparison. Cost: about 40 ns an entry, in any input order.
 */
import { compareBytes } from '../base/bytes.ts'
import { EntryReader, prefix32 } from '../pages/paged-entry.ts'
import type { CompareRanges, KeyOrder } from '../pages/paged-merge.ts'

export const INDEX_INTEGERS = 6

/** Larger groups use radix sort. */
const MAX_COMPARED = 96

export class RadixSorter {
  readonly #bytes: Uint8Array
  readonly #entry = new EntryReader()
  readonly #other = new EntryReader()
  readonly #counts = new Uint32Array(8 * 256)
  readonly #compare: CompareRanges
  readonly #plain: boolean
  readonly #sign: number
  readonly #flip: number
  #high: Uint32Array = NONE
  #low: Uint32Array = NONE
  #places: Uint32Array = NONE
  #high2: Uint32Array = NONE
  #low2: Uint32Array = NONE
  #places2: Uint32Array = NONE

  constructor(bytes: Uint8Array, order: KeyOrder = {}) {
    this.#bytes = bytes
    this.#compare = order.compare ?? compareBytes
    this.#plain = order.compare === undefined
    this.#sign = order.reverse === true ? -1 : 1
    this.#flip = order.reverse === true ? -1 : 0
  }

  /** `memory` has 6 x count integers; its last `count` are the positions, in reverse. Returns the sorted part. */
  sort(memory: Uint32Array, count: number): Uint32Array {
    this.#high = memory.subarray(0, count)
    this.#low = memory.subarray(count, 2 * count)
    this.#places = memory.subarray(2 * count, 3 * count)
    this.#high2 = memory.subarray(3 * count, 4 * count)
    this.#low2 = memory.subarray(4 * count, 5 * count)
    this.#places2 = memory.subarray(5 * count, 6 * count)
    const places = this.#places
    for (let i = 0, from = memory.length - 1; i < count; i++, from--) places[i] = memory[from]!
    if (this.#plain) this.#sortGroup(0, count, this.#shared(count))
    else this.#mergeSort(0, count, 0)
    return this.#places
  }

  #shared(count: number): number {
    const bytes = this.#bytes
    const entry = this.#entry
    const places = this.#places
    if (count === 0) return 0
    entry.read(bytes, places[0]!)
    const sample = entry.keyStart
    let shared = entry.keyEnd - entry.keyStart
    for (let i = 1; i < count && shared > 0; i++) {
      entry.read(bytes, places[i]!)
      const start = entry.keyStart
      if (entry.keyEnd - start < shared) shared = entry.keyEnd - start
      for (let at = 0; at < shared; at++) {
        if (bytes[start + at] !== bytes[sample + at]) shared = at
      }
    }
    return shared
  }

  /** Keys share their first `depth` bytes. */
  #sortGroup(from: number, to: number, depth: number): void {
    // A loop, because long equal keys would recurse deeply.
    for (;;) {
      if (to - from <= MAX_COMPARED) {
        this.#mergeSort(from, to, depth)
        return
      }
      const longer = this.#load(from, to, depth)
      this.#radix(from, to)
      const high = this.#high
      const low = this.#low
      if (high[from] === high[to - 1] && low[from] === low[to - 1]) {
        if (!longer) {
          this.#mergeSort(from, to, depth)
          return
        }
        depth += 8
        continue
      }
      for (let start = from; start < to;) {
        const h = high[start]!
        const l = low[start]!
        let end = start + 1
        while (end < to && low[end] === l && high[end] === h) end++
        if (end - start > 1) this.#sortTies(start, end, depth)
        start = end
      }
      return
    }
  }

  #sortTies(from: number, to: number, depth: number): void {
    if (to - from <= MAX_COMPARED) {
      this.#mergeSort(from, to, depth)
      return
    }
    // Keys that end within the eight bytes need a comparison.
    const bytes = this.#bytes
    const entry = this.#entry
    for (let i = from; i < to; i++) {
      entry.read(bytes, this.#places[i]!)
      if (entry.keyEnd - entry.keyStart < depth + 8) {
        this.#mergeSort(from, to, depth)
        return
      }
    }
    this.#sortGroup(from, to, depth + 8)
  }

  /** False if a key has fewer than eight bytes at `depth`. */
  #load(from: number, to: number, depth: number): boolean {
    const bytes = this.#bytes
    const entry = this.#entry
    const places = this.#places
    const high = this.#high
    const low = this.#low
    const flip = this.#flip
    let longer = true
    for (let i = from; i < to; i++) {
      entry.read(bytes, places[i]!)
      const start = entry.keyStart + depth
      const end = entry.keyEnd
      high[i] = prefix32(bytes, start, end) ^ flip
      low[i] = prefix32(bytes, start + 4, end) ^ flip
      if (start + 8 > end) longer = false
    }
    return longer
  }

  #radix(from: number, to: number): void {
    const counts = this.#counts
    this.#count(from, to)
    const total = to - from
    let moved = false
    for (let digit = 0; digit < 8; digit++) {
      const base = digit * 256
      const sample = digit < 4 ? this.#low[from]! >>> (8 * digit) : this.#high[from]! >>> (8 * digit - 32)
      if (counts[base + (sample & 255)] === total) continue
      let sum = from
      for (let i = base; i < base + 256; i++) {
        const count = counts[i]!
        counts[i] = sum
        sum += count
      }
      if (digit < 4) scatter(counts, base, this.#low, 8 * digit, from, to, this.#high, this.#low, this.#places, this.#high2, this.#low2, this.#places2)
      else scatter(counts, base, this.#high, 8 * digit - 32, from, to, this.#high, this.#low, this.#places, this.#high2, this.#low2, this.#places2)
      this.#swap()
      moved = !moved
    }
    if (moved) {
      // In place: the surrounding entries are in the other arrays.
      this.#swap()
      this.#high.set(this.#high2.subarray(from, to), from)
      this.#low.set(this.#low2.subarray(from, to), from)
      this.#places.set(this.#places2.subarray(from, to), from)
    }
  }

  #count(from: number, to: number): void {
    const counts = this.#counts
    const high = this.#high
    const low = this.#low
    counts.fill(0)
    for (let i = from; i < to; i++) {
      const l = low[i]!
      const h = high[i]!
      counts[l & 255]!++
      counts[256 + ((l >>> 8) & 255)]!++
      counts[512 + ((l >>> 16) & 255)]!++
      counts[768 + (l >>> 24)]!++
      counts[1024 + (h & 255)]!++
      counts[1280 + ((h >>> 8) & 255)]!++
      counts[1536 + ((h >>> 16) & 255)]!++
      counts[1792 + (h >>> 24)]!++
    }
  }

  #swap(): void {
    const high = this.#high
    const low = this.#low
    const places = this.#places
    this.#high = this.#high2
    this.#low = this.#low2
    this.#places = this.#places2
    this.#high2 = high
    this.#low2 = low
    this.#places2 = places
  }

  /** Stable, over insertion-sorted stretches of eight. */
  #mergeSort(from: number, to: number, depth: number): void {
    const STRETCH = 8
    for (let start = from; start < to; start += STRETCH) this.#insertionSort(start, Math.min(start + STRETCH, to), depth)
    const places = this.#places
    const spare = this.#places2
    for (let width = STRETCH; width < to - from; width *= 2) {
      for (let start = from; start + width < to; start += 2 * width) {
        const middle = start + width
        const end = Math.min(middle + width, to)
        if (this.#order(places[middle - 1]!, places[middle]!, depth) <= 0) continue
        for (let i = start; i < middle; i++) spare[i] = places[i]!
        let left = start
        let right = middle
        let at = start
        while (left < middle && right < end) {
          if (this.#order(spare[left]!, places[right]!, depth) <= 0) places[at++] = spare[left++]!
          else places[at++] = places[right++]!
        }
        while (left < middle) places[at++] = spare[left++]!
      }
    }
  }

  #insertionSort(from: number, to: number, depth: number): void {
    const places = this.#places
    for (let i = from + 1; i < to; i++) {
      const place = places[i]!
      let at = i
      while (at > from && this.#order(places[at - 1]!, place, depth) > 0) {
        places[at] = places[at - 1]!
        at--
      }
      places[at] = place
    }
  }

  #order(a: number, b: number, depth: number): number {
    const bytes = this.#bytes
    const x = this.#entry
    const y = this.#other
    x.read(bytes, a)
    y.read(bytes, b)
    const order = this.#plain
      ? compareBytes(bytes, x.keyStart + depth, x.keyEnd, bytes, y.keyStart + depth, y.keyEnd)
      : this.#compare(bytes, x.keyStart, x.keyEnd, bytes, y.keyStart, y.keyEnd)
    return order * this.#sign
  }
}

const NONE = new Uint32Array(0)

function scatter(
  counts: Uint32Array, base: number, digits: Uint32Array, shift: number, from: number, to: number,
  high: Uint32Array, low: Uint32Array, places: Uint32Array, high2: Uint32Array, low2: Uint32Array, places2: Uint32Array,
): void {
  for (let i = from; i < to; i++) {
    const slot = base + ((digits[i]! >>> shift) & 255)
    const at = counts[slot]!
    counts[slot] = at + 1
    high2[at] = high[i]!
    low2[at] = low[i]!
    places2[at] = places[i]!
  }
}
