/**
 * Levels 2 and 3 of a spill cache: records that left level 1, in pages. A page is compressed in memory, then in the scratch file, as the
 * page pool decides. The oldest page goes first, with all its records.
 *
 * Invariants
 * 1. A page whose records are all dead is freed; if it was not evicted by then, it has cost a copy.
 * 2. Bytes in memory and on disk stay within the two limits, by whole pages.
 * 3. A failing or full disk drops pages, and never fails a write to the cache.
 *
 * Account: `pages` for the pages, `spill caches` for the page being filled and the lists of entries.
 * Cost: one copy a record, LZ4 and a write a page; reading a record decompresses its 64 KiB piece.
 */
import { copyBytes } from '../base/bytes.ts'
import { SpillwayError } from '../base/errors.ts'
import type { PagePool } from '../pages/page-pool.ts'
import type { Page } from '../pages/page.ts'

/** Bytes of a page, and of the largest record. */
export const PAGE_BYTES: number = 64 * 1024
export const PAGE_UNITS: number = PAGE_BYTES / 8
/** Pages in places of 32 bits. */
const MAX_PAGES = 2 ** 32 / PAGE_UNITS

export interface PagesOwner {
  /** The entry's record at this place is gone. */
  dropped(entry: number, place: number): void
}

export interface PageLimits {
  /** Compressed bytes in memory and on disk together. */
  bytes: number
}

interface StoredPage {
  page: Page | undefined
  readonly number: number
  readonly entries: Uint32Array
  readonly places: Uint32Array
  live: number
  /** Neighbours in age. */
  previous: StoredPage | undefined
  next: StoredPage | undefined
}

export class CachePages {
  /** Records dropped because the disk failed or was full. */
  lostRecords = 0
  readonly #pool: PagePool
  readonly #limits: PageLimits
  readonly #owner: PagesOwner
  readonly #numbers: (StoredPage | undefined)[] = []
  #oldest: StoredPage | undefined
  #newest: StoredPage | undefined
  /** The page being filled. */
  readonly #staging = new Uint8Array(PAGE_BYTES)
  #number = 0
  #used = 0
  #entries: number[] = []
  #places: number[] = []
  #live = 0

  constructor(pool: PagePool, limits: PageLimits, owner: PagesOwner) {
    this.#pool = pool
    this.#limits = limits
    this.#owner = owner
  }

  /** Records in pages, the one being filled included. */
  get records(): number {
    let records = this.#live
    for (let page = this.#oldest; page !== undefined; page = page.next) records += page.live
    return records
  }

  /** Add a record, bytes[start, end) with `end - start` at most PAGE_BYTES; returns its place in units of 8 bytes. */
  add(entry: number, bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    if (this.#used + length > PAGE_BYTES) this.#store()
    const at = this.#used
    copyBytes(bytes, start, end, this.#staging, at)
    this.#used = (at + length + 7) & ~7
    const place = this.#number * PAGE_UNITS + at / 8
    this.#entries.push(entry)
    this.#places.push(place)
    this.#live++
    return place
  }

  /** Copy `length` bytes of a record, from `from` on, to a target. Throws CorruptionError or UNAVAILABLE. */
  read(place: number, from: number, length: number, target: Uint8Array): void {
    const start = (place % PAGE_UNITS) * 8 + from
    const stored = this.#numbers[Math.floor(place / PAGE_UNITS)]
    if (stored === undefined) copyBytes(this.#staging, start, start + length, target, 0)
    else this.#pool.read(stored.page!, target, 0, start, start + length)
  }

  /** A record is dead. */
  free(place: number): void {
    const stored = this.#numbers[Math.floor(place / PAGE_UNITS)]
    if (stored === undefined) this.#live--
    else if (--stored.live === 0) this.#unlink(stored)
  }

  /** Drop the oldest page with its records. False: there is none. */
  dropOldest(): boolean {
    if (this.#oldest === undefined) return false
    this.#drop(this.#oldest)
    return true
  }

  close(): void {
    this.#oldest = this.#newest = undefined
    this.#numbers.length = 0
  }

  /** Store the page that was filled, and drop the oldest ones beyond the limits. */
  #store(): void {
    const stored: StoredPage = {
      page: undefined, number: this.#number, entries: Uint32Array.from(this.#entries), places: Uint32Array.from(this.#places), live: this.#live,
      previous: undefined, next: undefined,
    }
    this.#numbers[this.#number] = stored
    this.#link(stored)
    const end = this.#used
    this.#used = this.#live = 0
    this.#entries = []
    this.#places = []
    this.#number = this.#vacantNumber()
    if (stored.live === 0) {
      this.#unlink(stored)
      return
    }
    try {
      stored.page = this.#pool.insert(this.#staging, 0, end)
    } catch (error) {
      if (!(error instanceof SpillwayError)) throw error
      this.lostRecords += stored.live
      this.#drop(stored)
      return
    }
    this.#keepWithin()
  }

  #keepWithin(): void {
    for (let stats = this.#pool.stats(); stats.extentBytesResident + stats.scratchBytes > this.#limits.bytes && this.#oldest !== undefined; stats = this.#pool.stats()) {
      this.#drop(this.#oldest)
    }
  }

  #vacantNumber(): number {
    let number = this.#number
    do number = (number + 1) % MAX_PAGES
    while (this.#numbers[number] !== undefined)
    return number
  }

  /** Drop a page with its records. */
  #drop(stored: StoredPage): void {
    const { entries, places } = stored
    // Before its records are told, so that the owner finds nothing to free.
    this.#unlink(stored)
    for (let i = 0; i < entries.length; i++) this.#owner.dropped(entries[i]!, places[i]!)
  }

  #link(stored: StoredPage): void {
    stored.previous = this.#newest
    if (this.#newest === undefined) this.#oldest = stored
    else this.#newest.next = stored
    this.#newest = stored
  }

  #unlink(stored: StoredPage): void {
    const { previous, next } = stored
    if (previous === undefined) this.#oldest = next
    else previous.next = next
    if (next === undefined) this.#newest = previous
    else next.previous = previous
    stored.previous = stored.next = undefined
    this.#numbers[stored.number] = undefined
    if (stored.page !== undefined) this.#pool.free(stored.page)
  }
}
