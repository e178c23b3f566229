/**
 * The memory of the block cache: equal slots, each leased before it is allocated and freed at once when given back.
 *
 * Account: the cache's.
 */
import type { Account } from '../memory/budget.ts'
import { Slabs } from '../memory/pools/slabs.ts'
import type { SlabBytes } from '../memory/pools/slabs.ts'
import { NONE } from './block-directory.ts'

const NO_BYTES: SlabBytes = new Uint8Array(new ArrayBuffer(0))

export class Slot {
  readonly id: number
  bytes: SlabBytes
  usedBytes = 0
  /** The chain of its blocks: entries of the directory. */
  first = NONE
  last = NONE
  /** The next younger slot. */
  younger: Slot | undefined = undefined

  constructor(id: number, bytes: SlabBytes) {
    this.id = id
    this.bytes = bytes
  }
}

export class SlotPool {
  /** By id, in use or given back. */
  readonly slots: Slot[] = []
  readonly #slabs: Slabs
  /** Slots given back, without memory. */
  readonly #spare: Slot[] = []

  constructor(account: Account, slotBytes: number) {
    this.#slabs = new Slabs(account, slotBytes)
  }

  get account(): Account { return this.#slabs.account }
  /** Slots in use. */
  get held(): number { return this.#slabs.count }

  /** The existing buffers, counted one by one. */
  measure(): number {
    let bytes = 0
    for (const slot of this.slots) bytes += slot.bytes.buffer.byteLength
    return bytes
  }

  /** An empty slot from free memory; undefined: there is none. */
  take(): Slot | undefined {
    const bytes = this.#slabs.take(false)
    if (bytes === undefined) return undefined
    const spare = this.#spare.pop()
    if (spare !== undefined) {
      spare.bytes = bytes
      return spare
    }
    const slot = new Slot(this.slots.length, bytes)
    this.slots.push(slot)
    return slot
  }

  giveBack(slot: Slot): void {
    this.#slabs.giveBack(slot.bytes)
    slot.bytes = NO_BYTES
    slot.first = slot.last = NONE
    slot.usedBytes = 0
    slot.younger = undefined
    this.#spare.push(slot)
  }

  clear(): void {
    this.slots.length = this.#spare.length = 0
    this.#slabs.clear()
  }
}
