/**
 * The caches of readers: blocks in two levels (`two-level-cache.ts`) and single rows (`row-cache.ts`).
 *
 * Rows take at most a share of the memory of both. Every WINDOW offers, or missed blocks, two sums in microseconds are compared:
 * what rows have saved (lookups in the runs, and block misses at the rate of other reads), and what their memory would have saved
 * as blocks, from the ghosts. If the second is larger the share is halved; if the first is, and the share is used up to less than a
 * slot, it grows by half.
 *
 * Invariant: all levels draw on free budget only and give back on demand; rows first while they are over their share.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Account } from '../memory/budget.ts'
import type { BlockCacheStats } from './block-cache.ts'
import type { Ghosts } from './ghosts.ts'
import { RowCache } from './row-cache.ts'
import type { RowCacheStats } from './row-cache.ts'
import type { TwoLevelCache } from './two-level-cache.ts'

const FIRST_SHARE = 1 / 4
const MIN_SHARE = 1 / 64
const MAX_SHARE = 1 / 2
const WINDOW = 4096
/** A lookup in the runs of a tree, less one here; and a block read from the page cache, where none was timed. Microseconds. */
const LOOKUP_US = 2
const READ_US = 5

export interface RowShareStats extends RowCacheStats {
  /** Maximum share of rows in the memory of blocks and rows. */
  share: number
}

export class ReadCache {
  readonly blocks: TwoLevelCache
  readonly rows: RowCache
  readonly #account: Account
  readonly #rowSlotBytes: number
  #ghosts: Ghosts | undefined
  #share = FIRST_SHARE
  #limitBytes = Infinity
  // At the last window.
  #offers = 0
  #hits = 0
  #lookups = 0
  #misses = 0
  #ghostHits = 0

  /** `rowSlotBytes`: growth step of rows. */
  constructor(blocks: TwoLevelCache, rowAccount: Account, rowSlotBytes: number) {
    if (!(rowSlotBytes > 0)) throw invalidArgument(`slots of rows have ${rowSlotBytes} bytes`)
    this.blocks = blocks
    this.#account = rowAccount
    this.#rowSlotBytes = rowSlotBytes
    this.rows = new RowCache(rowAccount, rowSlotBytes, bytes => { blocks.shrink(bytes) })
  }

  get bytesHeld(): number { return this.blocks.bytesHeld + this.rows.bytesHeld }

  setGhosts(ghosts: Ghosts | undefined): void {
    this.#ghosts = ghosts
    this.#ghostHits = ghosts?.hits ?? 0
    this.blocks.setGhosts(ghosts)
  }

  /** Call before an offer, to update the limit of rows. */
  beforeOffer(): void {
    if (this.rows.offers - this.#offers >= WINDOW) this.#endWindow()
    this.#limitRows()
  }

  /** Call now and then between reads that miss blocks: scans offer no rows. */
  look(): void {
    if (this.blocks.stats().misses - this.#misses < WINDOW) return
    this.#endWindow()
    this.#limitRows()
  }

  #limitRows(): void {
    const { totalBytes, usedBytes } = this.#account.budget
    const room = Math.min(this.#limitBytes, this.bytesHeld + totalBytes - usedBytes)
    this.rows.setLimit(Math.max(0, Math.min(this.#share * room, this.#limitBytes - this.blocks.bytesHeld)))
  }

  /** Drop all blocks of a deleted table; returns their bytes. */
  dropTable(table: number): number {
    return this.blocks.dropTable(table)
  }

  /** Maximum bytes to hold. */
  setLimit(limitBytes: number): void {
    this.#limitBytes = limitBytes
    this.blocks.setLimit(limitBytes)
    this.rows.setLimit(limitBytes)
    const excess = this.bytesHeld - limitBytes
    if (excess > 0) this.shrink(excess)
  }

  /** Free at least `bytes` if possible. A reclaimer. */
  shrink(bytes: number): number {
    const { blocks, rows } = this
    let given = 0
    while (given < bytes) {
      const held = rows.bytesHeld
      const more = held > this.#share * this.bytesHeld ? rows.shrink(1) : blocks.shrink(1) || rows.shrink(1)
      if (more === 0) break
      given += more
    }
    return given
  }

  /** Of the first level of blocks. */
  stats(): BlockCacheStats { return this.blocks.stats() }

  rowStats(): RowShareStats { return { ...this.rows.stats(), share: this.#share } }

  close(): void {
    this.rows.close()
    this.blocks.close()
  }

  #endWindow(): void {
    const { rows, blocks } = this
    const { misses } = blocks.stats()
    const hits = rows.hits - this.#hits
    const others = Math.max(1, rows.lookups - this.#lookups - hits)
    const missed = misses - this.#misses
    const ghostHits = this.#ghosts === undefined ? 0 : this.#ghosts.hits - this.#ghostHits
    this.#offers = rows.offers
    this.#hits = rows.hits
    this.#lookups = rows.lookups
    this.#misses = misses
    this.#ghostHits += ghostHits
    const held = rows.bytesHeld
    if (held === 0) return
    const readUs = blocks.secondStats().readUs || READ_US
    const saved = hits * (LOOKUP_US + Math.min(1, missed / others) * readUs)
    const lost = ghostHits * readUs * Math.min(1, held / Math.max(1, this.#ghosts?.bytes ?? 0))
    if (lost > saved) this.#share = Math.max(MIN_SHARE, this.#share / 2)
    else if (saved > lost && held + this.#rowSlotBytes > 0.9 * this.#share * this.bytesHeld) this.#share = Math.min(MAX_SHARE, this.#share * 1.5)
  }
}
