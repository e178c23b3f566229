/** Promises of the page pool as a whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KIB, MIB, SCRATCH_PATH, SIZE, insert, isRight, noise, pageBytes, testPool } from './testing/pools.ts'

test('pages in memory are uncompressed; only eviction compresses', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4].map(seed => insert(pool, seed))
  const { evictionsCompressing, extentsWritten, residentBytes } = pool.stats()
  assert.deepEqual([evictionsCompressing, extentsWritten, residentBytes], [0, 0, 4 * SIZE])
  const plain = pool.pin(pages[0]!)
  assert.equal(Buffer.compare(plain, pageBytes(1)), 0, 'unchanged in memory')
  pool.unpin(pages[0]!)
  insert(pool, 5)
  assert.equal(pool.stats().evictionsCompressing, 1)
  close()
})

test('a page is in memory or compressed on disk, never both', () => {
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

test('incompressible pages are stored uncompressed, in their own length', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => pool.insert(noise(seed), 0, SIZE))
  assert.ok(pool.stats().extentBytesWritten <= SIZE + 64)
  const target = new Uint8Array(SIZE)
  pool.read(pages[0]!, target, 0)
  assert.deepEqual(target, noise(1))
  close()
})

test('asIs pages go to the file uncompressed, not to the tier', () => {
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
  assert.deepEqual(host.files.list('/scratch'), [], 'no file was created')
  close()
})

test('freeing a stored page does not count as elided', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => insert(pool, seed))
  for (const page of pages) pool.free(page)
  assert.equal(pool.stats().writesElided, 4)
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

test('misuse throws: pages of another pool, freed pages, empty pages, a closed pool', () => {
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

test('bookkeeping follows the number of pages', () => {
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

test('close releases every lease with pages in every state', () => {
  const { pool, budget, close } = testPool({ targetRssBytes: 1 * MIB })
  const pages = Array.from({ length: 30 }, (_, i) => insert(pool, i + 1))
  pool.pin(pages[29]!)
  pool.pin(pages[0]!)
  pool.insertBacked(pageBytes(1), 0, SIZE, () => {})
  close()
  assert.equal(budget.usedBytes, 0)
})
