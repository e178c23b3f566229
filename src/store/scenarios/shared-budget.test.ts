/** Several stores on one budget, on the real and on the simulated host: right data, never more memory than the total. */
import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SpillwayError } from '../../base/errors.ts'
import { parseSize } from '../../base/sizes.ts'
import type { Host } from '../../host/host.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { checkLedger, simHost, turns, within } from '../testing/sim.ts'
import type { OpenOptions } from '../api/options.ts'

const STORES = 8
const VALUE = 'v'.repeat(900)

/** A host with a directory for each store, and how to wait on it. */
interface Place {
  host: Host
  path(store: number): string
  until<T>(promise: Promise<T>): Promise<T>
  /** Let what runs in the background go on a little. */
  turn(): Promise<void>
}

function onBoth(name: string, body: (place: Place) => Promise<void>): void {
  test(`${name}, on real files`, { timeout: 120_000 }, async () => {
    const root = mkdtempSync(join(tmpdir(), 'spillway-shared-'))
    try {
      await body({ host: nodeHost(), path: store => join(root, `s${store}`), until: promise => promise, turn: () => new Promise(resolve => setTimeout(resolve, 2)) })
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  })
  test(`${name}, on a simulated host`, { timeout: 120_000 }, async () => {
    const host: SimHost = simHost({ seed: 11 })
    await body({ host, path: store => `/s${store}`, until: promise => within(host, promise), turn: () => turns(1) })
  })
}

async function openAll(place: Place, budget: Budget, count: number, options: OpenOptions = {}): Promise<Spillway[]> {
  const stores: Spillway[] = []
  for (let i = 0; i < count; i++) stores.push(await place.until(Spillway.open(place.path(i), { ...options, budget, host: place.host })))
  return stores
}

function key(store: number, row: number): string {
  return `${store}:${String(row * 7919 % 100_003).padStart(6, '0')}`
}

/** What each store should hold. */
type Model = Map<string, string>

/** A batch of rows, an overwrite and a delete of an earlier one. */
function write(db: Spillway, model: Model, store: number, round: number, rows: number): Promise<void> {
  const operations = []
  for (let row = round * rows; row < (round + 1) * rows; row++) {
    const value = `${store}/${row}/${VALUE}`
    model.set(key(store, row), value)
    operations.push({ type: 'put' as const, key: key(store, row), value })
  }
  if (round > 0) {
    const before = (round - 1) * rows
    model.set(key(store, before), `again ${round}`)
    model.delete(key(store, before + 1))
    operations.push({ type: 'put' as const, key: key(store, before), value: `again ${round}` }, { type: 'del' as const, key: key(store, before + 1) })
  }
  return db.batch(operations)
}

async function checkAll(place: Place, db: Spillway, model: Model): Promise<void> {
  const sorted = [...model].sort(([a], [b]) => a < b ? -1 : 1)
  let at = 0
  for (const [found, value] of db.entriesSync()) {
    const [wanted, content] = sorted[at++] ?? ['nothing', '']
    if (found !== wanted || value !== content) assert.deepEqual([found, value.slice(0, 20)], [wanted, content.slice(0, 20)])
  }
  assert.equal(at, sorted.length)
  for (let i = 0; i < sorted.length; i += 97) assert.equal(await place.until(db.get(sorted[i]![0])), sorted[i]![1])
}

function checkEmpty(budget: Budget): void {
  assert.equal(budget.usedBytes, 0, JSON.stringify(budget.report().accounts))
}

onBoth(`${STORES} stores with interleaved writes, reads and iterators share 24 MiB`, async place => {
  const budget = new Budget('24 MiB')
  const stores = await openAll(place, budget, STORES)
  const models = stores.map((): Model => new Map())
  const iterators = new Map<number, { next: AsyncIterator<[string, string]>, wanted: [string, string][] }>()
  for (let round = 0; round < 20; round++) {
    await place.until(Promise.all(stores.map((db, i) => write(db, models[i]!, i, round, 100))))
    const reader = round % STORES
    const probe = key(reader, Math.max(0, round - 3) * 100 + 50)
    assert.equal(await place.until(stores[reader]!.get(probe)), models[reader]!.get(probe))
    // An iterator in each store, opened at a different moment and read a little in each round.
    if (!iterators.has(reader)) {
      iterators.set(reader, {
        next: stores[reader]!.iterator()[Symbol.asyncIterator](),
        wanted: [...models[reader]!].sort(([a], [b]) => a < b ? -1 : 1),
      })
    }
    for (const { next, wanted } of iterators.values()) {
      for (let i = 0; i < 5 && wanted.length > 0; i++) assert.deepEqual((await place.until(next.next())).value, wanted.shift())
    }
    checkLedger(stores[0]!)
  }
  for (const { next, wanted } of iterators.values()) {
    for (const entry of wanted) assert.deepEqual((await place.until(next.next())).value, entry)
    assert.equal((await place.until(next.next())).done, true)
  }
  assert.ok(stores.every(db => db.stats().flushes > 0), 'the writes were too few to fill the memory')
  for (let i = 0; i < STORES; i++) await checkAll(place, stores[i]!, models[i]!)
  checkLedger(stores[0]!)
  assert.ok(budget.report().highWaterBytes <= 24 * 2 ** 20)
  for (const db of stores) await place.until(db.close())
  checkEmpty(budget)
})

onBoth('stores close while others write, and open again on the same budget', async place => {
  const budget = new Budget('24 MiB')
  const stores = await openAll(place, budget, STORES)
  const models = stores.map((): Model => new Map())
  for (let round = 0; round < 16; round++) {
    const writes = stores.map((db, i) => db.isClosed ? undefined : write(db, models[i]!, i, round, 80))
    // One of them closes while the writes of the others are under way; its own were called before.
    const leaving = round % 2 === 0 ? round / 2 : -1
    if (leaving >= 0) await place.until(writes[leaving]!)
    const closing = leaving < 0 ? undefined : stores[leaving]!.close()
    await place.until(Promise.all(writes))
    if (closing !== undefined) await place.until(closing)
    assert.ok(budget.usedBytes <= budget.totalBytes)
  }
  assert.ok(stores.every(db => db.isClosed))
  checkEmpty(budget)
  const again = await openAll(place, budget, STORES)
  for (let i = 0; i < STORES; i++) await checkAll(place, again[i]!, models[i]!)
  checkLedger(again[0]!)
  await place.until(Promise.all(again.map(db => db.close())))
  checkEmpty(budget)
})

onBoth('the budget goes down and up while stores write, and what is used follows', async place => {
  const budget = new Budget('48 MiB')
  const stores = await openAll(place, budget, 3)
  const models = stores.map((): Model => new Map())
  let round = 0
  const writeRounds = async (count: number): Promise<void> => {
    for (const end = round + count; round < end; round++) {
      await place.until(Promise.all(stores.map((db, i) => write(db, models[i]!, i, round, 300))))
    }
  }
  await writeRounds(20)
  for (const size of ['16 MiB', '64 MiB', '14 MiB', '32 MiB']) {
    // Readers fill the cache, so that there is something to give back.
    for (const db of stores) assert.ok(await place.until(db.count()) > 0)
    const writing = stores.map((db, i) => write(db, models[i]!, i, round, 300))
    round++
    stores[0]!.setBudget(size)
    const total = parseSize(size, 'budget')
    await place.until(Promise.all(writing))
    // What the flushes under way hold comes back as they end.
    for (let i = 0; i < 2000 && budget.totalBytes !== total; i++) {
      assert.ok(budget.usedBytes <= budget.totalBytes)
      await place.turn()
    }
    assert.equal(stores[1]!.memory().budgetBytes, total)
    assert.ok(budget.usedBytes <= total, `${budget.usedBytes} bytes used of ${total} after setBudget('${size}'): ${JSON.stringify(budget.report().accounts)}`)
    await writeRounds(4)
    assert.ok(budget.usedBytes <= total, `${budget.usedBytes} of ${total}`)
  }
  for (let i = 0; i < stores.length; i++) await checkAll(place, stores[i]!, models[i]!)
  await place.until(Promise.all(stores.map(db => db.close())))
  checkEmpty(budget)
})

onBoth('a budget below the floor is refused and changes nothing', async place => {
  const budget = new Budget('16 MiB')
  const [db] = await openAll(place, budget, 1)
  const model: Model = new Map()
  await place.until(write(db!, model, 0, 0, 500))
  const before = db!.memory()
  for (const size of ['1 MiB', 2 * 2 ** 20]) {
    assert.throws(() => db!.setBudget(size), error => error instanceof SpillwayError && error.code === 'SPILLWAY_BUDGET_TOO_SMALL')
    assert.deepEqual(db!.memory(), before)
  }
  await place.until(write(db!, model, 0, 1, 500))
  await checkAll(place, db!, model)
  await place.until(db!.close())
  checkEmpty(budget)
  assert.throws(() => db!.setBudget('32 MiB'), { code: 'SPILLWAY_CLOSED' })
})

onBoth('an idle store has its memtable flushed when another one needs the memory', async place => {
  const budget = new Budget('12 MiB')
  const stores = await openAll(place, budget, STORES)
  const models = stores.map((): Model => new Map())
  // All but the last write a little and rest, holding all arenas there are: the first of them holds the largest.
  for (let i = 0; i < STORES - 1; i++) await place.until(write(stores[i]!, models[i]!, i, 0, 60))
  const [idle] = stores as [Spillway]
  const busy = stores[STORES - 1]!
  assert.ok(stores.every(db => db.stats().flushes === 0))
  assert.equal(idle.stats().memtables[0]!.entries, 60)
  for (let round = 0; round < 40 && idle.stats().flushes === 0; round++) {
    await place.until(write(busy, models[STORES - 1]!, STORES - 1, round, 300))
    checkLedger(busy)
  }
  assert.equal(idle.stats().flushes, 1, 'the idle store keeps its memtable whatever the other one writes')
  // It can still write.
  await place.until(write(idle, models[0]!, 0, 1, 300))
  for (let i = 0; i < STORES; i++) await checkAll(place, stores[i]!, models[i]!)
  await place.until(Promise.all(stores.map(db => db.close())))
  checkEmpty(budget)
})

test('a store whose disk fails does not hold up another one that shares its budget', { timeout: 60_000 }, async () => {
  const parent = mkdtempSync(join(tmpdir(), 'spillway-sibling-'))
  try {
    const budget = new Budget('8 MiB')
    const failing = await Spillway.open(join(parent, 'a'), { budget })
    const healthy = await Spillway.open(join(parent, 'b'), { budget })
    await failing.batch(Array.from({ length: 150 }, (_, i) => ({ type: 'put' as const, key: `a${i}`, value: 'v'.repeat(700) })))
    renameSync(join(parent, 'a'), join(parent, 'gone'))
    await Promise.all(Array.from({ length: 4000 }, (_, i) => healthy.put(`b${i}`, 'w'.repeat(900))))
    assert.equal(await healthy.count(), 4000)
    await healthy.close()
    await failing.close().catch(() => {})
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
})

test('a further store is refused when what it needs does not fit beside the others', async () => {
  const host = simHost({ seed: 9 })
  const budget = new Budget('6.5 MiB')
  const first = await Spillway.open('/first', { host, budget })
  await assert.rejects(Spillway.open('/second', { host, budget }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  await first.put('k', 'v')
  assert.equal(await first.get('k'), 'v')
  await first.close()
  assert.equal(budget.usedBytes, 0)
})

test('a codec that writes to a store of the same budget is refused, and neither store is harmed', async () => {
  const host = simHost({ seed: 12 })
  const budget = new Budget(32 * 1024 * 1024)
  const other = await within(host, Spillway.open<string, string>('/other', { budget, host, blockBytes: 1024 }))
  let calls = false
  const db = await within(host, Spillway.open<string, string>('/first', {
    budget, host, blockBytes: 1024,
    valueEncoding: {
      encode: (value: string) => {
        if (calls) other.putSync(`seen ${value}`, 'x')
        return Buffer.from(value)
      },
      decode: bytes => Buffer.from(bytes).toString(),
    },
  }))
  await within(host, db.put('a', 'one'))
  calls = true
  await assert.rejects(within(host, db.batch(['b', 'c', 'd'].map(key => ({ type: 'put' as const, key, value: key })))), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  calls = false
  await within(host, db.batch([{ type: 'put', key: 'e', value: 'two' }]))
  await within(host, other.put('k', 'v'))
  assert.deepEqual(await within(host, db.keys().all()), ['a', 'e'])
  assert.equal(other.getSync('k'), 'v')
  await within(host, db.close())
  await within(host, other.close())
})

test('a store that is opened while the last one of its budget closes waits for what that gives back', async () => {
  const host = simHost({ seed: 13 })
  const budget = new Budget(9 * 1024 * 1024)
  const first = await within(host, Spillway.open<string, string>('/first', { budget, host, blockBytes: 1024 }))
  const closed = first.close()
  const second = await within(host, Spillway.open<string, string>('/second', { budget, host, blockBytes: 1024 }))
  await within(host, closed)
  await within(host, second.put('a', 'one'))
  assert.equal(second.getSync('a'), 'one')
  await within(host, second.close())
  assert.equal(budget.usedBytes, 0)
})
