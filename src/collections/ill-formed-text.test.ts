/**
 * Ill-formed Unicode text in every part of the product: it round-trips or is refused with a remedy, and two texts never become one
 * key.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Spillway } from '../store/spillway.ts'
import { externalSort, externalSortBatches } from './external-sort.ts'
import { groupBy } from './group-by.ts'
import { SpillMap } from './spill-map.ts'
import { SpillQueue } from './spill-queue.ts'
import { SpillSet } from './spill-set.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-text-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** Short and long, ASCII and not, surrogates at either end: with U+FFFD in their place all would be equal. */
const TEXTS = ['', 'é', 'x'.repeat(60), 'é'.repeat(60), 'é'.repeat(90_000)].flatMap(filler => ['\ud800', '\ud83d', '\udc00', '\udfff', '\ufffd']
  .flatMap(unit => [filler + unit, unit + filler])).filter((text, i, all) => all.indexOf(text) === i)
const KEYS = TEXTS.filter(text => text.length < 10_000)
const ILL_FORMED = TEXTS.filter(text => !text.isWellFormed())
const budget = '8 MiB'
const byBytes = (a: string, b: string): number => {
  const [left, right] = [[...a], [...b]]
  for (let i = 0; i < Math.min(left.length, right.length); i++) if (left[i] !== right[i]) return left[i]!.codePointAt(0)! - right[i]!.codePointAt(0)!
  return left.length - right.length
}
async function fromAsync<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const one of source) all.push(one)
  return all
}
const sorted = [...TEXTS].sort(byBytes)

test('a store refuses it as key, value, bound and target, with a remedy, and keeps it as JSON', async () => {
  await using db = await Spillway.open(join(root, 'store'), { budget })
  const refused = { code: 'SPILLWAY_INVALID_ARGUMENT', message: /half of a surrogate pair \(\\ud[89a-f][0-9a-f]{2} at index \d+\), which UTF-8 cannot hold\. Use the encoding 'json', which keeps it, or text\.toWellFormed/ }
  await db.put('\ufffd', 'replacement')
  for (const text of ILL_FORMED) {
    const calls: (() => unknown)[] = [
      () => db.put('k', text), () => db.putSync('k', text), () => db.batch([{ type: 'put', key: 'k', value: text }]),
      () => db.put('k', text as never, { valueEncoding: 'view' }), () => db.put('k', 'v', { valueEncoding: { encode: () => text, decode: String } }),
      () => db.transaction(tx => tx.put('k', text)),
    ]
    if (text.length < 10_000) {
      calls.push(
        () => db.put(text, 'v'), () => db.putSync(text, 'v'), () => db.batch([{ type: 'put', key: text, value: 'v' }]), () => db.del(text), () => db.delSync(text),
        () => db.get(text), () => db.getSync(text), () => db.has(text), () => db.getMany([text]), () => db.iterator({ gte: text }), () => db.count({ lt: text }),
        () => db.deleteRange({ lte: text }), () => db.compact({ gt: text }), () => db.approximateSize({ gt: text }),
        () => { const iterator = db.iterator(); try { iterator.seek(text) } finally { iterator.closeSync() } },
        () => db.transaction(tx => tx.put(text, 'v')), () => db.transaction(tx => tx.get(text)), () => db.transaction(tx => tx.del(text)),
        () => db.transaction(tx => tx.getForUpdate(text)), () => db.transaction(tx => tx.deleteRange({ gte: text })),
      )
    }
    for (const call of calls) await assert.rejects(async () => call(), refused)
  }
  assert.deepEqual(await db.iterator().all(), [['\ufffd', 'replacement']])
  const json = { keyEncoding: 'json', valueEncoding: 'json' } as const
  for (const text of KEYS) await db.put(text, text, json)
  for (const text of KEYS) assert.equal(await db.get(text, json), text)
  await db.put('long', TEXTS.at(-1)!, json)
  assert.ok(await db.get('long', json) === TEXTS.at(-1))
})

test('in maps and sets it round-trips as key, inside keys and as value', () => {
  for (const order of ['insertion', 'key'] as const) {
    using map = new SpillMap<unknown, string>(undefined, { budget, order })
    using set = new SpillSet<string>(KEYS, { budget, order })
    for (const text of KEYS) map.set(text, text).set([text, 1], text).set({ [text]: text }, text)
    assert.equal(map.size, 3 * KEYS.length)
    for (const text of KEYS) assert.deepEqual([map.get(text), map.get([text, 1]), map.get({ [text]: text })], [text, text, text])
    const wanted = order === 'key' ? [...KEYS].sort(byBytes) : KEYS
    assert.deepEqual([...set], wanted)
    assert.deepEqual([...map.keys()].filter(key => typeof key === 'string'), wanted)
    assert.deepEqual(new Set([...map.keys()].filter(key => Array.isArray(key)).map(key => key[0] as string)), new Set(KEYS))
    map.clear()
    map.set('long', TEXTS.at(-1)!)
    assert.ok(map.get('long') === TEXTS.at(-1))
    using text = new SpillMap<string, string>(undefined, { budget, order, keyEncoding: 'utf8', valueEncoding: 'utf8' })
    assert.throws(() => text.set('\ud800', 'v'), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^the key "\\ud800": .*surrogate/ })
    assert.throws(() => text.set('k', '\ud800'), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /^the value for key "k": .*surrogate/ })
    assert.equal(text.size, 0)
  }
})

test('a sort orders it by code point, and it round-trips', async () => {
  const shuffled = TEXTS.map((_, i) => TEXTS[(i * 7 + 3) % TEXTS.length]!)
  assert.equal(new Set(shuffled).size, TEXTS.length)
  assert.deepEqual(await fromAsync(externalSort(shuffled, { budget })), sorted)
  assert.deepEqual(await fromAsync(externalSort(shuffled, { budget, compare: byBytes })), sorted)
  assert.deepEqual(await fromAsync(externalSort(shuffled, { budget, by: text => text, reverse: true })), [...sorted].reverse())
  assert.deepEqual((await fromAsync(externalSortBatches([shuffled], { budget }))).flat(), sorted)
  const objects = await fromAsync(externalSort(shuffled.map(text => ({ text })), { budget, by: one => [one.text, 1] }))
  assert.deepEqual(objects.map(one => one.text), sorted)
  await assert.rejects(fromAsync(externalSort(shuffled, { budget, encoding: 'utf8' })), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /surrogate/ })
})

test('a grouping distinguishes its keys', async () => {
  const items = [...TEXTS, ...TEXTS].map((text, i) => ({ text, i }))
  const groups: [string, number][] = []
  for await (const [key, values] of groupBy(items, { budget, by: item => item.text })) groups.push([key, [...values].length])
  assert.deepEqual(groups, sorted.map(text => [text, 2]))
  const counted = await fromAsync(groupBy(TEXTS, { budget, by: text => text, init: () => 0, reduce: (n: number) => n + 1 }))
  assert.deepEqual(counted, sorted.map(text => [text, 1]))
})

test('a queue keeps it as JSON and refuses it as text', () => {
  using queue = new SpillQueue<string>({ budget: '4 MiB' })
  for (const text of TEXTS) queue.push(text)
  assert.deepEqual([...queue.drain()], TEXTS)
  using text = new SpillQueue<string>({ budget: '4 MiB', encoding: 'utf8' })
  for (const one of ILL_FORMED) assert.throws(() => text.push(one), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /surrogate/ })
  assert.equal(text.size, 0)
})
