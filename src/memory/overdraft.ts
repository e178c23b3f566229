/**
 * An allowance: one lease for many small objects of which each may be made even when there is no room, because making it must
 * not fail. What could not be leased is owed, and leased as soon as there is room.
 *
 * Invariants
 * 1. bytes leased + bytes owed >= what was asked for; nothing is owed while there is room for it.
 * 2. Beyond `freelyBytes` it leaves `leaveBytes` of the budget to others: what it holds comes back only when its owners let
 *    go, so it must not take what a flush needs to end.
 *
 * Why owed, and not a reserve: a reserve large enough for any number of objects would be the whole budget.
 * Account: its owner's. Cost: an addition and two comparisons a change; the ledger is asked once in 4 KiB.
 */
import type { Account, Lease } from './budget.ts'

const STEP_BYTES = 4096
/** After a refusal others are asked again only after so many changes: asking makes them drop what they would use again. */
const PAUSE = 64

export class Overdraft {
  readonly #lease: Lease
  readonly #freelyBytes: number
  readonly #leaveBytes: number
  #wanted = 0
  #pause = 0

  constructor(account: Account, freelyBytes: number, leaveBytes: number) {
    this.#lease = account.lease(0)
    this.#freelyBytes = freelyBytes
    this.#leaveBytes = leaveBytes
  }

  /** Bytes leased. */
  get bytes(): number { return this.#lease.bytes }
  /** Bytes in use that no lease stands for. */
  get owedBytes(): number { return Math.max(0, this.#wanted - this.#lease.bytes) }

  /** More (or, negative, fewer) bytes are in use. Never fails. Zero: lease what is owed, if there is room now. */
  change(bytes: number): void {
    this.#wanted += bytes
    const lease = this.#lease
    const target = Math.ceil(this.#wanted / STEP_BYTES) * STEP_BYTES
    if (target < lease.bytes) lease.resize(target)
    else if (target > lease.bytes) this.#grow(target)
  }

  close(): void {
    this.#wanted = 0
    this.#lease.release()
  }

  #grow(target: number): void {
    const lease = this.#lease
    const { budget } = lease.account
    const leave = target <= this.#freelyBytes ? 0 : this.#leaveBytes
    const missing = target - lease.bytes
    if (budget.freeBytes < missing + leave) {
      if (this.#pause > 0) {
        this.#pause--
        return
      }
      if (!budget.makeRoom(missing + leave)) {
        this.#pause = PAUSE
        const some = Math.floor((budget.freeBytes - leave) / STEP_BYTES) * STEP_BYTES
        if (some > 0) lease.resize(lease.bytes + some, false)
        return
      }
    }
    this.#pause = lease.resize(target, false) ? 0 : PAUSE
  }
}
