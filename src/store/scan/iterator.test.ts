/** An iterator that ends in the middle of something. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SpillwayIterator } from './iterator.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

const ROWS = 200
const keyOf = (i: number): string => `key ${String(i).padStart(4, '0')}`

for (const reverse of [false, true]) {
  for (const how of ['nextvSync', 'entriesSync'] as const) {
    test(`a codec that closes its iterator ends ${how} with an error that says so, ${reverse ? 'backward' : 'forward'}`, async () => {
      const host = simHost()
      const db = await openSim(host)
      for (let i = 0; i < ROWS; i++) db.putSync(keyOf(i), `value ${i}`)
      await within(host, db.flush())
      const before = db.memory().accounts['iterators']?.bytes
      let decoded = 0
      const decode = (bytes: Uint8Array): string => {
        if (++decoded === 5) iterator.closeSync()
        return Buffer.from(bytes).toString()
      }
      const iterator: SpillwayIterator<[string, string]> = db.iterator({ reverse, valueEncoding: { encode: (value: string) => value, decode } })
      assert.throws(() => how === 'nextvSync' ? iterator.nextvSync(20) : [...iterator.entriesSync()], {
        code: 'SPILLWAY_CLOSED', message: /the iterator is closed/,
      })
      assert.equal(decoded, 5)
      assert.equal(db.memory().accounts['iterators']?.bytes, before, 'all of it was given back')
      assert.equal(db.stats().snapshots.open, 0)
      await within(host, db.close())
    })
  }
}

test('with its limit used up to the last entry an iterator ends, whichever way it goes', async () => {
  const host = simHost()
  const db = await openSim(host)
  for (let i = 0; i < ROWS; i++) db.putSync(keyOf(i), `value ${i}`)
  await within(host, db.flush())
  for (const reverse of [false, true]) {
    for (const limit of [1, 2, 7, ROWS - 1, ROWS, ROWS + 1]) {
      const found = [...db.entriesSync({ reverse, limit })].map(([key]) => key)
      const wanted = Array.from({ length: Math.min(limit, ROWS) }, (_, i) => keyOf(reverse ? ROWS - 1 - i : i))
      assert.deepEqual(found, wanted)
    }
  }
  await within(host, db.close())
})
