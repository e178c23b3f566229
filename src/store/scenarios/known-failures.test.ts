/**
 * Failures that users of other stores have met, each as a test: memory that no option bounds, limits that wedge writers, caches
 * that fail reads, stalls without a reason, small budgets that fall off a cliff, and what is left open or grows for ever.
 */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import type { Lease } from '../../memory/budget.ts'
import { makePlan } from '../engine/budget-plan.ts'
import type { Spillway } from '../spillway.ts'
import { TINY_BUDGET, checkLedger, closeEmpty, openSim, simHost, turns, within } from '../testing/sim.ts'

const VALUE = 'v'.repeat(400)

function key(row: number): string {
  return `key:${String(row * 7919 % 1_000_003).padStart(7, '0')}`
}

/** Lease all free memory, in pieces, like another store of the budget. */
function hog(budget: Budget): { release(): void } {
  const account = budget.account('hog', 'a test')
  const leases: Lease[] = []
  for (const bytes of [1 << 20, 1 << 16, 1 << 12, 1 << 8]) {
    for (let lease = account.tryLease(bytes); lease !== undefined; lease = account.tryLease(bytes)) leases.push(lease)
  }
  return { release: () => { for (const lease of leases) lease.release() } }
}

async function fill(host: SimHost, db: Spillway, rows: number, first = 0): Promise<void> {
  for (let row = first; row < first + rows; row += 100) {
    await within(host, db.batch(Array.from({ length: Math.min(100, first + rows - row) }, (_, i) => ({ type: 'put' as const, key: key(row + i), value: VALUE }))))
  }
}

test('no option bounds the memory: here one number does, with iterators, snapshots and merges in it', async () => {
  const host = simHost({ seed: 5 })
  const db = await openSim(host)
  const iterators = []
  for (let round = 0; round < 8; round++) {
    await fill(host, db, 3000, round * 3000)
    for (let i = 0; i < 20; i++) iterators.push(db.iterator({ gte: key(i) }))
    db.snapshot()
    for (const iterator of iterators) await within(host, iterator.next())
    checkLedger(db)
  }
  assert.ok(db.stats().merges > 0)
  await closeEmpty(host, db)
})

test('a hard limit wedges writers when there is nothing to flush: here they go on with what is reserved for them', async () => {
  const host = simHost({ seed: 6 })
  const budget = new Budget('10 MiB')
  const db = await openSim(host, { budget })
  const others = hog(budget)
  await fill(host, db, 5000)
  db.putSync('sync', VALUE)
  assert.ok(db.stats().flushes > 2)
  assert.equal(db.getSync(key(4999)), VALUE)
  others.release()
  checkLedger(db)
  await closeEmpty(host, db)
})

test('a strict cache fails reads when it is full: here reads do without it', async () => {
  const host = simHost({ seed: 7 })
  const budget = new Budget('10 MiB')
  const db = await openSim(host, { budget })
  await fill(host, db, 6000)
  await within(host, db.flush())
  const others = hog(budget)
  for (let row = 0; row < 6000; row += 37) assert.equal(db.getSync(key(row)), VALUE)
  let seen = 0
  for (const entry of db.entriesSync()) {
    assert.equal(entry[1], VALUE)
    seen++
  }
  assert.equal(seen, 6000)
  assert.equal(await within(host, db.count({ gte: key(0) })), [...Array(6000).keys()].filter(row => key(row) >= key(0)).length)
  others.release()
  await closeEmpty(host, db)
})

test('limits are set and never read: here every number of the plan is read somewhere', () => {
  const room = fileURLToPath(new URL('..', import.meta.url))
  const ending = import.meta.url.endsWith('.ts') ? '.ts' : '.js'
  const names = (readdirSync(room, { recursive: true }) as string[]).filter(name => /^(?!.*(budget-plan|\.test|\.d)\.)[\w/\\-]+\.[jt]s$/.test(name) && name.endsWith(ending))
  const sources = names.map(name => readFileSync(join(room, name), 'utf8')).join('\n')
  const plan = readFileSync(join(room, 'engine', `budget-plan${ending}`), 'utf8')
  assert.ok(sources.includes('plan.'), 'no source was read')
  for (const name of Object.keys(makePlan(64 * 2 ** 20, 4096))) {
    const uses = [...sources.matchAll(new RegExp(`\\b${name}\\b`, 'g'))].length + [...plan.matchAll(new RegExp(`plan\\.${name}\\b`, 'g'))].length
    assert.ok(uses > 0, `${name} is in the plan and never read`)
  }
})

test('unexplained stalls: here the time that writes took is in the report, by cause', async () => {
  const host = simHost({ seed: 8 })
  const db = await openSim(host)
  let slowMs = 0
  for (let row = 0; row < 20_000; row++) {
    const startedMs = host.clock.nowMs()
    await within(host, db.put(key(row), VALUE))
    const tookMs = host.clock.nowMs() - startedMs
    if (tookMs > 2) slowMs += tookMs
  }
  const { totalMs, byCause } = db.stats().stalls
  assert.ok(totalMs >= 0.5 * slowMs, `${slowMs} ms of slow writes, ${totalMs} ms explained: ${JSON.stringify(byCause)}`)
  await closeEmpty(host, db)
})

test('a small budget falls off a cliff: here the same load is written not much more often than with ten times as much', async () => {
  const amplification: number[] = []
  for (const budget of [TINY_BUDGET, '64 MiB']) {
    const host = simHost({ seed: 9 })
    const db = await openSim(host, { budget })
    await fill(host, db, 60_000)
    await within(host, db.flush())
    amplification.push(db.stats().written.amplification)
    await closeEmpty(host, db)
  }
  assert.ok(amplification[0]! < 2.5 * amplification[1]!, `write amplification ${amplification.join(' and ')}`)
})

test('iterators and snapshots that are left open: they hold no memory that others need, and the stats show how old they are', async () => {
  const host = simHost({ seed: 10 })
  const db = await openSim(host)
  await fill(host, db, 2000)
  const snapshot = db.snapshot()
  const left = Array.from({ length: 200 }, () => db.iterator())
  for (const iterator of left) await within(host, iterator.next())
  for (let round = 0; round < 6; round++) await fill(host, db, 2000)
  host.advance(60_000)
  const { snapshots, iterators } = db.stats()
  assert.equal(iterators, 200)
  assert.ok(snapshots.open >= 1 && snapshots.oldestAgeMs! >= 60_000)
  assert.equal(db.getSync(key(1), { snapshot }), VALUE)
  // Where it stood, as of when it was opened.
  const rest = await within(host, left[199]!.all())
  assert.equal(rest.length, 1999)
  checkLedger(db)
  await closeEmpty(host, db)
})

test('a queue scans its tombstones for hours: here its first entry is found with a few looks at blocks', async () => {
  const host = simHost({ seed: 11 })
  const db = await openSim(host, { budget: '16 MiB', blockBytes: 4096 })
  const name = (row: number): string => `job:${String(row).padStart(8, '0')}`
  for (let row = 0; row < 20_000; row++) {
    db.putSync(name(row), VALUE)
    if (row >= 1000) db.delSync(name(row - 1000))
    if (row % 500 === 0) await turns(20)
  }
  await within(host, db.flush())
  await turns(200)
  const before = db.stats().cache
  const [first] = await within(host, db.iterator({ limit: 1 }).nextv(1))
  const { cache } = db.stats()
  assert.equal(first![0], name(19_000))
  const looks = cache.hits + cache.misses - before.hits - before.misses
  assert.ok(looks < 250, `${looks} looks at blocks for the first entry behind 19,000 deletions`)
  await closeEmpty(host, db)
})

test('a log grows without bound: here overwrites of one key are flushed, and the log with them', async () => {
  const host = simHost({ seed: 12 })
  const db = await openSim(host)
  for (let i = 0; i < 60_000; i++) {
    db.putSync('the only key', `${i} ${VALUE}`)
    if (i % 1000 === 0) await turns(5)
  }
  let logBytes = 0
  for (const file of host.files.list(db.directory)) {
    if (parseName(file).kind === 'log') logBytes += host.files.readAll(`${db.directory}/${file}`).length
  }
  // The limit is four times the memtable's arena, for the active and the one being flushed.
  assert.ok(logBytes < 8 * 512 * 1024 + 1024 * 1024, `${logBytes} bytes of log for one key`)
  assert.ok(db.stats().flushes > 3)
  await closeEmpty(host, db)
})

test('a full disk needs a restart: here writes fail with NO_SPACE, reads go on, and writes go on when there is room again', async () => {
  const host = simHost({ seed: 13 })
  const db = await openSim(host)
  await fill(host, db, 2000)
  host.disk.faults.capacityBytes = host.disk.usedBytes + 100_000
  let failed = 0
  for (let row = 2000; row < 4000; row++) {
    await within(host, db.put(key(row), VALUE.repeat(10))).catch((error: { code?: string }) => {
      assert.equal(error.code, 'SPILLWAY_NO_SPACE')
      failed++
    })
    assert.equal(db.getSync(key(1)), VALUE)
  }
  assert.ok(failed > 0)
  host.disk.faults.clear()
  host.advance(20_000)
  await turns(50)
  await fill(host, db, 4000, 8000)
  await within(host, db.flush())
  assert.equal(db.getSync(key(11_999)), VALUE)
  await closeEmpty(host, db)
})
