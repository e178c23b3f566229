// Ten times the budget in random order, in awaited batches of 100 to 1000 rows of 16 + 100 bytes.
import { KEY_BYTES, Random, checkSome, putsOf } from '../rows.mjs'

const VALUE_BYTES = 100

export const peers = true

export function volume({ budgetBytes, quick }) {
  return { rows: Math.ceil((quick ? 2 : 10) * budgetBytes / (KEY_BYTES + VALUE_BYTES)) }
}

export async function run({ open, volume: { rows }, watch, holdsNothing }) {
  const db = await open()
  watch.follow(db)
  const random = new Random(1)
  let worstMs = 0
  const started = performance.now()
  for (let done = 0; done < rows;) {
    const count = Math.min(100 + random.below(901), rows - done)
    const operations = putsOf(done, count, VALUE_BYTES)
    const before = performance.now()
    await db.batch(operations)
    worstMs = Math.max(worstMs, performance.now() - before)
    done += count
    watch.tick(count)
  }
  const seconds = (performance.now() - started) / 1000
  await checkSome(db, rows, 1000, VALUE_BYTES, random, holdsNothing)
  watch.stop()
  await db.close()
  return { rows, rowsPerSecond: Math.round(rows / seconds), worstWriteMs: Math.round(worstMs) }
}
