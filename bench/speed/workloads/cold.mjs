// Gets from far more data than memory: loaded in one process, read in another that may hold only a part of it.
import { Random } from '../../memory/rows.mjs'
import { load } from '../load.mjs'
import { runAwaited } from '../loops.mjs'
import { RowPool, checkRow } from '../row-pool.mjs'

export async function run({ phase, workloads, open, measure, emit }) {
  const { rows, valueBytes } = workloads[0]
  const pool = new RowPool(valueBytes)
  const store = await open()
  if (phase === 'load') await load(store, pool, rows)
  else for (const workload of workloads) emit(await coldGets(store, pool, workload, measure))
  await store.close()
}

function coldGets(store, pool, workload, measure) {
  const { rows, valueBytes, readers, limitSeconds } = workload
  const { keys } = pool
  // Of each workload other rows: one must not find what the one before it has read.
  const random = new Random(23 + readers)
  const get = readers > 1 && store.getConcurrently !== undefined ? store.getConcurrently : store.get
  return measure(workload, () => runAwaited({
    workers: readers, count: Infinity, limitSeconds,
    async perform(n) {
      const i = random.below(rows)
      checkRow(i, await get(keys[pool.fillKey(n, i)]), valueBytes)
    },
  }))
}
