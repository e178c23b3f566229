// 16 times the budget (1 GiB with 64 MiB) in random order in one transaction: once aborted half-way, once committed. A reader of the
// store goes on beside it.
import { KEY_BYTES, Random, checkSome, checkValue, keyOf, valueOf } from '../rows.mjs'

const VALUE_BYTES = 1000
const LOOK_EVERY = 50_000

export const peers = false

export function volume({ budgetBytes, quick }) {
  return { rows: Math.ceil((quick ? 2 : 16) * budgetBytes / (KEY_BYTES + VALUE_BYTES)) }
}

export async function run({ open, volume: { rows }, watch, holdsNothing }) {
  const db = await open()
  watch.follow(db)
  const random = new Random(7)
  let worstMs = 0
  const write = async (tx, count) => {
    for (let i = 0; i < count; i++) {
      const before = performance.now()
      await tx.put(keyOf(i), valueOf(i, VALUE_BYTES))
      worstMs = Math.max(worstMs, performance.now() - before)
      if (i % LOOK_EVERY === LOOK_EVERY - 1) {
        const seen = random.below(i)
        const value = await tx.get(keyOf(seen))
        if (!holdsNothing) {
          checkValue(seen, value, VALUE_BYTES)
          if (await db.get(keyOf(seen)) !== undefined) throw new Error(`row ${seen} is seen before the commit`)
        }
      }
      watch.tick(1)
    }
  }
  const aborted = await db.begin()
  await write(aborted, rows >>> 3)
  await aborted.abort()
  if (await db.count() !== 0) throw new Error('an aborted transaction has left something')
  const started = performance.now()
  const transaction = await db.begin()
  await write(transaction, rows)
  const writtenMs = performance.now() - started
  // Another writer has written meanwhile, so that the commit has something to check.
  await db.put(Buffer.from('other'), valueOf(0, VALUE_BYTES))
  await transaction.commit()
  const committedMs = performance.now() - started
  await checkSome(db, rows, 1000, VALUE_BYTES, random, holdsNothing)
  const counted = await db.count()
  if (!holdsNothing && counted !== rows + 1) throw new Error(`${rows} rows were committed, ${counted - 1} are there`)
  watch.stop()
  await db.close()
  return { rows, writtenMs: Math.round(writtenMs), commitMs: Math.round(committedMs - writtenMs), worstWriteMs: Math.round(worstMs) }
}
