// What is run: the cases, their budgets and volumes, and what a run must hold to.
import * as fill from './cases/fill.mjs'
import * as flood from './cases/flood.mjs'
import * as halved from './cases/halved.mjs'
import * as iterators from './cases/iterators.mjs'
import * as largeValues from './cases/large-values.mjs'
import * as manyStores from './cases/many-stores.mjs'
import * as manyTables from './cases/many-tables.mjs'
import * as mixed from './cases/mixed.mjs'
import * as transaction from './cases/transaction.mjs'

export const MIB = 1024 * 1024
export const BUDGETS_MIB = [16, 64, 256]

/** Programs by the name of their file; the order is that of the runs. */
export const PROGRAMS = {
  fill, mixed, iterators, flood, 'large-values': largeValues, 'many-tables': manyTables, 'many-stores': manyStores, halved, transaction,
}

/** These two run the program `fill` under conditions of their own. */
export const CGROUP = { name: 'cgroup', budgetBytes: 64 * MIB, limitBytes: 160 * MIB }
export const THROUGHPUT = { name: 'throughput', smallBytes: 16 * MIB, largeBytes: 256 * MIB, runs: 3, leastRatio: 0.5 }
export const CASES = [...Object.keys(PROGRAMS), CGROUP.name, THROUGHPUT.name]

export function throughputRows(quick) {
  return quick ? 400_000 : 3_000_000
}

/** What a store may take over the program without one. */
export function barBytes(budgetBytes) {
  return 1.1 * budgetBytes + 16 * MIB
}

/** Why a run of the store fell short; empty: it did not. `excessBytes` undefined: its memory is not judged. */
export function shortcomings({ error, report, watch }, excessBytes, budgetBytes) {
  const broken = []
  if (error !== undefined) broken.push(error.split('\n')[0])
  const bar = barBytes(budgetBytes)
  if (excessBytes !== undefined && excessBytes > bar) {
    broken.push(`excess of ${mib(excessBytes)} MiB over a bar of ${mib(bar)} MiB`)
  }
  if (watch !== undefined) {
    if (watch.violationCount > 0) broken.push(`ledger, ${watch.violationCount} samples: ${watch.violations.join('; ')}`)
    if (watch.samples === 0 && error === undefined) broken.push('the ledger was never sampled')
  }
  return broken.concat(report?.broken ?? [])
}

export function mib(bytes) {
  return (bytes / MIB).toFixed(1)
}
