import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { BLOCK_BYTES, CompressedTier, NO_BLOCK, SLAB_LEASE_BYTES } from './compressed-tier.ts'
import { noise } from './testing/pools.ts'

test('random chains keep their bytes; slabs are leased and released with their last block', () => {
  const step = fc.record({ isFree: fc.boolean(), a: fc.nat(100_000) })
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
    const budget = new Budget(2 ** 24)
    const account = budget.account('tier', 'test')
    const tier = new CompressedTier(account, true)
    const live: { first: number; bytes: Uint8Array }[] = []
    let seed = 1
    for (const { isFree, a } of steps) {
      if (isFree && live.length > 0) {
        const [{ first }] = live.splice(a % live.length, 1) as [{ first: number; bytes: Uint8Array }]
        tier.free(first)
      } else {
        const bytes = noise(seed++, 1 + a)
        const growth = tier.growthFor(bytes.length + 20_000)
        const before = tier.bytes
        const first = tier.alloc(bytes.length + 20_000)
        assert.equal(tier.bytes - before, growth)
        const half = a >> 1
        // The second half first: puts may come in any order.
        tier.put(first, bytes, half, bytes.length, half)
        tier.put(first, bytes, 0, half, 0)
        tier.trim(first, bytes.length)
        live.push({ first, bytes })
      }
      assert.equal(account.bytes, tier.bytes)
      assert.equal(tier.measure(), tier.bytes)
      for (const { first, bytes } of live) {
        const target = new Uint8Array(bytes.length + 2)
        const from = a % bytes.length
        tier.get(first, target, 1, bytes.length - from, from)
        assert.equal(Buffer.compare(target.subarray(1, 1 + bytes.length - from), bytes.subarray(from)), 0)
      }
    }
    const blocks = live.reduce((sum, { bytes }) => sum + Math.ceil(bytes.length / BLOCK_BYTES), 0)
    assert.equal(tier.growthFor(2 ** 24) > 0, true)
    assert.ok(tier.bytes >= blocks * BLOCK_BYTES)
    for (const { first } of live) tier.free(first)
    assert.deepEqual([tier.bytes, budget.usedBytes], [0, 0])
  }), { seed: 11, numRuns: 60 })
})

test('alloc on an account without memory returns no chain and leaves no partial one', () => {
  const budget = new Budget(2 * SLAB_LEASE_BYTES + 10)
  const tier = new CompressedTier(budget.account('tier', 'test'), false)
  assert.equal(tier.alloc(3 * 256 * 1024), NO_BLOCK)
  assert.equal(tier.bytes, 0)
  const first = tier.alloc(300_000)
  assert.notEqual(first, NO_BLOCK)
  tier.close()
  assert.equal(budget.usedBytes, 0)
})

test('at most 8 and a sixteenth of the slabs are kept empty, and releaseSpares releases them', () => {
  const budget = new Budget(2 ** 27)
  const tier = new CompressedTier(budget.account('tier', 'test'), false)
  const chains = Array.from({ length: 64 }, () => tier.alloc(256 * 1024))
  assert.equal(tier.bytes, 64 * SLAB_LEASE_BYTES)
  for (const first of chains.splice(32)) tier.free(first)
  assert.ok(tier.bytes <= 36 * SLAB_LEASE_BYTES && tier.bytes > 32 * SLAB_LEASE_BYTES)
  tier.releaseSpares(1)
  tier.releaseSpares(Infinity)
  assert.equal(tier.bytes, 32 * SLAB_LEASE_BYTES)
  for (const first of chains) tier.free(first)
  assert.equal(budget.usedBytes, 0)
})
