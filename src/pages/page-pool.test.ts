/** The rules of the pool, one by one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { slotBytes } from './slot-pool.ts'
import type { PagePool } from './page-pool.ts'
import type { Page } from './page.ts'
import { KIB, MIB, SCRATCH_PATH, kernels, noise, pageBytes, testPool } from './testing/pools.ts'

const SIZE = 64 * KIB

function insert(pool: PagePool, seed: number, options = {}): Page {
  return pool.insert(pageBytes(seed), 0, SIZE, options)
}

/** Whether the page reads as it was inserted. */
function isRight(pool: PagePool, page: Page, seed: number): boolean {
  const target = new Uint8Array(page.length)
  pool.read(page, target, 0)
  return Buffer.compare(target, pageBytes(seed, page.length)) === 0
}

/** Whether reading it finds it evicted. Counts as a read. */
function isEvicted(pool: PagePool, page: Page): boolean {
  const before = pool.stats().readFaults
  pool.read(page, new Uint8Array(1), 0, 0, 1)
  return pool.stats().readFaults > before
}

test('pages in memory are uncompressed, and compression happens only when they are evicted', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4].map(seed => insert(pool, seed))
  const { evictionsCompressing, extentsWritten, residentBytes } = pool.stats()
  assert.deepEqual([evictionsCompressing, extentsWritten, residentBytes], [0, 0, 4 * SIZE])
  const plain = pool.pin(pages[0]!)
  assert.equal(Buffer.compare(plain, pageBytes(1)), 0, 'in memory as it was inserted')
  pool.unpin(pages[0]!)
  insert(pool, 5)
  assert.equal(pool.stats().evictionsCompressing, 1)
  close()
})

test('nothing is both uncompressed and on the device', () => {
  const { pool, host, close } = testPool()
  for (let seed = 1; seed <= 12; seed++) insert(pool, seed)
  const { scratchBytes, residentBytes, evictionsCompressing } = pool.stats()
  assert.equal(evictionsCompressing, 8)
  assert.equal(residentBytes, 4 * SIZE)
  assert.ok(scratchBytes < 8 * SIZE / 2, `${scratchBytes} bytes for 8 pages of ${SIZE}`)
  const file = Buffer.from(host.files.readAll(SCRATCH_PATH))
  for (let seed = 1; seed <= 12; seed++) assert.equal(file.indexOf(pageBytes(seed).subarray(0, 256)), -1)
  close()
})

test('pages that do not compress are stored as they are, and take no more than that', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => pool.insert(noise(seed), 0, SIZE))
  assert.ok(pool.stats().extentBytesWritten <= SIZE + 64)
  const target = new Uint8Array(SIZE)
  pool.read(pages[0]!, target, 0)
  assert.deepEqual(target, noise(1))
  close()
})

test('pages said to be not worth compressing go to the file as they are, not to the tier', () => {
  const { pool, host, close } = testPool({ targetRssBytes: 4 * MIB })
  const pages = [1, 2, 3, 4, 5, 6].map(seed => insert(pool, seed, { asIs: true }))
  const long = pool.insert(pageBytes(7, 200_000), 0, 200_000, { asIs: true })
  pool.setLimit(0)
  assert.deepEqual([pool.stats().extentBytesResident, pool.stats().extentsWritten], [0, 7])
  assert.ok(Buffer.from(host.files.readAll(SCRATCH_PATH)).includes(Buffer.from(pageBytes(1))))
  for (let i = 0; i < 6; i++) assert.ok(isRight(pool, pages[i]!, i + 1))
  assert.ok(isRight(pool, long, 7))
  host.disk.corrupt(SCRATCH_PATH, long.extentAt + 1000, 1)
  assert.throws(() => isRight(pool, long, 7), { code: 'SPILLWAY_CORRUPTION' })
  close()
})

test('a page freed before its eviction costs no compression and no write', () => {
  const { pool, host, close } = testPool()
  for (let round = 0; round < 10; round++) {
    const pages = [1, 2, 3, 4].map(seed => insert(pool, seed))
    for (const page of pages) pool.free(page)
  }
  const stats = pool.stats()
  assert.equal(stats.writesElided, 40)
  assert.deepEqual([stats.evictionsCompressing, stats.extentsWritten, stats.scratchFileBytes], [0, 0, 0])
  assert.deepEqual(host.files.list('/scratch'), [], 'not even the file was made')
  close()
})

test('a page that was stored is not counted as elided when it is freed', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => insert(pool, seed))
  for (const page of pages) pool.free(page)
  assert.equal(pool.stats().writesElided, 4)
  close()
})

test('evicting a backed page does no I/O', () => {
  const { pool, host, close } = testPool()
  const pages = [1, 2, 3, 4].map(seed => insert(pool, seed))
  for (const seed of [5, 6]) insert(pool, seed)
  pool.setLimit(6 * SIZE)
  assert.equal(pool.admit(pages[0]!), true)
  assert.equal(pool.admit(pages[1]!), true)
  const before = pool.stats()
  const operations = host.disk.faults.operations
  // Once to forget that they were read, once to go.
  pool.shrink(pool.stats().warmBytes + 2 * SIZE)
  const after = pool.stats()
  assert.equal(after.evictionsCheap - before.evictionsCheap, 2)
  assert.equal(after.evictionsCompressing, before.evictionsCompressing)
  assert.equal(host.disk.faults.operations, operations)
  assert.ok(isRight(pool, pages[0]!, 1) && isRight(pool, pages[1]!, 2))
  close()
})

test('a page born backed is never stored: evicting is free and reading it reloads it, damaged scratch bytes or not', () => {
  const { pool, host, close } = testPool({ targetRssBytes: 1 * MIB })
  let reloads = 0
  const bytes = pageBytes(7)
  const page = pool.insertBacked(bytes, 0, SIZE, (target, at) => {
    reloads++
    target.set(bytes, at)
  })
  assert.ok(!isEvicted(pool, page))
  pool.setLimit(0)
  assert.deepEqual([pool.stats().evictionsCheap, pool.stats().extentBytesResident, pool.stats().extentsWritten], [1, 0, 0])
  assert.ok(isRight(pool, page, 7))
  const target = new Uint8Array(10)
  pool.read(page, target, 0, 100, 110)
  assert.deepEqual(target, bytes.slice(100, 110))
  assert.equal(reloads, 2)
  assert.equal(host.files.exists(SCRATCH_PATH), false)
  pool.setLimit(SIZE)
  assert.equal(pool.admit(page), true)
  assert.equal(reloads, 3)
  assert.ok(isRight(pool, page, 7))
  assert.equal(reloads, 3)
  close()
})

test('a page born backed finds no room and is born evicted, from kernel memory without a compression', () => {
  const { pool, close } = testPool()
  for (const seed of [1, 2, 3, 4]) insert(pool, seed)
  kernels.memory.set(pageBytes(9), kernels.a)
  const page = pool.insertBacked(kernels.memory, kernels.a, kernels.a + SIZE, (target, at) => { target.set(pageBytes(9), at) })
  assert.deepEqual([pool.stats().bornEvicted, pool.stats().evictionsCompressing], [1, 0])
  assert.ok(isRight(pool, page, 9))
  assert.throws(() => pool.insert(kernels.memory, kernels.a, kernels.a + 10), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  close()
})

test('a part of a page born backed can be read when the budget has no room at all', () => {
  const { pool, budget, close } = testPool({ limitBytes: SIZE })
  const page = pool.insertBacked(pageBytes(3), 0, SIZE, (target, at) => { target.set(pageBytes(3), at) })
  pool.setLimit(0)
  const rest = budget.account('others', 'test').lease(budget.freeBytes)
  const target = new Uint8Array(5)
  for (let i = 0; i < 3; i++) {
    pool.read(page, target, 0, 1000, 1005)
    assert.deepEqual(target, pageBytes(3).slice(1000, 1005))
  }
  assert.equal(budget.freeBytes, 0)
  rest.release()
  close()
})

test('a live budget: lowering it evicts at once, raising it keeps new pages', () => {
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
  // Two is out; one was spared, and went to the end of the queue: 3, 4, 1, 5.
  insert(pool, 6)
  insert(pool, 7)
  const evicted = pool.stats().readFaults
  assert.equal(pool.stats().evictionsCompressing, 3)
  insert(pool, 8)
  assert.ok(isEvicted(pool, first!), 'not read again, it went with the next sweep')
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

test('a pinned page is not evicted, and goes when it is unpinned', () => {
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

test('a pin without room is a copy with a lease of its own, or a typed error', () => {
  const { pool, budget, account, close } = testPool({ limitBytes: 0 })
  const page = insert(pool, 1)
  const before = account.bytes
  const view = pool.pin(page)
  assert.equal(Buffer.compare(view, pageBytes(1)), 0)
  assert.equal(pool.pin(page).buffer, view.buffer, 'one copy for all')
  assert.deepEqual([pool.stats().bounceBytes, pool.stats().residentBytes, account.bytes - before], [SIZE, 0, SIZE])
  pool.unpin(page)
  pool.unpin(page)
  assert.deepEqual([pool.stats().bounceBytes, account.bytes], [0, before])
  const rest = budget.account('others', 'test').lease(budget.freeBytes)
  assert.throws(() => pool.pin(page), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.ok(isRight(pool, page, 1), 'reading needs no room')
  rest.release()
  close()
})

test('a plain read of an evicted page copies out and does not admit it', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => insert(pool, seed))
  pool.free(pages[4]!)
  for (let i = 0; i < 3; i++) assert.ok(isRight(pool, pages[0]!, 1))
  const { readFaults, residentPages, admissionsBudget } = pool.stats()
  assert.deepEqual([readFaults, residentPages, admissionsBudget], [3, 3, 0])
  close()
})

test('an admitting read takes free room, else the place of a clean page that was not read, else is denied with the data still right', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5, 6].map(seed => insert(pool, seed))
  assert.equal(pool.admit(pages[0]!), false, 'all others are unbacked')
  assert.equal(pool.stats().admissionsDenied, 1)
  assert.ok(isRight(pool, pages[0]!, 1))

  pool.setLimit(5 * SIZE)
  assert.equal(pool.admit(pages[0]!), true, 'there is room')
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

test('a page that was admitted keeps its extent, so evicting it again writes nothing', () => {
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

test('eager backing is off by default; on, it makes evictions free, leaves the second chance alone and is counted apart', () => {
  const off = testPool()
  insert(off.pool, 1)
  off.pool.maintain()
  assert.equal(off.pool.stats().extentsWritten, 0)
  off.close()

  const { pool, close } = testPool({ eagerBacking: true })
  const pages = [1, 2, 3].map(seed => insert(pool, seed))
  assert.ok(isRight(pool, pages[0]!, 1))
  for (let i = 0; i < 5; i++) pool.maintain()
  let stats = pool.stats()
  assert.deepEqual([stats.eagerBacks, stats.extentsWritten, stats.evictionsCompressing, stats.residentPages], [3, 3, 0, 3])
  assert.ok(pages[0]!.isTouched && !pages[1]!.isTouched)
  pool.setLimit(0)
  stats = pool.stats()
  assert.deepEqual([stats.evictionsCheap, stats.evictionsCompressing, stats.extentsWritten], [3, 0, 3])
  for (let i = 0; i < 3; i++) assert.ok(isRight(pool, pages[i]!, i + 1))
  close()
})

test('extents stay in memory until the RSS target is passed, then the oldest are paged out', () => {
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
  // In the order in which they came: a prefix is in the file, what follows in memory.
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

test('pages born or admitted while the tier is large make the tier smaller, not the total larger', () => {
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

test('warm slots are at most an eighth of the budget, are used again, and shrink with it', () => {
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

test('size classes: a page takes its length rounded up to 4 KiB, an oversize one is charged alike', () => {
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

test('ranged reads equal slices in every state', () => {
  for (const options of [{}, { targetRssBytes: 8 * MIB }]) {
    for (const length of [1, 63, 64 * KIB, 64 * KIB + 1, 300_000]) {
      const { pool, close } = testPool({ limitBytes: 4 * MIB, ...options })
      const bytes = pageBytes(5, length)
      const page = pool.insert(bytes, 0, length)
      const check = (state: string): void => {
        for (const [from, to] of [[0, length], [0, 0], [length, length], [0, 1], [length - 1, length], [length >> 1, length], [length >> 2, length >> 1]]) {
          const target = new Uint8Array(length + 2).fill(9)
          pool.read(page, target, 1, from, to)
          assert.deepEqual(target.subarray(1, 1 + to! - from!), bytes.subarray(from, to), `${state}, ${from} to ${to} of ${length}`)
          assert.ok(target[0] === 9 && target[1 + to! - from!] === 9)
        }
        assert.throws(() => { pool.read(page, new Uint8Array(length), 0, 0, length + 1) }, RangeError)
        assert.throws(() => { pool.read(page, new Uint8Array(length), 1, 0, length) }, RangeError)
        assert.throws(() => { pool.read(page, new Uint8Array(length), 0, -1, 0) }, RangeError)
      }
      check('unbacked')
      pool.setLimit(0)
      check('evicted')
      pool.pin(page)
      check('pinned as a copy')
      pool.unpin(page)
      pool.setLimit(4 * MIB)
      assert.equal(pool.admit(page), true)
      check('backed')
      close()
    }
  }
})

test('shrink gives in the order of what it costs: warm slots, backed pages, the tier to the file, then unbacked pages', () => {
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

test('a budget that others fill makes the pool evict, and gives nothing it does not have', () => {
  const { pool, budget, close } = testPool({ budgetBytes: 1 * MIB, limitBytes: 64 * MIB })
  const removal = budget.addReclaimer(bytes => pool.shrink(bytes))
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

test('misuse is told at once: pages of another pool, freed pages, empty pages, a closed pool', () => {
  const { pool, close } = testPool()
  const other = testPool()
  const page = insert(pool, 1)
  assert.throws(() => { other.pool.read(page, new Uint8Array(SIZE), 0) }, { code: 'SPILLWAY_INVALID_ARGUMENT' })
  pool.free(page)
  for (const call of [() => { pool.free(page) }, () => { pool.read(page, new Uint8Array(SIZE), 0) }, () => { pool.admit(page) }, () => pool.pin(page)]) {
    assert.throws(call, { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
  assert.throws(() => pool.insert(new Uint8Array(4), 2, 2), RangeError)
  assert.throws(() => pool.insert(new Uint8Array(4), 0, 5), RangeError)
  assert.throws(() => { pool.setLimit(NaN) }, { code: 'SPILLWAY_INVALID_ARGUMENT' })
  const last = insert(pool, 2)
  close()
  pool.free(last)
  assert.throws(() => insert(pool, 3), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => { pool.read(last, new Uint8Array(SIZE), 0) }, { code: 'SPILLWAY_CLOSED' })
  other.close()
})

test('books follow the number of pages', () => {
  const { pool, account, close } = testPool()
  const empty = account.bytes
  const pages = Array.from({ length: 1000 }, (_, i) => pool.insert(pageBytes(i, 10), 0, 10))
  pool.setLimit(0)
  assert.ok(account.bytes - empty >= 1000 * 256)
  for (const page of pages.splice(10)) pool.free(page)
  assert.ok(account.bytes - empty <= 32 * KIB)
  for (const [i, page] of pages.entries()) {
    const target = new Uint8Array(10)
    pool.read(page, target, 0)
    assert.deepEqual(target, pageBytes(i, 10))
  }
  close()
})

test('every lease comes back when the pool is closed with pages in every state', () => {
  const { pool, budget, close } = testPool({ targetRssBytes: 1 * MIB })
  const pages = Array.from({ length: 30 }, (_, i) => insert(pool, i + 1))
  pool.pin(pages[29]!)
  pool.pin(pages[0]!)
  pool.insertBacked(pageBytes(1), 0, SIZE, () => {})
  close()
  assert.equal(budget.usedBytes, 0)
})
