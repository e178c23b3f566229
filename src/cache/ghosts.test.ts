import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Ghosts } from './ghosts.ts'

const SEED = 20250616

test('a block that was dropped is found once, and no other name finds it', () => {
  const ghosts = new Ghosts(16)
  ghosts.add(3, 0xfffff000, 4096)
  const others = [[4, 0xfffff000], [3, 0], [3, 0xfffff000 - 2 ** 32], [3, 0xfffff000 + 2 ** 32], [3.5, 0xfffff000], [3, NaN]]
  for (const [table, offset] of others) assert.equal(ghosts.hit(table!, offset!), false, `${table}, ${offset}`)
  assert.equal(ghosts.hit(3, 0xfffff000), true)
  assert.equal(ghosts.hit(3, 0xfffff000), false)
  const { count, bytes, added, hits, hitBytes } = ghosts.stats()
  assert.deepEqual([count, bytes, added, hits, hitBytes], [0, 0, 1, 1, 4096])
})

test('names and sizes that no cached block can have are ignored', () => {
  const ghosts = new Ghosts(16)
  const wrong = [
    [2 ** 31, 0, 1], [1.5, 0, 1], [1, -1, 1], [1, 2 ** 32, 1], [1, 0.5, 1], [1, 0, -1], [1, 0, 2 ** 31], [1, 0, NaN],
  ]
  for (const [table, offset, bytes] of wrong) ghosts.add(table!, offset!, bytes!)
  assert.equal(ghosts.count, 0)
  ghosts.add(-5, 7, 2 ** 31 - 1)
  assert.equal(ghosts.hit(-5, 7), true)
  assert.equal(ghosts.hitBytes, 2 ** 31 - 1)
})

test('the oldest go first, and a block added again is the youngest', () => {
  const ghosts = new Ghosts(16)
  for (let i = 0; i < 16; i++) ghosts.add(1, i, 10)
  ghosts.add(1, 0, 30)
  assert.deepEqual([ghosts.count, ghosts.bytes], [16, 180])
  for (let i = 16; i < 31; i++) ghosts.add(1, i, 10)
  assert.deepEqual([ghosts.count, ghosts.bytes], [16, 180])
  for (let i = 1; i < 16; i++) assert.equal(ghosts.hit(1, i), false, String(i))
  for (const i of [0, ...Array.from({ length: 15 }, (_, n) => n + 16)]) assert.equal(ghosts.hit(1, i), true, String(i))
  assert.equal(ghosts.hitBytes, 180)
})

test('the blocks add up to the limit at most, also after it was lowered, and one larger than it is not kept', () => {
  const ghosts = new Ghosts(64, 100)
  for (let i = 0; i < 10; i++) ghosts.add(1, i, 30)
  assert.deepEqual([ghosts.count, ghosts.bytes], [3, 90])
  ghosts.add(1, 9, 101)
  assert.deepEqual([ghosts.count, ghosts.hit(1, 9)], [2, false])
  ghosts.setLimitBytes(45)
  assert.deepEqual([ghosts.count, ghosts.bytes, ghosts.hit(1, 7), ghosts.hit(1, 8)], [1, 30, false, true])
  ghosts.add(1, 20, 45)
  ghosts.setLimitBytes(0)
  assert.deepEqual([ghosts.count, ghosts.bytes], [0, 0])
  ghosts.setLimitBytes(1000)
  for (let i = 0; i < 10; i++) ghosts.add(2, i, 30)
  assert.equal(ghosts.count, 10)
})

test('the ghosts of a deleted table are gone, others stay', () => {
  const ghosts = new Ghosts(32)
  for (let i = 0; i < 40; i++) ghosts.add(i % 4, i, 10)
  ghosts.dropTable(2)
  ghosts.dropTable(9)
  assert.deepEqual([ghosts.count, ghosts.bytes], [24, 240])
  for (let i = 8; i < 40; i++) assert.equal(ghosts.hit(i % 4, i), i % 4 !== 2, String(i))
  assert.equal(ghosts.hits, 24)
})

test('after a clear nothing is found, and what was counted stays counted', () => {
  const ghosts = new Ghosts(16)
  for (let i = 0; i < 20; i++) ghosts.add(1, i, 10)
  ghosts.hit(1, 19)
  ghosts.clear()
  assert.deepEqual([ghosts.count, ghosts.bytes, ghosts.hit(1, 18), ghosts.hits, ghosts.stats().added], [0, 0, false, 1, 20])
  ghosts.add(1, 18, 10)
  assert.equal(ghosts.hit(1, 18), true)
})

test('the memory is 20 bytes a ghost, told beforehand', () => {
  assert.equal(Ghosts.memoryBytes(1024), 20 * 1024)
  assert.equal(new Ghosts(1024).stats().memoryBytes, 20 * 1024)
  assert.deepEqual([0, 319, 320, 639, 640, 1e6, 1e12, NaN].map(Ghosts.capacityFor), [0, 0, 16, 16, 32, 32768, 2 ** 25, 0])
  for (const capacity of [0, 8, 17, 16.5, 2 ** 26, NaN]) {
    assert.throws(() => new Ghosts(capacity), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
  assert.throws(() => new Ghosts(16, -1), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => new Ghosts(16).setLimitBytes(NaN), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('of a loop a quarter larger than the cache every miss has its ghost, of one twice as large none', () => {
  for (const [blocks, expected] of [[125, true], [200, false]] as const) {
    const ghosts = new Ghosts(64, 40 * 100)
    const cache = new Set<number>()
    let misses = 0
    for (let i = 0; i < 2000; i++) {
      const block = i % blocks
      if (cache.has(block)) continue
      if (i >= 1000) {
        misses++
        assert.equal(ghosts.hit(1, block), expected)
      } else {
        ghosts.hit(1, block)
      }
      cache.add(block)
      if (cache.size <= 100) continue
      const oldest = cache.values().next().value!
      cache.delete(oldest)
      ghosts.add(1, oldest, 100)
    }
    assert.equal(misses, 1000)
  }
})

type Step =
  | { op: 'add'; table: number; offset: number; bytes: number }
  | { op: 'hit'; table: number; offset: number }
  | { op: 'drop'; table: number }
  | { op: 'limit'; bytes: number }
  | { op: 'clear' }

const table = fc.integer({ min: -1, max: 3 })
const offset = fc.integer({ min: 0, max: 25 }).map(n => n * 0x0a000000)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 120, arbitrary: fc.record({ op: fc.constant('add' as const), table, offset, bytes: fc.nat(100) }) },
  { weight: 60, arbitrary: fc.record({ op: fc.constant('hit' as const), table, offset }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('drop' as const), table }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant('limit' as const), bytes: fc.nat(3000) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('clear' as const) }) },
)

test(`whatever is done, the list does what a plain one would (seed ${SEED})`, () => {
  let found = 0
  fc.assert(fc.property(fc.array(step, { minLength: 50, maxLength: 500, size: 'max' }), fc.constantFrom(16, 32, 64), (steps, capacity) => {
    const ghosts = new Ghosts(capacity)
    // The latest `capacity` adds, oldest first; undefined where the ghost is gone.
    let ring: ({ table: number; offset: number; bytes: number } | undefined)[] = []
    let limit = Infinity
    let hitBytes = 0
    const sum = (): number => ring.reduce((total, ghost) => total + (ghost?.bytes ?? 0), 0)
    const take = (table: number, offset: number): number => {
      const at = ring.findIndex(ghost => ghost !== undefined && ghost.table === table && ghost.offset === offset)
      if (at < 0) return -1
      const { bytes } = ring[at]!
      ring[at] = undefined
      return bytes
    }
    const trim = (): void => {
      while (ring.length > capacity || sum() > limit) ring.shift()
    }
    for (const now of steps) {
      if (now.op === 'add') {
        ghosts.add(now.table, now.offset, now.bytes)
        take(now.table, now.offset)
        if (now.bytes <= limit) ring.push(now)
        trim()
      } else if (now.op === 'hit') {
        const bytes = take(now.table, now.offset)
        assert.equal(ghosts.hit(now.table, now.offset), bytes >= 0)
        hitBytes += Math.max(0, bytes)
        if (bytes >= 0) found++
      } else if (now.op === 'drop') {
        ghosts.dropTable(now.table)
        ring = ring.map(ghost => ghost?.table === now.table ? undefined : ghost)
      } else if (now.op === 'limit') {
        ghosts.setLimitBytes(now.bytes)
        limit = now.bytes
        trim()
      } else {
        ghosts.clear()
        ring = []
      }
      assert.equal(ghosts.bytes, sum())
      assert.equal(ghosts.count, ring.filter(ghost => ghost !== undefined).length)
      assert.equal(ghosts.hitBytes, hitBytes)
      assert.ok(ghosts.bytes <= limit)
    }
    for (const ghost of ring) if (ghost !== undefined) assert.ok(ghosts.hit(ghost.table, ghost.offset))
    assert.deepEqual([ghosts.count, ghosts.bytes], [0, 0])
  }), { seed: SEED, numRuns: 200 })
  assert.ok(found > 1000, `only ${found} found`)
})

test('a long life of a large list keeps every ghost findable', () => {
  const capacity = 1 << 12
  const ghosts = new Ghosts(capacity)
  let state = SEED
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0)
  /** When each was last added. */
  const latest = new Map<number, number>()
  let added = 0
  for (let i = 0; i < 200_000; i++) {
    const offset = next() % 8000
    if (next() % 3 === 0) {
      const known = latest.get(offset)
      assert.equal(ghosts.hit(7, offset), known !== undefined && added - known <= capacity)
      latest.delete(offset)
    } else {
      ghosts.add(7, offset, 1)
      latest.set(offset, added++)
    }
  }
})
