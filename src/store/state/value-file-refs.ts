/**
 * Value files and their reference counts, from memtables and tables. Unreferenced files are removed.
 *
 * Account: `table metadata` (one map entry per file).
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Account, Lease } from '../../memory/budget.ts'

/** A map entry, and the file's slots in a memtable's list and the set of unsynced files. */
const BYTES_PER_FILE = 64

export class ValueFileRefs {
  readonly #discard: (number: number) => void
  readonly #references = new Map<number, number>()
  readonly #lease: Lease
  #reserved = 0

  /** `discard` removes a file. */
  constructor(discard: (number: number) => void, account: Account) {
    this.#discard = discard
    this.#lease = account.lease(0)
  }

  /** Reserve memory for `count` more files, from before they are written until they are referenced. False: no memory now. */
  reserve(count: number): boolean {
    const files = this.#references.size + count
    if (!this.#lease.resize(files * BYTES_PER_FILE)) return false
    this.#reserved = count
    return true
  }

  get count(): number { return this.#references.size }

  has(number: number): boolean { return this.#references.has(number) }

  numbers(): number[] { return [...this.#references.keys()] }

  /** Throws BUDGET_TOO_SMALL when there is no memory for unreserved files. */
  retain(numbers: readonly number[]): void {
    for (const number of numbers) {
      const before = this.#references.get(number)
      if (before === undefined) this.#grow()
      this.#references.set(number, (before ?? 0) + 1)
    }
  }

  /** Drop references; files without any are removed. */
  release(numbers: readonly number[]): void {
    for (const number of numbers) {
      const left = (this.#references.get(number) ?? 0) - 1
      if (left > 0) {
        this.#references.set(number, left)
      } else {
        this.#references.delete(number)
        this.#discard(number)
      }
    }
    const bytes = (this.#references.size + this.#reserved) * BYTES_PER_FILE
    if (bytes < this.#lease.bytes) this.#lease.resize(bytes)
  }

  close(): void {
    this.#lease.release()
  }

  /** Memory for one more; there is some if it was reserved. */
  #grow(): void {
    const bytes = (this.#references.size + 1) * BYTES_PER_FILE
    if (bytes > this.#lease.bytes && !this.#lease.resize(bytes)) throw this.#noRoom()
  }

  #noRoom(): SpillwayError {
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `no room to keep track of a further file of a large value: there are ${this.#references.size}. ${this.#lease.account.budget.advice()}`,
      { details: { valueFiles: this.#references.size } },
    )
  }
}
