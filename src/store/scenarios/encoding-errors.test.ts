/** Encodings that fail say so: a code, the key, the encoding and a remedy. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { SpillwayError } from '../../base/errors.ts'
import type { Codec } from '../../encoding/encoding.ts'
import type { SpillwayIterator } from '../scan/iterator.ts'
import type { Transaction } from '../transaction/transaction.ts'
import { openSim, simHost, within } from '../testing/sim.ts'

const cause = new Error('out of order')
const broken: Codec<unknown> = { name: 'broken', encode: () => { throw cause }, decode: () => { throw cause } }
const odd: Codec<unknown> = { name: 'odd', encode: () => ({ length: 1 }) as never, decode: String }
const promising: Codec<unknown> = { name: 'promising', encode: (async () => 'x') as never, decode: String }
const cycle: Record<string, unknown> = {}
cycle['self'] = cycle

async function refusal(act: () => unknown): Promise<SpillwayError> {
  try {
    await act()
  } catch (error) {
    assert.ok(error instanceof SpillwayError, `${String(error)} has no code`)
    return error
  }
  throw new Error('nothing was thrown')
}

async function withStore(work: (db: any) => Promise<void>): Promise<void> {
  const host = simHost()
  const db = await openSim<any, any>(host)
  await within(host, work(db))
  await within(host, db.close())
}

test('a value that cannot be encoded is refused with its key, its encoding and a remedy, and nothing is written', () => withStore(async db => {
  const cases: [string, unknown, Codec<unknown> | 'json' | 'utf8' | 'view', RegExp][] = [
    ['bigint', 1n, 'json', /encoding 'json' cannot encode it: .*BigInt.*\. Give what JSON can hold/],
    ['cycle', cycle, 'json', /encoding 'json' cannot encode it: .*circular structure.*\. Give what JSON can hold/],
    ['function', () => 1, 'json', /encoding 'json' takes what JSON can hold, not function/],
    ['toJSON that throws', { toJSON() { throw new TypeError('not me') } }, 'json', /cannot encode it: not me\./],
    ['object', {}, 'utf8', /encoding 'utf8' takes a string, not an object of Object\. Use the encoding 'json'/],
    ['object', {}, 'view', /encoding 'view' takes bytes .* Use the encoding 'json'/],
    ['codec that throws', 'x', broken, /encoding 'broken' cannot encode it: out of order\. Give what the codec takes/],
    ['codec that makes no bytes', 'x', odd, /encode of the codec 'odd' must return bytes .*, not an object of Object/],
    ['codec that makes a promise', 'x', promising, /encode of the codec 'promising' must return bytes .*, not an object of Promise\. What takes a promise/],
  ]
  for (const [name, value, encoding, message] of cases) {
    const options = { valueEncoding: encoding as never }
    const writes: [string, () => unknown][] = [
      ['put', () => db.put('a b', value, options)], ['putSync', () => db.putSync('a b', value, options)],
      ['batch', () => db.batch([{ type: 'put', key: 'first', value: 'fine' }, { type: 'put', key: 'a b', value }], { valueEncoding: { ...broken, encode: (v: unknown) => {
        if (v === 'fine') return 'fine'
        throw cause
      } } })],
      ['transaction', () => db.transaction((tx: Transaction<any, any>) => tx.put('a b', value as never, options))],
      ['transaction, sync', () => db.transaction((tx: Transaction<any, any>) => { tx.putSync('a b', value as never, options) })],
    ]
    for (const [call, write] of writes) {
      const error = await refusal(write)
      assert.equal(error.code, 'SPILLWAY_INVALID_ARGUMENT', `${name}, ${call}`)
      assert.match(error.message, /^the value for key "a b": /, `${name}, ${call}`)
      if (call !== 'batch') assert.match(error.message, message)
      assert.equal(error.details['key'], '"a b"')
      assert.equal(error.details['part'], 'value')
      if (call !== 'batch') assert.equal(error.details['encoding'], typeof encoding === 'string' ? encoding : encoding.name)
      if (encoding === broken) assert.equal(error.cause, cause)
    }
    const error = await refusal(() => db.put(value, 'v', { keyEncoding: encoding as never }))
    assert.equal(error.code, 'SPILLWAY_INVALID_ARGUMENT')
    assert.match(error.message, /^the key /)
    assert.equal(error.details['part'], 'key')
    for (const read of [
      () => db.get(value, { keyEncoding: encoding as never }), () => db.has(value, { keyEncoding: encoding as never }),
      () => db.iterator({ gte: value, keyEncoding: encoding as never }), () => db.count({ lt: value, keyEncoding: encoding as never }),
      () => db.del(value, { keyEncoding: encoding as never }),
      () => { using it = disposable(db.keys({ keyEncoding: encoding as never })); it.iterator.seek(value) },
    ]) assert.match((await refusal(read)).message, /^the key /)
  }
  assert.equal(await db.count(), 0)
  assert.equal(db.stats().iterators, 0)
}))

function disposable<T>(iterator: SpillwayIterator<T>): Disposable & { iterator: SpillwayIterator<T> } {
  return { iterator, [Symbol.dispose]: () => { iterator.closeSync() } }
}

test('an error of the store passes through a codec as it is', () => withStore(async db => {
  const mine = new SpillwayError('SPILLWAY_UNAVAILABLE', 'not available')
  const codec: Codec<unknown> = { encode: () => { throw mine }, decode: () => { throw mine } }
  await db.put('k', 'v')
  assert.equal(await refusal(() => db.put('k', 'v', { valueEncoding: codec })), mine)
  assert.equal(await refusal(() => db.get('k', { valueEncoding: codec })), mine)
}))

test('a get of what its encoding cannot read names key, encoding and remedy, wherever the value is', () => withStore(async db => {
  const long = 'x'.repeat(100_000)
  await db.put('t', 'a2')
  await db.put('long', long)
  const keyBytes = Buffer.from('bytes \x00')
  await db.put(keyBytes, 'a2')
  for (const flushed of [false, true]) {
    if (flushed) await db.flush()
    const gets: [string, (options: object) => unknown][] = [
      ['get', options => db.get('t', options)], ['getSync', options => db.getSync('t', options)], ['getMany', options => db.getMany(['t'], options)],
      ['getManySync', options => db.getManySync(['t'], options)],
      ['transaction', options => db.transaction((tx: Transaction<any, any>) => tx.get('t', options))],
      ['for update', options => db.transaction((tx: Transaction<any, any>) => tx.getForUpdate('t', options))],
      ['own write', options => db.transaction(async (tx: Transaction<any, any>) => {
        await tx.put('t', 'a2')
        await tx.get('t', options)
      })],
    ]
    for (const [name, get] of gets) {
      const error = await refusal(() => get({ valueEncoding: 'json' }))
      assert.equal(error.code, 'SPILLWAY_DECODING', name)
      assert.match(error.message, /^the value of key "t": encoding 'json' cannot decode it: .*JSON.*\. Read it with the encoding that it was written with/, name)
      assert.deepEqual([error.details['key'], error.details['part'], error.details['encoding']], ['"t"', 'value', 'json'])
      assert.ok(error.cause instanceof SyntaxError)
      const ofCodec = await refusal(() => get({ valueEncoding: broken }))
      assert.match(ofCodec.message, /^the value of key "t": encoding 'broken' cannot decode it: out of order\./)
      assert.equal(ofCodec.cause, cause)
    }
    const ofLong = await refusal(() => db.get('long', { valueEncoding: 'json' }))
    assert.match(ofLong.message, /^the value of key "long": encoding 'json' cannot decode it/)
    const ofBytes = await refusal(() => db.get(keyBytes, { valueEncoding: 'json' }))
    assert.match(ofBytes.message, /^the value of key "bytes \\x00": /)
  }
}))

const ROWS = 300
const BAD = [0, 7, 150, 151, ROWS - 1]
const keyOf = (i: number): string => `key ${String(i).padStart(4, '0')}`

/** Every way to walk: [how it is read, options]. */
for (const place of ['memtable', 'table', 'transaction'] as const) {
  for (const reverse of [false, true]) {
    test(`in the middle of a scan: those before are yielded, the error names its entry, and the iterator goes on behind it (${place}, ${reverse ? 'backward' : 'forward'})`, () => withStore(async db => {
      for (let i = 0; i < ROWS; i++) await db.put(keyOf(i), BAD.includes(i) ? 'a2' : String(i))
      if (place !== 'memtable') await db.flush()
      const transaction = place === 'transaction' ? await db.begin() : undefined
      await transaction?.put('key 0000a', '{}')
      const source = transaction ?? db
      const order = Array.from({ length: ROWS }, (_, i) => reverse ? ROWS - 1 - i : i)
      const readers: Record<string, (iterator: SpillwayIterator<[string, unknown]>) => Promise<[string, unknown][]>> = {
        next: async it => [await it.next()].filter(entry => entry !== undefined),
        nextv: it => it.nextv(50),
        'nextv of many': it => it.nextv(1000),
        nextvSync: async it => it.nextvSync(3),
      }
      for (const valueEncoding of ['json', { name: 'own', encode: String, decode: (bytes: Uint8Array) => JSON.parse(Buffer.from(bytes).toString()) as unknown }] as const) {
        for (const [how, read] of Object.entries(readers)) {
          const iterator = source.iterator({ reverse, valueEncoding: valueEncoding as never }) as SpillwayIterator<[string, unknown]>
          const seen: (string | number)[] = []
          for (;;) {
            try {
              const some = await read(iterator)
              if (some.length === 0) break
              for (const [key, value] of some) if (key !== 'key 0000a') seen.push(value as number)
            } catch (error) {
              const { code, message, details } = error as SpillwayError
              assert.equal(code, 'SPILLWAY_DECODING')
              const key = Buffer.from(details['keyBytes'] as Uint8Array).toString()
              assert.match(message, new RegExp(`^the value of key "${key}": encoding '(json|own)' cannot decode it`))
              seen.push(key)
              // The same again, until it is passed.
              await assert.rejects(read(iterator), { code: 'SPILLWAY_DECODING', message })
              const next = reverse ? order[order.indexOf(Number(key.slice(4))) + 1] : undefined
              if (reverse && next === undefined) break
              iterator.seek(reverse ? keyOf(next!) : `${key}\0`)
            }
          }
          await iterator.close()
          assert.deepEqual(seen, order.map(i => BAD.includes(i) ? keyOf(i) : i), how)
        }
        // Loops and `all` end, once those before were yielded.
        const options = { reverse, valueEncoding, gt: 'key 0000a', lt: keyOf(ROWS - 1) } as object
        const before = order.slice(1, reverse ? ROWS - 1 - 151 : 7)
        const loops: ((take: (entry: [string, unknown]) => void) => Promise<void>)[] = [
          async take => { for await (const entry of source.iterator(options)) take(entry as never) },
          async take => { for (const entry of source.entriesSync(options)) take(entry as never) },
        ]
        for (const loop of loops) {
          const seen: unknown[] = []
          await assert.rejects(loop(([, value]) => { seen.push(value) }), { code: 'SPILLWAY_DECODING' })
          assert.deepEqual(seen, before)
        }
        assert.equal((await refusal(() => source.iterator({ reverse, valueEncoding: valueEncoding as never }).all())).code, 'SPILLWAY_DECODING')
        assert.equal(db.stats().iterators, 0, 'loops and all close what they read from')
      }
      await transaction?.abort()
    }))
  }
}

test('a key that cannot be decoded is said to be the key', () => withStore(async db => {
  for (let i = 0; i < 20; i++) await db.put(keyOf(i), 'v')
  for (const values of [false, true]) {
    const iterator = values ? db.iterator({ keyEncoding: 'json' }) : db.keys({ keyEncoding: 'json' })
    const error = await refusal(() => iterator.next())
    assert.equal(error.code, 'SPILLWAY_DECODING')
    assert.match(error.message, /^the key "key 0000": encoding 'json' cannot decode it/)
    assert.equal(error.details['part'], 'key')
    await iterator.close()
  }
}))

test('bytes and plain objects of another realm are what they are here', () => withStore(async db => {
  const foreign = (code: string): unknown => runInNewContext(code)
  const bytes = foreign('new Uint8Array([1, 2, 255])')
  assert.ok(!(bytes instanceof Uint8Array), 'this tests nothing otherwise')
  for (const encoding of ['utf8', 'view', 'buffer'] as const) {
    await db.put(bytes, bytes, { keyEncoding: encoding, valueEncoding: encoding })
    assert.deepEqual(await db.get(new Uint8Array([1, 2, 255]), { keyEncoding: 'view', valueEncoding: 'buffer' }), Buffer.from([1, 2, 255]))
    assert.deepEqual(await db.get(bytes, { keyEncoding: encoding, valueEncoding: 'buffer' }), Buffer.from([1, 2, 255]))
    await db.del(bytes, { keyEncoding: encoding })
  }
  await db.put('buffer', foreign('new Uint8Array([7, 8]).buffer'), { valueEncoding: 'view' })
  assert.deepEqual(await db.get('buffer', { valueEncoding: 'view' }), new Uint8Array([7, 8]))
  const codec: Codec<unknown> = { encode: () => foreign('new Uint8Array([9])') as Uint8Array, decode: b => b[0] }
  await db.put('codec', 'x', { valueEncoding: codec })
  assert.equal(await db.get('codec', { valueEncoding: codec }), 9)
  await db.put('json', foreign('({ a: [1] })'), { valueEncoding: 'json' })
  assert.deepEqual(await db.get('json', { valueEncoding: 'json' }), { a: [1] })
  assert.equal(await db.count(foreign('({ gte: "codec", lte: "json" })') as object), 2)
  await db.batch(foreign('[{ type: "put", key: "batch", value: "v" }]') as never)
  assert.equal(await db.get('batch'), 'v')
  const error = await refusal(() => db.put('k', 'v', { valueEncoding: { encode: () => { throw foreign('new RangeError("far away")') }, decode: String } }))
  assert.match(error.message, /cannot encode it: far away\./)
}))
