import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../budget.ts'
import { ObjectPool } from './object-pool.ts'

const INVALID = { code: 'SPILLWAY_INVALID_ARGUMENT' }

test('objects are used again, after they were reset', () => {
  let made = 0
  using pool = new ObjectPool({ budget: '1 MiB', create: () => ({ id: ++made, items: [] as number[] }), reset: object => { object.items.length = 0 } })
  const first = pool.acquire()!
  first.items.push(1)
  pool.release(first)
  const again = pool.acquire()!
  assert.equal(again, first)
  assert.deepEqual(again, { id: 1, items: [] })
  assert.notEqual(pool.acquire(), first)
  assert.equal(made, 2)
  assert.equal(pool.stats().hitRate, 1 / 3)
})

test('an object released twice, or never handed out by this pool, is refused', () => {
  using pool = new ObjectPool({ budget: '1 MiB', create: () => ({}) })
  using other = new ObjectPool({ budget: '1 MiB', create: () => ({}) })
  const object = pool.acquire()!
  assert.throws(() => other.release(object), INVALID)
  pool.release(object)
  assert.throws(() => pool.release(object), { ...INVALID, message: /released before/ })
  assert.equal(pool.stats().frees, 1)
})

test('objects count with their estimated size; capacity and budget bound them, idle ones are given back', () => {
  const budget = new Budget(10_000)
  const pool = new ObjectPool({ budget, create: () => ({}), objectBytes: 1000 })
  const objects = Array.from({ length: 20 }, () => pool.acquire())
  assert.equal(objects.filter(object => object !== undefined).length, 9)
  for (const object of objects) if (object !== undefined) pool.release(object)
  assert.equal(budget.usedBytes, 9 * 1048)
  assert.equal(pool.defragment(), 9 * 1048)
  assert.equal(budget.usedBytes, 0)
  pool.close()
  const small = new ObjectPool({ budget, create: () => ({}), objectBytes: 1000, capacity: 3000 })
  assert.deepEqual([small.acquire(), small.acquire(), small.acquire()], [{}, {}, undefined])
  assert.throws(() => small.take(), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  small.close()
  assert.equal(budget.usedBytes, 0)
})

test('an object is released at the end of its scope; a maker that throws leaks nothing', () => {
  const budget = new Budget('1 MiB')
  let fails = false
  const pool = new ObjectPool({ budget, create: () => { if (fails) throw new Error('no more'); return {} } })
  {
    using taken = pool.take()
    assert.deepEqual(taken.object, {})
    assert.equal(pool.stats().blocks, 1)
  }
  assert.equal(pool.stats().blocks, 0)
  pool.defragment()
  fails = true
  assert.throws(() => pool.acquire(), /no more/)
  assert.equal(budget.usedBytes, 0)
  for (const wrong of [{ create: 1 }, { objectBytes: 0 }, { objectBytes: NaN }]) {
    assert.throws(() => new ObjectPool({ budget, create: () => ({}), ...wrong as object }), INVALID)
  }
})
