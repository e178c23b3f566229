/** A bound that is there and undefined is a mistake of the caller, never "everything". */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Spillway } from '../spillway.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const
const ROWS = 10

/** The calls of a store that take a range. */
const CALLS: Record<string, (db: Spillway, range: any) => unknown> = {
  deleteRange: (db, range) => db.deleteRange(range),
  deleteRangeSync: (db, range) => db.deleteRangeSync(range),
  iterator: (db, range) => db.iterator(range),
  keys: (db, range) => db.keys(range),
  values: (db, range) => db.values(range),
  entriesSync: (db, range) => [...db.entriesSync(range)],
  count: (db, range) => db.count(range),
  approximateSize: (db, range) => db.approximateSize(range),
  compact: (db, range) => db.compact(range),
  'transaction.deleteRange': (db, range) => db.transaction(tx => tx.deleteRange(range)),
  'transaction.deleteRangeSync': (db, range) => db.transaction(tx => tx.deleteRangeSync(range)),
  'transaction.iterator': (db, range) => db.transaction(tx => { tx.iterator(range) }),
  'transaction.entriesSync': (db, range) => db.transaction(tx => { for (const _ of tx.entriesSync(range)) continue }),
}

for (const [name, call] of Object.entries(CALLS)) {
  test(`${name}: a bound that is undefined or null, or an option that there is not, is refused and nothing is changed`, async () => {
    const host = simHost()
    const db = await openSim(host)
    for (let i = 0; i < ROWS; i++) db.putSync(`k${i}`, 'v')
    const refused = (range: object, message: RegExp): Promise<void> =>
      within(host, assert.rejects(async () => call(db, range), { code: 'SPILLWAY_INVALID_ARGUMENT', message }))
    for (const bound of BOUNDS) {
      for (const nothing of [undefined, null]) {
        await refused({ [bound]: nothing }, new RegExp(`${bound} is ${nothing}; a bound must be a key. Leave ${bound} out`))
        const other = bound.startsWith('g') ? 'lt' : 'gt'
        await refused({ [other]: 'k5', [bound]: nothing }, new RegExp(`${bound} is ${nothing}`))
      }
    }
    // Inherited counts too: a class with getters, a prototype with defaults.
    await refused(Object.create({ gte: undefined }) as object, /gte is undefined/)
    await refused({ gt: undefined, gte: 'a' }, /give either gt or gte/)
    await refused({ get: 'k1' }, /has no option "get".*Did you mean "gte"\?/)
    await refused({ prefix: 'k' }, /has no option "prefix"/)
    for (const wrong of [[], new Map([['gte', 'k5']]), new Set(), new Date(0)]) await refused(wrong, /options must be an object such as/)
    assert.equal(await within(host, db.count()), ROWS)
    await within(host, db.close())
  })
}

test('other options may be there and undefined, which is as if they were not', async () => {
  const host = simHost()
  const db = await openSim(host)
  for (let i = 0; i < ROWS; i++) db.putSync(`k${i}`, 'v')
  const absent = { reverse: undefined, limit: undefined, snapshot: undefined, keyEncoding: undefined, valueEncoding: undefined } as object
  assert.equal((await within(host, db.iterator({ gte: 'k5', ...absent }).all())).length, 5)
  assert.equal(await within(host, db.count({})), ROWS)
  await within(host, db.deleteRange({}, { durability: undefined, signal: undefined } as object))
  assert.equal(await within(host, db.count()), 0)
  await within(host, db.close())
})

test('options that come with nothing to do are looked at all the same', async () => {
  const host = simHost()
  const db = await openSim(host)
  const calls: [string, () => unknown][] = [
    ['getMany', () => db.getMany([], { snapshto: 1 } as never)],
    ['getManySync', () => db.getManySync([], { snapshto: 1 } as never)],
    ['batch', () => db.batch([], { durability: 'dsk' as never })],
    ['batchSync', () => db.batchSync([], { durability: 'dsk' as never })],
    ['deleteRange', () => db.deleteRange({ gte: 'b', lt: 'a' }, { durability: 'dsk' as never })],
    ['deleteRangeSync', () => db.deleteRangeSync({ gte: 'b', lt: 'a' }, { durability: 'dsk' as never })],
    ['transaction.getMany', () => db.transaction(tx => tx.getMany([], { valueEncodng: 'json' } as never))],
    ['an encoding in an operation', () => db.batch([{ type: 'put', key: 'k', value: 'v', valueEncoding: 'json' } as never])],
  ]
  for (const [name, call] of calls) await within(host, assert.rejects(async () => call(), { code: 'SPILLWAY_INVALID_ARGUMENT' }, name))
  assert.equal(await within(host, db.count()), 0)
  await within(host, db.close())
})
