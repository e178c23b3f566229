import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../../host/sim/sim-host.ts'
import { MemoryArbiter } from '../engine/memory-arbiter.ts'
import type { Tenant } from '../engine/tenant.ts'
import { Spillway } from '../spillway.ts'

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

/** A store whose value codec makes one call of the store when it encodes 'outer', and goes on whatever becomes of it. */
async function withCodecThatCalls(call: (db: Spillway) => unknown, work: (db: Spillway, refusal: () => Promise<unknown>) => Promise<void>): Promise<void> {
  let refusal: Promise<unknown> | undefined
  const db: Spillway = await open(new SimHost({ seed: 3 }), {
    valueEncoding: {
      encode(value: string) {
        if (value === 'outer') refusal = attempt(() => call(db))
        return value
      },
      decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
    },
  })
  await work(db, () => refusal!)
  await db.close()
}

/** What it throws, or rejects with. */
async function attempt(act: () => unknown): Promise<unknown> {
  try {
    await act()
  } catch (error) {
    return error
  }
  return undefined
}

const CALLS: Record<string, (db: Spillway) => unknown> = {
  deleteRange: db => db.deleteRange({ gte: 'a', lt: 'z' }),
  deleteRangeSync: db => db.deleteRangeSync({ gte: 'a', lt: 'z' }),
  flush: db => db.flush(),
  compact: db => db.compact({ gte: 'a', lt: 'z' }),
  approximateSize: db => db.approximateSize({ gte: 'a', lt: 'z' }),
  setBudget: db => db.setBudget('9 MiB'),
  close: db => db.close(),
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`a codec that calls ${name} is refused, and the write it is part of is as it would be without`, () => withCodecThatCalls(call, async (db, refusal) => {
    await db.put('key', 'outer')
    const refused = { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec called the store/ }
    await assert.rejects(async () => { throw await refusal() }, refused)
    const before = db.put('before', 'in the same turn')
    db.batchSync([{ type: 'put', key: 'first', value: '1' }, { type: 'put', key: 'second', value: 'outer' }, { type: 'del', key: 'key' }])
    await assert.rejects(async () => { throw await refusal() }, refused)
    await before
    assert.equal(db.isClosed, false)
    assert.deepEqual(await db.iterator().all(), [['before', 'in the same turn'], ['first', '1'], ['second', 'outer']])
    assert.deepEqual([db.stats().flushes, db.memory().budgetBytes], [0, 8 * 2 ** 20])
  }))
}

let ending: (() => unknown) | undefined

test('a codec cannot end the transaction that it encodes for', () => withCodecThatCalls(() => ending?.(), async (db, refusal) => {
  const transaction = await db.begin()
  for (const end of [() => transaction.abort(), () => transaction[Symbol.dispose](), () => transaction.commit()]) {
    ending = end
    transaction.putSync('key', 'outer')
    await assert.rejects(async () => { throw await refusal() }, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec called the store/ })
    assert.equal(transaction.state, 'open')
  }
  await transaction.commit()
  assert.deepEqual(await db.iterator().all(), [['key', 'outer']])
}))

test('operations of a batch whose getters call the store are written whole, or not at all', async () => {
  const db = await open(new SimHost({ seed: 3 }))
  const calls: ((key: string) => unknown)[] = [
    key => db.putSync(key, 'x'), key => db.put(key, 'x'), key => db.batchSync([{ type: 'put', key, value: 'x' }]), key => db.deleteRangeSync({ gte: key }), () => db.flush(),
  ]
  for (const call of calls) {
    const before = db.put('before', '0')
    let refusal: Promise<unknown> | undefined
    const operations = [{ type: 'put' as const, key: 'a', value: '1' }, {
      type: 'put' as const, key: 'b', get value() {
        refusal = attempt(() => call('inner'))
        return '2'
      },
    }]
    db.batchSync(operations)
    await assert.rejects(async () => { throw await refusal }, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec called the store/ })
    await before
    assert.deepEqual(await db.iterator().all(), [['a', '1'], ['b', '2'], ['before', '0']])
    assert.equal(db.stats().flushes, 0)
    db.deleteRangeSync({})
  }
  await db.close()
  const again = await open(new SimHost({ seed: 4 }))
  await again.close()
})

test('a store is not asked for memory in the middle of a batch, whatever other stores its codec writes to', async t => {
  let tenant: Tenant | undefined
  const { admit } = MemoryArbiter.prototype
  t.mock.method(MemoryArbiter.prototype, 'admit', function (this: MemoryArbiter, admitted: Tenant) {
    tenant ??= admitted
    admit.call(this, admitted)
  })
  const asked: unknown[] = []
  await withCodecThatCalls(() => { asked.push(tenant!.reclaimableBytes(), tenant!.yieldMemtable()) }, async db => {
    // Into an empty memtable, then beside others.
    for (const round of ['1', '2']) {
      const before = round === '1' ? undefined : db.put('before', '0')
      db.batchSync([{ type: 'put', key: `first ${round}`, value: '1' }, { type: 'put', key: `second ${round}`, value: 'outer' }])
      await before
    }
    assert.deepEqual(asked, [0, false, 0, false])
    assert.deepEqual([db.stats().flushes, db.stats().backgroundErrors, tenant!.reclaimableBytes() > 0], [0, 0, true])
    assert.deepEqual((await db.iterator().all()).map(([key]) => key), ['before', 'first 1', 'first 2', 'second 1', 'second 2'])
  })
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
