/** A range that a walk found empty is not walked again, and later writes there are seen. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dice } from '../../compaction/testing/twins.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Codec } from '../../encoding/encoding.ts'
import type { Spillway } from '../spillway.ts'
import { closeEmpty, firstSeed, openSim, seedCount, simHost, within } from '../testing/sim.ts'

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

test('the first key is found at once, however many deletions lie before it, and after the first look too', async () => {
  const host = simHost({ seed: 1 })
  const db = await queue(host)
  const first = (): string[] => db.keys({ limit: 1 }).nextvSync(1)
  // Without what was learnt while they were deleted: 300.
  assert.ok(looksOf(db, first) < 100)
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

test('a queue finds its first key in a few blocks at every step, whatever is flushed', async () => {
  const host = simHost({ seed: 4 })
  const db = await openSim(host, { budget: '16 MiB', compaction: UNMERGED })
  const LENGTH = 300
  for (let row = 0; row < LENGTH; row++) db.putSync(keyOf(row), 'x'.repeat(60))
  let most = 0
  let sum = 0
  const STEPS = 6000
  for (let step = 0; step < STEPS; step++) {
    db.delSync(keyOf(step))
    db.putSync(keyOf(step + LENGTH), 'x'.repeat(60))
    if (step % 1500 === 700) await within(host, db.flush())
    const looks = looksOf(db, () => assert.deepEqual(db.keys({ limit: 1 }).nextvSync(1), [keyOf(step + 1)]))
    most = Math.max(most, looks)
    sum += looks
  }
  assert.ok(most < 40, `${most} blocks in one look`)
  assert.ok(sum / STEPS < 12, `${sum / STEPS} blocks a look`)
  await closeEmpty(host, db)
})

/** A store of which all rows but the last are deleted in an order that leaves no range to be known, and nothing of it merged. */
async function sieve(host: SimHost, rows: number): Promise<Spillway> {
  const db = await openSim(host, { budget: '32 MiB', compaction: UNMERGED })
  for (let row = 0; row < rows; row++) db.putSync(keyOf(row), 'x'.repeat(60))
  await within(host, db.flush())
  for (let i = 0; i < rows; i++) {
    // 7919 is prime, and the rows are not a multiple of it.
    const row = i * 7919 % rows
    if (row !== rows - 1) db.delSync(keyOf(row))
  }
  return db
}

test('deletions in another order than that of keys have hardly anything walked through', async () => {
  const host = simHost({ seed: 7 })
  const BATCH = 4096
  const db = await openSim(host, { budget: '32 MiB', compaction: UNMERGED })
  for (let row = 0; row < 16 * BATCH; row++) db.putSync(keyOf(row), 'x')
  await within(host, db.flush())
  const looks = looksOf(db, () => { for (let i = 0; i < 8 * BATCH; i++) db.delSync(keyOf(i * 7919 % (16 * BATCH))) })
  assert.ok(looks < 12, `${looks} blocks`)
  await closeEmpty(host, db)
})

test('an asynchronous walk through nothing but deletions gives the event loop its turns', async () => {
  const ROWS_IN_VAIN = 12_000
  const last = keyOf(ROWS_IN_VAIN - 1)
  const calls: ((db: Spillway) => Promise<unknown>)[] = [
    async db => assert.equal(await db.keys().next(), last),
    async db => assert.deepEqual(await db.keys().nextv(10), [last]),
    async db => { for await (const key of db.keys()) assert.equal(key, last) },
    async db => assert.equal(await db.count(), 1),
    async db => assert.deepEqual(await db.keys().all(), [last]),
    async db => assert.deepEqual(await db.keys({ lt: last }).all(), []),
  ]
  for (const call of calls) {
    const host = simHost({ seed: 5 })
    const db = await sieve(host, ROWS_IN_VAIN)
    const { clock, scheduler } = host
    const nowMs = clock.nowMs.bind(clock)
    const soon = scheduler.soon.bind(scheduler)
    let late = 0
    let turns = 0
    clock.nowMs = () => nowMs() + (late += 6)
    scheduler.soon = task => { turns++; soon(task) }
    await within(host, call(db))
    clock.nowMs = nowMs
    scheduler.soon = soon
    assert.ok(turns >= 3, `${turns} turns: ${String(call)}`)
    assert.deepEqual([...db.entriesSync()], [[last, 'x'.repeat(60)]])
    await closeEmpty(host, db)
  }
})

test('a walk that ends among what its snapshot does not see goes on all the same', async () => {
  const host = simHost({ seed: 6 })
  const db = await openSim(host, { budget: '256 MiB', compaction: UNMERGED })
  db.putSync('a', 'first')
  db.delSync('a')
  db.putSync('z', 'last')
  using snapshot = db.snapshot()
  // More than a call may walk through.
  for (let row = 0; row < 60_000; row++) db.putSync(keyOf(row), 'x')
  assert.equal(db.stats().flushes, 0)
  assert.deepEqual(await within(host, db.keys({ snapshot }).all()), ['z'])
  assert.deepEqual(db.keys({ snapshot }).nextvSync(10), ['z'])
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

test(`deletions in order and out of order, and whatever is written around them, hide nothing (seeds from ${SEED})`, async () => {
  for (let seed = SEED; seed < SEED + seedCount(5); seed++) {
    const dice = new Dice(seed)
    const host = simHost({ seed })
    const db = await queue(host)
    let at = GONE
    for (let i = 0; i < 60; i++) {
      const kind = dice.below(14)
      const row = dice.below(ROWS)
      if (kind === 0) await within(host, db.flush())
      else if (kind === 1 && dice.chance(30)) await within(host, db.compact())
      else if (kind === 2) db.deleteRangeSync({ gte: keyOf(row), lt: keyOf(row + dice.below(400)) })
      else if (kind === 3) await within(host, db.transaction(async transaction => {
        // Sometimes large enough for tables of its own.
        const count = dice.pick([2, 900])
        for (let n = 0; n < count; n++) {
          if (n % 3 === 0) await transaction.del(keyOf(row + n))
          else if (n % 7 === 1) await transaction.put(keyOf(row + n), 'y'.repeat(count))
        }
      }))
      else if (kind < 9) {
        // A walk starts after as many; what is written again right behind or before its end has to be found.
        const from = dice.pick([0, row, Math.max(0, at - 2200)])
        const to = from + 2048 + dice.below(300)
        const step = dice.pick([1, 1, 1, -1, 7])
        for (let n = from; n < to; n++) db.delSync(keyOf(step === -1 ? to - 1 - n + from : from + (n - from) * step % (to - from)))
        at = to
        if (dice.chance(50)) db.putSync(keyOf(to + dice.below(3) - 1), 'edge')
      } else if (kind < 11) db.putSync(keyOf(Math.max(0, at - dice.below(2500))), 'inside')
      else for (let n = row; n < row + 200; n++) db.putSync(keyOf(n), 'more')
      using old = dice.chance(30) ? db.snapshot() : undefined
      if (old !== undefined) db.putSync(keyOf(dice.below(ROWS)), 'after the snapshot')
      for (const from of [undefined, keyOf(dice.below(ROWS))]) {
        const options = { limit: 1 + dice.below(40), ...(from === undefined ? {} : { gte: from }), ...(old === undefined || dice.chance(50) ? {} : { snapshot: old }) }
        const found = dice.chance(50) ? db.iterator(options).nextvSync(40) : await within(host, db.iterator(options).all())
        assert.deepEqual(found, db.iterator({ ...options, valueEncoding: SLOW }).nextvSync(40), `seed ${seed}, round ${i}`)
      }
      old?.close()
    }
    await closeEmpty(host, db)
  }
})

test('a batch larger than the log buffer that is put into a dead range is seen by the next scan', async () => {
  const host = simHost({ seed: 9 })
  const db = await openSim<string, string>(host, { budget: '48 MiB' })
  const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
  const count = 20_000
  for (let i = 0; i < count; i += 1000) {
    await within(host, db.batch(Array.from({ length: 1000 }, (_, k) => ({ type: 'put' as const, key: keyOf(i + k), value: 'x'.repeat(50) }))))
  }
  await within(host, db.flush())
  for (let i = 0; i < count - 10; i += 1000) {
    await within(host, db.batch(Array.from({ length: Math.min(1000, count - 10 - i) }, (_, k) => ({ type: 'del' as const, key: keyOf(i + k) }))))
  }
  const first = async (limit: number): Promise<string[]> => within(host, db.keys({ limit }).all())
  assert.deepEqual(await first(1), [keyOf(count - 10)])
  await within(host, db.batch(Array.from({ length: 900 }, (_, k) => ({ type: 'put' as const, key: keyOf(100 + k), value: 'y'.repeat(1000) }))))
  db.getSync(keyOf(5000))
  assert.deepEqual(await first(3), [keyOf(100), keyOf(101), keyOf(102)])
  assert.equal(await within(host, db.count()), 910)
  await within(host, db.close())
})
