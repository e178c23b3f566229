import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { PagedCursor } from './paged-cursor.ts'
import { PagedRunBuilder } from './paged-run-builder.ts'
import { MemoryPages } from './testing/memory-pages.ts'
import { KIB, testPool } from './testing/pools.ts'
import { build, current, digits, numbered, sortedEntries, walk } from './testing/runs.ts'
import type { Entry } from './testing/runs.ts'

function setup(budgetBytes = 2 ** 24) {
  const store = new MemoryPages()
  const account = new Budget(budgetBytes).account('runs', 'test')
  return { store, account }
}

const small = { pageBytes: 512 }

test('a run returns its entries in order, for any sizes and page groups', () => {
  const entry = fc.tuple(
    fc.oneof(fc.string({ maxLength: 12 }), fc.string({ minLength: 100, maxLength: 900 })),
    fc.oneof(fc.constant(''), fc.string({ maxLength: 300 })),
  )
  fc.assert(fc.property(fc.array(entry, { maxLength: 200 }), fc.constantFrom(1, 2, 5), fc.boolean(), (given, groupPages, seekable) => {
    const { store, account } = setup()
    const entries = sortedEntries(given as Entry[])
    const run = build(store, account, entries, { ...small, groupPages, seekable })
    assert.equal(run.count, entries.length)
    {
      using cursor = new PagedCursor(run, account)
      assert.deepEqual(walk(cursor), entries)
    }
    run.free()
    assert.equal(store.livePages, 0)
    assert.equal(account.bytes, 0)
  }), { seed: 21, numRuns: 150 })
})

test('a seek positions before the first key >= the given one', () => {
  const keys = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'é'), maxLength: 5 }), { minLength: 1, maxLength: 300 })
  fc.assert(fc.property(keys, fc.string({ unit: fc.constantFrom('a', 'b', '\0', 'é'), maxLength: 6 }), (given, wanted) => {
    const { store, account } = setup()
    const entries = sortedEntries(given.map((key, i) => [key, String(i)]))
    using run = build(store, account, entries, { pageBytes: 256 })
    using cursor = new PagedCursor(run, account)
    const target = Buffer.from(wanted)
    const at = entries.findIndex(([key]) => Buffer.compare(Buffer.from(key), target) >= 0)
    assert.equal(cursor.seek(target), at >= 0 && entries[at]![0] === wanted)
    assert.deepEqual(walk(cursor), at < 0 ? [] : entries.slice(at))
  }), { seed: 22, numRuns: 400 })
})

test('a seek reads only the page that holds the key', () => {
  const { store, account } = setup()
  using run = build(store, account, numbered(0, 1000), small)
  assert.ok(run.pages > 20)
  for (const i of [0, 1, 499, 998, 999]) {
    using cursor = new PagedCursor(run, account)
    store.reads = 0
    const key = Buffer.from(digits(2 * i))
    assert.ok(cursor.seek(key))
    assert.ok(cursor.next())
    assert.deepEqual(current(cursor), [digits(2 * i), `value-${i}`])
    assert.equal(store.reads, 1)
  }
})

test('a key on several pages reads only those pages', () => {
  const { store, account } = setup()
  const same: Entry[] = Array.from({ length: 60 }, (_, i) => ['00000500', `copy ${i}`])
  using run = build(store, account, [...numbered(0, 100), ...same, ...numbered(300, 400)], small)
  const key = Buffer.from('00000500')
  let holding = 0
  for (let page = 0; page < run.pages; page++) {
    if (run.fences.compare(2 * page, key, 0, 8) <= 0 && run.fences.compare(2 * page + 1, key, 0, 8) >= 0) holding++
  }
  assert.ok(holding > 1)
  using cursor = new PagedCursor(run, account)
  store.reads = 0
  assert.ok(cursor.seek(key))
  for (const expected of same) {
    assert.ok(cursor.next())
    assert.deepEqual(current(cursor), expected)
  }
  assert.equal(store.reads, holding)
})

test('a seek reads no page in a gap between pages, before the first key or past the end', () => {
  const { store, account } = setup()
  using run = build(store, account, numbered(10, 1000), small)
  using cursor = new PagedCursor(run, account)
  const gaps = ['00000000', '99999999']
  for (let page = 1; page < run.pages; page++) gaps.push(digits(Number(Buffer.from(run.fences.key(2 * page)).toString()) - 1))
  for (const gap of gaps) assert.equal(cursor.seek(Buffer.from(gap)), false)
  assert.equal(store.reads, 0)
  // The entry after the gap is read by `next`.
  cursor.seek(Buffer.from(gaps[2]!))
  assert.ok(cursor.next())
  assert.ok(current(cursor)[0] > gaps[2]!)
  assert.equal(store.reads, 1)
  cursor.seek(Buffer.from('99999999'))
  assert.equal(cursor.next(), false)
})

test('entering a page admits the next one', () => {
  const { store, account } = setup()
  using run = build(store, account, numbered(0, 200), small)
  using cursor = new PagedCursor(run, account)
  for (let page = 0; page < run.pages - 1; page++) {
    const admits = store.admits
    while (store.admits === admits) assert.ok(cursor.next())
    assert.equal(store.reads, page + 1)
    assert.equal(store.admits, page + 1)
  }
  walk(cursor)
  assert.equal(store.admits, run.pages - 1)
})

test('iteration over evicted pages admits all but the first, when the pool has memory', () => {
  const made = testPool({ limitBytes: 1024 * KIB })
  const account = made.budget.account('runs', 'test')
  {
    using run = build(made.pool, account, numbered(0, 20_000))
    made.pool.setLimit(0)
    made.pool.setLimit(1024 * KIB)
    using cursor = new PagedCursor(run, account)
    const before = made.pool.stats().readFaults
    assert.deepEqual(walk(cursor), numbered(0, 20_000))
    assert.ok(run.pages > 5)
    // An admission counts as a read fault: each page was admitted once and then found in memory.
    assert.equal(made.pool.stats().admissionsBudget, run.pages - 1)
    assert.equal(made.pool.stats().readFaults - before, run.pages)
  }
  made.close()
})

test('ranged reads of a page equal slices of it, in memory and evicted, alone and in a group', () => {
  for (const groupPages of [1, 3]) {
    const made = testPool()
    const account = made.budget.account('runs', 'test')
    {
      using run = build(made.pool, account, numbered(0, 3000), { pageBytes: 4096, groupPages })
      for (const limit of [2 ** 20, 0]) {
        made.pool.setLimit(limit)
        for (const page of [0, 1, 2, run.pages - 1]) {
          const length = run.pageBytes(page)
          const whole = new Uint8Array(length)
          run.read(page, whole, 0)
          for (const [from, to] of [[0, 1], [17, 600], [length - 5, length], [0, length], [9, 9]] as const) {
            const part = new Uint8Array(length + 3).fill(7)
            run.read(page, part, 2, from, to)
            assert.deepEqual(part.subarray(2, 2 + to - from), whole.subarray(from, to))
            assert.equal(part[2 + to - from], 7)
          }
        }
      }
    }
    made.close()
  }
})

test('the fences of a run are leased until it is freed', () => {
  const { store, account } = setup()
  const run = build(store, account, numbered(0, 1000), small)
  const fences = run.pages * 2 * 8
  assert.ok(account.bytes >= fences, 'two keys a page are leased')
  assert.ok(account.bytes <= fences + run.pages * 40 + 100, `${account.bytes} bytes for ${run.pages} pages`)
  run.free()
  run.free()
  assert.equal(account.bytes, 0)
  assert.throws(() => run.read(0, new Uint8Array(512), 0), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /was freed/ })
})

test('a run that is not seekable keeps two keys, and seek throws', () => {
  const { store, account } = setup()
  using run = build(store, account, numbered(0, 1000), { ...small, seekable: false })
  assert.equal(Buffer.from(run.firstKey).toString(), digits(0))
  assert.equal(Buffer.from(run.lastKey).toString(), digits(1998))
  using cursor = new PagedCursor(run, account)
  assert.throws(() => cursor.seek(Buffer.from('1')), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.deepEqual(walk(cursor), numbered(0, 1000))
})

test('a build with any lease denied leaves no page and no lease', () => {
  let denied = 0
  for (let allowed = 0; ; allowed++) {
    const store = new MemoryPages()
    const budget = new Budget(2 ** 24)
    let asked = 0
    budget.denies = () => asked++ >= allowed
    try {
      const builder = new PagedRunBuilder(store, budget.account('runs', 'test'), small)
      try {
        const value = Buffer.alloc(700)
        for (let i = 0; i < 200; i++) {
          const key = Buffer.from(digits(i))
          builder.add(key, 0, 8, value, 0, i % 50 === 0 ? 700 : 10)
        }
        builder.finish().free()
      } finally {
        builder.abort()
      }
      break
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'SPILLWAY_BUDGET_TOO_SMALL')
      denied++
    }
    assert.equal(store.livePages, 0)
    assert.equal(budget.usedBytes, 0)
  }
  assert.ok(denied > 3)
})

test('shared storage is freed with the last of its pages, in any order', () => {
  const { store, account } = setup()
  const run = build(store, account, numbered(0, 500), { ...small, groupPages: 3 })
  const stored = store.inserts
  assert.equal(stored, Math.ceil(run.pages / 3))
  run.freePage(1)
  run.freePage(0)
  assert.equal(store.livePages, stored)
  const page = new Uint8Array(512)
  run.read(2, page, 0)
  run.freePage(2)
  assert.equal(store.livePages, stored - 1)
  run.free()
  assert.equal(store.livePages, 0)
})
