/** SpillMap, SpillSet and SpillQueue compared, printed, cloned and inspected, next to Map and Set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect, isDeepStrictEqual } from 'node:util'
import { serialize } from 'node:v8'
import { SimHost } from '../host/sim/sim-host.ts'
import { SpillMap, SpillQueue, SpillSet } from './index.ts'

const OPTIONS = { budget: '8 MiB', directory: '/scratch', host: new SimHost() } as const

const makers = {
  SpillMap: (...items: string[]) => new SpillMap(items.map(item => [item, item] as const), OPTIONS),
  SpillSet: (...items: string[]) => new SpillSet(items, OPTIONS),
  SpillQueue: (...items: string[]) => {
    const queue = new SpillQueue<string>(OPTIONS)
    for (const item of items) queue.push(item)
    return queue
  },
}

for (const [name, make] of Object.entries(makers)) {
  test(`${name}: deepStrictEqual to itself only`, () => {
    using one = make('a')
    using other = make('b')
    using empty = make()
    assert.deepStrictEqual(one, one)
    assert.deepStrictEqual({ in: [one] }, { in: [one] })
    for (const not of [other, empty]) {
      assert.ok(!isDeepStrictEqual(one, not))
      assert.ok(!isDeepStrictEqual([{ in: one }], [{ in: not }]))
      assert.throws(() => assert.deepStrictEqual(one, not), { name: 'AssertionError' })
    }
    assert.deepEqual([Object.keys(one), JSON.stringify(one), JSON.stringify({ one })], [[], '{}', '{"one":{}}'])
  })

  test(`${name}: cannot be cloned`, () => {
    using one = make('a')
    const error = { message: `#<${name}> could not be cloned.` }
    assert.throws(() => structuredClone(one), error)
    assert.throws(() => structuredClone({ deep: [one] }), error)
    assert.throws(() => serialize(one), error)
    using holder = new SpillMap(OPTIONS)
    assert.throws(() => holder.set('k', { one }), { code: 'SPILLWAY_INVALID_ARGUMENT', message: new RegExp(`#<${name}> could not be cloned`) })
    assert.equal(holder.size, 0)
  })

  test(`${name}: inspect after dispose, and nested too deep`, () => {
    const one = make('a')
    assert.equal(inspect({ a: { b: { c: one } } }, { depth: 2 }), inspect({ a: { b: { c: '?' } } }).replace("'?'", `[${name}]`))
    one.dispose()
    assert.equal(inspect(one), `${name} { <disposed> }`)
  })

  test(`${name}: the prototype can be inspected`, () => {
    const { prototype } = { SpillMap, SpillSet, SpillQueue }[name]!
    assert.equal(inspect(prototype), `Object [${name}] {}`)
    assert.ok(inspect(prototype, { showHidden: true, getters: true }).includes('[dispose]'))
    assert.equal(inspect(Object.create(prototype)), `Object [${name}] {}`)
    assert.equal(Object.prototype.toString.call(prototype), `[object ${name}]`)
    assert.equal(Object.getPrototypeOf(prototype), Object.prototype)
    assert.throws(() => prototype.size, TypeError)
    assert.deepEqual(Object.keys(prototype), [])
    for (const [key, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (get !== undefined) assert.throws(() => get.call(prototype), TypeError, key)
      if (typeof value === 'function' && key !== 'constructor') assert.throws(() => value.call(prototype, () => 1).next(), TypeError, key)
    }
  })
}

test('inspect prints the first entries like a Map, Set or array, and the number of others', () => {
  const entries: [unknown, unknown][] = [['a', 1], [2n, { b: [1, { c: { d: 1 } }] }], [null, new Date(0)]]
  using map = new SpillMap(entries, OPTIONS)
  using set = new SpillSet<unknown>(['a', 2n, null], OPTIONS)
  for (const options of [{}, { colors: true }, { compact: false }, { depth: 0 }, { depth: null }, { breakLength: 20 }]) {
    assert.equal(inspect(map, options), inspect(new Map(entries), options).replace('Map', 'SpillMap'))
    assert.equal(inspect([set], options), inspect([new Set(['a', 2n, null])], options).replace('Set', 'SpillSet'))
  }
  using empty = new SpillMap(OPTIONS)
  assert.equal(inspect(empty), 'SpillMap(0) {}')

  for (let i = 0; i < 20; i++) set.add(i)
  assert.equal(inspect(set, { breakLength: Infinity }), "SpillSet(23) { 'a', 2n, null, 0, 1, 2, 3, 4, 5, 6, ... 13 more items }")
  assert.equal(inspect(set, { maxArrayLength: 2 }), "SpillSet(23) { 'a', 2n, ... 21 more items }")
  assert.equal(inspect(set, { maxArrayLength: 0 }), 'SpillSet(23) { ... 23 more items }')
  assert.match(inspect(set, { compact: false }), /,\n {2}\.\.\. 13 more items\n\}$/)

  using queue = new SpillQueue<unknown>(OPTIONS)
  assert.equal(inspect(queue), 'SpillQueue(0) []')
  for (let i = 0; i < 11; i++) queue.push({ i })
  assert.match(inspect(queue, { breakLength: Infinity, compact: true }), /^SpillQueue\(11\) \[ \{ i: 0 \}, .*\{ i: 9 \}, \.\.\. 1 more item \]$/)
  assert.deepEqual([queue.size, queue.shift()], [11, { i: 0 }])

  class Counts extends SpillMap<string, number> {}
  using counts = new Counts([['a', 1]], OPTIONS)
  assert.equal(inspect(counts), "Counts(1) [SpillMap] { 'a' => 1 }")
})

test('inspect reports entries that cannot be read, and continues', () => {
  const valueEncoding = { encode: String, decode: (): string => { throw new Error('no longer readable') } }
  using map = new SpillMap([['a', 'v']], { ...OPTIONS, valueEncoding })
  assert.match(inspect({ map }), /^\{\s+map: SpillMap\(1\) \{ <the value of key "a": .*no longer readable.*> \}\s+\}$/)
})

test('methods of one class reject objects of another, like those of Map and Set', () => {
  using map = new SpillMap([['a', 1]], OPTIONS)
  using set = new SpillSet(['a'], OPTIONS)
  using queue = new SpillQueue<string>(OPTIONS)
  const classes = [[SpillMap, map], [SpillSet, set], [SpillQueue, queue]] as const
  for (const [{ prototype }, own] of classes) {
    for (const [key, { get, value }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (key === 'constructor') continue
      for (const other of [...classes.map(([, object]) => object), new Map(), new Set(), {}, undefined, 1]) {
        if (other === own) continue
        // A generator checks on its first `next`.
        if (get !== undefined) assert.throws(() => get.call(other), TypeError, key)
        else if (typeof value === 'function') assert.throws(() => value.call(other, () => 1).next(), TypeError, key)
      }
    }
  }
  assert.deepEqual([map.size, set.size, queue.size], [1, 1, 0])
})

test('methods have the names, lengths and attributes of those of Map and Set', () => {
  for (const [own, builtIn] of [[SpillMap, Map], [SpillSet, Set]] as const) {
    assert.equal(own.length, builtIn.length)
    for (const key of Reflect.ownKeys(builtIn.prototype)) {
      if (key === 'constructor') continue
      const is = Object.getOwnPropertyDescriptor(own.prototype, key)
      const should = Object.getOwnPropertyDescriptor(builtIn.prototype, key)!
      assert.ok(is, String(key))
      const about = (property: PropertyDescriptor): unknown => {
        const { value, get, set, ...attributes } = property
        const method = value ?? get
        return typeof method === 'function' ? { ...attributes, name: method.name, length: method.length, isGetter: get !== undefined, set } : attributes
      }
      assert.deepEqual(about(is), about(should), `${own.name} ${String(key)}`)
    }
  }
  assert.equal(SpillMap.prototype[Symbol.iterator], SpillMap.prototype.entries)
  assert.equal(SpillSet.prototype[Symbol.iterator], SpillSet.prototype.values)
  assert.equal(SpillSet.prototype.keys, SpillSet.prototype.values)
})

test('iterators and their prototype can be inspected', () => {
  using map = new SpillMap([['a', 1]], OPTIONS)
  const iterator = map.entries()
  assert.ok(inspect(iterator).includes('SpillMap Iterator'))
  assert.ok(inspect(Object.getPrototypeOf(iterator), { showHidden: true }).includes('next'))
  assert.deepEqual([...iterator], [['a', 1]])
})

test('getOrInsert and getOrInsertComputed behave like those of Map', () => {
  using map = new SpillMap<unknown, unknown>([['a', undefined]], OPTIONS)
  assert.deepEqual([map.getOrInsert('a', 1), map.getOrInsert('b', 2), map.getOrInsert('b', 3)], [undefined, 2, 2])
  const calls: unknown[] = []
  const make = (key: unknown): string => { calls.push(key); return `of ${String(key)}` }
  assert.deepEqual([map.getOrInsertComputed('b', make), map.getOrInsertComputed(-0, make), map.getOrInsertComputed(0, make)], [2, 'of 0', 'of 0'])
  assert.ok(calls.length === 1 && Object.is(calls[0], 0))
  assert.throws(() => map.getOrInsertComputed('b', undefined as never), TypeError)
  assert.throws(() => map.getOrInsertComputed('c', () => { throw new RangeError('mine') }), RangeError)
  assert.equal(map.getOrInsertComputed('d', () => { map.set('d', 'earlier'); return 'later' }), 'later')
  assert.equal(map.has('c'), false)
  const list = map.getOrInsert('list', []) as number[]
  list.push(1)
  assert.deepEqual(map.get('list'), [], 'a copy is returned')
})
