/** Reads that are answered from single rows kept in memory are those of a map, whatever is written, flushed and merged in between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Snapshot } from '../api/snapshots.ts'
import { checkLedger, firstSeed, openSim, seedCount, simHost, within } from '../testing/sim.ts'
import type { CompactionOption } from '../api/options.ts'

const SEEDS = seedCount(4)
const SEED = firstSeed(3001)
const KEYS = 60
const STEPS = 2500
const STRATEGIES: CompactionOption[] = [
  { strategy: 'tiered', minMergeWidth: 2, targetTableBytes: 4096 },
  { strategy: 'leveled', level0Runs: 2, baseLevelBytes: 2048, multiplier: 2, targetTableBytes: 2048 },
]

for (const compaction of STRATEGIES) {
  test(`${String((compaction as { strategy: string }).strategy)}: rows that are kept answer as a map does (seeds from ${SEED})`, { timeout: 600_000 }, async () => {
    let hits = 0
    for (let seed = SEED; seed < SEED + SEEDS; seed++) hits += await run(seed, compaction)
    assert.ok(hits > 200 * SEEDS, `only ${hits} reads were answered from rows`)
  })
}

async function run(seed: number, compaction: CompactionOption): Promise<number> {
  const host = simHost({ seed })
  const db = await openSim(host, { budget: '12 MiB', compaction })
  let state = seed
  const random = (below: number): number => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
  // A few keys are asked for most of the time.
  const some = (): string => `key ${random(4) > 0 ? random(8) : random(KEYS)}`
  const model = new Map<string, string>()
  const snapshots: { snapshot: Snapshot, model: Map<string, string> }[] = []
  for (let step = 0; step < STEPS; step++) {
    const what = random(100)
    const where = `seed ${seed}, step ${step}`
    if (what < 70) {
      const key = some()
      assert.equal(db.getSync(key), model.get(key), `${where}: ${key}`)
    } else if (what < 80) {
      const key = some()
      const value = `${step} `.padEnd(8 + (random(3) === 0 ? random(200) : 0))
      await within(host, db.put(key, value))
      model.set(key, value)
    } else if (what < 84) {
      const key = some()
      await within(host, db.del(key))
      model.delete(key)
    } else if (what < 94) {
      await within(host, db.flush())
    } else if (what < 95 && random(6) === 0) {
      const [from, to] = [`key ${random(KEYS)}`, `key ${random(KEYS)}`]
      await within(host, db.deleteRange({ gte: from, lt: to }))
      for (const key of [...model.keys()]) if (key >= from && key < to) model.delete(key)
    } else if (what < 96) {
      await within(host, db.compact())
    } else if (what < 97) {
      await within(host, db.transaction(async transaction => {
        for (let i = 0; i < 4; i++) {
          const key = some()
          await transaction.put(key, `of ${step} ${i}`)
          model.set(key, `of ${step} ${i}`)
        }
      }))
    } else if (what < 98) {
      if (snapshots.length < 3) snapshots.push({ snapshot: db.snapshot(), model: new Map(model) })
      else snapshots.splice(random(3), 1)[0]!.snapshot.close()
    } else {
      for (const { snapshot, model: then } of snapshots) {
        const key = some()
        assert.equal(db.getSync(key, { snapshot }), then.get(key), `${where}: ${key} in a snapshot`)
      }
    }
  }
  checkLedger(db)
  const { hits } = db.stats().cache.rows
  await within(host, db.close())
  return hits
}

test('a store with its rows switched off keeps none', async () => {
  const host = simHost({ seed: 1 })
  const db = await openSim(host, { budget: '12 MiB', rowCache: false })
  await within(host, db.put('a', 'one'))
  await within(host, db.flush())
  for (let i = 0; i < 5; i++) assert.equal(db.getSync('a'), 'one')
  assert.deepEqual([db.stats().cache.rows.hits, db.memory().accounts['rows']!.bytes], [0, 0])
  await within(host, db.close())
})

test('rows that take memory from blocks leave the value that is being read as it is', async () => {
  const host = simHost({ seed: 3 })
  const db = await openSim<string, string>(host, { budget: '12 MiB', compression: 'none' })
  const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
  const valueOf = (i: number): string => `${i} `.repeat(60)
  const count = 30_000
  for (let i = 0; i < count; i += 500) {
    await within(host, db.batch(Array.from({ length: 500 }, (_, k) => ({ type: 'put' as const, key: keyOf(i + k), value: valueOf(i + k) }))))
  }
  await within(host, db.flush())
  // Blocks first, so that nothing is free, and then rows that are hot.
  for (let i = 0; i < count; i++) assert.equal(db.getSync(keyOf(i)), valueOf(i), `row ${i}`)
  let state = SEED
  for (let n = 0; n < 60_000; n++) {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0
    const i = Math.floor((state / 2 ** 32) ** 2 * 5000)
    assert.equal(db.getSync(keyOf(i)), valueOf(i), `row ${i}, read ${n}`)
  }
  const { hits, bytes } = db.stats().cache.rows
  assert.ok(hits > 1000 && bytes > 256 * 1024, `${hits} hits, ${bytes} bytes of rows`)
  await within(host, db.close())
})
