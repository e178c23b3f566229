/** Writes that wait for a flush: what they hold while they wait, and what a range deletion behind them removes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkLedger, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'
import type { Spillway } from '../spillway.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { BatchOperation, StoreOptions } from '../api/options.ts'

const BUDGET = '8 MiB'

function openStore(): { host: ReturnType<typeof simHost>, open: <K = string, V = string>(options?: StoreOptions & AnyEncodings) => Promise<Spillway<K, V>> } {
  const host = simHost({ seed: 7 })
  const makeRunner = host.runner.bind(host)
  // Jobs go on between turns and for those that wait, as in a thread of their own that is slower than the writer.
  host.runner = options => Object.assign(makeRunner(options), { help: () => {} })
  return { host, open: options => openSim(host, { budget: BUDGET, ...options }) }
}

function isWaiting(db: Spillway<any, any>): boolean {
  return db.stats().stalls.current !== undefined
}

/** Un-awaited puts until some of them wait. */
function flood(db: Spillway, calls: Promise<void>[]): number {
  let count = 0
  for (; !isWaiting(db); count++) {
    assert.ok(count < 100_000, 'the flood never had to wait')
    calls.push(db.put(`flood:${String(count).padStart(6, '0')}`, 'x'.repeat(500)))
  }
  return count
}

test('operations and buffers of a batch that waits can be used again by the caller', async () => {
  const { host, open } = openStore()
  const db = await open<Uint8Array, Uint8Array>({ keyEncoding: 'view', valueEncoding: 'view' })
  const key = new Uint8Array(4)
  const value = new Uint8Array(600)
  const operation = { type: 'put' as const, key, value }
  const numbers = new DataView(key.buffer)
  const calls: Promise<void>[] = []
  let waited = 0
  for (let i = 0; waited < 60; i++) {
    assert.ok(i < 100_000, 'no batch had to wait')
    numbers.setUint32(0, i)
    value.fill(i % 251)
    calls.push(db.batch([operation, operation]))
    if (isWaiting(db)) waited++
  }
  key.fill(255)
  value.fill(255)
  ;(operation as { type: string }).type = 'nothing'
  await within(host, Promise.all(calls))
  for (let i = 0; i < calls.length; i++) {
    numbers.setUint32(0, i)
    const found = db.getSync(key)
    assert.ok(found !== undefined && found.length === 600 && found.every(byte => byte === i % 251), `batch ${i} of ${calls.length}`)
  }
  assert.equal(await within(host, db.count()), calls.length)
  await closeEmpty(host, db)
})

test('a batch that waits counts with its bytes, so that the calls in front of it wait inside themselves', async () => {
  const { host, open } = openStore()
  const db = await open()
  const calls: Promise<void>[] = []
  flood(db, calls)
  const { flushes } = db.stats()
  // 100 batches of 12 KiB are far more than the queue's 256 KiB: some calls cannot return before a flush has ended.
  for (let i = 0; i < 100; i++) {
    const batch: BatchOperation<string, string>[] = []
    for (let j = 0; j < 12; j++) batch.push({ type: 'put', key: `batch:${i}:${j}`, value: String(i % 10).repeat(1024) })
    calls.push(db.batch(batch))
  }
  assert.ok(db.stats().flushes > flushes, 'a call waited inside itself for a flush')
  await within(host, Promise.all(calls))
  for (let i = 0; i < 100; i++) assert.equal(db.getSync(`batch:${i}:11`), String(i % 10).repeat(1024))
  checkLedger(db)
  await closeEmpty(host, db)
})

test('a batch larger than the whole queue is written before its call returns, in its place in the order', async () => {
  const { host, open } = openStore()
  const db = await open()
  const calls: Promise<void>[] = []
  flood(db, calls)
  const batch: BatchOperation<string, string>[] = []
  for (let j = 0; j < 40; j++) batch.push({ type: 'put', key: `flood:${String(j).padStart(6, '0')}`, value: 'new'.padEnd(8192, '.') })
  calls.push(db.batch(batch))
  batch.length = 0
  assert.equal(isWaiting(db), false, 'nothing waits behind it')
  for (let j = 0; j < 40; j++) assert.equal(db.getSync(`flood:${String(j).padStart(6, '0')}`)?.slice(0, 4), 'new.')
  await within(host, Promise.all(calls))
  await closeEmpty(host, db)
})

test('a batch with an operation that cannot be written fails alone, also when it would have to wait', async () => {
  const { host, open } = openStore()
  const db = await open()
  const calls: Promise<void>[] = []
  const count = flood(db, calls)
  const bad = db.batch([{ type: 'put', key: 'good', value: 'v' }, { type: 'put', key: 'bad', value: undefined as unknown as string }])
  await assert.rejects(within(host, bad), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await within(host, Promise.all(calls))
  assert.equal(db.getSync('good'), undefined)
  assert.equal(await within(host, db.count()), count)
  await closeEmpty(host, db)
})

for (const [name, range, left] of [
  ['everything', {}, 0],
  ['all from a key on', { gte: 'flood:000001' }, 1],
] as const) {
  test(`deleting ${name} while writes wait removes those as well`, async () => {
    const { host, open } = openStore()
    const db = await open()
    const calls: Promise<void>[] = []
    flood(db, calls)
    calls.push(db.put('z: behind all others, and waiting', 'v'))
    calls.push(db.deleteRange(range))
    assert.ok(isWaiting(db), 'the deletion came while writes were waiting')
    await within(host, Promise.all(calls))
    assert.equal(await within(host, db.count()), left)
    calls.push(db.put('after', 'v'))
    await within(host, db.flush())
    assert.equal(await within(host, db.count()), left + 1)
    await closeEmpty(host, db)
  })
}
