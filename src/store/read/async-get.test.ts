/** Gets whose blocks are read off the main thread: the same answers, one read a block, typed errors, and nothing left behind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { DIRECTORY, checkLedger, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'

const SEEDS = seedCount(10)
const SEED = firstSeed(501)
const KEYS = 4000

const keyOf = (i: number): string => `key ${String(i).padStart(5, '0')}`
const valueOf = (i: number, round = 0): string => `${i} of ${round} `.padEnd(100, 'x')

async function filled(host: SimHost, budget = '8 MiB'): Promise<Spillway> {
  const db = await openSim<string, string>(host, { budget, coldReads: true })
  for (let i = 0; i < KEYS; i += 500) {
    await within(host, db.batch(Array.from({ length: 500 }, (_, k) => ({ type: 'put' as const, key: keyOf(i + k), value: valueOf(i + k) }))))
  }
  await within(host, db.flush())
  return db
}

/** Nothing of it in memory. */
function emptyCache(db: Spillway): void {
  const { budgetBytes } = db.memory()
  db.setBudget('7 MiB')
  db.setBudget(budgetBytes)
}

async function reopened(host: SimHost): Promise<Spillway> {
  await within(host, (await filled(host)).close())
  return openSim<string, string>(host, { budget: '8 MiB', coldReads: true })
}

test('many readers at once: every value is right, and each block is read once', async () => {
  const host = simHost({ seed: 1 })
  const db = await reopened(host)
  const before = host.disk.faults.operations
  const wanted = Array.from({ length: 300 }, (_, n) => n * 7 % 40)
  const values = await within(host, Promise.all(wanted.map(i => db.get(keyOf(i)))))
  assert.deepEqual(values, wanted.map(i => valueOf(i)))
  // Index, filter and a few blocks, not 300 of them.
  const { blocks } = db.stats().cache
  const reads = host.disk.faults.operations - before
  assert.ok(blocks > 2 && blocks < 20, `${blocks} blocks`)
  assert.ok(reads <= blocks, `${reads} reads for ${blocks} blocks`)
  assert.deepEqual(await within(host, db.getMany(['none', keyOf(3000), keyOf(2000)])), [undefined, valueOf(3000), valueOf(2000)])
  assert.deepEqual(await within(host, Promise.all([db.has(keyOf(1111)), db.has('nothing')])), [true, false])
  checkLedger(db)
  await within(host, db.close())
})

test('a get that is made again when its block has come counts no block twice', async () => {
  const host = simHost({ seed: 6 })
  const db = await reopened(host)
  const gets = 80
  const before = db.stats().cache
  await within(host, Promise.all(Array.from({ length: gets }, (_, n) => db.get(keyOf(n * 50)))))
  const { hits, misses } = db.stats().cache
  const lookups = hits + misses - before.hits - before.misses
  // A filter, an index partition and a data block each.
  assert.ok(lookups > gets && lookups <= 3 * gets, `${lookups} lookups of ${gets} gets`)
  await within(host, db.close())
})

test('a reader that has been alone for a while reads in place, with turns of the event loop, until there is another', async () => {
  const host = simHost({ seed: 7 })
  const db = await reopened(host)
  const { faults } = host.disk
  /** Whether a get that has to read does so before it returns. */
  const isInPlace = async (i: number): Promise<boolean> => {
    const before = faults.operations
    const value = db.get(keyOf(i))
    const read = faults.operations - before
    assert.equal(await within(host, value), valueOf(i))
    return read > 0
  }
  const inPlace: boolean[] = []
  for (let n = 0; n < 80; n++) inPlace.push(await isInPlace(n * 50))
  assert.equal(inPlace.slice(0, 12).includes(true), false)
  const later = inPlace.slice(24)
  const turns = later.filter(read => !read).length
  assert.ok(turns >= 1 && turns <= 4, `${turns} turns in ${later.length} reads`)
  emptyCache(db)
  const before = faults.operations
  const two = [db.get(keyOf(0)), db.get(keyOf(2000))]
  assert.equal(faults.operations - before <= 3, true, 'the second waits for its block')
  assert.deepEqual(await within(host, Promise.all(two)), [valueOf(0), valueOf(2000)])
  emptyCache(db)
  assert.equal(await isInPlace(1000), false)
  await within(host, db.close())
})

test('a get answers with what was there when it was called, whatever is written and merged before its block has come', async () => {
  const host = simHost({ seed: 2 })
  const db = await reopened(host)
  const early = Array.from({ length: 50 }, (_, n) => db.get(keyOf(n * 60)))
  for (let n = 0; n < 50; n++) db.putSync(keyOf(n * 60), 'new')
  db.deleteRangeSync({ gte: keyOf(1500) })
  const merged = db.compact()
  assert.deepEqual(await within(host, Promise.all(early)), Array.from({ length: 50 }, (_, n) => valueOf(n * 60)))
  await within(host, merged)
  assert.equal(await within(host, db.get(keyOf(0))), 'new')
  assert.equal(await within(host, db.get(keyOf(2400))), undefined)
  assert.equal(db.stats().snapshots.open, 0)
  await within(host, db.close())
})

test('a failed read is a typed error for all that wait for it, and the next read tries again', async () => {
  const host = simHost({ seed: 3 })
  const db = await reopened(host)
  assert.equal(await within(host, db.get(keyOf(0))), valueOf(0))
  for (const name of host.files.list(DIRECTORY)) host.disk.faults.failReads(`${DIRECTORY}/${name}`)
  const failed = await within(host, Promise.allSettled([db.get(keyOf(3000)), db.get(keyOf(3001)), db.get(keyOf(100))]))
  host.disk.faults.clear()
  for (const outcome of failed) {
    assert.equal(outcome.status, 'rejected')
    assert.match(String((outcome.reason as { code?: unknown }).code), /^SPILLWAY_/)
  }
  assert.deepEqual(await within(host, Promise.all([db.get(keyOf(3000)), db.get(keyOf(100))])), [valueOf(3000), valueOf(100)])
  await within(host, db.close())
})

test('closing ends the reads that are under way, and gives everything back', async () => {
  const host = simHost({ seed: 4 })
  const db = await reopened(host)
  const reads = Promise.allSettled(Array.from({ length: 40 }, (_, n) => db.get(keyOf(n * 90))))
  await turns(1)
  const closed = db.close()
  for (const outcome of await within(host, reads)) {
    if (outcome.status === 'rejected') assert.equal((outcome.reason as { code?: unknown }).code, 'SPILLWAY_CLOSED')
  }
  await within(host, closed)
  assert.equal(db.memory().usedBytes, 0)
})

test(`readers, writers, merges and a moving budget together answer as a map does (seeds from ${SEED})`, { timeout: 600_000 }, async () => {
  for (let seed = SEED; seed < SEED + SEEDS; seed++) {
    const host = simHost({ seed })
    const db = await filled(host, seed % 2 === 0 ? '8 MiB' : '14 MiB')
    const model = new Map(Array.from({ length: KEYS }, (_, i) => [keyOf(i), valueOf(i)]))
    let state = seed
    const random = (below: number): number => {
      state = Math.imul(state, 1664525) + 1013904223 >>> 0
      return Math.floor(state / 2 ** 32 * below)
    }
    const snapshot = db.snapshot()
    const old = new Map(model)
    let reads: Promise<void>[] = []
    for (let step = 0; step < 400; step++) {
      const key = keyOf(random(KEYS + 50))
      const what = random(100)
      if (what < 70) {
        const isOld = what < 10
        const expected = isOld ? old.get(key) : model.get(key)
        const read = isOld ? db.get(key, { snapshot }) : db.get(key)
        reads.push(read.then(value => { assert.equal(value, expected, `seed ${seed}, step ${step}: ${key}`) }))
      } else if (what < 85) {
        db.putSync(key, valueOf(step, seed))
        model.set(key, valueOf(step, seed))
      } else if (what < 89) {
        db.delSync(key)
        model.delete(key)
      } else if (what < 90) {
        const end = keyOf(random(KEYS + 50))
        if (key < end && step % 8 === 0) {
          db.deleteRangeSync({ gte: key, lt: end })
          for (const known of model.keys()) if (known >= key && known < end) model.delete(known)
        }
      } else if (what < 92) {
        reads.push(db.flush())
      } else if (what < 93) {
        reads.push(db.compact())
      } else if (what < 95) {
        emptyCache(db)
      } else {
        await within(host, Promise.all(reads))
        reads = []
        checkLedger(db)
      }
    }
    await within(host, Promise.all(reads))
    snapshot.close()
    assert.equal(db.stats().snapshots.open, 0)
    await within(host, db.close())
    assert.equal(db.memory().usedBytes, 0)
  }
})
