/** What the governance simulation found, each as small as it could be made. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { floorBytes } from '../testing/governance.ts'
import { openSim, simHost, within } from '../testing/sim.ts'
import type { BatchOperation } from '../api/options.ts'

const VALUE = 'v'.repeat(4000)

test('an opening that is denied a lease leaves none behind', async () => {
  const host = simHost()
  const budget = new Budget('8 MiB')
  budget.denies = account => account === 'write queue'
  await assert.rejects(Spillway.open('/a', { budget, host }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  budget.denies = undefined
  assert.equal(budget.usedBytes, 0, JSON.stringify(budget.report().accounts))
})

test('a large value waits when there is no room to keep track of its file', async () => {
  const host = simHost()
  const budget = new Budget('8 MiB')
  const db = await openSim(host, { budget })
  let denied = 0
  budget.denies = account => account === 'table metadata' && denied++ === 0
  try {
    await within(host, db.put('k', 'v'.repeat(20_000)))
    assert.equal(db.getSync('k')?.length, 20_000)
  } finally {
    await within(host, db.close())
  }
})

test('each large value of a batch is leased before it is kept', async () => {
  const host = simHost()
  const budget = new Budget('8 MiB')
  const db = await openSim(host, { budget })
  const operations: BatchOperation<string, string>[] = ['a', 'b', 'c', 'd'].map(key => ({ type: 'put', key, value: 'v'.repeat(20_000) }))
  let asked = 0
  budget.denies = account => account === 'table metadata' && asked++ > 0
  try {
    const metadataBytes = (): number => db.memory().accounts['table metadata']!.bytes
    const before = metadataBytes()
    await within(host, db.batch(operations)).catch(() => {})
    assert.equal(metadataBytes() - before, db.stats().valueFiles * 64)
  } finally {
    budget.denies = undefined
    await within(host, db.close())
  }
})

test('a batch that fits the largest memtable waits for one', async () => {
  const host = simHost()
  const budget = new Budget(floorBytes(1) + 1_600_000)
  const db = await openSim(host, { budget })
  try {
    await within(host, db.put('a', 'v'))
    let denied = 0
    budget.denies = account => account === 'memtables' && denied++ < 20
    const operations: BatchOperation<string, string>[] = Array.from({ length: 80 }, (_, i) => ({ type: 'put', key: `b${i}`, value: VALUE }))
    await within(host, db.batch(operations))
  } finally {
    await within(host, db.close())
  }
})

test('a flush that is asked for when the disk is well again is tried, not answered with the old error', async () => {
  const host = simHost()
  const { disk } = host
  const db = await openSim(host)
  try {
    db.putSync('a', VALUE)
    // Room for a new log segment, not for a table.
    disk.faults.capacityBytes = disk.usedBytes + 200
    await assert.rejects(within(host, db.flush()), { code: 'SPILLWAY_NO_SPACE' })
    disk.faults.clear()
    await within(host, db.flush())
  } finally {
    await within(host, db.close())
  }
})

test('a store writes when the disk is well again though others had all memtables', async () => {
  const host = simHost()
  const { disk } = host
  const budget = new Budget(floorBytes(3) + 300_000)
  // Only the two memtables of the reserve.
  budget.denies = account => account === 'memtables' && stores.length > 0
  const stores: Spillway[] = []
  for (const name of ['/a', '/b', '/c']) stores.push(await within(host, Spillway.open(name, { budget, host })))
  const [a, b, c] = stores as [Spillway, Spillway, Spillway]
  try {
    a.putSync('a', VALUE)
    b.putSync('b', VALUE)
    disk.faults.capacityBytes = disk.usedBytes + 500
    await assert.rejects(within(host, a.flush()), { code: 'SPILLWAY_NO_SPACE' })
    await assert.rejects(within(host, b.flush()), { code: 'SPILLWAY_NO_SPACE' })
    disk.faults.clear()
    c.putSync('c', VALUE)
  } finally {
    for (const db of stores) await within(host, db.close())
  }
})

test('a budget that was lowered leaves room for the metadata of tables', async () => {
  const host = simHost()
  const budget = new Budget(floorBytes(2) + 1_340_000)
  const stores: Spillway[] = []
  for (const name of ['/a', '/b']) stores.push(await within(host, Spillway.open(name, { budget, host, blockBytes: 1024 })))
  const flood = async (): Promise<void> => {
    const writes: Promise<void>[] = []
    for (let i = 0; i < 300; i++) for (const db of stores) writes.push(db.put(`k${i % 50}`, 'v'.repeat(8000)))
    await within(host, Promise.all(writes))
  }
  try {
    await flood()
    for (const db of stores) await within(host, db.flush())
    await host.idle()
    const cacheBytes = budget.report().accounts['block cache']!.bytes
    stores[0]!.setBudget(Math.max(floorBytes(2) + 16 * 1024, budget.usedBytes - cacheBytes + 1024))
    await flood()
  } finally {
    for (const db of stores) await within(host, db.close())
  }
})

test('a scan of many runs with large values needs no more windows than its reserve has', async () => {
  const host = simHost()
  const budget = new Budget('8 MiB')
  const db = await openSim(host, { budget, compaction: { strategy: 'tiered', minMergeWidth: 32, maxMergeWidth: 32, maxRuns: 40, maxSpaceAmplificationPercent: 100_000 } })
  try {
    for (let run = 0; run < 20; run++) {
      for (let i = 0; i < 3; i++) db.putSync(`${i}-${run}`, 'v'.repeat(16_000))
      await within(host, db.flush())
    }
    assert.ok(db.stats().runs.length >= 16, `${db.stats().runs.length} runs`)
    budget.denies = account => account === 'iterators'
    assert.equal([...db.entriesSync()].length, 60)
  } finally {
    await within(host, db.close())
  }
})
