// A thousand iterators open at the same time over several runs, advanced in turn. Four each start at the same place and
// must yield the same; every value must belong to its key. How many entries a call of nextv yields is up to the store.
import { checkPair, keyOf, putsOf } from '../rows.mjs'

const VALUE_BYTES = 100
const RUNS = 3
const ROUNDS = 5
const SAME_START = 4

export const peers = true

export function volume({ quick }) {
  return { rows: quick ? 60_000 : 200_000, iterators: quick ? 400 : 1000 }
}

export async function run({ open, volume: { rows, iterators: count }, watch, holdsNothing }) {
  const db = await open()
  watch.follow(db)
  for (let done = 0; done < rows;) {
    const some = Math.min(500, rows - done)
    await db.batch(putsOf(done, some, VALUE_BYTES))
    done += some
    watch.tick(some)
    // Not after the last part, so that a memtable is read too.
    if (Math.floor(done * RUNS / rows) > Math.floor((done - some) * RUNS / rows) && done < rows) await db.flush()
  }
  const places = count / SAME_START
  const rowsOf = Array.from({ length: count }, () => [])
  const iterators = Array.from({ length: count }, (_, n) => db.iterator({ gte: startOf(Math.floor(n / SAME_START), places) }))
  let read = 0
  for (let round = 0; round < ROUNDS; round++) {
    read += await advance(iterators, rowsOf, async iterator => {
      const entry = await iterator.next()
      return entry === undefined ? [] : [entry]
    }, watch, holdsNothing)
  }
  for (let round = 0; round < 2; round++) read += await advance(iterators, rowsOf, iterator => iterator.nextv(10), watch, holdsNothing)
  read += await advance(iterators, rowsOf, async iterator => {
    const entry = await iterator.next()
    return entry === undefined ? [] : [entry]
  }, watch, holdsNothing)
  checkTwins(rowsOf)
  // They all stay open up to here.
  for (const iterator of iterators) await iterator.close()
  if (!holdsNothing && read < count * (ROUNDS + 2)) throw new Error(`${count} iterators yielded only ${read} entries`)
  watch.stop()
  await db.close()
  return { rows, iterators: count, read }
}

/** Starting places all over the first nine tenths of the keys. */
function startOf(n, of) {
  const key = keyOf(0).fill(0)
  key.writeUInt32BE(Math.floor(n / of * 0.9 * 2 ** 32), 0)
  return key
}

async function advance(iterators, rowsOf, step, watch, holdsNothing) {
  let read = 0
  for (let n = 0; n < iterators.length; n++) {
    const entries = await step(iterators[n])
    watch.tick(100)
    if (holdsNothing) continue
    read += entries.length
    for (const [key, value] of entries) rowsOf[n].push(checkPair(key, value, VALUE_BYTES))
  }
  return read
}

/** Iterators that began at the same place must have yielded the same rows, as far as each has come. */
function checkTwins(rowsOf) {
  for (let n = 0; n < rowsOf.length; n++) {
    const first = rowsOf[n - n % SAME_START]
    const rows = rowsOf[n]
    const length = Math.min(first.length, rows.length)
    for (let at = 0; at < length; at++) {
      if (first[at] !== rows[at]) throw new Error(`entry ${at} of iterator ${n} is row ${rows[at]}, of its twin row ${first[at]}`)
    }
  }
}
