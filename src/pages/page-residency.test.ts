/** Which pages are in memory, and in which order they are evicted. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Page } from './page.ts'
import { slotBytes } from './slot-pool.ts'
import { KIB, MIB, SIZE, insert, isEvicted, isRight, noise, pageBytes, testPool } from './testing/pools.ts'

test('evicting a backed page does no I/O', () => {
  const { pool, host, close } = testPool()
  const pages = [1, 2, 3, 4].map(seed => insert(pool, seed))
  for (const seed of [5, 6]) insert(pool, seed)
  pool.setLimit(6 * SIZE)
  assert.equal(pool.admit(pages[0]!), true)
  assert.equal(pool.admit(pages[1]!), true)
  const before = pool.stats()
  const operations = host.disk.faults.operations
  // The first pass clears the read marks, the second evicts.
  pool.shrink(pool.stats().warmBytes + 2 * SIZE)
  const after = pool.stats()
  assert.equal(after.evictionsCheap - before.evictionsCheap, 2)
  assert.equal(after.evictionsCompressing, before.evictionsCompressing)
  assert.equal(host.disk.faults.operations, operations)
  assert.ok(isRight(pool, pages[0]!, 1) && isRight(pool, pages[1]!, 2))
  close()
})

test('lowering the limit evicts at once, raising it keeps new pages', () => {
  const { pool, close } = testPool({ limitBytes: 8 * SIZE })
  const pages = [1, 2, 3, 4, 5, 6, 7, 8].map(seed => insert(pool, seed))
  pool.setLimit(3 * SIZE)
  assert.equal(pool.stats().residentBytes, 3 * SIZE)
  assert.equal(pool.stats().evictionsCompressing, 5)
  assert.ok(pool.stats().warmBytes <= 3 * SIZE / 8)
  pool.setLimit(5 * SIZE)
  for (const seed of [9, 10]) pages.push(insert(pool, seed))
  assert.equal(pool.stats().residentBytes, 5 * SIZE)
  assert.equal(pool.stats().evictionsCompressing, 5)
  pool.setLimit(0)
  assert.equal(pool.stats().residentBytes, 0)
  for (let i = 0; i < 10; i++) assert.ok(isRight(pool, pages[i]!, i + 1))
  close()
})

test('second chance: a page read since the last sweep survives one sweep, and only one', () => {
  const { pool, close } = testPool()
  const [first] = [1, 2, 3, 4].map(seed => insert(pool, seed))
  assert.ok(isRight(pool, first!, 1))
  insert(pool, 5)
  // Page 2 was evicted and page 1 spared, so the queue is 3, 4, 1, 5.
  insert(pool, 6)
  insert(pool, 7)
  const evicted = pool.stats().readFaults
  assert.equal(pool.stats().evictionsCompressing, 3)
  insert(pool, 8)
  assert.ok(isEvicted(pool, first!), 'not read again, so the next sweep evicts it')
  assert.equal(pool.stats().readFaults, evicted + 1)
  close()
})

test('deeper pages are evicted first, and short-lived ones last', () => {
  const { pool, close } = testPool({ limitBytes: 5 * SIZE })
  const short = insert(pool, 1, { shortLived: true })
  const young = insert(pool, 2, { depth: 0 })
  const deep = insert(pool, 3, { depth: 5 })
  const middle = insert(pool, 4, { depth: 2 })
  const deepest = insert(pool, 5, { depth: 99 })
  const order = [deepest, deep, middle, young, short]
  for (let out = 1; out <= 5; out++) {
    pool.setLimit((5 - out) * SIZE)
    assert.equal(order[out - 1]!.slot, undefined, `number ${out}`)
    if (out < 5) assert.notEqual(order[out]!.slot, undefined, `number ${out + 1}`)
  }
  close()
})

test('a pinned page is evicted only after it is unpinned', () => {
  const { pool, close } = testPool()
  const page = insert(pool, 1)
  const view = pool.pin(page)
  const again = pool.pin(page)
  pool.setLimit(0)
  for (const seed of [2, 3]) insert(pool, seed)
  assert.deepEqual([pool.stats().residentBytes, pool.stats().pinnedPages, pool.stats().bornEvicted], [SIZE, 1, 2])
  assert.equal(Buffer.compare(view, pageBytes(1)), 0)
  assert.throws(() => { pool.free(page) }, { code: 'SPILLWAY_INVALID_ARGUMENT' })
  pool.unpin(page)
  assert.equal(Buffer.compare(again, pageBytes(1)), 0)
  pool.unpin(page)
  assert.deepEqual([pool.stats().residentBytes, pool.stats().pinnedPages], [0, 0])
  assert.throws(() => { pool.unpin(page) }, { code: 'SPILLWAY_INVALID_ARGUMENT' })
  close()
})

test('an admission takes free memory, else that of a backed page not read recently, else is denied', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5, 6].map(seed => insert(pool, seed))
  assert.equal(pool.admit(pages[0]!), false, 'all others are unbacked')
  assert.equal(pool.stats().admissionsDenied, 1)
  assert.ok(isRight(pool, pages[0]!, 1))

  pool.setLimit(5 * SIZE)
  assert.equal(pool.admit(pages[0]!), true, 'free memory')
  assert.equal(pool.stats().admissionsBudget, 1)
  assert.ok(!isEvicted(pool, pages[0]!))

  assert.equal(pool.admit(pages[1]!), false, 'the only clean page was read')
  assert.equal(pool.admit(pages[1]!), true, 'it was spared once')
  assert.deepEqual([pool.stats().admissionsSteal, pool.stats().admissionsDenied, pool.stats().evictionsCheap], [1, 2, 1])
  assert.ok(isEvicted(pool, pages[0]!) && !isEvicted(pool, pages[1]!))
  assert.ok(isRight(pool, pages[0]!, 1) && isRight(pool, pages[1]!, 2))
  assert.equal(pool.stats().residentBytes, 5 * SIZE)
  close()
})

test('an admitted page keeps its extent, so evicting it again writes nothing', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => insert(pool, seed))
  pool.setLimit(5 * SIZE)
  pool.admit(pages[0]!)
  const { extentsWritten } = pool.stats()
  pool.setLimit(4 * SIZE)
  pool.setLimit(4 * SIZE - 1)
  assert.ok(pool.stats().evictionsCheap >= 1)
  assert.ok(pool.stats().extentsWritten <= extentsWritten + 1)
  assert.ok(isRight(pool, pages[0]!, 1))
  close()
})

test('extents stay in memory up to the RSS target, then the oldest are paged out', () => {
  const targetRssBytes = 1 * MIB
  const { pool, tierAccount, close } = testPool({ targetRssBytes })
  const pages: Page[] = []
  for (let seed = 1; seed <= 8; seed++) pages.push(insert(pool, seed))
  assert.deepEqual([pool.stats().extentsWritten, pool.stats().pageOuts], [0, 0])
  assert.ok(pool.stats().extentBytesResident > 0 && tierAccount.bytes === pool.stats().extentBytesResident)
  for (let seed = 9; seed <= 60; seed++) {
    pages.push(insert(pool, seed))
    const { residentBytes, warmBytes, extentBytesResident } = pool.stats()
    assert.ok(residentBytes + warmBytes + extentBytesResident <= targetRssBytes)
  }
  const { pageOuts, extentsWritten, extentBytesResident } = pool.stats()
  assert.ok(pageOuts > 20 && extentsWritten === pageOuts && extentBytesResident > 256 * KIB)
  // Oldest first: a prefix is in the file, the rest in memory.
  const places = pages.map(page => page.extentIn)
  assert.deepEqual([...places.slice(0, 56)].sort((a, b) => b - a), places.slice(0, 56))
  for (let i = 0; i < 60; i++) assert.ok(isRight(pool, pages[i]!, i + 1))
  close()
})

test('with a target of 0 there is no tier', () => {
  const { pool, close } = testPool({ targetRssBytes: 0 })
  for (let seed = 1; seed <= 12; seed++) insert(pool, seed)
  assert.deepEqual([pool.stats().extentBytesResident, pool.stats().extentsWritten], [0, 8])
  close()
})

test('new and admitted pages shrink the tier instead of growing the total', () => {
  const targetRssBytes = 2 * MIB
  const { pool, close } = testPool({ targetRssBytes, limitBytes: 0 })
  const pages: Page[] = []
  for (let seed = 1; seed <= 100; seed++) pages.push(insert(pool, seed))
  assert.ok(pool.stats().extentBytesResident > 1.5 * MIB)
  pool.setLimit(1 * MIB)
  for (let i = 0; i < 8; i++) {
    assert.equal(pool.admit(pages[99 - i]!), true)
    assert.ok(pool.rssBytes <= targetRssBytes)
    insert(pool, 101 + i)
    assert.ok(pool.rssBytes <= targetRssBytes)
  }
  assert.equal(pool.stats().residentBytes, 1 * MIB)
  close()
})

test('warm slots take at most an eighth of the limit, are reused, and shrink with it', () => {
  const { pool, close } = testPool({ limitBytes: 16 * SIZE })
  const pages = Array.from({ length: 16 }, (_, i) => insert(pool, i + 1))
  for (const page of pages) pool.free(page)
  assert.equal(pool.stats().warmBytes, 2 * SIZE)
  insert(pool, 20)
  assert.deepEqual([pool.stats().warmReuses, pool.stats().warmBytes], [1, SIZE])
  pool.setLimit(4 * SIZE)
  assert.equal(pool.stats().warmBytes, 0)
  close()
})

test('a page takes its length rounded up to 4 KiB, oversize ones too', () => {
  const { pool, account, budget, close } = testPool({ limitBytes: 8 * MIB })
  for (const length of [1, 5000, 64 * KIB, 64 * KIB + 1, 2 * MIB]) {
    const before = pool.stats().residentBytes
    const page = pool.insert(noise(1, length), 0, length)
    assert.equal(pool.stats().residentBytes - before, slotBytes(length))
    pool.free(page)
  }
  const length = 3 * MIB + 10
  const page = pool.insert(noise(2, length), 0, length)
  assert.equal(pool.stats().oversizeBytes, 3 * MIB + 4096)
  assert.ok(account.bytes >= 3 * MIB + 4096 && budget.usedBytes >= account.bytes)
  assert.ok(account.bytes >= pool.measure())
  pool.setLimit(1 * MIB)
  assert.deepEqual([pool.stats().oversizeBytes, pool.stats().residentBytes], [0, 0])
  const target = new Uint8Array(length)
  pool.read(page, target, 0)
  assert.deepEqual(target, noise(2, length))
  close()
})

test('shrink releases warm slots, then backed pages, then the tier, then unbacked pages', () => {
  const { pool, budget, close } = testPool({ limitBytes: 8 * SIZE, targetRssBytes: 8 * MIB })
  const backed = [1, 2].map(seed => pool.insertBacked(pageBytes(seed), 0, SIZE, (target, at) => { target.set(pageBytes(seed), at) }))
  const freed = insert(pool, 3)
  const evicted = [4, 5, 6].map(seed => insert(pool, seed, { depth: 9 }))
  pool.setLimit(3 * SIZE)
  pool.setLimit(8 * SIZE)
  for (const page of backed) pool.admit(page)
  const unbacked = [7, 8].map(seed => insert(pool, seed))
  pool.free(freed)
  const start = pool.stats()
  assert.ok(start.warmBytes > 0 && start.extentBytesResident > 0)

  assert.equal(pool.shrink(start.warmBytes), start.warmBytes)
  assert.deepEqual([pool.stats().evictionsCheap, pool.stats().pageOuts], [start.evictionsCheap, 0])
  pool.shrink(2 * SIZE)
  assert.deepEqual([pool.stats().evictionsCheap - start.evictionsCheap, pool.stats().pageOuts], [2, 0])
  pool.shrink(1)
  assert.deepEqual([pool.stats().pageOuts > 0, pool.stats().extentBytesResident], [true, 0])
  assert.equal(pool.stats().evictionsCompressing, start.evictionsCompressing)
  const used = budget.usedBytes
  const gave = pool.shrink(2 * SIZE)
  assert.equal(used - budget.usedBytes, gave)
  assert.ok(pool.stats().evictionsCompressing > start.evictionsCompressing)
  for (const [i, page] of [...backed, ...evicted, ...unbacked].entries()) assert.ok(isRight(pool, page, [1, 2, 4, 5, 6, 7, 8][i]!))
  close()
})

test('the pool evicts when other accounts fill the budget', () => {
  const { pool, budget, close } = testPool({ budgetBytes: 1 * MIB, limitBytes: 64 * MIB })
  const removal = budget.addReclaimer('cache', bytes => pool.shrink(bytes))
  const pages: Page[] = []
  for (let seed = 1; seed <= 40; seed++) pages.push(insert(pool, seed))
  assert.ok(budget.usedBytes <= budget.totalBytes && pool.stats().residentBytes > 768 * KIB)
  const other = budget.account('others', 'test').lease(900 * KIB)
  assert.ok(pool.stats().residentBytes < 128 * KIB)
  for (let i = 0; i < 40; i++) assert.ok(isRight(pool, pages[i]!, i + 1))
  other.release()
  removal()
  close()
})
