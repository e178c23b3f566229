import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimRuntime } from '../host/sim/sim-runtime.ts'
import { Budget } from '../memory/budget.ts'
import { gcScore } from './gc-advice.ts'
import { GcMonitor } from './gc-monitor.ts'
import type { GcMonitorOptions } from './gc-monitor.ts'

const MIB = 1024 * 1024

function monitorOf(options: GcMonitorOptions = {}, runtime = new SimRuntime()) {
  const monitor = new GcMonitor({ runtime, ...options })
  monitor.start()
  return { runtime, monitor }
}

test('figures come from events alone: without collections all are zero and nothing is wrong', () => {
  const { runtime, monitor } = monitorOf()
  runtime.clock.advance(60_000)
  const report = monitor.report()
  assert.deepEqual(report.counts, { young: 0, old: 0 })
  assert.deepEqual(report.window.all, { count: 0, perMinute: 0, totalMs: 0, meanMs: 0, p95Ms: 0, maxMs: 0 })
  assert.deepEqual([report.score, report.bottlenecks, report.opportunities, report.applied], [100, [], [], []])
  assert.deepEqual({ ...monitor.report(), observedMs: 0, window: 0 }, { ...report, observedMs: 0, window: 0 })
})

test('count, mean, p95 and max per generation; an incremental collection counts once', () => {
  const { runtime, monitor } = monitorOf()
  for (let i = 1; i <= 100; i++) {
    runtime.collect({ kind: 'young', durationMs: i / 10 })
    runtime.clock.advance(100)
  }
  runtime.collect({ kind: 'start', durationMs: 0.5 })
  runtime.collect({ kind: 'old', durationMs: 40 })
  const { counts, window } = monitor.report()
  assert.deepEqual(counts, { young: 100, old: 1 })
  assert.deepEqual([window.young.count, window.young.p95Ms, window.young.maxMs], [100, 9.5, 10])
  assert.ok(Math.abs(window.young.meanMs - 5.05) < 1e-9)
  assert.ok(Math.abs(window.young.perMinute - 600) < 1)
  assert.equal(window.all.count, 102)
  assert.ok(Math.abs(window.all.totalMs - (505 + 40.5)) < 1e-9)
})

test('the frequency is over the window that was observed, not over more', () => {
  const { runtime, monitor } = monitorOf()
  for (let i = 0; i < 10; i++) {
    runtime.collect({})
    runtime.clock.advance(1000)
  }
  assert.ok(Math.abs(monitor.report().window.young.perMinute - 60) < 0.1)
  runtime.clock.advance(120_000)
  const { window, counts } = monitor.report()
  assert.deepEqual([window.windowMs, window.young.count, counts.young], [60_000, 0, 10])
  for (let i = 0; i < 10_000; i++) {
    runtime.collect({})
    runtime.clock.advance(5)
  }
  const full = monitor.report().window
  assert.equal(full.young.count, 2048)
  assert.ok(Math.abs(full.young.perMinute - 12_000) < 50, String(full.young.perMinute))
})

test('bytes given back are those V8 tells, and what it does not tell is said', () => {
  const { runtime, monitor } = monitorOf()
  runtime.reclaimed = { youngBytes: 5 * MIB, oldBytes: MIB, collections: 3 }
  runtime.clock.advance(1000)
  runtime.reclaimed = { youngBytes: MIB, oldBytes: 0, collections: 1 }
  const report = monitor.report()
  assert.deepEqual(report.reclaimed, { youngBytes: 6 * MIB, oldBytes: MIB, collections: 4 })
  assert.ok(report.unknown.some(line => line.includes('Buffers')))
  const silent = new SimRuntime()
  silent.reclaimed = undefined
  const none = monitorOf({}, silent).monitor.report()
  assert.equal(none.reclaimed, undefined)
  assert.match(none.unknown[0]!, /this runtime does not tell/)
})

test('bottlenecks have a severity, and the score is 60 at the targets', () => {
  const { runtime, monitor } = monitorOf()
  for (let i = 0; i < 60; i++) {
    runtime.collect({ kind: 'old', durationMs: 55 })
    runtime.clock.advance(999)
  }
  const medium = monitor.report()
  assert.equal(medium.score, 56)
  const pauses = { count: 1, perMinute: 1, totalMs: 3000, meanMs: 50, p95Ms: 50, maxMs: 50 }
  const window = { windowMs: 60_000, young: pauses, old: pauses, all: pauses, forced: 0, external: 0 }
  assert.equal(gcScore({ window, memory: runtime.process }), 60)
  assert.deepEqual(medium.bottlenecks.map(({ name, severity }) => [name, severity]), [['full collections', 'high'], ['long pauses', 'medium'], ['time in collections', 'medium']])
  assert.deepEqual(medium.opportunities.map(({ name, action }) => [name, action.type]), [['data off the heap', 'code']])
  for (let i = 0; i < 60; i++) {
    runtime.collect({ kind: 'old', durationMs: 150, isForced: true, isExternal: true })
    runtime.clock.advance(999)
  }
  runtime.process = { ...runtime.process, heapUsedBytes: 95 * MIB, heapLimitBytes: 100 * MIB }
  const high = monitor.report()
  assert.equal(high.score, 4)
  assert.deepEqual(new Set(high.bottlenecks.filter(({ severity }) => severity === 'high').map(({ name }) => name)),
    new Set(['full heap', 'full collections', 'long pauses', 'time in collections', 'external memory']))
  assert.ok(high.opportunities.some(({ action }) => action.how === '--max-old-space-size=150'))
  assert.ok(high.opportunities.every(({ benefit, risk, why }) => benefit !== '' && risk !== '' && why !== ''))
})

test('what only a start can change is an exact flag for this version of Node, and is not applied', () => {
  for (const [nodeMajor, startFlags, flag] of [[20, [], '--max-semi-space-size=32'], [24, [], '--max-semi-space-size=128'], [20, ['--max-semi-space-size=8'], '--max-semi-space-size=16']] as const) {
    const runtime = new SimRuntime()
    Object.assign(runtime, { nodeMajor, startFlags })
    const { monitor } = monitorOf({}, runtime)
    for (let i = 0; i < 100; i++) {
      runtime.collect({ durationMs: 10 })
      runtime.clock.advance(100)
    }
    const { opportunities, applied } = monitor.report()
    assert.deepEqual(opportunities.map(({ action }) => action), [{ type: 'flag', how: flag }])
    assert.deepEqual([applied, runtime.flags], [[], []])
  }
})

test('what is applied is said with before and after, renewed because Node 20 takes it back, and undone by stop', () => {
  const runtime = new SimRuntime()
  const { monitor } = monitorOf({}, runtime)
  runtime.spaces = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 32 * MIB }]
  assert.deepEqual(monitor.report().opportunities.map(({ action }) => action), [{ type: 'call', how: "monitor.apply('young-generation')" }])
  assert.deepEqual(monitor.apply('young-generation').before, { youngBytes: 32 * MIB })
  runtime.spaces = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 4 * MIB }]
  runtime.clock.advance(2000)
  const report = monitor.report()
  assert.deepEqual(report.applied.map(({ how, before, now }) => [how, before.youngBytes, now.youngBytes]), [['--semi-space-growth-factor=1', 32 * MIB, 4 * MIB]])
  assert.deepEqual(report.opportunities.map(({ action }) => action.type), ['applied'])
  assert.ok(runtime.flags.length >= 3 && runtime.flags.every(flag => flag === '--semi-space-growth-factor=1'))
  monitor.stop()
  assert.equal(runtime.flags.at(-1), '--semi-space-growth-factor=2')
})

test('with tune the young generation is held once it is large; where flags are missing that is no success', () => {
  const runtime = new SimRuntime()
  const { monitor } = monitorOf({ tune: true, youngLimitBytes: 8 * MIB }, runtime)
  runtime.clock.advance(5000)
  assert.deepEqual(runtime.flags, [])
  runtime.spaces = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 9 * MIB }]
  runtime.clock.advance(1000)
  assert.equal(runtime.flags[0], '--semi-space-growth-factor=1')
  monitor.stop()
  const without = new SimRuntime()
  without.hasFlags = false
  without.spaces = runtime.spaces
  const other = monitorOf({ tune: true }, without).monitor
  assert.deepEqual(other.report().applied, [])
  assert.throws(() => other.apply('young-generation'), { code: 'SPILLWAY_UNAVAILABLE' })
  assert.throws(() => other.apply('nothing' as never), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('tuning that costs more than 5 % of the time is taken back and said, and not tried again', () => {
  const runtime = new SimRuntime()
  runtime.spaces = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 32 * MIB }]
  const { monitor } = monitorOf({ tune: true }, runtime)
  runtime.clock.advance(5000)
  assert.deepEqual(monitor.report().applied.map(({ isTakenBack }) => isTakenBack), [false])
  for (let i = 0; i < 20; i++) {
    runtime.collect({ durationMs: 60 })
    runtime.clock.advance(1000)
  }
  const report = monitor.report()
  assert.deepEqual(report.applied.map(({ isTakenBack }) => isTakenBack), [true])
  assert.equal(runtime.flags.at(-1), '--semi-space-growth-factor=2')
  const count = runtime.flags.length
  runtime.clock.advance(60_000)
  monitor.stop()
  assert.equal(runtime.flags.length, count)
})

test('advice does not contradict what is applied', () => {
  const runtime = new SimRuntime()
  const { monitor } = monitorOf({}, runtime)
  monitor.apply('young-generation')
  for (let i = 0; i < 100; i++) {
    runtime.collect({ durationMs: 10 })
    runtime.clock.advance(100)
  }
  assert.deepEqual(monitor.report().opportunities.map(({ name }) => name), ['let the young generation grow'])
})

test('a monitor leases what it holds and leaves nothing behind', () => {
  const budget = new Budget('1 MiB')
  const { runtime, monitor } = monitorOf({ budget })
  assert.equal(budget.account('profiler').bytes, 48 * 1024)
  assert.equal(runtime.watchers, 1)
  monitor.start()
  assert.notEqual(monitor.stop(), undefined)
  assert.equal(monitor.stop(), undefined)
  assert.deepEqual([budget.usedBytes, runtime.watchers, monitor.isRunning], [0, 0, false])
  assert.throws(() => monitor.report(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => monitorOf({ budget: new Budget('1 KiB') }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  for (const options of [{ windowMs: 0 }, { intervalMs: NaN }, { tune: 1 }, { budget: 5 }, { window: 1 }]) {
    assert.throws(() => new GcMonitor(options as never), { code: 'SPILLWAY_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
})
