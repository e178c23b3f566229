/**
 * Who of the stores that share a budget works, and which idle memtable is worth more to them than to its own store.
 *
 *   share of a store = sqrt(its recent bytes) / sum of sqrt(recent bytes)     flushes are fewest then, for what each writes
 *
 * Time is counted in bytes: what all stores have written. While nobody writes nothing ages, and no clock is asked.
 *
 * Invariants
 * 1. A store is idle when the others have written as much since its last write as its memtable holds memory, and a small part of all.
 *    It has no share then.
 * 2. An idle memtable is given back early only when it has cost the others as many flushes as giving it back costs: a memtable that is
 *    nearly full would be a table soon in any case, one that is nearly empty becomes a tiny table. Of a store that writes again soon
 *    after that it costs twice as many the next time: one that writes now and then must not become a row of tiny tables.
 * 3. A store that begins counts as much as the busiest one, until it has written as much as the smallest memtable holds.
 *
 * Cost: a few operations a store whenever a memtable is taken; nothing for a write. Some numbers a store.
 */
import type { Tenant } from './tenant.ts'
import { SMALLEST_ARENA_BYTES } from './arena-pool.ts'

/** What was written counts by 1/e after so much of the write memory was written by all. */
const HORIZON_SHARE = 1 / 4
/** A store that has not written while so much of it was is idle, if its memtable is not larger. */
const IDLE_SHARE = 1 / 32
/** Most that a store which came back too soon costs, in flushes. */
const MAX_PRICE = 16
/** A full memtable is not quite free: its store may go on in it. */
const MIN_PRICE = 1 / 4

interface Activity {
  /** As of the last look: bytes written in all, and those of late, which fade. */
  seenBytes: number
  recentBytes: number
  totalBytes: number
  /** When it was last seen to have written, in bytes written by all. */
  wroteAt: number
  /** Flushes that giving back an empty memtable early would cost. */
  price: number
  /** When it did, and for how long it had been idle; undefined: it has written since. */
  gaveBack: { at: number, after: number } | undefined
}

/** What is asked of a store: a part of `Tenant`. */
export type Worker = Pick<Tenant, 'writtenBytes' | 'reclaimableBytes' | 'unflushedBytes'>

export class IdleMemory<T extends Worker = Tenant> {
  readonly #activities = new Map<T, Activity>()
  /** Bytes written by all. */
  #clock = 0
  #leastIdleBytes = SMALLEST_ARENA_BYTES
  /** Flushes lost by those who found less memory than is theirs while idle stores held some. */
  #losses = 0

  admit(tenant: T): void {
    this.#activities.set(tenant, { seenBytes: tenant.writtenBytes(), recentBytes: 0, totalBytes: 0, wroteAt: this.#clock, price: 1, gaveBack: undefined })
  }

  dismiss(tenant: T): void { this.#activities.delete(tenant) }

  /** Take in what was written since the last look. */
  look(limitBytes: number): void {
    this.#leastIdleBytes = Math.max(SMALLEST_ARENA_BYTES, IDLE_SHARE * limitBytes)
    let written = 0
    for (const [tenant, { seenBytes }] of this.#activities) written += tenant.writtenBytes() - seenBytes
    if (written === 0) return
    this.#clock += written
    const horizonBytes = Math.max(SMALLEST_ARENA_BYTES, HORIZON_SHARE * limitBytes)
    const fade = Math.exp(-written / horizonBytes)
    for (const [tenant, activity] of this.#activities) {
      const bytes = tenant.writtenBytes() - activity.seenBytes
      activity.seenBytes += bytes
      activity.totalBytes += bytes
      // As much as one that writes alone has at most: a transaction that is committed may be any size.
      activity.recentBytes = Math.min(horizonBytes, activity.recentBytes * fade + bytes)
      if (bytes > 0) this.#hasWritten(activity)
    }
  }

  #hasWritten(activity: Activity): void {
    const { gaveBack, price } = activity
    activity.wroteAt = this.#clock
    if (gaveBack === undefined) return
    const wasEarly = this.#clock - gaveBack.at < gaveBack.after
    activity.price = wasEarly ? Math.min(MAX_PRICE, 2 * price) : Math.max(1, price / 2)
    activity.gaveBack = undefined
  }

  /** It has not written for long, as of the last look. */
  isIdle(tenant: T): boolean {
    const activity = this.#activities.get(tenant)
    return activity !== undefined && this.#clock - activity.wroteAt >= Math.max(this.#leastIdleBytes, tenant.reclaimableBytes())
  }

  /** The part of write memory, above 0 up to 1, that is for this store, as of the last look. Undefined: for one that is about to begin. */
  shareOf(taker: T | undefined): number {
    let busiest = SMALLEST_ARENA_BYTES
    for (const { recentBytes } of this.#activities.values()) busiest = Math.max(busiest, recentBytes)
    const weightOf = (tenant: T, { totalBytes, recentBytes }: Activity): number => {
      if (tenant !== taker && this.isIdle(tenant)) return 0
      if (totalBytes >= SMALLEST_ARENA_BYTES) return Math.sqrt(recentBytes)
      // Those who have just begun are there as soon as they hold memory.
      return tenant === taker || tenant.reclaimableBytes() > 0 ? Math.sqrt(busiest) : 0
    }
    let all = taker === undefined ? Math.sqrt(busiest) : 0
    let own = all
    for (const [tenant, activity] of this.#activities) {
      const weight = weightOf(tenant, activity)
      all += weight
      if (tenant === taker) own = weight
    }
    return all === 0 ? 1 : own / all
  }

  /** Somebody found only this part of the memory that is his: 0 nothing, 1 all of it. */
  recordTaken(part: number): void {
    if (part >= 1) return
    // Where nobody is idle others are the reason.
    this.#losses = this.#holders().length === 0 ? 0 : Math.min(MAX_PRICE, this.#losses + 1 - part)
  }

  /**
   * The idle store whose memtable is to be given back now: the most memory for the fewest flushes. Call `gaveBack` when it does, or
   * ask again without it. Undefined: none, or not yet.
   */
  victim(refused?: ReadonlySet<T>): T | undefined {
    let victim: T | undefined
    let most = 0
    for (const tenant of this.#holders()) {
      const price = this.#priceOf(tenant)
      const worth = tenant.reclaimableBytes() / Math.max(MIN_PRICE, price)
      if (refused?.has(tenant) === true || price > this.#losses || worth <= most) continue
      most = worth
      victim = tenant
    }
    return victim
  }

  /** It is about to: what it cost others is settled. */
  gaveBack(victim: T): void {
    this.#losses = Math.max(0, this.#losses - this.#priceOf(victim))
    const activity = this.#activities.get(victim)
    if (activity !== undefined) activity.gaveBack = { at: this.#clock, after: this.#clock - activity.wroteAt }
  }

  #holders(): T[] {
    return [...this.#activities.keys()].filter(tenant => tenant.reclaimableBytes() > 0 && this.isIdle(tenant))
  }

  /** Of giving this memtable back early, in flushes; an empty one costs none. */
  #priceOf(tenant: T): number {
    const bytes = tenant.unflushedBytes()
    if (bytes === 0) return 0
    return Math.max(MIN_PRICE, this.#activities.get(tenant)!.price * (1 - bytes / tenant.reclaimableBytes()))
  }
}
