import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import type { CollectionEvent } from '../runtime.ts'
import { collectGarbage, collectYoungGarbage } from './garbage.ts'
import { eventOf, sumOf, watchCollections } from './gc-events.ts'

test('kinds and flags of Node 20 to 26 are told apart', () => {
  const shown = (kind: number, flags: number): unknown[] => {
    const event = eventOf({ startTime: 5, duration: 2, detail: { kind, flags } })
    return [event.kind, event.isForced, event.isExternal]
  }
  assert.deepEqual(shown(1, 0), ['young', false, false])
  assert.deepEqual(shown(8, 0), ['start', false, false])
  assert.deepEqual(shown(4, 64), ['old', false, false])
  assert.deepEqual(shown(4, 4), ['old', true, false])
  assert.deepEqual(shown(4, 16), ['old', true, false])
  assert.deepEqual(shown(4, 40), ['old', false, true])
  assert.deepEqual(shown(16, 0), ['weak', false, false])
})

test('bytes are the difference on the heap, by generation, never negative', () => {
  const state = (usedHeapSize: number): { heapStatistics: { usedHeapSize: number } } => ({ heapStatistics: { usedHeapSize } })
  const statistics = [
    { gcType: 'Scavenge', beforeGC: state(100), afterGC: state(40) }, { gcType: 'MarkSweepCompact', beforeGC: state(500), afterGC: state(200) },
    { gcType: 'Minor Mark-Sweep', beforeGC: state(20), afterGC: state(10) }, { gcType: 'Scavenge', beforeGC: state(10), afterGC: state(20) },
  ]
  assert.deepEqual(sumOf({ statistics }), { youngBytes: 70, oldBytes: 300, collections: 4 })
  assert.deepEqual(sumOf(undefined), { youngBytes: 0, oldBytes: 0, collections: 0 })
})

test('collections of this process arrive, with the bytes they gave back', async () => {
  const events: CollectionEvent[] = []
  const watch = watchCollections(event => events.push(event))
  let garbage: unknown[] = []
  for (let i = 0; i < 50_000; i++) garbage.push({ i })
  garbage = []
  collectYoungGarbage()
  collectGarbage()
  const reclaimed = watch.takeReclaimed()
  // Entries are delivered in a later turn.
  for (let i = 0; i < 100 && events.length < 2; i++) await new Promise(resolve => setTimeout(resolve, 1))
  watch.stop()
  assert.ok(events.some(({ kind, isForced }) => kind === 'old' && isForced))
  assert.ok(events.some(({ kind }) => kind === 'young'))
  assert.ok(events.every(({ durationMs, startMs }) => durationMs >= 0 && startMs > 0 && startMs <= performance.now()))
  if (reclaimed !== undefined) assert.ok(reclaimed.youngBytes + reclaimed.oldBytes > 500_000 && reclaimed.collections >= 2, JSON.stringify(reclaimed))
  assert.equal(garbage.length, 0)
})

test('a watch does not hold the process open', () => {
  const program = `import { watchCollections } from ${JSON.stringify(new URL('./gc-events.js', import.meta.url).href)}; watchCollections(() => {})`
  assert.equal(spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 30_000 }).status, 0)
})
