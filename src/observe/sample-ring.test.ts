import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SampleRing } from './sample-ring.ts'

function ringOf(rows: number, values: readonly number[], stepMs = 1000): { ring: SampleRing, column: number } {
  const ring = new SampleRing(rows, 2)
  const column = ring.column('bytes')
  for (const [i, value] of values.entries()) {
    ring.begin(i * stepMs)
    ring.set(column, value)
  }
  return { ring, column }
}

test('the ring holds its rows in one array and forgets the oldest', () => {
  const { ring, column } = ringOf(4, [1, 2, 3, 4, 5, 6])
  assert.equal(ring.bytes, SampleRing.bytesOf(4, 2))
  assert.deepEqual([ring.size, ring.taken], [4, 6])
  assert.deepEqual([0, 1, 2, 3].map(row => [ring.atMs(row), ring.value(row, column)]), [[2000, 3], [3000, 4], [4000, 5], [5000, 6]])
})

test('a figure without a column is counted, not kept', () => {
  const { ring } = ringOf(4, [1])
  assert.equal(ring.column('second'), 1)
  assert.equal(ring.column('third'), -1)
  ring.set(-1, 5)
  assert.equal(ring.unnamed, 1)
})

test('growth is the slope over the window, also of a saw', () => {
  const line = ringOf(100, Array.from({ length: 50 }, (_, i) => 1000 + 10 * i))
  assert.equal(line.ring.trend(line.column, 0).growthPerSecond, 10)
  const saw = ringOf(100, Array.from({ length: 100 }, (_, i) => i % 10))
  assert.ok(Math.abs(saw.ring.trend(saw.column, 0).growthPerSecond) < 0.01)
  const last = line.ring.rowSince(10_000)
  assert.equal(line.ring.size - last, 11)
  assert.equal(line.ring.seconds(last), 10)
})

test('steps up and down are the least that was allocated and freed', () => {
  const { ring, column } = ringOf(10, [0, 10, 4, 4, 8])
  assert.deepEqual(ring.steps(column, 0), { upPerSecond: 14 / 4, downPerSecond: 6 / 4 })
})

test('one sample has no rate', () => {
  const { ring, column } = ringOf(10, [7])
  assert.deepEqual(ring.trend(column, 0), { value: 7, growthPerSecond: 0, minimum: 7, maximum: 7 })
  assert.deepEqual(ring.steps(column, 0), { upPerSecond: 0, downPerSecond: 0 })
  assert.deepEqual(new SampleRing(3, 1).trend(0, 0).value, 0)
})
