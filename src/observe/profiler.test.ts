import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimRuntime } from '../host/sim/sim-runtime.ts'
import { Budget } from '../memory/budget.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { OpenOptions } from '../store/api/options.ts'
import { Spillway } from '../store/spillway.ts'
import { openSim, simHost, within } from '../store/testing/sim.ts'
import type { ProfilerOptions } from './profiler-options.ts'
import { Profiler } from './profiler.ts'

const MIB = 1024 * 1024

function simProfiler(options: Partial<ProfilerOptions> = {}, runtime = new SimRuntime()) {
  return { runtime, time: runtime.clock, profiler: new Profiler({ sources: [], runtime, ...options }) }
}

test('rates come from the ledger itself: what was leased and given back between two samples counts', () => {
  const budget = new Budget('64 MiB')
  const account = budget.account('pools')
  const { time, profiler } = simProfiler({ sources: [budget] })
  profiler.start()
  for (let i = 0; i < 10; i++) {
    account.lease(1000).release()
    account.lease(10)
    time.advance(1000)
  }
  const [ledger] = profiler.snapshot().ledgers
  const pools = ledger!.accounts.find(entry => entry.account === 'pools')!
  assert.equal(pools.bytes, 100)
  assert.equal(pools.isLowerBound, false)
  assert.ok(Math.abs(pools.allocatedPerSecond - 1010) < 1, String(pools.allocatedPerSecond))
  assert.ok(Math.abs(pools.freedPerSecond - 1000) < 1, String(pools.freedPerSecond))
  assert.ok(Math.abs(pools.growthPerSecond - 10) < 1)
  profiler.stop()
})

test('a budget is observed once, however many stores on it are given', async () => {
  const host = simHost()
  const budget = new Budget('32 MiB')
  const stores = [await openSim(host, { budget }), await within(host, Spillway.open('/other', { budget, host } as OpenOptions))]
  const { profiler } = simProfiler({ sources: [...stores, budget] }, new SimRuntime(host.clock))
  profiler.start()
  const { ledgers } = profiler.snapshot()
  assert.equal(ledgers.length, 1)
  assert.equal(ledgers[0]!.usedBytes, budget.usedBytes)
  profiler.stop()
  for (const store of stores) await within(host, store.close())
  assert.equal(budget.usedBytes, 0)
})

test('anything with a memory report is a source: its rates are lower bounds, and its end is no error', () => {
  let isClosed = false
  const accounts = { things: { bytes: 5, highWaterBytes: 5, bound: 'none' } }
  const source = { memory(): MemoryReport {
    if (isClosed) throw new Error('closed')
    return { budgetBytes: 100, usedBytes: accounts.things.bytes, highWaterBytes: 5, denied: 0, accounts }
  } }
  const { time, profiler } = simProfiler({ sources: [source] })
  profiler.start()
  accounts.things.bytes = 25
  time.advance(1000)
  const [trend] = profiler.snapshot().ledgers[0]!.accounts
  assert.deepEqual([trend!.account, trend!.bytes, trend!.isLowerBound], ['things', 25, true])
  assert.ok(Math.abs(trend!.allocatedPerSecond - 20) < 1)
  isClosed = true
  time.advance(2000)
  assert.equal(profiler.snapshot().ledgers[0]!.usedBytes, 0)
  profiler.stop()
})

test('the ring is bounded, leased before it is made, and given back at the end', () => {
  const budget = new Budget('16 MiB')
  const { time, profiler } = simProfiler({ sources: [budget], history: 100_000, intervalMs: 10 })
  profiler.start()
  const leased = budget.account('profiler').bytes
  assert.ok(leased > 0 && leased <= 16 * MIB * (1 / 64 + 1 / 64 + 1 / 128), String(leased))
  time.advance(60_000)
  assert.equal(budget.account('profiler').bytes, leased)
  assert.ok(profiler.history()[0]!.samples.length < 400)
  assert.ok(profiler.snapshot().samples > 5000)
  profiler.stop()
  assert.equal(budget.usedBytes, 0)
  assert.equal(budget.handles, undefined)
  assert.throws(() => profiler.snapshot(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('a budget without room fails with its numbers, and nothing stays leased', () => {
  const rich = new Budget('16 MiB')
  const poor = new Budget('64 KiB')
  const { profiler } = simProfiler({ sources: [rich, poor] })
  assert.throws(() => profiler.start(), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.deepEqual([rich.usedBytes, poor.usedBytes, profiler.isRunning], [0, 0, false])
})

test('spaces of V8 and the process are sampled; rates of spaces are lower bounds', () => {
  const { runtime, time, profiler } = simProfiler()
  profiler.start()
  for (let i = 0; i < 10; i++) {
    runtime.spaces = [{ name: 'new_space', usedBytes: i % 2 * MIB, physicalBytes: 2 * MIB }]
    runtime.process = { ...runtime.process, rssBytes: (50 + i) * MIB }
    time.advance(1000)
  }
  const { spaces, process } = profiler.snapshot()
  assert.ok(spaces[0]!.allocatedPerSecond > 0.3 * MIB && spaces[0]!.freedPerSecond > 0.3 * MIB)
  assert.ok(Math.abs(process.rssGrowthPerSecond - MIB) < MIB / 2)
  assert.equal(process.maximumRssBytes, 59 * MIB)
  profiler.stop()
})

test('hot spots are off unless they are asked for, and end with the profiler', () => {
  const plain = simProfiler()
  plain.profiler.start()
  assert.equal(plain.profiler.snapshot().hotSpots, undefined)
  assert.equal(plain.runtime.profiles, 0)
  plain.profiler.stop()
  const { runtime, profiler } = simProfiler({ hotSpots: true })
  runtime.sites = [{ site: 'f (app.js:1:2)', bytes: 5 * MIB }]
  profiler.start()
  assert.deepEqual(profiler.snapshot().hotSpots, runtime.sites)
  profiler.stop()
  assert.equal(runtime.profiles, 0)
})

test('options that are none are refused by name', () => {
  const wrong: unknown[] = [undefined, { sources: {} }, { sources: [{}] }, { sources: [], intervalMs: 0 }, { sources: [], history: NaN }, { sources: [], hotSpots: 5 }, { sources: [], interval: 5 },
    { sources: [{ memory: () => undefined }] }]
  for (const options of wrong) assert.throws(() => new Profiler(options as ProfilerOptions), { code: 'SPILLWAY_INVALID_ARGUMENT' }, JSON.stringify(options))
})
