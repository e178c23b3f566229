/** Eager backing. For jobs see `spill-jobs.test.ts`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { insert, isRight, testPool } from './testing/pools.ts'

test('eager backing is off by default; on, it makes evictions free, keeps read marks and has its own counter', () => {
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
