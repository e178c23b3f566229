/**
 * Range tombstones resolved for reading. Immutable; keys are copies.
 *
 * The sorted starts and ends cut the key space into intervals under a segment tree: a tombstone is kept in the few nodes that make
 * up its range, so a key's tombstones are on the path from its interval to the root. Lists per interval would grow quadratically
 * where tombstones nest, as when a queue is trimmed from the front.
 *
 * Cost, for n tombstones: built in O(n log n); at most 2 log2(n) + 2 numbers each; a lookup is one binary search and one step per
 * tree level, without allocation.
 */
import { compareBytes, compareKeys } from './bytes.ts'
import type { RangeTombstone } from './cursor.ts'
import type { RangeLookup } from './fragment-list.ts'

export interface RangeFragment {
  /** Covers [start, end). */
  start: Uint8Array
  end: Uint8Array
  /** Descending, each once. */
  seqs: number[]
}

/** Objects around the packed arrays, measured generously. */
const OVERHEAD_BYTES = 512

export class RangeSet implements RangeLookup {
  static readonly EMPTY: RangeSet = new RangeSet([])

  /** Disjoint covered ranges. */
  readonly size: number
  /** Memory held. */
  readonly bytes: number
  /** Boundary i is keys[offsets[i], offsets[i + 1]); interval i lies between boundaries i and i + 1. */
  readonly #keys: Uint8Array
  readonly #offsets: Uint32Array
  readonly #intervals: number
  /** Node i holds seqs[lists[i], lists[i + 1]), descending. The parent of i is i >> 1, the leaf of interval i is intervals + i. */
  readonly #lists: Uint32Array
  readonly #seqs: Float64Array

  /** Maximum memory of a set. */
  static bytesFor(count: number, keyBytes: number): number {
    if (count === 0) return 0
    const numbers = count * (2 * Math.ceil(Math.log2(2 * count)) + 2)
    return keyBytes + 4 * (2 * count + 1) + 4 * (4 * count + 1) + 8 * numbers + OVERHEAD_BYTES
  }

  /** Tombstones in any order; empty ones are ignored. */
  static of(tombstones: readonly RangeTombstone[]): RangeSet {
    for (const { start, end } of tombstones) if (compareKeys(start, end) < 0) return new RangeSet(tombstones)
    return RangeSet.EMPTY
  }

  private constructor(tombstones: readonly RangeTombstone[]) {
    const cut = cutIntoIntervals(tombstones)
    const { boundaries } = cut
    const offsets = new Uint32Array(boundaries.length + 1)
    for (let i = 0; i < boundaries.length; i++) offsets[i + 1] = offsets[i]! + boundaries[i]!.length
    const keys = new Uint8Array(offsets[boundaries.length]!)
    for (let i = 0; i < boundaries.length; i++) keys.set(boundaries[i]!, offsets[i]!)
    this.#keys = keys
    this.#offsets = offsets
    this.#intervals = Math.max(0, boundaries.length - 1)

    const { lists, seqs } = buildTree(cut, this.#intervals)
    this.#lists = lists
    this.#seqs = seqs
    this.size = countCovered(cut, this.#intervals)
    this.bytes = tombstones.length === 0
      ? 0
      : keys.byteLength + offsets.byteLength + lists.byteLength + seqs.byteLength + OVERHEAD_BYTES
  }

  /** Largest seq <= `snapshotSeq` of a tombstone that covers key[start, end); 0 if none. No allocation. */
  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const intervals = this.#intervals
    if (intervals === 0) return 0
    const keys = this.#keys
    const offsets = this.#offsets
    // First boundary beyond the key.
    let low = 0
    let high = intervals + 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareBytes(keys, offsets[middle]!, offsets[middle + 1]!, key, start, end) <= 0) low = middle + 1
      else high = middle
    }
    if (low === 0 || low > intervals) return 0
    let best = 0
    for (let node = intervals + low - 1; node > 0; node >>= 1) best = this.#newest(node, snapshotSeq, best)
    return best
  }

  /** For tools and tests. */
  fragments(): RangeFragment[] {
    const fragments: RangeFragment[] = []
    for (let i = 0; i < this.#intervals; i++) {
      const found = new Set<number>()
      for (let node = this.#intervals + i; node > 0; node >>= 1) {
        for (let at = this.#lists[node]!; at < this.#lists[node + 1]!; at++) found.add(this.#seqs[at]!)
      }
      if (found.size === 0) continue
      fragments.push({ start: this.#boundary(i), end: this.#boundary(i + 1), seqs: [...found].sort((a, b) => b - a) })
    }
    return fragments
  }

  /**
   * Reduce to what readers need: in every fragment the newest seq, and for each of `snapshots` (any order) the newest seq at or
   * below it. Neighbouring fragments with the same seqs are joined. Sorted by start, then by seq descending; ranges are equal or
   * disjoint; keys are not copied. Cost: O(n log n) plus, per boundary, a binary search per snapshot and a memmove within the open
   * tombstones.
   */
  static compactFor(tombstones: readonly RangeTombstone[], snapshots: readonly number[]): RangeTombstone[] {
    const { boundaries, events } = cutIntoIntervals(tombstones)
    const readers = [...new Set(snapshots)].sort((a, b) => b - a)
    const compacted: RangeTombstone[] = []
    const open: number[] = [] // seqs of the tombstones open here, ascending, repeated if several have the same
    let kept: number[] = []
    let keptStart = 0
    let next = 0
    for (let i = 0; i < boundaries.length; i++) {
      for (; next < events.length && events[next]!.boundary === i; next++) {
        const { opens, seq } = events[next]!
        if (opens) open.splice(countUpTo(open, seq), 0, seq)
        else open.splice(countUpTo(open, seq) - 1, 1)
      }
      const needed = neededSeqs(open, readers)
      if (sameNumbers(kept, needed)) continue
      for (const seq of kept) compacted.push({ start: boundaries[keptStart]!, end: boundaries[i]!, seq })
      kept = needed
      keptStart = i
    }
    return compacted
  }

  /** The larger of `best` and the newest seq <= `snapshotSeq` in a node. */
  #newest(node: number, snapshotSeq: number, best: number): number {
    const seqs = this.#seqs
    let low = this.#lists[node]!
    const end = this.#lists[node + 1]!
    if (low === end || seqs[low]! <= best) return best
    if (seqs[low]! > snapshotSeq) {
      let high = end
      while (low < high) {
        const middle = (low + high) >>> 1
        if (seqs[middle]! > snapshotSeq) low = middle + 1
        else high = middle
      }
      if (low === end) return best
    }
    return seqs[low]! > best ? seqs[low]! : best
  }

  #boundary(i: number): Uint8Array {
    return this.#keys.slice(this.#offsets[i]!, this.#offsets[i + 1]!)
  }
}

/** A start or an end. `range` numbers the non-empty tombstones, `boundary` the boundaries. */
interface Event {
  key: Uint8Array
  opens: boolean
  seq: number
  boundary: number
  range: number
}

interface Cut {
  /** Sorted, each once. */
  boundaries: Uint8Array[]
  events: Event[]
  /** Non-empty tombstone i covers the intervals [first[i], last[i]). */
  first: Uint32Array
  last: Uint32Array
  seqs: Float64Array
}

function cutIntoIntervals(tombstones: readonly RangeTombstone[]): Cut {
  const events: Event[] = []
  let count = 0
  for (const { start, end, seq } of tombstones) {
    if (compareKeys(start, end) >= 0) continue
    const range = count++
    events.push({ key: start, opens: true, seq, boundary: 0, range }, { key: end, opens: false, seq, boundary: 0, range })
  }
  events.sort((a, b) => compareKeys(a.key, b.key))

  const boundaries: Uint8Array[] = []
  const cut = { boundaries, events, first: new Uint32Array(count), last: new Uint32Array(count), seqs: new Float64Array(count) }
  for (const event of events) {
    if (boundaries.length === 0 || compareKeys(boundaries[boundaries.length - 1]!, event.key) !== 0) boundaries.push(event.key)
    event.boundary = boundaries.length - 1
    if (event.opens) cut.first[event.range] = event.boundary
    else cut.last[event.range] = event.boundary
    cut.seqs[event.range] = event.seq
  }
  return cut
}

/** One pass to count and one to fill, newest first, so that lists are sorted. */
function buildTree(cut: Cut, intervals: number): { lists: Uint32Array; seqs: Float64Array } {
  const byAge = Array.from(cut.seqs, (_, i) => i).sort((a, b) => cut.seqs[b]! - cut.seqs[a]!)
  const lists = new Uint32Array(2 * intervals + 1)
  for (const range of byAge) {
    let low = cut.first[range]! + intervals
    let high = cut.last[range]! + intervals
    for (; low < high; low >>= 1, high >>= 1) {
      if (low & 1) lists[++low]!++ // counted at node + 1: the running sum below makes it the node's end
      if (high & 1) lists[high--]!++
    }
  }
  for (let node = 1; node < lists.length; node++) lists[node]! += lists[node - 1]!
  const seqs = new Float64Array(lists[lists.length - 1]!)
  const fill = lists.slice()
  for (const range of byAge) {
    const seq = cut.seqs[range]!
    let low = cut.first[range]! + intervals
    let high = cut.last[range]! + intervals
    for (; low < high; low >>= 1, high >>= 1) {
      if (low & 1) seqs[fill[low++]!++] = seq
      if (high & 1) seqs[fill[--high]!++] = seq
    }
  }
  return { lists, seqs }
}

function countCovered(cut: Cut, intervals: number): number {
  let covered = 0
  let open = 0
  let next = 0
  for (let i = 0; i < intervals; i++) {
    for (; next < cut.events.length && cut.events[next]!.boundary === i; next++) open += cut.events[next]!.opens ? 1 : -1
    if (open > 0) covered++
  }
  return covered
}

/** Ascending numbers <= `most`. */
export function countUpTo(numbers: readonly number[], most: number): number {
  let low = 0
  let high = numbers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (numbers[middle]! <= most) low = middle + 1
    else high = middle
  }
  return low
}

/** The newest of `open` (ascending) and the newest at or below each of `readers` (descending): descending, each once. */
export function neededSeqs(open: readonly number[], readers: readonly number[]): number[] {
  if (open.length === 0) return []
  const needed = [open[open.length - 1]!]
  for (const reader of readers) {
    const count = countUpTo(open, reader)
    if (count === 0) break
    const seq = open[count - 1]!
    if (seq !== needed[needed.length - 1]!) needed.push(seq)
  }
  return needed
}

export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
