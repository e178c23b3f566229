import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Budget } from '../memory/budget.ts'
import { Scratch } from '../encoding/encoding.ts'
import { groupBy } from './group-by.ts'
import { groupValue } from './group-by-values.ts'
import type { SortMonitorReport } from './external-sort-space.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-group-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const MIB = 1024 * 1024

interface Sale { city: string, amount: number, id: number }

function* sales(count: number, cities: number): Generator<Sale> {
  let state = 5
  for (let id = 0; id < count; id++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield { city: `city ${(state >>> 8) % cities}`, amount: state % 100, id }
  }
}

/** The groups by a Map, in key order. */
function expected(count: number, cities: number): [string, number[]][] {
  const groups = new Map<string, number[]>()
  for (const { city, id } of sales(count, cities)) {
    const ids = groups.get(city)
    if (ids === undefined) groups.set(city, [id])
    else ids.push(id)
  }
  return [...groups].sort(([a], [b]) => a < b ? -1 : 1)
}

test('groups come in key order, items in input order', async () => {
  for (const [budget, count] of [['64 MiB', 2000], ['2 MiB', 60_000]] as const) {
    const groups: [string, number[]][] = []
    for await (const [city, values] of groupBy(sales(count, 500), { by: sale => sale.city, budget, directory })) {
      const ids: number[] = []
      for await (const sale of values) ids.push(sale.id)
      groups.push([city, ids])
    }
    assert.deepEqual(groups, expected(count, 500))
    assert.deepEqual(readdirSync(directory), [])
  }
})

test('items not taken are skipped, and reading those of an earlier group throws', async () => {
  const seen: [string, number | undefined][] = []
  let kept: Iterable<Sale> | undefined
  for await (const [city, values] of groupBy(sales(1000, 7), { by: sale => sale.city })) {
    const first = seen.length % 2 === 0 ? undefined : values[Symbol.iterator]().next().value?.id
    seen.push([city, first])
    kept ??= values
  }
  assert.deepEqual(seen, expected(1000, 7).map(([city, ids], i) => [city, i % 2 === 0 ? undefined : ids[0]]))
  assert.throws(() => [...kept!], { code: 'SPILLWAY_CLOSED' })
})

for (const [name, cities, combine] of [
  ['few keys, all in memory', 50, false], ['more keys than fit, items spilled', 40_000, false], ['more keys than fit, accumulators spilled', 40_000, true],
] as const) {
  test(`reduce folds the items of each key in order: ${name}`, async () => {
    const count = 80_000
    const budget = new Budget(4 * MIB)
    let report: SortMonitorReport | undefined
    const groups: [string, number[]][] = []
    for await (const group of groupBy(sales(count, cities), {
      by: sale => sale.city, budget, directory, monitor: given => report = given,
      init: (): number[] => [], reduce: (ids, sale) => { ids.push(sale.id); return ids },
      ...(combine ? { combine: (a: number[], b: number[]) => [...a, ...b] } : {}),
    })) groups.push(group)
    const want = expected(count, cities)
    assert.equal(groups.length, want.length)
    assert.deepEqual(groups, want)
    assert.ok(report!.highWaterBytes <= 4 * MIB)
    assert.equal(budget.usedBytes, 0)
    assert.deepEqual(readdirSync(directory), [])
  })
}

test('an accumulator being spilled has its own lease, and is refused without memory', async () => {
  // A third of its half of the shared budget, and the scratch.
  const LIMIT_BYTES = Math.floor(2 * MIB / 3) + 16 * 1024
  const reduceText = async (budget: Budget, textBytes: number): Promise<number> => {
    const text = 'x'.repeat(textBytes)
    let groups = 0
    for await (const [, value] of groupBy(Array.from({ length: 60 }, (_, i) => i), {
      by: item => item % 30, budget, directory, init: () => '', reduce: () => text, combine: (_, later) => later,
    })) {
      assert.equal(value, text)
      groups++
    }
    return groups
  }
  const budget = new Budget(4 * MIB)
  assert.equal(await reduceText(budget, 100_000), 30)
  const { highWaterBytes } = budget.report().accounts['groups']!
  assert.ok(highWaterBytes > LIMIT_BYTES + 100_000 && highWaterBytes < LIMIT_BYTES + 201_000, `${highWaterBytes} bytes of groups at most`)
  assert.equal(budget.usedBytes, 0)
  await assert.rejects(reduceText(new Budget(4 * MIB), 600_000),
    { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /an item or accumulator of .* is above the maximum of .* in this budget\. Raise the budget/ })
})

test('sums over few keys spill nothing', async () => {
  let report: SortMonitorReport | undefined
  let total = 0
  const keys: number[] = []
  for await (const [key, sum] of groupBy(sales(50_000, 10), {
    by: sale => sale.amount % 3, reverse: true, budget: '2 MiB', directory, init: () => 0, reduce: (sum, sale) => sum + sale.amount,
    monitor: given => report = given,
  })) {
    keys.push(key)
    total += sum
  }
  assert.deepEqual(keys, [2, 1, 0])
  assert.equal(total, [...sales(50_000, 10)].reduce((sum, sale) => sum + sale.amount, 0))
  assert.equal(report!.runs, 0)
  assert.equal(report!.pages, undefined)
})

test('bad input and early returns release everything', async () => {
  const invalid = { code: 'SPILLWAY_INVALID_ARGUMENT' }
  assert.throws(() => groupBy([1], {} as never), invalid)
  assert.throws(() => groupBy([1], { by: (x: number) => x, init: () => 0 } as never), invalid)
  const budget = new Budget(4 * MIB)
  for await (const [city] of groupBy(sales(60_000, 10), { by: sale => sale.city, budget, directory })) {
    assert.equal(city, 'city 0')
    break
  }
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(readdirSync(directory), [])
  await assert.rejects(async () => { for await (const _ of groupBy(sales(10, 2), { by: sale => sale.city, signal: AbortSignal.abort() })) void _ },
    { code: 'SPILLWAY_ABORTED' })
})

test('spilled accumulators and items keep their types', async () => {
  function* pairs(): Generator<unknown> {
    for (let i = 0; i < 40_000; i++) yield i % 20_000
    for (let i = 0; i < 20_000; i++) yield i % 2 === 0 ? new Date(i) : BigInt(i)
  }
  const by = (item: unknown): string => `${Number(item)}${'k'.repeat(60)}`
  for (const combine of [undefined, (a: Set<unknown>, b: Set<unknown>) => new Set([...a, ...b])]) {
    let groups = 0
    const options = { by, init: () => new Set(), reduce: (set: Set<unknown>, item: unknown) => set.add(item), combine, budget: '2 MiB', directory }
    for await (const [key, set] of groupBy(pairs(), options)) {
      const number = Number.parseInt(key)
      assert.deepEqual(set, new Set<unknown>([number, number % 2 === 0 ? new Date(number) : BigInt(number)]))
      groups++
    }
    assert.equal(groups, 20_000)
  }
})

test('an accumulator that could not be spilled is refused at once', async () => {
  const counted = groupBy([1], { by: n => n, init: () => ({ count: () => 1 }), reduce: a => a })
  await assert.rejects(counted.next(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('a key larger than the table can be grouped', async () => {
  const large = 'k'.repeat(400_000)
  const groups = []
  for await (const group of groupBy([large, 'a', large], { by: s => s, init: () => 0, reduce: n => n + 1, combine: (a, b) => a + b, budget: '4 MiB', directory })) {
    groups.push(group)
  }
  assert.deepEqual(groups, [['a', 1], [large, 2]])
})

test('the items of a group cannot be read after the grouping was closed', async () => {
  let values: Iterable<number> = []
  for await (const [, group] of groupBy([1, 2, 1], { by: n => n })) {
    values = group
    break
  }
  assert.throws(() => [...values], { code: 'SPILLWAY_CLOSED' })
})

test('spilled values round-trip, whether JSON holds them or not', () => {
  const scratch = new Scratch(64 * 1024)
  const cyclic: Record<string, unknown> = { name: 'itself' }
  cyclic['self'] = cyclic
  const values = [
    {}, [], { a: 1, b: ['x', null, true, { c: '\ud800' }] }, { a: undefined }, [undefined], [NaN, -Infinity, -0], { n: 1n }, new Set([1]), { at: new Date(5) },
    new Map([[{ a: 1 }, [2]]]), cyclic, undefined, null, 'text', '[1]', -0, 0.5, Buffer.from('{}'), new Uint8Array([0x7b]), /x/g,
  ]
  for (const value of values) {
    groupValue.encode(value, scratch)
    assert.deepEqual(groupValue.decode(scratch.bytes.slice(), scratch.start, scratch.end), value)
  }
})
