/** A store that is only read has its runs merged once reads have paid for them, and not while somebody writes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Spillway } from './spillway.ts'
import { openSim, simHost, turns, within } from './testing/sim.ts'

const KEYS = 3000
const keyOf = (i: number): string => `key ${String(i).padStart(5, '0')}`

async function inRuns(host: ReturnType<typeof simHost>): Promise<Spillway> {
  const db = await openSim<string, string>(host, { budget: '12 MiB', rowCache: false })
  for (let run = 0; run < 3; run++) {
    await within(host, db.batch(Array.from({ length: KEYS }, (_, i) => ({ type: 'put' as const, key: keyOf(i * 3 + run), value: `${i} of ${run}` }))))
    await within(host, db.flush())
  }
  assert.equal(db.stats().runs.length, 3)
  return db
}

async function read(db: Spillway, count: number, each: (i: number) => void = () => {}): Promise<void> {
  for (let i = 0; i < count; i++) {
    db.getSync(keyOf(i * 7 % (3 * KEYS)))
    if (i % 2000 === 0) {
      each(i)
      await turns(1)
    }
  }
}

test('readers who look through several runs while nobody writes have them merged', async () => {
  const host = simHost({ seed: 1 })
  const db = await inRuns(host)
  await read(db, 20_000, () => host.advance(300))
  assert.equal(db.stats().runs.length, 3, 'a few reads do not pay for it')
  await read(db, 80_000, () => host.advance(300))
  await host.idle()
  assert.equal(db.stats().runs.length, 1)
  assert.equal(db.getSync(keyOf(7)), '2 of 1')
  const before = db.stats().runs[0]!.id
  await read(db, 100_000, () => host.advance(300))
  await host.idle()
  assert.equal(db.stats().runs[0]!.id, before, 'one run is as good as it gets')
  await within(host, db.close())
})

test('while somebody writes, runs are for the strategy alone', async () => {
  const host = simHost({ seed: 2 })
  const db = await inRuns(host)
  await read(db, 100_000, i => {
    host.advance(300)
    db.putSync('another', `${i}`)
  })
  await host.idle()
  assert.ok(db.stats().runs.length >= 3, `${db.stats().runs.length} runs`)
  await within(host, db.close())
})
