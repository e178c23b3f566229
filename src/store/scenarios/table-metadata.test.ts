/** What open tables take of the budget: many of them fit a small one, and a flush or merge can always install its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { DIRECTORY, checkFiles, checkLedger, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const VALUE = 'v'.repeat(200)

function numbered(i: number): string {
  return `key:${String(i).padStart(7, '0')}`
}

test('2,000 tables are open in a budget of 16 MiB, and reads, writes and merges go on', { timeout: 120_000 }, async () => {
  const host = simHost({ seed: 31 })
  const options = { budget: '16 MiB', compaction: { strategy: 'leveled', targetTableBytes: 1024 } } as const
  let db = await openSim(host, options)
  const count = 16_000
  for (let i = 0; i < count; i++) db.putSync(numbered(i * 7 % count), VALUE)
  await within(host, db.compact())
  for (const reopened of [false, true]) {
    if (reopened) {
      await closeEmpty(host, db)
      db = await openSim(host, options)
    }
    const { tables } = db.stats()
    assert.ok(tables >= 2000, `${tables} tables`)
    const { bytes } = db.memory().accounts['table metadata']!
    assert.ok(bytes / tables < 1536, `${Math.round(bytes / tables)} bytes a table`)
    for (let i = 0; i < count; i += 37) assert.equal(db.getSync(numbered(i)), VALUE)
    for (let i = 0; i < 200; i++) await within(host, db.put(numbered(count + i), VALUE))
    await within(host, db.flush())
    checkLedger(db)
  }
  assert.equal(await within(host, db.count()), count + 200)
  checkFiles(host, db)
  await closeEmpty(host, db)
})

test('a flush and a compaction install their tables though the budget denies more metadata', async () => {
  const host = simHost({ seed: 32 })
  const budget = new Budget('8 MiB')
  const db = await within(host, Spillway.open(DIRECTORY, { budget, host, blockBytes: 1024 }))
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 500; i++) db.putSync(numbered(i * 3 + round), VALUE)
    // Others have all of it: what is there comes from the spare.
    budget.denies = account => account === 'table metadata'
    await within(host, db.flush())
    assert.equal(db.stats().backgroundErrors, 0, db.stats().lastBackgroundError)
    if (round > 0) await within(host, db.compact())
    budget.denies = undefined
    checkLedger(db)
  }
  assert.equal(db.stats().runs.length, 1)
  assert.equal(await within(host, db.count()), 1500)
  await closeEmpty(host, db)
  assert.equal(budget.usedBytes, 0)
})

test('a flush that found no room for its table is tried again, and succeeds once there is', async () => {
  const host = simHost({ seed: 33 })
  const budget = new Budget('8 MiB')
  const db = await within(host, Spillway.open(DIRECTORY, { budget, host, blockBytes: 1024 }))
  // More range tombstones with long keys than the spare takes.
  const long = 'x'.repeat(500)
  for (let i = 0; i < 400; i++) db.deleteRangeSync({ gte: `${numbered(2 * i)}${long}`, lt: `${numbered(2 * i + 1)}${long}` })
  using snapshot = db.snapshot()
  let denied = 0
  budget.denies = account => account === 'table metadata' && denied++ < 6
  db.putSync('after', VALUE)
  await within(host, db.flush().catch((error: { code?: string }) => assert.equal(error.code, 'SPILLWAY_BUDGET_TOO_SMALL')))
  assert.ok(denied > 0)
  for (let i = 0; i < 20 && db.stats().flushes === 0; i++) await within(host, db.flush().catch(() => {}))
  assert.equal(db.stats().flushes, 1)
  assert.equal(db.getSync('after'), VALUE)
  checkLedger(db)
  checkFiles(host, db)
  snapshot.close()
  await closeEmpty(host, db)
  assert.equal(budget.usedBytes, 0)
})

test('range tombstones of a memtable that find no room to be resolved are looked at one by one, and answers stay right', async () => {
  const host = simHost({ seed: 34 })
  const budget = new Budget('8 MiB')
  const db = await within(host, Spillway.open(DIRECTORY, { budget, host, blockBytes: 1024 }))
  const metadata = (): number => db.memory().accounts['table metadata']!.bytes
  const before = metadata()
  const check = (): void => {
    for (let i = 0; i < 600; i += 7) assert.equal(db.getSync(numbered(i)), i % 2 === 0 ? undefined : 'v')
  }
  for (let i = 0; i < 600; i++) db.putSync(numbered(i), 'v')
  for (let i = 0; i < 600; i += 2) db.deleteRangeSync({ gte: numbered(i), lt: numbered(i + 1) })
  budget.denies = account => account === 'table metadata'
  check()
  assert.equal(metadata(), before)
  budget.denies = undefined
  for (let i = 600; i < 900; i += 2) db.deleteRangeSync({ gte: numbered(i), lt: numbered(i + 1) })
  check()
  assert.ok(metadata() - before > 300 * 20, `${metadata() - before} bytes are leased for them`)
  await within(host, db.flush())
  checkLedger(db)
  check()
  await closeEmpty(host, db)
  assert.equal(budget.usedBytes, 0)
})
