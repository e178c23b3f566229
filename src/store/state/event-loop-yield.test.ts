/** Loops of calls that are awaited and answered at once: the event loop has its turns. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Spillway } from '../spillway.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

const KEYS = Array.from({ length: 100 }, (_, i) => `key ${i}`)

/** Each of them takes a millisecond, or less than a thousandth of what may go on without a turn. */
const CALLS: Record<string, (db: Spillway) => Promise<unknown>> = {
  'iterators that are short': db => db.iterator({ limit: 10 }).all(),
  'iterators of which one entry is read': db => db.keys({ limit: 1 }).next(),
  'chunks of iterators': db => db.values({ limit: 5 }).nextv(5),
  'iterators in a loop': async db => {
    for await (const _ of db.iterator({ limit: 10 }));
  },
  'counts that are short': db => db.count({ lt: 'key 5' }),
  'gets of many keys': db => db.getMany(KEYS),
  'gets of no key': db => db.getMany([]),
  'gets': db => db.get('key 1'),
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`a loop of awaited ${name} leaves the event loop its turns`, async () => {
    const host = simHost()
    const db = await openSim(host)
    for (const key of KEYS) db.putSync(key, 'value')
    for (let round = 0; round < 3; round++) {
      let hasTurned = false
      setImmediate(() => { hasTurned = true })
      let calls = 0
      for (; !hasTurned && calls < 3000; calls++) {
        await call(db)
        host.clock.sleepSync(1)
      }
      assert.ok(calls < 3000, 'it had none')
    }
    await within(host, db.close())
  })
}

test('calls that are answered at once do not wait for a turn that is not due', async () => {
  const host = simHost()
  const db = await openSim(host)
  await db.put('key', 'value')
  // Whatever was due by now.
  await db.keys().all()
  let hasTurned = false
  setImmediate(() => { hasTurned = true })
  for (let i = 0; i < 20; i++) {
    assert.deepEqual(await db.iterator({ limit: 1 }).all(), [['key', 'value']])
    assert.equal(await db.count(), 1)
    assert.deepEqual(await db.getMany(['key', 'none']), ['value', undefined])
  }
  assert.equal(hasTurned, false)
  await within(host, db.close())
})
