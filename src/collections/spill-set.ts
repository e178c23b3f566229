/** A Set that spills to disk what does not fit its budget: a `SpillMap` without values, which see (`spill-map.ts`). */
import type { MemoryReport } from '../memory/budget.ts'
import { closedError } from '../store/scratch-store.ts'
import type { Entries } from './spill-map-entries.ts'
import { LiveIterator } from './spill-map-iterator.ts'
import { boundsOf, makeEntries, splitArguments } from './spill-map-options.ts'
import type { SpillRangeOptions, SpillSetOptions } from './spill-map-options.ts'
import { ReadAhead } from './spill-map-read-ahead.ts'
import { noValue } from './spill-map-values.ts'

/**
 * The interface of a Set, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Members are at most 65 535 bytes when encoded; objects are members by their content.
 */
export class SpillSet<T = any> implements Disposable {
  readonly #entries: Entries
  readonly #ahead: ReadAhead
  readonly #checkOpen = (): void => this.#check()
  #isClosed = false

  /**
   * `new SpillSet(options)`, or `new SpillSet(members, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least.
   */
  constructor(options?: SpillSetOptions<T>)
  constructor(members: Iterable<T> | null | undefined, options?: SpillSetOptions<T>)
  constructor(first?: Iterable<T> | SpillSetOptions<T> | null, second?: SpillSetOptions<T>) {
    const { source, options } = splitArguments<T, SpillSetOptions<T>>(first, second)
    this.#entries = makeEntries('SpillSet', options, noValue, noValue)
    this.#ahead = new ReadAhead(this.#entries)
    if (source === undefined) return
    try {
      for (const member of source) this.add(member)
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  get size(): number {
    this.#check()
    return this.#entries.size
  }

  has(member: T): boolean {
    this.#check()
    return this.#entries.has(member)
  }

  /** Throws INVALID_ARGUMENT for what the encoding cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  add(member: T): this {
    this.#check()
    this.#entries.set(member, undefined, true)
    return this
  }

  delete(member: T): boolean {
    this.#check()
    return this.#entries.delete(member)
  }

  /** Costs the same however many members there were, but for removing their files. */
  clear(): void {
    this.#check()
    this.#entries.clear()
  }

  forEach(callback: (member: T, again: T, set: this) => void, thisArg?: unknown): void {
    for (const member of this.values()) callback.call(thisArg, member, member, this)
  }

  /** With `order: 'key'` also of a range: `values({ gte: 'a', lt: 'b', reverse: true })`. */
  values(options?: SpillRangeOptions<T>): SetIterator<T> { return this.#members(options) }
  keys(options?: SpillRangeOptions<T>): SetIterator<T> { return this.#members(options) }
  entries(options?: SpillRangeOptions<T>): SetIterator<[T, T]> { return this.#pairs(options) as unknown as SetIterator<[T, T]> }
  [Symbol.iterator](): SetIterator<T> { return this.#members(undefined) }
  get [Symbol.toStringTag](): string { return 'SpillSet' }

  /** The ledger of its budget: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport {
    this.#check()
    return this.#entries.tree.memory()
  }

  get isDisposed(): boolean { return this.#isClosed }

  /** Give back its memory and remove its files. Doing so twice is fine; everything else then throws CLOSED. */
  dispose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ahead.close()
    this.#entries.close()
  }

  [Symbol.dispose](): void { this.dispose() }

  #check(): void {
    if (this.#isClosed) throw closedError('SpillSet')
  }

  #members(options: SpillRangeOptions<T> | undefined): SetIterator<T> {
    this.#check()
    // What newer versions of Node have besides it inherits.
    return new LiveIterator<T>(this.#entries, this.#ahead, 'key', boundsOf(this.#entries, options), this.#checkOpen) as SetIterator<T>
  }

  * #pairs(options: SpillRangeOptions<T> | undefined): Generator<[T, T]> {
    for (const member of this.#members(options)) yield [member, member]
  }
}
