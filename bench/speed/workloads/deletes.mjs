// Most of the store is deleted from its beginning on, and then its first key is asked for: it lies behind all the tombstones.
import { keyOf, mix } from '../../memory/rows.mjs'
import { load } from '../load.mjs'
import { RowPool } from '../row-pool.mjs'

const BATCH_ROWS = 1000
const SEEKS = 3

export async function run({ workloads: [workload], open, measure, emit }) {
  const { rows, valueBytes, deletedShare } = workload
  const pool = new RowPool(valueBytes)
  const store = await open()
  await load(store, pool, rows)
  const order = rowsByKey(rows)
  const gone = Math.floor(rows * deletedShare)
  emit(await measure(workload, async () => {
    const started = performance.now()
    for (let done = 0; done < gone; done += BATCH_ROWS) {
      const operations = Array.from(order.subarray(done, Math.min(done + BATCH_ROWS, gone)), i => ({ type: 'del', key: keyOf(i) }))
      await store.batch(operations)
    }
    const seconds = (performance.now() - started) / 1000
    const seeksMs = []
    for (let n = 0; n < SEEKS; n++) seeksMs.push(await firstKeyMs(store, keyOf(order[gone])))
    return { count: gone, seconds, firstMs: seeksMs[0], medianMs: seeksMs.toSorted((a, b) => a - b)[SEEKS >> 1] }
  }))
  await store.close()
}

async function firstKeyMs(store, wanted) {
  let first
  const before = performance.now()
  await store.scan(undefined, 1, key => { first = key })
  const ms = performance.now() - before
  if (first === undefined || Buffer.compare(first, wanted) !== 0) throw new Error(`the first key is ${first?.toString('hex')}, not ${wanted.toString('hex')}`)
  return Math.round(ms * 1000) / 1000
}

/** The first four bytes of a key are another number for every row, so they alone tell the order. */
function rowsByKey(rows) {
  const sorted = new Float64Array(rows)
  for (let i = 0; i < rows; i++) sorted[i] = mix(i ^ 0x9e3779b9) * 2 ** 21 + i
  sorted.sort()
  return Uint32Array.from(sorted, packed => packed % 2 ** 21)
}
