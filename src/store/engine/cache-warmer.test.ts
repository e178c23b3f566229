/** A merge's output is cached before it is read, if that evicts nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../host/sim/random.ts'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { checkLedger, openSim, simHost, turns, within } from '../testing/sim.ts'

const KEYS = 3000
const RUNS = 3
/** Blocks of 1 KiB that all rows take at least. */
const ALL_BLOCKS = 2000
const keyOf = (i: number): string => `key ${String(i).padStart(5, '0')}`

/** Three runs of 3000 rows each that hardly compress: some 3 MB. */
async function inRuns(host: ReturnType<typeof simHost>, budget: string | Budget, runs = RUNS): Promise<Spillway> {
  const db = await openSim<string, string>(host, { budget, rowCache: false })
  const random = new Random(3)
  const valueOf = (): string => Array.from({ length: 75 }, () => random.next32().toString(36).padStart(4, '0').slice(-4)).join('')
  for (let run = 0; run < runs; run++) {
    for (let i = 0; i < KEYS; i += 100) {
      const rows = Array.from({ length: 100 }, (_, k) => ({ type: 'put' as const, key: keyOf((i + k) * runs + run), value: valueOf() }))
      await within(host, db.batch(rows))
    }
    await within(host, db.flush())
  }
  return db
}

/** Every key once; returns the blocks that were not in the cache. */
function readAll(db: Spillway, runs = RUNS): number {
  const before = db.stats().cache.misses
  for (let i = 0; i < runs * KEYS; i++) assert.equal((db.getSync(keyOf(i)) as string).length, 300)
  return db.stats().cache.misses - before
}

/** Time for steps, of which each needs its turn. */
async function rest(host: ReturnType<typeof simHost>): Promise<void> {
  for (let i = 0; i < 50; i++) {
    host.advance(10)
    await turns(2)
  }
}

async function compactInLittleTime(db: Spillway): Promise<void> {
  let isDone = false
  void db.compact().then(() => { isDone = true })
  while (!isDone) await turns(1)
}

/** Gets of a few keys that look into every run, until the runs are one. */
async function readUntilMerged(host: ReturnType<typeof simHost>, db: Spillway): Promise<void> {
  for (let i = 0; i < 400_000 && db.stats().runs.length > 1; i++) {
    db.getSync(keyOf(i % 90))
    if (i % 2000 !== 0) continue
    host.advance(300)
    await turns(1)
  }
  await host.idle()
  assert.equal(db.stats().runs.length, 1)
}

test('blocks of a merge for readers are in the cache before they are read', async () => {
  const host = simHost({ seed: 1 })
  const db = await inRuns(host, '24 MiB')
  await readUntilMerged(host, db)
  await rest(host)
  const { blocks } = db.stats().cache
  assert.ok(blocks > ALL_BLOCKS, `${blocks} blocks`)
  assert.equal(readAll(db), 0)
  assert.equal(db.stats().cache.blocks, blocks)
  checkLedger(db)
  await within(host, db.close())
})

test('readers who give the event loop no turn have it done between their reads', async () => {
  const host = simHost({ seed: 2 })
  const db = await inRuns(host, '24 MiB')
  await readUntilMerged(host, db)
  for (let i = 0; i < 40_000; i++) {
    db.getSync(keyOf(i % 90))
    if (i % 1000 === 0) host.advance(10)
  }
  assert.equal(readAll(db), 0)
  await within(host, db.close())
})

test('blocks of a merge that writers need are warm if those of its inputs were', async () => {
  const host = simHost({ seed: 3 })
  const db = await inRuns(host, '24 MiB')
  assert.ok(readAll(db) > 0)
  await within(host, db.compact())
  await rest(host)
  assert.equal(readAll(db), 0)
  await within(host, db.compact())
  await within(host, db.close())
})

test('output of hardly cached inputs is not loaded', async () => {
  const host = simHost({ seed: 4 })
  const db = await inRuns(host, '24 MiB')
  for (let i = 0; i < 30; i++) db.getSync(keyOf(i))
  await within(host, db.compact())
  await rest(host)
  assert.ok(db.stats().cache.blocks < 20, `${db.stats().cache.blocks} blocks`)
  await within(host, db.close())
})

test('where not all of it fits nothing is done', async () => {
  const host = simHost({ seed: 5 })
  const db = await inRuns(host, '16 MiB', 10)
  readAll(db, 10)
  await within(host, db.compact())
  const { blocks } = db.stats().cache
  assert.ok(blocks < 20, `${blocks} blocks`)
  await rest(host)
  assert.equal(db.stats().cache.blocks, blocks)
  checkLedger(db)
  await within(host, db.close())
})

test('a damaged block ends it, and the next read of that block reports the damage', async () => {
  const host = simHost({ seed: 6 })
  const db = await inRuns(host, '24 MiB')
  readAll(db)
  await within(host, db.compact())
  const table = host.files.list('/store').filter(name => name.endsWith('.table'))
  assert.equal(table.length, 1)
  host.disk.corrupt(`/store/${table[0]!}`, 200_000, 1)
  await rest(host)
  const held = db.stats().cache.blocks
  assert.ok(held > 20 && held < ALL_BLOCKS, `${held} blocks`)
  assert.throws(() => readAll(db), { code: 'SPILLWAY_CORRUPTION' })
  await within(host, db.close())
})

test('a store that is closed while its tables are warmed takes none of another one of the budget with it', async () => {
  const host = simHost({ seed: 8 })
  const budget = new Budget('24 MiB')
  const db = await inRuns(host, budget)
  const other = await within(host, Spillway.open<string, string>('/other', { budget, host }))
  await within(host, other.put('key', 'value'))
  readAll(db)
  await compactInLittleTime(db)
  await within(host, db.close())
  await rest(host)
  assert.equal(other.stats().cache.blocks, 0)
  await within(host, other.close())
})

test('tables that go while they are warmed are left', async () => {
  const host = simHost({ seed: 7 })
  const db = await inRuns(host, '24 MiB')
  readAll(db)
  for (let round = 0; round < 3; round++) {
    await compactInLittleTime(db)
    // Enough for the next merge to be followed by this too.
    for (let i = 0; i < 0.6 * RUNS * KEYS; i++) db.getSync(keyOf(i))
  }
  await compactInLittleTime(db)
  await rest(host)
  const { blocks } = db.stats().cache
  assert.equal(readAll(db), 0)
  assert.ok(blocks < 1.6 * ALL_BLOCKS, `${blocks} blocks: of tables too that are gone`)
  await within(host, db.compact())
  // Before the first step.
  await within(host, db.close())
  await rest(host)
})
