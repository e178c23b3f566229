/**
 * The block cache with a second level: blocks as stored in their tables, compressed and with checksums, so that the same memory
 * holds two to four times as many. A block found there costs its checks and decompression, but no read.
 *
 * A block read from a table is put into both levels; incompressible blocks stay out of the second. It helps only while it holds
 * more blocks than the first, so it is off or has SHARE of the memory. Which is better is tried: the work of lookups is counted for
 * a while, then with the other setting, once it is filled. The cheaper one, by times taken from every 16th load, stays; after a
 * useless trial the next comes twice as late. There is no trial where the second level would hold too few wanted blocks (a trial
 * costs the whole first level), nor where reads are so fast that they hardly come from a device.
 *
 * Invariants
 * 1. Both levels draw on free budget only and give back on demand, the one over its share first.
 * 2. The second level is at most SHARE of both.
 *
 * Cost: none for blocks found in the first level.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Account } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'
import type { BlockCacheStats } from './block-cache.ts'
import type { Ghosts } from './ghosts.ts'

/** Of the memory of both levels, for the second. */
const SHARE = 0.85
/** Misses of the first level per window of measurement. */
const WINDOW_MISSES = 1024
/** The other setting must cost less than this share of the present one. */
const CLEARLY = 0.9
/**
 * Minimum ratio of block to stored size: with SHARE of the memory the second level then holds 1.5 times as many blocks as the first
 * would.
 */
const MIN_RATIO = 1.8
/** Stored blocks that compress less are not kept. */
const WORTH_KEEPING = 1.3
/** Weight of the latest window in the mean share of ghost hits: evicted index blocks come back in bursts. */
const FOUND_WEIGHT = 1 / 8
/** Minimum share of misses in lookups for a gain. */
const MIN_MISS_SHARE = 0.02
/** Faster reads come from the page cache. There a second level saves a microsecond or two per load, and scans cost it more. */
const MIN_READ_MS = 0.02
/** Windows before the next trial after a useless one, at first and at most. */
const FIRST_WAIT = 16
const LONGEST_WAIT = 2048
/** The same after a useful one: some 5 % of the time, where a read takes 60 us. */
const WAIT_WITH = 1024
/** A level not full after this many windows is measured as it is. */
const MAX_FILLING = 64
const SAMPLED = 16
/** Weight of the latest sample. */
const WEIGHT = 1 / 16

export interface SecondLevelStats {
  /** Bytes leased. */
  bytes: number
  blocks: number
  /** Misses of the first level found here. */
  hits: number
  /** Misses that had to be read. */
  reads: number
  /** Intended share of the memory of both levels. */
  share: number
  /** Block size by stored size, of recent reads. */
  ratio: number
  /** Mean times of a read and of a load from here, in microseconds; 0: none yet. */
  readUs: number
  loadUs: number
}

export class TwoLevelCache {
  readonly first: BlockCache
  /** Result of the last `findStored`: the stored block, valid until the next load. */
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  /** Called inside a load, after every WINDOW_MISSES misses of the first level. */
  onWindow: (() => void) | undefined
  readonly #second: BlockCache
  readonly #nowMs: () => number
  #ghosts: Ghosts | undefined
  #isEnabled = true
  #share = 0
  #limitBytes = Infinity
  #ratio = 1
  #readMs = 0
  #loadMs = 0
  #hits = 0
  #reads = 0
  #startedMs = -1
  #isTimed = false
  // At the last window.
  #windowHits = 0
  #windowReads = 0
  #windowLookups = 0
  #ghostHits = 0
  /** Share of recent misses that found their ghost. */
  #foundShare = 0
  /** Hits and reads per lookup under the other setting, during a trial; -1: no trial. */
  #hitsBefore = -1
  #readsBefore = -1
  /** Windows since the last change, and until the next trial. */
  #windows = 0
  #wait = FIRST_WAIT
  /** Evictions of the second level at the last change. */
  #evictions = 0

  /** `nowMs`: a clock, to time loads. */
  constructor(first: BlockCache, secondAccount: Account, nowMs: () => number, slotBytes?: number) {
    this.first = first
    this.#nowMs = nowMs
    // Its share comes from free memory, or else from the first level.
    this.#second = new BlockCache(secondAccount, { makeRoom: bytes => { first.shrink(bytes) }, ...(slotBytes === undefined ? {} : { slotBytes }) })
    this.#second.setLimit(0)
  }

  get bytesHeld(): number { return this.first.bytesHeld + this.#second.bytesHeld }
  get share(): number { return this.#share }
  /** Blocks that had to be read, since the start. */
  get reads(): number { return this.#reads }

  /** Ghosts of the first level. Without them there is no second level. */
  setGhosts(ghosts: Ghosts | undefined): void {
    this.#ghosts = ghosts
    this.first.setGhosts(ghosts)
    this.#ghostHits = ghosts?.hits ?? 0
    if (ghosts === undefined) this.#change(0)
  }

  /** Allow the second level. */
  set isEnabled(isEnabled: boolean) {
    this.#isEnabled = isEnabled
    if (!isEnabled) this.#change(0)
  }

  /** Find a block the first level does not have, as stored. Then load it and call `loaded`. */
  findStored(table: number, offset: number): boolean {
    const second = this.#second
    const isFound = this.#share > 0 && second.find(table, offset)
    if (isFound) {
      this.#hits++
      this.bytes = second.bytes
      this.start = second.start
      this.end = second.end
    } else {
      this.#reads++
    }
    this.#startedMs = this.#isTimed || (this.#hits + this.#reads) % SAMPLED === 0 ? this.#nowMs() : -1
    this.#isTimed = false
    return isFound
  }

  /** The block was loaded, from memory[start, end) as stored or from this level. Keep it if it may be needed again. */
  loaded(table: number, offset: number, isFound: boolean, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    if (this.#startedMs >= 0) this.#measure(isFound)
    if (!isFound) this.#keep(table, offset, memory, start, end, blockBytes)
    if (this.#hits + this.#reads - this.#windowHits - this.#windowReads >= WINDOW_MISSES) this.#endWindow()
  }

  #keep(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    const ratio = blockBytes / (end - start)
    this.#ratio += WEIGHT / 4 * (ratio - this.#ratio)
    if (this.#share > 0 && ratio >= WORTH_KEEPING) {
      // Without free memory the first level shrinks.
      this.#second.setLimit(Math.max(0, Math.min(this.#share * this.bytesHeld, this.#limitBytes - this.first.bytesHeld)))
      this.#second.insert(table, offset, memory, start, end)
    }
  }

  /** Whether the second level has a block; counts nothing. */
  hasStored(table: number, offset: number): boolean {
    return this.#share > 0 && this.#second.has(table, offset)
  }

  /** Time the next load. */
  timeNext(): void {
    this.#isTimed = true
  }

  /** The timed load was not one read: ignore it. */
  dropTime(): void {
    this.#startedMs = -1
  }

  /** Mean time of a read. */
  get readMs(): number { return this.#readMs }
  /** Whether reads come from a device rather than the page cache. */
  get readsAreSlow(): boolean { return this.#readMs >= MIN_READ_MS }

  /** A block missing in both levels was read asynchronously, in unknown time. */
  readBeside(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    this.#reads++
    this.#startedMs = -1
    this.loaded(table, offset, false, memory, start, end, blockBytes)
  }

  /** The found block was damaged in memory: drop it; it must be read. */
  forgetStored(table: number, offset: number): void {
    this.#second.forget(table, offset)
    this.#hits--
    this.#reads++
  }

  /** Drop all blocks of a deleted table; returns their bytes in the first level. */
  dropTable(table: number): number {
    this.#second.dropTable(table)
    return this.first.dropTable(table)
  }

  /** Maximum bytes to hold. */
  setLimit(limitBytes: number): void {
    this.#limitBytes = limitBytes
    this.first.setLimit(limitBytes)
    const excess = this.bytesHeld - limitBytes
    if (excess > 0) this.shrink(excess)
  }

  /** Free at least `bytes` if possible. A reclaimer. */
  shrink(bytes: number): number {
    let given = 0
    while (given < bytes) {
      const second = this.#second.bytesHeld
      const more = second > this.#share * this.bytesHeld ? this.#second.shrink(1) : this.first.shrink(1) || this.#second.shrink(1)
      if (more === 0) break
      given += more
    }
    return given
  }

  /** The existing buffers of the second level. */
  measureSecond(): number { return this.#second.measure() }

  /** Of the first level, which every lookup asks. */
  stats(): BlockCacheStats { return this.first.stats() }

  secondStats(): SecondLevelStats {
    const { bytes, blocks } = this.#second.stats()
    return {
      bytes, blocks, hits: this.#hits, reads: this.#reads, share: this.#share, ratio: this.#ratio,
      readUs: this.#readMs * 1000, loadUs: this.#loadMs * 1000,
    }
  }

  close(): void {
    this.first.close()
    this.#second.close()
  }

  #measure(isFound: boolean): void {
    const ms = this.#nowMs() - this.#startedMs
    this.#startedMs = -1
    const mean = isFound ? this.#loadMs : this.#readMs
    // A single load may have met a pause of the process.
    const next = mean === 0 ? ms : mean + WEIGHT * (Math.min(ms, 8 * mean) - mean)
    if (isFound) this.#loadMs = next
    else this.#readMs = next
  }

  #endWindow(): void {
    this.onWindow?.()
    const hits = this.#hits - this.#windowHits
    const reads = this.#reads - this.#windowReads
    const first = this.first.stats()
    const lookups = Math.max(1, first.hits + first.misses - this.#windowLookups)
    this.#windowHits = this.#hits
    this.#windowReads = this.#reads
    this.#windowLookups = first.hits + first.misses
    const ghosts = this.#ghosts
    if (ghosts === undefined || !this.#isEnabled) return
    this.#foundShare += FOUND_WEIGHT * ((ghosts.hits - this.#ghostHits) / Math.max(1, hits + reads) - this.#foundShare)
    this.#ghostHits = ghosts.hits
    this.#windows++
    if (this.#windows < MAX_FILLING && this.#isFilling) return
    if (this.#readsBefore >= 0) {
      this.#judge(hits / lookups, reads / lookups)
      return
    }
    if (this.#windows < this.#wait) return
    if (this.#share > 0) {
      this.#try(0, hits / lookups, reads / lookups)
    } else if (
      this.#ratio >= MIN_RATIO && this.#readMs >= MIN_READ_MS && hits + reads >= MIN_MISS_SHARE * lookups && this.#mayPay(ghosts.bytes)
    ) {
      this.#try(SHARE, hits / lookups, reads / lookups)
    }
  }

  /**
   * Ghosts tell the share of misses that more bytes would have saved, and so about what a second level would, which equals a first
   * level larger by `more`. For random reads of a hundred times the memory that is next to nothing.
   */
  #mayPay(ghostBytes: number): boolean {
    const more = SHARE * (this.#ratio - 1) * this.bytesHeld
    return this.#foundShare * more >= (1 - CLEARLY) * ghostBytes && ghostBytes > 0
  }

  /** The last change has not filled its memory yet. */
  get #isFilling(): boolean {
    return this.#share > 0 ? this.#second.stats().evictions === this.#evictions : this.#windows < 2 || this.first.stats().evictions === this.#evictions
  }

  #try(share: number, hits: number, reads: number): void {
    this.#hitsBefore = hits
    this.#readsBefore = reads
    this.#change(share)
  }

  /** Compare both settings at present times: read times change faster than a level fills. */
  #judge(hits: number, reads: number): void {
    const before = this.#hitsBefore * this.#loadMs + this.#readsBefore * this.#readMs
    this.#readsBefore = -1
    if (hits * this.#loadMs + reads * this.#readMs < CLEARLY * before) {
      // A useful level is not tested again soon: the test costs its content.
      this.#wait = this.#share > 0 ? WAIT_WITH : FIRST_WAIT
      this.#windows = 0
      return
    }
    this.#wait = Math.min(LONGEST_WAIT, 2 * this.#wait)
    this.#change(this.#share > 0 ? 0 : SHARE)
  }

  #change(share: number): void {
    this.#share = share
    this.#windows = 0
    this.#foundShare = 0
    this.#second.setLimit(share * this.bytesHeld)
    if (share === 0) this.bytes = EMPTY
    this.#evictions = (share > 0 ? this.#second : this.first).stats().evictions
  }
}
