/** What open iterators hold is leased, comes back when others need it, and a read without room is slow but right. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import type { SpillwayIterator } from '../scan/iterator.ts'
import type { Spillway } from '../spillway.ts'
import { checkLedger, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'
import type { OpenOptions } from '../api/options.ts'

const SEED = 20250814
const KIB = 1024
/** Runs are left as the flushes made them. */
const UNMERGED = { strategy: 'tiered', minMergeWidth: 1000, maxSpaceAmplificationPercent: 1e9, maxRuns: 1000 } as const
type Rows = [string, string][]

function keyOf(row: number): string {
  return `key:${String(row).padStart(6, '0')}`
}

/** A store of `rows` rows in this many runs, and its contents in order. */
async function filled(host: SimHost, budget: Budget, runs: number, rows: number, valueOf: (row: number) => string, options: OpenOptions = {}): Promise<{ db: Spillway, wanted: Rows }> {
  const db = await openSim(host, { budget, compaction: UNMERGED, ...options })
  const model = new Map<string, string>()
  for (let run = 0; run < runs; run++) {
    for (let row = run; row < rows; row += runs) {
      model.set(keyOf(row), valueOf(row))
      db.putSync(keyOf(row), valueOf(row))
    }
    // Of an older run: one row overwritten, one deleted.
    for (const row of [run - 1, run - 2]) if (row > 0 && row < rows) {
      if (row % 2 === 0) db.delSync(keyOf(row))
      else db.putSync(keyOf(row), `again ${run}`)
      if (row % 2 === 0) model.delete(keyOf(row))
      else model.set(keyOf(row), `again ${run}`)
    }
    await within(host, db.flush())
  }
  assert.equal(db.stats().runs.length, runs)
  return { db, wanted: [...model].sort(([a], [b]) => a < b ? -1 : 1) }
}

/** Make every reclaimer give back what it can. */
function squeeze(budget: Budget): void {
  assert.equal(budget.account('probe', 'test').tryLease(budget.totalBytes), undefined)
}

function iteratorBytes(db: Spillway): number {
  return db.memory().accounts['iterators']!.bytes
}

test('1000 iterators in 16 MiB, read in turn, have all their memory leased, and see what they should', async () => {
  const host = simHost({ seed: 1 })
  const budget = new Budget('16 MiB')
  const { db, wanted } = await filled(host, budget, 4, 3000, row => `value ${row} ${'x'.repeat(80)}`)
  const reserveBytes = iteratorBytes(db)
  const open: SpillwayIterator<[string, string]>[] = []
  for (let i = 0; i < 1000; i++) open.push(db.iterator({ gte: keyOf(i) }))
  assert.ok(iteratorBytes(db) - reserveBytes >= 1000 * 1024, `${iteratorBytes(db)} bytes for 1000 iterators`)
  const starts = open.map((_, i) => wanted.findIndex(([key]) => key >= keyOf(i)))
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < open.length; i++) assert.deepEqual(await open[i]!.next(), wanted[starts[i]! + round])
    checkLedger(db)
  }
  // Read ahead by all of them: a few entries each.
  assert.ok(iteratorBytes(db) - reserveBytes > 1000 * 1500)
  assert.ok(await within(host, db.put('late', 'write').then(() => true)))
  for (const iterator of open) iterator.closeSync()
  squeeze(budget)
  assert.equal(iteratorBytes(db), reserveBytes, 'closed iterators hold nothing')
  await closeEmpty(host, db)
})

test('20 000 iterators in 16 MiB stop neither writes nor flushes nor reads, and what could not be leased ends with them', async () => {
  const host = simHost({ seed: 2 })
  const budget = new Budget('16 MiB')
  const { db, wanted } = await filled(host, budget, 3, 300, row => `value ${row}`)
  const open: SpillwayIterator<[string, string]>[] = []
  for (let i = 0; i < 20_000; i++) {
    open.push(db.iterator())
    if (i % 1000 === 0) db.putSync(`other ${i}`, 'x')
  }
  checkLedger(db)
  for (let i = 0; i < open.length; i += 100) assert.deepEqual(await open[i]!.next(), wanted[0])
  for (let i = 0; i < 2000; i++) await within(host, db.put(`more ${i}`, 'y'.repeat(1000)))
  await within(host, db.flush())
  await within(host, db.compact())
  checkLedger(db)
  for (let i = 0; i < open.length; i += 100) assert.deepEqual(await open[i]!.next(), wanted[1])
  for (const iterator of open) iterator.closeSync()
  assert.equal(db.stats().snapshots.open, 0)
  squeeze(budget)
  assert.ok(iteratorBytes(db) <= 256 * KIB, `${iteratorBytes(db)} bytes without an iterator`)
  await closeEmpty(host, db)
})

test('what an idle iterator has read ahead is given back, and read again when it goes on', async () => {
  const host = simHost({ seed: 3 })
  const budget = new Budget('16 MiB')
  const { db, wanted } = await filled(host, budget, 2, 500, row => `value ${row}`)
  const iterator = db.iterator()
  for (let i = 0; i < 10; i++) assert.deepEqual(await iterator.next(), wanted[i])
  const before = iteratorBytes(db)
  squeeze(budget)
  assert.ok(iteratorBytes(db) <= 256 * KIB + 4096, `${iteratorBytes(db)} of ${before} bytes are left`)
  for (let i = 10; i < wanted.length; i++) assert.deepEqual(await iterator.next(), wanted[i])
  assert.equal(await iterator.next(), undefined)
  iterator.closeSync()
  await closeEmpty(host, db)
})

test(`an iterator yields the same wherever its memory is taken away (seed ${SEED})`, async () => {
  const host = simHost({ seed: 4 })
  const budget = new Budget('16 MiB')
  const { db, wanted } = await filled(host, budget, 3, 200, row => `${row} ${'x'.repeat(row % 50)}`)
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ next: fc.integer({ min: 1, max: 20 }) }) },
    { weight: 2, arbitrary: fc.record({ nextv: fc.integer({ min: 1, max: 30 }) }) },
    { weight: 3, arbitrary: fc.constant({ squeeze: true }) },
    { weight: 1, arbitrary: fc.record({ seek: fc.nat(200) }) },
    { weight: 1, arbitrary: fc.record({ deny: fc.boolean() }) },
  )
  await fc.assert(fc.asyncProperty(fc.boolean(), fc.integer({ min: 1, max: 300 }), fc.array(step, { maxLength: 40 }), async (reverse, limit, steps) => {
    const iterator = db.iterator({ reverse, limit })
    const order = reverse ? wanted.toReversed() : wanted
    let at = 0
    let left = limit
    const expected = (count: number): Rows => {
      const rows = order.slice(at, at + Math.min(count, left))
      at += rows.length
      left -= rows.length
      return rows
    }
    for (const step of steps) {
      if ('next' in step) {
        for (let i = 0; i < step.next; i++) assert.deepEqual(await iterator.next(), expected(1)[0])
      } else if ('nextv' in step) {
        const found = iterator.nextvSync(step.nextv)
        assert.deepEqual(found, expected(found.length))
        if (found.length === 0) assert.deepEqual(expected(1), [])
      } else if ('squeeze' in step) {
        squeeze(budget)
      } else if ('seek' in step) {
        const key = keyOf(step.seek)
        iterator.seek(key)
        at = order.findIndex(([other]) => reverse ? other <= key : other >= key)
        if (at < 0) at = order.length
      } else {
        budget.denies = step.deny ? account => account === 'iterators' : undefined
      }
      checkLedger(db)
    }
    iterator.closeSync()
    budget.denies = undefined
    assert.deepEqual([db.stats().iterators, db.stats().snapshots.open], [0, 0])
  }), { seed: SEED, numRuns: 100 })
  await closeEmpty(host, db)
})

test('60 runs of 16 KiB values in a budget at its floor are read right though every lease of iterators is denied', { timeout: 120_000 }, async () => {
  const host = simHost({ seed: 5 })
  const value = (row: number): string => `${row} `.padEnd(16 * KIB, `${row * 31 % 997},`)
  const budget = new Budget('6.8 MiB')
  const { db, wanted } = await filled(host, budget, 60, 150, value)
  // A memtable beside the runs.
  db.putSync('key:000000 and', 'in memory')
  wanted.splice(1, 0, ['key:000000 and', 'in memory'])
  assert.equal(wanted[0]![0], 'key:000000')
  const idle = db.iterator()
  assert.deepEqual(await idle.next(), wanted[0])
  budget.denies = account => account === 'iterators'
  assert.deepEqual([...db.iterator().entriesSync()], wanted)
  assert.deepEqual([...db.iterator({ reverse: true }).entriesSync()], wanted.toReversed())
  assert.deepEqual(await db.keys({ gt: wanted[20]![0], lte: wanted[40]![0] }).all(), wanted.slice(21, 41).map(([key]) => key))
  assert.equal(await within(host, db.count()), wanted.length)
  for (const [key, content] of wanted) assert.equal(db.getSync(key), content)
  assert.equal(db.getSync('key:9'), undefined)
  for (const row of wanted.slice(1, 30)) assert.deepEqual(await idle.next(), row)
  checkLedger(db)
  // Denied now and then, in the midst of a scan, or when the budget is full by itself.
  for (const every of [7, 31, Infinity]) {
    for (const reverse of [false, true]) {
      let asked = 0
      squeeze(budget)
      budget.denies = (account, bytes) => account === 'iterators' && bytes >= 8 * KIB && ++asked % every === 0
      assert.deepEqual([...db.iterator({ reverse }).entriesSync()], reverse ? wanted.toReversed() : wanted)
      assert.ok(asked >= 31, `${asked} windows were asked for`)
    }
  }
  budget.denies = undefined
  idle.closeSync()
  await closeEmpty(host, db)
})

test('the longest keys with the longest inline values are read within the reserve, both ways', async () => {
  const host = simHost({ seed: 6 })
  const budget = new Budget('64 MiB')
  const db = await openSim(host, { budget, compaction: UNMERGED })
  const wanted: Rows = []
  for (let run = 0; run < 6; run++) {
    for (let row = run; row < 30; row += 6) {
      const key = String.fromCharCode(65 + row).padEnd(row % 3 === 0 ? 65535 : 40, 'k')
      wanted.push([key, `${row}`.padEnd(64 * KIB, 'v')])
      db.putSync(...wanted.at(-1)!)
    }
    await within(host, db.flush())
  }
  wanted.sort(([a], [b]) => a < b ? -1 : 1)
  assert.equal(db.stats().valueFiles, 0)
  budget.denies = account => account === 'iterators'
  assert.deepEqual([...db.iterator().entriesSync()], wanted)
  assert.deepEqual([...db.iterator({ reverse: true }).entriesSync()], wanted.toReversed())
  budget.denies = undefined
  await closeEmpty(host, db)
})

test('a cold block is read from the file once, however many gets and iterators ask for it in one turn', async () => {
  const host = simHost({ seed: 7 })
  const { db: first } = await filled(host, new Budget('16 MiB'), 1, 400, row => `value ${row} ${'x'.repeat(40)}`)
  await within(host, first.close())
  const reads = new Map<string, number>()
  host.disk.wrapFile = file => {
    const readSync = file.readSync.bind(file)
    file.readSync = (target, offset, length, position) => {
      const place = `${file.path}@${position}`
      reads.set(place, (reads.get(place) ?? 0) + 1)
      return readSync(target, offset, length, position)
    }
    return file
  }
  const db = await openSim(host, { budget: new Budget('16 MiB'), compaction: UNMERGED })
  reads.clear()
  const iterators = Array.from({ length: 20 }, () => db.iterator({ gte: keyOf(200) }))
  const found = await Promise.all([
    ...Array.from({ length: 20 }, () => db.get(keyOf(200))),
    ...iterators.map(iterator => iterator.next().then(row => row?.[1])),
  ])
  assert.equal(new Set(found).size, 1)
  // A filter, an index partition, a data block or two.
  assert.ok(reads.size >= 2 && reads.size <= 4, `${reads.size} blocks were read`)
  assert.deepEqual([...new Set(reads.values())], [1])
  for (const iterator of iterators) iterator.closeSync()
  await closeEmpty(host, db)
})

test('a long scan through more runs than there are stretches reads its blocks once, however few entries are asked for at a time', async () => {
  const host = simHost({ seed: 8 })
  const { db: first, wanted } = await filled(host, new Budget('16 MiB'), 12, 36_000, row => `value ${row} ${'x'.repeat(40)}`)
  await within(host, first.close())
  let reads = 0
  host.disk.wrapFile = file => {
    const readSync = file.readSync.bind(file)
    file.readSync = (target, offset, length, position) => {
      reads++
      return readSync(target, offset, length, position)
    }
    return file
  }
  const db = await openSim(host, { budget: new Budget('16 MiB'), compaction: UNMERGED })
  const { runs } = db.stats()
  assert.ok(runs.length >= 12)
  const blocks = runs.reduce((sum, { bytes }) => sum + bytes, 0) / 1000
  reads = 0
  const iterator = db.iterator()
  let rows = 0
  for (let some; (some = iterator.nextvSync(1)).length > 0;) rows += some.length
  iterator.closeSync()
  assert.equal(rows, wanted.length)
  assert.ok(reads < 2 * blocks, `${reads} reads for some ${Math.round(blocks)} blocks`)
  await closeEmpty(host, db)
})
