import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { externalSort, externalSortBatches } from './external-sort.ts'
import type { ExternalSortOptions } from './external-sort.ts'
import { sortLines } from './external-sort-lines.ts'
import type { SortMonitorReport } from './external-sort-space.ts'
import { groupBy } from './group-by.ts'
import { SpillQueue } from './spill-queue.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-sort-'))
after(() => rmSync(directory, { recursive: true, force: true }))

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

/** Pseudo-random numbers. */
function* chance(count: number, seed = 7): Generator<number> {
  let state = seed
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    yield state
  }
}

interface Row { id: number, name: string, score: number, pad?: string }

function* rows(count: number, padBytes = 100): Generator<Row> {
  let id = 0
  for (const score of chance(count)) yield { id: id++, name: `n${score % 1000}`, score: (score % 2001) - 1000, pad: 'x'.repeat(padBytes) }
}

const MIB = 1024 * 1024

test('strings, bytes, numbers, dates and arrays sort with at most `by`', async () => {
  assert.deepEqual(await all(externalSort(['b', 'a', '', 'é', 'z', 'a'])), ['', 'a', 'a', 'b', 'z', 'é'])
  assert.deepEqual(await all(externalSort([Buffer.from([2]), Buffer.from([1, 0]), Buffer.from([1])])), [[1], [1, 0], [2]].map(b => Buffer.from(b)))
  assert.deepEqual(await all(externalSort([3, -1, 20, 1.5, -Infinity].slice(0, 4))), [-1, 1.5, 3, 20])
  assert.deepEqual(await all(externalSort([[2, 'a'], [1, 'b'], [1, 'a']])), [[1, 'a'], [1, 'b'], [2, 'a']])
  const days = ['2024-05-01', '1969-01-01', '2001-01-01']
  assert.deepEqual(await all(externalSort(days, { by: day => new Date(day) })), [days[1], days[2], days[0]])
  assert.deepEqual(await all(externalSort([])), [])
})

test('any sort equals a stable sort in memory, ascending and descending, by key or comparison', async () => {
  const item = fc.record({ k: fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom('', 'a', 'b', 'longer than eight bytes', 'longer than eight')), n: fc.nat() }, { noNullPrototype: true })
  await fc.assert(fc.asyncProperty(fc.array(item, { maxLength: 60 }), fc.boolean(), fc.boolean(), async (items, reverse, compares) => {
    const sign = reverse ? -1 : 1
    const rank = (k: string | number): number => typeof k === 'number' ? 0 : 1
    const compare = (a: string | number, b: string | number): number => rank(a) - rank(b) || (a < b ? -1 : a > b ? 1 : 0)
    const expected = [...items].sort((a, b) => sign * compare(a.k, b.k))
    const options: ExternalSortOptions<{ k: string | number, n: number }> = { by: ({ k }) => k, reverse, ...(compares ? { compare } : {}) }
    assert.deepEqual(await all(externalSort(items, options)), expected)
  }), { seed: 41, numRuns: 60 })
})

test('a sort much larger than its budget is stable, stays within it, and leaves no files', async () => {
  for (const reverse of [false, true]) {
    let report: SortMonitorReport | undefined
    const budget = new Budget(6 * MIB)
    const source = rows(60_000)
    const sorted = await all(externalSort(source, {
      by: row => [row.score, row.name], reverse, budget, directory,
      monitor: given => {
        report = given
        assert.equal(readdirSync(directory).length, 1)
      },
    }))
    const sign = reverse ? -1 : 1
    const expected = [...rows(60_000)].sort((a, b) => sign * (a.score - b.score || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)))
    assert.deepEqual(sorted.map(row => row.id), expected.map(row => row.id))
    assert.deepEqual(sorted[1234], expected[1234])
    assert.ok(report!.runs > 3, `${report!.runs} runs`)
    assert.ok(report!.highWaterBytes <= 6 * MIB)
    assert.equal(budget.usedBytes, 0)
    assert.deepEqual(readdirSync(directory), [])
  }
})

test('input that fits in memory is never written', async () => {
  let report: SortMonitorReport | undefined
  await all(externalSort(rows(2000), { by: row => row.name, directory, monitor: given => report = given }))
  assert.equal(report!.pages, undefined)
  assert.equal(report!.runs, 0)
  assert.deepEqual(readdirSync(directory), [])
})

test('an asynchronous source and batches give the same as an array', async () => {
  async function* source(): AsyncGenerator<string> { for (const number of chance(3000)) yield `line ${number}` }
  function* batches(): Generator<string[]> {
    const lines = [...chance(3000)].map(number => `line ${number}`)
    for (let i = 0; i < lines.length; i += 700) yield lines.slice(i, i + 700)
    yield []
  }
  const expected = [...chance(3000)].map(number => `line ${number}`).sort()
  assert.deepEqual(await all(externalSort(source())), expected)
  assert.deepEqual((await all(externalSortBatches(batches()))).flat(), expected)
})

test('an early return, a source error and an abort release everything', async () => {
  const budget = new Budget(6 * MIB)
  const options = { by: (row: Row) => row.name, budget, directory }
  for await (const row of externalSort(rows(40_000), options)) {
    assert.equal(row.name, 'n0')
    assert.equal(readdirSync(directory).length, 1)
    break
  }
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(readdirSync(directory), [])

  function* broken(): Generator<Row> {
    yield* rows(40_000)
    throw new Error('the source broke')
  }
  await assert.rejects(all(externalSort(broken(), options)), /the source broke/)
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(readdirSync(directory), [])

  const controller = new AbortController()
  const reason = new Error('enough')
  async function* aborting(): AsyncGenerator<Row> {
    let count = 0
    for (const row of rows(100_000)) {
      if (++count === 50_000) controller.abort(reason)
      if (count % 1000 === 0) await new Promise(resolve => setImmediate(resolve))
      yield row
    }
  }
  await assert.rejects(all(externalSort(aborting(), { ...options, signal: controller.signal })),
    (error: { code?: string, cause?: unknown }) => error.code === 'SPILLWAY_ABORTED' && error.cause === reason)
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(readdirSync(directory), [])
  await assert.rejects(all(externalSort(['a'], { signal: AbortSignal.abort() })), { code: 'SPILLWAY_ABORTED' })
})

test('a shared budget is never taken whole or exceeded', async () => {
  const budget = new Budget(8 * MIB)
  const other = budget.account('other', 'test').lease(2 * MIB)
  let report: SortMonitorReport | undefined
  await all(externalSort(rows(40_000), { by: row => row.name, budget, directory, monitor: given => report = given }))
  assert.ok(report!.highWaterBytes <= 5 * MIB, `${report!.highWaterBytes}`)
  assert.equal(budget.usedBytes, 2 * MIB)
  other.release()
})

test('bad input is refused with a remedy, and nothing remains', async () => {
  const invalid = { code: 'SPILLWAY_INVALID_ARGUMENT' }
  await assert.rejects(all(externalSort([{ a: 1 }])), { ...invalid, message: /cannot be a key/ })
  await assert.rejects(all(externalSort(['a', 1] as unknown[])), { ...invalid, message: /item 1 .*encoding: 'json'/ })
  await assert.rejects(all(externalSort(['a'], { by: 'name' as never })), invalid)
  await assert.rejects(all(externalSort(['a'], { encoding: 'latin1' as never })), invalid)
  await assert.rejects(all(externalSort(['a'], { directory: '' })), invalid)
  await assert.rejects(all(externalSort([2, 1], { compare: () => NaN })), { ...invalid, message: /compare must return a number/ })
  await assert.rejects(all(externalSort(['a', 'b'], { budget: '1 MiB' })), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  await assert.rejects(all(externalSort(['b', 'a'.repeat(5 * MIB)], { budget: 4 * MIB, directory })), { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /Raise the budget/ })
  assert.deepEqual(readdirSync(directory), [])
})

test('mixed items with an explicit encoding sort by kind, then value', async () => {
  const mixed = ['b', 2, null, 'a', true, 1]
  assert.deepEqual(await all(externalSort(mixed, { encoding: 'json' })), [null, true, 1, 2, 'a', 'b'])
})

test('items of several hundred KiB sort among small ones', async () => {
  const sizes = [200_000, 5, 230_000, 1, 150_000, 70_000]
  const source = Array.from({ length: 60 }, (_, i) => ({ i, text: 'y'.repeat(sizes[i % sizes.length]!) }))
  const sorted = await all(externalSort(source, { by: item => -item.i, budget: 4 * MIB, directory }))
  assert.deepEqual(sorted.map(item => [item.i, item.text.length]), source.map(item => [item.i, item.text.length]).reverse())
})

test('without an encoding, items that can be keys keep their type', async () => {
  const items = [undefined, null, false, true, -Infinity, -1, 3, Infinity, NaN, -5n, 7n, new Date(3), new Date(5), 'a', [1, new Date(2), 3n]]
  // The first item decides the encoding.
  for (const first of [0, 4, 10, 12, 14]) {
    const sorted = [...items.slice(0, first), items[first], ...items.slice(first)]
    assert.deepEqual(await all(externalSort<any>([items[first], ...[...items].reverse()])), sorted)
  }
  assert.deepEqual(await all(externalSort([1n, NaN, new Date(2)], { by: item => -Number(item) })), [new Date(2), 1n, NaN])
  assert.deepEqual(await all(externalSort([1n, 3n, 2n], { compare: (a: bigint, b: bigint) => Number(b - a) })), [3n, 2n, 1n])
})

test('unknown options, options of a wrong type and sources that are not iterable are refused', async () => {
  const wrong = { code: 'SPILLWAY_INVALID_ARGUMENT' }
  for (const options of [{ bugdet: 1 }, { reverse: 'no' }, { signal: 'x' }, { delimiter: 10 }, null, 5]) {
    await assert.rejects(all(externalSort([2, 1], options as never)), wrong, JSON.stringify(options))
  }
  for (const source of [undefined, null, 5, {}]) {
    await assert.rejects(all(externalSort(source as never)), wrong)
    await assert.rejects(all(sortLines(source as never)), wrong)
    assert.throws(() => groupBy(source as never, { by: x => x as number }), wrong)
  }
  assert.throws(() => groupBy([1], { by: x => x, init: () => 0, reduce: n => n, combine: 1 as never }), wrong)
  assert.throws(() => new SpillQueue({ bugdet: 1 } as never), wrong)
  assert.throws(() => new SpillQueue(null as never), wrong)
  assert.deepEqual(await all(externalSort('hello')), ['e', 'h', 'l', 'l', 'o'])
})

test('any number of items of a sixteenth of the budget can be sorted', async () => {
  for (const budget of [2, 4, 16]) {
    const pad = 'a'.repeat((budget * MIB) / 16 - 16)
    function* large(): Generator<string> {
      for (let i = 0; i < 60; i++) yield `common prefix${99 - i}${pad}`.slice(0, (budget * MIB) / 16)
    }
    const sorted = await all(externalSort(large(), { budget: budget * MIB, directory }))
    assert.deepEqual(sorted.map(item => item.slice(13, 15)), Array.from({ length: 60 }, (_, i) => String(40 + i)), `${budget} MiB`)
  }
})
