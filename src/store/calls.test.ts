import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { Spillway } from './spillway.ts'

const open = (host: SimHost, options: object = {}) => Spillway.open('/db', { host, budget: '8 MiB', ...options })

test('a store that is closing takes no more calls, and what it acknowledged before is there afterwards', async () => {
  const host = new SimHost({ seed: 1 })
  const db = await open(host)
  const before = db.put('a', '1', { durability: 'none' })
  const closing = db.close()
  await before
  assert.equal(db.isClosed, true)
  await assert.rejects(db.put('b', '2'), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => db.putSync('c', '3'), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => db.iterator(), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => db.snapshot(), { code: 'SPILLWAY_CLOSED' })
  await closing
  const again = await open(host)
  assert.deepEqual(await again.iterator().all(), [['a', '1']])
  await again.close()
})

test('several calls of next at once give each entry once, in order', async () => {
  const db = await open(new SimHost({ seed: 2 }))
  for (let i = 0; i < 1000; i++) db.putSync(`k${String(i).padStart(4, '0')}`, String(i))
  const iterator = db.keys()
  const keys = await Promise.all(Array.from({ length: 600 }, () => iterator.next()))
  assert.deepEqual(keys, Array.from({ length: 600 }, (_, i) => `k${String(i).padStart(4, '0')}`))
  await db.close()
})

test('a codec that calls its own store is refused, and nothing wrong is written', async () => {
  const db: Spillway = await open(new SimHost({ seed: 3 }), {
    valueEncoding: {
      encode(value: string) {
        if (value === 'outer') db.putSync('inner', 'x')
        return value
      },
      decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
    },
  })
  await assert.rejects(db.put('key', 'outer'), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec/ })
  assert.deepEqual(await db.iterator().all(), [])
  await db.put('key', 'plain')
  assert.deepEqual(await db.iterator().all(), [['key', 'plain']])
  await db.close()
})

test('a value whose toJSON calls the store is refused, and nothing wrong is written', async () => {
  const db = await Spillway.open<string, unknown>('/db', { host: new SimHost({ seed: 3 }), budget: '8 MiB', valueEncoding: 'json' })
  const value = { toJSON: () => db.putSync('inner', 1) }
  await assert.rejects(db.put('key', value), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec/ })
  assert.deepEqual(await db.iterator().all(), [])
  await db.put('key', { fine: true })
  assert.deepEqual(await db.iterator().all(), [['key', { fine: true }]])
  await db.close()
})

test('without a worker, merges keep pace with a writer that never gives the event loop a turn', async () => {
  const db = await open(new SimHost({ seed: 4 }))
  const value = 'v'.repeat(1000)
  let mostRuns = 0
  for (let i = 0; i < 20_000; i++) {
    db.putSync(`key ${i * 7919 % 20_000}`, value)
    if (i % 100 === 0) mostRuns = Math.max(mostRuns, db.stats().runs.length)
  }
  assert.ok(db.stats().flushes > 15, `${db.stats().flushes} flushes`)
  assert.ok(mostRuns <= 16, `${mostRuns} runs`)
  await db.close()
})

test('overwriting a few keys for ever does not grow the log for ever', async () => {
  const db = await open(new SimHost({ seed: 5 }))
  const value = 'v'.repeat(10_000)
  for (let i = 0; i < 3000; i++) db.putSync(`key ${i % 5}`, value)
  assert.ok(db.stats().flushes > 0, 'a flush has begun a new segment')
  assert.equal(await db.count(), 5)
  await db.close()
})
