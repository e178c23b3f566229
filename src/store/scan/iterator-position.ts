/**
 * The position of an iterator in its range, and how many entries it may still yield.
 *
 * Invariants
 * 1. It needs no scan and no block: a scan can be sent there at any time, in any view.
 * 2. After `back` it is where it was, and the entries passed since come next again.
 *
 * Account: `iterators`. Objects and keys of the iterator itself are in an overdraft (`reading.iteratorObjects`).
 */
import { compareKeys } from '../../base/bytes.ts'
import type { Overdraft } from '../../memory/overdraft.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { KnowsStart } from './kernel-scan.ts'
import { isEmptyRange } from '../api/key-range.ts'
import type { ByteRange } from '../api/key-range.ts'

/** Measured: an iterator with snapshot and plan 1152, plus its resources and their registry entry; a held key, beside its length. */
const ITERATOR_BYTES = 1312
const KEY_OBJECT_BYTES = 224

/** An earlier position. */
export interface Standing {
  readonly key: Uint8Array | undefined
  readonly isNext: boolean
  readonly left: number
}

export class IteratorPosition implements Standing, KnowsStart {
  /** Continue here; undefined: at the start of the range. */
  key: Uint8Array | undefined
  /** The entry with this key comes next, not the one after it. */
  isNext = false
  /** Entries it may still yield. */
  left: number
  /** The range is exhausted. */
  isDone: boolean
  isClosed = false
  readonly #allowance: Overdraft
  readonly #plan: IteratorPlan
  /** Saved by `hold`. */
  #held: Standing | undefined
  /** Counted in the overdraft. */
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

  /** Save the position for `backToHeld`. */
  hold(): void {
    this.#held = this.standing()
  }

  backToHeld(): void {
    this.back(this.#held!)
  }

  /** Move behind the entry with this key. */
  passKey(key: Uint8Array): void {
    this.key = key
    this.isNext = false
  }

  /** Move to the first key at or after this one (reverse: at or before it). Outside the range nothing is left. */
  seek(key: Uint8Array): void {
    this.key = key
    this.isNext = true
    const { range } = this.#plan
    this.isDone = isEmptyRange(range) || !isInside(key, range)
    this.count()
  }

  /** Key for a scan's seek: at or after it (reverse: before it); undefined: from the start. */
  startKey(): Uint8Array | undefined {
    const { key } = this
    const { range, reverse } = this.#plan
    if (key === undefined) return reverse ? range.end : range.start
    return reverse === this.isNext ? successor(key) : key
  }

  /** The first key outside the range, in its direction (reverse: the last one inside); undefined: none. */
  get bound(): Uint8Array | undefined {
    const { range, reverse } = this.#plan
    return reverse ? range.start : range.end
  }

  /** Lease the present size of objects and keys. */
  count(): void {
    if (this.isClosed) return
    const { start, end } = this.#plan.range
    const bytes = ITERATOR_BYTES + keyBytes(start) + keyBytes(end) + keyBytes(this.key) + keyBytes(this.#held?.key)
    this.#allowance.change(bytes - this.#bytes)
    this.#bytes = bytes
  }

  /** Release everything for good. A walk under way (a codec may call this) finds nothing left. */
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
