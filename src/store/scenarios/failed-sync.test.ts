/**
 * A sync or a write-back fails: the system takes the pages for clean, they read well, later syncs succeed, and a power loss takes them.
 * What the next opening acknowledges as durable must not rest on such pages.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { Spillway } from '../spillway.ts'
import { DIRECTORY, assertTyped, checkEmpty, checkFiles, closeEmpty, closeInDoubt, openSim, seedCount, simHost, within } from '../testing/sim.ts'

const LARGE = 'x'.repeat(40_000)
const SEEDS = seedCount(20)

function pathsOf(host: SimHost, kind: string): string[] {
  return host.files.list(DIRECTORY).filter(name => parseName(name).kind === kind).map(name => `${DIRECTORY}/${name}`)
}

/** The next sync of a file of this kind fails. */
function failSync(host: SimHost, kind: string, code = 'EIO'): void {
  host.disk.beforeOperation = (what, path) => {
    if (what !== 'sync' || parseName(path.slice(DIRECTORY.length + 1)).kind !== kind) return
    host.disk.beforeOperation = undefined
    host.disk.faults.failAt(host.disk.faults.operations + 1, code)
  }
}

/** Files that are written again while a store is opened. */
async function renewedBy(host: SimHost, opens: () => Promise<Spillway>): Promise<{ db: Spillway, renewed: string[] }> {
  const renewed: string[] = []
  host.disk.beforeOperation = (what, path) => { if (what === 'rename') renewed.push(path.slice(DIRECTORY.length + 1)) }
  const db = await opens()
  host.disk.beforeOperation = undefined
  return { db, renewed }
}

for (const code of ['EIO', 'ENOSPC']) {
  test(`after a failed sync (${code}) the next opening loses nothing that it acknowledges, through two power losses`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      let host = simHost({ seed })
      let db = await openSim(host)
      for (let i = 0; i < 30; i++) db.putSync(`old ${i}`, 'v'.repeat(100))
      failSync(host, 'log', code)
      await assert.rejects(within(host, db.put('doubtful', '1', { durability: 'disk' })), { code: code === 'EIO' ? 'SPILLWAY_UNAVAILABLE' : 'SPILLWAY_NO_SPACE' })
      await closeInDoubt(host, db)
      db = await openSim(host)
      assert.equal(db.getSync('old 29'), 'v'.repeat(100))
      await within(host, db.put('first', '1', { durability: 'disk' }))
      db.putSync('second', '2', { durability: 'disk' })
      host = host.crash()
      db = await openSim(host)
      assert.deepEqual([db.getSync('first'), db.getSync('second'), db.getSync('old 0'), db.getSync('doubtful')], ['1', '2', 'v'.repeat(100), '1'], `seed ${seed}`)
      await within(host, db.put('third', '3', { durability: 'disk' }))
      host = host.crash()
      db = await openSim(host)
      assert.equal(await within(host, db.count()), 34, `seed ${seed}`)
      await closeEmpty(host, db)
    }
  })
}

test('a process is killed after the system failed to write back what it wrote: the next open writes it again', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    let host = simHost({ seed })
    let db = await openSim(host)
    for (let i = 0; i < 10; i++) db.putSync(`old ${i}`, '1')
    host.disk.failWriteBack(pathsOf(host, 'log')[0]!)
    host = host.crash({ lossless: true })
    db = await openSim(host)
    db.putSync('new', '2', { durability: 'disk' })
    host = host.crash()
    db = await openSim(host)
    assert.deepEqual([await within(host, db.count()), db.getSync('new')], [11, '2'], `seed ${seed}`)
    await closeEmpty(host, db)
  }
})

test('a large value that was not written back is written again before a later write, or a table, relies on it', async () => {
  for (const relies of ['a write', 'a table']) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      let host = simHost({ seed })
      let db = await openSim(host)
      db.putSync('large', LARGE)
      host.disk.failWriteBack(pathsOf(host, 'value')[0]!)
      host = host.crash({ lossless: true })
      db = await openSim(host)
      if (relies === 'a write') db.putSync('new', '1', { durability: 'disk' })
      else await within(host, db.flush())
      host = host.crash()
      db = await openSim(host)
      assert.equal(db.getSync('large'), LARGE, `${relies}, seed ${seed}`)
      assert.deepEqual((await within(host, db.verify())).errors, [])
      await closeEmpty(host, db)
    }
  }
})

test('what was not written back and is in no memory any more ends the history, and the store opens', async () => {
  for (const kinds of [['log'], ['value'], ['log', 'value']]) {
    for (let seed = 1; seed <= SEEDS; seed++) {
      let host = simHost({ seed })
      const rest = seed % 3 === 0 ? 4 : 0
      let db = await openSim(host)
      db.putSync('durable', LARGE, { durability: 'disk' })
      for (let i = 0; i < 20; i++) db.putSync(`key ${String(i).padStart(2, '0')}`, i % 5 === 4 ? LARGE : 'v'.repeat(400))
      for (const path of kinds.flatMap(kind => pathsOf(host, kind))) host.disk.failWriteBack(path)
      // What comes later stays in memory.
      for (let i = 20; i < 20 + rest; i++) db.putSync(`key ${i}`, 'v'.repeat(4000))
      if (seed % 2 === 0) {
        host = host.crash({ lossless: true })
        db = await openSim(host)
        for (let i = 20 + rest; i < 24 + rest; i++) db.putSync(`key ${i}`, 'v')
      }
      if (seed % 2 === 1) for (const path of kinds.flatMap(kind => pathsOf(host, kind))) host.disk.evict(path)
      host = host.crash({ lossless: true })
      db = await openSim(host)
      const keys = (await within(host, db.iterator({ gte: 'key' }).all())).map(([key]) => key)
      assert.deepEqual(keys, keys.map((_, i) => `key ${String(i).padStart(2, '0')}`), `a prefix, ${kinds.join(' and ')}, seed ${seed}`)
      assert.equal(keys.length < 20, seed % 2 === 1, `${keys.length} keys, ${kinds.join(' and ')}, seed ${seed}`)
      assert.equal(db.getSync('durable'), LARGE)
      db.putSync('new', '1', { durability: 'disk' })
      host = host.crash()
      db = await openSim(host)
      assert.equal(await within(host, db.count()), keys.length + 2)
      assert.deepEqual((await within(host, db.verify())).errors, [])
      await host.idle()
      checkFiles(host, db)
      await closeEmpty(host, db)
    }
  }
})

test('a hole in what was durable is damage', async () => {
  let host = simHost({ seed: 1 })
  const db = await openSim(host)
  for (let i = 0; i < 20; i++) db.putSync(`key ${i}`, 'v'.repeat(400), { durability: i === 15 ? 'disk' : 'os' })
  host = host.crash({ lossless: true })
  const file = host.files.openWrite(pathsOf(host, 'log')[0]!)
  file.writeSync(new Uint8Array(1024), 0, 1024, 2048)
  file.close()
  await assert.rejects(openSim(host), { code: 'SPILLWAY_CORRUPTION' })
})

test('a power loss at any step of writing again loses nothing that was acknowledged before the first one', async () => {
  for (let step = 1; ; step++) {
    let host = simHost({ seed: step })
    let db = await openSim(host)
    db.putSync('large', LARGE)
    db.putSync('durable', '1', { durability: 'disk' })
    db.putSync('large', LARGE)
    db.putSync('written', '1')
    host = host.crash({ lossless: true })
    host.disk.faults.failAt(host.disk.faults.operations + step, 'EIO', true)
    let opened: Spillway | undefined
    try {
      opened = await openSim(host)
    } catch (error) {
      assertTyped(error, ['SPILLWAY_UNAVAILABLE'])
    }
    host = host.crash()
    db = await openSim(host)
    assert.deepEqual([db.getSync('large'), db.getSync('durable')], [LARGE, '1'], `step ${step}`)
    if (opened !== undefined) assert.equal(db.getSync('written'), '1', `step ${step}: it was opened`)
    await host.idle()
    checkFiles(host, db)
    await closeEmpty(host, db)
    if (opened !== undefined && step > 40) return
  }
})

test('data proved durable is not written again: a closed store, segments before a synced one, the work of an earlier open', async () => {
  let host = simHost({ seed: 3 })
  let { db, renewed } = await renewedBy(host, () => openSim(host))
  db.putSync('a', '1')
  await closeEmpty(host, db);
  ({ db, renewed } = await renewedBy(host, () => openSim(host)))
  assert.deepEqual(renewed, [], 'it was closed')

  db.putSync('large', LARGE)
  db.putSync('b', '2')
  const [, log] = pathsOf(host, 'log')
  const [value] = pathsOf(host, 'value')
  host = host.crash({ lossless: true });
  ({ db, renewed } = await renewedBy(host, () => openSim(host)))
  assert.deepEqual(renewed.map(name => `${DIRECTORY}/${name}`), [value, log], 'the value before the log that refers to it, and nothing of the life before')

  host = host.crash({ lossless: true });
  ({ db, renewed } = await renewedBy(host, () => openSim(host)))
  assert.deepEqual(renewed, [], 'the opening before has seen to it, and nothing was written since')

  db.putSync('c', '3', { durability: 'disk' })
  db.putSync('large', `${LARGE}2`, { durability: 'disk' })
  db.putSync('d', '4', { durability: 'disk' })
  host = host.crash({ lossless: true });
  ({ db, renewed } = await renewedBy(host, () => openSim(host)))
  assert.equal(renewed.length, 1, `the last segment, whose end nothing proves: ${renewed.join(', ')}`)
  assert.deepEqual([db.getSync('large'), await within(host, db.count())], [`${LARGE}2`, 5])
  await closeEmpty(host, db)
})

test('a disk without room for the copy refuses the opening and loses nothing', async () => {
  let host = simHost({ seed: 5 })
  let db = await openSim(host)
  for (let i = 0; i < 100; i++) db.putSync(`key ${i}`, 'v'.repeat(1000))
  host = host.crash({ lossless: true })
  host.disk.faults.capacityBytes = host.disk.usedBytes + 20_000
  await assert.rejects(openSim(host), { code: 'SPILLWAY_NO_SPACE' })
  assert.deepEqual(pathsOf(host, 'temporary'), [])
  host.disk.faults.clear()
  db = await openSim(host)
  assert.equal(await within(host, db.count()), 100)
  await closeEmpty(host, db)
})

test('closing after a failed sync says that acknowledged writes may not be on the disk, and gives everything back', async () => {
  for (const [code, spillwayCode, remedy] of [['EIO', 'SPILLWAY_UNAVAILABLE', /open it again/i], ['ENOSPC', 'SPILLWAY_NO_SPACE', /free some space/i]] as const) {
    const host = simHost({ seed: 7 })
    let db = await openSim(host)
    for (let i = 0; i < 30; i++) db.putSync(`old ${i}`, '1')
    failSync(host, 'log', code)
    await assert.rejects(within(host, db.put('doubtful', '1', { durability: 'disk' })), (error: unknown) => {
      const { message } = assertTyped(error, [spillwayCode])
      assert.match(message, remedy)
      assert.match(message, /may not be on the disk/)
      assert.doesNotMatch(message, /nothing was lost|no restart is needed/i)
      return true
    })
    assert.throws(() => db.putSync('more', '1'), { code: 'SPILLWAY_READ_ONLY' })
    await assert.rejects(within(host, db.close()), { code: spillwayCode, message: /closed.*may not be on the disk/ })
    checkEmpty(db)
    db = await openSim(host)
    assert.equal(await within(host, db.count()), 31)
    await closeEmpty(host, db)
  }
})

test('a sync that fails while the store closes is told with what is true of it', async () => {
  for (const code of ['EIO', 'ENOSPC']) {
    let host = simHost({ seed: 8 })
    let db = await openSim(host)
    db.putSync('a', '1')
    failSync(host, 'log', code)
    await assert.rejects(within(host, db.close()), { message: /may not be on the disk.*open it again/i })
    checkEmpty(db)
    db = await openSim(host)
    db.putSync('b', '1', { durability: 'disk' })
    host = host.crash()
    db = await openSim(host)
    assert.equal(await within(host, db.count()), 2)
    await closeEmpty(host, db)
  }
})

test('a large value that a flush could not make durable is told at closing', async () => {
  const host = simHost({ seed: 9 })
  const db = await openSim(host)
  db.putSync('large', LARGE)
  failSync(host, 'value')
  await assert.rejects(within(host, db.flush()), { code: 'SPILLWAY_READ_ONLY' })
  await assert.rejects(within(host, db.close()), { code: 'SPILLWAY_UNAVAILABLE', message: /may not be on the disk.*large value/ })
  checkEmpty(db)
})

test('writes at durability none that were lost with the log buffer are told at closing', async () => {
  const host = simHost({ seed: 10 })
  const budget = new Budget('16 MiB')
  const db = await openSim(host, { budget })
  db.putSync('a', '1', { durability: 'none' })
  host.disk.beforeOperation = (what, path) => { if (what === 'write' && path.startsWith(DIRECTORY)) host.disk.faults.failAt(host.disk.faults.operations + 1, 'ENOSPC') }
  const other = await within(host, Spillway.open('/other', { budget, blockBytes: 1024, host }))
  host.disk.beforeOperation = undefined
  host.disk.faults.clear()
  assert.throws(() => db.putSync('b', '1'), { code: 'SPILLWAY_READ_ONLY', message: /writes at durability 'none' are lost/ })
  await assert.rejects(within(host, db.close()), { code: 'SPILLWAY_UNAVAILABLE', message: /durability 'none' are lost/ })
  await closeEmpty(host, other)
})
