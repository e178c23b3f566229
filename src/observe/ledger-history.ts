/**
 * Every account of one ledger over time.
 *
 * Account: `profiler` of that budget; of a ledger that is only a report, of the budget that is given. Cost: 10 us a sample.
 */
import type { Account, Budget, Lease } from '../memory/budget.ts'
import { SampleRing } from './sample-ring.ts'
import type { Ledger } from './sources.ts'

/** Per account: bytes, and bytes ever leased. Then used bytes, budget and denials. */
const MAX_ACCOUNTS = 48
const COLUMNS = 2 * MAX_ACCOUNTS + 3

export interface AccountTrend {
  account: string
  /** Bytes leased now. */
  bytes: number
  /** Maximum within the window. */
  maximumBytes: number
  /** Bytes a second by least squares over the window; negative: it shrinks. */
  growthPerSecond: number
  /** Bytes leased a second. */
  allocatedPerSecond: number
  /** Bytes given back a second. */
  freedPerSecond: number
  /** The two rates are sums of what samples showed, so the truth may be higher: the source is only a report. */
  isLowerBound: boolean
}

export interface LedgerTrend {
  name: string
  budgetBytes: number
  usedBytes: number
  growthPerSecond: number
  /** Leases denied within the window. */
  denied: number
  /** Largest first; those that held nothing within the window are left out. */
  accounts: AccountTrend[]
}

/** One sample of a ledger. */
export interface LedgerSample {
  /** On the clock of the profiler, in milliseconds. */
  atMs: number
  usedBytes: number
  accounts: Record<string, number>
}

export class LedgerHistory {
  readonly ledger: Ledger
  readonly #ring: SampleRing
  readonly #lease: Lease
  readonly #used: number
  readonly #total: number
  readonly #denied: number
  #isGone = false

  /** At most `rows` samples, in at most `maxBytes`. Throws BUDGET_TOO_SMALL. */
  constructor(ledger: Ledger, rows: number, maxBytes: number, budget: Budget) {
    this.ledger = ledger
    const most = Math.min(rows, Math.floor(maxBytes / SampleRing.bytesOf(1, COLUMNS)))
    this.#lease = (ledger.budget ?? budget).account('profiler').lease(SampleRing.bytesOf(most, COLUMNS))
    this.#ring = new SampleRing(most, COLUMNS)
    this.#used = this.#ring.column('used')
    this.#total = this.#ring.column('budget')
    this.#denied = this.#ring.column('denied')
  }

  get rows(): number { return this.#ring.rows }
  get size(): number { return this.#ring.size }

  sample(nowMs: number): void {
    const { budget } = this.ledger
    if (budget === undefined) {
      this.#sampleReport(nowMs)
      return
    }
    this.#begin(nowMs, budget.usedBytes, budget.totalBytes, budget.denied)
    for (const account of budget.accounts) this.#setAccount(account)
  }

  trend(windowMs: number): LedgerTrend {
    const ring = this.#ring
    const from = ring.rowSince(windowMs)
    const { value: usedBytes, growthPerSecond } = ring.trend(this.#used, from)
    const last = ring.size - 1
    return {
      name: this.ledger.name, budgetBytes: last < 0 ? 0 : ring.value(last, this.#total), usedBytes, growthPerSecond,
      denied: last < 0 ? 0 : ring.value(last, this.#denied) - ring.value(from, this.#denied),
      accounts: this.#names().map(name => this.#accountTrend(name, from)).filter(({ maximumBytes }) => maximumBytes > 0).sort((a, b) => b.bytes - a.bytes),
    }
  }

  /** Samples, oldest first. */
  history(): LedgerSample[] {
    const ring = this.#ring
    const names = this.#names()
    return Array.from({ length: ring.size }, (_, row) => ({
      atMs: ring.atMs(row), usedBytes: ring.value(row, this.#used),
      accounts: Object.fromEntries(names.map(name => [name, ring.value(row, ring.column(`=${name}`))])),
    }))
  }

  close(): void { this.#lease.release() }

  #names(): string[] {
    return [...this.#ring.names].filter(name => name.startsWith('=')).map(name => name.slice(1))
  }

  #begin(nowMs: number, usedBytes: number, budgetBytes: number, denied: number): void {
    const ring = this.#ring
    ring.begin(nowMs)
    ring.set(this.#used, usedBytes)
    ring.set(this.#total, budgetBytes)
    ring.set(this.#denied, denied)
  }

  #setAccount({ name, bytes, leasedBytes }: Account): void {
    const ring = this.#ring
    ring.set(ring.column(`=${name}`), bytes)
    ring.set(ring.column(`+${name}`), leasedBytes)
  }

  /** A source that is closed holds nothing. */
  #sampleReport(nowMs: number): void {
    if (this.#isGone) return
    try {
      const { usedBytes, budgetBytes, denied, accounts } = this.ledger.report()
      this.#begin(nowMs, usedBytes, budgetBytes, denied)
      for (const [name, { bytes }] of Object.entries(accounts)) this.#ring.set(this.#ring.column(`=${name}`), bytes)
    } catch {
      this.#isGone = true
      this.#ring.begin(nowMs)
    }
  }

  #accountTrend(account: string, from: number): AccountTrend {
    const ring = this.#ring
    const column = ring.column(`=${account}`)
    const { value: bytes, growthPerSecond, maximum: maximumBytes } = ring.trend(column, from)
    const { upPerSecond, downPerSecond } = ring.steps(column, from)
    const isLowerBound = this.ledger.budget === undefined
    const seconds = ring.seconds(from)
    let allocatedPerSecond = upPerSecond
    let freedPerSecond = downPerSecond
    if (!isLowerBound && seconds > 0) {
      const leased = ring.column(`+${account}`)
      const last = ring.size - 1
      allocatedPerSecond = leased < 0 ? upPerSecond : (ring.value(last, leased) - ring.value(from, leased)) / seconds
      freedPerSecond = allocatedPerSecond - (bytes - ring.value(from, column)) / seconds
    }
    return { account, bytes, maximumBytes, growthPerSecond, allocatedPerSecond, freedPerSecond, isLowerBound }
  }
}
