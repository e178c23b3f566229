/** Stores, snapshots, iterators and transactions among other objects: compared, printed, cloned. Nothing of what they hold is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect, isDeepStrictEqual } from 'node:util'
import { Budget, Snapshot, Spillway, SpillwayIterator, Transaction } from '../../index.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

test('each is equal to itself only, and shows a line and nothing of what is stored', async () => {
  const host = simHost({ seed: 5 })
  const budget = new Budget('8 MiB')
  const db = await openSim(host, { budget })
  const otherHost = simHost({ seed: 5 })
  const other = await openSim(otherHost)
  await within(host, db.put('secret key', 'secret value'))
  const iterator = db.iterator()
  await within(host, iterator.next())
  const snapshot = db.snapshot()
  const transaction = await db.begin()
  transaction.putSync('secret key', 'secret value')

  const pairs: [object, object][] = [[db, other], [snapshot, db.snapshot()], [iterator, db.iterator()], [db.keys(), db.keys()], [transaction, await db.begin()], [budget, new Budget('8 MiB')]]
  for (const [one, another] of pairs) {
    assert.deepStrictEqual({ one }, { one })
    assert.ok(!isDeepStrictEqual(one, another))
    assert.deepEqual(Object.keys(one).filter(key => key !== 'seq' && key !== 'denies'), [])
    for (const shown of [inspect(one), inspect(one, { showHidden: true, depth: null, getters: true }), JSON.stringify(one)]) assert.doesNotMatch(shown, /secret/)
    assert.equal(inspect({ a: { b: { c: one } } }, { depth: 2 }).replace(/\s+/g, ' '), `{ a: { b: { c: [${one.constructor.name}] } } }`)
    assert.equal(Object.prototype.toString.call(one), `[object ${one.constructor.name}]`)
  }
  assert.equal(inspect(db), "Spillway { directory: '/store', state: 'open' }")
  assert.equal(inspect(snapshot), "Snapshot { seq: 1, state: 'open' }")
  assert.equal(inspect(iterator), "SpillwayIterator { state: 'open' }")
  assert.equal(inspect(transaction), "Transaction { state: 'open' }")
  assert.match(inspect(budget), /^Budget \{ totalBytes: 8388608, usedBytes: \d+ \}$/)
  assert.throws(() => structuredClone(db), { message: '#<Spillway> could not be cloned.' })
  assert.equal(JSON.stringify(snapshot), '{}')

  await within(host, iterator.all())
  assert.equal(inspect(iterator), "SpillwayIterator { state: 'closed' }")
  await within(host, transaction.abort())
  await within(host, db.close())
  await within(otherHost, other.close())
  assert.equal(inspect(db), "Spillway { directory: '/store', state: 'closed' }")
  assert.equal(inspect(snapshot), "Snapshot { seq: 1, state: 'closed' }")
  assert.equal(inspect(transaction), "Transaction { state: 'aborted' }")
})

test('prototypes can be looked into, and their methods refuse what is none', () => {
  for (const { name, prototype } of [Spillway, Snapshot, SpillwayIterator, Transaction, Budget]) {
    assert.equal(inspect(prototype), `Object [${name}] {}`)
    assert.equal(inspect(Object.create(prototype)), `Object [${name}] {}`)
    assert.ok(inspect(prototype, { showHidden: true, getters: true }).startsWith(`Object [${name}]`) || inspect(prototype, { showHidden: true }).includes(name))
    for (const [key, { get }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get !== undefined) assert.throws(() => get.call(prototype), TypeError, `${name} ${key}`)
    }
  }
})
