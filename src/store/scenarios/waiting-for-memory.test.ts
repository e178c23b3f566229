/** Opening something on a shared budget gets the memory of idle memtables, or an error that names the holder. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpillwayError } from '../../base/errors.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { floorBytes } from '../testing/governance.ts'
import { Spillway } from '../spillway.ts'
import { checkLedger, simHost, within } from '../testing/sim.ts'
import type { OpenOptions } from '../api/options.ts'

const VALUE = 'v'.repeat(1000)

function open(host: SimHost, budget: Budget, name: string, options: OpenOptions = {}): Promise<Spillway> {
  return within(host, Spillway.open(`/${name}`, { ...options, host, budget, blockBytes: 1024 }))
}

/** Nothing of `account` is leased before the memtable of `holder` has been flushed. */
function scarce(budget: Budget, holder: Spillway, account: string): { asked: () => number } {
  let asked = 0
  budget.denies = name => name === account && holder.stats().flushes === 0 && ++asked > 0
  return { asked: () => asked }
}

async function closeAll(host: SimHost, budget: Budget, stores: readonly Spillway[]): Promise<void> {
  for (const db of stores) await within(host, db.close())
  assert.equal(budget.usedBytes, 0, JSON.stringify(budget.report().accounts))
}

test('stores can be opened until their floors fill the budget, whatever memtables of idle ones hold', { timeout: 60_000 }, async () => {
  const host = simHost({ seed: 21 })
  const budget = new Budget('12 MiB')
  const stores: Spillway[] = []
  let refusal: SpillwayError | undefined
  while (refusal === undefined) {
    try {
      const db = await open(host, budget, `s${stores.length}`)
      stores.push(db)
      await within(host, db.put('k', VALUE))
    } catch (error) {
      refusal = error as SpillwayError
    }
  }
  assert.equal(refusal.code, 'SPILLWAY_BUDGET_TOO_SMALL')
  assert.match(refusal.message, new RegExp(`the ${stores.length + 1} stores that share it need at least .*Raise the budget, or close stores$`))
  assert.ok(stores.length >= 12, `${stores.length} stores`)
  for (const db of stores) assert.equal(db.getSync('k'), VALUE)
  for (const db of stores) await within(host, db.flush())
  await assert.rejects(open(host, budget, 'one more'), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  checkLedger(stores[0]!)
  await closeAll(host, budget, stores)
})

for (const account of ['encoding', 'objects']) {
  test(`a store that finds no room for its ${account} has the memtable of an idle one flushed, and waits for that`, async () => {
    const host = simHost({ seed: 22 })
    const budget = new Budget('10 MiB')
    const idle = await open(host, budget, 'idle')
    await within(host, idle.put('k', VALUE))
    const { asked } = scarce(budget, idle, account)
    const db = await open(host, budget, 'db')
    assert.ok(asked() > 0)
    assert.deepEqual([idle.stats().flushes, idle.getSync('k')], [1, VALUE])
    budget.denies = undefined
    await within(host, db.put('a', VALUE))
    checkLedger(db)
    await closeAll(host, budget, [idle, db])
  })
}

test('so does one that finds none for its tables and large values', async () => {
  const host = simHost({ seed: 23 })
  let db = await open(host, new Budget('10 MiB'), 'db', { compaction: { strategy: 'tiered', minMergeWidth: 100 } })
  for (let table = 0; table < 45; table++) {
    await within(host, db.put(`k${table}`, table % 10 === 0 ? 'l'.repeat(20_000) : VALUE))
    await within(host, db.flush())
  }
  await within(host, db.put('in the log', 'l'.repeat(20_000)))
  await within(host, db.close())

  const budget = new Budget('10 MiB')
  const idle = await open(host, budget, 'idle')
  await within(host, idle.put('k', VALUE))
  const { asked } = scarce(budget, idle, 'table metadata')
  db = await open(host, budget, 'db')
  budget.denies = undefined
  assert.ok(asked() > 0)
  assert.equal(idle.stats().flushes, 1)
  assert.equal(await within(host, db.count()), 46)
  assert.equal(db.getSync('in the log')?.length, 20_000)
  assert.equal(db.getSync('k10')?.length, 20_000)
  checkLedger(db)
  await closeAll(host, budget, [idle, db])
})

test('writers that go on do not keep a store from being opened', { timeout: 60_000 }, async () => {
  const host = simHost({ seed: 24 })
  const budget = new Budget(floorBytes(3) + 1_200_000)
  const writers = [await open(host, budget, 'a'), await open(host, budget, 'b')]
  const calls: Promise<void>[] = []
  for (let i = 0; i < 600; i++) for (const db of writers) calls.push(db.put(`k${i}`, VALUE))
  const db = await open(host, budget, 'db')
  await within(host, db.put('k', VALUE))
  await within(host, Promise.all(calls))
  for (const writer of writers) assert.equal(await within(host, writer.count()), 600)
  await closeAll(host, budget, [...writers, db])
})

test('two stores that are opened at once, and find room for one, do not wait for each other', async () => {
  const host = simHost({ seed: 25 })
  const budget = new Budget('10 MiB')
  const idle = await open(host, budget, 'idle')
  await within(host, idle.put('k', VALUE))
  const rest = budget.account('others', 'test').lease(budget.freeBytes - 500 * 1024)
  budget.denies = undefined
  const outcomes = await within(host, Promise.allSettled(['x', 'y', 'z'].map(name => Spillway.open(`/${name}`, { host, budget, blockBytes: 1024 }))))
  const opened = outcomes.flatMap(outcome => outcome.status === 'fulfilled' ? [outcome.value] : [])
  for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal((outcome.reason as SpillwayError).code, 'SPILLWAY_BUDGET_TOO_SMALL')
  assert.ok(opened.length >= 1)
  rest.release()
  await closeAll(host, budget, [...opened, idle])
})

test('a final denial names the holders of the memory, not iterators that were never opened', async () => {
  const host = simHost({ seed: 26 })
  const budget = new Budget('10 MiB')
  const idle = await open(host, budget, 'idle')
  await within(host, idle.put('k', VALUE))
  const rest = budget.account('something else', 'test').lease(budget.freeBytes)
  budget.denies = account => account === 'encoding'
  await assert.rejects(open(host, budget, 'db'), ({ code, message }: SpillwayError) => {
    assert.equal(code, 'SPILLWAY_BUDGET_TOO_SMALL')
    assert.match(message, /no room for \d+ KiB of encoding: .* in use\. Raise the budget\. Most of it is held by: something else \d/)
    assert.doesNotMatch(message, /iterator/)
    return true
  })
  budget.denies = undefined
  rest.release()
  await closeAll(host, budget, [idle])
})

test('a store whose disk is full is named by who needs its memory', async () => {
  const host = simHost({ seed: 27 })
  const budget = new Budget('10 MiB')
  const idle = await open(host, budget, 'idle')
  await within(host, idle.put('k', VALUE))
  host.disk.faults.capacityBytes = host.disk.usedBytes
  budget.denies = account => account === 'encoding'
  await assert.rejects(open(host, budget, 'db'), ({ message }: SpillwayError) => /store in \/idle cannot give back/.test(message))
  budget.denies = undefined
  host.disk.faults.clear()
  await closeAll(host, budget, [idle])
})
