/** Set that spills to disk: a `SpillMap` without values. */
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

type Members<T> = ReturnType<Set<T>['values']>
type Pairs<T> = ReturnType<Set<T>['entries']>

/**
 * A synchronous Set that keeps what exceeds its budget on disk.
 *
 * Members compare by content, up to 65,535 bytes encoded. Any call can throw the codes of `SpillMap`.
 * @example
 * ```ts
 * import { SpillSet } from 'spillway/collections'
 *
 * const seen = new SpillSet<string>({ budget: '16 MiB' })
 * seen.add('x').add('y').add('x')
 * console.log(seen.size, [...seen.intersection(new Set(['y', 'z']))]) // 2 [ 'y' ]
 * seen.dispose()
 * ```
 */
export class SpillSet<T = any> extends Uncloneable implements Disposable {
  readonly #contents: SpillContents

  /**
   * `new SpillSet(options)` or `new SpillSet(members, options)`.
   * @throws SPILLWAY_INVALID_ARGUMENT  wrong option
   * @throws SPILLWAY_BUDGET_TOO_SMALL  budget below about 8 MiB
   */
  constructor(options?: SpillSetOptions<T>)
  constructor(members: Iterable<T> | null | undefined, options?: SpillSetOptions<T>)
  constructor(first: Iterable<T> | SpillSetOptions<T> | null | undefined = undefined, second: SpillSetOptions<T> | undefined = undefined) {
    super()
    const { source, options } = splitArguments<T, SpillSetOptions<T>>(first, second)
    this.#contents = new SpillContents('SpillSet', options, noValue)
    this.#contents.fill(source, member => { this.add(member) })
  }

  /** Number of members. */
  get size(): number { return this.#contents.open().size }

  /**
   * Add a member; an existing one keeps its place.
   * @throws SPILLWAY_INVALID_ARGUMENT  cannot be encoded, or too large
   * @throws SPILLWAY_NO_SPACE          the disk is full
   * @throws SPILLWAY_BUDGET_TOO_SMALL  no memory in a shared budget
   */
  add(member: T): this {
    this.#contents.open().set(member, undefined, true)
    return this
  }

  /** True if it is a member. */
  has(member: T): boolean { return this.#contents.open().has(member) }

  /** Returns false if it was no member. Throws as `add` does. */
  delete(member: T): boolean { return this.#contents.open().delete(member) }

  /** Constant cost, except for removing files. */
  clear(): void { this.#contents.open().clear() }

  /** Call `callback` with each member, twice. */
  forEach(callback: (member: T, again: T, set: this) => void, thisArg: unknown = undefined): void {
    const members = this.#contents.iterate<Iterable<T>>('key', undefined)
    checkCallback(callback)
    for (const member of members) callback.call(thisArg, member, member, this)
  }

  /**
   * Iterates members; changes made meanwhile are seen.
   * @throws SPILLWAY_INVALID_ARGUMENT  wrong option, or a bound without `order: 'key'`
   */
  values(options: SpillRangeOptions<T> | undefined = undefined): Members<T> { return this.#contents.iterate('key', options) }
  /** Iterates [member, member], like `values`. */
  entries(options: SpillRangeOptions<T> | undefined = undefined): Pairs<T> { return this.#contents.iterate('pair', options) }
  /** Iterates members, like `values`. */
  keys(options: SpillRangeOptions<T> | undefined = undefined): Members<T> { return this.#contents.iterate('key', options) }
  /** Iterates all members. */
  [Symbol.iterator](): Members<T> { return this.#contents.iterate('key', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillSet' }

  /**
   * Members of either, as a Set in memory. `other` is a Set, Map, SpillSet or the like.
   * @throws TypeError  `other` (here and below) has no `size`, `has` or `keys`
   */
  union<U>(other: SetLike<U>): Set<T | U> { return operations.union<T, U>(this.#contents.open(), this.#members(), other) }
  /** Members of both. */
  intersection<U>(other: SetLike<U>): Set<T & U> { return operations.intersection<T, U>(this.#contents.open(), this.#members(), other) }
  /** Members not in `other`. */
  difference<U>(other: SetLike<U>): Set<T> { return operations.difference<T>(this.#contents.open(), this.#members(), other) }
  /** Members of exactly one. */
  symmetricDifference<U>(other: SetLike<U>): Set<T | U> { return operations.symmetricDifference<T, U>(this.#contents.open(), this.#members(), other) }
  /** True if `other` has all members. */
  isSubsetOf(other: SetLike<unknown>): boolean { return operations.isSubset(this.#contents.open(), this.#members(), other) }
  /** True if this has all members of `other`. */
  isSupersetOf(other: SetLike<unknown>): boolean { return operations.isSuperset(this.#contents.open(), other) }
  /** True if no member is in `other`. */
  isDisjointFrom(other: SetLike<unknown>): boolean { return operations.isDisjoint(this.#contents.open(), this.#members(), other) }

  #members(): Iterable<T> { return this.#contents.iterate('key', undefined) }

  /** Report of the budget, in bytes per account. */
  memory(): MemoryReport { return this.#contents.open().tree.memory() }

  /** True after `dispose`. */
  get isDisposed(): boolean { return this.#contents.isClosed }

  /**
   * Release memory and remove scratch files. Idempotent.
   * @throws SPILLWAY_UNAVAILABLE  a file cannot be removed
   */
  dispose(): void { this.#contents.close() }

  /** Calls `dispose`. */
  [Symbol.dispose](): void { this.#contents.close() }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#contents in this)) return inspectPrototype('SpillSet')
    return this.#contents.inspect(this, 'key', first => new Set(first), { depth, options, inspect })
  }
}

finishPrototype(SpillSet.prototype, 'SpillSet', [['keys', 'values'], [Symbol.iterator, 'values']])
