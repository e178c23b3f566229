import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FlushPacer } from './flush-pacer.ts'

const MIB = 1024 * 1024

/** After flushes of 1 MiB that all took 100 ms. */
function settled(): FlushPacer {
  const pace = new FlushPacer()
  for (let i = 0; i < 50; i++) {
    pace.begin(MIB, 1000 * i)
    pace.end(1000 * i + 100)
  }
  return pace
}

function near(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) < 0.5, `${actual} is not about ${expected}`)
}

test('without a flush no write is delayed, however full the memtable', () => {
  assert.equal(new FlushPacer().leadMs(1, 5), 0)
  assert.equal(settled().leadMs(0.99, 60_000), 0)
})

test('the first half of the memtable is free, the second is spread over what is left of the flush', () => {
  const pace = settled()
  pace.begin(MIB, 100_000)
  assert.equal(pace.leadMs(0.5, 100_000), 0)
  near(pace.leadMs(0.75, 100_020), 22.5)
  assert.equal(pace.leadMs(0.75, 100_043), 0)
  near(pace.leadMs(1, 100_010), 75)
})

test('a flush that overruns goes on slowing writers, the more the fuller the memtable is', () => {
  const pace = settled()
  pace.begin(MIB, 0)
  assert.equal(pace.leadMs(0.8, 1000), 0)
  near(pace.leadMs(0.95, 1000), 125)
  near(pace.leadMs(1, 1000), 250)
})

test('what is expected follows what flushes take, in proportion to their size, and is a little less', () => {
  const pace = settled()
  pace.begin(2 * MIB, 0)
  near(pace.leadMs(1, 0), 170)
  pace.end(600)
  pace.begin(MIB, 1000)
  near(pace.leadMs(1, 1000), 0.85 * 160)
  pace.end(1100)
  pace.begin(MIB, 2000)
  near(pace.leadMs(1, 2000), 0.85 * 142)
})
