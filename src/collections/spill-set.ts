/** A Set that spills to disk what does not fit its budget: a `SpillMap` without values, which see (`spill-map.ts`). */
import { SpillCollection, checkCallback } from './spill-collection.ts'
import { splitArguments } from './spill-map-options.ts'
import type { SpillRangeOptions, SpillSetOptions } from './spill-map-options.ts'
import { noValue } from './spill-map-values.ts'

/**
 * The interface of a Set, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Members are at most 65 535 bytes when encoded; objects are members by their content.
 */
export class SpillSet<T = any> extends SpillCollection<T> {
  /**
   * `new SpillSet(options)`, or `new SpillSet(members, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least.
   */
  constructor(options?: SpillSetOptions<T>)
  constructor(members: Iterable<T> | null | undefined, options?: SpillSetOptions<T>)
  constructor(first?: Iterable<T> | SpillSetOptions<T> | null, second?: SpillSetOptions<T>) {
    const { source, options } = splitArguments<T, SpillSetOptions<T>>(first, second)
    super('SpillSet', options, noValue)
    this.fill(source, member => { this.add(member) })
  }

  /** Throws INVALID_ARGUMENT for what the encoding cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  add(member: T): this {
    this.openEntries().set(member, undefined, true)
    return this
  }

  forEach(callback: (member: T, again: T, set: this) => void, thisArg?: unknown): void {
    const members = this.iterate<SetIterator<T>>('key', undefined)
    checkCallback(callback)
    for (const member of members) callback.call(thisArg, member, member, this)
  }

  /** With `order: 'key'` also of a range: `values({ gte: 'a', lt: 'b', reverse: true })`. */
  values(options?: SpillRangeOptions<T>): SetIterator<T> { return this.iterate('key', options) }
  keys(options?: SpillRangeOptions<T>): SetIterator<T> { return this.iterate('key', options) }
  entries(options?: SpillRangeOptions<T>): SetIterator<[T, T]> { return this.iterate('pair', options) }
  [Symbol.iterator](): SetIterator<T> { return this.iterate('key', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillSet' }
}
