/** A store that is opened for reading: what it shows, and that its directory stays as it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Random } from '../../host/sim/random.ts'
import { temporaryDirectory } from '../../host/node/temporary-directory.ts'
import type { Spillway } from '../spillway.ts'
import { valueOf } from '../testing/run-commands.ts'
import { DIRECTORY, TINY_BUDGET, assertTyped, checkLedger, closeEmpty, firstSeed, openSim, seedCount, simHost, within } from '../testing/sim.ts'
import { filesOf } from '../testing/stored-files.ts'
import type { OpenOptions } from '../api/options.ts'

/** The store's directory is read-only: any call that would change it fails, and is counted. */
async function openRead(host: SimHost, options: OpenOptions = {}): Promise<Spillway> {
  host.disk.faults.readOnlyDirectory = DIRECTORY
  return openSim(host, { ...options, readOnly: true })
}

/** Close it; nothing was tried, and nothing is left elsewhere. */
async function closeRead(host: SimHost, db: Spillway): Promise<void> {
  checkLedger(db)
  await closeEmpty(host, db)
  assert.deepEqual(host.disk.faults.refusals, [])
  host.disk.faults.readOnlyDirectory = undefined
  if (host.files.exists(temporaryDirectory())) {
    assert.deepEqual(host.files.list(temporaryDirectory()).filter(name => name.startsWith('spillway-')), [])
  }
}

async function refused(host: SimHost, opening: Promise<Spillway>, code: string): Promise<string> {
  const error = await within(host, opening.then(() => assert.fail('it was opened'), (thrown: unknown) => thrown))
  return assertTyped(error, [code]).message
}

/** Tables, a range tombstone in a table and one in the log, large values in both, some of them overwritten. */
async function filled(host: SimHost): Promise<Spillway> {
  const db = await openSim(host)
  for (let i = 0; i < 40; i++) db.putSync(`key ${i}`, valueOf(i, i === 7 ? 20_000 : 30))
  db.deleteRangeSync({ gte: 'key 10', lt: 'key 12' })
  await within(host, db.flush())
  for (let i = 20; i < 30; i++) db.putSync(`key ${i}`, valueOf(i + 1000, i === 25 ? 21_000 : 40))
  db.putSync('key 7', 'small now')
  db.delSync('key 3')
  db.deleteRangeSync({ gte: 'key 30', lte: 'key 31' })
  return db
}

function entriesOf(db: Spillway): [string, string][] {
  return [...db.entriesSync()]
}

test('a closed store and one whose process died are read whole, and their directory stays as it is', async () => {
  for (const isCrash of [false, true]) {
    let host = simHost()
    const writer = await filled(host)
    const expected = entriesOf(writer)
    const { manifest, epoch, lastSeq } = writer.stats()
    if (isCrash) host = host.crash({ lossless: true })
    else await within(host, writer.close())
    const before = filesOf(host)
    const db = await openRead(host)
    assert.deepEqual(entriesOf(db), expected)
    assert.deepEqual([...db.entriesSync({ reverse: true })], expected.toReversed())
    assert.deepEqual(await within(host, db.iterator({ gte: 'key 2', lt: 'key 4' }).all()), expected.filter(([key]) => key >= 'key 2' && key < 'key 4'))
    for (const [key, value] of expected) assert.equal(await within(host, db.get(key)), value)
    assert.deepEqual(await within(host, db.getMany(['key 3', 'key 7', 'key 25'])), [undefined, 'small now', valueOf(1025, 21_000)])
    assert.equal(await within(host, db.count()), expected.length)
    assert.ok(await within(host, db.approximateSize()) > 0)
    {
      using snapshot = db.snapshot()
      assert.equal(db.getSync('key 7', { snapshot }), 'small now')
    }
    const stats = db.stats()
    assert.deepEqual([stats.epoch, stats.lastSeq, stats.recovery.orphansRemoved], [epoch, lastSeq, 0])
    assert.equal(stats.manifest, isCrash ? manifest : manifest + 1)
    const { errors, tables, valueFiles } = await within(host, db.verify())
    assert.deepEqual([errors, tables, valueFiles], [[], 1, 2])
    await closeRead(host, db)
    assert.deepEqual(filesOf(host), before)
    // A later open for writing finds the same.
    const again = await openSim(host)
    assert.deepEqual(entriesOf(again), expected)
    await closeEmpty(host, again)
  }
})

test('every call that writes is refused, and reading goes on', async () => {
  const host = simHost()
  await within(host, (await filled(host)).close())
  const db = await openRead(host)
  const before = entriesOf(db)
  const writes: (() => unknown)[] = [
    () => db.put('a', 'b'), () => db.putSync('a', 'b'), () => db.del('key 1'), () => db.delSync('key 1'),
    () => db.put('a', valueOf(1, 300_000)), () => db.putSync('a', valueOf(1, 300_000)),
    () => db.deleteRange({ gte: 'a' }), () => db.deleteRangeSync({ gte: 'a' }),
    () => db.batch([{ type: 'put', key: 'a', value: 'b' }]), () => db.batchSync([{ type: 'del', key: 'key 1' }]),
    () => db.flush(), () => db.compact(), () => db.compact({ gte: 'a' }),
    () => db.transaction(async transaction => { await transaction.put('a', 'b') }),
  ]
  for (const write of writes) {
    const error = await within(host, (async () => write())().then(() => assert.fail(`${write} wrote`), error => error))
    assert.match(assertTyped(error, ['SPILLWAY_READ_ONLY']).message, /was opened for reading only/, String(write))
  }
  assert.equal(await within(host, db.transaction(transaction => transaction.get('key 7'))), 'small now')
  assert.deepEqual(entriesOf(db), before)
  db.setBudget('16 MiB')
  db.setBudget(TINY_BUDGET)
  host.advance(60_000)
  await host.idle()
  await closeRead(host, db)
})

test('what of the log does not fit in memory goes to a scratch directory, and large values stay in their place', async () => {
  let host = simHost()
  const writer = await openSim(host, { budget: '32 MiB' })
  await within(host, writer.put('large', valueOf(1, 100_000)))
  for (let i = 0; i < 6000; i++) writer.putSync(`key ${i % 2500}`, valueOf(i, 400))
  // Overwritten in the log: when that is flushed nothing refers to its file any more, and yet it is not the reader's to remove.
  writer.putSync('large', 'small')
  const expected = entriesOf(writer)
  assert.equal(writer.stats().tables, 0)
  host = host.crash({ lossless: true })
  const before = filesOf(host)
  const db = await openRead(host)
  assert.ok(db.stats().flushes > 0 && db.stats().tables > 0)
  assert.equal(host.files.list(temporaryDirectory()).filter(name => name.startsWith('spillway-')).length, 1)
  assert.equal(db.stats().merges, 0)
  assert.deepEqual(entriesOf(db), expected)
  // What it made itself is no part of the store.
  const report = await within(host, db.verify())
  assert.deepEqual([report.errors, report.tables, report.valueFiles], [[], 0, 1])
  await closeRead(host, db)
  assert.deepEqual(filesOf(host), before)
})

test('without a place for that the error says what helps, and all is given back', async () => {
  let host = simHost()
  const writer = await openSim(host, { budget: '32 MiB' })
  for (let i = 0; i < 8000; i++) writer.putSync(`key ${i}`, valueOf(i, 400))
  host = host.crash({ lossless: true })
  host.disk.faults.readOnlyDirectory = '/'
  const message = await refused(host, openSim(host, { readOnly: true }), 'SPILLWAY_UNAVAILABLE')
  assert.match(message, /does not fit in the memory .* Raise the budget, or set TMPDIR/)
  const db = await openSim(host, { readOnly: true, budget: '32 MiB' })
  assert.equal(await within(host, db.count()), 8000)
  await closeEmpty(host, db)
})

test('who has it open for writing keeps readers out, and is not kept out by them', async () => {
  const host = simHost()
  const writer = await filled(host)
  assert.match(await refused(host, openRead(host), 'SPILLWAY_LOCKED'), /already open in this process/)
  host.disk.faults.readOnlyDirectory = undefined
  await within(host, writer.close())
  const reader = await openRead(host)
  const another = await openRead(host)
  host.disk.faults.readOnlyDirectory = undefined
  await closeEmpty(host, await openSim(host))
  await closeRead(host, another)
  await closeEmpty(host, reader)
})

test('where there is no store none is made', async () => {
  const host = simHost()
  assert.match(await refused(host, openSim(host, { readOnly: true }), 'SPILLWAY_INVALID_ARGUMENT'), /has no store/)
  assert.match(await refused(host, openSim(host, { readOnly: true, createIfMissing: true }), 'SPILLWAY_INVALID_ARGUMENT'), /has no store/)
  assert.match(await refused(host, openSim(host, { readOnly: true, errorIfExists: true }), 'SPILLWAY_INVALID_ARGUMENT'), /give one of them/)
  assert.equal(host.files.exists(DIRECTORY), false)
})

test('damage is refused as by opening for writing, and nothing is changed', async () => {
  for (const kind of ['manifest', 'table', 'log'] as const) {
    const host = simHost()
    await within(host, (await filled(host)).close())
    const name = host.files.list(DIRECTORY).find(name => parseName(name).kind === kind)!
    host.disk.corrupt(`${DIRECTORY}/${name}`, host.files.readAll(`${DIRECTORY}/${name}`).length - 30, 1)
    const before = filesOf(host)
    assert.match(await refused(host, openRead(host), 'SPILLWAY_CORRUPTION'), new RegExp(name))
    assert.deepEqual(host.disk.faults.refusals, [])
    assert.deepEqual(filesOf(host), before)
  }
})

test('after a crash of process or machine it shows what opening for writing brings back', async () => {
  const seeds = seedCount(20)
  for (let seed = firstSeed(1); seed < firstSeed(1) + seeds; seed++) {
    const random = new Random(seed)
    let host = simHost({ seed })
    const writer = await openSim(host)
    const writes = random.between(1, 300)
    for (let i = 0; i < writes; i++) {
      const key = `key ${random.below(60)}`
      if (random.below(8) === 0) writer.delSync(key)
      else if (random.below(40) === 0) writer.deleteRangeSync({ gte: key })
      else writer.putSync(key, valueOf(i, random.below(20) === 0 ? 18_000 : random.below(900)), { durability: (['none', 'os', 'disk'] as const)[random.below(3)]! })
      if (random.below(60) === 0) await within(host, writer.flush())
    }
    host = host.crash({ lossless: random.below(2) === 0 })
    const before = filesOf(host)
    const db = await openRead(host)
    const found = entriesOf(db)
    const { lastSeq } = db.stats()
    assert.deepEqual((await within(host, db.verify())).errors, [], `seed ${seed}`)
    await closeRead(host, db)
    assert.deepEqual(filesOf(host), before, `seed ${seed}`)
    const again = await openSim(host)
    assert.deepEqual(found, entriesOf(again), `seed ${seed}`)
    assert.equal(lastSeq, again.stats().lastSeq, `seed ${seed}`)
    await closeEmpty(host, again)
  }
})
