// The whole store in key order, or a hundred entries from a random key on. Key and value of every entry are Buffers of the caller's.
import { Random } from '../../memory/rows.mjs'
import { runAwaited } from '../loops.mjs'
import { checkEntry } from '../row-pool.mjs'

export async function scans({ store, pool, rows, valueBytes }, workload, measure) {
  const { count, limitSeconds, scanRows } = workload
  const visit = (key, value) => checkEntry(key, value, valueBytes)
  if (scanRows === undefined) {
    return measure(workload, async () => {
      const started = performance.now()
      const found = await store.scan(undefined, Infinity, visit)
      if (found !== rows) throw new Error(`the scan found ${found} of ${rows} rows`)
      return { count: found, seconds: (performance.now() - started) / 1000 }
    })
  }
  const random = new Random(13)
  let entries = 0
  const line = await measure(workload, () => runAwaited({
    count, limitSeconds,
    async perform(n) {
      entries += await store.scan(pool.keys[pool.fillKey(n, random.below(rows))], scanRows, visit)
    },
  }))
  return { ...line, entries }
}
