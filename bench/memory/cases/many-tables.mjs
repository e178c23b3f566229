// Two thousand small tables alive at once, then random gets and one scan over all of them.
import { Random, checkPair, checkSome, putsOf } from '../rows.mjs'

const VALUE_BYTES = 100
const TABLE_BYTES = 16 * 1024

export const peers = false

export function volume({ quick }) {
  return { rows: quick ? 60_000 : 460_000, tables: quick ? 250 : 2000 }
}

export async function run({ open, volume: { rows, tables }, watch, holdsNothing }) {
  // All tables in level 1, which holds whatever comes.
  const compaction = { strategy: 'leveled', targetTableBytes: TABLE_BYTES, baseLevelBytes: 2 ** 40, level0Runs: 4 }
  const db = await open('store', { compaction })
  watch.follow(db)
  for (let done = 0; done < rows;) {
    const count = Math.min(500, rows - done)
    await db.batch(putsOf(done, count, VALUE_BYTES))
    done += count
    watch.tick(count)
  }
  await db.compact()
  watch.sample()
  const alive = db.stats?.().tables ?? 0
  if (!holdsNothing && alive < tables) throw new Error(`the case wants ${tables} tables and got ${alive}: change its sizes`)
  await checkSome(db, rows, 20_000, VALUE_BYTES, new Random(6), holdsNothing)
  let scanned = 0
  for await (const [key, value] of db.iterator()) {
    checkPair(key, value, VALUE_BYTES)
    scanned++
    watch.tick(1)
  }
  if (!holdsNothing && scanned !== rows) throw new Error(`a scan over ${rows} rows yielded ${scanned}`)
  watch.stop()
  await db.close()
  return { rows, tables: alive }
}
