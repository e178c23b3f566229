// What needs a loaded store and is loaded once for all of it: gets, scans, YCSB.
import { load } from '../load.mjs'
import { RowPool } from '../row-pool.mjs'
import { gets } from './gets.mjs'
import { scans } from './scans.mjs'
import { ycsb } from './ycsb.mjs'

const KINDS = { gets, scans, ycsb }

export async function run({ workloads, open, measure, emit }) {
  const { rows, valueBytes } = workloads[0]
  const pool = new RowPool(valueBytes)
  const store = await open()
  await load(store, pool, rows)
  // Rows are 0 ... rows - 1; those that a workload inserts are behind them.
  const state = { store, pool, rows, valueBytes }
  for (const workload of workloads) emit(await KINDS[workload.kind](state, workload, measure))
  await store.close()
}
