/** Whatever a caller gets wrong: an error with a stable code, numbers and a remedy, and nothing is lost or changed. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, beforeEach, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { SpillwayErrorCode } from '../../base/errors.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { manifestName } from '../../base/file-names.ts'
import type { SpillwayIterator } from '../scan/iterator.ts'
import { Spillway } from '../spillway.ts'
import { DIRECTORY, TINY_BUDGET, assertTyped, openSim, simHost, within } from '../testing/sim.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-bad-input-'))
after(() => rmSync(root, { recursive: true, force: true }))

let host: SimHost
let db: Spillway<any, any>

beforeEach(async () => {
  host = simHost()
  db = await openSim<any, any>(host)
  await db.put('kept', 'value')
})

/** Nothing of what went wrong has left a trace. */
afterEach(async () => {
  if (db.isClosed) db = await openSim(host)
  assert.deepEqual(await db.iterator().all(), [['kept', 'value']])
  assert.deepEqual((await within(host, db.verify())).errors, [])
  await within(host, db.close())
  assert.equal(db.memory().usedBytes, 0)
})

/** The act must fail with this code and message, whether it throws or rejects. */
async function refused(what: string, act: () => unknown, code: SpillwayErrorCode, message: RegExp): Promise<void> {
  let error: unknown
  try {
    await act()
  } catch (thrown) {
    error = thrown
  }
  assert.ok(error !== undefined, `${what}: nothing was refused`)
  try {
    assertTyped(error, [code])
    assert.match((error as Error).message, message)
  } catch (cause) {
    throw new Error(`${what}: ${(cause as Error).message}`, { cause })
  }
}

function invalid(what: string, act: () => unknown, message: RegExp): Promise<void> {
  return refused(what, act, 'SPILLWAY_INVALID_ARGUMENT', message)
}

test('keys and values that are no keys and values are refused', async () => {
  for (const nothing of [undefined, null]) {
    for (const method of ['put', 'putSync'] as const) {
      await invalid(`${method} key`, () => db[method](nothing, 'v'), /a key cannot be (undefined|null)/)
      await invalid(`${method} value`, () => db[method]('k', nothing), /a value cannot be (undefined|null)\. Use del/)
    }
    for (const method of ['get', 'getSync', 'has', 'hasSync', 'del', 'delSync'] as const) {
      await invalid(method, () => (db as any)[method](nothing), /a key cannot be (undefined|null)/)
    }
    await invalid('getMany', () => db.getMany(['kept', nothing]), /a key cannot be/)
  }
  await invalid('bound of a range', () => db.iterator({ gte: null }), /gte is null; a bound must be a key/)
  const wrong = [
    ['utf8', {}], ['utf8', []], ['utf8', Symbol('s')], ['buffer', 5], ['view', { length: 1 }], ['json', () => 1], ['json', undefined],
  ] as const
  for (const [encoding, value] of wrong) {
    await invalid(`${encoding} value`, () => db.put('k', value, { valueEncoding: encoding }),
      /encoding '\w+' takes|a value cannot be/)
    if (value !== undefined) await invalid(`${encoding} key`, () => db.put(value, 'v', { keyEncoding: encoding }), /encoding '\w+' takes/)
  }
  await invalid(
    'a codec that makes no bytes',
    () => db.put('k', 'v', { valueEncoding: { name: 'odd', encode: () => 7 as never, decode: () => 7 } }),
    /encode of the codec 'odd' must return bytes/
  )
})

test('keys and values that are too long are refused with the limit, and the longest are taken', async () => {
  const key = 'k'.repeat(65_535)
  await db.put(key, 'v')
  assert.equal(await db.get(key), 'v')
  await within(host, db.flush())
  assert.equal(await db.get(key), 'v')
  assert.deepEqual(await db.keys({ gte: key, lte: key }).all(), [key])
  await within(host, db.deleteRange({ gte: key, lte: key }))
  assert.equal(await db.has(key), false)
  await invalid('key', () => db.put(`${key}k`, 'v'), /a key of 65536 bytes; keys have at most 65535\. Hash it/)
  await invalid('key of a deletion', () => db.delSync(`${key}k`), /65536/)
  await invalid('key in a batch', () => db.batch([{ type: 'put', key: 'a', value: 'v' }, { type: 'del', key: `${key}k` }]), /65536/)
  assert.equal(await db.get(`${key}k`), undefined, 'a key that cannot be there is not there')
  const tooLong = new Uint8Array(256 * 1024 * 1024 + 1)
  await invalid('value', () => db.put('k', tooLong, { valueEncoding: 'view' }),
    /a value of 268435457 bytes; values have at most 268435456 \(256 MiB\)\. Store it in pieces/)
})

test('a batch with a bad operation in it is refused as a whole', async () => {
  const good = { type: 'put', key: 'new', value: 'v' } as const
  const bad: [unknown, RegExp][] = [
    [
      { type: 'add', key: 'a', value: 'v' },
      /operation 1 of the batch must have the type 'put' or 'del', not the string "add".*Nothing of the batch was written/,
    ],
    [{ key: 'a', value: 'v' }, /operation 1/], [null, /operation 1/], [undefined, /operation 1/], ['put', /operation 1/],
    [{ type: 'put', key: 'a' }, /a value cannot be undefined/], [{ type: 'put', value: 'v' }, /a key cannot be undefined/],
    [{ type: 'del' }, /a key cannot be undefined/],
  ]
  for (const [operation, message] of bad) {
    await invalid('batch', () => db.batch([good, operation as never, good]), message)
    await invalid('batchSync', () => db.batchSync([good, operation as never, good]), message)
  }
  for (const list of [undefined, null, 5, 'put', { 0: good, length: 1 }]) {
    await invalid('no array', () => db.batch(list as never), /batch takes an array of operations/)
  }
  // More than a memtable holds, with a bad operation far behind.
  const many = Array.from({ length: 2000 }, (_, i) => ({ type: 'put', key: `key ${i}`, value: 'v'.repeat(1000) }) as const)
  await invalid('the last of many', () => db.batch([...many, { type: 'put', key: 'a' } as never]), /a value cannot be undefined/)
  await invalid('the last of many', () => db.batchSync([...many, { type: 'put', key: 'a' } as never]), /a value cannot be undefined/)
  await db.batch([])
  db.batchSync([])
})

test('unknown options are refused by every call, with the known ones', async () => {
  const calls: Record<string, (options: any) => unknown> = {
    put: options => db.put('k', 'v', options), putSync: options => db.putSync('k', 'v', options),
    del: options => db.del('k', options), batch: options => db.batch([], options), batchSync: options => db.batchSync([], options),
    deleteRange: options => db.deleteRange({ gte: 'x' }, options), get: options => db.get('k', options), has: options => db.has('k', options),
    iterator: options => db.iterator(options), keys: options => db.keys(options), values: options => db.values(options),
    entriesSync: options => [...db.entriesSync(options)], count: options => db.count(options),
    approximateSize: options => db.approximateSize(options), compact: options => db.compact(options),
    open: options => Spillway.open(join(root, 'never'), options),
  }
  for (const [name, call] of Object.entries(calls)) {
    await invalid(name, () => call({ colour: 'red' }), /has no option "colour"; it has \w+, /)
    await invalid(name, () => call(7), /must be an object/)
  }
  await invalid('an option in the range of deleteRange', () => db.deleteRange({ gte: 'a', limit: 1 } as never), /no option "limit"/)
})

test('option values that make no sense are refused', async () => {
  const open = (options: object): (() => unknown) => () => openSim(simHost(), options as never)
  for (const budget of ['many', '64 MB of RAM', '', -1, NaN, Infinity, 1.5, {}, null]) {
    await invalid(`budget ${String(budget)}`, open({ budget }), /budget must be a size such as "64 MiB" or a number of bytes/)
  }
  for (const durability of ['fsync', true, 1, null]) {
    await invalid('durability', open({ durability }), /durability must be 'none', 'os' or 'disk'/)
    await invalid('durability of a write', () => db.put('k', 'v', { durability: durability as never }),
      /durability must be 'none', 'os' or 'disk'/)
  }
  for (const encoding of ['hex', 'toString', 7, {}]) {
    await invalid('keyEncoding', open({ keyEncoding: encoding }),
      /keyEncoding must be 'utf8', 'buffer', 'view', 'json' or an object with encode and decode/)
    await invalid('valueEncoding of a read', () => db.get('kept', { valueEncoding: encoding as never }), /valueEncoding must be/)
  }
  await invalid('compaction', open({ compaction: 'fifo' }), /fifo/)
  await invalid('compaction', open({ compaction: { strategy: 'leveled', levels: 3 } }),
    /leveled compaction has no parameter "levels"; it has level0Runs/)
  await invalid('compaction', open({ compaction: { strategy: 'tiered', minMergeWidth: 8, maxMergeWidth: 4 } }),
    /maxMergeWidth 4 is below minMergeWidth 8/)
  await invalid('compaction', open({ compaction: 7 }), /compaction must be/)
  await invalid('compression', open({ compression: 'zip' }), /compression must be 'lz4', 'none' or a list/)
  await invalid('compression', open({ compression: [] }), /compression must be/)
  for (const blockBytes of [0, 1000, 65_537, 4096.5, '4096']) {
    await invalid('blockBytes', open({ blockBytes }), /blockBytes must be a whole number from 1024 to 65536/)
  }
  for (const filterBitsPerKey of [-1, 65, 1.5]) {
    await invalid('filterBitsPerKey', open({ filterBitsPerKey }), /filterBitsPerKey must be a whole number from 0 to 64/)
  }
  for (const flag of ['yes', 1, null]) {
    await invalid('createIfMissing', open({ createIfMissing: flag }), /createIfMissing must be true or false/)
  }
  for (const directory of ['', undefined, null, 5]) {
    await invalid('directory', () => Spillway.open(directory as never, { host: simHost() }), /takes the path of a directory/)
  }
})

test('ranges, limits and sizes that make no sense are refused', async () => {
  await invalid('gt and gte', () => db.iterator({ gt: 'a', gte: 'b' }), /give either gt or gte, not both/)
  await invalid('lt and lte', () => db.count({ lt: 'a', lte: 'b' }), /give either lt or lte, not both/)
  await invalid('deleteRange without a range', () => db.deleteRange(undefined as never),
    /deleteRange takes a range such as \{ gte, lt \}/)
  for (const limit of [-2, 1.5, NaN, '3', null, {}]) {
    await invalid(`limit ${String(limit)}`, () => db.iterator({ limit: limit as never }),
      /limit must be a whole number, or -1 or Infinity for all/)
  }
  for (const reverse of ['yes', 1, null]) {
    await invalid('reverse', () => db.iterator({ reverse: reverse as never }), /reverse must be true or false/)
  }
  await using iterator = db.iterator()
  for (const size of [0, -1, 1.5, NaN, Infinity, undefined, '3']) {
    await invalid(`nextv(${String(size)})`, () => iterator.nextv(size as never), /nextv takes a whole number from 1/)
    await invalid(`nextvSync(${String(size)})`, () => iterator.nextvSync(size as never), /nextv takes a whole number from 1/)
  }
  await invalid('seek', () => iterator.seek(undefined), /a key cannot be undefined/)
  assert.deepEqual(await iterator.nextv(5), [['kept', 'value']], 'the iterator goes on')
  await invalid('getMany', () => db.getMany('kept' as never), /getMany takes an array of keys/)
  // Nothing is wrong with an empty range.
  assert.deepEqual(await db.iterator({ gt: 'z', lt: 'a' }).all(), [])
  assert.equal(await db.count({ gte: 'kept', lt: 'kept' }), 0)
  await db.deleteRange({ gte: 'z', lt: 'a' })
  await within(host, db.compact({ gte: 'z', lt: 'a' }))
})

test('a budget below the floor is refused with the floor and its parts, and the floor is enough', async () => {
  for (const budget of [0, 1, '1 MiB', '5 MiB']) {
    await refused(`budget ${budget}`, () => openSim(simHost(), { budget }), 'SPILLWAY_BUDGET_TOO_SMALL',
      /budget is .* but this store needs at least \d+\.\d MiB to open: .*memtables \(2\) \d.*log buffer \d.*Open it with a larger budget/)
  }
  const error = assertTyped(await openSim(simHost(), { budget: 1 }).then(() => assert.fail('it opened'), error => error))
  for (const budget of [error.details['floorBytes'] as number, /needs at least ([\d.]+ MiB)/.exec(error.message)![1]!]) {
    const fresh = simHost()
    const least = await openSim(fresh, { budget })
    await least.put('k', 'v')
    await within(fresh, least.compact())
    assert.equal(await least.get('k'), 'v')
    await within(fresh, least.close())
  }
  const parts = Object.values(error.details['parts'] as Record<string, number>)
  assert.equal(parts.reduce((sum, bytes) => sum + bytes, 0), error.details['floorBytes'])
})

test('a store can be opened again with the budget it was written with', async () => {
  const refusal = assertTyped(await openSim(simHost(), { budget: 1 }).then(() => assert.fail('it opened'), error => error))
  const least = refusal.details['floorBytes'] as number
  // The metadata of forty tables twice: of those a merge reads and of those it makes.
  const options = { budget: least + 512 * 1024, compaction: { strategy: 'leveled', level0Runs: 1, targetTableBytes: 1 } } as const
  const fresh = simHost()
  const store = await openSim(fresh, options)
  for (let i = 0; i < 40; i++) await store.put(`key ${i}`, 'v'.repeat(2000))
  await within(fresh, store.compact())
  assert.ok(store.stats().tables >= 30, `${store.stats().tables} tables`)
  await within(fresh, store.close())
  const again = await openSim(fresh, options)
  assert.equal(await again.count(), 40)
  await within(fresh, again.close())
})

test('a directory with other files is no store, and they are left alone', async () => {
  const directory = join(root, 'foreign')
  mkdirSync(directory)
  writeFileSync(join(directory, 'thesis.doc'), 'years of work')
  writeFileSync(join(directory, '00000001.txt'), 'more')
  await invalid('open', () => Spillway.open(directory, { budget: '8 MiB' }),
    /is no store: it holds 2 other files \(.*thesis\.doc.*\) and no manifest\. Give an empty or new directory/)
  assert.deepEqual(readdirSync(directory), ['00000001.txt', 'thesis.doc'])
  assert.equal(readFileSync(join(directory, 'thesis.doc'), 'utf8'), 'years of work')
  // A file instead of a directory.
  await refused('a file', () => Spillway.open(join(directory, 'thesis.doc'), { budget: '8 MiB' }), 'SPILLWAY_UNAVAILABLE',
    /thesis\.doc/)
  // Foreign files beside a store are left alone too.
  const store = join(root, 'beside')
  await (await Spillway.open(store, { budget: '8 MiB' })).close()
  writeFileSync(join(store, 'notes.txt'), 'mine')
  const again = await Spillway.open(store, { budget: '8 MiB' })
  await again.put('k', 'v')
  await again.compact()
  await again.close()
  assert.equal(readFileSync(join(store, 'notes.txt'), 'utf8'), 'mine')
})

test('a store of a newer format is refused and not touched', async () => {
  await within(host, db.close())
  const { manifest } = await openSim(host).then(async store => {
    const stats = store.stats()
    await within(host, store.close())
    return stats
  })
  const newer = host.join(DIRECTORY, manifestName(manifest + 9))
  host.files.publish(newer, new TextEncoder().encode('SPILLWAY MANIFEST 4\n{"shape":"unknown"}\n0123456789abcdef\n'))
  const names = host.files.list(DIRECTORY)
  await refused('open', () => openSim(host), 'SPILLWAY_UNAVAILABLE',
    /has format 4, this version reads up to 3\. Open the store with a newer Spillway/)
  assert.deepEqual(host.files.list(DIRECTORY), names)
  host.files.remove(newer)
})

test('createIfMissing and errorIfExists do what they say', async () => {
  const missing = simHost()
  await invalid('open', () => openSim(missing, { createIfMissing: false }), /has no store, and createIfMissing is false/)
  assert.equal(missing.files.exists(DIRECTORY), false, 'not even the directory was made')
  await within(host, db.close())
  await invalid('open', () => openSim(host, { errorIfExists: true }), /already has a store, and errorIfExists is true/)
  db = await openSim(host, { createIfMissing: false })
})

test('a store that is open cannot be opened again in this process', async () => {
  await refused('open', () => openSim(host), 'SPILLWAY_LOCKED',
    /is already open in this process \(pid \d+ .*Close that store first/)
  const directory = join(root, 'twice')
  const first = await Spillway.open(directory, { budget: '8 MiB' })
  await refused('open', () => Spillway.open(directory, { budget: '8 MiB' }), 'SPILLWAY_LOCKED',
    new RegExp(`already open in this process \\(pid ${process.pid} `))
  await refused('open by another path', () => Spillway.open(`${directory}/../twice/`, { budget: '8 MiB' }), 'SPILLWAY_LOCKED',
    /already open in this process/)
  await first.put('k', 'v')
  await first.close()
  const second = await Spillway.open(directory, { budget: '8 MiB' })
  assert.equal(await second.get('k'), 'v')
  await second.close()
})

test('a store that another process has open is refused with its pid, and can be opened once that one was killed', { timeout: 60_000 }, async () => {
  const directory = join(root, 'held')
  const program = fileURLToPath(new URL('../testing/hold-child.js', import.meta.url))
  const child = spawn(process.execPath, [program, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => child.on('close', resolve))
  try {
    await new Promise<void>((resolve, reject) => {
      child.stdout.once('data', () => resolve())
      child.once('close', () => reject(new Error('the other process ended by itself')))
    })
    await refused('open', () => Spillway.open(directory, { budget: '8 MiB' }), 'SPILLWAY_LOCKED',
      new RegExp(`is open in process ${child.pid} .*Close the store there, or end that process`))
  } finally {
    child.kill('SIGKILL')
    await ended
  }
  const store = await Spillway.open(directory, { budget: '8 MiB' })
  assert.equal(await store.get('held by'), String(child.pid))
  await store.close()
})

test('every method of a closed store says that it is closed', async () => {
  const snapshot = db.snapshot()
  const iterators: SpillwayIterator<unknown>[] = [db.iterator(), db.keys(), db.values()]
  const generator = db.entriesSync()
  await within(host, db.close())
  await within(host, db.close())
  const closed = (what: string, act: () => unknown): Promise<void> =>
    refused(what, act, 'SPILLWAY_CLOSED', /the store is closed\. Open it again with Spillway\.open/)
  for (const method of ['put', 'putSync'] as const) await closed(method, () => db[method]('k', 'v'))
  for (const method of ['get', 'getSync', 'has', 'hasSync', 'del', 'delSync'] as const) await closed(method, () => (db as any)[method]('k'))
  for (const method of ['getMany', 'getManySync'] as const) await closed(method, () => db[method](['k']))
  for (const method of ['batch', 'batchSync'] as const) await closed(method, () => db[method]([{ type: 'del', key: 'k' }]))
  for (const method of ['deleteRange', 'deleteRangeSync', 'iterator', 'keys', 'values', 'count', 'approximateSize', 'compact'] as const) {
    await closed(method, () => (db as any)[method]({ gte: 'a' }))
  }
  for (const method of ['flush', 'verify', 'stats', 'snapshot'] as const) await closed(method, () => db[method]())
  await closed('entriesSync', () => [...db.entriesSync()])
  await closed('an entriesSync begun before', () => generator.next())
  for (const iterator of iterators) {
    await closed('next', () => iterator.next())
    await closed('nextv', () => iterator.nextv(1))
    await closed('nextvSync', () => iterator.nextvSync(1))
    await closed('all', () => iterator.all())
    await closed('seek', () => iterator.seek('k'))
    await iterator.close()
  }
  assert.equal(snapshot.closed, true)
  assert.equal(db.isClosed, true)
  assert.equal(db.memory().usedBytes, 0)
})

test('calls made while the store is being closed are refused, and what was acknowledged before is there', async () => {
  const waiting = db.put('before', 'value', { durability: 'none' })
  const closing = db.close()
  const calls = [
    () => db.put('late', 'value'), () => db.putSync('late', 'value'), () => db.get('kept'), () => db.iterator(), () => db.flush(), () => db.stats(),
  ]
  for (const call of calls) {
    await refused('call', call, 'SPILLWAY_CLOSED', /the store is closed/)
  }
  await waiting
  await within(host, closing)
  db = await openSim<any, any>(host)
  assert.deepEqual(await db.iterator().all(), [['before', 'value'], ['kept', 'value']])
  await db.del('before')
})

test('closed iterators and snapshots, and those of another store, are refused', async () => {
  const iterator = db.iterator()
  await iterator.close()
  await iterator.close()
  const closed = (what: string, act: () => unknown): Promise<void> =>
    refused(what, act, 'SPILLWAY_CLOSED', /the iterator is closed\. Make a new one with db\.iterator\(\)/)
  await closed('next', () => iterator.next())
  await closed('nextv', () => iterator.nextv(1))
  await closed('all', () => iterator.all())
  await closed('seek', () => iterator.seek('k'))
  await closed('for await', async () => { for await (const entry of iterator) assert.fail(String(entry)) })
  const finished = db.iterator()
  await finished.all()
  await closed('next after all', () => finished.next())

  const snapshot = db.snapshot()
  snapshot.close()
  snapshot.close()
  const otherHost = simHost()
  const other = await openSim<any, any>(otherHost)
  const wrongOnes = [
    ['a closed snapshot', snapshot], ['one of another store', other.snapshot()], ['no snapshot', { seq: 1 }], ['null', null],
  ] as const
  for (const [what, wrong] of wrongOnes) {
    for (const method of ['get', 'getSync', 'has'] as const) {
      await refused(`${method} at ${what}`, () => (db as any)[method]('kept', { snapshot: wrong as never }), 'SPILLWAY_CLOSED',
        /this snapshot is closed, or of another store\. Take a new one/)
    }
    for (const method of ['iterator', 'keys', 'count'] as const) {
      await refused(`${method} at ${what}`, () => (db as any)[method]({ snapshot: wrong as never }), 'SPILLWAY_CLOSED', /snapshot/)
    }
  }
  await within(otherHost, other.close())
})

test('a write that waits when the store is closed fails, and is not there', async () => {
  const budget = TINY_BUDGET
  const busyHost = simHost()
  const busy = await openSim(busyHost, { budget })
  const value = 'v'.repeat(16_000)
  const writes = Array.from({ length: 72 }, (_, i) => busy.put(`key ${i}`, value).then(() => i, error => {
    assertTyped(error, ['SPILLWAY_CLOSED'])
    return -1
  }))
  await within(busyHost, busy.close())
  const written = new Set((await within(busyHost, Promise.all(writes))).filter(i => i >= 0))
  assert.ok(written.size > 30)
  const again = await openSim(busyHost, { budget })
  assert.deepEqual(new Set((await again.keys().all()).map(key => Number(key.slice(4)))), written)
  await within(busyHost, again.close())
})
