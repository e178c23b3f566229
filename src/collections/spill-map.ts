/**
 * A Map that spills to disk what does not fit its budget.
 *
 * Invariants
 * 1. It answers as a Map does, but for identity: keys and values are copied in and out, and objects are keys by their content.
 * 2. All it holds in memory is leased from its budget; nothing is written while its entries fit into write memory.
 * 3. Its files go when it is disposed of, with the process, or when the next process that needs some finds the leftovers of a crash.
 *
 * Accounts: those of two stores in insertion order, of one in key order, and `collections`.
 * Cost, in CPU time beyond memory: a set of a new key 5 to 8 us, flushes and merges included, a get 15 to 25 us, iterating 1 to 2 us
 * an entry; a key that is not there is told in below 1 us while the filter has memory for all keys.
 */
import { Uncloneable } from '../base/identity.ts'
import { INSPECT, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { InspectOptions } from 'node:util'
import { SpillContents, checkCallback, finishPrototype } from './spill-contents.ts'
import { splitArguments } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'

/** The iterators of a Map, as the compiler's libraries have them. */
type Entries<K, V> = ReturnType<Map<K, V>['entries']>
type Keys<K> = ReturnType<Map<K, unknown>['keys']>
type Values<V> = ReturnType<Map<unknown, V>['values']>

/**
 * The interface of a Map, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Keys are at most 65 535 bytes when encoded, values 256 MiB. What `get` returns is a copy: change it and `set` it again.
 */
export class SpillMap<K = any, V = any> extends Uncloneable implements Disposable {
  readonly #contents: SpillContents

  /**
   * `new SpillMap(options)`, or `new SpillMap(entries, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least; a TypeError for what is not an entry.
   */
  constructor(options?: SpillMapOptions<K, V>)
  constructor(entries: Iterable<readonly [K, V]> | null | undefined, options?: SpillMapOptions<K, V>)
  constructor(first: Iterable<readonly [K, V]> | SpillMapOptions<K, V> | null | undefined = undefined, second: SpillMapOptions<K, V> | undefined = undefined) {
    super()
    const { source, options } = splitArguments<readonly [K, V], SpillMapOptions<K, V>>(first, second)
    this.#contents = new SpillContents('SpillMap', options, undefined)
    this.#contents.fill(source, entry => {
      // As a Map: anything with a 0 and a 1, but no text, which has them too.
      if ((typeof entry !== 'object' && typeof entry !== 'function') || entry === null) {
        throw new TypeError(`Iterator value ${String(entry)} is not an entry object`)
      }
      this.set(entry[0], entry[1])
    })
  }

  get size(): number { return this.#contents.open().size }

  get(key: K): V | undefined { return this.#contents.open().get(key) as V | undefined }

  /** Throws INVALID_ARGUMENT for what the encodings cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  set(key: K, value: V): this {
    this.#contents.open().set(key, value, false)
    return this
  }

  has(key: K): boolean { return this.#contents.open().has(key) }

  delete(key: K): boolean { return this.#contents.open().delete(key) }

  /** Costs the same however many entries there were, but for removing their files. */
  clear(): void { this.#contents.open().clear() }

  /** The value of the key; if it has none, this one, which is set. What is returned is a copy. */
  getOrInsert(key: K, value: V): V {
    const entries = this.#contents.open()
    const found = entries.get(key)
    if (found !== undefined || entries.has(key)) return found as V
    entries.set(key, value, false)
    return entries.get(key) as V
  }

  /** The same with a function that is called if the key has no value. */
  getOrInsertComputed(key: K, callback: (key: K) => V): V {
    const entries = this.#contents.open()
    checkCallback(callback)
    const found = entries.get(key)
    if (found !== undefined || entries.has(key)) return found as V
    // As a Map: 0 and -0 are one key.
    const value = callback((key as unknown) === 0 ? 0 as K : key)
    this.#contents.open().set(key, value, false)
    return entries.get(key) as V
  }

  forEach(callback: (value: V, key: K, map: this) => void, thisArg: unknown = undefined): void {
    const entries = this.#contents.iterate<Iterable<[K, V]>>('entry', undefined)
    checkCallback(callback)
    for (const [key, value] of entries) callback.call(thisArg, value, key, this)
  }

  /** With `order: 'key'` also of a range: `entries({ gte: 'a', lt: 'b', reverse: true })`. */
  entries(options: SpillRangeOptions<K> | undefined = undefined): Entries<K, V> { return this.#contents.iterate('entry', options) }
  keys(options: SpillRangeOptions<K> | undefined = undefined): Keys<K> { return this.#contents.iterate('key', options) }
  values(options: SpillRangeOptions<K> | undefined = undefined): Values<V> { return this.#contents.iterate('value', options) }
  [Symbol.iterator](): Entries<K, V> { return this.#contents.iterate('entry', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillMap' }

  /** The ledger of its budget: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport { return this.#contents.open().tree.memory() }

  get isDisposed(): boolean { return this.#contents.isClosed }

  /** Give back its memory and remove its files. Doing so twice is fine; everything else then throws CLOSED. */
  dispose(): void { this.#contents.close() }

  [Symbol.dispose](): void { this.#contents.close() }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#contents in this)) return inspectPrototype('SpillMap')
    return this.#contents.inspect(this, 'entry', first => new Map(first as [unknown, unknown][]), { depth, options, inspect })
  }
}

finishPrototype(SpillMap.prototype, 'SpillMap', [[Symbol.iterator, 'entries']])
