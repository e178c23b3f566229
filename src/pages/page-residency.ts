/**
 * Pages in memory: who has a slot, and who goes when room is needed.
 *
 * 1. Pages in memory take at most the limit, but for copies for pins; warm slots at most an eighth of it. Pages, warm slots and the
 *    compressed tier together take at most the RSS target, or pages and warm slots alone if they are more.
 * 2. Evicting a backed page does no work. An unbacked one is stored first; if that cannot be done, it stays.
 * 3. Second chance: a page read since the last sweep survives one sweep (`page-queues.ts`).
 *
 * Account: slots. Cost: a queue's step; evicting an unbacked page LZ4 and a copy or a write.
 */
import type { Account } from '../memory/budget.ts'
import type { ExtentStore } from './extent-store.ts'
import type { PageCounters } from './page-counters.ts'
import { PageQueues } from './page-queues.ts'
import { BACKED, EVICTED } from './page.ts'
import type { Page } from './page.ts'
import { slotBytes } from './slot-pool.ts'
import type { Slot, SlotPool } from './slot-pool.ts'

const MAX_WARM_BYTES = 2 ** 30

export class PageResidency {
  /** Pages that can be evicted. */
  readonly queues = new PageQueues()
  /** Pages in memory. */
  pages = 0
  /** Slots that are no page's: copies for pins and reads that found no room within the limit. */
  bounceBytes = 0
  /** Whether the last slot of `takeSlotGently` was another page's. */
  stole = false
  /** Takes a page back from a job that has not stored it yet; undefined: there is none. */
  takeFromJobs: () => Page | undefined = () => undefined
  readonly #account: Account
  readonly #slots: SlotPool
  readonly #store: ExtentStore
  readonly #counters: PageCounters
  readonly #targetRssBytes: number
  #limitBytes: number

  constructor(account: Account, slots: SlotPool, store: ExtentStore, counters: PageCounters, targetRssBytes: number, limitBytes: number) {
    this.#account = account
    this.#slots = slots
    this.#store = store
    this.#counters = counters
    this.#targetRssBytes = targetRssBytes
    this.#limitBytes = limitBytes
    this.#setWarmLimit()
  }

  get limitBytes(): number { return this.#limitBytes }
  /** Bytes of pages in memory. */
  get bytes(): number { return this.#slots.usedBytes - this.bounceBytes }
  get isAboveLimit(): boolean { return this.bytes > this.#limitBytes }

  setLimit(bytes: number): void {
    this.#limitBytes = bytes
    this.#setWarmLimit()
    this.enforceLimit()
  }

  /** A slot within the limit, others evicted for it; undefined when that is not to be had. */
  takeSlot(length: number, onlyCheap: boolean): Slot | undefined {
    const bytes = slotBytes(length)
    if (bytes > this.#limitBytes) return undefined
    while (this.bytes + bytes > this.#limitBytes) if (!this.evictOne(onlyCheap)) return undefined
    if (this.#store.tierBytes > 0 && !this.#fitsTarget(bytes, onlyCheap)) return undefined
    let slot = this.#slots.take(length, !onlyCheap)
    while (slot === undefined) {
      if (!this.evictOne(onlyCheap)) return undefined
      slot = this.#slots.take(length, false)
    }
    return slot
  }

  /** A slot for an admission: free room, or that of pages that cost nothing and were not read lately. Undefined: neither. */
  takeSlotGently(length: number): Slot | undefined {
    const bytes = slotBytes(length)
    let isSteal = false
    while (!this.#hasRoom(bytes)) {
      const victim = this.queues.stealable()
      if (victim === undefined || bytes > this.#limitBytes) return undefined
      this.#evict(victim)
      isSteal = true
    }
    const slot = this.#slots.take(length, false)
    if (slot === undefined) return undefined
    this.stole = isSteal
    return slot
  }

  /** The page has come into memory. */
  settle(page: Page, slot: Slot, state: number): void {
    page.slot = slot
    page.state = state
    this.pages++
    this.queues.add(page)
  }

  /** Give back what the page has in memory. */
  drop(page: Page): void {
    this.queues.remove(page)
    if (page.slot !== undefined) {
      this.#slots.give(page.slot)
      page.slot = undefined
      this.pages--
    }
    page.state = EVICTED
  }

  /** Evict one page; false when none can go. */
  evictOne(onlyCheap: boolean): boolean {
    const mayStore = !onlyCheap && this.#store.mayStore
    const page = this.#victim(mayStore)
    if (page === undefined) return false
    if (this.#evict(page)) return true
    // It cannot be stored: neither can the others.
    const cheap = this.#victim(false)
    return cheap !== undefined && this.#evict(cheap)
  }

  enforceLimit(): void {
    while (this.isAboveLimit && this.evictOne(false)) { /* until it fits */ }
  }

  /** See `PagePool.shrink`. */
  shrink(bytes: number): number {
    const before = this.#rssBytes
    const missing = (): number => bytes - (before - this.#rssBytes)
    this.#slots.releaseWarm(bytes)
    while (missing() > 0) {
      const page = this.#victim(false)
      if (page === undefined) break
      this.#evict(page)
      this.#slots.releaseWarm(missing())
    }
    if (missing() > 0) this.#store.shrinkTier(this.#store.tierBytes - missing())
    while (missing() > 0 && this.evictOne(false)) this.#slots.releaseWarm(missing())
    return before - this.#rssBytes
  }

  get #rssBytes(): number { return this.#slots.usedBytes + this.#slots.warmBytes + this.#store.tierBytes }

  /** Extents make way for a slot. */
  #fitsTarget(bytes: number, onlyCheap: boolean): boolean {
    const others = this.#slots.usedBytes + this.#slots.warmBytes + bytes
    if (others + this.#store.tierBytes <= this.#targetRssBytes) return true
    return !onlyCheap && this.#store.makeTierFit(others)
  }

  /** Room for an admission without evicting anything. */
  #hasRoom(bytes: number): boolean {
    return this.bytes + bytes <= this.#limitBytes &&
      this.#account.budget.freeBytes + this.#slots.warmBytes >= bytes &&
      (this.#store.tierBytes === 0 || this.#fitsTarget(bytes, false))
  }

  /** The next page to evict, a backed one only if `mayStore` is false. */
  #victim(mayStore: boolean): Page | undefined {
    const queued = this.queues.victim(mayStore)
    if (queued !== undefined || !mayStore) return queued
    const page = this.takeFromJobs()
    if (page === undefined) return undefined
    this.queues.add(page)
    return page.list === undefined ? undefined : page
  }

  #evict(page: Page): boolean {
    if (page.state === BACKED) {
      this.#counters.evictionsCheap++
    } else {
      if (!this.#store.encode(page, page.slot!, 0)) return false
      this.#counters.evictionsCompressing++
    }
    this.drop(page)
    return true
  }

  #setWarmLimit(): void {
    const most = Math.min(this.#limitBytes, this.#account.budget.totalBytes)
    this.#slots.setWarmLimit(Math.min(Math.floor(most / 8), MAX_WARM_BYTES))
  }
}
