/** Many range deletions: reads between them stay cheap, memtables and the worker stay bounded, answers stay right. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Spillway } from '../spillway.ts'
import { checkLedger, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const BUDGET = '8 MiB'

function numbered(i: number): string {
  return `key:${String(i).padStart(6, '0')}`
}

test('a memtable full of range deletions is flushed, and every answer stays right', async () => {
  const host = simHost({ seed: 3 })
  let db = await openSim(host, { budget: BUDGET })
  const count = 5000
  for (let i = 0; i < count; i++) await within(host, db.put(numbered(i), 'v'))
  const { flushes } = db.stats()
  for (let i = 0; i < count; i += 2) await within(host, db.deleteRange({ gte: numbered(i), lt: numbered(i + 1) }))
  assert.ok(db.stats().flushes - flushes >= 2, '2,500 range deletions do not stay in one memtable')
  for (const reopened of [false, true]) {
    if (reopened) {
      await closeEmpty(host, db)
      db = await openSim(host, { budget: BUDGET })
    }
    for (let i = 0; i < count; i++) assert.equal(db.getSync(numbered(i)), i % 2 === 0 ? undefined : 'v', numbered(i))
    assert.equal(await within(host, db.count()), count / 2)
    checkLedger(db)
  }
  await closeEmpty(host, db)
})

test('un-awaited range deletions, more than a memtable takes, wait for a flush like other writes', async () => {
  const host = simHost({ seed: 4 })
  const db = await openSim(host, { budget: BUDGET })
  const calls: Promise<void>[] = []
  for (let i = 0; i < 3000; i++) {
    calls.push(db.put(numbered(i), 'v'))
    if (i % 3 > 0) calls.push(db.deleteRange({ gte: numbered(i), lte: numbered(i) }))
  }
  await within(host, Promise.all(calls))
  assert.ok(db.stats().flushes >= 1)
  assert.equal(await within(host, db.count()), 1000)
  for (let i = 0; i < 3000; i++) assert.equal(db.getSync(numbered(i)), i % 3 > 0 ? undefined : 'v', numbered(i))
  checkLedger(db)
  await closeEmpty(host, db)
})

test('an iterator does not see range deletions that came after it began, a snapshot neither', async () => {
  const host = simHost({ seed: 5 })
  const db = await openSim(host, { budget: BUDGET })
  for (let i = 0; i < 300; i++) db.putSync(numbered(i), 'v')
  db.deleteRangeSync({ gte: numbered(0), lt: numbered(10) })
  using snapshot = db.snapshot()
  const iterator = db.iterator()
  assert.equal((await iterator.nextv(5)).length, 5)
  for (let i = 10; i < 300; i++) {
    db.deleteRangeSync({ gte: numbered(i), lt: numbered(i + 1) })
    assert.equal(db.getSync(numbered(i)), undefined)
    assert.equal(db.getSync(numbered(i), { snapshot }), 'v')
  }
  assert.equal((await iterator.all()).length, 285)
  assert.equal(await within(host, db.count()), 0)
  assert.equal(await within(host, db.count({ snapshot })), 290)
  snapshot.close()
  await closeEmpty(host, db)
})

test('range tombstones of tables are in the ledger', async () => {
  const host = simHost({ seed: 8 })
  const db = await openSim(host, { budget: BUDGET })
  const metadata = (): number => db.memory().accounts['table metadata']!.bytes
  for (let i = 0; i < 1000; i++) db.putSync(numbered(i), 'v')
  await within(host, db.flush())
  const before = metadata()
  for (let i = 0; i < 1000; i += 4) db.deleteRangeSync({ gte: numbered(i), lt: numbered(i + 1) })
  using snapshot = db.snapshot()
  await within(host, db.flush())
  // Packed in the table's reader, with 20 bytes of keys.
  assert.ok(metadata() - before >= 250 * (20 + 20), `${metadata() - before} bytes for 250 range tombstones`)
  snapshot.close()
  await closeEmpty(host, db)
})

test('a log with more range deletions than a memtable takes is replayed', async () => {
  const host = simHost({ seed: 6 })
  const makeRunner = host.runner.bind(host)
  // Nothing is flushed before the crash.
  host.runner = options => Object.assign(makeRunner(options), { help: () => {} })
  const db = await openSim(host, { budget: BUDGET })
  for (let i = 0; i < 3000; i++) db.putSync(numbered(i), 'v')
  for (let i = 0; i < 3000; i += 2) db.deleteRangeSync({ gte: numbered(i), lt: numbered(i + 1) })
  assert.equal(db.stats().flushes, 0)
  const after = host.crash({ lossless: true })
  const again = await openSim(after, { budget: BUDGET })
  assert.ok(again.stats().flushes >= 1, 'one memtable did not take them all')
  assert.equal(await within(after, again.count()), 1500)
  await closeEmpty(after, again)
})

test('12,000 range deletions in a row leave the worker alive, the table whole and the answers right', { timeout: 60_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-ranges-'))
  const count = 12_000
  try {
    {
      await using db = await Spillway.open(directory, { budget: '32 MiB' })
      for (let i = 0; i < 2 * count; i++) db.putSync(numbered(i), 'v')
      for (let i = 0; i < count; i++) db.deleteRangeSync({ gte: numbered(2 * i), lt: numbered(2 * i + 1) })
      await db.flush()
      const stats = db.stats()
      assert.equal(stats.background, 'worker')
      assert.equal(stats.backgroundErrors, 0, stats.lastBackgroundError)
      assert.equal(await db.count(), count)
    }
    await using db = await Spillway.open(directory, { budget: '32 MiB' })
    for (let i = 0; i < 2 * count; i++) assert.equal(db.getSync(numbered(i)), i % 2 === 0 ? undefined : 'v', numbered(i))
    assert.equal(await db.count(), count)
    await db.compact()
    assert.equal(await db.count(), count)
    const stats = db.stats()
    assert.equal(stats.backgroundErrors, 0, stats.lastBackgroundError)
    assert.deepEqual((await db.verify()).errors, [])
    assert.ok(db.memory().highWaterBytes <= db.memory().budgetBytes)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
