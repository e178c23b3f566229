import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Overdraft } from '../../memory/overdraft.ts'
import { Budget } from '../../memory/budget.ts'
import { Scratch, transcoder } from '../../encoding/encoding.ts'
import { IteratorPosition } from './iterator-position.ts'
import type { IteratorPlan } from './iterator-plan.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (key: Uint8Array | undefined): string | undefined => key === undefined ? undefined : Buffer.from(key).toString('latin1')

function place(plan: Partial<IteratorPlan>): { allowance: Overdraft, place: IteratorPosition } {
  const budget = new Budget('1 MiB')
  const allowance = new Overdraft(budget.account('iterators', 'as many as are open'), 32 * 1024, 0)
  const whole: IteratorPlan = {
    range: { start: bytes('b'), end: bytes('y') }, reverse: false, limit: Infinity, keys: undefined, values: undefined,
    targets: transcoder('utf8', 'keyEncoding'), targetScratch: new Scratch(100), snapshotSeq: 1, ...plan,
  }
  return { allowance, place: new IteratorPosition(allowance, whole) }
}

test('a scan is sent to where the range begins, then behind what was passed, or to what was not', () => {
  const { place: forward } = place({})
  assert.equal(text(forward.startKey()), 'b')
  forward.passKey(bytes('m'))
  assert.equal(text(forward.startKey()), 'm\0', 'the first possible key behind')
  forward.seek(bytes('m'))
  assert.equal(text(forward.startKey()), 'm')
  const { place: backward } = place({ reverse: true })
  assert.equal(text(backward.startKey()), 'y')
  backward.passKey(bytes('m'))
  assert.equal(text(backward.startKey()), 'm', 'scans go to what is before')
  backward.seek(bytes('m'))
  assert.equal(text(backward.startKey()), 'm\0', 'so that it is the key itself')
})

test('outside its range, or in an empty one, nothing is left', () => {
  assert.equal(place({ range: { start: bytes('m'), end: bytes('m') } }).place.isDone, true)
  const { place: one } = place({})
  for (const [key, isDone] of [['a', true], ['b', false], ['x', false], ['y', true], ['c', false]] as const) {
    one.seek(bytes(key))
    assert.equal(one.isDone, isDone, key)
  }
})

test('going back brings back the place, what is left, and that something is', () => {
  const { place: one } = place({ limit: 10 })
  one.passKey(bytes('c'))
  one.left = 8
  one.hold()
  one.passKey(bytes('d'))
  one.left = 0
  one.isDone = true
  one.backToHeld()
  assert.deepEqual([text(one.startKey()), one.left, one.isDone], ['c\0', 8, false])
})

test('the keys it holds are counted, and nothing is once it is closed', () => {
  const { allowance, place: one } = place({})
  const before = allowance.bytes
  one.passKey(new Uint8Array(20_000))
  one.hold()
  one.count()
  assert.ok(allowance.bytes + allowance.owedBytes >= before + 40_000, 'the place, and the one it may go back to')
  one.close()
  one.count()
  assert.equal(allowance.bytes + allowance.owedBytes, 0)
})
