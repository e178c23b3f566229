import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../budget.ts'
import { SlabPool } from './slab-pool.ts'
import { blockPoolContract } from './testing/block-pool-contract.ts'

blockPoolContract('slab pool', options => new SlabPool(options), 4096)

test('a slab holds as many blocks as fit, not a fixed number of any size', () => {
  const budget = new Budget('16 MiB')
  const pool = new SlabPool({ budget })
  pool.alloc(4096)
  assert.ok(budget.usedBytes < 70 * 1024, String(budget.usedBytes))
  pool.close()
})

test('internal fragmentation of mixed sizes is below 5 %, bookkeeping of blocks of a kilobyte below 1 %', () => {
  const pool = new SlabPool({ budget: '64 MiB' })
  for (let i = 0; i < 20_000; i++) pool.alloc(64 + (i * 7919) % 2000)
  const { internalFragmentation, metadataBytes, reservedBytes } = pool.stats()
  assert.ok(internalFragmentation < 0.05, String(internalFragmentation))
  assert.ok(metadataBytes / reservedBytes < 0.01, String(metadataBytes / reservedBytes))
  pool.close()
})

test('a number of an earlier slab is not valid in the slab that took its place', () => {
  const pool = new SlabPool({ budget: '1 MiB' })
  const old = pool.alloc(100)!
  pool.free(old)
  pool.free(pool.alloc(100)!)
  pool.defragment()
  for (let i = 0; i < 3; i++) {
    const block = pool.alloc(100)!
    assert.throws(() => pool.view(old), { code: 'SPILLWAY_INVALID_ARGUMENT' })
    pool.free(block)
  }
  pool.close()
})

test('a block is freed at the end of its scope', () => {
  const pool = new SlabPool({ budget: '1 MiB' })
  {
    using block = pool.take(10)
    block.bytes.fill(3)
    assert.equal(pool.stats().blocks, 1)
  }
  assert.equal(pool.stats().blocks, 0)
  const gone = pool.take(10)
  gone[Symbol.dispose]()
  gone[Symbol.dispose]()
  assert.throws(() => gone.bytes, { code: 'SPILLWAY_INVALID_ARGUMENT', message: /was given back/ })
  pool.close()
  assert.throws(() => new SlabPool({ budget: '1 MiB', capacity: 100 }).take(10), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
})

test('slabs of a size that is none are refused', () => {
  for (const slabBytes of [1000, 4097, 2 ** 21, NaN]) {
    assert.throws(() => new SlabPool({ budget: '1 MiB', slabBytes }), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /power of two/ })
  }
})
