/** Full disks, failing disks, and corrupt bytes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import type { Page } from './page.ts'
import { KIB, MIB, SCRATCH_PATH, noise, pageBytes, testPool } from './testing/pools.ts'
import type { TestPool } from './testing/pools.ts'

const SIZE = 64 * KIB

function insert({ pool }: TestPool, from: number, count: number): Page[] {
  return Array.from({ length: count }, (_, i) => pool.insert(noise(from + i), 0, SIZE))
}

function assertRight({ pool }: TestPool, pages: Page[], from = 1): void {
  const target = new Uint8Array(SIZE)
  for (let i = 0; i < pages.length; i++) {
    pool.read(pages[i]!, target, 0)
    assert.equal(Buffer.compare(target, noise(from + i)), 0, `page ${i}`)
  }
}

test('disk full: pages in memory stay readable, insert throws NO_SPACE once memory is full, and freed disk space resumes it', () => {
  const made = testPool()
  const { pool, host } = made
  const pages = insert(made, 1, 6)
  host.disk.faults.capacityBytes = host.disk.usedBytes + 30 * KIB
  const { scratchBytes } = pool.stats()
  assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  assert.equal(pool.stats().scratchBytes, scratchBytes, 'units of the failed write are free again')
  assert.equal(pool.isSpillBlocked, true)
  assertRight(made, pages)
  assert.deepEqual([pool.stats().pages, pool.stats().residentPages, pool.stats().inserts], [6, 4, 6])

  pool.maintain()
  assert.equal(pool.isSpillBlocked, true)
  host.disk.faults.capacityBytes = Infinity
  pool.maintain()
  assert.equal(pool.isSpillBlocked, false)
  pages.push(...insert(made, 7, 3))
  assertRight(made, pages)
  made.close()
})

test('disk full: inserts go on while memory lasts, and isSpillBlocked is true', () => {
  const made = testPool()
  const { pool, host } = made
  const pages = insert(made, 1, 5)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  pool.setLimit(6 * SIZE)
  assert.equal(pool.isSpillBlocked, true)
  pages.push(...insert(made, 6, 2))
  assertRight(made, pages)
  made.close()
})

test('disk full: 1000 failing inserts probe a few times only', () => {
  const made = testPool()
  const { pool, host } = made
  insert(made, 1, 5)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  const before = host.disk.faults.operations
  for (let i = 0; i < 1000; i++) assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  assert.ok(host.disk.faults.operations - before < 30, `${host.disk.faults.operations - before} operations on a full disk`)
  assert.equal(pool.stats().pages, 5)
  made.close()
})

test('disk full: units freed in the scratch file are reused at once', () => {
  const made = testPool()
  const { pool, host } = made
  const pages = insert(made, 1, 7)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  pool.free(pages.shift()!)
  pages.push(...insert(made, 8, 1))
  assert.equal(pool.isSpillBlocked, false)
  assertRight(made, pages, 2)
  assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  made.close()
})

test('disk full: a lower limit evicts backed pages, keeps the rest, and evicts those when there is space', () => {
  const made = testPool()
  const { pool, host } = made
  const pages = insert(made, 1, 5)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  pool.setLimit(SIZE)
  assert.equal(pool.stats().residentPages, 4)
  assertRight(made, pages)
  host.disk.faults.clear()
  pool.maintain()
  assert.equal(pool.stats().residentBytes, SIZE)
  assertRight(made, pages)
  made.close()
})

test('disk full: without unbacked pages a test extent finds free space and is freed again', () => {
  const made = testPool({ limitBytes: 0 })
  const { pool, host } = made
  const pages = insert(made, 1, 3)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_NO_SPACE' })
  const { scratchBytes } = pool.stats()
  for (let i = 0; i < 3; i++) {
    pool.maintain()
    assert.equal(pool.isSpillBlocked, true)
  }
  host.disk.faults.clear()
  pool.maintain()
  assert.deepEqual([pool.isSpillBlocked, pool.stats().scratchBytes], [false, scratchBytes])
  assertRight(made, pages)
  made.close()
})

test('disk full: the tier keeps its extents within the RSS target', () => {
  const made = testPool({ targetRssBytes: 1 * MIB })
  const { pool, host } = made
  const pages = insert(made, 1, 20)
  host.disk.faults.capacityBytes = host.disk.usedBytes
  assert.throws(() => { for (let i = 0; i < 30; i++) pages.push(...insert(made, pages.length + 1, 1)) }, { code: 'SPILLWAY_NO_SPACE' })
  assert.ok(pool.rssBytes <= 1 * MIB)
  assertRight(made, pages)
  host.disk.faults.clear()
  pool.maintain()
  for (let i = 0; i < 10; i++) pages.push(...insert(made, pages.length + 1, 1))
  assertRight(made, pages)
  made.close()
})

test('an I/O error on a write stops spilling and shows in stats; reads continue', () => {
  const made = testPool()
  const { pool, host } = made
  const pages = insert(made, 1, 6)
  host.disk.faults.failAt(host.disk.faults.operations + 1)
  assert.throws(() => insert(made, 100, 1), (error: Error & { code: string }) =>
    error.code === 'SPILLWAY_UNAVAILABLE' && /EIO/.test(error.message))
  assert.match(pool.stats().spillError ?? '', /EIO/)
  assert.equal(pool.isSpillBlocked, true)
  assertRight(made, pages)
  const operations = host.disk.faults.operations
  for (let i = 0; i < 10; i++) {
    assert.throws(() => insert(made, 100, 1), { code: 'SPILLWAY_UNAVAILABLE' })
    pool.maintain()
  }
  assert.equal(host.disk.faults.operations, operations, 'no further writes')
  pool.free(pages.pop()!)
  pages.push(...insert(made, 6, 1))
  assertRight(made, pages)
  made.close()
})

test('an I/O error on a read is a typed error, and a retry succeeds', () => {
  const made = testPool()
  const { host, pool } = made
  const pages = insert(made, 1, 6)
  host.disk.faults.failReads(SCRATCH_PATH)
  assert.throws(() => { pool.read(pages[0]!, new Uint8Array(SIZE), 0) }, { code: 'SPILLWAY_UNAVAILABLE' })
  pool.setLimit(8 * SIZE)
  assert.throws(() => pool.admit(pages[0]!), { code: 'SPILLWAY_UNAVAILABLE' })
  assert.throws(() => pool.pin(pages[0]!), { code: 'SPILLWAY_UNAVAILABLE' })
  assert.deepEqual([pool.stats().residentPages, pool.stats().pinnedPages], [4, 0])
  host.disk.faults.clear()
  assertRight(made, pages)
  made.close()
})

test('every page is intact after any disk operation fails', () => {
  for (const code of ['EIO', 'ENOSPC']) {
    for (let fault = 1; fault <= 24; fault++) {
      const made = testPool({ targetRssBytes: fault % 2 === 0 ? 640 * KIB : 0, limitBytes: 2 * SIZE })
      made.host.disk.faults.failAt(made.host.disk.faults.operations + fault, code)
      const pages: Page[] = []
      const right = new Map<Page, number>()
      for (let i = 1; i <= 20; i++) {
        try {
          const page = made.pool.insert(i % 4 === 0 ? pageBytes(i, 150_000) : noise(i), 0, i % 4 === 0 ? 150_000 : SIZE)
          pages.push(page)
          right.set(page, i)
        } catch (error) {
          assert.match((error as { code: string }).code, /NO_SPACE|UNAVAILABLE/)
        }
        if (i % 6 === 0) {
          right.delete(pages[0]!)
          made.pool.free(pages.shift()!)
        }
        made.pool.maintain()
      }
      made.host.disk.faults.clear()
      for (const [page, i] of right) {
        const target = new Uint8Array(page.length)
        made.pool.read(page, target, 0)
        assert.equal(Buffer.compare(target, i % 4 === 0 ? pageBytes(i, 150_000) : noise(i)), 0, `fault ${fault}, page ${i}`)
      }
      made.close()
      assert.equal(made.budget.usedBytes, 0)
    }
  }
})

test('corrupt spilled bytes are a typed error, never wrong data: every flipped bit of an extent', () => {
  const made = testPool({ limitBytes: 0 })
  const { pool, host } = made
  const bytes = pageBytes(3, 70_000)
  const page = pool.insert(bytes, 0, bytes.length)
  const target = new Uint8Array(bytes.length)
  let found = 0
  for (let offset = 0; offset < page.extentBytes; offset += offset < 60 ? 1 : 97) {
    host.disk.corrupt(SCRATCH_PATH, page.extentAt + offset, 1 << (offset % 8))
    assert.throws(() => { pool.read(page, target, 0) }, (error: Error & { code: string }) =>
      error.name === 'CorruptionError' && error.code === 'SPILLWAY_CORRUPTION' && error.message.includes(SCRATCH_PATH))
    found++
    host.disk.corrupt(SCRATCH_PATH, page.extentAt + offset, 1 << (offset % 8))
  }
  assert.ok(found > 200)
  pool.read(page, target, 0)
  assert.deepEqual(target, bytes)
  host.disk.corrupt(SCRATCH_PATH, page.extentAt + 100, 1)
  pool.setLimit(8 * SIZE)
  assert.throws(() => pool.admit(page), { code: 'SPILLWAY_CORRUPTION' })
  assert.throws(() => pool.pin(page), { code: 'SPILLWAY_CORRUPTION' })
  assert.equal(pool.stats().residentBytes, 0)
  pool.free(page)
  made.close()
})

test('an intact range is readable although another piece of the extent is damaged', () => {
  const made = testPool({ limitBytes: 0 })
  const bytes = pageBytes(3, 4 * SIZE)
  const page = made.pool.insert(bytes, 0, bytes.length)
  made.host.disk.corrupt(SCRATCH_PATH, page.extentAt + page.extentBytes - 10, 1)
  const target = new Uint8Array(100)
  made.pool.read(page, target, 0, 1000, 1100)
  assert.deepEqual(target, bytes.slice(1000, 1100))
  assert.throws(() => { made.pool.read(page, target, 0, 4 * SIZE - 100, 4 * SIZE) }, { code: 'SPILLWAY_CORRUPTION' })
  made.close()
})

test('checksums detect swapped extents, lost writes and a truncated file', () => {
  const made = testPool({ limitBytes: 0 })
  const { pool, host } = made
  const [a, b] = insert(made, 1, 2) as [Page, Page]
  const file: HostFile = host.files.openWrite(SCRATCH_PATH)
  const first = new Uint8Array(a.extentBytes)
  const second = new Uint8Array(b.extentBytes)
  file.readSync(first, 0, first.length, a.extentAt)
  file.readSync(second, 0, second.length, b.extentAt)
  file.writeSync(second, 0, second.length, a.extentAt)
  file.writeSync(first, 0, first.length, b.extentAt)
  const target = new Uint8Array(SIZE)
  for (const page of [a, b]) assert.throws(() => { pool.read(page, target, 0) }, { code: 'SPILLWAY_CORRUPTION' })

  file.writeSync(first, 0, first.length, a.extentAt)
  pool.read(a, target, 0)
  const { extentAt } = a
  pool.free(a)
  const [later] = insert(made, 3, 1) as [Page]
  assert.equal(later.extentAt, extentAt, 'the position is reused')
  file.writeSync(first, 0, first.length, extentAt)
  assert.throws(() => { pool.read(later, target, 0) }, { code: 'SPILLWAY_CORRUPTION' }, 'an earlier extent at this position')

  file.truncate(b.extentAt + 100)
  assert.throws(() => { pool.read(b, target, 0) }, { code: 'SPILLWAY_CORRUPTION' })
  made.close()
})

test('kernels with small regions give the same pages', () => {
  const made = testPool({ kernels: new Kernels(4096), limitBytes: 0 })
  for (const length of [1, 4095, 4096, 4097, 200_000]) {
    for (const bytes of [pageBytes(1, length), noise(2, length)]) {
      const page = made.pool.insert(bytes, 0, length)
      const target = new Uint8Array(length)
      made.pool.read(page, target, 0)
      assert.deepEqual(target, bytes)
    }
  }
  const tooLong = 5 * MIB
  assert.throws(() => made.pool.insert(new Uint8Array(tooLong), 0, tooLong), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => testPool({ kernels: new Kernels(2048) }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  made.close()
})
