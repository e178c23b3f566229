import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimRuntime } from '../host/sim/sim-runtime.ts'
import { Budget } from '../memory/budget.ts'
import type { Opportunity } from './advice.ts'
import { openSim, simHost, within } from '../store/testing/sim.ts'
import { MemoryOptimizer } from './memory-optimizer.ts'
import type { MemoryOptimizerOptions } from './optimizer-settings.ts'

const MIB = 1024 * 1024

function optimizerOf(options: Partial<MemoryOptimizerOptions>, runtime = new SimRuntime()) {
  return { runtime, time: runtime.clock, optimizer: new MemoryOptimizer({ sources: [], runtime, ...options }) }
}

function named(list: readonly Opportunity[], name: string): Opportunity | undefined { return list.find(each => each.name === name) }

test('defaults are shares inside the budget: 256 MiB for pools and 512 for caches, scaled down to 75 %, never above it', () => {
  const planOf = (size: string, options: Partial<MemoryOptimizerOptions> = {}) => optimizerOf({ sources: [new Budget(size)], ...options }).optimizer.plan
  assert.deepEqual(planOf('4 GiB'), { budgetBytes: 4096 * MIB, targetBytes: 3072 * MIB, poolBytes: 256 * MIB, cacheBytes: 512 * MIB })
  assert.deepEqual(planOf('64 MiB'), { budgetBytes: 64 * MIB, targetBytes: 48 * MIB, poolBytes: 16 * MIB, cacheBytes: 32 * MIB })
  assert.deepEqual(planOf('64 MiB', { caching: false }).poolBytes, 48 * MIB)
  assert.deepEqual(planOf('64 MiB', { pooling: false, cacheBytes: '8 MiB' }), { budgetBytes: 64 * MIB, targetBytes: 48 * MIB, poolBytes: 0, cacheBytes: 8 * MIB })
  for (const bytes of [0, 1, 1000, 7 * MIB, 999_999_999]) {
    const { poolBytes, cacheBytes, targetBytes } = planOf(String(bytes))
    assert.ok(poolBytes + cacheBytes <= targetBytes && targetBytes <= bytes, String(bytes))
  }
})

test('start, stats, stop: a report as text and JSON, and all memory is given back', async () => {
  const host = simHost()
  const db = await openSim(host, { budget: '32 MiB' })
  const runtime = new SimRuntime(host.clock)
  const { optimizer } = optimizerOf({ sources: [db], hotSpots: true }, runtime)
  const before = db.memory().usedBytes
  optimizer.start()
  const forgotten = db.iterator()
  for (let i = 0; i < 90; i++) {
    runtime.collect({ durationMs: 2 })
    host.advance(1000)
  }
  const stats = optimizer.stats()
  assert.deepEqual([stats.budgetBytes, stats.openHandles, stats.leakedHandles, stats.youngCollections, stats.pauseP95Ms], [32 * MIB, 1, 1, 90, 2])
  const report = optimizer.stop()
  assert.equal(named(report.findings.recommendations, 'open iterator')!.action.how, 'close it, or make it with `using`')
  assert.match(report.text, /90 young and 0 full collections[^]*1 iterator at .*memory-optimizer\.test\.js:\d+[^]*Recommendations/)
  const json = JSON.parse(JSON.stringify(report)) as typeof report.findings
  assert.equal(json.after.youngCollections, 90)
  assert.deepEqual(Object.keys(json), ['before', 'after', 'plan', 'allocator', 'profile', 'gc', 'recommendations'])
  await forgotten.close()
  assert.equal(db.memory().usedBytes, before)
  assert.equal(db.memory().accounts['profiler']!.bytes, 0)
  assert.deepEqual([runtime.watchers, runtime.profiles, optimizer.isRunning], [0, 0, false])
  assert.throws(() => optimizer.stats(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await within(host, db.close())
})

test('memory that is given back on demand does not count as usage; what is needed does, with the size that would do', () => {
  const budget = new Budget('100 MiB')
  budget.account('block cache').lease(90 * MIB)
  const { optimizer } = optimizerOf({ sources: [budget] })
  optimizer.start()
  assert.ok(optimizer.stats().usage < 0.1)
  assert.equal(named(optimizer.recommendations(), 'usage above the target'), undefined)
  optimizer.stop()
  const full = new Budget('100 MiB')
  full.account('memtables').lease(80 * MIB)
  const other = optimizerOf({ sources: [full] }).optimizer
  other.start()
  const { action, severity, why } = named(other.recommendations(), 'usage above the target')!
  assert.equal(severity, 'medium')
  assert.match(action.how, /^db\.setBudget\(\d+\)$/)
  assert.match(why, /most of it for memtables/)
  other.stop()
})

test('growth is judged after a minute, and denials are told', () => {
  const budget = new Budget('16 MiB')
  const account = budget.account('groups')
  const { time, optimizer, runtime } = optimizerOf({ sources: [budget] })
  optimizer.start()
  for (let second = 0; second < 120; second++) {
    account.lease(10_000)
    runtime.process = { ...runtime.process, rssBytes: runtime.process.rssBytes + 100_000 }
    if (second === 30) assert.equal(named(optimizer.recommendations(), 'growing account'), undefined)
    time.advance(1000)
  }
  assert.equal(account.tryLease(64 * MIB), undefined)
  const list = optimizer.recommendations()
  assert.match(named(list, 'growing account')!.why, /^groups holds/)
  assert.match(named(list, 'growth outside the budgets')!.why, /MiB an hour more/)
  assert.match(named(list, 'denied leases')!.why, /1 leases/)
  const ranks = list.map(({ severity }) => ['high', 'medium', 'low'].indexOf(severity))
  assert.deepEqual(ranks, [...ranks].sort())
  optimizer.stop()
})

test('GC tuning is on by default: a young generation that is large for the budget is held, said, and let go', () => {
  const runtime = new SimRuntime()
  runtime.spaces = [{ name: 'new_space', usedBytes: MIB, physicalBytes: 32 * MIB }]
  const { optimizer } = optimizerOf({ sources: [new Budget('64 MiB')] }, runtime)
  optimizer.start()
  const report = optimizer.stop()
  assert.deepEqual(report.findings.gc.applied.map(({ how }) => how), ['--semi-space-growth-factor=1'])
  assert.match(report.text, /applied: --semi-space-growth-factor=1; young generation 32\.0 MiB before/)
  assert.equal(runtime.flags.at(-1), '--semi-space-growth-factor=2')
  const off = new SimRuntime()
  off.spaces = runtime.spaces
  const other = optimizerOf({ sources: [new Budget('64 MiB')], gcTuning: false }, off).optimizer
  other.start()
  other.stop()
  assert.deepEqual(off.flags, [])
})

test('options that are none are refused by name', () => {
  for (const options of [undefined, { sources: 5 }, { sources: [], targetUsage: 0 }, { sources: [], targetUsage: NaN }, { sources: [], poolBytes: 'much' }, { sources: [], pooling: 1 }, { sources: [], interval: 1 }, { sources: [], intervalMs: -1 }]) {
    assert.throws(() => new MemoryOptimizer(options as never), { code: 'SPILLWAY_INVALID_ARGUMENT' }, JSON.stringify(options))
  }
})
