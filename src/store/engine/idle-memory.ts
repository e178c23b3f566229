/**
 * Which stores of a budget are active, and which idle memtable is worth more to the others.
 *
 *   share of a store = sqrt(its recent bytes) / sum of sqrt(recent bytes)     minimises flushes for a given load
 *
 * Time is counted in bytes written by all stores, without a clock; without writes nothing ages.
 *
 * Invariants
 * 1. A store is idle when the others have written as much since its last write as its arena holds, and a small part of all. Its
 *    share is 0.
 * 2. An idle memtable is given back early only when it has cost the others as many flushes as giving it back costs: a nearly full
 *    one would soon be a table anyway, a nearly empty one becomes a tiny table. The cost doubles for a store that writes again soon
 *    after.
 * 3. A new store counts like the busiest one until it has written as much as the smallest arena holds.
 *
 * Cost: a few operations per store whenever an arena is taken; nothing per write.
 */
import type { Tenant } from './tenant.ts'
import { SMALLEST_ARENA_BYTES } from './arena-pool.ts'

/** Bytes fade by 1/e after this share of the write memory was written by all. */
const HORIZON_SHARE = 1 / 4
/** A store is idle after this share of the write memory was written without it, or its arena's size if larger. */
const IDLE_SHARE = 1 / 32
/** Maximum price of a store that came back too soon, in flushes. */
const MAX_PRICE = 16
/** A full memtable is not free: its store may continue in it. */
const MIN_PRICE = 1 / 4

interface Activity {
  /** At the last look: bytes written in all, and the fading recent bytes. */
  seenBytes: number
  recentBytes: number
  totalBytes: number
  /** Last write seen, in bytes written by all. */
  wroteAt: number
  /** Flushes that giving back an empty memtable early costs. */
  price: number
  /** When it last did, and how long it had been idle; undefined: it has written since. */
  gaveBack: { at: number, after: number } | undefined
}

/** The part of `Tenant` used here. */
export type Worker = Pick<Tenant, 'writtenBytes' | 'reclaimableBytes' | 'unflushedBytes'>

export class IdleMemory<T extends Worker = Tenant> {
  readonly #activities = new Map<T, Activity>()
  /** Bytes written by all. */
  #clock = 0
  #leastIdleBytes = SMALLEST_ARENA_BYTES
  /** Flushes lost by stores that found less than their share while idle ones held memory. */
  #losses = 0

  admit(tenant: T): void {
    this.#activities.set(tenant, { seenBytes: tenant.writtenBytes(), recentBytes: 0, totalBytes: 0, wroteAt: this.#clock, price: 1, gaveBack: undefined })
  }

  dismiss(tenant: T): void { this.#activities.delete(tenant) }

  /** Count the bytes written since the last look. */
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
      // Capped at a lone writer's maximum: a committed transaction may be any size.
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

  /** Idle at the last look. */
  isIdle(tenant: T): boolean {
    const activity = this.#activities.get(tenant)
    return activity !== undefined && this.#clock - activity.wroteAt >= Math.max(this.#leastIdleBytes, tenant.reclaimableBytes())
  }

  /** Share of write memory of this store, above 0 up to 1, at the last look. Undefined: a store about to begin. */
  shareOf(taker: T | undefined): number {
    let busiest = SMALLEST_ARENA_BYTES
    for (const { recentBytes } of this.#activities.values()) busiest = Math.max(busiest, recentBytes)
    const weightOf = (tenant: T, { totalBytes, recentBytes }: Activity): number => {
      if (tenant !== taker && this.isIdle(tenant)) return 0
      if (totalBytes >= SMALLEST_ARENA_BYTES) return Math.sqrt(recentBytes)
      // New stores count once they hold memory.
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

  /** A store found this part of its share: 0 nothing, 1 all of it. */
  recordTaken(part: number): void {
    if (part >= 1) return
    // Without idle stores the reason is another.
    this.#losses = this.#holders().length === 0 ? 0 : Math.min(MAX_PRICE, this.#losses + 1 - part)
  }

  /**
   * The idle store to flush now: the most memory for the fewest flushes. Call `gaveBack` if it does, else ask again with it
   * refused. Undefined: none, or not yet.
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

  /** It is about to flush: its cost to others is settled. */
  gaveBack(victim: T): void {
    this.#losses = Math.max(0, this.#losses - this.#priceOf(victim))
    const activity = this.#activities.get(victim)
    if (activity !== undefined) activity.gaveBack = { at: this.#clock, after: this.#clock - activity.wroteAt }
  }

  #holders(): T[] {
    return [...this.#activities.keys()].filter(tenant => tenant.reclaimableBytes() > 0 && this.isIdle(tenant))
  }

  /** Flushes that giving this memtable back early costs; an empty one costs none. */
  #priceOf(tenant: T): number {
    const bytes = tenant.unflushedBytes()
    if (bytes === 0) return 0
    return Math.max(MIN_PRICE, this.#activities.get(tenant)!.price * (1 - bytes / tenant.reclaimableBytes()))
  }
}
