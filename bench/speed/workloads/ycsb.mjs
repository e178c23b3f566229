// The six core workloads of YCSB, one client that awaits each write. Reads are synchronous: every store here has such, and is faster
// with it. Keys are chosen by a scrambled Zipfian (0.99), in D by the same over the latest.
import { Random } from '../../memory/rows.mjs'
import { runAwaited } from '../loops.mjs'
import { checkEntry, checkRow } from '../row-pool.mjs'
import { drawRanks } from '../zipfian.mjs'

/** Shares of operations in percent. */
const MIXES = {
  a: { read: 50, update: 50 },
  b: { read: 95, update: 5 },
  c: { read: 100 },
  d: { read: 95, insert: 5, isLatest: true },
  e: { scan: 95, insert: 5 },
  f: { read: 50, modify: 50 },
}
const MAX_SCANNED = 100
const DRAWN = 2 ** 20

/** `state.rows` grows by what D and E insert. */
export async function ycsb(state, workload, measure) {
  const { store, pool, valueBytes } = state
  const { keys, values } = pool
  const { letter, count, limitSeconds } = workload
  const { read = 0, update = 0, modify = 0, insert = 0, isLatest = false } = MIXES[letter]
  const ranks = drawRanks(state.rows, Math.min(DRAWN, count), !isLatest, 17)
  const random = new Random(19)
  const visit = (key, value) => checkEntry(key, value, valueBytes)
  const choose = n => {
    const rank = ranks[n % ranks.length]
    return isLatest ? state.rows - 1 - rank : rank
  }
  const readRow = (n, i) => {
    const value = store.getSync(keys[pool.fillKey(n, i)])
    checkRow(i, value, valueBytes)
    return value
  }
  const write = (n, i) => {
    const slot = pool.fill(n, i)
    return store.put(keys[slot], values[slot])
  }
  const perform = n => {
    const percent = random.below(100)
    if (percent < read) readRow(n, choose(n))
    else if (percent < read + update) return write(n, choose(n))
    else if (percent < read + update + modify) {
      const i = choose(n)
      readRow(n, i)
      return write(n, i)
    } else if (percent < read + update + modify + insert) return write(n, state.rows++)
    else return store.scan(keys[pool.fillKey(n, choose(n))], 1 + random.below(MAX_SCANNED), visit)
  }
  return measure(workload, () => runAwaited({ count, limitSeconds, perform }))
}
