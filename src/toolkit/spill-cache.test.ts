import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { Budget } from '../memory/budget.ts'
import { SpillCache } from './spill-cache.ts'
import type { SpillCacheOptions } from './spill-cache-options.ts'
import type { PolicyName } from '../cache/policy/policy.ts'

const INVALID = { code: 'SPILLWAY_INVALID_ARGUMENT' }
const POLICIES: PolicyName[] = ['adaptive', 'lru', 'lfu', 'fifo']

function textOf(i: number, length = 100): string {
  return `${i}:`.padEnd(length, 'value ')
}

/** 400 characters that hardly compress. */
function noise(i: number): string {
  let state = i + 1
  return Array.from({ length: 60 }, () => (state = Math.imul(state, 48271) + 11 >>> 0).toString(36)).join('').slice(0, 400)
}

test('values come back as they were set, replaced and deleted', () => {
  using cache = new SpillCache({ budget: '2 MiB' })
  assert.equal(cache.get('a'), undefined)
  cache.set('a', '1').set('b', '2').set('a', '3')
  assert.deepEqual([cache.get('a'), cache.get('b'), cache.has('c'), cache.size], ['3', '2', false, 2])
  assert.deepEqual([cache.delete('a'), cache.delete('a'), cache.get('a'), cache.size], [true, false, undefined, 1])
  cache.clear()
  assert.deepEqual([cache.size, cache.get('b')], [0, undefined])
  cache.set('b', '4')
  assert.equal(cache.get('b'), '4')
})

test('an overwrite counts once', () => {
  using cache = new SpillCache({ budget: '2 MiB' })
  for (let i = 0; i < 1000; i++) cache.set('same', textOf(i))
  assert.equal(cache.size, 1)
  assert.ok(cache.stats().recordBytes < 200, String(cache.stats().recordBytes))
})

for (const policy of POLICIES) {
  test(`${policy}: the cache evicts on its own, stays inside its budget, and what it has is right`, () => {
    const budget = new Budget('2 MiB')
    const cache = new SpillCache({ budget, policy })
    for (let i = 0; i < 60_000; i++) {
      cache.set(`key ${i}`, textOf(i, 20 + i % 300))
      assert.ok(budget.usedBytes <= 2 * 1024 * 1024)
      if (i % 7 === 0) cache.get(`key ${i >> 1}`)
    }
    let found = 0
    for (let i = 0; i < 60_000; i++) {
      const value = cache.get(`key ${i}`)
      if (value === undefined) continue
      assert.equal(value, textOf(i, 20 + i % 300))
      found++
    }
    assert.equal(found, cache.size)
    assert.ok(found > 1500, `${found} entries`)
    const { evictions, level1Bytes, level1LimitBytes } = cache.stats()
    assert.equal(evictions, 60_000 - found)
    assert.ok(level1Bytes <= level1LimitBytes)
    cache.close()
    assert.equal(budget.usedBytes, 0)
  })
}

test('each policy evicts what its name says', () => {
  const kept = (policy: PolicyName): boolean[] => {
    using cache = new SpillCache({ budget: '1 MiB', policy })
    cache.set('old and used', textOf(0))
    cache.set('used often', textOf(1))
    for (let i = 0; i < 20; i++) cache.get('used often')
    for (let i = 0; i < 20_000; i++) {
      cache.set(`new ${i}`, textOf(i))
      if (i % 100 === 0) cache.get('old and used')
    }
    return [cache.has('old and used'), cache.has('used often')]
  }
  assert.deepEqual(kept('fifo'), [false, false])
  assert.deepEqual(kept('lru'), [true, false])
  assert.deepEqual(kept('lfu'), [true, true])
  assert.equal(kept('adaptive')[0], true)
})

test('an expired entry is never found, by get, has, info or delete, and gives its memory back when it is met', () => {
  const host = new SimHost()
  using cache = new SpillCache({ budget: '2 MiB', ttl: 1000, host })
  cache.set('short', 'a').set('long', 'b', { ttl: 5000 }).set('for ever', 'c', { ttl: Infinity })
  assert.ok(cache.info('short')!.expiresInMs! > 900)
  host.advance(1500)
  assert.deepEqual([cache.get('short'), cache.get('long'), cache.get('for ever')], [undefined, 'b', 'c'])
  assert.equal(cache.stats().expired, 1)
  cache.set('x', '1').set('y', '2')
  host.advance(2000)
  assert.deepEqual([cache.has('x'), cache.delete('y'), cache.info('x')], [false, false, undefined])
  assert.deepEqual([cache.size, cache.info('for ever')!.expiresInMs], [2, undefined])
  for (const ttl of [0, -1, NaN, '5' as unknown as number]) {
    assert.throws(() => cache.set('z', 'z', { ttl }), { ...INVALID, message: /ttl must be a number of milliseconds above 0/ })
    assert.throws(() => new SpillCache({ budget: '2 MiB', ttl }), INVALID)
  }
  assert.equal(cache.has('z'), false)
})

test('entries that leave level 1 are found compressed or on disk, come back up, and nothing is left behind', () => {
  const host = new SimHost()
  const budget = new Budget('16 MiB')
  const cache = new SpillCache({ budget, disk: { directory: '/scratch', maxBytes: '64 MiB' }, host })
  const COUNT = 30_000
  for (let i = 0; i < COUNT; i++) {
    cache.set(`key ${i}`, noise(i))
    assert.ok(budget.usedBytes <= 8 * 1024 * 1024, `${budget.usedBytes} bytes at ${i}`)
  }
  const { demotions, evictions, level2Bytes, level3Bytes, lowerEntries } = cache.stats()
  assert.ok(demotions > 20_000 && level2Bytes > 0 && level3Bytes > 0 && lowerEntries > 15_000, JSON.stringify(cache.stats()))
  assert.equal(cache.size, COUNT - evictions)
  assert.equal(cache.info('key 100')!.level, 2)
  assert.equal(cache.get('key 100'), noise(100))
  assert.equal(cache.info('key 100')!.level, 1)
  assert.equal(cache.stats().lowerHits, 1)
  for (let i = 0; i < COUNT; i += 97) assert.equal(cache.get(`key ${i}`), noise(i))
  assert.ok(budget.usedBytes <= 8 * 1024 * 1024)
  cache.close()
  assert.equal(budget.usedBytes, 0)
  assert.deepEqual(host.files.list('/scratch'), [])
})

test('records that are deleted before their page is full are never compressed or written', () => {
  const host = new SimHost()
  using cache = new SpillCache({ budget: '2 MiB', disk: '/scratch', host })
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i < 1000; i++) cache.set(`key ${i}`, textOf(round, 500))
  }
  assert.equal(cache.stats().level3Bytes, 0)
})

test('a full disk drops records, fails no write, and says so', () => {
  const host = new SimHost()
  host.disk.faults.capacityBytes = 256 * 1024
  const budget = new Budget('4 MiB')
  const cache = new SpillCache({ budget, disk: '/scratch', compressed: false, host })
  for (let i = 0; i < 20_000; i++) cache.set(`key ${i}`, noise(i))
  assert.ok(cache.stats().lostRecords > 0, JSON.stringify(cache.stats()))
  assert.equal(typeof cache.get('key 19999'), 'string')
  cache.close()
  assert.equal(budget.usedBytes, 0)
})

test('keys and values take the encodings of a store; codecs that call the cache are refused', () => {
  using json = new SpillCache<number[], { a: number }>({ budget: '2 MiB', keyEncoding: 'json', valueEncoding: 'json' })
  json.set([1, 2], { a: 3 })
  assert.deepEqual(json.get([1, 2]), { a: 3 })
  using bytes = new SpillCache<string, Buffer>({ budget: '2 MiB', valueEncoding: 'buffer' })
  const value = Buffer.from([1, 2, 3])
  bytes.set('a', value)
  value.fill(0)
  const read = bytes.get('a')!
  assert.deepEqual([...read], [1, 2, 3])
  read.fill(9)
  assert.deepEqual([...bytes.get('a')!], [1, 2, 3], 'what get returns shares nothing with the cache')
  const codec = { encode: (text: string): string => { nested.get('b'); return text }, decode: (data: Uint8Array) => Buffer.from(data).toString() }
  const nested: SpillCache<string, string> = new SpillCache<string, string>({ budget: '2 MiB', valueEncoding: codec as never })
  assert.throws(() => nested.set('a', 'x'), /called the cache/)
  nested.close()
})

test('options, keys and values that make no sense are refused with numbers and a remedy', () => {
  for (const options of [{ policy: 'mru' }, { budget: 'much' }, { disk: 5 }, { disk: { maxBytes: '1 PiB' } }, { compressed: 1 }, { polcy: 'lru' }, { keyEncoding: 'x' }]) {
    assert.throws(() => new SpillCache({ budget: '4 MiB', ...options } as unknown as SpillCacheOptions), INVALID, JSON.stringify(options))
  }
  assert.throws(() => new SpillCache({ budget: '100 KiB' }), { code: 'SPILLWAY_BUDGET_TOO_SMALL', message: /needs at least 1.0 MiB/ })
  using cache = new SpillCache({ budget: '1 MiB' })
  assert.throws(() => cache.set('large', 'x'.repeat(500_000)), { ...INVALID, message: /takes entries up to .*Raise the budget/ })
  assert.throws(() => cache.set('x'.repeat(70_000), 'v'), INVALID)
  assert.throws(() => cache.set(undefined as never, 'v'), INVALID)
  assert.throws(() => cache.set('k', undefined as never), INVALID)
  assert.deepEqual([cache.size, cache.stats().sets], [0, 0])
  cache.close()
  cache.close()
  assert.throws(() => cache.get('a'), { code: 'SPILLWAY_CLOSED' })
})

test('leases that are denied leave the cache working and the ledger whole', () => {
  const budget = new Budget('2 MiB')
  const cache = new SpillCache({ budget })
  let asked = 0
  budget.denies = () => ++asked % 3 === 0
  for (let i = 0; i < 20_000; i++) cache.set(`key ${i}`, textOf(i))
  budget.denies = undefined
  cache.set('last', 'x')
  assert.equal(cache.get('last'), 'x')
  cache.close()
  assert.equal(budget.usedBytes, 0)
  budget.denies = () => true
  assert.throws(() => new SpillCache({ budget }), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.equal(budget.usedBytes, 0)
})

test('every one of many caches on a budget works when it is full, and the next is refused', () => {
  const budget = new Budget('8 MiB')
  const caches: SpillCache[] = []
  assert.throws(() => { for (;;) caches.push(new SpillCache({ budget })) }, { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
  assert.ok(caches.length > 2, String(caches.length))
  for (let i = 0; i < 3000; i++) {
    for (const cache of caches) {
      cache.set(`key ${i}`, textOf(i))
      assert.equal(cache.get(`key ${i}`), textOf(i))
    }
    assert.ok(budget.usedBytes <= budget.totalBytes)
  }
  for (const cache of caches) cache.close()
  assert.equal(budget.usedBytes, 0)
})

test('the analysis tells a scan, a cache that is too small, and one that is large enough apart', () => {
  const run = (options: SpillCacheOptions, keyOf: (i: number) => number): SpillCache => {
    const cache = new SpillCache({ budget: '1 MiB', ...options })
    for (let i = 0; i < 40_000; i++) {
      const key = `key ${keyOf(i)}`
      if (cache.get(key) === undefined) cache.set(key, textOf(i))
    }
    return cache
  }
  const scan = run({ policy: 'lru' }, i => i)
  assert.equal(scan.analyze().pattern, 'scan')
  assert.match(scan.analyze().recommendations.join(), /Use policy: 'adaptive' instead of 'lru'/)
  const loop = run({ policy: 'lru' }, i => i % 8000)
  assert.equal(loop.analyze().pattern, 'too small')
  assert.match(loop.analyze().recommendations[0]!, /^Raise the budget: \d+ % of the misses/)
  const small = run({}, i => i % 500)
  assert.deepEqual([small.analyze().pattern, small.stats().hitRate > 0.98], ['fits', true])
  for (const cache of [scan, loop, small]) cache.close()
})
