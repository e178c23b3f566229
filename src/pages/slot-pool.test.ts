import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../memory/budget.ts'
import { LARGEST_SLOT_BYTES, SlotPool, slotBytes } from './slot-pool.ts'
import { KIB, MIB } from './testing/pools.ts'

function newPool(budgetBytes = 16 * MIB): { slots: SlotPool; budget: Budget } {
  const budget = new Budget(budgetBytes)
  return { slots: new SlotPool(budget.account('pages', 'test'), true), budget }
}

test('a slot that is not kept warm releases its memory and lease at once', () => {
  const { slots, budget } = newPool()
  for (const length of [1, 64 * KIB, 100_000, LARGEST_SLOT_BYTES, LARGEST_SLOT_BYTES + 1]) {
    const slot = slots.take(length, false)!
    assert.deepEqual([slot.byteLength, budget.usedBytes, slots.measure()], [slotBytes(length), slotBytes(length), slotBytes(length)])
    slots.release(slot)
    assert.deepEqual([slot.buffer.byteLength, budget.usedBytes, slots.measure()], [0, 0, 0])
  }
})

test('a warm slot serves other lengths of its class, and the lease follows', () => {
  const { slots, budget } = newPool()
  slots.setWarmLimit(MIB)
  const slot = slots.take(70_000, false)!
  slots.release(slot)
  assert.ok(slot.every(byte => byte === 0xa5), 'poisoned')
  const again = slots.take(128 * KIB, false)!
  assert.equal(again.buffer, slot.buffer)
  assert.deepEqual([again.byteLength, budget.usedBytes, slots.reuses], [128 * KIB, 128 * KIB, 1])
  slots.release(again)
  const shorter = slots.take(65 * KIB, false)!
  assert.deepEqual([shorter.byteLength, budget.usedBytes], [68 * KIB, 68 * KIB])
  slots.release(shorter)
  assert.equal(slots.releaseWarm(1), 68 * KIB)
  assert.equal(budget.usedBytes, 0)
})

test('warm slots of other classes are released when the budget is full', () => {
  const { slots, budget } = newPool(256 * KIB)
  slots.setWarmLimit(MIB)
  const small = [1, 2, 3].map(() => slots.take(64 * KIB, false)!)
  for (const slot of small) slots.release(slot)
  assert.equal(slots.warmBytes, 192 * KIB)
  const large = slots.take(200 * KIB, false)
  assert.notEqual(large, undefined)
  assert.ok(budget.usedBytes <= budget.totalBytes)
  assert.equal(slots.take(64 * KIB, false), undefined)
  slots.close()
  assert.equal(budget.usedBytes, 0)
})
