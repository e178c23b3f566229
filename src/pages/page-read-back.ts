/**
 * Reads evicted pages: in place, into a slot for admission, or as a copy for a pin.
 *
 * Invariant: a read needs no memory, except for part of a page with `reload`; a reserve of the longest such page covers that.
 *
 * Account: the reserve; copies count as `bounceBytes`.
 */
import { SpillwayError } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import type { ExtentStore } from './extent-store.ts'
import type { PageCounters } from './page-counters.ts'
import type { PageResidency } from './page-residency.ts'
import type { Page, Reload } from './page.ts'
import { slotBytes } from './slot-pool.ts'
import type { Slot, SlotPool } from './slot-pool.ts'

export class PageReadBack {
  readonly #slots: SlotPool
  readonly #store: ExtentStore
  readonly #residency: PageResidency
  readonly #counters: PageCounters
  readonly #reserve: Lease
  #reserveBytes = 0

  constructor(account: Account, slots: SlotPool, store: ExtentStore, residency: PageResidency, counters: PageCounters) {
    this.#reserve = account.lease(0)
    this.#slots = slots
    this.#store = store
    this.#residency = residency
    this.#counters = counters
  }

  reserve(length: number, reclaim: boolean): void {
    const bytes = slotBytes(length)
    if (bytes > this.#reserveBytes && this.#reserve.resize(bytes, reclaim)) this.#reserveBytes = bytes
  }

  read(page: Page, target: Uint8Array, at: number, from: number, to: number): void {
    this.#counters.readFaults++
    if (page.reload === undefined) this.#store.decode(page, target, at, from, to)
    else if (from === 0 && to === page.length) page.reload(target, at)
    else this.#reloadPart(page, page.reload, target, at, from, to)
  }

  /** Releases the slot on failure. */
  fill(page: Page, slot: Slot): void {
    try {
      this.#counters.readFaults++
      if (page.reload === undefined) this.#store.decode(page, slot, 0, 0, page.length)
      else page.reload(slot, 0)
    } catch (error) {
      this.#slots.release(slot)
      throw error
    }
  }

  /** Throws BUDGET_TOO_SMALL. */
  bounce(page: Page, pinnedPages: number): void {
    const slot = this.#slots.take(page.length, true)
    if (slot === undefined) {
      throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
        `no memory to pin a page of ${formatSize(page.length)}. Unpin other pages, read it in parts, or raise the budget`,
        { details: { bytes: page.length, pinnedPages, residentBytes: this.#residency.bytes } })
    }
    this.fill(page, slot)
    this.#residency.bounceBytes += slot.byteLength
    page.bounce = slot
  }

  dropBounce(page: Page): void {
    if (page.bounce === undefined) return
    this.#residency.bounceBytes -= page.bounce.byteLength
    this.#slots.release(page.bounce)
    page.bounce = undefined
  }

  close(): void {
    this.#reserve.release()
  }

  #reloadPart(page: Page, reload: Reload, target: Uint8Array, at: number, from: number, to: number): void {
    let slot = this.#slots.take(page.length, false)
    const usesReserve = slot === undefined && slotBytes(page.length) <= this.#reserve.bytes
    if (usesReserve) {
      this.#reserve.resize(this.#reserve.bytes - slotBytes(page.length))
      slot = this.#slots.take(page.length, false)
    }
    slot ??= this.#slots.take(page.length, true)
    if (slot === undefined) {
      throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
        `no memory to read part of a page of ${formatSize(page.length)} that must be reloaded whole. Read the whole page, or raise the budget`)
    }
    this.#residency.bounceBytes += slot.byteLength
    try {
      reload(slot, 0)
      target.set(slot.subarray(from, to), at)
    } finally {
      this.#residency.bounceBytes -= slot.byteLength
      this.#slots.release(slot)
      if (usesReserve) {
        this.#slots.releaseWarm(slotBytes(page.length))
        if (!this.#reserve.resize(this.#reserveBytes, false)) this.#reserveBytes = this.#reserve.bytes
      }
    }
  }
}
