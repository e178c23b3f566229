import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { Budget } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'

const SEED = 20240608
const SLOT = 1024
const POISON = 0xdb

function blockOf(table: number, offset: number, version: number, length: number): Uint8Array {
  const block = new Uint8Array(length)
  // Never the poison, and different for every name and version.
  for (let i = 0; i < length; i++) block[i] = (Math.imul(table * 31 + offset * 7 + version * 101 + i, 0x9e3779b1) >>> 24) % POISON
  return block
}

function found(cache: BlockCache): Uint8Array {
  return cache.bytes.slice(cache.start, cache.end)
}

function make(budgetBytes: number, slotBytes = SLOT) {
  const budget = new Budget(budgetBytes)
  const account = budget.account('block cache', 'what is free')
  return { budget, account, cache: new BlockCache(account, { slotBytes }) }
}

function put(cache: BlockCache, table: number, offset: number, length: number, version = 0): boolean {
  return cache.insert(table, offset, blockOf(table, offset, version, length), 0, length)
}

test('a block inserted is found, and no other name finds it', () => {
  const { cache } = make(100_000)
  const source = blockOf(3, 0xfffff000, 0, 300)
  assert.equal(cache.find(3, 0xfffff000), false)
  assert.equal(cache.insert(3, 0xfffff000, source, 100, 250), true)
  assert.deepEqual(found(cache), source.slice(100, 250))
  assert.equal(cache.find(3, 0xfffff000), true)
  assert.deepEqual(found(cache), source.slice(100, 250))
  const others = [[4, 0xfffff000], [3, 0], [3, 0xfffff000 - 2 ** 32], [3, 0xfffff000 + 2 ** 32], [3.5, 0xfffff000], [3, NaN]]
  for (const [table, offset] of others) assert.equal(cache.find(table!, offset!), false, `${table}, ${offset}`)
  const { bytes, ...counts } = cache.stats()
  assert.ok(bytes > SLOT)
  assert.deepEqual(counts, { hits: 1, misses: 7, missBytes: 150, inserts: 1, evictions: 0, refused: 0, blocks: 1, slots: 1 })
})

test('names and sizes that cannot be cached are refused, and change nothing', () => {
  const { cache } = make(100_000)
  assert.equal(put(cache, 1, 0, SLOT), true)
  assert.equal(put(cache, 1, 1, SLOT + 1), false)
  assert.equal(put(cache, 1, 2 ** 32, 10), false)
  assert.equal(put(cache, 1, -1, 10), false)
  assert.equal(put(cache, 2 ** 31, 0, 10), false)
  assert.throws(() => cache.insert(1, 8, new Uint8Array(10), 5, 11), RangeError)
  assert.throws(() => cache.insert(1, 8, new Uint8Array(10), 6, 5), RangeError)
  assert.throws(() => new BlockCache(make(1).account, { slotBytes: 0 }), /slotBytes/)
  assert.equal(cache.stats().refused, 4)
  assert.equal(cache.stats().blocks, 1)
  assert.equal(cache.find(1, 0), true)
})

test('without room for a slot inserts are refused, and a free budget later is used', () => {
  const { cache, budget } = make(4 * SLOT)
  const other = budget.account('other', 'test').lease(4 * SLOT - 100)
  assert.equal(put(cache, 1, 0, 10), false)
  other.release()
  assert.equal(put(cache, 1, 0, 10), true)
  assert.deepEqual(found(cache), blockOf(1, 0, 0, 10))
})

test('a block inserted again replaces the first', () => {
  const { cache } = make(100_000)
  put(cache, 1, 0, 100, 1)
  put(cache, 1, 64, 100, 1)
  put(cache, 1, 0, 50, 2)
  assert.equal(cache.find(1, 0), true)
  assert.deepEqual(found(cache), blockOf(1, 0, 2, 50))
  assert.equal(cache.find(1, 64), true)
  assert.deepEqual(found(cache), blockOf(1, 64, 1, 100))
  assert.equal(cache.stats().blocks, 2)
})

test('only free budget is taken, then the oldest blocks make room', () => {
  const { cache, budget } = make(4 * SLOT + 64 * 32)
  for (let i = 0; i < 100; i++) {
    assert.equal(put(cache, 1, i, SLOT / 4), true)
    assert.ok(budget.usedBytes <= budget.totalBytes)
  }
  assert.equal(cache.stats().slots, 4)
  assert.equal(cache.stats().evictions, 100 - cache.stats().blocks)
  assert.equal(budget.report().denied, 0)
  for (let i = 0; i < 100; i++) assert.equal(cache.find(1, i), i >= 84, `block ${i}`)
})

test('blocks found again survive a long scan', () => {
  const { cache } = make(8 * SLOT + 8192)
  for (let i = 0; i < 8; i++) put(cache, 1, i, SLOT / 8)
  for (let scan = 0; scan < 2000; scan++) {
    assert.ok(put(cache, 2, scan, SLOT / 8))
    if (scan % 10 === 0) for (let i = 0; i < 4; i++) assert.equal(cache.find(1, i), true, `block ${i} at ${scan}`)
  }
  for (let i = 4; i < 8; i++) assert.equal(cache.find(1, i), false)
})

test('index blocks of many data blocks survive two passes of blocks that are read once', () => {
  const { cache } = make(8 * SLOT + 8192)
  for (let i = 0; i < 8; i++) cache.insert(1, i, blockOf(1, i, 0, SLOT / 8), 0, SLOT / 8, i < 4)
  // All slots are used again once, and a second time as far as they were not kept.
  for (let scan = 0; scan < 100; scan++) put(cache, 2, scan, SLOT / 8)
  for (let i = 0; i < 8; i++) assert.equal(cache.find(1, i), i < 4, `block ${i}`)
  for (let scan = 100; scan < 2000; scan++) put(cache, 2, scan, SLOT / 8)
  for (let i = 0; i < 4; i++) assert.equal(cache.find(1, i), false, `block ${i} is not kept for ever`)
})

test('what is found most often is kept first, and at most half a slot is kept', () => {
  const { cache } = make(SLOT + 3000)
  for (let i = 0; i < 8; i++) put(cache, 1, i, SLOT / 8)
  for (let i = 0; i < 8; i++) cache.find(1, i)
  for (let i = 5; i < 8; i++) cache.find(1, i)
  // The slot is full of blocks found once, three of them twice.
  put(cache, 2, 0, SLOT / 8)
  assert.equal(cache.stats().blocks, 5)
  const kept = []
  for (let i = 0; i < 8; i++) {
    if (cache.find(1, i)) {
      assert.deepEqual(found(cache), blockOf(1, i, 0, SLOT / 8))
      kept.push(i)
    }
  }
  assert.deepEqual(kept, [0, 5, 6, 7])
})

test('a block that was popular once and is not found again goes in the end', () => {
  const { cache } = make(2 * SLOT + 64 * 32)
  put(cache, 1, 0, SLOT / 4)
  for (let i = 0; i < 10; i++) cache.find(1, 0)
  for (let i = 0; i < 40; i++) put(cache, 2, i, SLOT / 4)
  assert.equal(cache.find(1, 0), false)
})

test('a block as large as a slot always finds room, whatever is kept', () => {
  const { cache } = make(SLOT + 3000)
  for (let i = 0; i < 8; i++) put(cache, 1, i, SLOT / 8)
  for (let i = 0; i < 8; i++) cache.find(1, i)
  assert.equal(put(cache, 2, 0, SLOT), true)
  assert.equal(cache.find(2, 0), true)
  assert.deepEqual(found(cache), blockOf(2, 0, 0, SLOT))
  assert.equal(cache.stats().blocks, 1)
})

test('a dropped table is gone, others stay, and the slots it emptied are used first', () => {
  const { cache } = make(6 * SLOT + 4096)
  for (let i = 0; i < 4; i++) put(cache, 1, i, SLOT / 2)
  for (let i = 0; i < 4; i++) put(cache, 2, i, SLOT / 2)
  for (let i = 0; i < 4; i++) put(cache, 1, 10 + i, SLOT / 2)
  assert.equal(cache.stats().slots, 6)
  assert.equal(cache.dropTable(2), 2 * SLOT)
  assert.equal(cache.stats().blocks, 8)
  for (let i = 0; i < 4; i++) assert.equal(cache.find(2, i), false)
  for (let i = 0; i < 4; i++) assert.equal(put(cache, 3, i, SLOT / 2), true)
  assert.equal(cache.stats().evictions, 0)
  for (const i of [0, 1, 2, 3, 10, 11, 12, 13]) {
    assert.equal(cache.find(1, i), true)
    assert.deepEqual(found(cache), blockOf(1, i, 0, SLOT / 2))
  }
  cache.dropTable(1)
  cache.dropTable(3)
  cache.dropTable(3)
  assert.equal(cache.stats().blocks, 0)
})

test('a prefetched block is cached only into free memory: free budget, or slots of closed tables', () => {
  const { cache } = make(40 * SLOT + 4096)
  const offer = (table: number, i: number): boolean => cache.insertIfMuchIsFree(table, i, blockOf(table, i, 0, SLOT), 0, SLOT)
  let taken = 0
  while (offer(1, taken)) taken++
  assert.ok(taken > 16 && taken < 32, `${taken} blocks`)
  assert.equal(cache.stats().missBytes, 0, 'they count no miss')
  while (cache.stats().evictions === 0) put(cache, 2, taken++, SLOT)
  assert.equal(offer(3, 0), false)
  const { slots } = cache.stats()
  cache.dropTable(2)
  cache.dropTable(1)
  for (let i = 0; i < 10; i++) assert.equal(offer(3, i), true)
  assert.equal(cache.stats().slots, slots, 'what is there is used before more is taken')
  cache.setLimit(cache.bytesHeld - 20 * SLOT)
  assert.equal(offer(3, 11), false)
})

test('shrinking gives back whole slots, oldest first, and the memory at once', () => {
  const { cache, account, budget } = make(10 * SLOT + 4096)
  budget.addReclaimer('cache', (bytes) => cache.shrink(bytes))
  for (let i = 0; i < 10; i++) put(cache, 1, i, SLOT)
  assert.equal(cache.find(1, 0), true)
  const view = cache.bytes
  const before = account.bytes
  assert.equal(cache.shrink(1), SLOT)
  assert.equal(view.length, 0)
  assert.equal(cache.shrink(3 * SLOT - 1), 3 * SLOT)
  assert.equal(before - account.bytes, 4 * SLOT)
  for (let i = 0; i < 10; i++) assert.equal(cache.find(1, i), i >= 4)
  const other = budget.account('other', 'test')
  const lease = other.lease(9 * SLOT)
  assert.ok(cache.stats().slots <= 5)
  assert.equal(cache.find(1, 9), true)
  const rest = account.bytes
  assert.equal(cache.shrink(Infinity), rest)
  assert.equal(account.bytes, 0)
  assert.equal(cache.shrink(1), 0)
  lease.release()
})

test('the directory grows with its blocks and is given back with them', () => {
  const { cache, account } = make(1 << 22, 1 << 16)
  for (let i = 0; i < 20_000; i++) assert.ok(put(cache, i % 7, i * 16, 16))
  const full = account.bytes
  assert.ok(full >= 20_000 * 16 + 20_000 * 32)
  assert.equal(full, cache.stats().bytes)
  const given = cache.shrink(4 << 16)
  assert.equal(full - account.bytes, given)
  assert.ok(given > (4 << 16) + 20_000 * 16, 'the directory shrank too')
  let blocks = 0
  for (let i = 0; i < 20_000; i++) {
    if (!cache.find(i % 7, i * 16)) continue
    blocks++
    assert.deepEqual(found(cache), blockOf(i % 7, i * 16, 0, 16))
  }
  assert.equal(blocks, cache.stats().blocks)
  assert.ok(blocks > 1000)
  cache.shrink(1)
  cache.shrink(1 << 30)
  assert.equal(account.bytes, 0)
  assert.equal(put(cache, 1, 1, 16), true)
})

test('what was found before the directory was packed still counts as found', () => {
  const { cache, budget } = make(1 << 20, 1 << 16)
  for (let i = 0; i < 10_000; i++) put(cache, 1, i, 16)
  for (let i = 9_990; i < 10_000; i++) assert.equal(cache.find(1, i), true)
  cache.shrink(2 << 16)
  assert.equal(cache.stats().slots, 1)
  budget.account('other', 'test').lease(budget.freeBytes)
  for (let i = 0; i < 5; i++) put(cache, 2, i, (1 << 16) / 4)
  for (let i = 0; i < 10_000; i++) assert.equal(cache.find(1, i), i >= 9_990, `block ${i}`)
})

test('where the directory cannot grow, blocks are dropped and the cache goes on', () => {
  // One slot and the smallest directory, no byte more.
  const { cache, account, budget } = make(SLOT + 64 * 32)
  for (let i = 0; i < 1000; i++) {
    assert.equal(put(cache, 1, i, 1), true)
    assert.equal(cache.find(1, i), true)
    assert.deepEqual(found(cache), blockOf(1, i, 0, 1))
  }
  assert.equal(account.bytes, budget.totalBytes)
  // A slot so large that a directory grown into its place would leave no room for another.
  const large = make(8192 + 64 * 32 + 100, 8192)
  for (let i = 0; i < 1000; i++) assert.equal(put(large.cache, 1, i, 1), true)
  // Two slots: the older makes room for a larger directory.
  const two = make(2 * SLOT + 64 * 32 + 100)
  for (let i = 0; i < 1000; i++) assert.equal(put(two.cache, 1, i, 16), true)
  assert.equal(two.cache.find(1, 999), true)
})

test('after close everything is given back, finds miss and inserts are refused', () => {
  const { cache, account } = make(100_000)
  for (let i = 0; i < 500; i++) put(cache, 1, i, 100)
  assert.ok(account.bytes > 0)
  cache.close()
  assert.equal(account.bytes, 0)
  assert.equal(cache.find(1, 499), false)
  assert.equal(put(cache, 1, 0, 10), false)
  cache.dropTable(1)
  assert.equal(cache.shrink(1), 0)
  cache.close()
  assert.equal(account.bytes, 0)
})

type Step =
  | { op: 'insert' | 'find'; table: number; offset: number; length: number }
  | { op: 'drop'; table: number }
  | { op: 'shrink' | 'lease'; bytes: number }
  | { op: 'release' | 'poison' }

const table = fc.integer({ min: 1, max: 4 })
const offset = fc.integer({ min: 0, max: 30 })
const length = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: SLOT + 20 }) },
)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.record({ op: fc.constant('insert' as const), table, offset, length }) },
  { weight: 30, arbitrary: fc.record({ op: fc.constant('find' as const), table, offset, length }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('drop' as const), table }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant('shrink' as const), bytes: fc.nat({ max: 4 * SLOT }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('lease' as const), bytes: fc.nat({ max: 8 * SLOT }) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('release' as const) }) },
  { weight: 2, arbitrary: fc.record({ op: fc.constant('poison' as const) }) },
)

test('whatever is done, a block found is the one inserted, and the leases are what is held', () => {
  console.log(`seed ${SEED}`)
  let hits = 0
  let reclaimed = 0
  const history = fc.array(step, { minLength: 50, maxLength: 700, size: 'max' })
  fc.assert(fc.property(history, fc.integer({ min: 1, max: 9 }), (steps, slots) => {
    const { cache, account, budget } = make(slots * SLOT + 2500)
    const other = budget.account('other', 'test')
    budget.addReclaimer('cache', (bytes) => {
      const held = account.bytes
      const given = cache.shrink(bytes)
      assert.equal(held - account.bytes, given)
      reclaimed += given
      return given
    })
    const model = new Map<string, { table: number; offset: number; block: Uint8Array }>()
    const views = new Set<Uint8Array>()
    let version = 0

    /** Overwrite all slot memory that is not a live block, which the finds of all names tell. */
    const poison = () => {
      const live: [Uint8Array, number, number][] = []
      for (const { table, offset, block } of model.values()) {
        if (!cache.find(table, offset)) continue
        assert.deepEqual(found(cache), block)
        live.push([cache.bytes, cache.start, cache.end])
      }
      assert.equal(live.length, cache.stats().blocks)
      for (const view of views) {
        if (view.length === 0) continue // given back
        const ranges = live.filter((range) => range[0] === view).sort((x, y) => x[1] - y[1] || x[2] - y[2])
        let at = 0
        for (const [, start, end] of ranges) {
          assert.ok(start >= at, 'two blocks overlap')
          view.fill(POISON, at, start)
          at = end
        }
        view.fill(POISON, at)
      }
    }

    for (const now of steps) {
      if (now.op === 'insert') {
        const block = blockOf(now.table, now.offset, ++version, now.length)
        const done = cache.insert(now.table, now.offset, block, 0, block.length)
        if (done) {
          model.set(`${now.table}/${now.offset}`, { table: now.table, offset: now.offset, block })
          assert.deepEqual(found(cache), block)
          views.add(cache.bytes)
        } else if (now.length <= SLOT) {
          assert.ok(budget.freeBytes < SLOT + 64 * 32, 'refused in spite of a free budget')
          model.delete(`${now.table}/${now.offset}`)
        }
      } else if (now.op === 'find') {
        const known = model.get(`${now.table}/${now.offset}`)
        if (cache.find(now.table, now.offset)) {
          assert.ok(known, 'a block that was not inserted')
          assert.deepEqual(found(cache), known.block)
          hits++
        }
      } else if (now.op === 'drop') {
        cache.dropTable(now.table)
        for (const [name, { table }] of model) if (table === now.table) model.delete(name)
      } else if (now.op === 'shrink') {
        const held = account.bytes
        const given = cache.shrink(now.bytes)
        assert.equal(held - account.bytes, given)
        assert.ok(given >= Math.min(now.bytes, held))
      } else if (now.op === 'lease') {
        const fits = other.bytes + now.bytes <= budget.totalBytes
        assert.equal(other.tryLease(now.bytes) !== undefined, fits, 'the cache must give way')
      } else if (now.op === 'release') {
        other.shrink(other.bytes)
      } else {
        poison()
      }
      assert.equal(account.bytes, cache.stats().bytes)
      assert.ok(budget.usedBytes <= budget.totalBytes)
      assert.ok(cache.stats().blocks <= model.size)
    }
    poison()
    cache.close()
    assert.equal(account.bytes, 0)
    assert.equal(cache.stats().blocks, 0)
    for (const view of views) assert.equal(view.length, 0)
  }), { seed: SEED, numRuns: 250, includeErrorInReport: true })
  assert.ok(hits > 1000, `${hits} hits`)
  assert.ok(reclaimed > 10 * SLOT, `${reclaimed} bytes reclaimed`)
})
