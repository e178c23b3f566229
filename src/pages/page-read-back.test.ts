/** Reads of evicted pages, and pins without memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MIB, SCRATCH_PATH, SIZE, insert, isEvicted, isRight, kernels, pageBytes, testPool } from './testing/pools.ts'

test('a page with reload is never stored: evicting it is free, and reads reload it even with a damaged scratch file', () => {
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

test('insertBacked without memory starts evicted, from kernel memory without compressing others', () => {
  const { pool, close } = testPool()
  for (const seed of [1, 2, 3, 4]) insert(pool, seed)
  kernels.memory.set(pageBytes(9), kernels.a)
  const page = pool.insertBacked(kernels.memory, kernels.a, kernels.a + SIZE, (target, at) => { target.set(pageBytes(9), at) })
  assert.deepEqual([pool.stats().bornEvicted, pool.stats().evictionsCompressing], [1, 0])
  assert.ok(isRight(pool, page, 9))
  assert.throws(() => pool.insert(kernels.memory, kernels.a, kernels.a + 10), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  close()
})

test('part of a page with reload is readable with no free budget', () => {
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

test('a pin without memory is a leased copy, or a typed error', () => {
  const { pool, budget, account, close } = testPool({ limitBytes: 0 })
  const page = insert(pool, 1)
  const before = account.bytes
  const view = pool.pin(page)
  assert.equal(Buffer.compare(view, pageBytes(1)), 0)
  assert.equal(pool.pin(page).buffer, view.buffer, 'pins share one copy')
  assert.deepEqual([pool.stats().bounceBytes, pool.stats().residentBytes, account.bytes - before], [SIZE, 0, SIZE])
  pool.unpin(page)
  pool.unpin(page)
  assert.deepEqual([pool.stats().bounceBytes, account.bytes], [0, before])
  const rest = budget.account('others', 'test').lease(budget.freeBytes)
  assert.throws(() => pool.pin(page), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.ok(isRight(pool, page, 1), 'reading needs no memory')
  rest.release()
  close()
})

test('a read of an evicted page does not admit it', () => {
  const { pool, close } = testPool()
  const pages = [1, 2, 3, 4, 5].map(seed => insert(pool, seed))
  pool.free(pages[4]!)
  for (let i = 0; i < 3; i++) assert.ok(isRight(pool, pages[0]!, 1))
  const { readFaults, residentPages, admissionsBudget } = pool.stats()
  assert.deepEqual([readFaults, residentPages, admissionsBudget], [3, 3, 0])
  close()
})
