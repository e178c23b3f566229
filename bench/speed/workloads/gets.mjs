// Gets of hot keys, and of keys that are not there; synchronous or awaited one by one.
import { Random } from '../../memory/rows.mjs'
import { runAwaited, runSync } from '../loops.mjs'
import { checkRow } from '../row-pool.mjs'

export async function gets({ store, pool, rows, valueBytes }, workload, measure) {
  const { hotRows, isMissing, isAwaited, count, limitSeconds } = workload
  const { keys } = pool
  const random = new Random(11)
  const stride = Math.max(1, Math.floor(rows / hotRows))
  const choose = isMissing ? () => rows * 2 + random.below(rows) : () => random.below(hotRows) * stride
  const check = (i, value) => {
    if (!isMissing) checkRow(i, value, valueBytes)
    else if (value !== undefined) throw new Error(`row ${i} was never put and was found`)
  }
  for (let hot = 0; !isMissing && hot < hotRows; hot++) check(hot * stride, await store.get(keys[pool.fillKey(hot, hot * stride)]))

  if (!isAwaited) {
    const { getSync } = store
    return measure(workload, () => runSync({
      count, limitSeconds,
      perform(n) {
        const i = choose()
        check(i, getSync(keys[pool.fillKey(n, i)]))
      },
    }))
  }
  const { get } = store
  return measure(workload, () => runAwaited({
    count, limitSeconds,
    async perform(n) {
      const i = choose()
      check(i, await get(keys[pool.fillKey(n, i)]))
    },
  }))
}
