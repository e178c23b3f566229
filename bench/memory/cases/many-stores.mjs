// Sixteen stores on one budget, written to in turn and read: the budget is for all of them together.
import { KEY_BYTES, Random, checkSome, putsOf } from '../rows.mjs'

const VALUE_BYTES = 100
const STORES = 16
const BATCH_ROWS = 250

export const peers = false

export function volume({ budgetBytes, quick }) {
  return { rows: Math.ceil((quick ? 1 : 3) * budgetBytes / (KEY_BYTES + VALUE_BYTES) / STORES) }
}

/** `rows`: of each store. */
export async function run({ open, shareBudget, volume: { rows }, watch, holdsNothing }) {
  const budget = shareBudget()
  const stores = []
  for (let n = 0; n < STORES; n++) stores.push(await open(`store-${n}`, {}, budget))
  watch.follow(stores[0])
  const random = new Random(7)
  for (let done = 0; done < rows;) {
    const count = Math.min(BATCH_ROWS, rows - done)
    for (const db of stores) {
      await db.batch(putsOf(done, count, VALUE_BYTES))
      watch.tick(count)
    }
    done += count
    await checkSome(stores[random.below(STORES)], done, 20, VALUE_BYTES, random, holdsNothing)
  }
  for (const db of stores) await checkSome(db, rows, 1000, VALUE_BYTES, random, holdsNothing)
  for (const db of stores) {
    const counted = await db.count()
    if (!holdsNothing && counted !== rows) throw new Error(`a store of ${rows} rows counts ${counted}`)
    watch.tick(rows)
  }
  watch.stop()
  for (const db of stores) await db.close()
  return { stores: STORES, rows: rows * STORES }
}
