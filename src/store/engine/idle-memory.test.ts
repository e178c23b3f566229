import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { IdleMemory } from './idle-memory.ts'
import type { Worker } from './idle-memory.ts'
import { Spillway } from '../spillway.ts'
import { checkLedger, simHost, within } from '../testing/sim.ts'

const KIB = 1024
const MIB = 1024 * KIB
const LIMIT = 8 * MIB

class Store implements Worker {
  written = 0
  arena: number
  unflushed: number

  constructor(arena = 0, unflushed = arena) {
    this.arena = arena
    this.unflushed = unflushed
  }

  writtenBytes(): number { return this.written }
  reclaimableBytes(): number { return this.arena }
  unflushedBytes(): number { return this.unflushed }
}

function memoryOf(...stores: Store[]): IdleMemory<Store> {
  const memory = new IdleMemory<Store>()
  for (const store of stores) memory.admit(store)
  memory.look(LIMIT)
  return memory
}

function write(memory: IdleMemory<Store>, store: Store, bytes: number): void {
  store.written += bytes
  memory.look(LIMIT)
}

test('stores that write alike share alike, and one alone has all', () => {
  const stores = [new Store(MIB), new Store(MIB), new Store(MIB), new Store(MIB)]
  const memory = memoryOf(...stores)
  for (let round = 0; round < 100; round++) {
    for (const store of stores) store.written += 100 * KIB
    memory.look(LIMIT)
  }
  for (const store of stores) assert.ok(Math.abs(memory.shareOf(store) - 1 / 4) < 0.001)
  for (let round = 0; round < 100; round++) write(memory, stores[0]!, 100 * KIB)
  assert.equal(memory.shareOf(stores[0]), 1)
})

test('a share goes with the square root of what is written: flushes are fewest then', () => {
  const [busy, slow] = [new Store(MIB), new Store(MIB)]
  const memory = memoryOf(busy, slow)
  for (let round = 0; round < 2000; round++) {
    busy.written += 100 * KIB
    slow.written += KIB
    memory.look(LIMIT)
  }
  assert.ok(Math.abs(memory.shareOf(slow) - 1 / 11) < 0.01, `${memory.shareOf(slow)}`)
  assert.ok(Math.abs(memory.shareOf(busy) - 10 / 11) < 0.01)
})

test('stores that begin together share alike, and one that begins counts as the busiest', () => {
  const stores = [new Store(), new Store(), new Store()]
  const memory = memoryOf(...stores)
  const shares = stores.map(store => {
    const share = memory.shareOf(store)
    store.arena = share * LIMIT / 2
    return share
  })
  assert.deepEqual(shares, [1, 1 / 2, 1 / 3])
  const busy = new Store(MIB)
  const next = memoryOf(busy)
  write(next, busy, 100 * MIB)
  const young = new Store()
  next.admit(young)
  assert.equal(next.shareOf(young), 1 / 2)
  assert.equal(next.shareOf(undefined), 1 / 2, 'one that is being opened')
  // One key, and it is known as one that rests.
  young.arena = MIB
  write(next, young, 100)
  write(next, busy, MIB)
  assert.equal(next.shareOf(busy), 1)
})

test('a store is idle when others have written as much as its memtable holds memory, never while no store writes', () => {
  const [busy, small, large] = [new Store(MIB), new Store(256 * KIB), new Store(4 * MIB)]
  const memory = memoryOf(busy, small, large)
  small.written += 100
  large.written += 100
  memory.look(LIMIT)
  for (let look = 0; look < 1000; look++) memory.look(LIMIT)
  assert.deepEqual([memory.isIdle(small), memory.isIdle(large)], [false, false])
  write(memory, busy, 256 * KIB)
  assert.deepEqual([memory.isIdle(small), memory.isIdle(large), memory.isIdle(busy)], [true, false, false])
  write(memory, busy, 4 * MIB)
  assert.deepEqual([memory.isIdle(small), memory.isIdle(large)], [true, true])
  write(memory, small, 1)
  assert.equal(memory.isIdle(small), false)
})

test('an idle memtable is given back when it has cost others the flushes it costs: a nearly full one soon, one that is nearly empty late, an empty one at once', () => {
  const turns = (store: Store): number => {
    const busy = new Store(MIB)
    const memory = memoryOf(busy, store)
    write(memory, store, 1)
    write(memory, busy, 100 * MIB)
    for (let turn = 0; turn < 100; turn++) {
      if (memory.victim() === store) return turn
      memory.recordTaken(1 / 2)
    }
    return Infinity
  }
  assert.deepEqual([
    turns(new Store(MIB, 0)), turns(new Store(MIB)), turns(new Store(MIB, MIB / 2)), turns(new Store(MIB, 100)), turns(new Store()),
  ], [0, 1, 1, 2, Infinity])
})

test('the cost to others is repaid by memory given back, and forgotten when no store is idle', () => {
  const busy = new Store(MIB)
  const idle = Array.from({ length: 8 }, () => new Store(256 * KIB, 100))
  const memory = memoryOf(busy, ...idle)
  write(memory, busy, 100 * MIB)
  memory.recordTaken(0)
  memory.recordTaken(0)
  const given: Store[] = []
  for (let victim; (victim = memory.victim()) !== undefined;) {
    memory.gaveBack(victim)
    victim.arena = 0
    given.push(victim)
  }
  assert.equal(given.length, 2, 'two tiny tables for two lost flushes')
  memory.recordTaken(0)
  for (const store of idle) write(memory, store, 1)
  memory.recordTaken(0)
  memory.recordTaken(0)
  write(memory, busy, 100 * MIB)
  assert.equal(memory.victim(), undefined, 'others were the reason')
})

test('a store that writes again soon after its memtable was given back costs twice as much the next time, one that rests for long half as much', () => {
  const [busy, seldom] = [new Store(MIB), new Store(256 * KIB, 1)]
  const memory = memoryOf(busy, seldom)
  const lossesUntil = (restBytes: number): number => {
    seldom.arena = 256 * KIB
    write(memory, seldom, 1)
    write(memory, busy, MIB)
    let losses = 0
    while (memory.victim() === undefined) {
      memory.recordTaken(0)
      losses++
    }
    memory.gaveBack(seldom)
    seldom.arena = 0
    write(memory, busy, restBytes)
    return losses
  }
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => lossesUntil(MIB / 2)), [1, 2, 4, 8, 16, 16])
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => lossesUntil(2 * MIB)), [16, 8, 4, 2, 1, 1])
})

test('the largest is given back first, and one that refuses is passed over', () => {
  const busy = new Store(MIB)
  const [small, large, gone] = [new Store(256 * KIB, 200 * KIB), new Store(2 * MIB, 1.9 * MIB), new Store(4 * MIB)]
  const memory = memoryOf(busy, small, large, gone)
  write(memory, busy, 100 * MIB)
  memory.dismiss(gone)
  memory.recordTaken(0)
  memory.recordTaken(0)
  assert.equal(memory.victim(), large)
  assert.equal(memory.victim(new Set([large])), small)
})

// ---- whole stores

const VALUE = 'x'.repeat(1000)

async function openOne(host: SimHost, budget: Budget, name: string): Promise<Spillway> {
  return within(host, Spillway.open(`/${name}`, { host, budget, blockBytes: 1024 }))
}

async function load(host: SimHost, db: Spillway, rows: number, each?: (row: number) => Promise<void>, first = 0): Promise<number> {
  const before = db.stats().flushes
  for (let row = first; row < first + rows; row += 50) {
    await within(host, db.batch(Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `k${(row + i) * 7919 % 100_003}`, value: VALUE }))))
    await each?.(row)
  }
  return db.stats().flushes - before
}

/** Flushes of a store that writes 23 MiB beside idle ones that hold this many rows each. */
async function flushesBeside(idleStores: number, idleRows: number): Promise<{ own: number, idle: number[] }> {
  const host = simHost({ seed: 5 })
  const budget = new Budget('16 MiB')
  const idle: Spillway[] = []
  for (let i = 0; i < idleStores; i++) {
    const db = await openOne(host, budget, `idle${i}`)
    for (let row = 0; row < idleRows; row++) await within(host, db.put(`k${row}`, 'v'.repeat(200)))
    idle.push(db)
  }
  const db = await openOne(host, budget, 'busy')
  const own = await load(host, db, 24_000)
  checkLedger(db)
  for (const [i, store] of idle.entries()) {
    assert.equal(store.getSync('k0'), 'v'.repeat(200), `store ${i}`)
  }
  const flushes = idle.map(store => store.stats().flushes)
  for (const store of idle) await within(host, store.close())
  await within(host, db.close())
  assert.equal(budget.usedBytes, 0)
  return { own, idle: flushes }
}

test('a store that writes has the memory of idle ones, whether their memtables are large or hold a single row', { timeout: 60_000 }, async () => {
  const alone = await flushesBeside(0, 0)
  for (const rows of [1000, 1]) {
    const beside = await flushesBeside(8, rows)
    assert.ok(beside.own <= alone.own * 2, `${beside.own} flushes beside idle stores of ${rows} rows, ${alone.own} alone`)
    assert.ok(beside.idle.every(flushes => flushes <= 2), `${beside.idle}`)
  }
})

test('a store that writes now and then does not become a row of tiny tables', { timeout: 60_000 }, async () => {
  for (const everyRows of [50, 400, 2000]) {
    const host = simHost({ seed: 6 })
    const budget = new Budget('16 MiB')
    const busy = await openOne(host, budget, 'busy')
    const seldom = await openOne(host, budget, 'seldom')
    let written = 0
    const flushes = await load(host, busy, 20_000, async row => {
      if (row % everyRows === 0) await within(host, seldom.put(`k${written++}`, 'now and then'))
    })
    const { flushes: tiny } = seldom.stats()
    assert.ok(tiny <= flushes / 3 + 1, `${tiny} tiny tables of ${written} writes, beside ${flushes} of the busy store`)
    assert.equal(await within(host, seldom.count()), written)
    await within(host, busy.close())
    await within(host, seldom.close())
  }
})

test('stores that write by turns get equal shares, whichever comes first', { timeout: 60_000 }, async () => {
  const host = simHost({ seed: 7 })
  const budget = new Budget('16 MiB')
  const stores: Spillway[] = []
  for (let i = 0; i < 4; i++) stores.push(await openOne(host, budget, `s${i}`))
  for (let round = 0; round < 60; round++) await Promise.all(stores.map(db => load(host, db, 100, undefined, 100 * round)))
  const flushes = stores.map(db => db.stats().flushes)
  assert.ok(Math.max(...flushes) <= 1.5 * Math.min(...flushes) + 1, `${flushes}`)
  for (const db of stores) await within(host, db.close())
  assert.equal(budget.usedBytes, 0)
})
