/** What a store promises, on the real disk with a worker. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Codec } from '../../encoding/encoding.ts'
import { Spillway } from '../spillway.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { StoreOptions } from '../api/options.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-features-'))
after(() => rmSync(root, { recursive: true, force: true }))

const MIB = 1024 * 1024
let directories = 0

function newDirectory(): string {
  return join(root, `store ${++directories}`)
}

function open<K = string, V = string>(directory: string, options: StoreOptions & AnyEncodings = {}): Promise<Spillway<K, V>> {
  return Spillway.open(directory, { budget: '24 MiB', ...options }) as Promise<Spillway<any, any>>
}

/** Bytes that no two labels share and that do not compress. */
function bytesOf(label: number, length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = label + 1
  for (let i = 0; i < words.length; i++) words[i] = state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return new Uint8Array(words.buffer, 0, length)
}

function same(found: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(found !== undefined && Buffer.compare(found, expected) === 0, `${found?.length} bytes, expected ${expected.length}`)
}

test('large values come back as they were, also after merges and reopening, and their files go with them', async () => {
  const directory = newDirectory()
  const sizes = [0, 65_535, 65_536, 65_537, MIB, 3 * MIB + 1, 64 * MIB]
  {
    await using db = await open<string, Uint8Array>(directory, { valueEncoding: 'view' })
    for (const [i, size] of sizes.entries()) {
      const value = bytesOf(i, size)
      if (i % 2 === 0) await db.put(`size ${i}`, value)
      else db.putSync(`size ${i}`, value)
    }
    for (const [i, size] of sizes.entries()) same(await db.get(`size ${i}`), bytesOf(i, size))
    await db.flush()
    await db.put('size 4', bytesOf(100, MIB))
    await db.compact()
    same(await db.get('size 4'), bytesOf(100, MIB))
    const { budgetBytes, highWaterBytes } = db.memory()
    assert.ok(highWaterBytes <= budgetBytes)
  }
  {
    await using db = await open<string, Uint8Array>(directory, { valueEncoding: 'view' })
    for (const [i, size] of sizes.entries()) if (i !== 4) same(await db.get(`size ${i}`), bytesOf(i, size))
    let entries = 0
    for await (const [key, value] of db.iterator()) {
      same(value, key === 'size 4' ? bytesOf(100, MIB) : bytesOf(Number(key.slice(5)), value.length))
      entries++
    }
    assert.equal(entries, sizes.length)
    assert.deepEqual((await db.verify()).errors, [])
    await db.deleteRange({})
    await db.compact()
    assert.equal(db.stats().valueFiles, 0)
    assert.deepEqual(readdirSync(directory).filter(name => name.endsWith('.value')), [])
  }
})

test('counts, sizes, keys and values of ranges', async () => {
  await using db = await open(newDirectory())
  const name = (i: number): string => `key ${String(i).padStart(5, '0')}`
  const operations = Array.from({ length: 20_000 }, (_, i) => ({ type: 'put' as const, key: name(i), value: Buffer.from(bytesOf(i, 75)).toString('hex') }))
  for (let at = 0; at < operations.length; at += 1000) await db.batch(operations.slice(at, at + 1000))
  assert.equal(await db.count(), 20_000)
  assert.equal(await db.count({ gte: name(100), lt: name(300) }), 200)
  using snapshot = db.snapshot()
  await db.deleteRange({ gte: name(150), lt: name(200) })
  assert.equal(await db.count({ gte: name(100), lt: name(300) }), 150)
  assert.equal(await db.count({ gte: name(100), lt: name(300), snapshot }), 200)
  assert.deepEqual(await db.keys({ gt: name(148), lte: name(201) }).all(), [name(149), name(200), name(201)])
  assert.deepEqual(await db.values({ reverse: true, limit: 2 }).all(), [operations[19_999]!.value, operations[19_998]!.value])
  await db.flush()
  const whole = await db.approximateSize()
  assert.ok(whole > 1.5 * MIB && whole < 6 * MIB, `${whole} bytes in all`)
  const tenth = await db.approximateSize({ gte: name(5000), lt: name(7000) })
  assert.ok(tenth > whole / 20 && tenth < whole / 5, `${tenth} bytes in a tenth of ${whole}`)
  assert.equal(await db.approximateSize({ gte: 'z' }), 0)
})

test('keys and values go through the encoding of the store or of the call', async () => {
  const directory = newDirectory()
  const dates: Codec<Date> = { name: 'dates', encode: date => date.toISOString(), decode: bytes => new Date(Buffer.from(bytes).toString()) }
  const numbers: Codec<number> = {
    encode: number => { const bytes = new Uint8Array(4); new DataView(bytes.buffer).setUint32(0, number); return bytes },
    decode: bytes => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0),
  }
  await using db = await open<number, unknown>(directory, { keyEncoding: numbers, valueEncoding: 'json' })
  const object = { name: 'Ada', tags: ['a', 'ü', null], nested: { n: 1.5 } }
  await db.put(258, object)
  await db.put(3, null)
  await db.put(65_536, [1, 2])
  assert.deepEqual(await db.get(258), object)
  assert.equal(await db.get(3), null)
  assert.deepEqual(await db.iterator({ gte: 4 }).all(), [[258, object], [65_536, [1, 2]]])
  assert.equal(await db.get(258, { valueEncoding: 'utf8' }), JSON.stringify(object))

  const date = new Date('2031-02-03T04:05:06.789Z')
  await db.put('when' as never, date, { keyEncoding: 'utf8', valueEncoding: dates })
  assert.deepEqual(await db.get('when' as never, { keyEncoding: 'utf8', valueEncoding: dates }), date)
  for (const encoding of ['buffer', 'view'] as const) {
    const bytes = encoding === 'buffer' ? Buffer.from([0, 255, 128]) : new Uint8Array([0, 255, 128])
    await db.put(bytes as never, bytes, { keyEncoding: encoding, valueEncoding: encoding })
    const found = await db.get(bytes as never, { keyEncoding: encoding, valueEncoding: encoding }) as Uint8Array
    assert.equal(Buffer.isBuffer(found), encoding === 'buffer')
    same(found, bytes)
    // What comes back is the caller's own.
    found.fill(7)
    same(await db.get(bytes as never, { keyEncoding: encoding, valueEncoding: encoding }) as Uint8Array, bytes)
  }
  await db.put('text' as never, 'ключ 🔑', { keyEncoding: 'utf8', valueEncoding: 'utf8' })
  await db.flush()
  assert.equal(await db.get('text' as never, { keyEncoding: 'utf8', valueEncoding: 'utf8' }), 'ключ 🔑')
})

test('what a caller does with its buffers after the call changes nothing', async () => {
  await using db = await open<Uint8Array, Uint8Array>(newDirectory(), { budget: '8 MiB', keyEncoding: 'view', valueEncoding: 'view' })
  const key = new Uint8Array(4)
  const value = new Uint8Array(3000)
  const writes: Promise<void>[] = []
  // More than the memtables hold, so that writes wait while their buffers are used again.
  for (let i = 0; i < 1500; i++) {
    new DataView(key.buffer).setUint32(0, i)
    value.fill(i)
    writes.push(db.put(key, value))
  }
  key.fill(0)
  value.fill(0)
  await Promise.all(writes)
  let expected = 0
  for await (const [foundKey, foundValue] of db.iterator()) {
    assert.equal(Buffer.from(foundKey).readUInt32BE(), expected)
    assert.ok(foundValue.every(byte => byte === (expected & 255)))
    expected++
  }
  assert.equal(expected, 1500)
})

test('each write chooses its durability', async () => {
  const directory = newDirectory()
  const db = await open(directory, { durability: 'none' })
  await db.put('none', '1')
  await db.put('os', '2', { durability: 'os' })
  db.putSync('disk', '3', { durability: 'disk' })
  await db.batch([{ type: 'put', key: 'batch', value: '4' }], { durability: 'disk' })
  await db.del('none', { durability: 'disk' })
  await db.put('none', '5', { durability: 'none' })
  assert.equal(db.stats().durability, 'none')
  await db.close()
  await using again = await open(directory)
  assert.deepEqual(await again.iterator().all(), [['batch', '4'], ['disk', '3'], ['none', '5'], ['os', '2']])
  assert.equal(again.stats().durability, 'os')
})

test('leaving a loop over entries early closes the iterator', async () => {
  await using db = await open(newDirectory())
  for (let i = 0; i < 1000; i++) db.putSync(`key ${i}`, 'value')
  await db.flush()
  for (const [key] of db.entriesSync({ gte: 'key 5' })) if (key > 'key 51') break
  assert.equal(db.stats().iterators, 0)
  for await (const [key] of db.iterator()) if (key > 'key 51') break
  assert.equal(db.stats().iterators, 0)
  await assert.rejects(async () => {
    for await (const entry of db.iterator()) throw new Error(entry[0])
  }, /key 0/)
  assert.equal(db.stats().iterators, 0)
  {
    await using iterator = db.iterator()
    await iterator.next()
    assert.equal(db.stats().iterators, 1)
  }
  assert.equal(db.stats().iterators, 0)
  assert.equal(db.stats().snapshots.open, 0)
})

test('a program that forgets to close ends by itself, and what was acknowledged is there', async () => {
  const directory = newDirectory()
  const count = 20_000
  const child = spawnSync(process.execPath, [fileURLToPath(new URL('../testing/forget-child.js', import.meta.url)), directory, String(count)], {
    encoding: 'utf8', timeout: 30_000,
  })
  assert.equal(child.status, 0, `${child.signal} ${child.stderr}`)
  assert.equal(child.stdout, `acknowledged ${count}\n`)
  await using db = await open(directory)
  assert.equal(await db.count(), count)
  assert.equal(await db.get('key 12345'), 'value 12345'.repeat(20))
  assert.deepEqual((await db.verify()).errors, [])
})

test('a flood of 50 000 writes without await is taken within the budget', async () => {
  for (const budget of ['8 MiB', '24 MiB']) {
    await using db = await open(newDirectory(), { budget })
    const writes: Promise<void>[] = []
    const value = 'x'.repeat(300)
    for (let i = 0; i < 50_000; i++) {
      writes.push(i % 10 === 9 ? db.batch([{ type: 'put', key: `key ${i}`, value: `${i} ${value}` }]) : db.put(`key ${i}`, `${i} ${value}`))
      if (i % 1000 === 0) {
        const { usedBytes, budgetBytes } = db.memory()
        assert.ok(usedBytes <= budgetBytes)
      }
    }
    await Promise.all(writes)
    const { highWaterBytes, budgetBytes, accounts } = db.memory()
    assert.ok(highWaterBytes <= budgetBytes, `${highWaterBytes} bytes of ${budgetBytes}`)
    assert.ok(Object.values(accounts).every(account => account.bytes <= account.highWaterBytes))
    assert.equal(await db.count(), 50_000)
    for (let i = 0; i < 50_000; i += 997) assert.equal(await db.get(`key ${i}`), `${i} ${value}`)
  }
})

test('a store that is opened and closed again and again does not pile up files', async () => {
  const directory = newDirectory()
  let most = 0
  for (let life = 0; life < 50; life++) {
    const db = await open(directory, { budget: '16 MiB' })
    assert.equal(await db.get('life'), life === 0 ? undefined : String(life - 1))
    await db.put('life', String(life))
    await db.put(`in life ${life}`, 'value')
    await db.close()
    most = Math.max(most, readdirSync(directory).length)
  }
  assert.ok(most <= 20, `${most} files`)
  await using db = await open(directory)
  assert.equal(await db.count(), 51)
  await db.compact()
  // A table, a log segment, a manifest, and the lock with its socket.
  assert.ok(readdirSync(directory).length <= 5, readdirSync(directory).join(', '))
})

test('a store in the working directory stays there when the program goes elsewhere', async () => {
  const before = process.cwd()
  const directory = newDirectory()
  mkdirSync(directory)
  process.chdir(directory)
  try {
    for (const budget of ['24 MiB', '12 MiB']) {
      const db = await open('.', { budget })
      await db.put('here', budget)
      await db.flush()
      process.chdir(root)
      await db.put('there', budget)
      await db.flush()
      await db.compact()
      await db.close()
      process.chdir(directory)
      const again = await open('.', { budget })
      assert.deepEqual(await again.getMany(['here', 'there']), [budget, budget])
      assert.deepEqual((await again.verify()).errors, [])
      await again.close()
    }
  } finally {
    process.chdir(before)
  }
})
