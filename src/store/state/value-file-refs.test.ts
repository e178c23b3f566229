import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../../memory/budget.ts'
import { ValueFileRefs } from './value-file-refs.ts'

const BYTES_PER_FILE = 64

function make(budgetBytes: number): { removed: number[], budget: Budget, files: ValueFileRefs } {
  const removed: number[] = []
  const budget = new Budget(budgetBytes)
  return { removed, budget, files: new ValueFileRefs(number => removed.push(number), budget.account('table metadata', 'a test')) }
}

test('a file is removed with the last reference to it', () => {
  const { removed, budget, files } = make(1000)
  files.retain([1, 2])
  files.retain([2])
  files.release([1, 2])
  assert.deepEqual([removed, files.count, files.has(2)], [[1], 1, true])
  files.release([2])
  assert.deepEqual([removed, files.count, budget.usedBytes], [[1, 2], 0, 0])
  files.close()
})

test('room is leased before the files are there, and stays while others come and go', () => {
  const { budget, files } = make(4 * BYTES_PER_FILE)
  files.retain([1])
  files.reserve(3)
  assert.equal(budget.usedBytes, 4 * BYTES_PER_FILE)
  files.release([1])
  assert.equal(budget.usedBytes, 3 * BYTES_PER_FILE)
  files.retain([2])
  // What another takes meanwhile cannot be what was promised.
  const other = budget.account('other', 'a test').tryLease(2 * BYTES_PER_FILE)
  files.retain([3])
  files.retain([4])
  assert.equal(other, undefined)
  assert.ok(budget.usedBytes <= budget.totalBytes)
  files.reserve(0)
  assert.equal(budget.usedBytes, 3 * BYTES_PER_FILE)
  files.close()
  assert.equal(budget.usedBytes, 0)
})

test('without room the file is refused before it is written, and what was reserved before still is', () => {
  const { files } = make(3 * BYTES_PER_FILE)
  files.retain([1, 2])
  assert.equal(files.reserve(1), true)
  assert.equal(files.reserve(2), false)
  files.retain([3])
  assert.throws(() => files.retain([4]), { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /3\. Raise the budget/ })
  assert.deepEqual([files.count, files.has(4)], [3, false])
})
