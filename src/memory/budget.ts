/**
 * The budget: one number of bytes, named accounts, and leases taken before anything is allocated.
 *
 * Invariants
 * 1. used = sum of all leases <= total, at every instant.
 * 2. Every lease belongs to one account; an account's bytes are the sum of its leases.
 * 3. A lease is released once; releasing more than is held is an error.
 *
 * When a lease does not fit, reclaimers are asked in order (`reclaim-order.ts`) to free bytes. If that is not enough the lease is
 * denied, and the caller decides: flush first, use less, or go without.
 */
import type { InspectOptions } from 'node:util'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { IDENTITY, nextIdentity } from '../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import { formatSize, parseSize } from '../base/sizes.ts'
import { ACCOUNTS } from './accounts.ts'
import type { AccountEntry, AccountName } from './accounts.ts'
import type { OpenHandles } from './open-handles.ts'
import { RECLAIM_ORDER } from './reclaim-order.ts'
import type { ReclaimerName } from './reclaim-order.ts'

/** @internal Frees at least `bytes` if possible; returns how many (its leases already shrunk). */
export type Reclaimer = (bytes: number) => number

/** The budget of each report, so that several stores on one budget are not counted twice. */
const reporters = new WeakMap<MemoryReport, Budget>()

export interface AccountReport {
  /** Bytes leased now. */
  bytes: number
  /** Maximum ever leased at once. */
  highWaterBytes: number
  /** Its bound, in words. */
  bound: string
  /** Bytes of the existing buffers, where they can be counted: at most `bytes`, except for one write that waits inside its call. */
  heldBytes?: number
}

export interface MemoryReport {
  budgetBytes: number
  usedBytes: number
  highWaterBytes: number
  /** Denied leases since the start. */
  denied: number
  accounts: Record<string, AccountReport>
}

/**
 * Memory for one or several stores: pass it as `budget` to `Spillway.open`. `db.setBudget` changes it.
 * @example
 * ```ts
 * const budget = new Budget('64 MiB')
 * const users = await Spillway.open('users', { budget })
 * const orders = await Spillway.open('orders', { budget })
 * console.log(budget.usedBytes <= budget.totalBytes)
 * await users.close()
 * await orders.close()
 * ```
 */
export class Budget {
  #totalBytes: number
  #usedBytes = 0
  #highWaterBytes = 0
  #denied = 0
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()
  readonly #accounts = new Map<string, Account>()
  /** Ascending by order, then by registration. */
  readonly #reclaimers: { order: number, reclaim: Reclaimer }[] = []
  /** @internal For tests: true denies a lease. */
  denies: ((account: string, bytes: number) => boolean) | undefined
  #handles: OpenHandles | undefined

  /**
   * `size`: bytes, or a text such as "64 MiB".
   * @throws SPILLWAY_INVALID_ARGUMENT
   */
  constructor(size: number | string) {
    this.#totalBytes = parseSize(size, 'budget')
  }

  /** @internal Open handles of its stores and pools, while they are watched. */
  get handles(): OpenHandles | undefined { return this.#handles }
  set handles(handles: OpenHandles | undefined) { this.#handles = handles }

  get totalBytes(): number { return this.#totalBytes }

  get usedBytes(): number { return this.#usedBytes }
  /** Bytes that could be leased now; 0 while a lowered total is exceeded. */
  get freeBytes(): number { return Math.max(0, this.totalBytes - this.#usedBytes) }
  get [Symbol.toStringTag](): string { return 'Budget' }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#totalBytes in this)) return inspectPrototype('Budget')
    return inspectFields(this, 'Budget', { totalBytes: this.#totalBytes, usedBytes: this.#usedBytes }, { depth, options, inspect })
  }

  /** @internal The budget that made a report; undefined: none did. */
  static of(report: MemoryReport): Budget | undefined { return reporters.get(report) }

  /** @internal */
  get accounts(): Iterable<Account> { return this.#accounts.values() }
  /** @internal Denied leases since the start. */
  get denied(): number { return this.#denied }

  /** @internal The account of that name. Default of `bound`: that of `accounts.ts`. */
  account(name: AccountName): Account
  /** @internal */
  account(name: string, bound: string): Account
  account(name: string, bound?: string): Account {
    let account = this.#accounts.get(name)
    if (account === undefined) {
      const entry: AccountEntry | undefined = ACCOUNTS[name as AccountName]
      account = new Account(this, name, bound ?? entry.bound, entry?.remedy)
      this.#accounts.set(name, account)
    }
    return account
  }

  /** @internal Register a reclaimer. Returns its removal. */
  addReclaimer(name: ReclaimerName, reclaim: Reclaimer): () => void {
    const { order } = RECLAIM_ORDER[name]
    const entry = { order, reclaim }
    const at = this.#reclaimers.findIndex(other => other.order > order)
    this.#reclaimers.splice(at === -1 ? this.#reclaimers.length : at, 0, entry)
    return () => {
      const i = this.#reclaimers.indexOf(entry)
      if (i >= 0) this.#reclaimers.splice(i, 1)
    }
  }

  /**
   * @internal Change the total. Raised at once. Lowered, nothing is leased until the leases fit: reclaimers are asked now, the rest
   *   comes back as flushes and merges end. `db.setBudget` checks the floor first.
   */
  setTotal(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw invalidArgument(`a budget of ${bytes} bytes`)
    this.#totalBytes = bytes
    this.#reclaim(0)
  }

  report(): MemoryReport {
    const accounts: Record<string, AccountReport> = {}
    for (const account of this.#accounts.values()) {
      const { bytes, highWaterBytes, bound, measure } = account
      accounts[account.name] = { bytes, highWaterBytes, bound, ...(measure === undefined ? {} : { heldBytes: measure() }) }
    }
    const report: MemoryReport = {
      budgetBytes: this.totalBytes, usedBytes: this.#usedBytes,
      highWaterBytes: this.#highWaterBytes, denied: this.#denied, accounts,
    }
    reporters.set(report, this)
    return report
  }

  /** @internal For errors: a remedy, and the accounts that hold at least a sixteenth of the memory in use, largest first. */
  advice(): string {
    const largest = [...this.#accounts.values()].filter(({ bytes }) => bytes > 0 && bytes >= this.#usedBytes / 16).sort((a, b) => b.bytes - a.bytes)
    if (largest.length === 0) return 'Raise the budget'
    const remedies = [...new Set(largest.flatMap(({ remedy }) => remedy ?? []))]
    return `${['Raise the budget', ...remedies].join(', or ')}. Most of it is held by: ${largest.map(({ name, bytes }) => `${name} ${formatSize(bytes)}`).join(', ')}`
  }

  /** @internal For accounts only. Take bytes if they fit, asking the reclaimers if `reclaim`. */
  take(account: string, bytes: number, reclaim: boolean): boolean {
    if (reclaim) this.#reclaim(bytes)
    if (this.#usedBytes + bytes > this.totalBytes || (bytes > 0 && this.denies?.(account, bytes) === true)) {
      this.#denied++
      return false
    }
    this.#usedBytes += bytes
    if (this.#usedBytes > this.#highWaterBytes) this.#highWaterBytes = this.#usedBytes
    return true
  }

  /** @internal For accounts only. Whether bytes would fit, after asking the reclaimers; takes nothing. */
  makeRoom(bytes: number): boolean {
    this.#reclaim(bytes)
    if (this.#usedBytes + bytes <= this.#totalBytes) return true
    this.#denied++
    return false
  }

  /** Ask the reclaimers, in order, until `bytes` more would fit. */
  #reclaim(bytes: number): void {
    if (this.#usedBytes + bytes <= this.#totalBytes) return
    // A copy: a reclaimer may remove itself.
    for (const { reclaim } of [...this.#reclaimers]) {
      const missing = this.#usedBytes + bytes - this.#totalBytes
      if (missing <= 0) break
      reclaim(missing)
    }
  }

  /** @internal For accounts only. */
  giveBack(bytes: number): void {
    if (bytes > this.#usedBytes) throw accountingError(`budget: ${bytes} bytes returned, ${this.#usedBytes} held`)
    this.#usedBytes -= bytes
  }
}

/** @internal */
export class Account {
  readonly name: string
  readonly bound: string
  readonly budget: Budget
  /** Counts the existing buffers, for the report. */
  measure: (() => number) | undefined
  /** How a user can lower it; follows "Raise the budget, or". */
  readonly remedy: string | undefined
  #bytes = 0
  #highWaterBytes = 0
  #leasedBytes = 0

  constructor(budget: Budget, name: string, bound: string, remedy?: string) {
    this.budget = budget
    this.name = name
    this.bound = bound
    this.remedy = remedy
  }

  get bytes(): number { return this.#bytes }
  get highWaterBytes(): number { return this.#highWaterBytes }
  /** Bytes ever leased; what is not leased now was given back. */
  get leasedBytes(): number { return this.#leasedBytes }

  /** A lease, or undefined without memory. `reclaim: false` takes only free bytes. */
  tryLease(bytes: number, reclaim = true): Lease | undefined {
    return this.grow(bytes, reclaim) ? new Lease(this, bytes) : undefined
  }

  /** A lease that leaves `leaveBytes` free for more important ones, or undefined. */
  tryLeaseLeaving(bytes: number, leaveBytes: number): Lease | undefined {
    return this.budget.makeRoom(bytes + leaveBytes) ? this.tryLease(bytes, false) : undefined
  }

  /** A lease; throws BUDGET_TOO_SMALL. */
  lease(bytes: number): Lease {
    const lease = this.tryLease(bytes)
    if (lease === undefined) throw this.denied(bytes)
    return lease
  }

  /** @internal The error of a denied lease, naming the holders. */
  denied(bytes: number): SpillwayError {
    const { usedBytes, totalBytes } = this.budget
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `no room for ${formatSize(bytes)} of ${this.name}: ${formatSize(usedBytes)} of ${formatSize(totalBytes)} in use. ${this.budget.advice()}`,
      { details: { account: this.name, bytes, usedBytes, budgetBytes: totalBytes } },
    )
  }

  /** @internal */
  grow(bytes: number, reclaim: boolean): boolean {
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw invalidArgument(`${this.name}: a lease of ${bytes} bytes`)
    if (!this.budget.take(this.name, bytes, reclaim)) return false
    this.#bytes += bytes
    this.#leasedBytes += bytes
    if (this.#bytes > this.#highWaterBytes) this.#highWaterBytes = this.#bytes
    return true
  }

  /** @internal */
  shrink(bytes: number): void {
    if (!Number.isSafeInteger(bytes) || bytes < 0 || bytes > this.#bytes) {
      throw accountingError(`${this.name}: ${bytes} bytes returned, ${this.#bytes} held`)
    }
    this.#bytes -= bytes
    this.budget.giveBack(bytes)
  }
}

/** @internal Bytes held from an account until released. */
export class Lease implements Disposable {
  readonly account: Account
  #bytes: number
  #released = false

  constructor(account: Account, bytes: number) {
    this.account = account
    this.#bytes = bytes
  }

  get bytes(): number { return this.#bytes }

  /** Change the size. False, and nothing changed: growth does not fit. */
  resize(bytes: number, reclaim = true): boolean {
    if (this.#released) throw accountingError(`${this.account.name}: a released lease was resized`)
    if (!Number.isSafeInteger(bytes) || bytes < 0) throw invalidArgument(`${this.account.name}: a lease of ${bytes} bytes`)
    if (bytes > this.#bytes) {
      if (!this.account.grow(bytes - this.#bytes, reclaim)) return false
    } else {
      this.account.shrink(this.#bytes - bytes)
    }
    this.#bytes = bytes
    return true
  }

  release(): void {
    if (this.#released) throw accountingError(`${this.account.name}: a lease of ${this.#bytes} bytes was released twice`)
    this.#released = true
    this.account.shrink(this.#bytes)
    this.#bytes = 0
  }

  [Symbol.dispose](): void {
    if (!this.#released) this.release()
  }
}

function accountingError(what: string): SpillwayError {
  return new SpillwayError('SPILLWAY_INVALID_ARGUMENT', `accounting error in ${what}. This is a bug in Spillway; please report it`)
}
