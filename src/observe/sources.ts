/**
 * What can be observed: budgets, and everything that reports one, such as stores and collections.
 *
 * Invariant: a budget is observed once, however many stores on it are given.
 */
import { invalidArgument } from '../base/errors.ts'
import { Budget } from '../memory/budget.ts'
import type { MemoryReport } from '../memory/budget.ts'

/** A budget, or a store, collection or anything else with a memory report. */
export type MemorySource = Budget | { memory(): MemoryReport }

/** One ledger. */
export interface Ledger {
  readonly name: string
  /** Undefined: only its report is known. */
  readonly budget: Budget | undefined
  report(): MemoryReport
}

/** The ledgers of sources, each once. Throws INVALID_ARGUMENT for what has no report. */
export function ledgersOf(sources: readonly MemorySource[]): Ledger[] {
  if (!Array.isArray(sources)) throw invalidArgument('sources must be an array of stores, collections and budgets, such as { sources: [db] }')
  const ledgers: Ledger[] = []
  const seen = new Set<object>()
  for (const [i, source] of sources.entries()) {
    const ledger = ledgerOf(source, i)
    const identity = ledger.budget ?? source
    if (seen.has(identity)) continue
    seen.add(identity)
    ledgers.push({ ...ledger, name: `budget ${ledgers.length + 1}` })
  }
  return ledgers
}

function ledgerOf(source: MemorySource, i: number): Omit<Ledger, 'name'> {
  if (source instanceof Budget) return { budget: source, report: () => source.report() }
  if (typeof (source as { memory?: unknown } | undefined)?.memory !== 'function') {
    throw invalidArgument(`sources[${i}] has no memory report. Give a Budget, a store, a collection, or an object whose memory() returns such a report`)
  }
  const report = source.memory()
  if (typeof report !== 'object' || report === null || typeof report.usedBytes !== 'number' || typeof report.accounts !== 'object') {
    throw invalidArgument(`sources[${i}].memory() returned no memory report: usedBytes and accounts are needed`)
  }
  const budget = Budget.of(report)
  // The budget outlives the store, whose memory() throws once it is closed.
  return budget === undefined ? { budget, report: () => source.memory() } : { budget, report: () => budget.report() }
}
