/** Values above the inline limit: they go straight to files and straight to the caller, and failed writes leave no file. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { EMPTY, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { parseName } from '../../base/file-names.ts'
import { fileError } from '../../host/file-error.ts'
import type { HostFile } from '../../host/host.ts'
import { collectGarbage } from '../../host/node/garbage.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { scratchPlace } from '../scratch/null-parts.ts'
import { StoreState } from '../state/store-state.ts'
import type { Codec } from '../../encoding/encoding.ts'
import { BudgetEngine } from '../engine/budget-engine.ts'
import { LargeValues } from './large-values.ts'
import { SingleOperation } from '../api/operations.ts'
import { checkedSettings } from '../api/settings.ts'
import { Spillway } from '../spillway.ts'
import { DIRECTORY, assertTyped, checkFiles, checkLedger, closeEmpty, closeInDoubt, openSim, simHost, within } from '../testing/sim.ts'
import type { BatchOperation, Durability } from '../api/options.ts'

const KIB = 1024
const MIB = 1024 * KIB
const FLOOR = '6.8 MiB'
/** More than the largest inline value of the budgets here. */
const LARGE = 20_000

const root = mkdtempSync(join(tmpdir(), 'spillway-large-'))
after(() => rmSync(root, { recursive: true, force: true }))

function valueFilesOf(host: SimHost): string[] {
  return host.files.list(DIRECTORY).filter(name => parseName(name).kind === 'value')
}

/** LargeValues alone, in a directory with nothing else. */
async function alone(test: (host: SimHost, core: StoreState, values: LargeValues) => void): Promise<void> {
  const host = simHost({ seed: 1 })
  host.files.makeDirectory(DIRECTORY)
  const settings = checkedSettings({ budget: '8 MiB', host }, host)
  const engine = BudgetEngine.acquire(host, settings)
  try {
    const core = new StoreState(engine, scratchPlace(host, DIRECTORY), settings)
    test(host, core, new LargeValues(core))
  } finally {
    await engine.release()
  }
}

function operationOf(value: Uint8Array, start = 0): SingleOperation {
  const operation = new SingleOperation()
  operation.value = value
  operation.valueStart = start
  operation.valueEnd = value.length
  return operation
}

test('a large value whose call must wait is in its operation again, and its file is gone', () => alone((host, core, values) => {
  const value = new Uint8Array(core.engine.plan.inlineValueBytes + 11).fill(9)
  const operation = operationOf(value, 10)
  values.replace(operation, 0, false)
  assert.equal(operation.kind, KIND_VALUE_FILE)
  assert.equal(host.files.list(DIRECTORY).length, 1)
  // Appended once more in a new memtable: nothing is written again.
  values.replace(operation, 0, false)
  assert.equal(core.counters.valueFileBytes, value.length - 10)
  values.forget(operation)
  assert.deepEqual(host.files.list(DIRECTORY), [])
  assert.deepEqual([operation.kind, operation.valueStart, operation.valueEnd], [KIND_PUT, 10, value.length])
  assert.equal(operation.value, value)
  assert.deepEqual([core.files.unsyncedValues.size, core.counters.userBytes], [0, 0])
}))

test('long text whose call must wait is text again, and goes to a file later', () => alone((host, core, values) => {
  const text = 'é'.repeat(70_000)
  const operation = operationOf(EMPTY)
  operation.valueEnd = 140_000
  operation.longText = text
  values.replace(operation, 0, false)
  values.forget(operation)
  assert.deepEqual([operation.kind, operation.valueStart, operation.valueEnd, operation.longText], [KIND_PUT, 0, 140_000, text])
  values.replace(operation, 0, false)
  assert.equal(host.files.list(DIRECTORY).length, 1)
  assert.equal(core.counters.valueFileBytes, 280_000)
}))

test('the files of a group that does not reach the log are removed, except those the memtable already refers to', () => alone((host, core, values) => {
  const before = core.engine.metadata.bytes
  for (let i = 0; i < 3; i++) {
    values.replace(operationOf(new Uint8Array(LARGE)), 0, false)
    values.keep()
  }
  assert.equal(valueFilesOf(host).length, 3)
  assert.ok(core.engine.metadata.bytes > before, 'their places in the books are leased before they are referred to')
  const [first] = core.files.unsyncedValues
  core.valueFiles.retain([first!])
  values.lost()
  assert.equal(valueFilesOf(host).length, 1)
  assert.deepEqual([...core.files.unsyncedValues], [first])
  core.valueFiles.release([first!])
  assert.equal(core.engine.metadata.bytes, before)
  assert.deepEqual(valueFilesOf(host), [])
}))

test('a file that is written but cannot be made durable is removed', () => alone((host, core, values) => {
  const operation = operationOf(new Uint8Array(LARGE))
  // create, write, sync, then the directory.
  for (const ahead of [3, 4]) {
    host.disk.faults.failAt(host.disk.faults.operations + ahead)
    assert.throws(() => values.replace(operation, 0, true), { code: 'SPILLWAY_UNAVAILABLE' })
    values.forget(operation)
    assert.deepEqual(valueFilesOf(host), [])
  }
  values.replace(operation, 0, true)
  assert.equal(valueFilesOf(host).length, 1)
}))

/** Passes bytes through: what it is given and gives is the value itself. */
const bytes: Codec<Uint8Array> = { name: 'bytes', encode: value => value, decode: value => value }

function sample(encoding: string, length: number): unknown {
  if (encoding === 'utf8') return 'aé€😀'.repeat(Math.ceil(length / 10)) + '😀'
  if (encoding === 'json') return { text: 'é'.repeat(length / 2), n: 1 }
  const value = Buffer.alloc(length)
  for (let i = 0; i < length; i += 1000) value[i] = i % 251
  return encoding === 'view' ? new Uint8Array(value.buffer, 0, length) : value
}

/** What the value is once it has been text in a file. */
function stored(value: unknown): unknown {
  return typeof value === 'string' ? Buffer.from(value).toString() : value
}

function same(found: unknown, expected: unknown, what: string): void {
  if (expected instanceof Uint8Array) assert.ok(found instanceof Uint8Array && Buffer.compare(found, expected) === 0, what)
  else if (typeof expected === 'string') assert.ok(found === expected, what)
  else assert.ok(JSON.stringify(found) === JSON.stringify(expected), what)
}

for (const encoding of ['buffer', 'view', 'utf8', 'json', bytes] as const) {
  const name = typeof encoding === 'string' ? encoding : 'codec'
  test(`a value of 20 MiB passes through a budget at its floor as ${name}, and no copy of it is made but what get returns`, async () => {
    const directory = join(root, name)
    const open = (): Promise<Spillway<string, unknown>> =>
      Spillway.open(directory, { budget: FLOOR, valueEncoding: encoding })
    const value = sample(name, 20 * MIB)
    const expected = stored(value)
    const ownBytes = expected instanceof Uint8Array ? expected.length : 0
    // Buffers count until they are collected, so that none can come and go unseen.
    const grown = async (act: () => Promise<void>): Promise<number> => {
      collectGarbage()
      const before = process.memoryUsage().arrayBuffers
      await act()
      return process.memoryUsage().arrayBuffers - before
    }
    let db = await open()
    const put = await grown(() => db.put('a', value))
    assert.ok(put < MIB, `put: ${put} bytes of buffers`)
    const batch = await grown(() => db.batch([{ type: 'put', key: 'b', value }, { type: 'put', key: 'c', value: sample(name, LARGE) }]))
    assert.ok(batch < MIB, `batch: ${batch} bytes of buffers`)
    let found: unknown
    const get = await grown(async () => { found = await db.get('a') })
    assert.ok(get < ownBytes + MIB, `get: ${get} bytes of buffers, of which ${ownBytes} are the result`)
    same(found, expected, 'get')
    if (encoding === 'buffer') assert.ok(Buffer.isBuffer(found))
    if (encoding === 'view') assert.equal((found as Uint8Array).constructor, Uint8Array)
    found = undefined
    await db.close()
    db = await open()
    const many = await grown(async () => {
      for (const one of await db.getMany(['a', 'b'])) same(one, expected, 'getMany')
    })
    assert.ok(many < 2 * ownBytes + MIB, `getMany: ${many} bytes of buffers`)
    await db.flush()
    const keys: string[] = []
    const walk = await grown(async () => {
      for await (const [key, one] of db.iterator({ lt: 'c' })) {
        keys.push(key)
        same(one, expected, key)
      }
    })
    assert.ok(walk < 2 * ownBytes + MIB, `iterator: ${walk} bytes of buffers`)
    assert.deepEqual(keys, ['a', 'b'])
    same(await db.get('c'), stored(sample(name, LARGE)), 'c')
    checkLedger(db)
    await db.close()
  })
}

test('a value is written and read in pieces of at most 256 KiB, whatever it is made of', async () => {
  const host = simHost()
  let largest = 0
  const watched = (file: HostFile): HostFile => {
    const { readSync, writeSync } = file
    return Object.assign(file, {
      readSync: (target: Uint8Array, offset: number, length: number, position: number) => {
        largest = Math.max(largest, length)
        return readSync.call(file, target, offset, length, position)
      },
      writeSync: (source: Uint8Array, offset: number, length: number, position: number) => {
        largest = Math.max(largest, length)
        writeSync.call(file, source, offset, length, position)
      },
    })
  }
  host.disk.wrapFile = watched
  for (const valueEncoding of ['view', 'utf8', 'json'] as const) {
    const db = await openSim<string, unknown>(host, { valueEncoding })
    const value = sample(valueEncoding, MIB)
    await within(host, db.put(valueEncoding, value))
    same(await db.get(valueEncoding), stored(value), valueEncoding)
    await closeEmpty(host, db)
  }
  assert.ok(largest > 256 * KIB && largest <= 256 * KIB + 64, `${largest} bytes at once`)
})

test('long text that starts with U+FEFF comes back as it was; text that breaks off in the middle of a pair is refused', async () => {
  const host = simHost()
  const db = await openSim(host)
  for (const text of ['\ufeff' + 'x'.repeat(100_000), 'x' + '😀'.repeat(200_000)]) {
    await within(host, db.put('key', text))
    assert.ok(db.getSync('key') === text)
    assert.ok((await within(host, db.values().all()))[0] === text)
  }
  for (const text of ['\ude00'.repeat(90_000), 'x' + '😀'.repeat(200_000) + '\ud83d']) {
    await within(host, assert.rejects(db.put('key', text), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /half of a surrogate pair/ }))
  }
  await closeEmpty(host, db)
})

test('bytes that are no text can be read as text, with the replacements Buffer makes', async () => {
  const host = simHost()
  const db = await openSim<string, Uint8Array>(host, { valueEncoding: 'view' })
  const value = new Uint8Array(600 * KIB)
  for (let i = 0; i < value.length; i++) value[i] = Math.imul(i, 0x9e3779b1) >>> 23
  db.putSync('key', value)
  const text = db.getSync('key', { valueEncoding: 'utf8' }) as unknown as string
  assert.ok(text === Buffer.from(value).toString())
  await closeEmpty(host, db)
})

test('an iterator lets go of a large value before it reads the next one', async () => {
  const host = simHost()
  let last: WeakRef<Buffer> | undefined
  let held = 0
  const decode = (bytes: Buffer): Buffer => {
    collectGarbage()
    if (last?.deref() !== undefined) held++
    last = new WeakRef(bytes)
    return bytes
  }
  const db = await openSim<string, Buffer>(host, { valueEncoding: { encode: value => value, decode: decode as (bytes: Uint8Array) => Buffer } })
  for (let i = 0; i < 4; i++) db.putSync(`key ${i}`, Buffer.alloc(200 * KIB))
  const iterator = db.values()
  for (let i = 0; i < 4; i++) {
    assert.equal((await iterator.next())?.length, 200 * KIB)
    // What a promise was fulfilled with lives on until the end of the turn.
    await new Promise(resolve => setImmediate(resolve))
  }
  assert.equal(held, 0)
  await iterator.close()
  await closeEmpty(host, db)
})

test('nothing of the caller\'s is held after a call, whether it went well or not', async () => {
  const host = simHost()
  const db = await openSim<Uint8Array, Uint8Array>(host, { keyEncoding: 'view', valueEncoding: 'view' })
  const held: WeakRef<Uint8Array>[] = []
  const make = (length: number): Uint8Array => {
    const one = new Uint8Array(length)
    held.push(new WeakRef(one))
    return one
  }
  const calls: (() => Promise<unknown>)[] = [
    () => db.put(make(10), make(LARGE)),
    () => db.put(make(10), make(10)),
    () => db.batch([{ type: 'put', key: make(10), value: make(LARGE) }, { type: 'del', key: make(10) }]),
    async () => { db.putSync(make(10), make(LARGE)) },
    async () => { db.batchSync([{ type: 'put', key: make(10), value: make(LARGE) }]) },
    () => db.del(make(10)),
    async () => { db.delSync(make(10)) },
    () => assert.rejects(db.del(make(70_000)), { code: 'SPILLWAY_INVALID_ARGUMENT' }),
    () => db.deleteRange({ gte: make(10), lt: make(11) }),
    async () => { db.deleteRangeSync({ gt: make(10), lte: make(11) }) },
    () => db.iterator({ gte: make(10) }).all(),
    () => db.count({ lt: make(10) }),
    () => db.approximateSize({ gt: make(10) }),
    async () => {
      const iterator = db.iterator()
      iterator.seek(make(10))
      await iterator.close()
    },
    () => db.transaction(tx => tx.get(make(10))),
    () => db.transaction(tx => tx.getForUpdate(make(10))),
    () => db.transaction(tx => tx.put(make(10), make(10))),
    () => db.transaction(tx => tx.del(make(10))),
    () => db.transaction(tx => { tx.delSync(make(10)) }),
    () => db.transaction(tx => tx.deleteRange({ gte: make(10), lt: make(11) })),
    async () => {
      host.disk.faults.failAt(host.disk.faults.operations + 2)
      await assert.rejects(db.put(make(10), make(LARGE)), { code: 'SPILLWAY_UNAVAILABLE' })
    },
  ]
  for (const [i, call] of calls.entries()) {
    await within(host, call())
    await new Promise(resolve => setImmediate(resolve))
    collectGarbage()
    assert.deepEqual(held.splice(0).filter(one => one.deref() !== undefined).length, 0, `call ${i}`)
  }
  await closeEmpty(host, db)
})

for (const durability of ['none', 'os', 'disk'] as const satisfies Durability[]) {
  test(`a write of '${durability}' whose operations on files fail, each in turn, leaves no file of its values behind`, async () => {
    for (let ahead = 1, failed = true; failed; ahead++) {
      const host = simHost({ seed: ahead })
      const db = await openSim(host)
      await within(host, db.put('before', 'x'.repeat(LARGE)))
      const { faults } = host.disk
      const at = faults.operations + ahead
      faults.failAt(at)
      const operations = [1, 2, 3].map(i => ({ type: 'put' as const, key: `key ${i}`, value: `${i}`.repeat(LARGE) }))
      const calls = [db.batch(operations, { durability }), db.put('key 4', '4'.repeat(LARGE), { durability })]
      const errors = (await within(host, Promise.allSettled(calls))).flatMap(outcome => outcome.status === 'rejected' ? [outcome.reason as Error] : [])
      failed = faults.operations >= at
      faults.clear()
      for (const error of errors) assertTyped(error, ['SPILLWAY_UNAVAILABLE', 'SPILLWAY_READ_ONLY'])
      assert.ok(errors.length > 0 === failed, `operation ${ahead}: ${errors.length} errors`)
      const keys = await within(host, db.keys().all())
      // After a sync that failed, what was written is there to be read, though not durable.
      assert.equal(valueFilesOf(host).length, keys.length, `operation ${ahead}: ${keys.join(', ')}`)
      checkFiles(host, db)
      checkLedger(db)
      await within(host, db.close()).catch(() => {})
      if (!failed) assert.ok(ahead > 8, `${ahead} operations`)
    }
  })
}

test('the books of large values take 64 bytes a file, no more after any number of writes, and none when they are gone', async () => {
  const host = simHost()
  const db = await openSim(host)
  const bytes = (): number => db.memory().accounts['table metadata']!.bytes
  const before = bytes()
  for (let i = 0; i < 20; i++) await within(host, db.put(`key ${i}`, 'x'.repeat(LARGE)))
  await within(host, db.batch([20, 21].map(i => ({ type: 'put', key: `key ${i}`, value: 'x'.repeat(LARGE) }))))
  assert.equal(bytes(), before + 22 * 64)
  await within(host, db.deleteRange({}))
  await within(host, db.compact())
  assert.deepEqual(valueFilesOf(host), [])
  assert.equal(db.stats().valueFiles, 0)
  await closeEmpty(host, db)
})

test('a flush that cannot make a large value durable is not tried again: the store takes no more writes, and reads go on', async () => {
  const host = simHost()
  const db = await openSim(host)
  let syncs = 0
  host.disk.beforeOperation = (what, path) => {
    if (what === 'sync' && parseName(path.slice(DIRECTORY.length + 1)).kind === 'value' && ++syncs === 2) throw fileError('EIO', 'fdatasync', path)
  }
  const values = [1, 2, 3].map(i => `${i}`.repeat(LARGE))
  for (const [i, value] of values.entries()) await within(host, db.put(`key ${i}`, value))
  await assert.rejects(within(host, db.flush()), { code: 'SPILLWAY_READ_ONLY', message: /making the large value .* durable failed: EIO/ })
  for (let i = 0; i < 5; i++) {
    host.advance(60_000)
    await host.idle()
  }
  assert.equal(syncs, 2)
  await assert.rejects(within(host, db.put('more', 'x')), { code: 'SPILLWAY_READ_ONLY', message: /durable failed: EIO/ })
  await assert.rejects(within(host, db.flush()), { code: 'SPILLWAY_READ_ONLY' })
  for (const [i, value] of values.entries()) assert.ok(db.getSync(`key ${i}`) === value)
  checkFiles(host, db)
  await closeInDoubt(host, db)
  // With the cause mended, all of it is in the log.
  const again = await openSim(host)
  for (const [i, value] of values.entries()) assert.ok(again.getSync(`key ${i}`) === value)
  await within(host, again.put('more', 'x'))
  await within(host, again.flush())
  checkFiles(host, again)
  await closeEmpty(host, again)
})

test('a process that dies while it writes large values leaves none of their files after the next open', async () => {
  for (let ahead = 1; ahead < 14; ahead++) {
    let host = simHost({ seed: ahead })
    const db = await openSim(host)
    await within(host, db.put('kept', 'k'.repeat(LARGE), { durability: 'disk' }))
    host.disk.faults.failAt(host.disk.faults.operations + ahead, 'EIO', true)
    const batch = [1, 2, 3].map(i => ({ type: 'put' as const, key: `key ${i}`, value: `${i}`.repeat(LARGE) }))
    await within(host, db.batch(batch, { durability: 'os' })).catch(() => {})
    host = host.crash({ lossless: true })
    const again = await openSim(host)
    const keys = await within(host, again.keys().all())
    assert.ok(keys.length === 1 || keys.length === 4, keys.join(', '))
    assert.equal(valueFilesOf(host).length, keys.length)
    checkFiles(host, again)
    await closeEmpty(host, again)
  }
})

test('a batch of several large values that has to wait is written before its call returns', async () => {
  const host = simHost({ seed: 7 })
  const makeRunner = host.runner.bind(host)
  // Jobs go on between turns and for those that wait, as in a thread of their own that is slower than the writer.
  host.runner = options => Object.assign(makeRunner(options), { help: () => {} })
  const db = await openSim<string, Uint8Array>(host, { budget: '8 MiB', valueEncoding: 'view' })
  const calls: Promise<void>[] = []
  const small = new Uint8Array(500)
  const flood = (): void => {
    for (let i = 0; db.stats().stalls.current === undefined; i++) {
      assert.ok(i < 100_000, 'the flood never had to wait')
      calls.push(db.put(`flood ${calls.length}`, small))
    }
  }
  for (let round = 0; round < 3; round++) {
    flood()
    const values = Array.from({ length: 6 }, (_, i) => new Uint8Array(MIB).fill(10 * round + i))
    const batch: BatchOperation<string, Uint8Array>[] = values.map((value, i) => ({ type: 'put', key: `${round} ${i}`, value }))
    calls.push(db.batch(batch))
    assert.equal(db.stats().stalls.current, undefined, 'nothing waits behind it')
    for (const value of values) value.fill(255)
    batch.length = 0
  }
  await within(host, Promise.all(calls))
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 6; i++) assert.ok(db.getSync(`${round} ${i}`)!.every(byte => byte === 10 * round + i), `${round} ${i}`)
  }
  checkLedger(db)
  // A flush may be under way.
  await host.idle()
  checkFiles(host, db)
  await closeEmpty(host, db)
})
