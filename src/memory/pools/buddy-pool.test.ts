import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../budget.ts'
import { BuddyPool } from './buddy-pool.ts'
import { blockPoolContract } from './testing/block-pool-contract.ts'

blockPoolContract('buddy pool', options => new BuddyPool({ ...options, chunkBytes: 256 * 1024 }), 256 * 1024)

test('freed halves are merged, so that a chunk full of small blocks serves a large one again', () => {
  const budget = new Budget('1.5 MiB')
  const pool = new BuddyPool({ budget })
  const small: number[] = []
  for (let block; (block = pool.alloc(512)) !== undefined;) small.push(block)
  assert.equal(small.length, 2048)
  assert.equal(pool.alloc(1024 * 1024), undefined)
  for (let i = 0; i < small.length; i += 2) pool.free(small[i]!)
  assert.equal(pool.alloc(1024), undefined, 'no two free neighbours yet')
  for (let i = 1; i < small.length; i += 2) pool.free(small[i]!)
  const large = pool.alloc(1024 * 1024)!
  assert.equal(pool.view(large).length, 1024 * 1024)
  pool.close()
  assert.equal(budget.usedBytes, 0)
})

test('bookkeeping stays near 1 %', () => {
  const pool = new BuddyPool({ budget: '8 MiB' })
  pool.alloc(1)
  const { metadataBytes, reservedBytes } = pool.stats()
  assert.ok(metadataBytes / reservedBytes < 0.012, String(metadataBytes / reservedBytes))
  pool.close()
})
