/**
 * Decides whether the cache has a second level, by trial: the work of lookups is counted for a while, then with the other setting,
 * once it is filled. The cheaper one, by measured times, stays; after a useless trial the next comes twice as late.
 *
 * There is no trial where the second level would hold too few wanted blocks (a trial costs the whole first level), nor where reads
 * are so fast that they hardly come from a device.
 */
import type { Ghosts } from './ghosts.ts'
import type { LoadTimes } from './load-times.ts'

/** Of the memory of both levels, for the second. */
const SHARE = 0.85
/** The other setting must cost less than this share of the present one. */
const CLEARLY = 0.9
/**
 * Minimum ratio of block to stored size: with SHARE of the memory the second level then holds 1.5 times as many blocks as the first
 * would.
 */
const MIN_RATIO = 1.8
/** Weight of the latest window in the mean share of ghost hits: evicted index blocks come back in bursts. */
const FOUND_WEIGHT = 1 / 8
/** Minimum share of misses in lookups for a gain. */
const MIN_MISS_SHARE = 0.02
/** Faster reads come from the page cache. There a second level saves a microsecond or two per load, and scans cost it more. */
export const MIN_READ_MS = 0.02
/** Windows before the next trial after a useless one, at first and at most. */
const FIRST_WAIT = 16
const LONGEST_WAIT = 2048
/** Windows before the next trial after a useful one: some 5 % of the time, where a read takes 60 us. */
const WAIT_WITH = 1024
/** A level not full after this many windows is measured as it is. */
const MAX_FILLING = 64

/** Totals at the end of a window. */
export interface LevelTotals {
  /** Misses of the first level found in the second, and those that were read. */
  hits: number
  reads: number
  /** Of the first level. */
  lookups: number
  /** Of the level whose memory the present setting fills. */
  evictions: number
  /** Memory of both levels. */
  bytes: number
  /** Block size by stored size, of recent reads. */
  ratio: number
}

export class LevelTrial {
  // At the last window.
  #hits = 0
  #reads = 0
  #lookups = 0
  /** Ghost hits at the last window. */
  ghostHits = 0
  /** Share of recent misses that found their ghost. */
  #foundShare = 0
  /** Hits and reads per lookup under the other setting, during a trial; -1: no trial. */
  #hitsBefore = -1
  #readsBefore = -1
  /** Windows since the last change, and until the next trial. */
  #windows = 0
  #wait = FIRST_WAIT
  /** Evictions at the last change. */
  #evictions = 0

  /** Misses of the first level at the last window. */
  get misses(): number { return this.#hits + this.#reads }

  /** The setting has changed. */
  begin(evictions: number): void {
    this.#windows = 0
    this.#foundShare = 0
    this.#evictions = evictions
  }

  /** Returns the share of the second level to set now; undefined: no change. Without ghosts nothing is tried. */
  endWindow(totals: LevelTotals, times: LoadTimes, share: number, ghosts: Ghosts | undefined): number | undefined {
    const hits = totals.hits - this.#hits
    const reads = totals.reads - this.#reads
    const lookups = Math.max(1, totals.lookups - this.#lookups)
    this.#hits = totals.hits
    this.#reads = totals.reads
    this.#lookups = totals.lookups
    if (ghosts === undefined) return undefined
    this.#foundShare += FOUND_WEIGHT * ((ghosts.hits - this.ghostHits) / Math.max(1, hits + reads) - this.#foundShare)
    this.ghostHits = ghosts.hits
    this.#windows++
    if (this.#windows < MAX_FILLING && this.#isFilling(share, totals.evictions)) return undefined
    if (this.#readsBefore >= 0) return this.#judge(hits / lookups, reads / lookups, times, share)
    if (this.#windows < this.#wait) return undefined
    const mayTry = share > 0 || totals.ratio >= MIN_RATIO && times.readMs >= MIN_READ_MS &&
      hits + reads >= MIN_MISS_SHARE * lookups && this.#mayPay(totals, ghosts.bytes)
    if (!mayTry) return undefined
    this.#hitsBefore = hits / lookups
    this.#readsBefore = reads / lookups
    return share > 0 ? 0 : SHARE
  }

  /**
   * Ghosts tell the share of misses that more bytes would have saved, and so about what a second level would, which equals a first
   * level larger by `more`. For random reads of a hundred times the memory that is next to nothing.
   */
  #mayPay({ ratio, bytes }: LevelTotals, ghostBytes: number): boolean {
    const more = SHARE * (ratio - 1) * bytes
    return this.#foundShare * more >= (1 - CLEARLY) * ghostBytes && ghostBytes > 0
  }

  /** The last change has not filled its memory yet. */
  #isFilling(share: number, evictions: number): boolean {
    return (share === 0 && this.#windows < 2) || evictions === this.#evictions
  }

  /** Compare both settings at present times: read times change faster than a level fills. Returns the share to go back to. */
  #judge(hits: number, reads: number, { loadMs, readMs }: LoadTimes, share: number): number | undefined {
    const before = this.#hitsBefore * loadMs + this.#readsBefore * readMs
    this.#readsBefore = -1
    if (hits * loadMs + reads * readMs < CLEARLY * before) {
      // A useful level is not tested again soon: the test costs its content.
      this.#wait = share > 0 ? WAIT_WITH : FIRST_WAIT
      this.#windows = 0
      return undefined
    }
    this.#wait = Math.min(LONGEST_WAIT, 2 * this.#wait)
    return share > 0 ? 0 : SHARE
  }
}
