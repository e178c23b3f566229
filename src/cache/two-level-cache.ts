/**
 * The block cache with a second level behind it: blocks as they lie in their tables, compressed and with their checksums, so that
 * the same memory holds two to four times as many. A block that is missed in the first level and found in the second costs its
 * checks and its decompression, and no read.
 *
 * Nothing is compressed for it: a block that is read from a table lies there compressed, and goes into both levels. Blocks that
 * do not compress stay out. So the second level is of use only when it holds more blocks than the first, and there is either none
 * or one with SHARE of the memory. Which of them is better is tried: what lookups have to read and to load is counted for a
 * while, then with the other, once that is filled; the one that is cheaper, by times taken from every 16th, stays, and the next trial
 * comes twice as late when one did not pay. It is not tried where it would hold too few more of what is asked for (a trial costs all that
 * the first level has, index and filters too), nor where reads are so fast that they hardly come from a device.
 *
 * Invariants
 * 1. Both levels draw on free budget only and give back what is asked for; of the two the one that is over its share gives.
 * 2. The second level is at most SHARE of both.
 *
 * Cost: nothing for what is found in the first level.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Account } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'
import type { BlockCacheStats } from './block-cache.ts'
import type { Ghosts } from './ghosts.ts'

/** Of both levels, what the second has where there is one. */
const SHARE = 0.85
/** A window of measurement is so many misses of the first level. */
const WINDOW_MISSES = 1024
/** The other way must cost less than this share of the present one. */
const CLEARLY = 0.9
/** Blocks must be so many times as large as what is stored of them: with SHARE of the memory the second level then holds 1.5 times what the first would. */
const MIN_RATIO = 1.8
/** Stored blocks that compress less are not kept. */
const WORTH_KEEPING = 1.3
/** What the latest window counts in the mean share of misses that found their ghost: index blocks that were dropped come back in bursts. */
const FOUND_WEIGHT = 1 / 8
/** Misses of the first level by lookups: fewer, and there is nothing to gain. */
const MIN_MISS_SHARE = 0.02
/**
 * Reads that take less come from the page cache of the system. There a load without a read saves a microsecond or two, and scans that
 * touch each block once make more work for two levels than it is worth.
 */
const MIN_READ_MS = 0.02
/** Windows until the next trial after one that did not pay, at first and at most. */
const FIRST_WAIT = 16
const LONGEST_WAIT = 2048
/** The same while there is a second level that paid: some 5 % of the time, where a read takes 60 us. */
const WAIT_WITH = 1024
/** A level that is not full after so many windows is measured as it is. */
const MAX_FILLING = 64
const SAMPLED = 16
/** What the latest sample counts in a mean. */
const WEIGHT = 1 / 16

export interface SecondLevelStats {
  /** Bytes leased. */
  bytes: number
  blocks: number
  /** Misses of the first level that were found here. */
  hits: number
  /** Those that had to be read. */
  reads: number
  /** Of both levels, what this one is meant to have, from 0. */
  share: number
  /** Bytes of a block by bytes stored, of what was read lately. */
  ratio: number
  /** Mean times of a read and of a load from here, in microseconds; 0: none yet. */
  readUs: number
  loadUs: number
}

export class TwoLevelCache {
  readonly first: BlockCache
  /** Where the last `findStored` left the block as it was stored: valid until the next load. */
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  /** Called, inside a load, after every WINDOW_MISSES misses of the first level. */
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
  // As of the last window.
  #windowHits = 0
  #windowReads = 0
  #windowLookups = 0
  #ghostHits = 0
  /** Of the misses of late, those that found their ghost. */
  #foundShare = 0
  /** What lookups found and read the other way, of one each, while this one is tried; -1: no trial. */
  #hitsBefore = -1
  #readsBefore = -1
  /** Windows since the last change, and until the next trial. */
  #windows = 0
  #wait = FIRST_WAIT
  /** Blocks that the second level had dropped at the last change. */
  #evictions = 0

  /** `nowMs`: a clock, for what loads cost. */
  constructor(first: BlockCache, secondAccount: Account, nowMs: () => number, slotBytes?: number) {
    this.first = first
    this.#nowMs = nowMs
    // Its share is leased from what is free, or else from what the first level has.
    this.#second = new BlockCache(secondAccount, { makeRoom: bytes => { first.shrink(bytes) }, ...(slotBytes === undefined ? {} : { slotBytes }) })
    this.#second.setLimit(0)
  }

  get bytesHeld(): number { return this.first.bytesHeld + this.#second.bytesHeld }
  get share(): number { return this.#share }
  /** Blocks that had to be read, since the start. */
  get reads(): number { return this.#reads }

  /** Ghosts of the first level, or none: then there is no second level any more, and none comes. */
  setGhosts(ghosts: Ghosts | undefined): void {
    this.#ghosts = ghosts
    this.first.setGhosts(ghosts)
    this.#ghostHits = ghosts?.hits ?? 0
    if (ghosts === undefined) this.#change(0)
  }

  /** Switch the second level off or on again. */
  set isEnabled(isEnabled: boolean) {
    this.#isEnabled = isEnabled
    if (!isEnabled) this.#change(0)
  }

  /** Look for a block that the first level does not have: leaves it as it was stored. Then load it, and call `loaded`. */
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

  /** The block that was looked for last is there, from memory[start, end) as stored or from this level. Keep it if it may be needed again. */
  loaded(table: number, offset: number, isFound: boolean, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    if (this.#startedMs >= 0) this.#measure(isFound)
    if (!isFound) this.#keep(table, offset, memory, start, end, blockBytes)
    if (this.#hits + this.#reads - this.#windowHits - this.#windowReads >= WINDOW_MISSES) this.#endWindow()
  }

  #keep(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    const ratio = blockBytes / (end - start)
    this.#ratio += WEIGHT / 4 * (ratio - this.#ratio)
    if (this.#share > 0 && ratio >= WORTH_KEEPING) {
      // Where nothing is free the first level gives way.
      this.#second.setLimit(Math.max(0, Math.min(this.#share * this.bytesHeld, this.#limitBytes - this.first.bytesHeld)))
      this.#second.insert(table, offset, memory, start, end)
    }
  }

  /** Whether the second level has a block; nothing is counted. */
  hasStored(table: number, offset: number): boolean {
    return this.#share > 0 && this.#second.has(table, offset)
  }

  /** The next load is timed, whatever its turn. */
  timeNext(): void {
    this.#isTimed = true
  }

  /** What was being timed was not one read: it does not count. */
  dropTime(): void {
    this.#startedMs = -1
  }

  /** What a read takes, as far as they were timed. */
  get readMs(): number { return this.#readMs }
  /** Whether reads come from a device rather than from the page cache. */
  get readsAreSlow(): boolean { return this.#readMs >= MIN_READ_MS }

  /** A block that neither level had was read by somebody else, who does not tell how long that took. */
  readBeside(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    this.#reads++
    this.#startedMs = -1
    this.loaded(table, offset, false, memory, start, end, blockBytes)
  }

  /** What was found here was damaged in memory: it is forgotten, and must be read. */
  forgetStored(table: number, offset: number): void {
    this.#second.forget(table, offset)
    this.#hits--
    this.#reads++
  }

  /** Forget all blocks of a deleted table; returns their bytes in the first level. */
  dropTable(table: number): number {
    this.#second.dropTable(table)
    return this.first.dropTable(table)
  }

  /** Hold at most so many bytes from now on. */
  setLimit(limitBytes: number): void {
    this.#limitBytes = limitBytes
    this.first.setLimit(limitBytes)
    const excess = this.bytesHeld - limitBytes
    if (excess > 0) this.shrink(excess)
  }

  /** Give back at least `bytes` if possible; returns how many it gave. */
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

  /** The buffers of the second level, counted one by one. */
  measureSecond(): number { return this.#second.measure() }

  /** Of the first level: that is where everybody looks. */
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
    // A single load may have met a pause of the whole process.
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
   * Ghosts tell which share of the misses so many bytes more would have saved, and so about what a second level would, which holds as
   * much as a first level larger by `more`. Of rows read at random out of a hundred times the memory that is next to nothing.
   */
  #mayPay(ghostBytes: number): boolean {
    const more = SHARE * (this.#ratio - 1) * this.bytesHeld
    return this.#foundShare * more >= (1 - CLEARLY) * ghostBytes && ghostBytes > 0
  }

  /** What was changed last has not taken the memory that it may have. */
  get #isFilling(): boolean {
    return this.#share > 0 ? this.#second.stats().evictions === this.#evictions : this.#windows < 2 || this.first.stats().evictions === this.#evictions
  }

  #try(share: number, hits: number, reads: number): void {
    this.#hitsBefore = hits
    this.#readsBefore = reads
    this.#change(share)
  }

  /** Both ways at the times of now: how long a read takes depends on what else the device does, and changes faster than a level fills. */
  #judge(hits: number, reads: number): void {
    const before = this.#hitsBefore * this.#loadMs + this.#readsBefore * this.#readMs
    this.#readsBefore = -1
    if (hits * this.#loadMs + reads * this.#readMs < CLEARLY * before) {
      // A level that pays is not put to the test again soon: the test costs all that is in it.
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
