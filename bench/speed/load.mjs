// Fills a store before something else is timed: rows first, first + 1, ... in random order of keys, in batches, until at rest.
import { rest } from './process-stats.mjs'
import { Batches } from './row-pool.mjs'

const BATCH_ROWS = 1000
const REST_LIMIT_MS = 60_000

export async function load(store, pool, rows) {
  const batches = new Batches(pool, BATCH_ROWS)
  for (let done = 0; done < rows; done += BATCH_ROWS) await store.batch(batches.puts(done, Math.min(BATCH_ROWS, rows - done)))
  await store.settle()
  await rest(REST_LIMIT_MS)
}
