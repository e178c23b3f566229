/** Values of another realm, as test runners and `node:vm` make them, are treated like own ones. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runInNewContext } from 'node:vm'
import { externalSort } from './external-sort.ts'
import { sortLines } from './external-sort-lines.ts'
import { groupBy } from './group-by.ts'
import { SpillMap } from './spill-map.ts'

const foreign = <T>(code: string): T => runInNewContext(code) as T
const budget = '8 MiB'

async function fromAsync<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}

test('maps accept bytes, dates, arrays and plain objects of another realm as keys and values', () => {
  using map = new SpillMap<unknown, unknown>(undefined, { budget })
  const pairs: [string, unknown][] = [
    ['new Uint8Array([1, 2])', new Uint8Array([1, 2])], ['new Date(5)', new Date(5)], ['[1, "a"]', [1, 'a']], ['({ b: 1, a: [2] })', { a: [2], b: 1 }],
  ]
  for (const [code, own] of pairs) {
    map.set(foreign(code), code)
    assert.equal(map.get(own), code)
    map.set('value', foreign(code))
    assert.deepEqual(JSON.stringify(map.get('value')), JSON.stringify(foreign(code)))
  }
  assert.throws(() => map.set(foreign('new (class Point {})()'), 1), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('sorts and groupings accept bytes and objects of another realm', async () => {
  const bytes = ['[3]', '[1]', '[2]'].map(list => foreign<Uint8Array>(`new Uint8Array(${list})`))
  assert.deepEqual((await fromAsync(externalSort(bytes, { budget }))).map(one => [...one]), [[1], [2], [3]])
  assert.deepEqual((await fromAsync(externalSort([{ n: 2 }, { n: 1 }], { budget, by: one => foreign<Uint8Array>(`new Uint8Array([${one.n}])`) }))).map(one => one.n), [1, 2])
  const lines = [foreign<Uint8Array>(`new Uint8Array([${[...Buffer.from('b\na\n')]}])`)]
  assert.equal(Buffer.concat(await fromAsync(sortLines(lines, { budget }))).toString(), 'a\nb\n')
  const items = foreign<{ k: string, n: number }[]>('[{ k: "b", n: 1 }, { k: "a", n: 2 }, { k: "b", n: 3 }]')
  const sums = groupBy(items, { budget, by: item => item.k, init: () => foreign<{ n: number }>('({ n: 0 })'), reduce: (sum: { n: number }, item) => ({ n: sum.n + item.n }) })
  assert.deepEqual((await fromAsync(sums)).map(([key, sum]) => [key, sum.n]), [['a', 2], ['b', 4]])
})
