/**
 * The block cache with a second level: blocks as stored in their tables, compressed and with checksums, so that the same memory
 * holds two to four times as many. A block found there costs its checks and decompression, but no read.
 *
 * A block read from a table is put into both levels; incompressible blocks stay out of the second. That level helps only while it
 * holds more blocks than the first, so it is off or has most of the memory, as `level-trial.ts` decides.
 *
 * Invariants
 * 1. Both levels draw on free budget only and give back on demand, the one over its share first.
 * 2. The second level has at most the share set by the trial.
 *
 * Cost: none for blocks found in the first level.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Account } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'
import type { BlockCacheStats } from './block-cache.ts'
import type { Ghosts } from './ghosts.ts'
import { LevelTrial, MIN_READ_MS } from './level-trial.ts'
import { LoadTimes } from './load-times.ts'

/** Misses of the first level per window of measurement. */
const WINDOW_MISSES = 1024
/** Stored blocks that compress less are not kept. */
const WORTH_KEEPING = 1.3
/** Weight of the latest block in the mean ratio. */
const RATIO_WEIGHT = 1 / 64

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
  #ghosts: Ghosts | undefined
  #isEnabled = true
  #share = 0
  #limitBytes = Infinity
  #ratio = 1
  #hits = 0
  #reads = 0
  readonly #times: LoadTimes
  readonly #trial = new LevelTrial()

  /** `nowMs`: a clock, to time loads. */
  constructor(first: BlockCache, secondAccount: Account, nowMs: () => number, slotBytes?: number) {
    this.first = first
    this.#times = new LoadTimes(nowMs)
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
    this.#trial.ghostHits = ghosts?.hits ?? 0
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
    this.#times.begin(this.#hits + this.#reads)
    return isFound
  }

  /** The block was loaded, from memory[start, end) as stored or from this level. Keep it if it may be needed again. */
  loaded(table: number, offset: number, isFound: boolean, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    this.#times.end(isFound)
    if (!isFound) this.#keep(table, offset, memory, start, end, blockBytes)
    if (this.#hits + this.#reads - this.#trial.misses >= WINDOW_MISSES) this.#endWindow()
  }

  #keep(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    const ratio = blockBytes / (end - start)
    this.#ratio += RATIO_WEIGHT * (ratio - this.#ratio)
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
    this.#times.isWanted = true
  }

  /** The timed load was not one read: ignore it. */
  dropTime(): void {
    this.#times.drop()
  }

  /** Mean time of a read. */
  get readMs(): number { return this.#times.readMs }
  /** Whether reads come from a device rather than the page cache. */
  get readsAreSlow(): boolean { return this.#times.readMs >= MIN_READ_MS }

  /** A block missing in both levels was read asynchronously, in unknown time. */
  readBeside(table: number, offset: number, memory: Uint8Array, start: number, end: number, blockBytes: number): void {
    this.#reads++
    this.#times.drop()
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
      readUs: this.#times.readMs * 1000, loadUs: this.#times.loadMs * 1000,
    }
  }

  close(): void {
    this.first.close()
    this.#second.close()
  }

  #endWindow(): void {
    this.onWindow?.()
    const { hits, misses } = this.first.stats()
    const share = this.#trial.endWindow(
      { hits: this.#hits, reads: this.#reads, lookups: hits + misses, evictions: this.#evictions, bytes: this.bytesHeld, ratio: this.#ratio },
      this.#times, this.#share, this.#isEnabled ? this.#ghosts : undefined)
    if (share !== undefined) this.#change(share)
  }

  /** Of the level whose memory the present setting fills. */
  get #evictions(): number { return (this.#share > 0 ? this.#second : this.first).stats().evictions }

  #change(share: number): void {
    this.#share = share
    this.#second.setLimit(share * this.bytesHeld)
    if (share === 0) this.bytes = EMPTY
    this.#trial.begin(this.#evictions)
  }
}
