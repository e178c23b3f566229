/**
 * The bytes of pages that are not in memory: read where they are, brought back whole, or copied for a pin.
 *
 * 1. Reading needs no memory but for a part of a page that only its owner can make, and whole; the longest such page so far is a
 *    reserve.
 * 2. A slot whose bytes cannot be had comes back.
 *
 * Account: the reserve; copies, in slots that count as `bounceBytes`.
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
  /** The longest page so far that can only be had again whole: what a read of a part of it must have room for. */
  readonly #reserve: Lease
  #reserveBytes = 0

  constructor(account: Account, slots: SlotPool, store: ExtentStore, residency: PageResidency, counters: PageCounters) {
    this.#reserve = account.lease(0)
    this.#slots = slots
    this.#store = store
    this.#residency = residency
    this.#counters = counters
  }

  /** Have room, if there is some, to read a part of a page of this length that can only be had whole. */
  reserve(length: number, reclaim: boolean): void {
    const bytes = slotBytes(length)
    if (bytes > this.#reserveBytes && this.#reserve.resize(bytes, reclaim)) this.#reserveBytes = bytes
  }

  /** Copy bytes [from, to) of an evicted page. */
  read(page: Page, target: Uint8Array, at: number, from: number, to: number): void {
    this.#counters.readFaults++
    if (page.reload === undefined) this.#store.decode(page, target, at, from, to)
    else if (from === 0 && to === page.length) page.reload(target, at)
    else this.#reloadPart(page, page.reload, target, at, from, to)
  }

  /** All bytes of an evicted page to a slot that comes back if they cannot be had. */
  fill(page: Page, slot: Slot): void {
    try {
      this.#counters.readFaults++
      if (page.reload === undefined) this.#store.decode(page, slot, 0, 0, page.length)
      else page.reload(slot, 0)
    } catch (error) {
      this.#slots.give(slot)
      throw error
    }
  }

  /** A copy for those that pin a page for which there is no room. Throws BUDGET_TOO_SMALL. */
  bounce(page: Page, pinnedPages: number): void {
    const slot = this.#slots.take(page.length, true)
    if (slot === undefined) {
      throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
        `no room to pin a page of ${formatSize(page.length)}: unpin others, read it in parts, or raise the budget`,
        { details: { bytes: page.length, pinnedPages, residentBytes: this.#residency.bytes } })
    }
    this.fill(page, slot)
    this.#residency.bounceBytes += slot.byteLength
    page.bounce = slot
  }

  dropBounce(page: Page): void {
    if (page.bounce === undefined) return
    this.#residency.bounceBytes -= page.bounce.byteLength
    this.#slots.give(page.bounce)
    page.bounce = undefined
  }

  close(): void {
    this.#reserve.release()
  }

  /** Have all of the page made again, for a part of it: in free memory, or in what is reserved for that. */
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
        `no room to read a part of a page of ${formatSize(page.length)} that can only be had whole: read all of it, or raise the budget`)
    }
    this.#residency.bounceBytes += slot.byteLength
    try {
      reload(slot, 0)
      target.set(slot.subarray(from, to), at)
    } finally {
      this.#residency.bounceBytes -= slot.byteLength
      this.#slots.give(slot)
      if (usesReserve) {
        this.#slots.releaseWarm(slotBytes(page.length))
        if (!this.#reserve.resize(this.#reserveBytes, false)) this.#reserveBytes = this.#reserve.bytes
      }
    }
  }
}
