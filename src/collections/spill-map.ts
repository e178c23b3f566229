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
import type { MemoryReport } from '../memory/budget.ts'
import { closedError } from '../store/scratch-store.ts'
import type { Entries, Want } from './spill-map-entries.ts'
import { LiveIterator } from './spill-map-iterator.ts'
import { boundsOf, makeEntries, splitArguments } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'
import { ReadAhead } from './spill-map-read-ahead.ts'
import { anyValue } from './spill-map-values.ts'

/**
 * The interface of a Map, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Keys are at most 65 535 bytes when encoded, values 256 MiB. What `get` returns is a copy: change it and `set` it again.
 */
export class SpillMap<K = any, V = any> implements Disposable {
  readonly #entries: Entries
  readonly #ahead: ReadAhead
  readonly #checkOpen = (): void => this.#check()
  #isClosed = false

  /**
   * `new SpillMap(options)`, or `new SpillMap(entries, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least.
   */
  constructor(options?: SpillMapOptions<K, V>)
  constructor(entries: Iterable<readonly [K, V]> | null | undefined, options?: SpillMapOptions<K, V>)
  constructor(first?: Iterable<readonly [K, V]> | SpillMapOptions<K, V> | null, second?: SpillMapOptions<K, V>) {
    const { source, options } = splitArguments<readonly [K, V], SpillMapOptions<K, V>>(first, second)
    this.#entries = makeEntries('SpillMap', options, undefined, anyValue)
    this.#ahead = new ReadAhead(this.#entries)
    if (source === undefined) return
    try {
      for (const [key, value] of source) this.set(key, value)
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  get size(): number {
    this.#check()
    return this.#entries.size
  }

  has(key: K): boolean {
    this.#check()
    return this.#entries.has(key)
  }

  get(key: K): V | undefined {
    this.#check()
    return this.#entries.get(key) as V | undefined
  }

  /** Throws INVALID_ARGUMENT for what the encodings cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  set(key: K, value: V): this {
    this.#check()
    this.#entries.set(key, value, false)
    return this
  }

  delete(key: K): boolean {
    this.#check()
    return this.#entries.delete(key)
  }

  /** Costs the same however many entries there were, but for removing their files. */
  clear(): void {
    this.#check()
    this.#entries.clear()
  }

  forEach(callback: (value: V, key: K, map: this) => void, thisArg?: unknown): void {
    for (const [key, value] of this.entries()) callback.call(thisArg, value, key, this)
  }

  /** With `order: 'key'` also of a range: `entries({ gte: 'a', lt: 'b', reverse: true })`. */
  entries(options?: SpillRangeOptions<K>): MapIterator<[K, V]> { return this.#iterate('entry', options) }
  keys(options?: SpillRangeOptions<K>): MapIterator<K> { return this.#iterate('key', options) }
  values(options?: SpillRangeOptions<K>): MapIterator<V> { return this.#iterate('value', options) }
  [Symbol.iterator](): MapIterator<[K, V]> { return this.#iterate('entry', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillMap' }

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
    if (this.#isClosed) throw closedError('SpillMap')
  }

  #iterate<T>(want: Want, options: SpillRangeOptions<K> | undefined): MapIterator<T> {
    this.#check()
    // What newer versions of Node have besides it inherits.
    return new LiveIterator<T>(this.#entries, this.#ahead, want, boundsOf(this.#entries, options), this.#checkOpen) as MapIterator<T>
  }
}
