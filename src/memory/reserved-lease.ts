/**
 * One lease for many small allocations, with a spare part no other account can take, for those that must not be denied (the
 * metadata of a flush's tables).
 *
 * Invariants
 * 1. lease = used + spare; spare <= `spareBytes`.
 * 2. The spare is used only when the budget denies more, and refilled from the first bytes that come back.
 *
 * Account: its owner's.
 */
import { SpillwayError } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from './budget.ts'

export class ReservedLease {
  readonly account: Account
  readonly #wantedBytes: number
  readonly #lease: Lease
  #usedBytes = 0

  /** Leases the spare. Throws BUDGET_TOO_SMALL. */
  constructor(account: Account, spareBytes: number) {
    this.account = account
    this.#wantedBytes = spareBytes
    this.#lease = account.lease(spareBytes)
  }

  get usedBytes(): number { return this.#usedBytes }
  /** Leased and unused. */
  get spareBytes(): number { return this.#lease.bytes - this.#usedBytes }

  /** Take bytes. Throws BUDGET_TOO_SMALL when neither the budget nor the spare, less `keptBytes` of it, has them. */
  take(bytes: number, keptBytes = 0): void {
    const usedBytes = this.#usedBytes + bytes
    if (!this.#fill(usedBytes) && usedBytes + keptBytes > this.#lease.bytes) throw this.#denied(bytes)
    this.#usedBytes = usedBytes
  }

  give(bytes: number): void {
    if (bytes > this.#usedBytes) throw new Error(`${this.account.name}: ${bytes} bytes returned, ${this.#usedBytes} used`)
    this.#usedBytes -= bytes
    this.#fill(this.#usedBytes)
  }

  close(): void {
    this.#lease.release()
  }

  /** Resize the lease to used + spare. False, and unchanged: no memory. */
  #fill(usedBytes: number): boolean {
    const wanted = usedBytes + this.#wantedBytes
    return wanted === this.#lease.bytes || this.#lease.resize(wanted)
  }

  #denied(bytes: number): SpillwayError {
    const { name, budget } = this.account
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `no room for ${formatSize(bytes)} of ${name}: ${formatSize(budget.usedBytes)} of ${formatSize(budget.totalBytes)} in use, ${formatSize(this.spareBytes)} kept for it. ${budget.advice()}`,
      { details: { account: name, bytes, usedBytes: budget.usedBytes, budgetBytes: budget.totalBytes, spareBytes: this.spareBytes } },
    )
  }
}
