/** Runs a function in a transaction, again after a conflict; and counts transactions for the report. */
import { invalidArgument } from '../../base/errors.ts'
import { checkOptions } from '../../base/option-names.ts'
import type { StoreState } from '../state/store-state.ts'
import { describe } from '../../encoding/encoding.ts'
import { Transaction } from './transaction.ts'
import { transactionSettings } from './transaction-settings.ts'
import type { TransactionParts } from './transaction-settings.ts'
import type { BeginOptions, TransactionOptions } from '../api/options.ts'
import type { TransactionReport } from '../api/reports.ts'

const RETRIES = 5
/** Maximum pause before the first retry; doubled for each further one, up to the largest. */
const FIRST_PAUSE_MS = 2
const LONGEST_PAUSE_MS = 200
const BEGIN_OPTIONS = ['durability', 'signal']

export class TransactionRunner {
  readonly #parts: TransactionParts

  constructor(parts: TransactionParts) {
    this.#parts = parts
  }

  begin<K, V>(options: BeginOptions | undefined): Transaction<K, V> {
    if (options !== undefined) checkOptions(options, BEGIN_OPTIONS, 'begin')
    const { core, settle } = this.#parts
    const settings = transactionSettings(options, core.settings)
    settle()
    return new Transaction<K, V>(this.#parts, settings)
  }

  async run<K, V, T>(work: (transaction: Transaction<K, V>) => Promise<T> | T, options: TransactionOptions = {}): Promise<T> {
    if (typeof work !== 'function') throw invalidArgument(`transaction takes a function, not ${describe(work)}`)
    checkOptions(options, [...BEGIN_OPTIONS, 'retries'], 'transaction')
    const { retries = RETRIES, ...rest } = options
    if (retries !== Infinity && (!Number.isSafeInteger(retries) || retries < 0)) throw invalidArgument(`retries must be a whole number from 0, not ${describe(retries)}`)
    for (let attempt = 0; ; attempt++) {
      const transaction = this.begin<K, V>(rest)
      let isCommitting = false
      try {
        const result = await work(transaction)
        // The function may have ended it.
        if (transaction.state === 'open') {
          isCommitting = true
          await transaction.commit()
        }
        return result
      } catch (error) {
        await transaction[Symbol.asyncDispose]()
        const isConflict = isCommitting && (error as { code?: unknown } | undefined)?.code === 'SPILLWAY_CONFLICT'
        if (!isConflict || attempt >= retries) throw error
      }
      await this.#pause(attempt)
    }
  }

  report(): TransactionReport {
    return reportOf(this.#parts.core, this.#parts.counters)
  }

  /** Random, so that colliding transactions do not collide again. */
  #pause(attempt: number): Promise<void> {
    const { host } = this.#parts.core
    const longestMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(attempt, 20))
    return new Promise(resolve => { host.scheduler.later(host.random() * longestMs, resolve) })
  }
}

function reportOf(core: StoreState, { committed, conflicts }: { committed: number, conflicts: number }): TransactionReport {
  const nowMs = core.host.clock.nowMs()
  let bytes = 0
  let tableBytes = 0
  let oldestMs = nowMs
  for (const transaction of core.transactions.open) {
    bytes += transaction.bytes
    tableBytes += transaction.tableBytes
    oldestMs = Math.min(oldestMs, transaction.openedMs)
  }
  return { open: core.transactions.open.size, bytes, tableBytes, ...(core.transactions.open.size === 0 ? {} : { oldestAgeMs: nowMs - oldestMs }), committed, conflicts }
}
