/**
 * A volume is detached and attached again while the machine runs on: what was not synced is gone, as after a power loss. That is told from
 * damage, which it would be had the file system stayed mounted.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { DIRECTORY, checkFiles, closeEmpty, openSim, seedCount, simHost, within } from '../testing/sim.ts'

const SEEDS = seedCount(60)
const LARGE = 'x'.repeat(40_000)

function pathsOf(host: SimHost, kind: string): string[] {
  return host.files.list(DIRECTORY).filter(name => parseName(name).kind === kind).map(name => `${DIRECTORY}/${name}`)
}

/** Both ways to lose what was not synced. */
for (const detaches of [true, false]) {
  test(`a torn tail of the log, and large values that are gone, end the history after ${detaches ? 'a volume was attached again' : 'a power loss'}`, async () => {
    let torn = 0
    for (let seed = 1; seed <= SEEDS; seed++) {
      let host = simHost({ seed })
      let db = await openSim(host)
      db.putSync('durable', LARGE, { durability: 'disk' })
      for (let i = 0; i < 12; i++) db.putSync(`key ${String(i).padStart(2, '0')}`, i % 4 === 3 ? LARGE : 'v'.repeat(700))
      host = host.crash({ detaches })
      db = await openSim(host)
      const entries = await within(host, db.iterator({ gte: 'key' }).all())
      assert.deepEqual(entries.map(([key]) => key), [...entries.keys()].map(i => `key ${String(i).padStart(2, '0')}`), 'a prefix')
      for (const [i, [, value]] of entries.entries()) assert.equal(value, i % 4 === 3 ? LARGE : 'v'.repeat(700), `seed ${seed}`)
      if (entries.length < 12) torn++
      assert.equal(db.getSync('durable'), LARGE)
      assert.deepEqual((await within(host, db.verify())).errors, [])
      await host.idle()
      checkFiles(host, db)
      await closeEmpty(host, db)
    }
    assert.ok(torn > SEEDS / 4, `${torn} of ${SEEDS} have lost something`)
  })
}

test('under the same mount a hole in the log is damage', async () => {
  let host = simHost({ seed: 1 })
  const db = await openSim(host)
  for (let i = 0; i < 12; i++) db.putSync(`key ${i}`, 'v'.repeat(700))
  host = host.crash({ lossless: true })
  host.disk.corrupt(pathsOf(host, 'log')[0]!, 3000, 1)
  await assert.rejects(openSim(host), { code: 'SPILLWAY_CORRUPTION' })
})
