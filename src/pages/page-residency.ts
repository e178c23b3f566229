/**
 * Pages in memory: assigns slots and chooses the pages to evict.
 *
 * Invariants
 * 1. Pages take at most the limit, copies for pins excluded; warm slots at most an eighth of it. With the compressed tier they take
 *    at most the RSS target; the tier is empty if they exceed it alone.
 * 2. An unbacked page is stored before eviction, and stays if that fails.
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
  readonly queues = new PageQueues()
  pages = 0
  /** Slots without a page: copies for pins, partial reloads. */
  bounceBytes = 0
  didSteal = false
  /** Cancels the job of a page not stored yet. */
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
  get bytes(): number { return this.#slots.usedBytes - this.bounceBytes }
  get isAboveLimit(): boolean { return this.bytes > this.#limitBytes }

  setLimit(bytes: number): void {
    this.#limitBytes = bytes
    this.#setWarmLimit()
    this.enforceLimit()
  }

  /** Evicts other pages. `onlyCheap`: only backed ones. */
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

  /** In free memory, or that of backed pages not read recently. */
  takeSlotGently(length: number): Slot | undefined {
    const bytes = slotBytes(length)
    let isSteal = false
    while (!this.#hasFreeMemory(bytes)) {
      const victim = this.queues.stealable()
      if (victim === undefined || bytes > this.#limitBytes) return undefined
      this.#evict(victim)
      isSteal = true
    }
    const slot = this.#slots.take(length, false)
    if (slot === undefined) return undefined
    this.didSteal = isSteal
    return slot
  }

  makeResident(page: Page, slot: Slot, state: number): void {
    page.slot = slot
    page.state = state
    this.pages++
    this.queues.add(page)
  }

  drop(page: Page): void {
    this.queues.remove(page)
    if (page.slot !== undefined) {
      this.#slots.release(page.slot)
      page.slot = undefined
      this.pages--
    }
    page.state = EVICTED
  }

  evictOne(onlyCheap: boolean): boolean {
    const mayStore = !onlyCheap && this.#store.mayStore
    const page = this.#victim(mayStore)
    if (page === undefined) return false
    if (this.#evict(page)) return true
    // None can be stored: take backed pages.
    const cheap = this.#victim(false)
    return cheap !== undefined && this.#evict(cheap)
  }

  enforceLimit(): void {
    while (this.isAboveLimit && this.evictOne(false)) { /* evict */ }
  }

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

  #fitsTarget(bytes: number, onlyCheap: boolean): boolean {
    const others = this.#slots.usedBytes + this.#slots.warmBytes + bytes
    if (others + this.#store.tierBytes <= this.#targetRssBytes) return true
    return !onlyCheap && this.#store.makeTierFit(others)
  }

  #hasFreeMemory(bytes: number): boolean {
    return this.bytes + bytes <= this.#limitBytes &&
      this.#account.budget.freeBytes + this.#slots.warmBytes >= bytes &&
      (this.#store.tierBytes === 0 || this.#fitsTarget(bytes, false))
  }

  /** `mayStore` false: backed pages only. */
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
    const maxBytes = Math.min(this.#limitBytes, this.#account.budget.totalBytes)
    this.#slots.setWarmLimit(Math.min(Math.floor(maxBytes / 8), MAX_WARM_BYTES))
  }
}
