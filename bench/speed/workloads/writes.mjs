// Puts, batches and overwrites into a store of their own.
import { Random } from '../../memory/rows.mjs'
import { load } from '../load.mjs'
import { runAwaited } from '../loops.mjs'
import { Batches, RowPool } from '../row-pool.mjs'

/** One workload per process: `writers` awaited puts at once, or batches of `batchRows`, one after the other. */
export async function run({ workloads: [workload], open, measure, emit }) {
  const { rows, valueBytes, limitSeconds, writers, batchRows, isOverwrite } = workload
  const pool = new RowPool(valueBytes)
  const store = await open()
  if (isOverwrite) await load(store, pool, rows)
  const line = await measure(workload, () => batchRows === undefined
    ? runAwaited({ workers: writers, count: rows, limitSeconds, perform: putter(store, pool, isOverwrite ? rows : 0) })
    : runAwaited({ count: rows, limitSeconds, rowsEach: batchRows, perform: batcher(store, pool, batchRows, rows) }))
  emit(line)
  await store.close()
}

/** `overwriteRows`: 0: operation n puts row n. */
function putter(store, pool, overwriteRows) {
  const { keys, values } = pool
  const random = new Random(7)
  return n => {
    const slot = pool.fill(n, overwriteRows === 0 ? n : random.below(overwriteRows))
    return store.put(keys[slot], values[slot])
  }
}

function batcher(store, pool, batchRows, rows) {
  const batches = new Batches(pool, batchRows)
  return n => store.batch(batches.puts(n * batchRows, Math.min(batchRows, rows - n * batchRows)))
}
