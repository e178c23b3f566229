/**
 * The range tombstones of all inputs of a flush or merge, met in key order: which of them cover the key in hand, and which
 * must be in the output.
 *
 * Invariants
 * 1. Keys are asked about in ascending order; what ends at or before the key in hand has been handed out.
 * 2. What is handed out is sorted by start, then by seq descending, equal or disjoint, and all that some reader needs: in every
 *    fragment the newest seq, and for each snapshot the newest at or below it. Neighbours that keep the same are joined.
 *
 * Memory: one fragment an input, and the numbers that cover the key. Cost: one comparison a key; a step through the inputs for
 * each start and end.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { countUpTo, neededSeqs, sameNumbers } from '../base/ranges.ts'

/** Fragments of one input, ascending and disjoint. */
export interface FragmentSource {
  /** False: `next` would give none now. */
  readonly hasMore: boolean
  /** The next fragment of those that may begin at or before the keys reached so far; undefined: none yet, or no more. */
  next(): Fragment | undefined
}

export interface Fragment {
  start: Uint8Array
  end: Uint8Array
  /** Each once, in any order. */
  seqs: number[]
}

/** Fragments that are in memory: sorted by start, equal or disjoint. */
export class ListedFragments implements FragmentSource {
  readonly #tombstones: readonly RangeTombstone[]
  #at = 0

  constructor(tombstones: readonly RangeTombstone[]) {
    this.#tombstones = tombstones
  }

  get hasMore(): boolean { return this.#at < this.#tombstones.length }

  next(): Fragment | undefined {
    const first = this.#tombstones[this.#at]
    if (first === undefined) return undefined
    const { start, end } = first
    const seqs: number[] = []
    for (; this.#at < this.#tombstones.length; this.#at++) {
      const tombstone = this.#tombstones[this.#at]!
      if (compareKeys(tombstone.start, start) !== 0) break
      seqs.push(tombstone.seq)
    }
    return { start, end, seqs }
  }
}

interface Input {
  source: FragmentSource
  fragment: Fragment | undefined
  isOpen: boolean
}

export class RangeSweep {
  readonly #inputs: Input[]
  /** Sequence numbers that readers read at, descending. */
  readonly #readers: readonly number[]
  readonly #sink: (tombstone: RangeTombstone) => void
  /** Of the fragments over the key in hand, ascending; one that several have stands several times. */
  readonly #open: number[] = []
  /** The next start or end. */
  #next: Uint8Array | undefined
  /** What is needed since `#keptStart`. */
  #kept: readonly number[] = []
  #keptStart: Uint8Array = new Uint8Array(0)

  constructor(sources: readonly FragmentSource[], snapshots: readonly number[], sink: (tombstone: RangeTombstone) => void) {
    this.#inputs = sources.map(source => ({ source, fragment: undefined, isOpen: false }))
    this.#readers = [...new Set(snapshots)].sort((a, b) => b - a)
    this.#sink = sink
  }

  /** Nothing covers the key in hand, and `next` is what comes next, undefined if nothing does. */
  get isQuiet(): boolean {
    if (this.#open.length > 0 || this.#kept.length > 0) return false
    return this.#inputs.every(({ source, fragment }) => fragment !== undefined || !source.hasMore)
  }
  get next(): Uint8Array | undefined { return this.#next }

  /** Go on towards a key, at most so many starts and ends; true when it is reached. A source that had none before is asked again. */
  advance(key: Uint8Array, start: number, end: number, steps = Infinity): boolean {
    if (this.#refill()) this.#findNext()
    for (; this.#next !== undefined && compareBytes(this.#next, 0, this.#next.length, key, start, end) <= 0; steps--) {
      if (steps === 0) return false
      this.#step(this.#next)
    }
    return true
  }

  /** Largest seq <= `ceiling` of a tombstone over the key in hand; 0 if none. */
  newestUpTo(ceiling: number): number {
    const open = this.#open
    if (open.length === 0) return 0
    const count = countUpTo(open, ceiling)
    return count === 0 ? 0 : open[count - 1]!
  }

  /** Hand out what covers keys before the key in hand, up to it: another table begins here. */
  cut(key: Uint8Array): void {
    if (this.#kept.length === 0) return
    this.#emit(key)
    this.#keptStart = key
  }

  /** No more keys: hand out what is left, at most so many starts and ends; true when that was all. */
  finish(steps = Infinity): boolean {
    for (; ; steps--) {
      if (this.#refill()) this.#findNext()
      if (this.#next === undefined) return true
      if (steps === 0) return false
      this.#step(this.#next)
    }
  }

  #refill(): boolean {
    let isNew = false
    for (const input of this.#inputs) {
      if (input.fragment !== undefined || !input.source.hasMore) continue
      input.fragment = input.source.next()
      if (input.fragment !== undefined) isNew = true
    }
    return isNew
  }

  /** Everything that begins or ends at this key. */
  #step(key: Uint8Array): void {
    for (const input of this.#inputs) {
      if (input.fragment === undefined) continue
      if (input.isOpen && compareKeys(input.fragment.end, key) === 0) {
        for (const seq of input.fragment.seqs) this.#open.splice(countUpTo(this.#open, seq) - 1, 1)
        input.isOpen = false
        input.fragment = input.source.next()
      }
      if (!input.isOpen && input.fragment !== undefined && compareKeys(input.fragment.start, key) <= 0) {
        for (const seq of input.fragment.seqs) this.#open.splice(countUpTo(this.#open, seq), 0, seq)
        input.isOpen = true
      }
    }
    const needed = neededSeqs(this.#open, this.#readers)
    if (!sameNumbers(this.#kept, needed)) {
      this.#emit(key)
      this.#kept = needed
      this.#keptStart = key
    }
    this.#findNext()
  }

  #emit(end: Uint8Array): void {
    const start = this.#keptStart
    if (this.#kept.length === 0 || compareKeys(start, end) >= 0) return
    for (const seq of this.#kept) this.#sink({ start, end, seq })
  }

  #findNext(): void {
    let next: Uint8Array | undefined
    for (const { fragment, isOpen } of this.#inputs) {
      if (fragment === undefined) continue
      const bound = isOpen ? fragment.end : fragment.start
      if (next === undefined || compareKeys(bound, next) < 0) next = bound
    }
    this.#next = next
  }
}
