/**
 * The range tombstones of all inputs of a flush or merge, in key order: which cover the current key, and which go to the output.
 *
 * Invariants
 * 1. Keys ascend; fragments that end at or before the current key have been emitted.
 * 2. Emitted fragments are sorted by start, then by seq descending, equal or disjoint, and complete for readers: in every fragment
 *    the newest seq, and for each snapshot the newest at or below it. Equal neighbours are joined.
 *
 * Memory: one fragment an input. Cost: one comparison a key; a pass over the inputs for each start and end.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { countUpTo, neededSeqs, sameNumbers } from '../base/ranges.ts'

/** Fragments of one input, ascending and disjoint. */
export interface FragmentSource {
  readonly hasMore: boolean
  /** Undefined: none begins at or before the keys reached so far. */
  next(): Fragment | undefined
}

export interface Fragment {
  start: Uint8Array
  end: Uint8Array
  /** Each once, in any order. */
  seqs: number[]
}

/** In memory, sorted by start, equal or disjoint. */
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
  /** Descending. */
  readonly #readers: readonly number[]
  readonly #sink: (tombstone: RangeTombstone) => void
  /** Numbers over the current key, ascending, with repetitions. */
  readonly #open: number[] = []
  /** The next start or end. */
  #next: Uint8Array | undefined
  /** Needed since `#keptStart`. */
  #kept: readonly number[] = []
  #keptStart: Uint8Array = new Uint8Array(0)

  constructor(sources: readonly FragmentSource[], snapshots: readonly number[], sink: (tombstone: RangeTombstone) => void) {
    this.#inputs = sources.map(source => ({ source, fragment: undefined, isOpen: false }))
    this.#readers = [...new Set(snapshots)].sort((a, b) => b - a)
    this.#sink = sink
  }

  /** No tombstone covers the current key, and `next` is known. */
  get isQuiet(): boolean {
    if (this.#open.length > 0 || this.#kept.length > 0) return false
    return this.#inputs.every(({ source, fragment }) => fragment !== undefined || !source.hasMore)
  }
  get next(): Uint8Array | undefined { return this.#next }

  /** Process at most `steps` starts and ends before a key. True: reached. Sources without fragments are asked again. */
  advance(key: Uint8Array, start: number, end: number, steps = Infinity): boolean {
    if (this.#refill()) this.#findNext()
    for (; this.#next !== undefined && compareBytes(this.#next, 0, this.#next.length, key, start, end) <= 0; steps--) {
      if (steps === 0) return false
      this.#step(this.#next)
    }
    return true
  }

  /** Largest seq <= `ceiling` over the current key; 0 if none. */
  newestUpTo(ceiling: number): number {
    const open = this.#open
    if (open.length === 0) return 0
    const count = countUpTo(open, ceiling)
    return count === 0 ? 0 : open[count - 1]!
  }

  /** A new table begins at this key. */
  cut(key: Uint8Array): void {
    if (this.#kept.length === 0) return
    this.#emit(key)
    this.#keptStart = key
  }

  /** Emit the rest, in at most `steps` starts and ends. True: done. */
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
