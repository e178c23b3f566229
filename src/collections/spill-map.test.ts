import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Budget, SpillMap, SpillSet } from './index.ts'
import type { SpillMapOptions } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-map-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const SMALL = { budget: '8 MiB', directory } as const

function make<K, V>(options: SpillMapOptions<K, V> = {}): SpillMap<K, V> {
  return new SpillMap<K, V>({ ...SMALL, ...options })
}

const fileCount = (): number => readdirSync(directory, { recursive: true }).filter(name => String(name).endsWith('.table')).length

type Key = string | number | bigint | boolean | null | undefined
const NEAR: readonly Key[] = [0, -0, NaN, 1, '1', 1n, -1, -1n, true, false, null, undefined, '', 'a', 'b', 'ab', 'a\0', '\ud800', '\ufffd', Infinity, -Infinity, 2 ** 53, 1e-300]
const keys = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...NEAR) }, { weight: 3, arbitrary: fc.nat(40) }, { weight: 1, arbitrary: fc.string() })

type Command =
  | { do: 'set', key: Key, value: number }
  | { do: 'delete' | 'has' | 'get', key: Key }
  | { do: 'clear' | 'begin' }
  | { do: 'step', times: number }
const commands = fc.array(fc.oneof(
  { weight: 12, arbitrary: fc.record({ do: fc.constant('set' as const), key: keys, value: fc.nat() }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'has' as const, 'get' as const), key: keys }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('step' as const), times: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const) }) },
), { minLength: 20, maxLength: 120 })

/** Run the commands on both, advancing several iterators of each. */
function play(map: SpillMap<Key, string>, model: Map<Key, string>, filler: string, list: readonly Command[]): void {
  const pairs: [Iterator<unknown, unknown>, Iterator<unknown, unknown>][] = []
  for (const command of list) {
    switch (command.do) {
      case 'set':
        assert.equal(map.set(command.key, command.value + filler), map)
        model.set(command.key, command.value + filler)
        break
      case 'delete': assert.equal(map.delete(command.key), model.delete(command.key)); break
      case 'has': assert.equal(map.has(command.key), model.has(command.key)); break
      case 'get': assert.equal(map.get(command.key), model.get(command.key)); break
      case 'clear': map.clear(); model.clear(); break
      case 'begin':
        pairs.push([map.entries(), model.entries()], [map.keys(), model.keys()], [map.values(), model.values()])
        if (pairs.length > 9) pairs.splice(0, 3)
        break
      case 'step':
        for (let i = 0; i < command.times; i++) {
          for (const [mine, theirs] of pairs) {
            const { done, value } = mine.next()
            const expected = theirs.next()
            assert.deepEqual({ done, value }, { done: expected.done === true, value: expected.value })
          }
        }
    }
    assert.equal(map.size, model.size)
  }
  assert.deepEqual([...map], [...model])
}

for (const [name, filler, seed] of [['in memory', '', 1], ['on disk', 'x'.repeat(9000), 2], ['with large values', 'y'.repeat(30_000), 3]] as const) {
  test(`it behaves like a Map, with any calls during iteration: ${name}`, () => {
    fc.assert(fc.property(commands, list => {
      const map = make<Key, string>()
      try {
        const model = new Map<Key, string>()
        if (filler !== '') {
          // Enough to reach tables.
          for (let i = 0; i < 150; i++) {
            map.set(i % 120, i + filler)
            model.set(i % 120, i + filler)
          }
        }
        play(map, model, filler, list)
        assert.ok(map.memory().highWaterBytes <= 8 * 2 ** 20)
      } finally {
        map.dispose()
      }
    }), { seed, numRuns: filler === '' ? 60 : 12 })
    assert.deepEqual(readdirSync(directory), [])
  })
}

test('100,000 entries beyond memory can be read by key and in insertion order', () => {
  using map = make<string, string>()
  const n = 100_000
  for (let i = 0; i < n; i++) map.set(`key ${i * 7919 % n}`, `value ${i} ${'.'.repeat(80)}`)
  assert.equal(map.size, n)
  assert.ok(fileCount() > 0, 'some entries are on disk')
  for (let i = 0; i < n; i += 97) assert.equal(map.get(`key ${i * 7919 % n}`)?.split(' ')[1], String(i))
  assert.equal(map.has('key -1'), false)
  let i = 0
  for (const [key, value] of map) {
    assert.ok(key === `key ${i * 7919 % n}` && value.startsWith(`value ${i} `), `entry ${i} is ${key}`)
    i++
  }
  assert.equal(i, n)
  const report = map.memory()
  assert.ok(report.highWaterBytes <= report.budgetBytes)
})

test('key order: ranges, reverse, and keys added during iteration', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(300), fc.constantFrom('set', 'delete', 'step', 'step', 'step')), { maxLength: 200 }), fc.nat(300), fc.nat(300), fc.boolean(), (list, low, high, reverse) => {
    using map = make<number, string>({ order: 'key' })
    const model = new Map<number, string>()
    for (let i = 0; i < 200; i++) {
      const filler = String(i).padEnd(12_000)
      map.set(i * 3, filler)
      model.set(i * 3, filler)
    }
    const inside = (key: number): boolean => key >= low && key < high
    const iterator = map.keys({ gte: low, lt: high, reverse })
    let last = reverse ? Infinity : -Infinity
    for (const [key, command] of list) {
      if (command === 'set') {
        map.set(key, 'new')
        model.set(key, 'new')
      } else if (command === 'delete') {
        assert.equal(map.delete(key), model.delete(key))
      } else {
        const left = [...model.keys()].filter(k => inside(k) && (reverse ? k < last : k > last)).sort((a, b) => reverse ? b - a : a - b)
        const { done, value } = iterator.next()
        if (done) {
          assert.deepEqual(left, [])
          break
        }
        assert.equal(value, left[0])
        last = value
      }
    }
    assert.equal(map.size, model.size)
    const sorted = [...model].sort((a, b) => a[0] - b[0])
    assert.deepEqual([...map.entries({ gte: low, lt: high })], sorted.filter(([key]) => inside(key)))
    assert.deepEqual([...map.entries({ gt: low, reverse: true })], sorted.filter(([key]) => key > low).reverse())
    assert.deepEqual([...map], sorted)
  }), { seed: 4, numRuns: 12 })
})

test('a set behaves like a Set', () => {
  fc.assert(fc.property(fc.array(fc.tuple(keys, fc.constantFrom('add', 'add', 'delete', 'has', 'step')), { maxLength: 200 }), list => {
    using set = new SpillSet<Key>(SMALL)
    const model = new Set<Key>()
    const mine = set.values()
    const theirs = model.values()
    for (const [key, command] of list) {
      if (command === 'add') {
        assert.equal(set.add(key), set)
        model.add(key)
      } else if (command === 'step') {
        const { done, value } = theirs.next()
        assert.deepEqual(mine.next(), { done: done === true, value })
      } else {
        assert.equal(set[command as 'has'](key), model[command as 'has'](key))
      }
      assert.equal(set.size, model.size)
    }
    assert.deepEqual([...set], [...model])
    assert.deepEqual([...set.entries()], [...model.entries()])
    const seen: unknown[] = []
    set.forEach(function (this: unknown, member, again, whole) { seen.push([this, member, again, whole === set]) }, 'me')
    assert.deepEqual(seen, [...model].map(member => ['me', member, member, true]))
  }), { seed: 5, numRuns: 60 })
  using sorted = new SpillSet(['b', 'a', 'c', 'a'], { ...SMALL, order: 'key' })
  assert.deepEqual([...sorted], ['a', 'b', 'c'])
  assert.deepEqual([...sorted.values({ gte: 'b' })], ['b', 'c'])
})

test('the first key is cheap after many deletions, and dropped iterators own nothing', () => {
  using map = make<number, string>()
  for (let i = 0; i < 20_000; i++) {
    map.set(i, 'x'.repeat(100))
    if (map.size > 100) map.delete(map.keys().next().value!)
  }
  assert.equal(map.keys().next().value, 19_900)
  assert.equal(map.size, 100)
  const { accounts, highWaterBytes } = map.memory()
  assert.ok(accounts['iterators']!.bytes < 2 ** 20)
  assert.ok(highWaterBytes <= 8 * 2 ** 20)
})

test('values of every kind that structuredClone copies round-trip', () => {
  using map = make<string, unknown>()
  const cycle: Record<string, unknown> = { name: 'cycle' }
  cycle['self'] = cycle
  const values: unknown[] = [
    undefined, null, true, false, 0, -0, 1.5, NaN, -(2 ** 31), 2 ** 31, 12n, '', 'text', 'ünïcode ✓', '\ud800', 'long '.repeat(60_000), new Date(5),
    Buffer.from('bytes'), Buffer.alloc(300_000, 7), new Uint8Array([1, 2]), new Float64Array([0.5]), [1, undefined, 3], { a: { b: [undefined] } },
    new Map<unknown, unknown>([[{ k: 1 }, new Set([1])]]), /x/g, cycle,
  ]
  values.forEach((value, i) => map.set(`value ${i}`, value))
  for (const round of ['as set', 'after eviction']) {
    values.forEach((value, i) => assert.deepEqual(map.get(`value ${i}`), value, `${round}: value ${i}`))
    assert.deepEqual([...map.values()].slice(0, values.length), values, round)
    for (let i = 0; i < 300 && round === 'as set'; i++) map.set(`filler ${i}`, 'x'.repeat(10_000))
  }
  assert.ok(Buffer.isBuffer(map.get('value 17')))
  assert.throws(() => map.set('f', () => 1), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /function/ })
  assert.throws(() => map.set('s', Symbol('x')), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.equal(map.has('f'), false)
})

test('a value that grows large, shrinks and is deleted leaves no file', async () => {
  using map = make<string, string>()
  for (let i = 0; i < 40; i++) {
    const value = i % 3 === 0 ? 'L'.repeat(100_000 + i) : `small ${i}`
    map.set('key', value)
    assert.equal(map.get('key'), value)
    assert.deepEqual([...map], [['key', value]])
  }
  assert.equal(map.delete('key'), true)
  assert.deepEqual([...map.keys()], [])
  assert.equal(map.get('key'), undefined)
  for (let i = 0; i < 5; i++) map.set(`large ${i}`, 'L'.repeat(200_000))
  map.clear()
  const left = (): unknown[] => readdirSync(directory, { recursive: true }).filter(name => /\.(value|table)/.test(String(name)))
  // They are removed off the main thread.
  for (let i = 0; i < 1000 && left().length > 0; i++) await new Promise(resolve => { setTimeout(resolve, 1) })
  assert.deepEqual(left(), [])
})

test('encodings work as in a store', () => {
  using text = make<string, string>({ keyEncoding: 'utf8', valueEncoding: 'utf8' })
  text.set('a', 'b')
  assert.deepEqual([...text], [['a', 'b']])
  using bytes = make<Buffer, Buffer>({ keyEncoding: 'buffer', valueEncoding: 'buffer', order: 'key' })
  bytes.set(Buffer.from('b'), Buffer.from('2')).set(Buffer.from('a'), Buffer.from('1'))
  assert.deepEqual([...bytes.values()], [Buffer.from('1'), Buffer.from('2')])
  const codec = { encode: (n: number): string => String(n).padStart(8, '0'), decode: (b: Uint8Array): number => Number(Buffer.from(b).toString()) }
  using custom = make<number, number>({ keyEncoding: codec, valueEncoding: codec })
  custom.set(3, 4).set(1, 2)
  assert.deepEqual([...custom], [[3, 4], [1, 2]])
  const maps: SpillMap<number, number>[] = []
  const calling = { encode: (n: number): string => { maps[0]?.get(1); return String(n) }, decode: Number }
  using bad = make<number, number>({ keyEncoding: calling as never })
  maps.push(bad)
  assert.throws(() => bad.set(1, 1), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /codec called the collection/ })
})

test('a Budget can be shared, is released whole, and is refused when too small', () => {
  const budget = new Budget('32 MiB')
  for (let round = 0; round < 3; round++) {
    const maps = [0, 1, 2].map(() => new SpillMap<number, string>({ budget, directory, order: round === 0 ? 'key' : 'insertion' }))
    for (let i = 0; i < 15_000; i++) for (const map of maps) map.set(i, 'value '.repeat(20))
    for (const map of maps) assert.equal([...map.keys()].length, 15_000)
    const report = maps[0]!.memory()
    assert.ok(report.highWaterBytes <= report.budgetBytes)
    // One by one: the others keep working.
    for (const map of maps) {
      assert.equal(map.get(5), 'value '.repeat(20))
      map.dispose()
    }
    assert.deepEqual(readdirSync(directory), [])
  }
  assert.throws(() => make({ budget: '4 MiB' }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
})

test('nothing is written while everything fits', () => {
  using map = make<number, string>({ budget: '16 MiB' })
  for (let i = 0; i < 3000; i++) map.set(i, 'x'.repeat(100))
  for (let i = 0; i < 3000; i++) map.set(i, 'y'.repeat(100))
  assert.deepEqual(readdirSync(directory), [])
})

test('a small map is never written, however many entries pass through it', () => {
  using map = make<number, string>({ budget: '24 MiB' })
  const model = new Map<number, string>()
  for (let i = 0; i < 100_000; i++) {
    const value = String(i).padEnd(60)
    map.set(i, value)
    model.set(i, value)
    if (i >= 1000) {
      map.delete(i - (i % 3 === 0 ? 1 : 1000))
      model.delete(i - (i % 3 === 0 ? 1 : 1000))
    }
    if (i === 50_000) {
      for (const key of [...model.keys()].slice(0, 30_000)) {
        map.delete(key)
        model.delete(key)
      }
    }
  }
  assert.deepEqual([...map], [...model])
  assert.deepEqual(readdirSync(directory), [])
})

test('after dispose every call throws CLOSED, except dispose', () => {
  const map = make<number, number>()
  const iterator = map.set(1, 1).set(2, 2).entries()
  iterator.next()
  map.dispose()
  map.dispose()
  assert.equal(map.isDisposed, true)
  const closed = { code: 'SPILLWAY_CLOSED', message: /SpillMap was disposed of/ }
  for (const use of [() => map.get(1), () => map.set(1, 1), () => map.has(1), () => map.delete(1), () => map.clear(), () => map.size, () => map.keys(), () => [...map], () => iterator.next(), () => map.memory()]) {
    assert.throws(use, closed)
  }
})

test('wrong options and keys are refused with a remedy', () => {
  const bad = { code: 'SPILLWAY_INVALID_ARGUMENT' }
  assert.throws(() => make({ order: 'random' as never }), bad)
  assert.throws(() => make({ budgetBytes: 1 } as never), bad)
  assert.throws(() => make({ directory: 5 as never }), bad)
  assert.throws(() => new SpillSet({ valueEncoding: 'json' } as never), bad)
  assert.throws(() => new SpillMap<number, number>([[1, 1], 5 as never], SMALL), TypeError)
  using map = make<unknown, number>()
  assert.throws(() => map.keys({ gte: 1 }), { ...bad, message: /order: 'key'/ })
  assert.throws(() => map.set(Symbol('x'), 1), bad)
  assert.throws(() => map.set(new (class Point {})(), 1), bad)
  assert.throws(() => map.set('k'.repeat(70_000), 1), { ...bad, message: /65535/ })
  assert.deepEqual(readdirSync(directory), [])
})

test('it can be used where a Map is expected', () => {
  using map = make<string, number>()
  const asMap: Map<string, number> = map
  const asSet: Set<string> = new SpillSet<string>(SMALL)
  assert.equal(asSet.add('a').has('a'), true)
  ;(asSet as SpillSet<string>).dispose()
  asMap.set('a', 1)
  const seen: unknown[] = []
  asMap.forEach((value, key, whole) => seen.push([value, key, (whole as unknown) === map]))
  assert.deepEqual(seen, [[1, 'a', true]])
  assert.equal(Object.prototype.toString.call(map), '[object SpillMap]')
  assert.deepEqual(new Map(map), new Map([['a', 1]]))
  const iterator = map[Symbol.iterator]()
  assert.equal(iterator[Symbol.iterator](), iterator)
  for (const [key] of map) {
    map.set(`${key}b`, 2)
    if (map.size > 5) break
  }
  assert.equal(map.size, 6)
})
