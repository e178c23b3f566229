/**
 * Files of large values, and who refers to each: memtables and tables. A file that nobody refers to any more is removed.
 *
 * Account: `table metadata` (one map entry per file).
 */
import { SpillwayError } from '../base/errors.ts'
import type { Account, Lease } from '../memory/budget.ts'

/** A map entry and its number, measured generously. */
const BYTES_PER_FILE = 64

export class ValueFiles {
  readonly #discard: (number: number) => void
  readonly #references = new Map<number, number>()
  readonly #lease: Lease

  /** `discard` removes a file. */
  constructor(discard: (number: number) => void, account: Account) {
    this.#discard = discard
    this.#lease = account.lease(0)
  }

  /** Make sure that one more can be counted, before its file is written. Throws BUDGET_TOO_SMALL. */
  makeRoom(): void {
    const bytes = (this.#references.size + 1) * BYTES_PER_FILE
    if (bytes <= this.#lease.bytes || this.#lease.resize(bytes)) return
    throw new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `no room to keep track of a further file of a large value: there are ${this.#references.size}. Raise the budget`,
      { details: { valueFiles: this.#references.size } },
    )
  }

  get count(): number { return this.#references.size }

  has(number: number): boolean { return this.#references.has(number) }

  numbers(): number[] { return [...this.#references.keys()] }

  retain(numbers: readonly number[]): void {
    for (const number of numbers) this.#references.set(number, (this.#references.get(number) ?? 0) + 1)
    this.#lease.resize(this.#references.size * BYTES_PER_FILE)
  }

  /** Let go of references; files without any are removed. */
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
    this.#lease.resize(this.#references.size * BYTES_PER_FILE)
  }

  close(): void {
    this.#lease.release()
  }
}
