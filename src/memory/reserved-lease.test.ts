import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from './budget.ts'
import { ReservedLease } from './reserved-lease.ts'

function newSpare(budgetBytes = 1000, spareBytes = 100): { budget: Budget, spare: ReservedLease } {
  const budget = new Budget(budgetBytes)
  return { budget, spare: new ReservedLease(budget.account('tables', 'a test'), spareBytes) }
}

test('what is taken is leased besides the spare, and comes back', () => {
  const { budget, spare } = newSpare()
  spare.take(300)
  assert.deepEqual([spare.usedBytes, spare.spareBytes, budget.usedBytes], [300, 100, 400])
  spare.give(200)
  assert.deepEqual([spare.usedBytes, spare.spareBytes, budget.usedBytes], [100, 100, 200])
  spare.give(100)
  spare.close()
  assert.equal(budget.usedBytes, 0)
})

test('when the budget denies more, the spare is eaten; it is filled up from what comes back', () => {
  const { budget, spare } = newSpare()
  const other = budget.account('other', 'a test').lease(900)
  spare.take(60)
  assert.deepEqual([spare.usedBytes, spare.spareBytes, budget.usedBytes], [60, 40, 1000])
  assert.throws(() => spare.take(41), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.deepEqual([spare.usedBytes, budget.usedBytes], [60, 1000], 'a refusal changes nothing')
  spare.take(40)
  assert.equal(spare.spareBytes, 0)
  other.resize(850)
  spare.give(30)
  assert.deepEqual([spare.usedBytes, spare.spareBytes], [70, 30], 'not all of the spare fits: it waits, what is used does not')
  other.release()
  spare.give(0)
  assert.deepEqual([spare.usedBytes, spare.spareBytes, budget.usedBytes], [70, 100, 170])
})

test('a spare that does not fit at first is refused, more given than taken is an error', () => {
  const budget = new Budget(50)
  assert.throws(() => new ReservedLease(budget.account('tables', 'a test'), 60), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  const { spare } = newSpare()
  spare.take(10)
  assert.throws(() => spare.give(11), /11 bytes returned, 10 used/)
})
