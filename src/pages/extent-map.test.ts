import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { ExtentMap } from './extent-map.ts'

const CHUNK = 1024

function newMap(budgetBytes = 2 ** 20): { map: ExtentMap; budget: Budget } {
  const budget = new Budget(budgetBytes)
  return { map: new ExtentMap(budget.account('pages', 'test')), budget }
}

test('random allocs never overlap, and an empty map has endUnits 0', () => {
  const step = fc.record({ isFree: fc.boolean(), a: fc.nat(10_000) })
  fc.assert(fc.property(fc.array(step, { maxLength: 300 }), steps => {
    const { map, budget } = newMap()
    const live: { first: number; units: number }[] = []
    const used = new Set<number>()
    for (const { isFree, a } of steps) {
      if (isFree && live.length > 0) {
        const [{ first, units }] = live.splice(a % live.length, 1) as [{ first: number; units: number }]
        map.free(first, units)
        for (let i = 0; i < units; i++) used.delete(first + i)
      } else {
        const units = a % 37 === 0 ? 1000 + a % 3000 : 1 + a % 40
        const first = map.alloc(units)
        assert.ok(first >= 0)
        if (units <= CHUNK) assert.equal(Math.floor(first / CHUNK), Math.floor((first + units - 1) / CHUNK))
        for (let i = 0; i < units; i++) {
          assert.ok(!used.has(first + i))
          used.add(first + i)
        }
        live.push({ first, units })
      }
      assert.equal(map.usedUnits, used.size)
      assert.ok(used.size <= map.endUnits)
    }
    for (const { first, units } of live) map.free(first, units)
    assert.deepEqual([map.usedUnits, map.endUnits], [0, 0])
    map.close()
    assert.equal(budget.usedBytes, 0)
  }), { seed: 7, numRuns: 100 })
})

test('alloc takes the lowest range that fits, and freed neighbours merge', () => {
  const { map } = newMap()
  const places = Array.from({ length: 64 }, () => map.alloc(16))
  assert.deepEqual(places, Array.from({ length: 64 }, (_, i) => i * 16))
  map.free(32, 16)
  map.free(64, 16)
  assert.equal(map.alloc(17), CHUNK)
  map.free(48, 16)
  assert.equal(map.alloc(17), 32)
  assert.equal(map.alloc(16), 49)
})

test('endUnits shrinks when the last range is freed', () => {
  const { map } = newMap()
  const first = map.alloc(1000)
  const large = map.alloc(5 * CHUNK + 1)
  assert.deepEqual([first, large, map.endUnits], [0, CHUNK, 7 * CHUNK])
  assert.equal(map.alloc(20), 1000, 'before')
  assert.equal(map.alloc(30), 6 * CHUNK + 1, 'after the large range')
  map.free(large, 5 * CHUNK + 1)
  assert.equal(map.endUnits, 7 * CHUNK)
  map.free(6 * CHUNK + 1, 30)
  assert.equal(map.endUnits, CHUNK)
})

test('alloc returns -1 when the bookkeeping cannot grow, and reuses freed units', () => {
  const { map, budget } = newMap(2112 + 100)
  assert.equal(map.alloc(16 * CHUNK), 0)
  assert.equal(map.alloc(1), -1)
  assert.equal(map.alloc(2000), -1)
  map.free(100, 1)
  assert.equal(map.alloc(1), 100)
  budget.setTotal(2 ** 20)
  assert.equal(map.alloc(1), 16 * CHUNK)
})

test('freeing units that are not in use throws', () => {
  const { map } = newMap()
  const first = map.alloc(10)
  assert.throws(() => { map.free(first, 11) }, /bug in Spillway/)
  map.free(first, 10)
  assert.throws(() => { map.free(first, 10) }, /bug in Spillway/)
})
