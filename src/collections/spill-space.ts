/**
 * Memory and scratch files of one collection.
 *
 * Invariants
 * 1. It takes at most half of the free bytes of a shared budget.
 * 2. Nothing is on disk before the first eviction or after `close`.
 *
 * Accounts: `spill kernels`, `pages`; the collection adds its own.
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

/** Memory and disk of a sort, grouping or queue. */
export interface SpillOptions {
  /** Bytes, '64 MiB' (default), or a shared `Budget`. Minimum 2 MiB. */
  budget?: number | string | Budget | undefined
  /** Directory of scratch files. Default: `os.tmpdir()`. */
  directory?: string | undefined
  /** @internal For tests. */
  host?: Host | undefined
}

export const SPACE_OPTIONS: readonly string[] = ['budget', 'directory', 'host']
export const DEFAULT_BUDGET = '64 MiB'
/** The pool and a few windows. */
export const MIN_BYTES: number = 2 * 1024 * 1024
/** Share that caches are asked to free. */
const SHARE_TO_FREE = 1 / 2

export class SpillSpace {
  readonly host: Host
  readonly budget: Budget
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
    if (shared) this.budget.makeRoom(Math.max(2 * MIN_BYTES, Math.floor(this.budget.totalBytes * SHARE_TO_FREE)))
    // Not enough: flush memtables.
    while (shared && !this.budget.makeRoom(2 * MIN_BYTES) && BudgetEngine.of(this.budget)?.memory.flushInside() === true);
    this.bytes = shared ? Math.floor(this.budget.freeBytes / 2) : this.budget.totalBytes
    if (this.bytes < MIN_BYTES) {
      throw new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL',
        `the budget leaves ${formatSize(this.bytes)}, but ${formatSize(MIN_BYTES)} are needed`
        + `${shared ? ': a collection takes half of the free part of a shared budget' : ''}. ${this.budget.advice()}`,
        { details: { bytes: this.bytes, neededBytes: MIN_BYTES, budgetBytes: this.budget.totalBytes } },
      )
    }
  }

  account(name: AccountName): Account { return this.budget.account(name) }

  /** Created by the first call. `limitBytes`: pages in memory. */
  pages(limitBytes: number): SpillPages {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the collection was disposed of. Make a new one')
    this.#pages ??= new SpillPages(this.host, this.budget, this.#directory, limitBytes)
    return this.#pages
  }

  hold(name: AccountName, bytes: number): Lease {
    const lease = this.account(name).lease(bytes)
    this.#held.push(lease)
    return lease
  }

  stats(): SpillPagesStats | undefined { return this.#pages?.pool.stats() }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const lease of this.#held) lease.release()
    this.#pages?.close()
  }
}
