// Ten times the budget in values of 1 KiB, while four scans walk the whole store again and again and known keys are read. A scan
// must come in key order and yield at least what was acknowledged when it began.
import { KEY_BYTES, Random, checkPair, checkSome, putsOf } from '../rows.mjs'

const VALUE_BYTES = 1024
const SCANS = 4
const GETS_PER_BATCH = 10

export const peers = true

export function volume({ budgetBytes, quick }) {
  return { rows: Math.ceil((quick ? 2 : 10) * budgetBytes / (KEY_BYTES + VALUE_BYTES)) }
}

/**
 * `batchRows`: most rows of a batch. `onHalf`: called once, when half of the rows are written; `beforeEnd`: when all are, before
 * the store is closed.
 */
export async function run({ open, volume: { rows }, watch, holdsNothing, batchRows = 1000, onHalf, beforeEnd }) {
  const db = await open()
  watch.follow(db)
  const random = new Random(2)
  const state = { stopped: false, written: 0, scans: 0, entries: 0 }
  const scans = Array.from({ length: SCANS }, () => scanOn(db, state, watch, holdsNothing))
  // A scan that fails ends the load at once, not after it.
  const failed = Promise.all(scans).then(() => {})
  failed.catch(() => { state.stopped = true })
  let worstMs = 0
  let halfway = false
  try {
    for (let done = 0; done < rows && !state.stopped;) {
      const count = Math.min(100 + random.below(batchRows - 99), rows - done)
      const operations = putsOf(done, count, VALUE_BYTES)
      const before = performance.now()
      await db.batch(operations)
      worstMs = Math.max(worstMs, performance.now() - before)
      state.written = done += count
      watch.tick(count)
      await checkSome(db, done, GETS_PER_BATCH, VALUE_BYTES, random, holdsNothing)
      if (!halfway && done >= rows / 2) {
        halfway = true
        onHalf?.(db)
      }
      await new Promise(setImmediate)
    }
  } finally {
    state.stopped = true
    await failed
  }
  await beforeEnd?.()
  watch.stop()
  await db.close()
  return { rows, scans: state.scans, scanned: state.entries, worstWriteMs: Math.round(worstMs) }
}

async function scanOn(db, state, watch, holdsNothing) {
  while (!state.stopped) {
    const least = holdsNothing ? 0 : state.written
    let count = 0
    let last
    for await (const [key, value] of db.iterator()) {
      if (last !== undefined && Buffer.compare(last, key) >= 0) {
        throw new Error(`a scan came to ${key.toString('hex')} after ${last.toString('hex')}`)
      }
      checkPair(key, value, VALUE_BYTES)
      last = key
      count++
      watch.tick(1)
      if (state.stopped) break
    }
    state.entries += count
    if (state.stopped) return
    if (count < least) throw new Error(`a scan yielded ${count} rows of at least ${least}`)
    state.scans++
    await new Promise(setImmediate)
  }
}
