/**
 * One lease for many small objects that must be made even without memory. What cannot be leased is owed, and leased once there is
 * memory.
 *
 * Invariants
 * 1. bytes leased + bytes owed >= bytes in use; nothing is owed while there is memory for it.
 * 2. Beyond `freelyBytes` it leaves `leaveBytes` of the budget free: its memory comes back only when its owners release it, and
 *    flushes need some to end.
 *
 * Owed instead of reserved: a reserve for any number of objects would be the whole budget.
 *
 * Account: its owner's. Cost: an addition and two comparisons per change; the ledger is asked once in 4 KiB.
 */
import type { Account, Lease } from './budget.ts'

const STEP_BYTES = 4096
/** Changes after a denial before reclaimers are asked again: they would drop memory in use. */
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
  /** Bytes in use without a lease. */
  get owedBytes(): number { return Math.max(0, this.#wanted - this.#lease.bytes) }

  /** Change the bytes in use. Never fails. Zero: lease owed bytes if there is memory now. */
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
