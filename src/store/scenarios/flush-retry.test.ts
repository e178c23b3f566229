/** A failed flush, above all on a full disk, is not started again by every refused write. */
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { RetryPause } from '../background/retry-pause.ts'
import { Spillway } from '../spillway.ts'
import { assertTyped, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

/** The log of a memtable fits, its table beside that does not. */
const LEFT_BYTES = 400_000
const VALUE = noise(1)

/** 1000 characters that do not compress well. */
function noise(seed: number): string {
  let text = ''
  for (let state = seed + 1; text.length < 1000;) {
    state = state * 48_271 % 2_147_483_647
    text += state.toString(36)
  }
  return text.slice(0, 1000)
}

test('the first failure may be tried again at once, then pauses double up to a second, and a success ends them', () => {
  let nowMs = 1000
  const pause = new RetryPause({ nowMs: () => nowMs })
  const pauses: number[] = []
  for (let failure = 0; failure < 8; failure++) {
    assert.ok(pause.isOver)
    pause.failed()
    const failedMs = nowMs
    while (!pause.isOver) nowMs++
    pauses.push(nowMs - failedMs)
  }
  assert.deepEqual(pauses, [0, 50, 100, 200, 400, 800, 1000, 1000])
  pause.failed()
  pause.succeeded()
  assert.ok(pause.isOver)
  pause.failed()
  assert.ok(pause.isOver)
})

/** Attempts of flushes while `body` runs, and the time it takes. */
async function attempts(host: SimHost, body: () => Promise<void>): Promise<{ failed: number, elapsedMs: number }> {
  let failed = 0
  const heard = (message: unknown): void => { if ((message as { error?: Error }).error !== undefined) failed++ }
  diagnostics.subscribe('spillway:flush', heard)
  const startedMs = host.clock.nowMs()
  try {
    await body()
  } finally {
    diagnostics.unsubscribe('spillway:flush', heard)
  }
  return { failed, elapsedMs: host.clock.nowMs() - startedMs }
}

/** What pauses allow in so much time, with those that are still shorter than a second. */
function most(elapsedMs: number): number {
  return 8 + elapsedMs / 1000
}

async function refused(write: () => Promise<void> | void): Promise<boolean> {
  try {
    await write()
    return false
  } catch (error) {
    assertTyped(error, ['SPILLWAY_NO_SPACE'])
    return true
  }
}

for (const durability of ['none', 'os'] as const) {
  for (const isSync of [true, false]) {
    test(`on a full disk thousands of refused writes begin few flushes (${durability}, ${isSync ? 'inside their call' : 'awaited'}), and they go on within a second of there being room`, { timeout: 60_000 }, async () => {
      const host = simHost({ seed: 31 })
      const db = await openSim(host)
      let row = 0
      // The clock moves only with the disk: no wait is long enough for timers.
      const write = (): Promise<boolean> => refused(() => {
        const key = `k${row++}`
        if (isSync) db.putSync(key, noise(row), { durability })
        else return host.idle().then(() => db.put(key, noise(row), { durability }))
      })
      for (let i = 0; i < 100; i++) assert.equal(await write(), false)
      host.disk.faults.capacityBytes = host.disk.usedBytes + LEFT_BYTES
      let refusals = 0
      const { failed, elapsedMs } = await attempts(host, async () => {
        for (let i = 0; i < 2000; i++) if (await write()) refusals++
      })
      assert.ok(refusals > 1000 && failed > 0, `${refusals} writes were refused, ${failed} flushes failed`)
      assert.ok(failed <= most(elapsedMs), `${failed} flushes in ${elapsedMs} ms`)
      host.disk.faults.clear()
      host.advance(1000)
      for (let i = 0; i < 20; i++) assert.equal(await write(), false, 'there is room again')
      await closeEmpty(host, db)
    })
  }
}

test('a flush that is asked for is tried, whatever the pause', async () => {
  const host = simHost({ seed: 32 })
  const db = await openSim(host)
  await within(host, db.put('a', VALUE))
  // Enough for a log segment.
  host.disk.faults.capacityBytes = host.disk.usedBytes + 500
  const { failed } = await attempts(host, async () => {
    for (let i = 0; i < 5; i++) await assert.rejects(db.flush(), { code: 'SPILLWAY_NO_SPACE' })
  })
  assert.equal(failed, 5)
  host.disk.faults.clear()
  await within(host, db.flush())
  assert.equal(db.stats().tables, 1)
  await closeEmpty(host, db)
})

test('writes of another store that needs the memory do not begin it each time', async () => {
  const host = simHost({ seed: 34 })
  const budget = new Budget('8 MiB')
  const [full, other] = [await openSim(host, { budget }), await within(host, Spillway.open('/other', { host, budget, blockBytes: 1024 }))]
  for (let i = 0; i < 200; i++) await within(host, full.put(`k${i}`, noise(i)))
  host.disk.faults.capacityBytes = host.disk.usedBytes + LEFT_BYTES / 4
  await full.flush().catch(() => {})
  let refusals = 0
  const { failed, elapsedMs } = await attempts(host, async () => {
    for (let i = 0; i < 2000; i++) if (await refused(() => { other.putSync(`k${i}`, noise(i), { durability: 'none' }) })) refusals++
  })
  assert.ok(refusals > 1000, `${refusals} writes were refused`)
  assert.ok(failed <= 2 * most(elapsedMs), `${failed} flushes of two stores in ${elapsedMs} ms`)
  host.disk.faults.clear()
  host.advance(1000)
  other.putSync('last', VALUE)
  await within(host, full.close())
  await closeEmpty(host, other)
})
