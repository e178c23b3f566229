/** Set operations of a SpillSet, compared to their definitions and to Set (Node 22 and later). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { SpillMap, SpillSet } from './index.ts'

const OPTIONS = { budget: '8 MiB', directory: '/scratch', host: new SimHost() } as const
const CASES: [unknown[], unknown[]][] = [
  [[], []], [[1, 2, 3], []], [[], [1]], [[1, 2, 3], [2, 3]], [[2, 3], [1, 2, 3]], [[1, 2, 3], [3, 4, 1, 5, 6]], [[1, 2], [3, 4]],
  [['a', -0, NaN, null, undefined, 1n], [0, NaN, undefined, 1, 'b']], [[1], [1]],
]
const METHODS = ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom'] as const

function expected(method: typeof METHODS[number], a: Set<unknown>, b: Set<unknown>): unknown {
  const [as, bs] = [[...a], [...b]]
  switch (method) {
    case 'union': return new Set([...as, ...bs])
    case 'intersection': return new Set((a.size <= b.size ? as : bs).filter(member => a.has(member) && b.has(member)))
    case 'difference': return new Set(as.filter(member => !b.has(member)))
    case 'symmetricDifference': return new Set([...as.filter(member => !b.has(member)), ...bs.filter(member => !a.has(member))])
    case 'isSubsetOf': return as.every(member => b.has(member))
    case 'isSupersetOf': return bs.every(member => a.has(member))
    case 'isDisjointFrom': return !as.some(member => b.has(member))
  }
}

test('operations with a Set, a SpillSet, a Map and a SpillMap, in the order of Set', () => {
  for (const [own, others] of CASES) {
    using set = new SpillSet(own, OPTIONS)
    const pairs = others.map(member => [member, 1] as const)
    using spillSet = new SpillSet(others, OPTIONS)
    using spillMap = new SpillMap(pairs, OPTIONS)
    for (const other of [new Set(others), spillSet, new Map(pairs), spillMap]) {
      for (const method of METHODS) {
        const got = set[method](other)
        const right = expected(method, new Set(own), new Set(others))
        const about = `${String(method)} of [${own.map(String)}] and [${others.map(String)}]`
        assert.deepEqual(got, right, about)
        if (right instanceof Set) assert.deepEqual([...got as Set<unknown>], [...right], about)
        const builtIn = new Set(own) as unknown as Partial<Record<string, (other: unknown) => unknown>>
        if (builtIn[method] !== undefined) assert.deepEqual(got, builtIn[method](other), about)
        if (builtIn[method] !== undefined) assert.deepEqual((new Set(own) as any)[method](spillSet), right, about)
      }
    }
  }
})

test('objects are members by content, whichever set is larger', () => {
  for (const [more, moreOthers] of [[[], [1, 2]], [[1, 2], []]]) {
    using set = new SpillSet<unknown>([{ id: 1 }, { id: 2 }, ...more!], OPTIONS)
    using other = new SpillSet<unknown>([{ id: 2 }, { id: 3 }, ...moreOthers!], OPTIONS)
    const objects = (made: Set<unknown>): unknown[] => [...made].filter(member => typeof member === 'object')
    assert.deepEqual(objects(set.union(other)), [{ id: 1 }, { id: 2 }, { id: 3 }])
    assert.deepEqual(objects(set.intersection(other)), [{ id: 2 }])
    assert.deepEqual(objects(set.difference(other)), [{ id: 1 }])
    assert.deepEqual(objects(set.symmetricDifference(other)), [{ id: 1 }, { id: 3 }])
    assert.equal(set.isDisjointFrom(other), false)
  }
})

test('arguments that are not set-like are refused like in Set, before any call on them', () => {
  using set = new SpillSet([1], OPTIONS)
  const like = { size: 1, has: () => true, keys: () => [1].values() }
  for (const method of METHODS) {
    for (const wrong of [undefined, null, 1, 'text', [1], { ...like, size: NaN }, { ...like, size: undefined }, { ...like, has: 1 }, { ...like, keys: undefined }]) {
      assert.throws(() => set[method](wrong as never), TypeError, method)
    }
    assert.throws(() => set[method]({ ...like, size: -1 }), RangeError, method)
    set[method](like)
    set[method]({ ...like, size: Infinity })
  }
  set.dispose()
  for (const method of METHODS) assert.throws(() => set[method](new Set([1])), { code: 'SPILLWAY_CLOSED' })
})
