/** What was walked through in vain is not walked through again, and whatever is written there is seen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dice } from '../compaction/testing/twins.ts'
import type { SimHost } from '../host/sim/sim-host.ts'
import type { Codec } from './encoding.ts'
import type { Spillway } from './spillway.ts'
import { closeEmpty, firstSeed, openSim, seedCount, simHost, within } from './testing/sim.ts'

const SEED = firstSeed(20260302)
const UNMERGED = { strategy: 'tiered', minMergeWidth: 1000, maxSpaceAmplificationPercent: 1e9, maxRuns: 1000, tombstonePercent: 100 } as const
const ROWS = 3000
const GONE = 2500
/** Has an iterator go entry by entry, which knows of no dead range. */
const SLOW: Codec<string> = { name: 'slow', encode: text => text, decode: bytes => Buffer.from(bytes).toString('utf8') }

function keyOf(row: number): string {
  return `k${String(row).padStart(5, '0')}`
}

/** A store whose first rows were deleted one by one, the deletions in a table of their own. */
async function queue(host: SimHost): Promise<Spillway> {
  const db = await openSim(host, { budget: '16 MiB', compaction: UNMERGED })
  for (let row = 0; row < ROWS; row++) db.putSync(keyOf(row), `value ${row} ${'x'.repeat(60)}`)
  await within(host, db.flush())
  for (let row = 0; row < GONE; row++) db.delSync(keyOf(row))
  await within(host, db.flush())
  return db
}

/** Blocks looked at by a call. */
function looksOf(db: Spillway, call: () => unknown): number {
  const looks = (): number => db.stats().cache.hits + db.stats().cache.misses
  const before = looks()
  call()
  return looks() - before
}

test('the first key is found at once when it was looked for before, however many deletions lie before it', async () => {
  const host = simHost({ seed: 1 })
  const db = await queue(host)
  const first = (): string[] => db.keys({ limit: 1 }).nextvSync(1)
  assert.ok(looksOf(db, first) < 40)
  assert.ok(looksOf(db, first) < 12)
  // From anywhere in it; and it goes on as the queue does.
  assert.ok(looksOf(db, () => assert.deepEqual(db.keys({ gte: keyOf(900), limit: 1 }).nextvSync(1), [keyOf(GONE)])) < 12)
  for (let row = GONE; row < GONE + 100; row++) {
    assert.deepEqual(first(), [keyOf(row)])
    db.delSync(keyOf(row))
    db.putSync(`z${row}`, 'later')
  }
  assert.ok(looksOf(db, first) < 20)
  db.putSync(keyOf(7), 'again')
  assert.deepEqual(first(), [keyOf(7)])
  await closeEmpty(host, db)
})

test('every way of writing into a dead range is seen, and older snapshots see what they saw', async () => {
  const writes: ((db: Spillway, host: SimHost) => unknown)[] = [
    db => db.putSync(keyOf(3), 'x'),
    (db, host) => within(host, db.put(keyOf(3), 'x')),
    (db, host) => within(host, db.batch([{ type: 'put', key: keyOf(3), value: 'x' }])),
    (db, host) => within(host, db.transaction(transaction => transaction.put(keyOf(3), 'x'))),
    (db, host) => within(host, db.transaction(async transaction => {
      for (let i = 0; i < 1500; i++) await transaction.put(`${keyOf(3)}${i === 0 ? '' : i}`, 'y'.repeat(1000))
    })),
  ]
  for (const write of writes) {
    const host = simHost({ seed: 2 })
    const db = await queue(host)
    // The first write after a flush takes an arena, which is an exchange of memtables.
    db.putSync('z', 'z')
    using before = db.snapshot()
    const first = (): string[] => db.keys({ limit: 1 }).nextvSync(1)
    for (let i = 0; i < 2; i++) assert.deepEqual(first(), [keyOf(GONE)])
    await write(db, host)
    assert.deepEqual(first(), [keyOf(3)])
    assert.deepEqual(db.keys({ limit: 1, snapshot: before }).nextvSync(1), [keyOf(GONE)])
    before.close()
    await closeEmpty(host, db)
  }
})

test('a snapshot from before the deletions is not led over what it can see', async () => {
  const host = simHost({ seed: 3 })
  const db = await openSim(host, { budget: '16 MiB', compaction: UNMERGED })
  for (let row = 0; row < ROWS; row++) db.putSync(keyOf(row), 'x'.repeat(80))
  await within(host, db.flush())
  using snapshot = db.snapshot()
  for (let row = 0; row < GONE; row++) db.delSync(keyOf(row))
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(db.keys({ limit: 1 }).nextvSync(1), [keyOf(GONE)])
    assert.deepEqual(db.keys({ limit: 1, snapshot }).nextvSync(1), [keyOf(0)])
  }
  const old = db.keys({ limit: 1 })
  db.putSync(keyOf(5), 'after it began')
  assert.deepEqual(old.nextvSync(1), [keyOf(GONE)])
  assert.deepEqual(db.keys({ limit: 1 }).nextvSync(1), [keyOf(5)])
  snapshot.close()
  await closeEmpty(host, db)
})

test(`with dead ranges or without, scans see the same (seeds from ${SEED})`, async () => {
  for (let seed = SEED; seed < SEED + seedCount(6); seed++) {
    const dice = new Dice(seed)
    const host = simHost({ seed })
    const db = await queue(host)
    for (let i = 0; i < 120; i++) {
      const kind = dice.below(20)
      const row = dice.below(ROWS)
      if (kind === 0) await within(host, db.flush())
      else if (kind === 1) db.deleteRangeSync({ gte: keyOf(row), lt: keyOf(row + dice.below(20)) })
      else if (kind === 2) for (let more = row; more < Math.min(ROWS, row + 600); more++) db.delSync(keyOf(more))
      else if (kind < 6) db.putSync(keyOf(row), 'new')
      else if (kind < 9) db.delSync(keyOf(row))
      else if (kind === 9) await within(host, db.transaction(transaction => transaction.put(keyOf(row), 'transaction')))
      const options = { limit: 1 + dice.below(30), ...(dice.chance(50) ? { gte: keyOf(dice.below(ROWS)) } : {}) }
      const found = db.iterator(options).nextvSync(30)
      assert.deepEqual(found, db.iterator({ ...options, valueEncoding: SLOW }).nextvSync(30), `seed ${seed}, round ${i}`)
    }
    await closeEmpty(host, db)
  }
})
