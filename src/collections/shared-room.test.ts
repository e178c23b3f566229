/** Collections on a budget shared with stores, and on a full disk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../memory/budget.ts'
import { Spillway } from '../store/spillway.ts'
import { assertTyped, simHost, within } from '../store/testing/sim.ts'
import { SpillMap } from './spill-map.ts'
import { SpillSpace } from './spill-space.ts'

const VALUE = noise(1)

/** 1000 characters that compress poorly. */
function noise(seed: number): string {
  let text = ''
  for (let state = seed + 1; text.length < 1000;) {
    state = state * 48_271 % 2_147_483_647
    text += state.toString(36)
  }
  return text.slice(0, 1000)
}

test('collections on a shared budget also get the memory of idle memtables', async () => {
  const host = simHost({ seed: 28 })
  const budget = new Budget('14 MiB')
  const idle = await within(host, Spillway.open('/idle', { host, budget, blockBytes: 1024 }))
  await within(host, idle.put('k', VALUE))
  budget.denies = account => account === 'objects' && idle.stats().flushes === 0
  const map = new SpillMap<string, string>({ budget, host })
  map.set('a', 'b')
  assert.deepEqual([idle.stats().flushes, map.get('a')], [1, 'b'])
  budget.denies = undefined
  map.dispose()
  for (let i = 0; i < 20; i++) await within(host, idle.put(`k${i}`, VALUE))
  // Reclaim all that needs no flush.
  budget.makeRoom(budget.totalBytes)
  const rest = budget.account('others', 'test').lease(budget.freeBytes - 4 * 1024 * 1024 + 100 * 1024)
  const space = new SpillSpace({ budget, host })
  assert.ok(space.bytes >= 2 * 1024 * 1024)
  assert.equal(idle.stats().flushes, 2)
  space.close()
  rest.release()
  await within(host, idle.close())
  assert.equal(budget.usedBytes, 0)
})

test('on a full disk thousands of refused writes start few flushes', () => {
  const host = simHost({ seed: 36 })
  const map = new SpillMap<string, string>({ budget: '8 MiB', host })
  host.disk.faults.capacityBytes = host.disk.usedBytes + 1000
  const before = host.disk.faults.operations
  let refusals = 0
  const startedMs = host.clock.nowMs()
  for (let i = 0; i < 9000; i++) {
    try {
      map.set(`k${i}`, VALUE + i)
    } catch (error) {
      assertTyped(error, ['SPILLWAY_NO_SPACE'])
      refusals++
    }
  }
  const elapsedMs = host.clock.nowMs() - startedMs
  assert.ok(refusals > 1000)
  assert.ok(host.disk.faults.operations - before <= 20 * (8 + elapsedMs / 1000), `${host.disk.faults.operations - before} operations of the disk in ${elapsedMs} ms`)
  host.disk.faults.clear()
  host.advance(1000)
  map.set('last', VALUE)
  assert.equal(map.get('last'), VALUE)
  map.dispose()
})
