import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { CorruptionError } from '../../base/errors.ts'
import { SimFiles } from '../../host/sim/sim-files.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { SimHost as Process } from '../../host/sim/sim-host.ts'
import { parseName } from '../../base/file-names.ts'
import { DIRECTORY, closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const LARGE = 'x'.repeat(40_000)

function pathsOf(host: SimHost, kind: string): string[] {
  return host.files.list(DIRECTORY).filter(name => parseName(name).kind === kind).map(name => `${DIRECTORY}/${name}`)
}

/** Every file but manifests, which each opening replaces. */
function contentsOf(host: SimHost): [string, string][] {
  return ['log', 'table', 'value'].flatMap(kind => pathsOf(host, kind))
    .map(path => [path, Buffer.from(host.files.readAll(path)).toString('base64')])
}

function newestManifest(host: SimHost): string {
  return Buffer.from(host.files.readAll(pathsOf(host, 'manifest').at(-1)!)).toString()
}

function cut(host: SimHost, path: string, length: number): void {
  const file = host.files.openWrite(path)
  file.truncate(length)
  file.close()
}

/** What a user cannot do: all that is written becomes durable, but no frame knows it. */
function syncAll(host: SimHost): void {
  for (const path of [...pathsOf(host, 'log'), ...pathsOf(host, 'value')]) {
    const file = host.files.openWrite(path)
    file.syncSync()
    file.close()
  }
  host.files.syncDirectory(DIRECTORY)
}

/** Each round opens the store, puts three keys in a frame each, and closes it. */
async function closedStore(host: SimHost, rounds = 1): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const db = await openSim(host)
    for (const i of [1, 2, 3]) db.putSync(`key ${round} ${i}`, 'value')
    await closeEmpty(host, db)
  }
}

async function assertRefused(host: SimHost, path: string, what: string): Promise<void> {
  const before = contentsOf(host)
  for (const attempt of ['first', 'second']) {
    await assert.rejects(openSim(host), (error: unknown) => {
      assert.ok(error instanceof CorruptionError, `${what}, ${attempt} attempt: ${String(error)}`)
      assert.equal(error.details['file'], path, `${what}, ${attempt} attempt: ${error.message}`)
      return true
    }, `${what}, ${attempt} attempt: it was opened`)
  }
  assert.deepEqual(contentsOf(host), before, `${what}: a refused store is left as it was`)
}

test('a store that was closed and lost any of its log segments is refused, as often as it is opened', async () => {
  for (const lost of [0, 1, 2]) {
    const host = simHost()
    await closedStore(host, 3)
    const paths = pathsOf(host, 'log')
    assert.equal(paths.length, 3)
    host.files.remove(paths[lost]!)
    await assertRefused(host, paths[lost]!, `segment ${lost}`)
  }
})

test('a store that was closed and whose log was cut anywhere is refused', async () => {
  const whole = simHost()
  await closedStore(whole)
  const { length } = whole.files.readAll(pathsOf(whole, 'log')[0]!)
  for (let bytes = 0; bytes < length; bytes += 8) {
    const host = simHost()
    await closedStore(host)
    const path = pathsOf(host, 'log')[0]!
    cut(host, path, bytes)
    await assertRefused(host, path, `cut at ${bytes}`)
  }
})

test('damage in the last frame of a closed log is no unfinished write', async () => {
  const host = simHost()
  await closedStore(host)
  const path = pathsOf(host, 'log')[0]!
  host.disk.corrupt(path, host.files.readAll(path).length - 9, 1)
  await assertRefused(host, path, 'a flipped bit')
})

test('a closed store opens with all it held, after a power loss too, large values included', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    let host = simHost({ seed })
    let db = await openSim(host)
    db.putSync('large', LARGE, { durability: 'none' })
    db.putSync('small', '1', { durability: 'none' })
    await closeEmpty(host, db)
    host = host.crash()
    db = await openSim(host)
    assert.equal(db.getSync('large'), LARGE, `seed ${seed}`)
    assert.equal(db.getSync('small'), '1', `seed ${seed}`)
    await closeEmpty(host, db)
  }
})

test('a closed store that lost a large value is refused after a restart of the machine', async () => {
  let host = simHost()
  const db = await openSim(host)
  db.putSync('large', LARGE)
  await closeEmpty(host, db)
  const path = pathsOf(host, 'value')[0]!
  host = host.crash()
  host.files.remove(path)
  await assertRefused(host, path, 'a value file')
})

test('the record of a close is gone once the store is open again: a process that dies is not held to it', async () => {
  let host = simHost()
  await closedStore(host, 2)
  assert.match(newestManifest(host), /"closed":\{"lastSeq":6,"logs":\[\[\d+,\d+\],\[\d+,\d+\]\]\}/)
  let db = await openSim(host)
  assert.doesNotMatch(newestManifest(host), /closed/)
  db.putSync('more', '1')
  host = host.crash({ lossless: true })
  db = await openSim(host)
  assert.equal(await within(host, db.count()), 7)
  await closeEmpty(host, db)
})

test('a store that closes with an empty log leaves no record', async () => {
  const host = simHost()
  const db = await openSim(host)
  db.putSync('a', '1')
  await within(host, db.flush())
  const { manifest } = db.stats()
  await closeEmpty(host, db)
  assert.match(newestManifest(host), new RegExp(`"number":${manifest},`))
  assert.doesNotMatch(newestManifest(host), /closed/)
  await closeEmpty(host, await openSim(host))
})

test('a record that cannot be published keeps neither the lock nor memory, and costs nothing that was written', async () => {
  const host = simHost()
  let db = await openSim(host)
  db.putSync('a', '1')
  const { publish } = SimFiles.prototype
  let asked = 0
  SimFiles.prototype.publish = () => {
    asked++
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' })
  }
  try {
    await closeEmpty(host, db)
  } finally {
    SimFiles.prototype.publish = publish
  }
  assert.equal(asked, 1)
  db = await openSim(host)
  assert.equal(db.getSync('a'), '1')
  await closeEmpty(host, db)
})

test('who comes second is told that the store is locked, even while the holder exchanges its manifest', async () => {
  const host = simHost()
  const db = await openSim(host)
  const second = new Process({ disk: host.disk })
  const names = host.files.list(DIRECTORY)
  db.putSync('a', '1')
  await within(host, db.flush())
  assert.notDeepEqual(host.files.list(DIRECTORY), names)
  for (const listing of [names, names.filter(name => parseName(name).kind !== 'manifest').concat('00000009.table')]) {
    second.files.list = () => listing
    await assert.rejects(openSim(second), { code: 'SPILLWAY_LOCKED' })
  }
  await closeEmpty(host, db)
})

test('what was recovered is as durable as what is written after it', async () => {
  for (let seed = 1; seed <= 40; seed++) {
    let host = simHost({ seed })
    let db = await openSim(host)
    db.putSync('large', LARGE)
    db.putSync('first', '1')
    host = host.crash({ lossless: true })
    db = await openSim(host)
    db.putSync('second', '2', { durability: 'disk' })
    host = host.crash()
    db = await openSim(host)
    assert.deepEqual([db.getSync('large'), db.getSync('first'), db.getSync('second')], [LARGE, '1', '2'], `seed ${seed}`)
    await closeEmpty(host, db)
  }
})

test('a large value is durable before a later write is; one that the machine lost ends the history', async () => {
  let lost = 0
  for (let seed = 1; seed <= 60; seed++) {
    const isKept = seed % 4 === 1
    const isAfter = seed % 4 === 2
    let host = simHost({ seed })
    let db = await openSim(host)
    db.putSync('before', '0', { durability: 'disk' })
    db.putSync('large', LARGE)
    if (isAfter) db.putSync('after', '1', { durability: 'disk' })
    if (isKept) syncAll(host)
    host = host.crash()
    db = await openSim(host)
    assert.equal(db.getSync('before'), '0')
    const large = db.getSync('large')
    assert.ok(large === LARGE || (large === undefined && !isKept && !isAfter), `seed ${seed}`)
    if (isAfter) assert.equal(db.getSync('after'), '1')
    if (large === undefined) lost++
    assert.deepEqual((await within(host, db.verify())).errors, [])
    await closeEmpty(host, db)
  }
  assert.ok(lost > 0)
})

/** Two segments, left by two processes that died; all of it is durable. */
async function twoSegments(durability: 'os' | 'disk'): Promise<SimHost> {
  let host = simHost()
  for (const round of [1, 2]) {
    const db = await openSim(host)
    for (const i of [1, 2]) db.putSync(`key ${round} ${i}`, 'value', { durability })
    syncAll(host)
    host = host.crash({ lossless: true })
  }
  assert.equal(pathsOf(host, 'log').length, 2)
  return host
}

test('a flipped byte in the last frame of an older segment is damage, and takes nothing of the later ones along', async () => {
  const host = await twoSegments('os')
  const [older] = pathsOf(host, 'log')
  host.disk.corrupt(older!, host.files.readAll(older!).length - 9, 1)
  await assertRefused(host, older!, 'a flipped byte')
})

test('an older segment that is lost is damage, also with the machine: the opening after it made it durable', async () => {
  for (const durability of ['os', 'disk'] as const) {
    let host = await twoSegments(durability)
    const [older] = pathsOf(host, 'log')
    host = host.crash()
    host.files.remove(older!)
    await assertRefused(host, older!, 'a lost segment')
  }
})
