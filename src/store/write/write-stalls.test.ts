/** Waits and aborts of writes as their callers see them: causes, ages, events and ends. */
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import type { StoreState } from '../state/store-state.ts'
import type { StallEvent } from '../api/events.ts'
import { Spillway } from '../spillway.ts'
import { WriteStalls } from './write-stalls.ts'
import { checkLedger, closeEmpty, openSim, simHost, turns, within } from '../testing/sim.ts'

const VALUE = 'x'.repeat(500)

function slowHost(): SimHost {
  const host = simHost({ seed: 3 })
  const makeRunner = host.runner.bind(host)
  // Jobs go on between turns and for those that wait, as in a thread of their own that is slower than the writer.
  host.runner = options => Object.assign(makeRunner(options), { help: () => {} })
  return host
}

/** Un-awaited puts until one of them waits. */
function fillUp(db: Spillway, calls: Promise<void>[]): void {
  for (let i = 0; db.stats().waiting.writes === 0; i++) {
    assert.ok(i < 100_000, 'no write ever waited')
    calls.push(db.put(`fill:${String(i).padStart(6, '0')}`, VALUE))
  }
}

function listen(channel: string, to: (message: any) => void): () => void {
  const heard = (message: unknown): void => to(message)
  diagnostics.subscribe(channel, heard)
  return () => { diagnostics.unsubscribe(channel, heard) }
}

test('a write that waits can be aborted: it is rejected with its reason, leaves no trace, and the others go on', async () => {
  const host = slowHost()
  const db = await openSim(host, { budget: '8 MiB' })
  const calls: Promise<void>[] = []
  fillUp(db, calls)
  const controller = new AbortController()
  const aborted = [
    db.put('aborted', 'a', { signal: controller.signal }),
    db.batch([{ type: 'put', key: 'aborted too', value: 'b' }], { signal: controller.signal }),
    db.del('fill:000000', { signal: controller.signal }),
    db.deleteRange({ gte: 'fill:' }, { signal: controller.signal }),
  ]
  calls.push(db.put('behind', 'c'))
  const waiting = db.stats().waiting
  controller.abort(new Error('no patience'))
  assert.equal(db.stats().waiting.writes, waiting.writes - 4)
  assert.ok(db.stats().waiting.bytes < waiting.bytes)
  for (const call of aborted) {
    await assert.rejects(call, (error: { code?: string, cause?: unknown }) => error.code === 'SPILLWAY_ABORTED' && (error.cause as Error).message === 'no patience')
  }
  await within(host, Promise.all(calls))
  assert.equal(db.getSync('aborted'), undefined)
  assert.equal(db.getSync('aborted too'), undefined)
  assert.equal(db.getSync('fill:000000'), VALUE)
  assert.equal(db.getSync('behind'), 'c')
  checkLedger(db)
  await closeEmpty(host, db)
})

test('a signal that has fired rejects before anything is written; one that fires after the write changes nothing', async () => {
  const host = slowHost()
  const db = await openSim(host)
  await assert.rejects(db.put('a', '1', { signal: AbortSignal.abort() }), { code: 'SPILLWAY_ABORTED' })
  assert.throws(() => db.putSync('a', '1', { signal: AbortSignal.abort() }), { code: 'SPILLWAY_ABORTED' })
  assert.equal(db.getSync('a'), undefined)
  const controller = new AbortController()
  await within(host, db.put('b', '2', { signal: controller.signal }))
  controller.abort()
  assert.equal(db.getSync('b'), '2')
  await assert.rejects(db.put('c', '3', { signal: 'no' as unknown as AbortSignal }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  await closeEmpty(host, db)
})

test('when all waiting writes were aborted the stall ends, and none is queued for memory', async () => {
  const host = slowHost()
  const budget = new Budget('10 MiB')
  const [one, other] = await Promise.all(['/a', '/b'].map(path => within(host, Spillway.open(path, { budget, host, blockBytes: 1024 }))))
  const calls: Promise<void>[] = []
  fillUp(one!, calls)
  const controller = new AbortController()
  const mine: Promise<unknown>[] = []
  for (let i = 0; i < 20; i++) mine.push(assert.rejects(other!.put(`k${i}`, VALUE, { signal: controller.signal }).then(() => { throw Object.assign(new Error('written'), { code: 'SPILLWAY_ABORTED' }) }), { code: 'SPILLWAY_ABORTED' }))
  controller.abort()
  await within(host, Promise.all([...calls, ...mine]))
  assert.equal(other!.stats().stalls.current, undefined)
  assert.equal(other!.stats().governor.credits.waiting, 0)
  await within(host, other!.put('afterwards', 'x'))
  await within(host, one!.close())
  await within(host, other!.close())
  assert.equal(budget.usedBytes, 0)
})

test('every wait has a cause, an age while it lasts, one event for its beginning and one for its end, and is counted', async () => {
  const host = slowHost()
  const heard: StallEvent[] = []
  const stop = listen('spillway:stall', message => heard.push(message))
  try {
    const db = await openSim(host, { budget: '8 MiB' })
    const calls: Promise<void>[] = []
    for (let round = 0; round < 3; round++) {
      fillUp(db, calls)
      const { current } = db.stats().stalls
      assert.ok(current !== undefined && current.ageMs >= 0)
      assert.ok(['flush', 'merge', 'memory'].includes(current.cause), current.cause)
      await turns(3)
      const older = db.stats().stalls.current
      if (older !== undefined) assert.ok(older.ageMs > current.ageMs)
      await within(host, Promise.all(calls))
    }
    const { stalls } = db.stats()
    assert.equal(stalls.current, undefined)
    assert.ok(stalls.count >= 3 && stalls.totalMs > 0 && stalls.longestMs <= stalls.totalMs)
    assert.equal(Object.values(stalls.byCause).reduce((sum, { count }) => sum + count, 0), stalls.count)
    assert.equal(stalls.recent.length, Math.min(16, stalls.count))
    const waits = heard.filter(({ cause }) => cause !== 'runs' && cause !== 'debt')
    assert.deepEqual(waits.map(({ phase }) => phase), waits.map((_, i) => i % 2 === 0 ? 'begin' : 'end'))
    for (const { phase, durationMs } of waits) assert.equal(phase === 'end', durationMs !== undefined && durationMs >= 0)
    assert.ok(heard.every(({ directory }) => directory === db.directory))
    await closeEmpty(host, db)
  } finally {
    stop()
  }
})

test('a wait that closing ends is ended too', async () => {
  const host = slowHost()
  const heard: StallEvent[] = []
  const stop = listen('spillway:stall', message => heard.push(message))
  try {
    const db = await openSim(host, { budget: '8 MiB' })
    const calls: Promise<void>[] = []
    fillUp(db, calls)
    const settled = Promise.allSettled(calls)
    await closeEmpty(host, db)
    assert.ok((await settled).some(result => result.status === 'rejected' && (result.reason as { code?: string }).code === 'SPILLWAY_CLOSED'))
    assert.equal(heard.at(-1)?.phase, 'end')
  } finally {
    stop()
  }
})

test('a failed flush is told as an event, shown in the stats with its error, keeps its credits, and is retried until it succeeds', async () => {
  const host = slowHost()
  const db = await openSim(host)
  const flushes: { error?: Error, entries: number }[] = []
  const errors: { error: Error, readOnly: boolean }[] = []
  const stops = [listen('spillway:flush', message => flushes.push(message)), listen('spillway:error', message => errors.push(message))]
  try {
    await within(host, db.put('a', VALUE))
    const held = db.stats().governor.credits.usedBytes
    const unflushed = db.stats().unflushedBytes
    assert.ok(held > 0 && unflushed > 500)
    host.disk.faults.capacityBytes = host.disk.usedBytes + 300
    await assert.rejects(within(host, db.flush()), { code: 'SPILLWAY_NO_SPACE' })
    assert.equal(db.getSync('a'), VALUE)
    assert.equal(db.stats().governor.credits.usedBytes, held)
    assert.equal(db.stats().unflushedBytes, unflushed)
    assert.match(db.stats().lastBackgroundError ?? '', /space/)
    assert.ok(flushes.at(-1)?.error !== undefined && errors.at(-1)?.readOnly === false)
    host.disk.faults.clear()
    // It is retried without another call.
    for (let i = 0; i < 20 && db.stats().tables === 0; i++) {
      host.advance(1000)
      await turns(50)
    }
    assert.equal(db.stats().tables, 1)
    assert.equal(db.stats().unflushedBytes, 0)
    assert.equal(db.stats().governor.credits.usedBytes, 0)
    assert.equal(flushes.at(-1)?.entries, 1)
    await closeEmpty(host, db)
  } finally {
    for (const stop of stops) stop()
  }
})

test('ten thousand overwrites of one key leave one key and one value accounted', async () => {
  const host = slowHost()
  const db = await openSim(host)
  await within(host, db.put('key', 'value 0000'))
  const { unflushedBytes } = db.stats()
  for (let i = 1; i <= 10_000; i++) db.putSync('key', `value ${i % 9000 + 1000}`)
  assert.equal(db.stats().flushes, 0)
  assert.equal(db.stats().unflushedBytes, unflushedBytes)
  await closeEmpty(host, db)
})

test('a batch that does not fit the smallest memtable waits for a larger one, and does not take and drop small ones meanwhile', async () => {
  const host = slowHost()
  const budget = new Budget('8 MiB')
  const db = await within(host, Spillway.open('/db', { budget, host }))
  let looks = 0
  // Memory for the smallest only. (A maximum number of tries ends an endless wait.)
  budget.denies = (account, bytes) => account === 'memtables' && bytes > 256 * 1024 && ++looks < 5000
  const batch = db.batch(Array.from({ length: 700 }, (_, i) => ({ type: 'put' as const, key: `batch:${i}`, value: VALUE })))
  const settled = batch.then(() => 'written', (error: { code: string }) => error.code)
  for (let i = 0; i < 200 && looks < 5000; i++) await turns(1)
  assert.ok(looks < 500, `${looks} looks for a larger arena`)
  budget.denies = undefined
  await within(host, db.put('other', VALUE).catch(() => {}))
  const outcome = await within(host, settled)
  if (outcome === 'written') assert.equal(db.getSync('batch:699'), VALUE)
  else assert.equal(outcome, 'SPILLWAY_BUDGET_TOO_SMALL')
  checkLedger(db)
  await closeEmpty(host, db)
})

test('writers that are ahead of a flush are held back if they await, never inside their call, where the flush would not be seen to end', () => {
  let nowMs = 0
  const core = {
    files: { directory: '/db' },
    view: { sealed: [{}], active: { isPlaceholder: false, memtable: { usedBytes: 95, capacityBytes: 100 } }, tree: { runCount: 0, debtBytes: 0 } },
    host: { clock: { nowMs: () => nowMs }, scheduler: { later: () => () => {} } },
    engine: { jobs: { runner: { mode: 'worker' } }, plan: { stall: { slowdownRuns: 20, stopRuns: 40, slowdownDebtBytes: 1e9, stopDebtBytes: 1e10, maxDelayMs: 10 } } },
  }
  const stalls = new WriteStalls(core as unknown as StoreState)
  stalls.pace.begin(1024 * 1024, 0)
  nowMs = 1000
  stalls.owe(100)
  assert.equal(stalls.owes, false)
  assert.equal(stalls.takeDelay(), 10)
  assert.equal(stalls.report().byCause.flush.count, 1)
  core.view.sealed = []
  assert.equal(stalls.takeDelay(), 0)
})
