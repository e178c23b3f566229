/** One file operation fails, each in turn; a disk is full and has room again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpillwayError } from '../../base/errors.ts'
import { FaultScript } from '../testing/fault-script.ts'
import { Model } from '../testing/model.ts'
import { sameEntries, valueOf } from '../testing/run-commands.ts'
import { assertTyped, checkFiles, checkLedger, closeEmpty, openSim, seedCount, simHost, stride, within } from '../testing/sim.ts'

/** Fail operations of the script, each in turn, until it comes to its end before the fault: all in a long run, else every ninth. */
async function failEach(code: string, powerFails: boolean, first: number): Promise<void> {
  for (let operation = first; ; operation += stride(9)) {
    const host = simHost({ seed: operation })
    host.disk.faults.failAt(operation, code)
    try {
      const script = new FaultScript(host)
      await script.run()
      const reached = host.disk.faults.operations >= operation
      await script.check(powerFails)
      if (reached) continue
      assert.equal(script.errors, 0)
      assert.ok(operation > 150, `the script has ${operation} operations only`)
      return
    } catch (cause) {
      throw new Error(`operation ${operation} failing with ${code}: ${(cause as Error).message}`, { cause })
    }
  }
}

test('any one operation failing with EIO gives a typed error or is made good, and loses nothing acknowledged', { timeout: 300_000 }, async () => {
  await failEach('EIO', false, 1)
})

test('any single operation that fails with a full disk gives a typed error or is retried, and loses nothing acknowledged', { timeout: 300_000 }, async () => {
  await failEach('ENOSPC', false, 2)
})

test('any one operation failing with EIO before a power loss loses nothing that was acknowledged as durable', { timeout: 300_000 }, async () => {
  await failEach('EIO', true, 3)
})

test('a full disk fails writes with NO_SPACE, and they go on without a restart when there is room again', { timeout: 120_000 }, async () => {
  const runs = seedCount(24)
  for (let run = 0; run < runs; run++) {
    const host = simHost({ seed: run + 1 })
    const { faults } = host.disk
    const db = await openSim(host, { compaction: { strategy: 'tiered', minMergeWidth: 2 } })
    const expected = new Model()
    let refused = 0
    const write = async (i: number): Promise<boolean> => {
      const key = `key ${i % 400}`
      const value = valueOf(i + 1, i % 50 === 0 ? 20_000 : 1500)
      try {
        if (i % 3 === 0) db.putSync(key, value)
        else await within(host, db.put(key, value, { durability: i % 7 === 0 ? 'disk' : 'os' }))
      } catch (error) {
        assertTyped(error, ['SPILLWAY_NO_SPACE'])
        assert.match((error as SpillwayError).message, /free some space/)
        refused++
        return false
      }
      expected.put(key, value)
      return true
    }
    let i = 0
    while (i < 300 * (run % 3)) await write(i++)
    // Room for a little more, or for a part of a table, a manifest or a log segment only.
    for (let period = 0; period < 3; period++) {
      faults.capacityBytes = host.disk.usedBytes + [0, 10, 1000, 60_000, 500_000, 900_000][(run + period) % 6]!
      for (let more = 0; more < 900; more++) await write(i++)
      faults.capacityBytes = Infinity
      // A failed flush is not begun again by each write that is refused: after a second at the latest it is.
      host.advance(1000)
      for (let more = 0; more < 10; more++) assert.ok(await write(i++), 'there is room again')
    }
    assert.ok(refused > 0)
    // What was refused has left no trace.
    sameEntries(await within(host, db.iterator().all()), expected.read())
    await within(host, db.flush())
    await within(host, db.compact())
    assert.equal(db.stats().memtables.length, 1)
    assert.deepEqual((await within(host, db.verify())).errors, [])
    checkLedger(db)
    await closeEmpty(host, db)

    const again = await openSim(host)
    await host.idle()
    sameEntries(await within(host, again.iterator().all()), expected.read())
    checkFiles(host, again)
    await closeEmpty(host, again)
  }
})

test('a quota that is used up is a full disk, whatever the runtime calls it: writes, flushes and merges go on when it is raised', async () => {
  const host = simHost({ seed: 11 })
  const { faults } = host.disk
  const db = await openSim(host, { compaction: { strategy: 'tiered', minMergeWidth: 2 } })
  let written = 0
  let refused = 0
  for (let period = 0; period < 6; period++) {
    faults.isQuota = true
    faults.capacityBytes = host.disk.usedBytes + [0, 1000, 60_000, 500_000, 20_000, 900_000][period]!
    for (let i = 0; i < 600; i++) {
      try {
        if (i % 3 === 0) db.putSync(`key ${written}`, valueOf(i, i % 50 === 0 ? 20_000 : 1500))
        else await within(host, db.put(`key ${written}`, valueOf(i, 1500), { durability: i % 7 === 0 ? 'disk' : 'os' }))
        written++
      } catch (error) {
        assert.match(assertTyped(error, ['SPILLWAY_NO_SPACE']).message, /the quota is used up.*Nothing was lost/)
        refused++
      }
    }
    // Longer than an error of another kind may last.
    for (let i = 0; i < 8; i++) {
      host.advance(1000)
      await within(host, db.flush()).catch((error: unknown) => assertTyped(error, ['SPILLWAY_NO_SPACE']))
    }
    faults.clear()
    host.advance(1000)
    await within(host, db.flush())
  }
  assert.ok(refused > 100 && written > 600, `${refused} refused, ${written} written`)
  await within(host, db.compact())
  assert.equal(await within(host, db.count()), written)
  await closeEmpty(host, db)
})

test('an iterator that met a failing read goes on where it stood', { timeout: 120_000 }, async () => {
  const host = simHost()
  const { faults } = host.disk
  let db = await openSim(host, { compaction: { strategy: 'tiered', minMergeWidth: 8 } })
  const expected = new Model()
  for (let table = 0; table < 3; table++) {
    for (let i = table; i < 90; i += 1 + table) {
      const value = valueOf(100 * table + i, i % 30 === 0 ? 20_000 : 150)
      expected.put(`key ${i}`, value)
      db.putSync(`key ${i}`, value)
    }
    await within(host, db.flush())
  }
  for (const reverse of [false, true]) {
    let failures = 0
    for (let operation = 1; ; operation++) {
      // With an empty cache.
      await within(host, db.close())
      db = await openSim(host)
      await host.idle()
      const start = faults.operations
      faults.failAt(start + operation)
      const iterator = db.iterator({ reverse, limit: 80 })
      const found: [string, string][] = []
      for (let ended = false; !ended;) {
        try {
          const some = operation % 2 === 0 ? iterator.nextvSync(7) : await iterator.nextv(7)
          found.push(...some)
          ended = some.length === 0
        } catch (error) {
          assertTyped(error, ['SPILLWAY_UNAVAILABLE'])
          failures++
        }
      }
      sameEntries(found, expected.read({ reverse, limit: 80 }))
      await iterator.close()
      if (faults.operations < start + operation) break
    }
    assert.ok(failures >= 3, `${failures} failures`)
    faults.clear()
  }
  await closeEmpty(host, db)
})
