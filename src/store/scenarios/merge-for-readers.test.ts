/** Read-triggered merges: a store that is only read has its runs merged once reads have paid for it, and not while it is written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Random } from '../../host/sim/random.ts'
import type { Spillway } from '../spillway.ts'
import { openSim, simHost, turns, within } from '../testing/sim.ts'

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

test('reads that probe several runs while nothing is written have them merged', async () => {
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

/** Rows that hardly compress, every third from `run` on. */
function writer(host: ReturnType<typeof simHost>, db: Spillway): (run: number, rows: number) => Promise<void> {
  const random = new Random(3)
  const valueOf = (): string => Array.from({ length: 250 }, () => random.next32().toString(36).padStart(4, '0').slice(-4)).join('')
  return async (run, rows) => {
    for (let i = 0; i < rows; i += 100) {
      await within(host, db.batch(Array.from({ length: 100 }, (_, k) => ({ type: 'put' as const, key: keyOf((i + k) * 3 + run), value: valueOf() }))))
    }
    await within(host, db.flush())
  }
}

test('readers pay little for a merge of what was written since the last one, and all of another', async () => {
  const host = simHost({ seed: 3 })
  const db = await openSim<string, string>(host, { budget: '24 MiB', rowCache: false })
  const write = writer(host, db)
  await write(0, KEYS)
  await write(1, KEYS)
  const runs = (): number => db.stats().runs.length
  assert.ok(runs() > 1)
  // Its price is that of some reads a kilobyte: far fewer than what it costs.
  await read(db, 60_000, () => host.advance(300))
  await host.idle()
  assert.equal(runs(), 1)
  await write(2, 200)
  assert.equal(runs(), 2)
  await read(db, 60_000, () => host.advance(300))
  await host.idle()
  assert.equal(runs(), 2, 'a few new rows are no reason to write all of them again')
  await read(db, 400_000, () => host.advance(300))
  await host.idle()
  assert.equal(runs(), 1, 'unless it pays')
  await within(host, db.close())
})

test('while the store is written, runs are for the strategy alone', async () => {
  const host = simHost({ seed: 2 })
  const db = await inRuns(host)
  const { tableBytes } = db.stats()
  await read(db, 100_000, i => {
    host.advance(300)
    db.putSync('another', `${i}`.padEnd(tableBytes / 50))
  })
  await host.idle()
  assert.ok(db.stats().runs.length >= 3, `${db.stats().runs.length} runs`)
  await within(host, db.close())
})

test('beside one who writes little readers have runs merged, if enough of it is new', async () => {
  const host = simHost({ seed: 6 })
  const db = await openSim<string, string>(host, { budget: '24 MiB', rowCache: false })
  const write = writer(host, db)
  await write(0, KEYS)
  await write(1, KEYS)
  const runs = (): number => db.stats().runs.length
  const each = (i: number): void => {
    host.advance(300)
    db.putSync('another', `${i}`)
  }
  await read(db, 60_000, each)
  await host.idle()
  assert.equal(runs(), 1)
  await write(2, 200)
  await read(db, 500_000, each)
  await host.idle()
  assert.equal(runs(), 2, 'for a few new rows not all of them are written again, time after time')
  await write(2, 1000)
  await read(db, 500_000, each)
  await host.idle()
  assert.equal(runs(), 1)
  await within(host, db.close())
})

test('what was compacted is not merged again for a few new rows', async () => {
  const host = simHost({ seed: 4 })
  const db = await openSim<string, string>(host, { budget: '24 MiB', rowCache: false })
  const write = writer(host, db)
  await write(0, KEYS)
  await write(1, KEYS)
  await within(host, db.compact())
  await write(2, 100)
  await read(db, 60_000, () => host.advance(300))
  await host.idle()
  assert.equal(db.stats().runs.length, 2)
  await within(host, db.close())
})

test('a failed read-triggered merge stops no writes', async () => {
  const host = simHost({ seed: 5 })
  const db = await inRuns(host)
  const { id } = db.stats().runs[0]!
  host.disk.corrupt(`/store/${String(id).padStart(8, '0')}.table`, 20_000, 1)
  for (let round = 0; round < 60; round++) {
    for (let i = 0; i < 5000; i++) db.getSync(keyOf(i % 50))
    for (let i = 0; i < 50; i++) {
      host.advance(300)
      await turns(1)
    }
    await host.idle()
  }
  assert.ok(db.stats().backgroundErrors > 4, `${db.stats().backgroundErrors} merges have failed`)
  await within(host, db.put('another', 'value'))
  await within(host, db.close())
})
