import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hashKey } from '../base/hash.ts'
import { Budget } from '../memory/budget.ts'
import { KeyFilter } from './spill-map-filter.ts'

const MIB = 2 ** 20
const key = Buffer.alloc(8)

function hashOf(i: number): number {
  key.writeDoubleBE(i)
  return hashKey(key, 0, 8)
}

function shareOfFalse(filter: KeyFilter, from: number): number {
  let yes = 0
  for (let i = from; i < from + 20_000; i++) if (filter.mayHave(hashOf(i))) yes++
  return yes / 20_000
}

test('no false negatives and few false positives, at any size', () => {
  const budget = new Budget(16 * MIB)
  const filter = new KeyFilter(budget.account('filter', ''), 4 * MIB, 0)
  assert.equal(filter.mayHave(hashOf(1)), false)
  for (let n = 0, next = 1000; n < 1_000_000; n++) {
    filter.add(hashOf(n))
    if (n !== next) continue
    next *= 3
    for (let i = 0; i <= n; i += 7) assert.ok(filter.mayHave(hashOf(i)))
    assert.ok(shareOfFalse(filter, n + 1) < 0.05, `${shareOfFalse(filter, n + 1)} at ${n}`)
  }
  assert.equal(budget.usedBytes, filter.bytes)
  filter.clear()
  assert.equal(budget.usedBytes, 0)
  assert.equal(filter.mayHave(hashOf(1)), false)
  filter.close()
})

test('without memory it is overfilled, and switched off when useless', () => {
  const budget = new Budget(MIB)
  const filter = new KeyFilter(budget.account('filter', ''), 128 * 1024, 0)
  let n = 0
  while (!filter.isOff && n < 5_000_000) {
    filter.add(hashOf(n++))
    assert.ok(filter.bytes <= 128 * 1024)
    if (n % 10_000 === 0) for (let i = 0; i < n; i += 97) assert.ok(filter.mayHave(hashOf(i)))
  }
  assert.ok(filter.isOff)
  assert.ok(n > 128 * 1024 * 8 / 10 * 2, `given up at ${n}`)
  assert.equal(budget.usedBytes, 0)
  assert.equal(filter.mayHave(hashOf(-1)), true)
  const none = new KeyFilter(new Budget(10).account('filter', ''), 128 * 1024, 0)
  none.add(hashOf(1))
  assert.equal(none.mayHave(hashOf(2)), true)
})
