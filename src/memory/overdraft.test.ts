import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Overdraft } from './overdraft.ts'
import { Budget } from './budget.ts'

const SEED = 20250813
const KIB = 1024

test('what has room is leased in steps of 4 KiB, and given back', () => {
  const account = new Budget('1 MiB').account('objects', 'test')
  const allowance = new Overdraft(account, 0, 0)
  allowance.change(5000)
  assert.deepEqual([account.bytes, allowance.owedBytes], [8 * KIB, 0])
  allowance.change(-5000)
  assert.equal(account.bytes, 0)
})

test('what has no room is owed, and leased when there is room again', () => {
  const budget = new Budget(100 * KIB)
  const others = budget.account('others', 'test').lease(60 * KIB)
  const allowance = new Overdraft(budget.account('objects', 'test'), 0, 20 * KIB)
  allowance.change(50 * KIB)
  assert.deepEqual([allowance.bytes, allowance.owedBytes], [20 * KIB, 30 * KIB], 'all but what it leaves to others')
  others.resize(10 * KIB)
  allowance.change(0)
  assert.deepEqual([allowance.bytes, allowance.owedBytes], [52 * KIB, 0])
})

test('the first few bytes do not wait for room to be left to others', () => {
  const budget = new Budget(40 * KIB)
  const allowance = new Overdraft(budget.account('objects', 'test'), 32 * KIB, 512 * KIB)
  allowance.change(32 * KIB)
  assert.equal(allowance.owedBytes, 0)
  allowance.change(1)
  assert.equal(allowance.owedBytes, 1)
})

test(`at every step leased and owed cover what is in use, and the budget holds (seed ${SEED})`, () => {
  const step = fc.oneof(fc.record({ mine: fc.integer({ min: -9000, max: 9000 }) }), fc.record({ others: fc.nat(100_000) }))
  fc.assert(fc.property(fc.array(step, { maxLength: 100 }), steps => {
    const budget = new Budget(128 * KIB)
    const others = budget.account('others', 'test').lease(0)
    const allowance = new Overdraft(budget.account('objects', 'test'), 8 * KIB, 16 * KIB)
    let wanted = 0
    for (const step of steps) {
      if ('mine' in step) {
        const bytes = Math.max(-wanted, step.mine)
        wanted += bytes
        allowance.change(bytes)
      } else {
        others.resize(step.others)
      }
      assert.ok(allowance.bytes + allowance.owedBytes >= wanted && allowance.bytes < wanted + 4 * KIB)
      assert.ok(budget.usedBytes <= budget.totalBytes)
    }
    allowance.change(-wanted)
    assert.equal(allowance.bytes, 0)
  }), { seed: SEED, numRuns: 300 })
})
