/**
 * Slots: the memory of resident pages, one resizable buffer each, in size classes from 64 KiB doubling to 2 MiB; longer pages are
 * oversize and have a buffer of their own length.
 *
 * 1. A slot takes its payload rounded up to 4 KiB, not its class: what is leased is what is there.
 * 2. Leased before it is allocated; a slot that is not kept gives its memory back at once (`resize(0)`).
 * 3. Slots that came back are kept warm up to `warmLimitBytes`; those are leased too.
 *
 * Cost: a warm slot none, a cold one 15 us for 64 KiB to 250 us for 2 MiB. Each slot is a mapping of its own: the kernel allows
 * 65530 a process, so pages of a pool of many GiB should be large.
 */
import type { Account } from '../memory/budget.ts'

export const SMALLEST_SLOT_BYTES = 64 * 1024
export const LARGEST_SLOT_BYTES = 2 * 2 ** 20
const GRAIN_BYTES = 4096
const CLASSES = 6
/** Buffers without memory that are kept per class to be used again. */
const MAX_EMPTY = 64

/** A view that follows its buffer's length. */
export type Slot = Uint8Array<ArrayBuffer>

/** What a page of this length takes. */
export function slotBytes(length: number): number {
  return Math.ceil(length / GRAIN_BYTES) * GRAIN_BYTES
}

export class SlotPool {
  readonly #account: Account
  readonly #poison: boolean
  /** Free slots with their memory, by class, the last used last. */
  readonly #warm: Slot[][] = Array.from({ length: CLASSES }, () => [])
  readonly #empty: Slot[][] = Array.from({ length: CLASSES }, () => [])
  readonly #out = new Set<Slot>()
  #usedBytes = 0
  #warmBytes = 0
  #warmLimitBytes = 0
  #oversizeBytes = 0
  #reuses = 0

  constructor(account: Account, poison: boolean) {
    this.#account = account
    this.#poison = poison
  }

  /** Bytes of slots that are out. */
  get usedBytes(): number { return this.#usedBytes }
  get warmBytes(): number { return this.#warmBytes }
  /** Of those that are out. */
  get oversizeBytes(): number { return this.#oversizeBytes }
  /** Warm slots taken again. */
  get reuses(): number { return this.#reuses }

  /** A slot for a page of this length, contents arbitrary; undefined when the account has no room. `reclaim`: others are asked for it. */
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
        this.#out.add(warm)
        this.#reuses++
        return warm
      }
      this.#letGo(warm, had)
    }
    if (!this.#account.grow(bytes, reclaim)) {
      // Warm slots of other classes are worth less than this one.
      if (this.#warmBytes === 0) return undefined
      this.releaseWarm(bytes)
      if (!this.#account.grow(bytes, reclaim)) return undefined
    }
    try {
      const slot = this.#make(bytes)
      this.#usedBytes += bytes
      this.#out.add(slot)
      if (bytes > LARGEST_SLOT_BYTES) this.#oversizeBytes += bytes
      return slot
    } catch {
      // The system has less memory than the budget promises.
      this.#account.shrink(bytes)
      return undefined
    }
  }

  /** Take a slot back, to keep it warm if there is room for it. */
  give(slot: Slot): void {
    const bytes = slot.byteLength
    this.#usedBytes -= bytes
    this.#out.delete(slot)
    if (bytes > LARGEST_SLOT_BYTES) this.#oversizeBytes -= bytes
    if (this.#poison) slot.fill(0xa5)
    if (bytes <= LARGEST_SLOT_BYTES && this.#warmBytes + bytes <= this.#warmLimitBytes) {
      this.#warm[classOf(bytes)]!.push(slot)
      this.#warmBytes += bytes
    } else {
      this.#letGo(slot, bytes)
    }
  }

  setWarmLimit(bytes: number): void {
    this.#warmLimitBytes = bytes
    if (this.#warmBytes > bytes) this.releaseWarm(this.#warmBytes - bytes)
  }

  /** Give back at least `bytes` of warm slots if there are so many, the largest class first; returns how many. */
  releaseWarm(bytes: number): number {
    let given = 0
    for (let i = CLASSES - 1; i >= 0; i--) {
      const list = this.#warm[i]!
      while (given < bytes && list.length > 0) {
        const slot = list.shift()!
        const had = slot.byteLength
        this.#warmBytes -= had
        given += had
        this.#letGo(slot, had)
      }
    }
    return given
  }

  /** The buffers that are there, counted one by one. */
  measure(): number {
    let bytes = 0
    for (const list of this.#warm) for (const slot of list) bytes += slot.buffer.byteLength
    for (const slot of this.#out) bytes += slot.buffer.byteLength
    return bytes
  }

  /** Give everything back, slots that are out too. */
  close(): void {
    this.#warmLimitBytes = 0
    this.releaseWarm(Infinity)
    for (const slot of [...this.#out]) this.give(slot)
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

  #letGo(slot: Slot, bytes: number): void {
    slot.buffer.resize(0)
    this.#account.shrink(bytes)
    const list = bytes > LARGEST_SLOT_BYTES ? undefined : this.#empty[classOf(bytes)]
    if (list !== undefined && list.length < MAX_EMPTY) list.push(slot)
  }
}

/** CLASSES and more = oversize. */
function classOf(bytes: number): number {
  if (bytes > LARGEST_SLOT_BYTES) return CLASSES
  let index = 0
  while (SMALLEST_SLOT_BYTES << index < bytes) index++
  return index
}
