/**
 * The memory of the block cache: equal slots, each leased before it is allocated and freed at once when given back.
 *
 * Account: the cache's.
 */
import type { Account, Lease } from '../memory/budget.ts'
import { NONE } from './block-directory.ts'

export class Slot {
  readonly id: number
  readonly bytes: Uint8Array<ArrayBuffer>
  lease: Lease
  usedBytes = 0
  /** The chain of its blocks: entries of the directory. */
  first = NONE
  last = NONE
  /** The next younger slot. */
  younger: Slot | undefined = undefined

  constructor(id: number, bytes: Uint8Array<ArrayBuffer>, lease: Lease) {
    this.id = id
    this.bytes = bytes
    this.lease = lease
  }
}

export class SlotPool {
  readonly account: Account
  /** By id, held or given back. */
  readonly slots: Slot[] = []
  /** Slots in use. */
  held = 0
  readonly #slotBytes: number
  /** Slots given back, with empty buffers for reuse. */
  readonly #spare: Slot[] = []

  constructor(account: Account, slotBytes: number) {
    this.account = account
    this.#slotBytes = slotBytes
  }

  /** The existing buffers, counted one by one. */
  measure(): number {
    let bytes = 0
    for (const slot of this.slots) bytes += slot.bytes.buffer.byteLength
    return bytes
  }

  /** An empty slot from free memory; undefined: there is none. */
  take(): Slot | undefined {
    // Checked first: a full budget is normal here, not a denial worth counting.
    if (this.account.budget.freeBytes < this.#slotBytes) return undefined
    const lease = this.account.tryLease(this.#slotBytes, false)
    if (lease === undefined) return undefined
    try {
      let slot = this.#spare.pop()
      if (slot === undefined) {
        // Resizable, because only resize(0) frees memory at once.
        const buffer = new ArrayBuffer(this.#slotBytes, { maxByteLength: this.#slotBytes })
        slot = new Slot(this.slots.length, new Uint8Array(buffer, 0, this.#slotBytes), lease)
        this.slots.push(slot)
      } else {
        slot.bytes.buffer.resize(this.#slotBytes)
        slot.lease = lease
      }
      this.held++
      return slot
    } catch {
      // The system has less memory than the budget promises.
      lease.release()
      return undefined
    }
  }

  giveBack(slot: Slot): void {
    slot.first = slot.last = NONE
    slot.usedBytes = 0
    slot.younger = undefined
    slot.bytes.buffer.resize(0)
    slot.lease.release()
    this.#spare.push(slot)
    this.held--
  }

  clear(): void {
    this.slots.length = this.#spare.length = 0
  }
}
