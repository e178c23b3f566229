import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Evidence, MergeAmplification, Pauses } from './tuner-evidence.ts'

/** Counts a use for every 'x', none for every '.'. */
function pausesOf(pattern: string): Pauses {
  const pauses = new Pauses()
  for (const sample of pattern) pauses.count(sample === 'x')
  return pauses
}

test('a side that stops is idle after two samples, in use again with the next', () => {
  assert.equal(pausesOf('xxx.').isIdle, false)
  assert.equal(pausesOf('xxx..').isIdle, true)
  assert.equal(pausesOf('xxx..x').isIdle, false)
})

test('one that pauses as a rule is idle only after twice as long, and goes on meanwhile', () => {
  const usual = 'x....x....x'
  assert.equal(pausesOf(`${usual}.......`).isIdle, false)
  assert.equal(pausesOf(`${usual}........`).isIdle, true)
  assert.equal(pausesOf(`${usual}....`).goesOn, true)
  assert.equal(pausesOf(`${usual}.....`).goesOn, false)
})

test('a pause of sixteen samples is a phase: it is idle then, and not remembered', () => {
  assert.equal(pausesOf(`x${'.'.repeat(15)}x${'.'.repeat(15)}`).isIdle, false)
  assert.equal(pausesOf(`x${'.'.repeat(15)}x${'.'.repeat(16)}`).isIdle, true)
  assert.equal(pausesOf(`x${'.'.repeat(16)}x..`).isIdle, true)
})

test('a sample of a store at rest covers many', () => {
  const pauses = pausesOf('x')
  for (const intervals of [1, 2, 4, 8, 16]) pauses.count(false, intervals)
  assert.equal(pauses.samples, 31)
  pauses.count(true)
  assert.equal(pauses.usual, 0)
})

test('pauses are forgotten in use', () => {
  const pauses = pausesOf('x..........x')
  assert.equal(pauses.usual, 10)
  for (let i = 0; i < 100; i++) pauses.count(true)
  assert.equal(pauses.usual, 0)
})

test('what is merged for a byte written is a mean over the horizon, whenever the merges came', () => {
  const amplification = new MergeAmplification()
  assert.equal(amplification.value, 0)
  for (let i = 0; i < 1000; i++) amplification.add(10, i % 10 === 9 ? 300 : 0, 10_000)
  assert.ok(Math.abs(amplification.value - 3) < 0.1, String(amplification.value))
  for (let i = 0; i < 5000; i++) amplification.add(10, 10, 10_000)
  assert.ok(Math.abs(amplification.value - 1) < 0.05, String(amplification.value))
})

test('halved, all sums are halved', () => {
  const evidence = new Evidence()
  evidence.add({
    nowMs: 0, writeBytes: 0, cacheBytes: 0, minWriteBytes: 0, maxWriteBytes: 0, minCacheBytes: 0, dataBytes: 0,
    hits: 3, misses: 1, missBytes: 2, ghostHits: 2, ghostHitBytes: 2, ghostBytes: 2, demandBytes: 2, writtenBytes: 2, flushedBytes: 2, mergeBytes: 2, gets: 2,
  })
  evidence.halve()
  assert.deepEqual(Object.entries(evidence).filter(([name, value]) => value !== (name === 'samples' ? 0.5 : name === 'reads' ? 2 : 1)), [])
})
