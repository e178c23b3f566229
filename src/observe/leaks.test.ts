import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimRuntime } from '../host/sim/sim-runtime.ts'
import { Budget } from '../memory/budget.ts'
import { watchHandles } from '../memory/watch-handles.ts'
import type { Spillway } from '../store/spillway.ts'
import { openSim, simHost, within } from '../store/testing/sim.ts'
import type { SimHost } from '../host/sim/sim-host.ts'
import { leakReport } from './leaks.ts'
import { Profiler } from './profiler.ts'

interface World { host: SimHost, db: Spillway, profiler: Profiler }

async function withProfiler(work: (world: World) => Promise<void>): Promise<void> {
  const host = simHost()
  const db = await openSim(host, { budget: '32 MiB' })
  for (let i = 0; i < 200; i++) db.putSync(`key ${String(i).padStart(3, '0')}`, `value ${i}`)
  const profiler = new Profiler({ sources: [db], runtime: new SimRuntime(host.clock) })
  profiler.start()
  await work({ host, db, profiler })
  profiler.stop()
  await within(host, db.close())
}

test('a leak is reported from 30 seconds on, and its confidence is its age by 300 seconds', () => {
  const time = { ms: 0 }
  const list = watchHandles(new Budget('64 MiB'), () => time.ms)
  list.open('pin', { heldBytes: 4096 })
  for (const [ms, confidence] of [[29_999, undefined], [30_000, 0.1], [150_000, 0.5], [300_000, 1], [900_000, 1]] as const) {
    assert.equal(leakReport([list], ms, 20).leaks[0]?.confidence, confidence, String(ms))
  }
  const [leak] = leakReport([list], 60_000, 20).leaks
  assert.deepEqual([leak!.kind, leak!.count, leak!.bytes, leak!.ageMs], ['pin', 1, 4096, 60_000])
  assert.match(leak!.site, /leaks\.test\.js:\d+:\d+/)
})

test('leaks are sorted by confidence, then size, one line a place, the top 20', () => {
  const time = { ms: 0 }
  const list = watchHandles(new Budget('64 MiB'), () => time.ms)
  const openAt = (line: number, bytes: number): void => {
    const open = new Function('list', 'subject', `${'\n'.repeat(line)}list.open('block', subject)`) as (...args: unknown[]) => void
    open(list, { heldBytes: bytes })
  }
  for (let i = 0; i < 24; i++) openAt(i, i)
  time.ms = 100_000
  openAt(100, 1e9)
  openAt(5, 1000)
  const { leaks, leaked } = leakReport([list], 200_000, 20)
  assert.deepEqual([leaks.length, leaked], [20, 26])
  assert.deepEqual(leaks.slice(0, 2).map(({ bytes, count }) => [bytes, count]), [[1005, 2], [23, 1]])
  assert.equal(leakReport([list], 200_000, Infinity).leaks.at(-1)!.bytes, 1e9)
})

test('an iterator, a snapshot and a transaction that are left open are found with the line that opened them', () => withProfiler(async ({ host, db, profiler }) => {
  const iterator = db.iterator()
  const snapshot = db.snapshot()
  const transaction = await within(host, db.begin())
  await within(host, transaction.put('own', 'x'.repeat(1000)))
  host.advance(60_000)
  const { leaks, open, leaked } = profiler.leaks()
  assert.deepEqual([open, leaked], [3, 3])
  assert.deepEqual(new Set(leaks.map(({ kind }) => kind)), new Set(['iterator', 'snapshot', 'transaction']))
  assert.equal(new Set(leaks.map(({ site }) => site)).size, 3)
  for (const { site, kind, bytes } of leaks) {
    assert.match(site, /leaks\.test\.js:\d+:\d+/)
    assert.ok(kind === 'snapshot' || bytes > 1000, kind)
  }
  await iterator.close()
  snapshot.close()
  await within(host, transaction.abort())
  assert.equal(profiler.leaks().open, 0)
}))

test('what is used is no leak, however old it is, nor is what it reads at', () => withProfiler(async ({ host, db, profiler }) => {
  const snapshot = db.snapshot()
  const read = db.snapshot()
  const iterator = db.iterator({ snapshot })
  const transaction = await within(host, db.begin())
  const own = transaction.iterator()
  for (let i = 0; i < 100; i++) {
    await within(host, iterator.next())
    await within(host, own.next())
    await within(host, db.get('key 001', { snapshot: read }))
    host.advance(20_000)
  }
  assert.deepEqual(profiler.leaks().leaks, [])
  for (const each of [iterator, own]) await each.close()
  for (const each of [snapshot, read]) each.close()
  await within(host, transaction.abort())
}))

test('cache and table blocks are no leaks: an hour of clean work over simulated time reports none', () => withProfiler(async ({ host, db, profiler }) => {
  for (let minute = 0; minute < 60; minute++) {
    for (let i = 0; i < 100; i++) db.putSync(`key ${i}`, `value ${minute}`)
    await within(host, db.flush())
    await within(host, db.iterator({ limit: 50 }).all())
    for (const _ of db.entriesSync({ limit: 5 })) break
    const snapshot = db.snapshot()
    await within(host, db.get('key 1', { snapshot }))
    snapshot.close()
    await within(host, db.transaction(async transaction => { await transaction.put('t', String(minute)) }))
    host.advance(60_000)
    assert.deepEqual(profiler.leaks(), { open: 0, leaked: 0, leaks: [], dropped: [], unlisted: 0 })
  }
}))
