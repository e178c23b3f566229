/**
 * The levels of a spill cache: records in memory (level 1), and in pages (levels 2 and 3). A record that leaves level 1 goes to the
 * pages; one that is found there comes back.
 *
 * Invariants
 * 1. A record is in one level. Its entry says which, and where.
 * 2. A record of level 1 is in the policy's order; those in pages go by the age of their page.
 * 3. Entries and the policy's order count within level 1; both old and new arrays are leased while they grow.
 *
 * Account: `spill caches`. Cost: a copy per record that is added or goes down; cleaning copies the live part of a segment.
 */
import { BYTES_PER_ENTRY, EntryTable } from '../cache/entry-table.ts'
import { policyOf } from '../cache/policy/policies.ts'
import { NONE } from '../cache/policy/policy.ts'
import type { EvictionPolicy } from '../cache/policy/policy.ts'
import { RecordLog } from '../cache/record-log.ts'
import type { RecordOwner } from '../cache/record-log.ts'
import { SpillPages } from '../collections/spill-pages.ts'
import type { Lease } from '../memory/budget.ts'
import { CachePages, PAGE_BYTES } from './cache-pages.ts'
import type { PagesOwner } from './cache-pages.ts'
import type { CacheCounters } from './cache-counters.ts'
import type { CacheSettings } from './spill-cache-options.ts'

const IN_MEMORY = 1
const IN_PAGES = 2
/** On its way from the pages to memory. */
const MOVING = 3
/** For level 1 to work: one to fill, one to clean into, two to choose from. */
const MIN_SEGMENTS = 4
/** The page being filled, and a record read from a page. */
export const PAGE_BUFFERS_BYTES: number = 2 * PAGE_BYTES
const CLEANS_PER_EVICTION = 3
/** A record's entry and place in the list of its page. */
const LISTED_BYTES = 8

/** A record's bytes: source[at, at + key and value). */
export interface RecordBytes {
  source: Uint8Array
  at: number
}

/** A part of a record: bytes[start, end). */
export interface Part {
  bytes: Uint8Array
  start: number
  end: number
}

export class CacheLevels implements RecordOwner, PagesOwner {
  readonly table = new EntryTable()
  readonly bytesPerEntry: number
  readonly #settings: CacheSettings
  readonly #counters: CacheCounters
  readonly #onEvicted: (hash: number) => void
  readonly #policy: EvictionPolicy
  readonly #log: RecordLog
  /** Entries and the policy's order. */
  readonly #lease: Lease
  /** Buffers of the lower levels. */
  readonly #fixed: Lease
  #spill: SpillPages | undefined
  #pages: CachePages | undefined
  /** The last record read from a page, and its entry. */
  readonly #record: Uint8Array
  #recordEntry = NONE
  #movedPageIsGone = false

  /** `onEvicted` gets the hash of each key that leaves the cache before its time. */
  constructor(settings: CacheSettings, counters: CacheCounters, onEvicted: (hash: number) => void) {
    const { budget, level1Bytes, segmentBytes, pageBytes } = settings
    const account = budget.account('spill caches')
    const { make, bytesPerEntry } = policyOf(settings.policy)
    this.#settings = settings
    this.#counters = counters
    this.#onEvicted = onEvicted
    this.#policy = make()
    this.bytesPerEntry = BYTES_PER_ENTRY + bytesPerEntry + (pageBytes > 0 ? LISTED_BYTES : 0)
    this.#lease = account.lease(0)
    this.#fixed = account.lease(pageBytes > 0 ? PAGE_BUFFERS_BYTES : 0)
    this.#record = new Uint8Array(pageBytes > 0 ? PAGE_BYTES : 0)
    this.#log = new RecordLog(account, segmentBytes, Math.floor(level1Bytes / segmentBytes), this)
    try {
      this.#openPages()
      // A cache on a budget that is full later still has one segment and some entries.
      if (!this.#growTable() || !this.#log.reserve()) throw account.denied(segmentBytes)
    } catch (error) {
      this.close()
      throw error
    }
  }

  get metadataBytes(): number { return this.#lease.bytes }
  get segmentBytes(): number { return this.#log.reservedBytes }
  get recordBytes(): number { return this.#log.liveBytes }
  get lowerRecords(): number { return this.#pages?.records ?? 0 }
  get lostRecords(): number { return this.#pages?.lostRecords ?? 0 }
  get maxRecordBytes(): number { return this.#log.segmentBytes - RecordLog.recordBytes(0) }
  get pool(): SpillPages['pool'] | undefined { return this.#spill?.pool }

  isInMemory(entry: number): boolean { return this.table.levels[entry] === IN_MEMORY }

  touch(entry: number): void {
    this.#policy.touch(entry)
  }

  /** Key and value of an entry, valid until the next call. Throws CorruptionError or UNAVAILABLE for those in pages. */
  bytesOf(entry: number): RecordBytes {
    const place = this.table.places[entry]!
    if (this.isInMemory(entry)) return { source: this.#log.segmentOf(place), at: this.#log.startOf(place) }
    if (this.#recordEntry !== entry) {
      this.#recordEntry = NONE
      this.#pages!.read(place, 0, this.#lengthOf(entry), this.#record)
      this.#recordEntry = entry
    }
    return { source: this.#record, at: 0 }
  }

  /** Add a record. False: there is no memory for it. */
  add(hash: number, key: Part, value: Part, expiresMs: number): boolean {
    const { table } = this
    if (!this.#hasEntry()) return false
    const entry = table.add(hash, key.end - key.start, value.end - value.start)
    if (this.#place(entry, key, value)) {
      table.expiresMs[entry] = expiresMs
      return true
    }
    table.remove(entry)
    return false
  }

  remove(entry: number): void {
    const { table } = this
    if (this.isInMemory(entry)) {
      this.#policy.remove(entry)
      this.#log.free(table.places[entry]!, this.#lengthOf(entry))
    } else {
      this.#pages!.free(table.places[entry]!)
    }
    this.#forget(entry)
  }

  /** Bring a record of a page into level 1, unless there is no space for it now. */
  promote(entry: number): void {
    const { table } = this
    const { source } = this.bytesOf(entry)
    const from = table.places[entry]!
    const keyLength = table.keyBytes[entry]!
    // Making space may drop its page, but not its entry.
    table.levels[entry] = MOVING
    this.#movedPageIsGone = false
    const isPlaced = this.#place(entry, { bytes: source, start: 0, end: keyLength }, { bytes: source, start: keyLength, end: this.#lengthOf(entry) })
    if (isPlaced) {
      if (!this.#movedPageIsGone) this.#pages!.free(from)
    } else if (this.#movedPageIsGone) {
      this.#lose(entry)
    } else {
      table.levels[entry] = IN_PAGES
    }
  }

  /** Remove all records. */
  clear(): void {
    this.#closePages()
    this.#log.close()
    this.table.clear()
    this.#policy.clear()
    this.#recordEntry = NONE
    this.#lease.resize(0)
    this.#openPages()
    this.#growTable()
    this.#log.reserve()
  }

  close(): void {
    this.#closePages()
    this.#log.close()
    this.table.clear()
    this.#policy.clear()
    this.#lease.release()
    this.#fixed.release()
  }

  isAt(entry: number, place: number): boolean { return this.isInMemory(entry) && this.table.places[entry] === place }

  moved(entry: number, place: number): void {
    this.table.places[entry] = place
  }

  dropped(entry: number, place: number): void {
    const { levels, places } = this.table
    if (places[entry] !== place) return
    if (levels[entry] === IN_PAGES) this.#lose(entry)
    else if (levels[entry] === MOVING) this.#movedPageIsGone = true
  }

  #lengthOf(entry: number): number { return this.table.keyBytes[entry]! + this.table.valueBytes[entry]! }

  /** Append an entry's record to level 1. False: nothing is left to evict. */
  #place(entry: number, key: Part, value: Part): boolean {
    const log = this.#log
    const { table } = this
    for (let tries = 0; ;) {
      const place = log.append(entry, key.bytes, key.start, key.end, value.bytes, value.start, value.end)
      if (place >= 0) {
        table.levels[entry] = IN_MEMORY
        table.places[entry] = place
        this.#policy.insert(entry, table.hashes[entry]!, RecordLog.recordBytes(this.#lengthOf(entry)))
        return true
      }
      while (log.liveBytes > log.comfortableBytes) if (!this.#evict()) break
      if (!this.#cleanOrEvict(++tries)) return false
    }
  }

  /** Cleaning alone may never end: large records leave the ends of segments unused. False: nothing is left to evict. */
  #cleanOrEvict(tries: number): boolean {
    return tries % CLEANS_PER_EVICTION !== 0 && this.#log.clean() || this.#evict()
  }

  /** Evict one record from level 1: to the pages, or out. False: level 1 is empty. */
  #evict(): boolean {
    const entry = this.#policy.evict()
    if (entry === NONE) return false
    const { table } = this
    const place = table.places[entry]!
    const length = this.#lengthOf(entry)
    const isKept = this.#pages !== undefined && length <= PAGE_BYTES && table.expiresMs[entry]! > this.#settings.host.clock.nowMs()
    if (isKept) {
      const start = this.#log.startOf(place)
      const below = this.#pages!.add(entry, this.#log.segmentOf(place), start, start + length)
      table.levels[entry] = IN_PAGES
      table.places[entry] = below
      this.#counters.demotions++
    } else {
      this.#lose(entry)
    }
    this.#log.free(place, length)
    return true
  }

  /** An entry leaves the cache before its time. */
  #lose(entry: number): void {
    this.#onEvicted(this.table.hashes[entry]!)
    this.#counters.evictions++
    this.#forget(entry)
  }

  #forget(entry: number): void {
    if (this.#recordEntry === entry) this.#recordEntry = NONE
    this.table.remove(entry)
  }

  /** Have a free entry. False: there is none, and nothing to drop for one. */
  #hasEntry(): boolean {
    while (this.table.isFull) {
      if (this.#growTable()) return true
      if (this.#pages?.dropOldest() !== true && !this.#evict()) return false
    }
    return true
  }

  #growTable(): boolean {
    const { level1Bytes, segmentBytes } = this.#settings
    const capacity = this.table.nextCapacity
    const bytes = capacity * this.bytesPerEntry
    if (!this.#fitSegments(level1Bytes - this.#lease.bytes - bytes)) return false
    if (!this.#lease.resize(this.#lease.bytes + bytes)) return false
    this.table.grow(capacity)
    this.#policy.grow(capacity)
    this.#lease.resize(bytes)
    this.#log.setMaxSegments(Math.floor((level1Bytes - bytes) / segmentBytes))
    return true
  }

  /** Make level 1 fit into these bytes. */
  #fitSegments(bytes: number): boolean {
    const log = this.#log
    const segments = Math.floor(bytes / log.segmentBytes)
    if (segments < MIN_SEGMENTS) return false
    for (let tries = 0; log.reservedBytes > segments * log.segmentBytes;) {
      while (log.liveBytes > log.comfortableIn(segments)) if (!this.#evict()) break
      if (!this.#cleanOrEvict(++tries)) break
    }
    log.setMaxSegments(segments)
    return true
  }

  #openPages(): void {
    const { budget, host, directory, level2Bytes, pageBytes } = this.#settings
    if (pageBytes === 0) return
    this.#spill = new SpillPages(host, budget, directory, 0, level2Bytes)
    this.#pages = new CachePages(this.#spill.pool, { bytes: pageBytes }, this)
  }

  #closePages(): void {
    this.#pages?.close()
    this.#spill?.close()
    this.#pages = this.#spill = undefined
  }
}
