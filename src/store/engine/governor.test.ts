/** The governor moves limits by what it sees: reads that a larger cache would answer, writes that merge too often, a host in need. */
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { test } from 'node:test'
import { BlockCache } from '../../cache/block-cache.ts'
import { Ghosts } from '../../cache/ghosts.ts'
import { Budget } from '../../memory/budget.ts'
import { ArenaAdmission } from './arena-admission.ts'
import type { MemoryEvent } from '../api/events.ts'
import { Governor } from './governor.ts'
import { makePlan } from './budget-plan.ts'
import { closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const MIB = 1024 * 1024
const BLOCK = new Uint8Array(4096)

function governed(budgetBytes: number) {
  const host = simHost()
  const budget = new Budget(budgetBytes)
  const plan = makePlan(budgetBytes, 4096)
  const floor = budget.account('floor', '').lease(6 * MIB)
  const admission = new ArenaAdmission(budget.account('memtables', ''), plan.writeBytes, { onStarved() {}, onGranted() {}, onAccountingError(error) { throw error } })
  const ghosts = new Ghosts(Ghosts.capacityFor(plan.ghostBytes), budgetBytes / 10)
  const cache = new BlockCache(budget.account('block cache', ''), { ghosts })
  budget.addReclaimer('cache', bytes => admission.arenas.releaseFree(bytes))
  budget.addReclaimer('cache', bytes => cache.shrink(bytes))
  const asked = { count: 0 }
  const governor = new Governor({ host, budget, cache, ghosts, admission, tableBytes: () => 40 * budgetBytes, gets: () => 0, makeRoom: () => { asked.count++ } }, plan)
  // Write memory is in use, as far as the limit goes.
  const arenas: SharedArrayBuffer[] = []
  const fill = (): void => {
    while (arenas.length > 0) admission.give(arenas.pop()!)
    for (let i = 0; i < 2; i++) {
      const arena = admission.take({}, Math.floor(admission.limitBytes / 2), 256 * 1024)
      if (arena !== undefined) arenas.push(arena)
    }
  }
  const read = (blocks: number, working: number): void => {
    for (let i = 0; i < blocks; i++) {
      const at = (i * 7919 % working) * 4096
      if (!cache.find(1, at)) cache.insert(1, at, BLOCK, 0, BLOCK.length)
    }
  }
  const write = (bytes: number): void => {
    governor.recordDemand(bytes)
    governor.traffic.writtenBytes += bytes
    governor.traffic.flushedBytes += bytes
    governor.traffic.mergeBytes += 6 * bytes
  }
  const second = (): void => {
    for (let i = 0; i < 4; i++) {
      host.advance(250)
      governor.tick()
    }
    fill()
  }
  return { asked, host, budget, plan, floor, admission, cache, governor, read, write, second, fill }
}

test('reading more than fits moves memory to the cache, step by step down to the bound; writing moves it back', () => {
  const { plan, admission, cache, governor, read, write, second, fill } = governed(64 * MIB)
  const heard: MemoryEvent[] = []
  const listener = (message: unknown): void => { heard.push(message as MemoryEvent) }
  diagnostics.subscribe('spillway:memory', listener)
  try {
    fill()
    const before = admission.limitBytes
    // A little more than the cache holds.
    for (let i = 0; i < 40; i++) {
      read(30_000, Math.floor((cache.bytesHeld + 5 * MIB) / 4096))
      second()
    }
    const reading = admission.limitBytes
    assert.ok(reading < before / 2, `write memory went from ${before} to ${reading}: ${governor.report().tuner.standing}`)
    assert.ok(reading >= plan.minWriteBytes)
    const cacheBytes = cache.bytesHeld
    for (let i = 0; i < 60; i++) {
      write(64 * MIB)
      second()
    }
    assert.ok(admission.limitBytes > 2 * reading, `write memory went from ${reading} to ${admission.limitBytes}: ${governor.report().tuner.standing}`)
    assert.ok(admission.limitBytes <= plan.maxWriteBytes)
    assert.ok(cache.bytesHeld <= cacheBytes)
    assert.equal(governor.sizer.stats().config.maxBytes, Math.floor(admission.limitBytes / 2))
    const { decisions } = governor.report().tuner
    assert.ok(decisions.length > 0 && decisions.every(({ why }) => why.length > 20))
    assert.ok(heard.length >= decisions.length && heard.every(({ cause }) => cause === 'tuner'))
    // A few percent at a time.
    for (const { fromWriteBytes, toWriteBytes } of decisions) assert.ok(Math.abs(toWriteBytes - fromWriteBytes) <= 0.05 * 64 * MIB)
  } finally {
    diagnostics.unsubscribe('spillway:memory', listener)
    governor.close()
  }
})

test('a new budget keeps the share of write memory that was found, within the new bounds', () => {
  const { admission, governor, write, second, fill } = governed(64 * MIB)
  fill()
  for (let i = 0; i < 60; i++) {
    write(64 * MIB)
    second()
  }
  const share = admission.limitBytes / (64 * MIB)
  assert.ok(share > 0.3, `${share}: ${governor.report().tuner.standing}`)
  governor.configure(makePlan(32 * MIB, 4096))
  assert.ok(Math.abs(admission.limitBytes / (32 * MIB) - share) < 0.01)
  governor.close()
})

test('memory of writers who do not write goes to readers who miss, and later if that was too early', () => {
  const { host, asked, plan, admission, cache, governor, read, write } = governed(64 * MIB)
  const sample = (): void => {
    read(30_000, Math.floor((cache.bytesHeld + 5 * MIB) / 4096))
    host.advance(250)
    governor.tick()
  }
  const used = admission.take({}, 4 * MIB, MIB)!
  admission.give(admission.take({}, 4 * MIB, MIB)!)
  const samplesUntilAsked = (): number => {
    asked.count = 0
    let samples = 0
    while (asked.count === 0 && samples < 100) {
      sample()
      samples++
    }
    return samples
  }
  // A write in each sample: no store is asked, and free arenas stay for the next memtable.
  for (let i = 0; i < 20; i++) {
    write(MIB)
    sample()
  }
  assert.equal(asked.count, 0)
  assert.equal(admission.arenas.bytes, used.byteLength + 4 * MIB)
  const first = samplesUntilAsked()
  assert.ok(first > 4 && first < 20, `${first}`)
  assert.equal(admission.arenas.bytes, used.byteLength)
  // It writes a little, and stops again.
  write(MIB / 4)
  sample()
  const again = samplesUntilAsked()
  write(MIB / 4)
  sample()
  const third = samplesUntilAsked()
  assert.ok(third > again + 6, `asked after ${first}, ${again} and ${third} samples`)
  // A whole memtable: another phase.
  write(plan.maxWriteBytes)
  sample()
  samplesUntilAsked()
  write(plan.maxWriteBytes)
  sample()
  const fifth = samplesUntilAsked()
  assert.ok(fifth < 30, `${fifth}`)
  governor.close()
})

test('readers who find all they ask for do not have memtables flushed', () => {
  const { host, asked, admission, governor, read } = governed(64 * MIB)
  admission.take({}, 4 * MIB, MIB)
  for (let i = 0; i < 100; i++) {
    read(30_000, 1000)
    host.advance(250)
    governor.tick()
  }
  assert.equal(asked.count, 0)
  governor.close()
})

test('a budget that is nearly all floor is not tuned', () => {
  const host = simHost()
  const budget = new Budget(7 * MIB)
  const plan = makePlan(7 * MIB, 4096)
  const admission = new ArenaAdmission(budget.account('memtables', ''), plan.writeBytes, { onStarved() {}, onGranted() {}, onAccountingError() {} })
  const cache = new BlockCache(budget.account('block cache', ''))
  const governor = new Governor({ host, budget, cache, ghosts: undefined, admission, tableBytes: () => 0, gets: () => 0, makeRoom() {} }, plan)
  assert.equal(governor.report().tuner.enabled, false)
  governor.close()
})

test('a host that runs out of memory takes the cache, not the writes, and gives it back when it has recovered', async () => {
  const host = simHost()
  const db = await openSim(host, { budget: '16 MiB', blockBytes: 4096 })
  for (let i = 0; i < 6000; i++) db.putSync(`key:${i}`, `${i}`.padEnd(400, '.'))
  await within(host, db.flush())
  // By gets: a scan would pass the cache by.
  const readAll = (): void => {
    for (let i = 0; i < 6000; i++) assert.equal(db.getSync(`key:${i}`), `${i}`.padEnd(400, '.'))
  }
  readAll()
  const warm = db.stats().cache.bytes
  assert.ok(warm > MIB, `${warm}`)
  host.memory.value = 0.97
  host.advance(1500)
  await within(host, db.put('key:0', '0'.padEnd(400, '.')))
  const { cacheLimitBytes } = db.stats().governor.host
  assert.ok(cacheLimitBytes !== undefined && cacheLimitBytes < 6 * MIB)
  host.memory.value = 1
  host.advance(1500)
  readAll()
  assert.ok(db.stats().cache.bytes < 64 * 1024, `${db.stats().cache.bytes} of cache under full pressure`)
  // Writers are slower for it, never stopped.
  for (let i = 0; i < 6000; i++) db.putSync(`key:${i}`, `${i}`.padEnd(400, '.'))
  readAll()
  host.memory.value = undefined
  host.advance(1500)
  assert.notEqual(db.stats().governor.host.cacheLimitBytes, undefined, 'unknown is not recovered')
  assert.equal(db.stats().governor.memtable.pressureKnown, false)
  assert.equal(db.stats().governor.memtable.pressure, 1, 'the last known value stays in force')
  host.memory.value = 0.2
  host.advance(1500)
  readAll()
  assert.equal(db.stats().governor.host.cacheLimitBytes, undefined)
  assert.ok(db.stats().cache.bytes > 2 * MIB)
  await closeEmpty(host, db)
})

test('a store at rest is looked at seldom', () => {
  const { host, governor } = governed(64 * MIB)
  const { scheduler } = host
  let timers = 0
  const later = scheduler.later.bind(scheduler)
  scheduler.later = (delayMs, task, unref) => {
    timers++
    assert.equal(unref, true, 'it never holds a process open')
    return later(delayMs, task, unref)
  }
  host.advance(600_000)
  assert.ok(timers < 90, `${timers} timers in ten minutes`)
  governor.close()
})

test('after a rest the first block that is missed because it was dropped wakes it, not the next of its seldom looks', () => {
  const { host, cache, governor, read, fill } = governed(64 * MIB)
  fill()
  const working = Math.floor((cache.bytesHeld + 45 * MIB) / 4096)
  read(30_000, working)
  host.advance(60_000)
  const { standing } = governor.report().tuner
  read(30_000, working)
  host.advance(300)
  assert.notEqual(governor.report().tuner.standing, standing)
  governor.close()
})

test('arenas that hold nothing are the readers\' as soon as writers are at rest, and the next writer has them again', async () => {
  const host = simHost({ seed: 5 })
  const db = await openSim<string, string>(host, { budget: '16 MiB', compression: 'none', rowCache: false })
  const value = 'x'.repeat(1000)
  const keyOf = (i: number): string => `key ${String(i).padStart(6, '0')}`
  for (let i = 0; i < 16_000; i += 200) {
    await within(host, db.batch(Array.from({ length: 200 }, (_, k) => ({ type: 'put' as const, key: keyOf(i + k), value }))))
  }
  await within(host, db.flush())
  const memtables = (): number => db.memory().accounts['memtables']!.bytes
  const read = (): void => {
    for (let i = 0; i < 16_000; i++) assert.equal(db.getSync(keyOf(i))?.length, 1000)
  }
  const before = memtables()
  assert.ok(before >= 4 * MIB, `${before} bytes of arenas`)
  for (let pass = 0; pass < 4; pass++) {
    host.advance(300)
    read()
  }
  assert.ok(memtables() <= MIB, `${memtables()} bytes of arenas while only readers are there`)
  for (let i = 0; i < 16_000; i += 200) {
    await within(host, db.batch(Array.from({ length: 200 }, (_, k) => ({ type: 'put' as const, key: keyOf(i + k), value }))))
  }
  assert.ok(memtables() >= before / 2, `${memtables()} bytes of arenas for the next writer`)
  await within(host, db.close())
})
