/** A Set that spills to disk what does not fit its budget: a `SpillMap` without values, which see (`spill-map.ts`). */
import { Uncloneable } from '../base/identity.ts'
import { INSPECT, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { InspectOptions } from 'node:util'
import { SpillContents, checkCallback, finishPrototype } from './spill-contents.ts'
import { splitArguments } from './spill-map-options.ts'
import type { SpillRangeOptions, SpillSetOptions } from './spill-map-options.ts'
import { noValue } from './spill-map-values.ts'
import * as operations from './spill-set-operations.ts'
import type { SetLike } from './spill-set-operations.ts'

/** The iterators of a Set, as the compiler's libraries have them. */
type Members<T> = ReturnType<Set<T>['values']>
type Pairs<T> = ReturnType<Set<T>['entries']>

/**
 * The interface of a Set, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Members are at most 65 535 bytes when encoded; objects are members by their content.
 */
export class SpillSet<T = any> extends Uncloneable implements Disposable {
  readonly #contents: SpillContents

  /**
   * `new SpillSet(options)`, or `new SpillSet(members, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least.
   */
  constructor(options?: SpillSetOptions<T>)
  constructor(members: Iterable<T> | null | undefined, options?: SpillSetOptions<T>)
  constructor(first: Iterable<T> | SpillSetOptions<T> | null | undefined = undefined, second: SpillSetOptions<T> | undefined = undefined) {
    super()
    const { source, options } = splitArguments<T, SpillSetOptions<T>>(first, second)
    this.#contents = new SpillContents('SpillSet', options, noValue)
    this.#contents.fill(source, member => { this.add(member) })
  }

  get size(): number { return this.#contents.open().size }

  /** Throws INVALID_ARGUMENT for what the encoding cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  add(member: T): this {
    this.#contents.open().set(member, undefined, true)
    return this
  }

  has(member: T): boolean { return this.#contents.open().has(member) }

  delete(member: T): boolean { return this.#contents.open().delete(member) }

  /** Costs the same however many members there were, but for removing their files. */
  clear(): void { this.#contents.open().clear() }

  forEach(callback: (member: T, again: T, set: this) => void, thisArg: unknown = undefined): void {
    const members = this.#contents.iterate<Iterable<T>>('key', undefined)
    checkCallback(callback)
    for (const member of members) callback.call(thisArg, member, member, this)
  }

  /** With `order: 'key'` also of a range: `values({ gte: 'a', lt: 'b', reverse: true })`. */
  values(options: SpillRangeOptions<T> | undefined = undefined): Members<T> { return this.#contents.iterate('key', options) }
  entries(options: SpillRangeOptions<T> | undefined = undefined): Pairs<T> { return this.#contents.iterate('pair', options) }
  keys(options: SpillRangeOptions<T> | undefined = undefined): Members<T> { return this.#contents.iterate('key', options) }
  [Symbol.iterator](): Members<T> { return this.#contents.iterate('key', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillSet' }

  /** The members of both in a Set, which is in memory; as all of these it takes a Set, a Map, a SpillSet or the like. */
  union<U>(other: SetLike<U>): Set<T | U> { return operations.union<T, U>(this.#contents.open(), this.#members(), other) }
  /** The members that the other one has, too, in a Set in memory. */
  intersection<U>(other: SetLike<U>): Set<T & U> { return operations.intersection<T, U>(this.#contents.open(), this.#members(), other) }
  /** The members that the other one has not, in a Set in memory. */
  difference<U>(other: SetLike<U>): Set<T> { return operations.difference<T>(this.#contents.open(), this.#members(), other) }
  /** The members of either that the other one has not, in a Set in memory. */
  symmetricDifference<U>(other: SetLike<U>): Set<T | U> { return operations.symmetricDifference<T, U>(this.#contents.open(), this.#members(), other) }
  isSubsetOf(other: SetLike<unknown>): boolean { return operations.isSubset(this.#contents.open(), this.#members(), other) }
  isSupersetOf(other: SetLike<unknown>): boolean { return operations.isSuperset(this.#contents.open(), other) }
  isDisjointFrom(other: SetLike<unknown>): boolean { return operations.isDisjoint(this.#contents.open(), this.#members(), other) }

  #members(): Iterable<T> { return this.#contents.iterate('key', undefined) }

  /** The ledger of its budget: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport { return this.#contents.open().tree.memory() }

  get isDisposed(): boolean { return this.#contents.isClosed }

  /** Give back its memory and remove its files. Doing so twice is fine; everything else then throws CLOSED. */
  dispose(): void { this.#contents.close() }

  [Symbol.dispose](): void { this.#contents.close() }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#contents in this)) return inspectPrototype('SpillSet')
    return this.#contents.inspect(this, 'key', first => new Set(first), { depth, options, inspect })
  }
}

finishPrototype(SpillSet.prototype, 'SpillSet', [['keys', 'values'], [Symbol.iterator, 'values']])
