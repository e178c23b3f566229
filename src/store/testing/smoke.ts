/**
 * A short life of a store that touches all that depends on where it runs: the lock, a worker, flushes and merges, syncs, large values,
 * a transaction, opening again. Returns what `stats()` says of the background jobs. Throws whatever does not hold.
 */
import type { Spillway } from '../spillway.ts'
import type { OpenOptions } from '../api/options.ts'
import type { StoreStats } from '../api/reports.ts'

export type Smoke = Pick<StoreStats, 'background' | 'backgroundReason' | 'flushes' | 'merges'>

const ROUNDS = 4
const ROWS = 1000
/** 16 MB: more than both memtables of a budget of 24 MiB. */
const PARKING_ROWS = 4000

export async function smoke(store: typeof Spillway, directory: string, options: OpenOptions): Promise<Smoke> {
  const db = await store.open(directory, options)
  const large = 'x'.repeat(300_000)
  for (let round = 0; round < ROUNDS; round++) {
    await db.batch(Array.from({ length: ROWS }, (_, i) => ({ type: 'put' as const, key: `row:${round}:${i}`, value: `${i}`.padEnd(100, '.') })))
    db.putSync('last', String(round))
    if (round % 2 === 1) await db.flush()
  }
  await db.put('large', large)
  await db.transaction(async transaction => { await transaction.put('last', `${await transaction.get('last')}, committed`) })
  await db.del('row:0:0')
  await db.compact()
  // Gives the event loop no turn: the thread parks until the worker has flushed.
  for (let i = 0; i < PARKING_ROWS; i++) db.putSync(`more:${i}`, large.slice(0, 4000))
  const { background, backgroundReason, flushes, merges, lastBackgroundError } = db.stats()
  if (lastBackgroundError !== undefined) throw new Error(`a background job failed: ${lastBackgroundError}`)
  await db.close()
  const again = await store.open(directory, options)
  const rows = await again.count({ gte: 'row:', lt: 'row;' })
  if (rows !== ROUNDS * ROWS - 1) throw new Error(`${rows} rows of ${ROUNDS * ROWS - 1}`)
  const last = await again.get('last')
  if (last !== `${ROUNDS - 1}, committed`) throw new Error(`the last round is ${last}`)
  if (await again.get('large') !== large) throw new Error('the large value is another')
  const { errors } = await again.verify()
  if (errors.length > 0) throw new Error(`verify: ${errors[0]!.message}`)
  await again.close()
  return { background, ...(backgroundReason === undefined ? {} : { backgroundReason }), flushes, merges }
}
