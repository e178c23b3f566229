/**
 * Whatever byte of whatever file changes, and wherever a file is cut: what is read is right, or a typed error that names the
 * file. Only the end of the log may be missing, as an unfinished write.
 */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { CorruptionError, SpillwayError } from '../../base/errors.ts'
import { Model } from '../testing/model.ts'
import { sameEntries, valueOf } from '../testing/run-commands.ts'
import { DIRECTORY, openSim, simHost, stride, within } from '../testing/sim.ts'
import { filesOf, flipped, hostWith, namesOfKind, withFile } from '../testing/stored-files.ts'
import type { StoredFiles } from '../testing/stored-files.ts'

const OPTIONS = { compaction: { strategy: 'tiered', minMergeWidth: 8, targetTableBytes: 4096 } } as const
const LOGGED = 10
/** This write to the log was made durable, which the later ones know. */
const DURABLE = 4

/** Everything else was read. */
const NOTICED = { logged: LOGGED, noticed: true }

/** What is in tables; above it the log puts `log` and a key of its own with each of its writes. */
const tables = new Model()
/** Length of the log after each of its writes. */
const logEnds: number[] = []
let files: StoredFiles

before(async () => {
  const host = simHost()
  const db = await openSim(host, OPTIONS)
  for (let table = 0; table < 3; table++) {
    for (let i = 0; i < 12; i++) {
      const key = `key ${table === 2 ? i : i + 10 * table}`
      const value = i === 5 ? valueOf(table + 1, 17_000 + table) : valueOf(100 * table + i, 20 * (i + 1))
      tables.put(key, value)
      await within(host, db.put(key, value))
    }
    await within(host, db.del(`key ${table}`))
    tables.del(`key ${table}`)
    if (table === 1) {
      await within(host, db.deleteRange({ gte: 'key 12', lte: 'key 13' }))
      tables.deleteRange({ gte: 'key 12', lte: 'key 13' })
    }
    await within(host, db.flush())
  }
  const logNumber = host.files.list(DIRECTORY).find(name => name.endsWith('.log'))!
  const log = host.files.openRead(host.join(DIRECTORY, logNumber))
  for (let i = 0; i < LOGGED; i++) {
    const operations = [
      { type: 'put' as const, key: `logged ${i}`, value: valueOf(i + 1, i * 9) }, { type: 'put' as const, key: 'log', value: String(i) },
    ]
    await within(host, db.batch(operations, { durability: i === DURABLE ? 'disk' : 'os' }))
    logEnds.push(log.size())
  }
  // As a process leaves them that dies here: a clean close would say where the log ends.
  files = filesOf(host)
  await within(host, db.close())
  assert.equal(namesOfKind(files, 'table').length, 3)
  assert.equal(namesOfKind(files, 'value').length, 3)
  assert.equal(namesOfKind(files, 'log').length, 1)
  assert.equal(namesOfKind(files, 'manifest').length, 1)
})

interface Outcome {
  /** How many of the log's writes are there; undefined: it could not be opened or not be read to the end. */
  logged: number | undefined
  /** Reading or verifying met the damage. */
  noticed: boolean
}

/** Open and read everything in every way. Fails on wrong data and on errors that do not name the damaged file. */
async function readAll(damaged: StoredFiles, name: string, reboot = false): Promise<Outcome> {
  const host = hostWith(damaged, reboot)
  const outcome: Outcome = { logged: undefined, noticed: false }
  const meet = (error: unknown): void => {
    if (!(error instanceof SpillwayError)) throw error
    assert.ok(error.code === 'SPILLWAY_CORRUPTION' || error.code === 'SPILLWAY_UNAVAILABLE', `${error.code}: ${error.message}`)
    if (error instanceof CorruptionError) {
      const { file, offset } = error.details
      assert.equal(file, host.join(DIRECTORY, name), error.message)
      assert.ok(Number.isSafeInteger(offset) && (offset as number) >= 0)
    }
    outcome.noticed = true
  }
  let db
  try {
    db = await openSim(host, OPTIONS)
  } catch (error) {
    meet(error)
    return outcome
  }
  const expected = tables.copy()
  try {
    const last = db.getSync('log')
    const logged = last === undefined ? 0 : Number(last) + 1
    assert.ok(logged <= LOGGED)
    for (let i = 0; i < logged; i++) expected.put(`logged ${i}`, valueOf(i + 1, i * 9))
    if (last !== undefined) expected.put('log', last)
    outcome.logged = logged
  } catch (error) {
    meet(error)
    await within(host, db.close())
    return outcome
  }
  for (const reverse of [false, true]) {
    const found: [string, string][] = []
    try {
      for (const entry of db.entriesSync({ reverse })) found.push(entry)
      sameEntries(found, expected.read({ reverse }))
    } catch (error) {
      meet(error)
      sameEntries(found, expected.read({ reverse }).slice(0, found.length))
    }
  }
  for (let i = 0; i < 32; i++) {
    for (const key of [`key ${i}`, `logged ${i}`]) {
      try {
        assert.ok(db.getSync(key) === expected.get(key), `${key} has another value`)
      } catch (error) {
        meet(error)
      }
    }
  }
  const { errors } = await within(host, db.verify())
  for (const { file } of errors) assert.equal(file, host.join(DIRECTORY, name))
  if (errors.length > 0) outcome.noticed = true
  try {
    await within(host, db.close())
  } catch (error) {
    meet(error)
  }
  return outcome
}

async function damaging(what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (cause) {
    throw new Error(`${what}: ${(cause as Error).message}`, { cause })
  }
}

const MASKS = [0x01, 0x80, 0xff]

function flip(name: string, at: number): StoredFiles {
  return withFile(files, name, flipped(files.get(name)!, at, MASKS[at % MASKS.length]!))
}

function cut(name: string, length: number): StoredFiles {
  return withFile(files, name, files.get(name)!.slice(0, length))
}

test('without damage everything is read and nothing is noticed', async () => {
  for (const reboot of [false, true]) assert.deepEqual(await readAll(files, '', reboot), { logged: LOGGED, noticed: false })
})

test('every changed byte of a manifest, and every length it may be cut to, is refused', async () => {
  const [name] = namesOfKind(files, 'manifest')
  const bytes = files.get(name!)!
  for (let at = 0; at < bytes.length; at++) {
    await damaging(`byte ${at}`, async () => assert.equal((await readAll(flip(name!, at), name!)).logged, undefined))
    await damaging(`cut to ${at}`, async () => assert.equal((await readAll(cut(name!, at), name!)).logged, undefined))
  }
})

test('every changed byte of a table is noticed, and what is read around it is right', async () => {
  for (const name of namesOfKind(files, 'table')) {
    const bytes = files.get(name)!
    for (let at = 0; at < bytes.length; at += name === namesOfKind(files, 'table')[1] ? stride(7) : stride(31)) {
      await damaging(`byte ${at} of ${name}`, async () => assert.ok((await readAll(flip(name, at), name)).noticed))
    }
    for (let length = 0; length < bytes.length; length += 13) {
      await damaging(`${name} cut to ${length}`, async () => assert.equal((await readAll(cut(name, length), name)).logged, undefined))
    }
  }
})

test('every changed byte of a large value is noticed, and the other entries can be read', async () => {
  const [name] = namesOfKind(files, 'value')
  const bytes = files.get(name!)!
  for (let at = 0; at < bytes.length; at += at < 64 || at > bytes.length - 64 ? 1 : 97) {
    await damaging(`byte ${at}`, async () => assert.deepEqual(await readAll(flip(name!, at), name!), NOTICED))
  }
  for (let length = 0; length < bytes.length; length += 331) {
    await damaging(`cut to ${length}`, async () => assert.deepEqual(await readAll(cut(name!, length), name!), NOTICED))
  }
})

test('a changed byte of the log is refused, but in the last write, which may be an unfinished one', async () => {
  const [name] = namesOfKind(files, 'log')
  const bytes = files.get(name!)!
  for (let at = 0; at < bytes.length; at += stride(11)) {
    await damaging(`byte ${at}`, async () => {
      const { logged } = await readAll(flip(name!, at), name!)
      assert.equal(logged, at < logEnds[LOGGED - 2]! ? undefined : LOGGED - 1)
    })
  }
})

test('after a restart of the machine a changed byte of the log is refused where it was durable, else the log ends there', async () => {
  const [name] = namesOfKind(files, 'log')
  const bytes = files.get(name!)!
  for (let at = 1; at < bytes.length; at += stride(13)) {
    await damaging(`byte ${at}`, async () => {
      const { logged } = await readAll(flip(name!, at), name!, true)
      assert.equal(logged, at < logEnds[DURABLE]! ? undefined : logEnds.findIndex(end => at < end))
    })
  }
})

test('a log that is cut holds the writes up to there', async () => {
  const [name] = namesOfKind(files, 'log')
  const bytes = files.get(name!)!
  for (const reboot of [false, true]) {
    for (let length = 0; length < bytes.length; length += stride(reboot ? 19 : 13)) {
      await damaging(`cut to ${length}`, async () => {
        const { logged } = await readAll(cut(name!, length), name!, reboot)
        assert.equal(logged, logEnds.filter(end => end <= length).length)
      })
    }
  }
})

test('a file in the place of another, and a file that is gone, are noticed', async () => {
  for (const kind of ['table', 'value'] as const) {
    const [first, second] = namesOfKind(files, kind)
    assert.ok((await readAll(withFile(files, first!, files.get(second!)), first!)).noticed, `another ${kind}`)
    assert.ok((await readAll(withFile(files, first!, undefined), first!)).noticed, `no ${kind}`)
  }
  const [manifest] = namesOfKind(files, 'manifest')
  const error = await openSim(hostWith(withFile(files, manifest!, undefined)), OPTIONS).then(() => assert.fail('it opened'), error => error)
  assert.ok(error instanceof CorruptionError)
  assert.match(error.message, /3 tables but its manifest is missing/)
})
