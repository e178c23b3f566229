/** Details of Map and Set that SpillMap and SpillSet must match: each test runs on both. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { SpillMap, SpillSet } from './index.ts'

const OPTIONS = { budget: '8 MiB', directory: '/scratch', host: new SimHost() } as const

type AnyMap = Map<any, any> & Partial<Disposable>
type AnySet = Set<any> & Partial<Disposable>

const makeMap: Record<string, (source?: any) => AnyMap> = {
  Map: source => new Map(source),
  SpillMap: source => new SpillMap(source ?? null, OPTIONS) as AnyMap,
}
const makeSet: Record<string, (source?: any) => AnySet> = {
  Set: source => new Set(source),
  SpillSet: source => new SpillSet(source ?? null, OPTIONS) as unknown as AnySet,
}

function messageOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`
  }
  return 'nothing was thrown'
}

for (const [name, make] of Object.entries(makeMap)) {
  const maps: AnyMap[] = []
  const map = (source?: unknown): AnyMap => {
    const made = make(source)
    maps.push(made)
    return made
  }
  const mapTest = (title: string, body: () => void): void => {
    test(`${name}: ${title}`, () => {
      try {
        body()
      } finally {
        for (const made of maps.splice(0)) made[Symbol.dispose]?.()
      }
    })
  }

  mapTest('initial entries must be objects with 0 and 1', () => {
    assert.deepEqual([...map([['a', 1], { 0: 'b', 1: 2 }, ['c'], new Uint8Array([7, 8])])], [['a', 1], ['b', 2], ['c', undefined], [7, 8]])
    assert.equal(map(null).size, 0)
    for (const [entry, told] of [['ab', 'ab'], [5, '5'], [null, 'null'], [undefined, 'undefined'], [true, 'true'], [Symbol('s'), 'Symbol(s)']]) {
      assert.equal(messageOf(() => map([['x', 1], entry])), `TypeError: Iterator value ${String(told)} is not an entry object`)
    }
    assert.match(messageOf(() => map('ab')), /^TypeError: Iterator value a is not an entry object$/)
  })

  mapTest('the source iterator is closed when an entry is refused', () => {
    let isClosed = false
    function* entries(): Generator<unknown> {
      try {
        yield ['a', 1]
        yield 'no entry'
      } finally {
        isClosed = true
      }
    }
    assert.throws(() => map(entries()), TypeError)
    assert.ok(isClosed)
  })

  mapTest('forEach requires a function, even when empty, and takes thisArg', () => {
    for (const source of [[], [['a', 1]]]) {
      for (const callback of [undefined, null, 'text', {}]) {
        assert.throws(() => map(source).forEach(callback as never), TypeError)
      }
    }
    const whole = map([['a', 1]])
    const seen: unknown[] = []
    whole.forEach(function (this: unknown, value, key, which) { seen.push([this, value, key, which === whole]) }, 'me')
    whole.forEach(function (this: unknown) { seen.push(this) })
    assert.deepEqual(seen, [['me', 1, 'a', true], undefined])
    assert.throws(() => whole.forEach(() => { throw new RangeError('mine') }), RangeError)
    assert.deepEqual([...whole], [['a', 1]])
  })

  mapTest('0 and -0 are one key, read back as 0; NaN is a key; a value -0 stays -0', () => {
    const numbers = map([[-0, -0], [NaN, 'first']])
    numbers.set(0, -0).set(NaN, 'second')
    assert.equal(numbers.size, 2)
    assert.ok([...numbers.keys()].every(key => Object.is(key, 0) || Number.isNaN(key)))
    assert.ok(Object.is(numbers.get(-0), -0))
    assert.equal(numbers.get(NaN), 'second')
    assert.ok(numbers.has(-0) && numbers.delete(-0) && !numbers.has(0))
  })

  mapTest('a finished iterator stays finished, even when entries are added', () => {
    const whole = map([['a', 1]])
    const iterator = whole.entries()
    assert.deepEqual(iterator.next(), { value: ['a', 1], done: false })
    assert.deepEqual(iterator.next(), { value: undefined, done: true })
    whole.set('b', 2)
    assert.deepEqual(iterator.next(), { value: undefined, done: true })
    assert.deepEqual([...iterator], [])
  })

  mapTest('a partly consumed iterator continues where it stopped', () => {
    const whole = map([['a', 1], ['b', 2], ['c', 3], ['d', 4]])
    const iterator = whole.keys()
    const [first] = iterator
    assert.equal(first, 'a')
    for (const key of iterator) {
      assert.equal(key, 'b')
      break
    }
    whole.delete('c')
    whole.set('e', 5)
    assert.deepEqual([...iterator], ['d', 'e'])
  })

  mapTest('iterators inherit from built-in ones and have a tag', () => {
    const iterator = map([['a', 1]]).entries()
    assert.equal(iterator[Symbol.iterator](), iterator)
    assert.equal(Object.prototype.toString.call(iterator), `[object ${name} Iterator]`)
    const builtIn = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object
    assert.ok(Object.prototype.isPrototypeOf.call(builtIn, iterator))
    assert.equal(Object.prototype.toString.call(map()), `[object ${name}]`)
    assert.deepEqual(Object.keys(map([['a', 1]])), [])
  })

  mapTest('iteration and forEach call no method that a subclass may override', () => {
    const whole = map([['a', 1]])
    whole.entries = () => { throw new Error('not this one') }
    let calls = 0
    whole.forEach(() => { calls++ })
    for (const _ of whole) { void _; calls++ }
    assert.equal(calls, 2)
  })
}

for (const [name, make] of Object.entries(makeSet)) {
  test(`${name}: members, entries, forEach and iterators match those of a Set`, () => {
    const set = make(['b', 'a', 'b', -0, 0, NaN, NaN])
    try {
      assert.deepEqual([...set], ['b', 'a', 0, NaN])
      assert.ok(Object.is([...set][2], 0))
      assert.deepEqual([...set.entries()], [['b', 'b'], ['a', 'a'], [0, 0], [NaN, NaN]])
      assert.deepEqual([...set.keys()], [...set.values()])
      assert.equal(Object.prototype.toString.call(set.entries()), `[object ${name} Iterator]`)
      const iterator = set.entries()
      const [first] = iterator
      assert.deepEqual(first, ['b', 'b'])
      assert.deepEqual(iterator.next().value, ['a', 'a'])
      assert.throws(() => set.forEach(undefined as never), TypeError)
      const text = make('abca')
      assert.deepEqual([...text], ['a', 'b', 'c'])
      text[Symbol.dispose]?.()
      // A Set may compare itself with it by size, has and keys.
      assert.deepEqual([...set.keys()].filter(member => new Set(['a', 'x']).has(member as string)), ['a'])
    } finally {
      set[Symbol.dispose]?.()
    }
  })
}

test('an iterator made after dispose throws at once', () => {
  const set = new SpillSet(['a'], OPTIONS)
  set.dispose()
  assert.throws(() => set.entries(), { code: 'SPILLWAY_CLOSED' })
  assert.throws(() => set.forEach(() => {}), { code: 'SPILLWAY_CLOSED' })
})

test('a disposed iterator is at its end', () => {
  using map = new SpillMap([['a', 1], ['b', 2]], OPTIONS)
  const iterator = map.keys() as MapIterator<string> & Disposable
  iterator.next()
  iterator[Symbol.dispose]()
  assert.deepEqual(iterator.next(), { value: undefined, done: true })
})
