import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { checkStallLimits, stallVerdict } from './stall.ts'
import { PROPERTY } from './testing/trees.ts'

const LIMITS = { slowdownRuns: 8, stopRuns: 16, slowdownDebtBytes: 1000, stopDebtBytes: 4000, maxDelayMs: 10 }

const EXAMPLES: [runs: number, debtBytes: number, delayMs: number, stop: boolean, cause: 'runs' | 'debt' | undefined][] = [
  [0, 0, 0, false, undefined],
  [8, 1000, 0, false, undefined],
  [9, 0, 1.25, false, 'runs'],
  [12, 0, 5, false, 'runs'],
  [0, 2000, 3.333, false, 'debt'],
  [9, 3900, 9.667, false, 'debt'],
  [12, 2500, 5, false, 'runs'],
  [16, 0, 10, true, 'runs'],
  [100, 9000, 10, true, 'runs'],
  [15, 4000, 10, true, 'debt'],
]

for (const [runs, debtBytes, delayMs, stop, cause] of EXAMPLES) {
  test(`${runs} runs and ${debtBytes} bytes of debt ${stop ? 'stop' : `delay by ${delayMs} ms`}`, () => {
    const verdict = stallVerdict({ runs, debtBytes }, LIMITS)
    assert.ok(Math.abs(verdict.delayMs - delayMs) < 0.0005, `${verdict.delayMs}`)
    assert.equal(verdict.stop, stop)
    assert.equal(verdict.cause, cause)
  })
}

test('an axis with infinite limits never counts, and equal limits leave no ramp', () => {
  const off = { ...LIMITS, slowdownDebtBytes: Infinity, stopDebtBytes: Infinity }
  assert.equal(stallVerdict({ runs: 0, debtBytes: Number.MAX_VALUE }, off).delayMs, 0)
  assert.equal(stallVerdict({ runs: 12, debtBytes: Number.MAX_VALUE }, off).delayMs, 5)
  const step = { ...LIMITS, slowdownRuns: 16 }
  assert.equal(stallVerdict({ runs: 15, debtBytes: 2000 }, step).cause, 'debt')
  assert.equal(stallVerdict({ runs: 16, debtBytes: 0 }, step).stop, true)
})

test('an axis with a slowdown and no stop delays, up to the cap at twice the slowdown, and never stops', () => {
  const limits = { ...LIMITS, stopRuns: Infinity, stopDebtBytes: Infinity }
  const delays = [8, 9, 12, 16, 17, 1e9].map(runs => stallVerdict({ runs, debtBytes: 0 }, limits))
  assert.deepEqual(delays.map(({ delayMs }) => delayMs), [0, 1.25, 5, 10, 10, 10])
  assert.ok(delays.every(({ stop }) => !stop))
  assert.deepEqual(stallVerdict({ runs: 0, debtBytes: 1500 }, limits), { delayMs: 5, stop: false, cause: 'debt' })
  // The other axis may stop all the same; a slowdown of 0 has no line.
  assert.equal(stallVerdict({ runs: 12, debtBytes: 4000 }, { ...limits, stopDebtBytes: 4000 }).stop, true)
  const always = { ...limits, slowdownRuns: 0 }
  assert.deepEqual([0, 1].map(runs => stallVerdict({ runs, debtBytes: 0 }, always).delayMs), [0, 10])
})

test('limits out of order and loads that are no numbers are rejected, with numbers', () => {
  const bad = [
    { slowdownRuns: 17 }, { slowdownRuns: -1 }, { stopRuns: NaN }, { slowdownRuns: 0, stopRuns: 0 },
    { slowdownDebtBytes: 4001 }, { maxDelayMs: Infinity }, { maxDelayMs: -1 },
  ]
  for (const change of bad) {
    const code = { code: 'SPILLWAY_INVALID_ARGUMENT' }
    assert.throws(() => stallVerdict({ runs: 0, debtBytes: 0 }, { ...LIMITS, ...change }), code)
    assert.throws(() => checkStallLimits({ ...LIMITS, ...change }), code)
  }
  checkStallLimits(LIMITS)
  assert.throws(() => stallVerdict({ runs: NaN, debtBytes: 0 }, LIMITS), /runs NaN of 8\/16/)
  assert.throws(() => stallVerdict({ runs: 0, debtBytes: -1 }, LIMITS), /debt -1 of 1000\/4000/)
})

test('the delay never falls as the load grows, stays within the cap, and depends on nothing but the load', () => {
  const load = fc.record({ runs: fc.nat({ max: 20 }), debtBytes: fc.nat({ max: 5000 }) })
  fc.assert(fc.property(load, load, (a, b) => {
    const more = { runs: Math.max(a.runs, b.runs), debtBytes: Math.max(a.debtBytes, b.debtBytes) }
    const before = stallVerdict(a, LIMITS)
    const after = stallVerdict(more, LIMITS)
    assert.ok(after.delayMs >= before.delayMs && Number(after.stop) >= Number(before.stop))
    assert.ok(after.delayMs >= 0 && after.delayMs <= LIMITS.maxDelayMs)
    assert.equal(after.cause === undefined, after.delayMs === 0)
    assert.deepEqual(stallVerdict(a, LIMITS), before)
  }), PROPERTY)
})
