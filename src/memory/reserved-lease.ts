/**
 * One lease for many small things that come and go, with a spare part that nobody else can take: so that what must not be
 * denied (the metadata of the tables that a flush makes) finds room even when everything else is leased by others.
 *
 * Invariants
 * 1. lease = used + spare; spare <= `spareBytes`. What is used never exceeds what is leased.
 * 2. The spare is eaten only when the budget denies more, and is filled up again, from what comes back first, as soon as it can be.
 *
 * Account: whichever it is made with.
 */
import { SpillwayError } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from './budget.ts'

export class ReservedLease {
  readonly #account: Account
  readonly #wantedBytes: number
  readonly #lease: Lease
  #usedBytes = 0

  /** Leases the spare; throws BUDGET_TOO_SMALL when there is no room for it. */
  constructor(account: Account, spareBytes: number) {
    this.#account = account
    this.#wantedBytes = spareBytes
    this.#lease = account.lease(spareBytes)
  }

  get usedBytes(): number { return this.#usedBytes }
  /** Leased and not used. */
  get spareBytes(): number { return this.#lease.bytes - this.#usedBytes }

  /** Take bytes. Throws BUDGET_TOO_SMALL when neither the budget nor the spare, less `keptBytes` of it, has them. */
  take(bytes: number, keptBytes = 0): void {
    const usedBytes = this.#usedBytes + bytes
    if (!this.#fill(usedBytes) && usedBytes + keptBytes > this.#lease.bytes) throw this.#denied(bytes)
    this.#usedBytes = usedBytes
  }

  give(bytes: number): void {
    if (bytes > this.#usedBytes) throw new Error(`${this.#account.name}: ${bytes} bytes returned, ${this.#usedBytes} used`)
    this.#usedBytes -= bytes
    this.#fill(this.#usedBytes)
  }

  close(): void {
    this.#lease.release()
  }

  /** Bring the lease to what is used and the spare; false when it does not fit, then as it was. */
  #fill(usedBytes: number): boolean {
    const wanted = usedBytes + this.#wantedBytes
    return wanted === this.#lease.bytes || this.#lease.resize(wanted)
  }

  #denied(bytes: number): SpillwayError {
    const { name, budget } = this.#account
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `no room for ${formatSize(bytes)} of ${name}: ${formatSize(budget.usedBytes)} of ${formatSize(budget.totalBytes)} in use, ${formatSize(this.spareBytes)} kept for it. ${budget.advice()}`,
      { details: { account: name, bytes, usedBytes: budget.usedBytes, budgetBytes: budget.totalBytes, spareBytes: this.spareBytes } },
    )
  }
}
