/** Jobs that end when their store is in trouble. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpillwayError } from '../../base/errors.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

test('a store whose manifest failed in the middle does not take its own for that of another process', { timeout: 120_000 }, async () => {
  let unsure = 0
  for (let operation = 1; ; operation++) {
    const host = simHost({ seed: operation })
    const { faults } = host.disk
    const db = await openSim(host, { compaction: { strategy: 'tiered', minMergeWidth: 2 } })
    for (let table = 0; table < 2; table++) {
      for (let i = 0; i < 150; i++) db.putSync(`key ${i}`, 'v'.repeat(500))
      await within(host, db.flush())
    }
    // The merge that the second table asks for runs, and a compaction waits for it.
    const start = faults.operations
    faults.failAt(start + operation, 'EIO')
    const [compacted] = await within(host, Promise.allSettled([db.compact()]))
    if (compacted.status === 'rejected') assert.notEqual((compacted.reason as SpillwayError).code, 'SPILLWAY_FENCED', `operation ${operation}`)
    await host.idle()
    const { lastBackgroundError } = db.stats()
    assert.doesNotMatch(lastBackgroundError ?? '', /another process/, `operation ${operation}`)
    if (lastBackgroundError !== undefined) unsure++
    const reached = faults.operations >= start + operation
    faults.clear()
    await within(host, db.close())
    if (!reached) break
  }
  assert.ok(unsure > 3, `${unsure} faults were met by jobs`)
})
