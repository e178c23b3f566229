/**
 * Slots: memory of resident pages, one resizable buffer each, in size classes from 64 KiB doubling to 2 MiB; longer pages are
 * oversize.
 *
 * Invariants
 * 1. A slot takes its payload rounded up to 4 KiB, not its class size.
 * 2. Memory is leased before it is allocated, and released at once (`resize(0)`) unless it is kept warm.
 * 3. Warm slots are leased, up to `warmLimitBytes`.
 *
 * Cost: a warm slot nothing, a cold one 15 us for 64 KiB to 250 us for 2 MiB. Each slot is a mapping; Linux allows a process 65530,
 * so large pools need large pages.
 */
import type { Account } from '../memory/budget.ts'

export const SMALLEST_SLOT_BYTES = 64 * 1024
export const LARGEST_SLOT_BYTES = 2 * 2 ** 20
const GRAIN_BYTES = 4096
const CLASSES = 6
const MAX_EMPTY = 64

export type Slot = Uint8Array<ArrayBuffer>

export function slotBytes(length: number): number {
  return Math.ceil(length / GRAIN_BYTES) * GRAIN_BYTES
}

export class SlotPool {
  readonly #account: Account
  readonly #poison: boolean
  /** Per class, last used at the end. */
  readonly #warm: Slot[][] = Array.from({ length: CLASSES }, () => [])
  readonly #empty: Slot[][] = Array.from({ length: CLASSES }, () => [])
  readonly #inUse = new Set<Slot>()
  #usedBytes = 0
  #warmBytes = 0
  #warmLimitBytes = 0
  #oversizeBytes = 0
  #reuses = 0

  constructor(account: Account, poison: boolean) {
    this.#account = account
    this.#poison = poison
  }

  get usedBytes(): number { return this.#usedBytes }
  get warmBytes(): number { return this.#warmBytes }
  get oversizeBytes(): number { return this.#oversizeBytes }
  get reuses(): number { return this.#reuses }

  /** Undefined if the lease was denied. `reclaim`: ask reclaimers. */
  take(length: number, reclaim: boolean): Slot | undefined {
    const bytes = slotBytes(length)
    const list = this.#warm[classOf(bytes)]
    const warm = list?.pop()
    if (warm !== undefined) {
      const had = warm.byteLength
      this.#warmBytes -= had
      if (had >= bytes || this.#account.grow(bytes - had, reclaim)) {
        warm.buffer.resize(bytes)
        if (had > bytes) this.#account.shrink(had - bytes)
        this.#usedBytes += bytes
        this.#inUse.add(warm)
        this.#reuses++
        return warm
      }
      this.#discard(warm, had)
    }
    if (!this.#account.grow(bytes, reclaim)) {
      // Trade warm slots of other classes.
      if (this.#warmBytes === 0) return undefined
      this.releaseWarm(bytes)
      if (!this.#account.grow(bytes, reclaim)) return undefined
    }
    try {
      const slot = this.#make(bytes)
      this.#usedBytes += bytes
      this.#inUse.add(slot)
      if (bytes > LARGEST_SLOT_BYTES) this.#oversizeBytes += bytes
      return slot
    } catch {
      // The system has less memory than the budget promises.
      this.#account.shrink(bytes)
      return undefined
    }
  }

  release(slot: Slot): void {
    const bytes = slot.byteLength
    this.#usedBytes -= bytes
    this.#inUse.delete(slot)
    if (bytes > LARGEST_SLOT_BYTES) this.#oversizeBytes -= bytes
    if (this.#poison) slot.fill(0xa5)
    if (bytes <= LARGEST_SLOT_BYTES && this.#warmBytes + bytes <= this.#warmLimitBytes) {
      this.#warm[classOf(bytes)]!.push(slot)
      this.#warmBytes += bytes
    } else {
      this.#discard(slot, bytes)
    }
  }

  setWarmLimit(bytes: number): void {
    this.#warmLimitBytes = bytes
    if (this.#warmBytes > bytes) this.releaseWarm(this.#warmBytes - bytes)
  }

  /** Largest class first. Returns the bytes released. */
  releaseWarm(bytes: number): number {
    let released = 0
    for (let i = CLASSES - 1; i >= 0; i--) {
      const list = this.#warm[i]!
      while (released < bytes && list.length > 0) {
        const slot = list.shift()!
        const had = slot.byteLength
        this.#warmBytes -= had
        released += had
        this.#discard(slot, had)
      }
    }
    return released
  }

  measure(): number {
    let bytes = 0
    for (const list of this.#warm) for (const slot of list) bytes += slot.buffer.byteLength
    for (const slot of this.#inUse) bytes += slot.buffer.byteLength
    return bytes
  }

  close(): void {
    this.#warmLimitBytes = 0
    this.releaseWarm(Infinity)
    for (const slot of [...this.#inUse]) this.release(slot)
    for (const list of this.#empty) list.length = 0
  }

  #make(bytes: number): Slot {
    const slot = this.#empty[classOf(bytes)]?.pop()
    if (slot !== undefined) {
      slot.buffer.resize(bytes)
      return slot
    }
    const maxByteLength = bytes > LARGEST_SLOT_BYTES ? bytes : SMALLEST_SLOT_BYTES << classOf(bytes)
    return new Uint8Array(new ArrayBuffer(bytes, { maxByteLength }))
  }

  #discard(slot: Slot, bytes: number): void {
    slot.buffer.resize(0)
    this.#account.shrink(bytes)
    const list = bytes > LARGEST_SLOT_BYTES ? undefined : this.#empty[classOf(bytes)]
    if (list !== undefined && list.length < MAX_EMPTY) list.push(slot)
  }
}

function classOf(bytes: number): number {
  if (bytes > LARGEST_SLOT_BYTES) return CLASSES
  let index = 0
  while (SMALLEST_SLOT_BYTES << index < bytes) index++
  return index
}
