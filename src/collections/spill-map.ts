/**
 * Map that spills to disk. Nothing is written while the entries fit write memory.
 *
 * Accounts: those of two stores in insertion order, of one in key order, and `collections`.
 * Cost in CPU time beyond memory: set of a new key 5 to 8 us with flushes and merges, get 15 to 25 us, iteration 1 to 2 us an
 * entry, get of a missing key below 1 us while the filter has memory for all keys.
 */
import { Uncloneable } from '../base/identity.ts'
import { INSPECT, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { InspectOptions } from 'node:util'
import { SpillContents, checkCallback, finishPrototype } from './spill-contents.ts'
import { splitArguments } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'

type Entries<K, V> = ReturnType<Map<K, V>['entries']>
type Keys<K> = ReturnType<Map<K, unknown>['keys']>
type Values<V> = ReturnType<Map<unknown, V>['values']>

/**
 * A synchronous Map that keeps what exceeds its budget on disk.
 *
 * Keys compare by content, up to 65,535 bytes encoded; values up to 256 MiB. `get` returns a copy: `set` it again after changing it.
 * A throwing call changes nothing.
 * @throws SPILLWAY_CLOSED            any call after `dispose`
 * @throws SPILLWAY_INVALID_ARGUMENT  key or value cannot be encoded, or too large
 * @throws SPILLWAY_DECODING          a codec's `decode` failed
 * @throws SPILLWAY_UNAVAILABLE       a scratch file cannot be read or written
 * @throws SPILLWAY_CORRUPTION        a scratch file is damaged
 * @example
 * ```ts
 * import { SpillMap } from 'spillway/collections'
 *
 * const ages = new SpillMap<string, number>([['ada', 36]], { budget: '16 MiB', order: 'key' })
 * ages.set('bob', 41).set('cy', 30)
 * console.log([...ages.entries({ gte: 'b' })]) // [ [ 'bob', 41 ], [ 'cy', 30 ] ]
 * ages.dispose()
 * ```
 */
export class SpillMap<K = any, V = any> extends Uncloneable implements Disposable {
  readonly #contents: SpillContents

  /**
   * `new SpillMap(options)` or `new SpillMap(entries, options)`.
   * @throws SPILLWAY_INVALID_ARGUMENT  wrong option
   * @throws SPILLWAY_BUDGET_TOO_SMALL  budget below about 8 MiB
   * @throws TypeError                  an entry is not an object
   */
  constructor(options?: SpillMapOptions<K, V>)
  constructor(entries: Iterable<readonly [K, V]> | null | undefined, options?: SpillMapOptions<K, V>)
  constructor(first: Iterable<readonly [K, V]> | SpillMapOptions<K, V> | null | undefined = undefined, second: SpillMapOptions<K, V> | undefined = undefined) {
    super()
    const { source, options } = splitArguments<readonly [K, V], SpillMapOptions<K, V>>(first, second)
    this.#contents = new SpillContents('SpillMap', options, undefined)
    this.#contents.fill(source, entry => {
      // As in Map: any object with 0 and 1, but no text.
      if ((typeof entry !== 'object' && typeof entry !== 'function') || entry === null) {
        throw new TypeError(`Iterator value ${String(entry)} is not an entry object`)
      }
      this.set(entry[0], entry[1])
    })
  }

  /** Number of entries. */
  get size(): number { return this.#contents.open().size }

  /** The key's value, as a copy; undefined if there is none. */
  get(key: K): V | undefined { return this.#contents.open().get(key) as V | undefined }

  /**
   * Set a value. An existing key keeps its place.
   * @throws SPILLWAY_NO_SPACE          the disk is full
   * @throws SPILLWAY_BUDGET_TOO_SMALL  no memory in a shared budget
   */
  set(key: K, value: V): this {
    this.#contents.open().set(key, value, false)
    return this
  }

  /** True if the key has a value. */
  has(key: K): boolean { return this.#contents.open().has(key) }

  /** Returns false if there was no such key. Throws as `set` does. */
  delete(key: K): boolean { return this.#contents.open().delete(key) }

  /** Constant cost, except for removing files. */
  clear(): void { this.#contents.open().clear() }

  /** The value, after setting `value` if there is none. Throws as `set` does. */
  getOrInsert(key: K, value: V): V {
    const entries = this.#contents.open()
    const found = entries.get(key)
    if (found !== undefined || entries.has(key)) return found as V
    entries.set(key, value, false)
    return entries.get(key) as V
  }

  /** The value, after setting `callback(key)` if there is none. Throws as `set` does. */
  getOrInsertComputed(key: K, callback: (key: K) => V): V {
    const entries = this.#contents.open()
    checkCallback(callback)
    const found = entries.get(key)
    if (found !== undefined || entries.has(key)) return found as V
    // As in Map: 0 and -0 are one key.
    const value = callback((key as unknown) === 0 ? 0 as K : key)
    this.#contents.open().set(key, value, false)
    return entries.get(key) as V
  }

  /** Call `callback` with each value and key. */
  forEach(callback: (value: V, key: K, map: this) => void, thisArg: unknown = undefined): void {
    const entries = this.#contents.iterate<Iterable<[K, V]>>('entry', undefined)
    checkCallback(callback)
    for (const [key, value] of entries) callback.call(thisArg, value, key, this)
  }

  /**
   * Iterates entries; changes made meanwhile are seen.
   * @throws SPILLWAY_INVALID_ARGUMENT  wrong option, or a bound without `order: 'key'`
   */
  entries(options: SpillRangeOptions<K> | undefined = undefined): Entries<K, V> { return this.#contents.iterate('entry', options) }
  /** Iterates keys, like `entries`. */
  keys(options: SpillRangeOptions<K> | undefined = undefined): Keys<K> { return this.#contents.iterate('key', options) }
  /** Iterates values, like `entries`. */
  values(options: SpillRangeOptions<K> | undefined = undefined): Values<V> { return this.#contents.iterate('value', options) }
  /** Iterates all entries. */
  [Symbol.iterator](): Entries<K, V> { return this.#contents.iterate('entry', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillMap' }

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
    if (!(#contents in this)) return inspectPrototype('SpillMap')
    return this.#contents.inspect(this, 'entry', first => new Map(first as [unknown, unknown][]), { depth, options, inspect })
  }
}

finishPrototype(SpillMap.prototype, 'SpillMap', [[Symbol.iterator, 'entries']])
