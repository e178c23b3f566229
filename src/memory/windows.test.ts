import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from './budget.ts'
import { WindowPool, windowBytes } from './windows.ts'

const SEED = 20250301

test('sizes are powers of two from 8 KiB', () => {
  assert.deepEqual([0, 1, 8192, 8193, 20_000, 330_000].map(windowBytes), [8192, 8192, 8192, 16384, 32768, 524288])
})

test('a window given back is used again and stays leased', () => {
  const account = new Budget('1 MiB').account('windows', 'test')
  const pool = new WindowPool(account, 64 * 1024)
  const window = pool.take(9000)
  assert.equal(window.length, 16384)
  pool.give(window)
  assert.equal(account.bytes, 16384)
  assert.equal(pool.take(16384), window)
})

test('free windows beyond keepBytes are let go', () => {
  const account = new Budget('1 MiB').account('windows', 'test')
  const pool = new WindowPool(account, 10_000)
  const windows = [pool.take(1), pool.take(1)]
  for (const window of windows) pool.give(window)
  assert.equal(pool.freeBytes, 8192)
  assert.equal(account.bytes, 8192)
})

test('a take without room throws BUDGET_TOO_SMALL and changes nothing', () => {
  const account = new Budget('32 KiB').account('windows', 'test')
  const pool = new WindowPool(account, 0)
  pool.take(20_000)
  assert.throws(() => pool.take(1), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.equal(account.bytes, 32768)
  assert.equal(pool.outCount, 1)
})

test('a take uses the room of free windows of other sizes', () => {
  const account = new Budget('32 KiB').account('windows', 'test')
  const pool = new WindowPool(account, 1 << 20)
  const small = [pool.take(1), pool.take(1), pool.take(1)]
  for (const window of small) pool.give(window)
  assert.equal(account.bytes, 3 * 8192)
  assert.equal(pool.take(32768).length, 32768)
  assert.equal(account.bytes, 32768)
})

test('a window given back twice, or to another pool, is refused', () => {
  const account = new Budget('1 MiB').account('windows', 'test')
  const pool = new WindowPool(account, 1 << 20)
  const window = pool.take(1)
  assert.throws(() => new WindowPool(account, 0).give(window), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  pool.give(window)
  assert.throws(() => pool.give(window), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('a mapped window has no bytes once it was let go, and is used again', () => {
  const account = new Budget('1 MiB').account('windows', 'test')
  const pool = new WindowPool(account, 8192, 8192, true)
  const [reserved, kept, beyond] = [pool.take(1), pool.take(1), pool.take(1)] as const
  for (const window of [reserved, kept, beyond]) {
    window.fill(1)
    pool.give(window)
  }
  // Of the reserve none is kept, of the others as much as `keepBytes`.
  assert.deepEqual([reserved, kept, beyond].map(window => window.length), [0, 8192, 0])
  assert.equal(pool.releaseFree(1), 8192)
  assert.equal(kept.length, 0)
  const again = [pool.take(1), pool.take(1), pool.take(1), pool.take(1)]
  assert.deepEqual(again.map(window => window.length), [8192, 8192, 8192, 8192])
  assert.ok([reserved, kept, beyond].every(window => again.includes(window)))
  for (const window of again) pool.give(window)
  pool.close()
  assert.equal(account.bytes, 0)
  assert.ok(again.every(window => window.length === 0))
})

test(`the account holds what is out and free at every step, and nothing at the end (seed ${SEED})`, () => {
  const step = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: 100_000 }) }),
    fc.record({ give: fc.nat(20) }),
    fc.record({ release: fc.integer({ min: 1, max: 100_000 }) }),
  )
  fc.assert(fc.property(fc.array(step, { maxLength: 60 }), fc.nat(200_000), (steps, keepBytes) => {
    const budget = new Budget('512 KiB')
    const account = budget.account('windows', 'test')
    const pool = new WindowPool(account, keepBytes)
    const out: Uint8Array<ArrayBuffer>[] = []
    for (const action of steps) {
      if ('take' in action) {
        try {
          out.push(pool.take(action.take))
        } catch (error) {
          assert.equal((error as { code: string }).code, 'SPILLWAY_BUDGET_TOO_SMALL')
          assert.equal(pool.freeBytes, 0)
        }
      } else if ('give' in action) {
        const window = out.splice(action.give % Math.max(1, out.length), 1)[0]
        if (window) pool.give(window)
      } else {
        const before = account.bytes
        assert.equal(pool.releaseFree(action.release), before - account.bytes)
      }
      assert.equal(account.bytes, out.reduce((sum, window) => sum + window.length, pool.freeBytes))
      assert.ok(pool.freeBytes <= keepBytes)
      assert.equal(new Set(out).size, out.length)
    }
    pool.close()
    for (const window of out) pool.give(window)
    assert.equal(account.bytes, 0)
  }), { seed: SEED, numRuns: 300 })
})
