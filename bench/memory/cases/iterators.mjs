// A thousand iterators open at the same time over several runs, advanced in turn. Four each start at the same place and
// must yield the same; every value must belong to its key.
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
  const iterators = Array.from({ length: count }, (_, n) => db.iterator({ gte: startOf(Math.floor(n / SAME_START), places) }))
  let read = 0
  for (let round = 0; round < ROUNDS; round++) {
    read += await advance(iterators, async iterator => {
      const entry = await iterator.next()
      return entry === undefined ? [] : [entry]
    }, watch, holdsNothing)
  }
  for (let round = 0; round < 2; round++) read += await advance(iterators, iterator => iterator.nextv(10), watch, holdsNothing)
  read += await advance(iterators, async iterator => {
    const entry = await iterator.next()
    return entry === undefined ? [] : [entry]
  }, watch, holdsNothing)
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

async function advance(iterators, step, watch, holdsNothing) {
  let read = 0
  let first
  for (let n = 0; n < iterators.length; n++) {
    const entries = await step(iterators[n])
    watch.tick(100)
    if (holdsNothing) continue
    read += entries.length
    for (const [key, value] of entries) checkPair(key, value, VALUE_BYTES)
    if (n % SAME_START === 0) {
      first = entries
    } else {
      // How many nextv yields is up to the store; what both have must be the same.
      for (let at = 0; at < Math.min(first.length, entries.length); at++) {
        if (!first[at][0].equals(entries[at][0])) throw new Error(`iterator ${n} stands at another key than its twin`)
      }
      if ((first.length === 0) !== (entries.length === 0)) throw new Error(`iterator ${n} ended, its twin did not`)
    }
  }
  return read
}
