/** What every pool of blocks must do, as tests. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../../host/sim/random.ts'
import { Budget } from '../../budget.ts'
import type { PoolOptions } from '../pool-options.ts'
import type { PoolStats } from '../pool-stats.ts'

interface BlockPool {
  alloc(bytes: number): number | undefined
  free(block: number): void
  view(block: number): Uint8Array
  reset(): void
  defragment(): number
  stats(): PoolStats
  close(): void
}

const INVALID = { code: 'SPILLWAY_INVALID_ARGUMENT' }

export function blockPoolContract(name: string, make: (options: PoolOptions) => BlockPool, maxBytes: number): void {
  test(`${name}: blocks in use never overlap, and hold what was written, through random allocations and frees`, () => {
    const budget = new Budget('4 MiB')
    const pool = make({ budget })
    const random = new Random(7)
    const live = new Map<number, { bytes: number, fill: number }>()
    for (let step = 0; step < 20_000; step++) {
      if (live.size > 0 && (random.below(5) < 2 || live.size > 400)) {
        const [block, { bytes, fill }] = [...live][random.below(live.size)]!
        const view = pool.view(block)
        assert.equal(view.length, bytes)
        assert.ok(view.every(byte => byte === fill), `step ${step}`)
        pool.free(block)
        live.delete(block)
      } else {
        const bytes = 1 + random.below(Math.min(maxBytes, 3000))
        const block = pool.alloc(bytes)
        if (block === undefined) continue
        const fill = random.below(256)
        pool.view(block).fill(fill)
        live.set(block, { bytes, fill })
      }
      if (step % 1000 !== 0) continue
      const { reservedBytes, usedBytes, allocatedBytes, metadataBytes, blocks } = pool.stats()
      assert.equal(budget.usedBytes, reservedBytes)
      assert.equal(usedBytes, [...live.values()].reduce((sum, { bytes }) => sum + bytes, 0))
      assert.ok(usedBytes <= allocatedBytes && allocatedBytes + metadataBytes <= reservedBytes)
      assert.equal(blocks, live.size)
    }
    pool.close()
    assert.equal(budget.usedBytes, 0)
  })

  test(`${name}: capacity is bytes really reserved, bookkeeping included`, () => {
    const budget = new Budget('64 MiB')
    const pool = make({ budget, capacity: '3 MiB' })
    while (pool.alloc(100) !== undefined);
    assert.ok(budget.usedBytes > 1024 * 1024 && budget.usedBytes <= 3 * 1024 * 1024, String(budget.usedBytes))
    assert.equal(pool.stats().reservedBytes, budget.usedBytes)
    assert.equal(pool.stats().denied, 1)
    pool.close()
  })

  test(`${name}: a block freed twice, used after it was freed, or after a reset is refused, and nothing is lost`, () => {
    const pool = make({ budget: '4 MiB' })
    const [first, second] = [pool.alloc(50)!, pool.alloc(60)!]
    pool.free(first)
    assert.throws(() => pool.free(first), INVALID)
    assert.throws(() => pool.view(first), { ...INVALID, message: /cannot be read: it was freed before/ })
    const again = pool.alloc(50)!
    assert.throws(() => pool.view(first), INVALID, 'its place is used by another block')
    pool.view(again)
    pool.reset()
    for (const block of [again, second]) assert.throws(() => pool.view(block), INVALID)
    assert.deepEqual([pool.stats().blocks, pool.stats().usedBytes, pool.stats().frees], [0, 0, 3])
    pool.close()
  })

  test(`${name}: a block given to another pool is refused`, () => {
    const [one, other] = [make({ budget: '4 MiB' }), make({ budget: '4 MiB' })]
    const block = one.alloc(10)!
    other.alloc(10)
    assert.throws(() => other.free(block), { ...INVALID, message: /belongs to pool/ })
    for (const wrong of [NaN, -1, 1.5, Infinity, '1' as unknown as number]) assert.throws(() => one.free(wrong), INVALID)
    one.free(block)
    one.close()
    other.close()
  })

  test(`${name}: sizes that are no sizes are refused`, () => {
    const pool = make({ budget: '4 MiB' })
    for (const bytes of [0, -1, 1.5, NaN, Infinity, maxBytes + 1]) assert.throws(() => pool.alloc(bytes), INVALID)
    pool.alloc(maxBytes)
    pool.close()
    assert.throws(() => make({ budget: 'much' }), INVALID)
    assert.throws(() => make({} as PoolOptions), { ...INVALID, message: /needs a budget/ })
  })

  test(`${name}: fragmentation, efficiency and hit rate say what is lost, and defragmentation gives pages back`, () => {
    const budget = new Budget('16 MiB')
    const pool = make({ budget })
    const blocks = Array.from({ length: 2000 }, () => pool.alloc(100)!)
    const full = pool.stats()
    assert.ok(full.efficiency > 0 && full.efficiency <= 1)
    assert.ok(full.internalFragmentation > 0 && full.hitRate > 0.9)
    for (const block of blocks.slice(0, 1900)) pool.free(block)
    const sparse = pool.stats()
    assert.equal(sparse.reservedBytes, full.reservedBytes)
    assert.ok(sparse.efficiency < full.efficiency / 10, 'free memory lowers efficiency')
    assert.ok(sparse.externalFragmentation > 0.9)
    for (const block of blocks.slice(1900)) pool.free(block)
    assert.equal(pool.defragment(), full.reservedBytes)
    assert.deepEqual([budget.usedBytes, pool.stats().externalFragmentation, pool.stats().efficiency], [0, 0, 1])
    pool.view(pool.alloc(100)!).fill(1)
    pool.close()
  })

  test(`${name}: a denied lease denies the block and leaks nothing`, () => {
    const budget = new Budget('4 MiB')
    const pool = make({ budget })
    budget.denies = () => true
    assert.equal(pool.alloc(10), undefined)
    assert.equal(budget.usedBytes, 0)
    budget.denies = undefined
    pool.free(pool.alloc(10)!)
    pool.close()
    assert.equal(budget.usedBytes, 0)
  })

  test(`${name}: the time of an allocation is measured, less the clock's own`, () => {
    let nowMs = 0
    const pool = make({ budget: '4 MiB', nowMs: () => nowMs += 2 ** -10 })
    pool.alloc(10)
    assert.equal(pool.stats().allocationNs, 0)
    pool.close()
  })
}
