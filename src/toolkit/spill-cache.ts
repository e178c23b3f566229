/**
 * A cache inside a budget, on up to three levels: memory, compressed memory, a scratch file (`cache-levels.ts`).
 *
 * Invariants
 * 1. Everything it holds is leased; nothing grows with the number of keys seen.
 * 2. An expired entry is never found.
 *
 * Accounts: `spill caches`; `pages` and `spill kernels` for levels 2 and 3. Cost: a hit is one lookup and one decoding.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { hashKey } from '../base/hash.ts'
import { formatSize } from '../base/sizes.ts'
import type { KeyMatcher } from '../cache/entry-table.ts'
import { NONE } from '../cache/policy/policy.ts'
import { RecentKeys } from '../cache/policy/recent-keys.ts'
import { RecordLog } from '../cache/record-log.ts'
import { Scratch } from '../encoding/encoding.ts'
import type { Lease } from '../memory/budget.ts'
import { encodeKey, encodeValue } from '../store/api/operations.ts'
import { analyze } from './cache-analysis.ts'
import type { CacheAnalysis } from './cache-analysis.ts'
import { CacheCounters } from './cache-counters.ts'
import { CacheLevels } from './cache-levels.ts'
import { cacheStats } from './cache-stats.ts'
import type { CacheStats, EntryInfo } from './cache-stats.ts'
import { CACHE_FIXED_BYTES, KEY_SCRATCH_BYTES, RECENT_KEYS, VALUE_SCRATCH_BYTES, cacheSettings, checkedTtl } from './spill-cache-options.ts'
import type { CacheSettings, SpillCacheOptions } from './spill-cache-options.ts'

const MAX_KEY_BYTES = 65535

/**
 * A cache of values by key that never takes more memory than its budget. Reads and writes are synchronous. Values are encoded when they
 * are set, and decoded by each `get`.
 * @example
 * ```ts
 * using cache = new SpillCache<string, { name: string }>({ budget: '8 MiB', valueEncoding: 'json', ttl: 60_000 })
 * cache.set('user:1', { name: 'Ada' })
 * console.log(cache.get('user:1')?.name, cache.stats().hitRate)
 * ```
 */
export class SpillCache<K = string, V = string> implements Disposable {
  readonly #settings: CacheSettings
  readonly #lease: Lease
  readonly #counters: CacheCounters
  readonly #levels: CacheLevels
  readonly #recent = new RecentKeys()
  readonly #key = new Scratch(KEY_SCRATCH_BYTES)
  readonly #value = new Scratch(VALUE_SCRATCH_BYTES)
  readonly #matcher: KeyMatcher = { matches: entry => this.#matches(entry) }
  #isClosed = false

  /**
   * @throws SPILLWAY_INVALID_ARGUMENT an option, or a policy that does not exist
   * @throws SPILLWAY_BUDGET_TOO_SMALL
   */
  constructor(options: SpillCacheOptions<K, V> = {}) {
    const settings = this.#settings = cacheSettings(options)
    this.#lease = settings.budget.account('spill caches').lease(CACHE_FIXED_BYTES)
    try {
      this.#counters = new CacheCounters(settings.host.clock)
      this.#levels = new CacheLevels(settings, this.#counters, hash => this.#recent.add(hash))
      this.#recent.resize(RECENT_KEYS)
    } catch (error) {
      this.#lease.release()
      throw error
    }
  }

  /** Entries, including expired ones that were not looked up since. */
  get size(): number { return this.#levels.table.count }

  /**
   * The value of a key; undefined if there is none or it has expired.
   * @throws SPILLWAY_CORRUPTION | SPILLWAY_UNAVAILABLE a record of level 2 or 3 cannot be read
   */
  get(key: K): V | undefined {
    const counters = this.#counters
    counters.beginGet()
    const entry = this.#find(key)
    const value = entry === NONE ? this.#missed() : this.#read(entry)
    counters.endGet(entry !== NONE)
    return value as V | undefined
  }

  /** Whether `get` would find a value. Changes no order. */
  has(key: K): boolean { return this.#find(key) !== NONE }

  /**
   * Store a value, replacing one of the same key. `ttl`: milliseconds, instead of the cache's.
   * @throws SPILLWAY_INVALID_ARGUMENT a key or value that the encoding cannot take or that is too large, or a `ttl` that is none
   */
  set(key: K, value: V, options?: { ttl?: number | undefined }): this {
    this.#check()
    const ttlMs = options?.ttl === undefined ? this.#settings.ttlMs : checkedTtl(options.ttl)
    encodeKey(key, this.#settings.keys, this.#key)
    encodeValue(key, value, this.#settings.values, this.#value)
    this.#checkSize()
    const hash = this.#hash()
    const levels = this.#levels
    const old = levels.table.find(hash, this.#key.end - this.#key.start, this.#matcher)
    if (old !== NONE) levels.remove(old)
    if (levels.add(hash, this.#key, this.#value, ttlMs === Infinity ? Infinity : this.#settings.host.clock.nowMs() + ttlMs)) this.#counters.sets++
    if (this.#key.holdsForeign) this.#key.release()
    if (this.#value.holdsForeign) this.#value.release()
    return this
  }

  /** Remove a key. Returns whether it was there. */
  delete(key: K): boolean {
    const entry = this.#find(key)
    if (entry === NONE) return false
    this.#levels.remove(entry)
    this.#counters.deletes++
    return true
  }

  /** Remove all entries. */
  clear(): void {
    this.#check()
    this.#levels.clear()
  }

  /** Where a key's entry is and what it takes; undefined if there is none. Changes no order. */
  info(key: K): EntryInfo | undefined {
    const entry = this.#find(key)
    if (entry === NONE) return undefined
    const levels = this.#levels
    const { keyBytes, valueBytes, expiresMs } = levels.table
    const expiresInMs = expiresMs[entry]! - this.#settings.host.clock.nowMs()
    return {
      level: levels.isInMemory(entry) ? 1 : 2, keyBytes: keyBytes[entry]!, valueBytes: valueBytes[entry]!,
      bytes: RecordLog.recordBytes(keyBytes[entry]! + valueBytes[entry]!) + levels.bytesPerEntry,
      ...(expiresInMs === Infinity ? {} : { expiresInMs }),
    }
  }

  stats(): CacheStats {
    const levels = this.#levels
    return cacheStats(this.#counters, {
      entries: this.size, lowerEntries: levels.lowerRecords, lostRecords: levels.lostRecords, recordBytes: levels.recordBytes,
      segmentBytes: levels.segmentBytes, metadataBytes: levels.metadataBytes,
      level1LimitBytes: this.#settings.level1Bytes, pages: levels.pool?.stats(),
    })
  }

  /** What the cache is worth, the pattern of its accesses, and what would help, in words. */
  analyze(): CacheAnalysis { return analyze(this.stats(), this.#settings) }

  /** Give back all memory and remove the scratch file. Later calls throw CLOSED. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#levels.close()
    this.#lease.release()
  }

  [Symbol.dispose](): void { this.close() }

  /** The entry of a key that has not expired, or NONE. */
  #find(key: unknown): number {
    this.#check()
    encodeKey(key, this.#settings.keys, this.#key)
    const { table } = this.#levels
    const entry = table.find(this.#hash(), this.#key.end - this.#key.start, this.#matcher)
    if (entry === NONE || table.expiresMs[entry]! > this.#settings.host.clock.nowMs()) return entry
    this.#levels.remove(entry)
    this.#counters.expired++
    return NONE
  }

  #hash(): number { return hashKey(this.#key.bytes, this.#key.start, this.#key.end) | 0 }

  #matches(entry: number): boolean {
    const { bytes, start, end } = this.#key
    const { source, at } = this.#levels.bytesOf(entry)
    for (let i = start, j = at; i < end; i++, j++) if (bytes[i] !== source[j]) return false
    return true
  }

  #missed(): undefined {
    this.#counters.misses++
    if (this.#recent.take(this.#hash())) this.#counters.regretted++
  }

  #read(entry: number): unknown {
    const levels = this.#levels
    if (levels.isInMemory(entry)) {
      this.#counters.hits++
      levels.touch(entry)
    } else {
      this.#counters.lowerHits++
      // Before it is decoded: a codec of the user's may call the cache.
      levels.promote(entry)
    }
    const { keyBytes, valueBytes } = levels.table
    const { source, at } = levels.bytesOf(entry)
    const start = at + keyBytes[entry]!
    return this.#settings.values.decode(source, start, start + valueBytes[entry]!)
  }

  #checkSize(): void {
    const keyBytes = this.#key.end - this.#key.start
    const bytes = keyBytes + this.#value.end - this.#value.start
    const maxBytes = this.#levels.maxRecordBytes
    if (keyBytes > MAX_KEY_BYTES) throw invalidArgument(`a key of ${keyBytes} bytes; keys have at most ${MAX_KEY_BYTES}. Hash it`, { keyBytes })
    if (bytes <= maxBytes) return
    throw invalidArgument(
      `an entry of ${formatSize(bytes)}; this cache takes entries up to ${formatSize(maxBytes)}: a sixteenth of level 1, at most 2 MiB. Raise the budget, or keep it elsewhere`,
      { bytes, maxBytes })
  }

  #check(): void {
    if (this.#isClosed) throw new SpillwayError('SPILLWAY_CLOSED', 'the cache is closed. Make a new one')
    if (this.#key.busy || this.#value.busy) throw invalidArgument('a codec called the cache it encodes for. Look up what it needs before; encode() must not call the cache')
  }
}
