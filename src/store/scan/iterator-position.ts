/**
 * Where an iterator stands in its range, and how many entries it may still yield.
 *
 * Invariants
 * 1. It needs no scan and no block: a scan can be sent there at any time, whatever shape the store has by then.
 * 2. After `back` it stands where it stood, and what was passed since is next again.
 *
 * Account: `iterators`, of which the iterator's own objects and the keys it holds are in an allowance (`engine.iteratorObjects`).
 */
import { compareKeys } from '../../base/bytes.ts'
import type { Overdraft } from '../../memory/overdraft.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { KnowsStart } from './kernel-scan.ts'
import { isEmptyRange } from '../api/key-range.ts'
import type { ByteRange } from '../api/key-range.ts'

/** Measured: an iterator with its snapshot and plan, 1152, and what it holds apart from itself, and being watched; a key that it holds, beside its length. */
const ITERATOR_BYTES = 1312
const KEY_OBJECT_BYTES = 224

/** A place it had. */
export interface Standing {
  readonly key: Uint8Array | undefined
  readonly isNext: boolean
  readonly left: number
}

export class IteratorPosition implements Standing, KnowsStart {
  /** Where to go on; undefined: where the range begins. */
  key: Uint8Array | undefined
  /** The entry with that key is next, not the one behind it. */
  isNext = false
  /** How many it may still yield. */
  left: number
  /** Nothing is left. */
  isDone: boolean
  isClosed = false
  readonly #allowance: Overdraft
  readonly #plan: IteratorPlan
  /** To which it may have to go back. */
  #held: Standing | undefined
  /** In the allowance. */
  #bytes = 0

  constructor(allowance: Overdraft, plan: IteratorPlan) {
    this.#allowance = allowance
    this.#plan = plan
    this.left = plan.limit
    this.isDone = isEmptyRange(plan.range)
    this.count()
  }

  standing(): Standing {
    const { key, isNext, left } = this
    return { key, isNext, left }
  }

  back({ key, isNext, left }: Standing): void {
    this.key = key
    this.isNext = isNext
    this.left = left
    this.isDone = false
  }

  /** Keep the present place for `backToHeld`. */
  hold(): void {
    this.#held = this.standing()
  }

  backToHeld(): void {
    this.back(this.#held!)
  }

  /** Behind the entry with this key. */
  passKey(key: Uint8Array): void {
    this.key = key
    this.isNext = false
  }

  /** To the first key at or after this one (reverse: at or before it). Outside the range: nothing is left. */
  seek(key: Uint8Array): void {
    this.key = key
    this.isNext = true
    const { range } = this.#plan
    this.isDone = isEmptyRange(range) || !isInside(key, range)
    this.count()
  }

  /** Where a scan has to be sent: to the first entry at or after it (reverse: before it); undefined: to where keys begin. */
  startKey(): Uint8Array | undefined {
    const { key } = this
    const { range, reverse } = this.#plan
    if (key === undefined) return reverse ? range.end : range.start
    return reverse === this.isNext ? successor(key) : key
  }

  /** The first key outside, in its direction (reverse: the last inside); undefined: there is none. */
  get bound(): Uint8Array | undefined {
    const { range, reverse } = this.#plan
    return reverse ? range.start : range.end
  }

  /** Lease what the iterator's objects and keys take now. */
  count(): void {
    if (this.isClosed) return
    const { start, end } = this.#plan.range
    const bytes = ITERATOR_BYTES + keyBytes(start) + keyBytes(end) + keyBytes(this.key) + keyBytes(this.#held?.key)
    this.#allowance.change(bytes - this.#bytes)
    this.#bytes = bytes
  }

  /** For good: hold nothing any longer. A walk that is under way, if a codec does this, finds nothing left. */
  close(): void {
    this.isClosed = true
    this.left = 0
    this.#allowance.change(-this.#bytes)
    this.key = this.#held = undefined
  }
}

function keyBytes(key: Uint8Array | undefined): number {
  return key === undefined ? 0 : KEY_OBJECT_BYTES + key.length
}

function isInside(key: Uint8Array, { start, end }: ByteRange): boolean {
  return (start === undefined || compareKeys(start, key) <= 0) && (end === undefined || compareKeys(key, end) < 0)
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
