// Two million puts called in one go, none awaited: the event loop gets no turn before the last of them.
import { Random, checkSome, keyOf, valueOf } from '../rows.mjs'

const VALUE_BYTES = 100
/** The program keeps one promise in this many, so that its own promises are not measured. */
const KEEP_EVERY = 1000

export const peers = true

export function volume({ quick }) {
  return { rows: quick ? 200_000 : 2_000_000 }
}

export async function run({ open, volume: { rows }, watch, holdsNothing }) {
  const db = await open()
  watch.follow(db)
  const started = performance.now()
  const kept = []
  for (let i = 0; i < rows; i++) {
    const written = db.put(keyOf(i), valueOf(i, VALUE_BYTES))
    if (i % KEEP_EVERY === 0 || i === rows - 1) kept.push(written)
    watch.tick(1)
  }
  const calledMs = performance.now() - started
  await Promise.all(kept)
  const writtenMs = performance.now() - started
  await checkSome(db, rows, 1000, VALUE_BYTES, new Random(4), holdsNothing)
  const counted = await db.count()
  if (!holdsNothing && counted !== rows) throw new Error(`${rows} rows were put and acknowledged, ${counted} are there`)
  watch.stop()
  await db.close()
  return { rows, calledMs: Math.round(calledMs), writtenMs: Math.round(writtenMs) }
}
