/** Manifests of flushes and merges while they are on their way: what is seen, what waits, and what a crash, a fault or a lost thread leaves. */
import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import fs, { mkdtempSync, rmSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { manifestName, parseName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Spillway } from '../spillway.ts'
import { GatedRunner } from '../testing/gated-runner.ts'
import { DIRECTORY, checkFiles, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, turns, within } from '../testing/sim.ts'
import type { CompactionOption, OpenOptions } from '../api/options.ts'

const FIRST_SEED = firstSeed(1)
const SEEDS = seedCount(6)
/** Two merges may run at once. */
const BUDGET = '32 MiB'
const MERGING: CompactionOption = { strategy: 'tiered', minMergeWidth: 2 }
const CALM: CompactionOption = { strategy: 'tiered', minMergeWidth: 8 }

interface Gated {
  host: SimHost
  db: Spillway
  runner: GatedRunner
}

async function open(options: OpenOptions = {}): Promise<Gated> {
  const host = simHost({ seed: 2 })
  const gate = GatedRunner.of(host)
  const db = await openSim(host, { budget: BUDGET, compaction: CALM, ...options })
  return { host, db, runner: gate.runner }
}

async function until(isSo: () => boolean): Promise<void> {
  for (let i = 0; i < 100_000; i++) {
    if (isSo()) return
    await turns(1)
  }
  throw new Error('it never came to that')
}

/** A table of this many values of 1000 characters. */
async function writeTable({ host, db }: Pick<Gated, 'host' | 'db'>, name: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) db.putSync(`${name} ${i}`, name.repeat(1000 / name.length))
  await within(host, db.flush())
}

function manifests(host: SimHost): number[] {
  return host.files.list(DIRECTORY).map(name => parseName(name)).filter(({ kind }) => kind === 'manifest').map(({ number }) => number)
}

/** Everything is there, once more after the store was opened again. */
async function checkEnd({ host, db }: Gated, expected: Record<string, string>): Promise<void> {
  for (const [key, value] of Object.entries(expected)) assert.equal(await db.get(key), value)
  assert.deepEqual((await within(host, db.verify())).errors, [])
  await host.idle()
  checkLedger(db)
  checkFiles(host, db)
  await closeEmpty(host, db)
  const again = await openSim(host, { budget: BUDGET })
  for (const [key, value] of Object.entries(expected)) assert.equal(await again.get(key), value)
  await host.idle()
  checkFiles(host, again)
  await closeEmpty(host, again)
}

/** What a program that awaits makes durable on its own thread, while it flushes and merges. */
async function syncsOnThread(budget: string): Promise<{ files: number, directories: number }> {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-installs-'))
  const { fdatasyncSync, fsyncSync } = fs
  const syncs = { files: 0, directories: 0 }
  try {
    const db = await Spillway.open(directory, { budget, compaction: MERGING })
    fs.fdatasyncSync = fd => { syncs.files++; fdatasyncSync(fd) }
    fs.fsyncSync = fd => { syncs.directories++; fsyncSync(fd) }
    syncBuiltinESMExports()
    for (let table = 0; table < 4; table++) {
      for (let i = 0; i < 50; i++) await db.put(`key ${i}`, String(table))
      await db.flush()
    }
    await db.compact()
    const { flushes, merges } = db.stats()
    assert.deepEqual([flushes, merges > 0], [4, true])
    const seen = { ...syncs }
    for (let i = 0; i < 4000; i++) db.putSync(`key ${i}`, 'x'.repeat(1000))
    await db.flush()
    await db.close()
    return seen
  } finally {
    Object.assign(fs, { fdatasyncSync, fsyncSync })
    syncBuiltinESMExports()
    rmSync(directory, { recursive: true })
  }
}

test('the main thread makes nothing durable for flushes and merges, where there is a worker', async () => {
  assert.deepEqual(await syncsOnThread('32 MiB'), { files: 0, directories: 0 })
})

test('without a worker they are made durable by the thread pool', async () => {
  assert.deepEqual(await syncsOnThread('16 MiB'), { files: 0, directories: 0 })
})

test('until the manifest counts readers see the old tables, and the new ones are not merged', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  await writeTable(gated, 'first', 5)
  const { manifest } = db.stats()
  runner.hold('publish')
  db.putSync('second', 'value')
  const iterator = db.iterator()
  const flushed = db.flush()
  await until(() => runner.isHolding('publish'))
  await turns(20)
  assert.deepEqual([db.stats().manifest, db.stats().flushes, db.stats().tables, manifests(host)], [manifest, 1, 1, [manifest]])
  assert.equal(db.stats().memtables.length, 2)
  assert.equal(await db.get('second'), 'value')
  assert.equal((await within(host, db.iterator().all())).length, 6)
  assert.deepEqual((await within(host, db.verify())).errors, [])
  db.putSync('third', 'value')
  assert.deepEqual(runner.submitted.slice(-2), ['flush', 'publish'])
  runner.release('publish')
  await within(host, flushed)
  assert.deepEqual([db.stats().flushes, db.stats().memtables.length], [2, 1])
  assert.equal((await within(host, iterator.all())).length, 6)
  await until(() => db.stats().merges === 1)
  await checkEnd(gated, { 'first 4': 'first'.repeat(200), second: 'value', third: 'value' })
})

test('two merges that end while the manifest of a flush is on its way go into one manifest', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  runner.hold('merge')
  await writeTable(gated, 'large a', 2000)
  await writeTable(gated, 'large b', 2000)
  await until(() => runner.isHolding('merge'))
  await writeTable(gated, 'small a', 5)
  await writeTable(gated, 'small b', 5)
  await until(() => runner.submitted.filter(name => name === 'merge').length === 2)
  const { manifest, tables } = db.stats()
  assert.equal(tables, 4)
  runner.hold('publish')
  db.putSync('flushed', 'value')
  const flushed = db.flush()
  await until(() => runner.isHolding('publish'))
  runner.release('merge')
  for (let left = runner.pending; left > 1; left = runner.pending) await turns(1)
  assert.deepEqual([db.stats().merges, db.stats().manifest], [0, manifest])
  runner.hold('merge')
  runner.release('publish')
  await within(host, flushed)
  await until(() => db.stats().merges === 2)
  // One for the flush, one for both merges, and none more.
  assert.deepEqual([db.stats().manifest, db.stats().tables, manifests(host)], [manifest + 2, 3, [manifest + 2]])
  runner.release('merge')
  await host.idle()
  await checkEnd(gated, { 'large a 1999': 'large a'.repeat(142), 'small b 4': 'small b'.repeat(142), flushed: 'value' })
})

test('a synchronous write that finds no room waits inside its call for the manifest that is on its way', async () => {
  const gated = await open({ budget: '8 MiB' })
  const { db, runner } = gated
  runner.hold('publish')
  const expected: Record<string, string> = {}
  for (let i = 0; runner.pumped < 3; i++) {
    assert.ok(i < 100_000, 'no wait ever began')
    db.putSync(`key ${i}`, 'x'.repeat(2000))
    if (i % 500 === 0) expected[`key ${i}`] = 'x'.repeat(2000)
  }
  runner.release('publish')
  await within(gated.host, db.flush())
  await checkEnd(gated, expected)
})

test('close waits for the manifest that is on its way, and what it names is kept', async () => {
  for (const ends of ['before', 'after', undefined] as const) {
    const gated = await open()
    const { host, db, runner } = gated
    runner.hold('publish')
    db.putSync('flushed', 'value')
    const flushed = db.flush().catch(() => {})
    await until(() => runner.isHolding('publish'))
    db.putSync('logged', 'value')
    if (ends !== undefined) runner.losing.set('publish', ends)
    let isClosed = false
    const closed = db.close().then(() => { isClosed = true })
    await turns(50)
    assert.equal(isClosed, false)
    runner.release('publish')
    await within(host, Promise.all([closed, flushed]))
    assert.equal(isClosed, true)
    assert.equal(db.memory().usedBytes, 0)
    const again = await openSim(host, { budget: BUDGET })
    assert.equal(again.stats().tables, 1)
    await checkEnd({ ...gated, db: again }, { flushed: 'value', logged: 'value' })
  }
})

test('a merge that ends while the store is being closed leaves no table', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  runner.hold('merge')
  await writeTable(gated, 'first', 5)
  await writeTable(gated, 'second', 5)
  await until(() => runner.isHolding('merge'))
  runner.hold('publish')
  db.putSync('flushed', 'value')
  const flushed = db.flush().catch(() => {})
  await until(() => runner.isHolding('publish'))
  const closed = db.close()
  runner.release('merge')
  await turns(50)
  runner.release('publish')
  await within(host, Promise.all([closed, flushed]))
  const again = await openSim(host, { budget: BUDGET, compaction: CALM })
  assert.equal(again.stats().tables, 3)
  await checkEnd({ ...gated, db: again }, { 'first 0': 'first'.repeat(200), 'second 4': 'second'.repeat(166), flushed: 'value' })
})

test('no merge begins while the store is being closed', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  runner.hold('merge')
  await writeTable(gated, 'large a', 2000)
  await writeTable(gated, 'large b', 2000)
  await until(() => runner.isHolding('merge'))
  await writeTable(gated, 'small a', 5)
  runner.hold('publish')
  db.putSync('flushed', 'value')
  const flushed = db.flush().catch(() => {})
  await until(() => runner.isHolding('publish'))
  const closed = db.close()
  // With the table that is installed now there are two small ones.
  runner.release('publish')
  await turns(100)
  const merges = runner.submitted.filter(name => name === 'merge').length
  runner.release('merge')
  await within(host, Promise.all([closed, flushed]))
  assert.equal(merges, 1)
  const again = await openSim(host, { budget: BUDGET, compaction: CALM })
  assert.equal(again.stats().tables, 4)
  await checkEnd({ ...gated, db: again }, { 'large a 0': 'large a'.repeat(142), flushed: 'value' })
})

test('a large transaction and a large batch wait for the manifest of a merge that is on its way, and are whole', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  /** A merge has ended, and its manifest is held. */
  const merge = async (name: string): Promise<void> => {
    runner.hold('merge')
    await writeTable(gated, `${name} a`, 5)
    await writeTable(gated, `${name} b`, 5)
    await until(() => runner.isHolding('merge'))
    runner.hold('publish')
    runner.release('merge')
    await until(() => runner.isHolding('publish'))
  }
  await merge('first')
  const transaction = await db.begin()
  let isCommitted = false
  const committed = (async () => {
    for (let i = 0; i < 12_000; i++) await transaction.put(`in ${i}`, 'x'.repeat(1000))
    await transaction.commit()
    isCommitted = true
  })()
  await until(() => runner.pending === 1 && runner.submitted.at(-1) !== 'publish')
  await turns(2000)
  assert.deepEqual([isCommitted, runner.isHolding('publish'), await db.get('in 0')], [false, true, undefined])
  runner.release('publish')
  await within(host, committed)
  assert.equal(await db.get('in 11999'), 'x'.repeat(1000))
  await host.idle()

  await merge('second')
  assert.equal(runner.pumped, 0)
  db.batchSync(Array.from({ length: 12_000 }, (_, i) => ({ type: 'put' as const, key: `batch ${i}`, value: 'y'.repeat(1000) })))
  assert.equal(runner.pumped, 1)
  runner.release('publish')
  await checkEnd(gated, { 'first b 0': 'first b'.repeat(142), 'second a 4': 'second a'.repeat(125), 'in 0': 'x'.repeat(1000), 'batch 11999': 'y'.repeat(1000) })
})

/** A large transaction that is being committed and waits for the manifest of a merge, which is held; more that waits comes behind it. */
async function waitingCommit(gated: Gated, signal?: AbortSignal): Promise<{ committed: Promise<string>, key: string }> {
  const { db, runner } = gated
  runner.hold('merge')
  await writeTable(gated, 'first a', 5)
  await writeTable(gated, 'first b', 5)
  await until(() => runner.isHolding('merge'))
  const transaction = await db.begin(signal === undefined ? {} : { signal })
  const filled = (async () => { for (let i = 0; i < 12_000; i++) await transaction.put(`in ${i}`, 'x'.repeat(1000)) })()
  await within(gated.host, filled)
  runner.hold('publish')
  runner.release('merge')
  await until(() => runner.isHolding('publish'))
  const committed = transaction.commit().then(() => 'committed', (error: { code: string }) => error.code)
  await until(() => runner.pending === 1)
  await turns(2000)
  return { committed, key: 'in 11999' }
}

/** The manifest that is held goes on; those after it are held again. */
async function releaseOne({ runner }: Gated): Promise<void> {
  runner.release('publish')
  runner.hold('publish')
  await until(() => runner.isHolding('publish'))
  await turns(50)
}

test('a large transaction is committed after the manifest that was on its way, before what waits behind it', async () => {
  const gated = await open({ compaction: MERGING })
  const { host, db, runner } = gated
  const { committed, key } = await waitingCommit(gated)
  db.putSync('flushed', 'value')
  const flushed = db.flush()
  await until(() => runner.pending === 1)
  await releaseOne(gated)
  assert.deepEqual([await db.has(key), runner.isHolding('publish')], [true, true], 'one manifest begins as the other ends')
  assert.equal(await committed, 'committed')
  runner.release('publish')
  await within(host, flushed)
  await checkEnd(gated, { flushed: 'value', 'in 0': 'x'.repeat(1000), 'first a 4': 'first a'.repeat(142) })
})

test('a call that waits inside itself for a manifest behind a transaction gets it', async () => {
  const gated = await open({ compaction: MERGING })
  const { db, runner } = gated
  const { committed } = await waitingCommit(gated)
  const { pumped } = runner
  for (let i = 0; runner.pumped < pumped + 3; i++) {
    assert.ok(i < 100_000, 'no wait ever began')
    db.putSync(`key ${i}`, 'x'.repeat(2000))
  }
  runner.release('publish')
  assert.equal(await within(gated.host, committed), 'committed')
  await checkEnd(gated, { 'key 0': 'x'.repeat(2000), 'in 0': 'x'.repeat(1000), 'first a 4': 'first a'.repeat(142) })
})

test('a listener that writes until it waits inside itself, between a manifest and a transaction, waits for neither', async () => {
  const gated = await open({ compaction: MERGING })
  const { db, runner } = gated
  const { committed } = await waitingCommit(gated)
  let failure: unknown
  const listener = (): void => {
    unsubscribe('spillway:merge', listener)
    try {
      // More than all memtables hold.
      for (let i = 0; i < 12_000; i++) db.putSync(`key ${i}`, 'x'.repeat(2000))
    } catch (error) {
      failure = error
    }
  }
  subscribe('spillway:merge', listener)
  runner.release('publish')
  assert.equal(await within(gated.host, committed), 'committed')
  assert.equal(failure, undefined)
  await checkEnd(gated, { 'key 0': 'x'.repeat(2000), 'in 0': 'x'.repeat(1000), 'first a 4': 'first a'.repeat(142) })
})

test('a transaction that waits for a manifest ends with it when it is in conflict, not wanted any more, or its store closes', async () => {
  for (const code of ['SPILLWAY_CONFLICT', 'SPILLWAY_CLOSED', 'SPILLWAY_ABORTED']) {
    const gated = await open({ compaction: MERGING })
    const { host, db, runner } = gated
    const aborter = new AbortController()
    const { committed, key } = await waitingCommit(gated, aborter.signal)
    if (code === 'SPILLWAY_CONFLICT') db.putSync(key, 'of another writer')
    if (code === 'SPILLWAY_ABORTED') aborter.abort()
    const closed = code === 'SPILLWAY_CLOSED' ? db.close() : undefined
    runner.release('publish')
    assert.equal(await within(host, committed), code)
    await closed
    const again = closed === undefined ? db : await openSim(host, { budget: BUDGET })
    assert.equal(await again.get(key), code === 'SPILLWAY_CONFLICT' ? 'of another writer' : undefined)
    await checkEnd({ ...gated, db: again }, { 'first a 4': 'first a'.repeat(142) })
  }
})

test('another process that took over while the manifest was on its way fences the store out, and its manifest stays', async () => {
  const gated = await open()
  const { host, db, runner } = gated
  await writeTable(gated, 'first', 5)
  runner.hold('publish')
  db.putSync('second', 'value')
  const flushed = db.flush()
  await until(() => runner.isHolding('publish'))
  const next = db.stats().manifest + 1
  const other = new TextEncoder().encode('of another process')
  host.files.publish(`${DIRECTORY}/${manifestName(next)}`, other)
  runner.release('publish')
  await assert.rejects(within(host, flushed), { code: 'SPILLWAY_FENCED', message: /another process has written .*epoch 1/ })
  assert.throws(() => db.putSync('third', 'value'), { code: 'SPILLWAY_FENCED' })
  assert.deepEqual(host.files.readAll(`${DIRECTORY}/${manifestName(next)}`), other)
  // What it would have named may be named by the other one.
  assert.equal(host.files.list(DIRECTORY).filter(name => parseName(name).kind === 'table').length, 2)
  assert.equal(await db.get('second'), 'value')
  await assert.rejects(within(host, db.close()), { code: 'SPILLWAY_FENCED' })
})

test('tables that another process has taken over with the manifest are left to it', async () => {
  const host = simHost({ seed: 2 })
  const db = await openSim(host, { budget: '32 MiB' })
  await within(host, db.put('first', 'a'))
  await within(host, db.flush())
  const next = db.stats().manifest + 1
  const { files } = host
  const prototype = Object.getPrototypeOf(files) as typeof files
  const original = prototype.publishInSteps
  prototype.publishInSteps = function* (path, bytes) {
    yield* original.call(this, path, bytes)
    if (!path.endsWith(manifestName(next))) return
    // The other one opened in that moment: it read this manifest, went on from it and removed it.
    this.publish(`${DIRECTORY}/${manifestName(next + 1)}`, bytes)
    this.remove(path)
  }
  try {
    await within(host, db.put('second', 'b'))
    await assert.rejects(within(host, db.flush()))
    await turns(20)
  } finally {
    prototype.publishInSteps = original
  }
  const tables = files.list(DIRECTORY).filter(name => parseName(name)?.kind === 'table')
  assert.equal(tables.length, 2)
  await assert.rejects(within(host, db.put('third', 'c')), { code: 'SPILLWAY_FENCED' })
  await assert.rejects(within(host, db.close()), { code: 'SPILLWAY_FENCED' })
})

test('a thread that dies with the manifest, before it was written or after, costs nothing', async () => {
  for (const when of ['before', 'after'] as const) {
    const gated = await open()
    const { host, db, runner } = gated
    const { manifest } = db.stats()
    runner.losing.set('publish', when)
    await writeTable(gated, 'first', 5)
    assert.deepEqual([db.stats().manifest, db.stats().flushes, manifests(host)], [manifest + 1, 1, [manifest + 1]])
    await writeTable(gated, 'second', 5)
    await checkEnd(gated, { 'first 0': 'first'.repeat(200), 'second 4': 'second'.repeat(166) })
  }
})

/** A flush from a fixed state whose manifest meets a fault. Undefined: the fault did not come to pass. */
async function flushWithFault(seed: number, operation: number, code: string, isSticky: boolean): Promise<{ host: SimHost, db: Spillway, what: string, error: Error | undefined } | undefined> {
  const host = simHost({ seed })
  const db = await openSim(host, { compaction: CALM })
  await writeTable({ host, db }, 'first', 5)
  await within(host, db.put('second', 'value', { durability: 'disk' }))
  const { disk } = host
  disk.log.length = 0
  disk.isLogging = true
  disk.faults.failAt(disk.faults.operations + operation, code, isSticky)
  const error = await within(host, db.flush()).then(() => undefined, (thrown: Error) => thrown)
  const failing = disk.log.find(line => line.endsWith('FAILS'))
  disk.isLogging = false
  return failing === undefined ? undefined : { host, db, what: failing.replace(/ \/.*$/, ''), error }
}

test(`the power may fail at any point of a flush and its manifest: what was acknowledged is there, and nothing is left over (${SEEDS} seeds)`, { timeout: 600_000 }, async () => {
  const seen = new Set<string>()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    for (let operation = 1; ; operation++) {
      const failed = await flushWithFault(seed, operation, 'EIO', true)
      if (failed === undefined) break
      const host = failed.host.crash()
      const db = await openSim(host)
      await host.idle()
      assert.equal(await db.get('second'), 'value', `seed ${seed}, operation ${operation}`)
      assert.equal(await db.get('first 4'), 'first'.repeat(200))
      assert.deepEqual((await within(host, db.verify())).errors, [])
      checkFiles(host, db)
      seen.add(`${failed.what} ${db.stats().tables}`)
      await closeEmpty(host, db)
    }
  }
  for (const point of ['publish write 1', 'publish link 1', 'list 2', 'remove 2']) assert.ok(seen.has(point), `${point} is not among ${[...seen].join(', ')}`)
})

test('the power may fail between any two turns while a manifest is on its way', { timeout: 600_000 }, async () => {
  const seen = new Set<number>()
  for (let seed = FIRST_SEED; seed < FIRST_SEED + 4 * SEEDS; seed++) {
    for (let count = 0, isOver = false; !isOver; count++) {
      const host = simHost({ seed })
      const gate = GatedRunner.of(host)
      const db = await openSim(host, { compaction: CALM })
      await writeTable({ host, db }, 'first', 5)
      gate.runner.hold('publish')
      db.putSync('second', 'value', { durability: 'disk' })
      void db.flush().then(() => { isOver = true }, () => {})
      await until(() => gate.runner.isHolding('publish'))
      gate.runner.release('publish')
      await turns(count)
      const next = host.crash()
      const again = await openSim(next)
      await next.idle()
      assert.equal(await again.get('second'), 'value', `seed ${seed}, turn ${count}`)
      assert.deepEqual((await within(next, again.verify())).errors, [])
      checkFiles(next, again)
      seen.add(again.stats().tables)
      await closeEmpty(next, again)
    }
  }
  assert.deepEqual([...seen].sort(), [1, 2])
})

test('a fault at any point of a manifest fails its flush: it is retried, or its state is unknown and the store takes no more writes', { timeout: 600_000 }, async () => {
  const outcomes = new Set<string>()
  for (const code of ['EIO', 'ENOSPC']) {
    for (let operation = 1; ; operation++) {
      const failed = await flushWithFault(1, operation, code, false)
      if (failed === undefined) break
      const { host, what, error } = failed
      let { db } = failed
      const written = await within(host, db.put('third', 'value', { durability: 'disk' })).then(() => 'open', (thrown: { code: string }) => thrown.code)
      if (what.startsWith('publish') || what === 'list') outcomes.add(`${what}: ${error === undefined ? 'flushed' : 'failed'}, ${written}`)
      assert.equal(await db.get('second'), 'value')
      if (written === 'open') await within(host, db.flush())
      await within(host, db.close())
      db = await openSim(host)
      await host.idle()
      assert.equal(await db.get('second'), 'value')
      if (written === 'open') assert.equal(await db.get('third'), 'value')
      checkFiles(host, db)
      assert.deepEqual((await within(host, db.verify())).errors, [])
      await closeEmpty(host, db)
    }
  }
  assert.deepEqual([...outcomes].sort(), [
    'list: flushed, open', 'publish link: failed, open', 'publish sync: failed, SPILLWAY_READ_ONLY', 'publish write: failed, open',
  ])
})
