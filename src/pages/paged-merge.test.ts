import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareBytes } from '../base/bytes.ts'
import { Budget } from '../memory/budget.ts'
import { PagedMerge } from './paged-merge.ts'
import { PagedRunBuilder } from './paged-run-builder.ts'
import { MemoryPages } from './testing/memory-pages.ts'
import { KIB, testPool } from './testing/pools.ts'
import { build, digits, merged, numbered } from './testing/runs.ts'
import type { Entry } from './testing/runs.ts'

const account = new Budget(2 ** 26).account('runs', 'test')

test('a merge is a stable sort of its runs, ascending and descending, by bytes and by a comparison', () => {
  const key = fc.oneof(
    fc.string({ unit: fc.constantFrom('a', 'b', '\0', '\u{ff}'), maxLength: 4 }),
    fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 3 }).map(end => `a long beginning that all share ${end}`),
    fc.string({ unit: fc.constantFrom('\u{10ffff}'), maxLength: 5 }),
  )
  const runs = fc.array(fc.array(key, { maxLength: 40 }), { maxLength: 9 })
  fc.assert(fc.property(runs, fc.boolean(), fc.boolean(), fc.boolean(), (given, reverse, compares, shared) => {
    const store = new MemoryPages()
    const sign = reverse ? -1 : 1
    const order = (a: Entry, b: Entry): number => sign * Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0]))
    const lists = given.map((keys, run) => keys.map((k, i): Entry => [shared ? `shared/${k}` : k, `${run}.${i}`]).sort(order))
    const built = lists.map(list => build(store, account, list, { pageBytes: 256 }))
    using merge = new PagedMerge(built, account, { reverse, ...(compares ? { compare: compareBytes } : {}) })
    assert.deepEqual(merged(merge), lists.flat().sort(order))
    assert.equal(merge.next(), false)
    for (const run of built) run.free()
    assert.equal(store.livePages, 0)
  }), { seed: 31, numRuns: 300 })
})

test('a merge frees each page once it is in its window', () => {
  const store = new MemoryPages()
  const runs = [0, 1, 2].map(() => build(store, account, numbered(0, 500), { pageBytes: 512 }))
  const pages = store.livePages
  let fewest = pages
  {
    using merge = new PagedMerge(runs, account)
    let count = 0
    while (merge.next()) {
      count++
      // Only pages ahead of the merge are live.
      const ahead = pages * (1 - count / 1500)
      assert.ok(store.livePages <= ahead + 6, `${store.livePages} pages at entry ${count}`)
      fewest = Math.min(fewest, store.livePages)
    }
  }
  assert.equal(fewest, 0)
  for (const run of runs) run.free()
})

test('a merge with keepPages can be repeated', () => {
  const store = new MemoryPages()
  const runs = [build(store, account, numbered(0, 100)), build(store, account, numbered(50, 150))]
  for (let i = 0; i < 2; i++) {
    using merge = new PagedMerge(runs, account, { keepPages: true })
    assert.equal(merged(merge).length, 200)
  }
  for (const run of runs) run.free()
  assert.equal(store.livePages, 0)
})

test('a merge of runs larger than memory stays within its budget', () => {
  const limitBytes = 512 * KIB
  const made = testPool({ budgetBytes: 1536 * KIB, limitBytes })
  const runsAccount = made.budget.account('runs', 'test')
  const check = (): void => {
    assert.ok(made.pool.stats().residentBytes <= limitBytes)
    assert.ok(made.budget.usedBytes <= made.budget.totalBytes)
  }
  const value = 'a value that takes some room, so that runs are larger than memory '.repeat(2)
  const runs = Array.from({ length: 6 }, (_, r) => {
    const builder = new PagedRunBuilder(made.pool, runsAccount)
    for (let i = 0; i < 4000; i++) {
      const key = Buffer.from(digits(i * 6 + r))
      const bytes = Buffer.from(`${value}${(i * 7919) % 4001}`)
      builder.add(key, 0, 8, bytes, 0, bytes.length)
      if (i % 100 === 0) check()
    }
    return builder.finish()
  })
  const stored = runs.reduce((sum, run) => sum + run.pages, 0) * 64 * KIB
  assert.ok(stored > 2 * made.budget.totalBytes)
  {
    const builder = new PagedRunBuilder(made.pool, runsAccount, { depth: 1 })
    using merge = new PagedMerge(runs, runsAccount)
    let next = 0
    while (merge.next()) {
      assert.equal(Buffer.from(merge.bytes.subarray(merge.keyStart, merge.keyEnd)).toString(), digits(next++))
      builder.addEncoded(merge.bytes, merge.entryStart, merge.entryEnd, merge.keyStart, merge.keyEnd)
      if (next % 100 === 0) check()
    }
    assert.equal(next, 24_000)
    const output = builder.finish()
    assert.equal(output.count, 24_000)
    output.free()
  }
  for (const run of runs) run.free()
  assert.equal(made.pool.stats().pages, 0)
  assert.equal(runsAccount.bytes, 0)
  made.close()
})

test('input pages consumed before eviction are never written', () => {
  const made = testPool({ limitBytes: 1024 * KIB })
  const runs = [build(made.pool, account, numbered(0, 5000)), build(made.pool, account, numbered(2500, 7500))]
  const pages = made.pool.stats().pages
  assert.ok(pages > 2)
  {
    using merge = new PagedMerge(runs, account)
    assert.equal(merged(merge).length, 10_000)
  }
  const stats = made.pool.stats()
  assert.equal(stats.writesElided, pages)
  assert.equal(stats.extentsWritten, 0)
  assert.equal(stats.evictionsCompressing, 0)
  for (const run of runs) run.free()
  made.close()
})

test('shortLived is passed on to the page store', () => {
  const store = new MemoryPages()
  build(store, account, numbered(0, 50), { shortLived: true, depth: 3 }).free()
  assert.deepEqual(store.inserted, [{ shortLived: true, depth: 3 }])
})

test('windows are leased, and a denied lease changes nothing', () => {
  const store = new MemoryPages()
  const budget = new Budget(600)
  const runs = [build(store, account, numbered(0, 100), { pageBytes: 512 }), build(store, account, numbered(0, 100), { pageBytes: 512 })]
  const pages = store.livePages
  assert.throws(() => new PagedMerge(runs, budget.account('windows', 'test')), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.equal(store.livePages, pages)
  assert.equal(budget.usedBytes, 0)
  for (const run of runs) run.free()
})
