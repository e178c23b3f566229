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
import { SpillCollection, checkCallback } from './spill-collection.ts'
import { splitArguments } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'

/**
 * The interface of a Map, synchronous, for more than fits into memory. Dispose of it when done (`using`, or `dispose()`).
 *
 * Keys are at most 65 535 bytes when encoded, values 256 MiB. What `get` returns is a copy: change it and `set` it again.
 */
export class SpillMap<K = any, V = any> extends SpillCollection<K> {
  /**
   * `new SpillMap(options)`, or `new SpillMap(entries, options)` to begin with some.
   *
   * Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with what the parts need at least; a TypeError for what is not an entry.
   */
  constructor(options?: SpillMapOptions<K, V>)
  constructor(entries: Iterable<readonly [K, V]> | null | undefined, options?: SpillMapOptions<K, V>)
  constructor(first?: Iterable<readonly [K, V]> | SpillMapOptions<K, V> | null, second?: SpillMapOptions<K, V>) {
    const { source, options } = splitArguments<readonly [K, V], SpillMapOptions<K, V>>(first, second)
    super('SpillMap', options, undefined)
    this.fill(source, entry => {
      // As a Map: anything with a 0 and a 1, but no text, which has them too.
      if ((typeof entry !== 'object' && typeof entry !== 'function') || entry === null) {
        throw new TypeError(`Iterator value ${String(entry)} is not an entry object`)
      }
      this.set(entry[0], entry[1])
    })
  }

  get(key: K): V | undefined { return this.openEntries().get(key) as V | undefined }

  /** Throws INVALID_ARGUMENT for what the encodings cannot take, NO_SPACE when the disk is full; then nothing has changed. */
  set(key: K, value: V): this {
    this.openEntries().set(key, value, false)
    return this
  }

  forEach(callback: (value: V, key: K, map: this) => void, thisArg?: unknown): void {
    const entries = this.iterate<MapIterator<[K, V]>>('entry', undefined)
    checkCallback(callback)
    for (const [key, value] of entries) callback.call(thisArg, value, key, this)
  }

  /** With `order: 'key'` also of a range: `entries({ gte: 'a', lt: 'b', reverse: true })`. */
  entries(options?: SpillRangeOptions<K>): MapIterator<[K, V]> { return this.iterate('entry', options) }
  keys(options?: SpillRangeOptions<K>): MapIterator<K> { return this.iterate('key', options) }
  values(options?: SpillRangeOptions<K>): MapIterator<V> { return this.iterate('value', options) }
  [Symbol.iterator](): MapIterator<[K, V]> { return this.iterate('entry', undefined) }
  get [Symbol.toStringTag](): string { return 'SpillMap' }
}
