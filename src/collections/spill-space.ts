/**
 * The memory and the scratch files of one collection: a budget of its own or a part of a shared one, and a pool of pages.
 *
 * 1. Memory is leased before it is allocated; what is taken of a shared budget is at most half of what was free.
 * 2. Nothing is on the disk until the first page is evicted, and nothing when `close` has returned.
 *
 * Accounts: `spill kernels` (wasm memory of the pool), `pages`; the collection adds its own.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import type { Host } from '../host/host.ts'
import { nodeHost } from '../host/node/node-host.ts'
import { temporaryDirectory } from '../host/node/temporary-directory.ts'
import { Budget } from '../memory/budget.ts'
import type { AccountName } from '../memory/accounts.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { BudgetEngine } from '../store/engine/budget-engine.ts'
import { SpillPages } from './spill-pages.ts'
import type { SpillPagesStats } from './spill-pages.ts'

export interface SpillOptions {
  /** Memory it may take: bytes, a text such as '64 MiB' (default), or a `Budget` shared with others. */
  budget?: number | string | Budget | undefined
  /** Where scratch files go when memory is full. Default: the system's directory for temporary files. */
  directory?: string | undefined
  /** @internal For tests: another world than this machine's. */
  host?: Host | undefined
}

/** Their names, for those that have more. */
export const SPACE_OPTIONS: readonly string[] = ['budget', 'directory', 'host']
export const DEFAULT_BUDGET = '64 MiB'
/** Below this there is no room for the pool and a window or two. */
export const MIN_BYTES: number = 2 * 1024 * 1024
/** So much of a shared budget is asked of its caches, if it is not free. */
const SHARE_TO_FREE = 1 / 2

export class SpillSpace {
  readonly host: Host
  readonly budget: Budget
  /** The part of the budget this space was made for. */
  readonly bytes: number
  readonly #directory: string
  readonly #held: Lease[] = []
  #pages: SpillPages | undefined
  #closed = false

  /** Throws BUDGET_TOO_SMALL below 2 MiB. */
  constructor(options: SpillOptions) {
    const { budget = DEFAULT_BUDGET, directory, host = nodeHost() } = options
    if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
      throw invalidArgument(`directory must be a path, not ${JSON.stringify(directory)}`)
    }
    this.host = host
    this.#directory = directory ?? temporaryDirectory()
    const shared = budget instanceof Budget
    this.budget = shared ? budget : new Budget(budget)
    // Caches of others take whatever is free, and give it back when asked.
    if (shared) this.budget.makeRoom(Math.max(2 * MIN_BYTES, Math.floor(this.budget.totalBytes * SHARE_TO_FREE)))
    // And if that is too little, what memtables hold is flushed.
    while (shared && !this.budget.makeRoom(2 * MIN_BYTES) && BudgetEngine.of(this.budget)?.memory.flushInside() === true);
    this.bytes = shared ? Math.floor(this.budget.freeBytes / 2) : this.budget.totalBytes
    if (this.bytes < MIN_BYTES) {
      throw new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL',
        `the budget leaves ${formatSize(this.bytes)}, and at least ${formatSize(MIN_BYTES)} are needed`
        + `${shared ? ': half of what is free of a shared one is used' : ''}. ${this.budget.advice()}`,
        { details: { bytes: this.bytes, neededBytes: MIN_BYTES, budgetBytes: this.budget.totalBytes } },
      )
    }
  }

  account(name: AccountName): Account { return this.budget.account(name) }

  /** The pool, made at the first call. `limitBytes`: of pages in memory. */
  pages(limitBytes: number): SpillPages {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'it was disposed of: make another one')
    this.#pages ??= new SpillPages(this.host, this.budget, this.#directory, limitBytes)
    return this.#pages
  }

  /** A lease that is held until `close`. */
  hold(name: AccountName, bytes: number): Lease {
    const lease = this.account(name).lease(bytes)
    this.#held.push(lease)
    return lease
  }

  stats(): SpillPagesStats | undefined { return this.#pages?.pool.stats() }

  /** Remove the scratch files and give everything back. May be called again. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const lease of this.#held) lease.release()
    this.#pages?.close()
  }
}
