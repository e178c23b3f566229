import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hit, KIND_PUT } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { Budget } from '../memory/budget.ts'
import { RowCache } from './row-cache.ts'

const SEED = 11

/** `isAmple`: so much memory is free that rows come in at once. */
function made(totalBytes = 192 * 1024, tags = 1024, isAmple = false): { budget: Budget, rows: RowCache } {
  const budget = new Budget(isAmple ? 4 * totalBytes : totalBytes)
  const rows = new RowCache(budget.account('rows', ''), 16 * 1024, () => {})
  rows.configure(tags)
  rows.setLimit(Infinity)
  return { budget, rows }
}

function hitOf(value: Uint8Array, seq: number): Hit {
  const hit = new Hit()
  hit.kind = KIND_PUT
  hit.seq = seq
  hit.value = value
  hit.valueEnd = value.length
  return hit
}

function offer(rows: RowCache, key: string, value: string, { seq = 1, epoch = 1, space = 1, hash = -1 } = {}): void {
  const bytes = Buffer.from(`..${key}..`)
  rows.offer(space, hash < 0 ? hashKey(bytes, 2, bytes.length - 2) : hash, bytes, 2, bytes.length - 2, epoch, hitOf(Buffer.from(value), seq))
}

function find(rows: RowCache, key: string, { space = 1, hash = -1 } = {}): string | undefined {
  const bytes = Buffer.from(key)
  if (!rows.find(space, hash < 0 ? hashKey(bytes, 0, bytes.length) : hash, bytes, 0, bytes.length)) return undefined
  return Buffer.from(rows.bytes.subarray(rows.valueStart, rows.valueEnd)).toString()
}

test('a row comes in with its second offer, with value, sequence number and epoch', () => {
  const { rows } = made()
  offer(rows, 'a', 'one', { seq: 7 })
  assert.equal(find(rows, 'a'), undefined)
  offer(rows, 'a', 'one', { seq: 2 ** 40 + 7, epoch: 3_000_000_000 })
  assert.equal(find(rows, 'a'), 'one')
  assert.deepEqual([rows.seq, rows.epoch], [2 ** 40 + 7, 3_000_000_000])
  rows.renew(3_000_000_001)
  assert.equal(find(rows, 'a'), 'one')
  assert.equal(rows.epoch, 3_000_000_001)
})

test('while much memory is free a row comes in with its first offer', () => {
  const { rows } = made(192 * 1024, 1024, true)
  offer(rows, 'a', 'one')
  assert.equal(find(rows, 'a'), 'one')
})

test('a row that is offered again takes the place of what was there, whether it is as long or not', () => {
  const { rows } = made()
  for (const value of ['one', 'one', 'two', 'three']) offer(rows, 'a', value)
  assert.equal(find(rows, 'a'), 'three')
  offer(rows, 'a', '')
  assert.equal(find(rows, 'a'), '')
  assert.equal(rows.stats().rows, 1)
})

test('two keys with one hash are not taken for one another, nor is a key in another space', () => {
  const { rows } = made()
  for (let i = 0; i < 2; i++) offer(rows, 'abc', 'one', { hash: 5 })
  assert.equal(find(rows, 'abc', { hash: 5 }), 'one')
  for (const key of ['abd', 'ab', 'abcd', '']) assert.equal(find(rows, key, { hash: 5 }), undefined, key)
  assert.equal(find(rows, 'abc', { hash: 5, space: 2 }), undefined)
  for (let i = 0; i < 2; i++) offer(rows, 'abd', 'other', { hash: 5 })
  assert.equal(find(rows, 'abd', { hash: 5 }), 'other')
  assert.equal(find(rows, 'abc', { hash: 5 }), undefined)
})

test('what one space has is forgotten with it', () => {
  const { rows } = made()
  for (const space of [1, 1, 2, 2]) offer(rows, 'a', `of ${space}`, { space })
  rows.drop(1)
  assert.deepEqual([find(rows, 'a'), find(rows, 'a', { space: 2 })], [undefined, 'of 2'])
})

test('a pass over many rows leaves nothing, rows too long are not kept, and memory is leased, bounded and given back', () => {
  const { budget, rows } = made(256 * 1024, 1024)
  for (let i = 0; i < 50_000; i++) offer(rows, `key ${i}`, 'x'.repeat(50))
  assert.ok(rows.stats().rows < 50, `${rows.stats().rows} rows`)
  for (let i = 0; i < 3; i++) offer(rows, 'long', 'x'.repeat(5000))
  assert.equal(find(rows, 'long'), undefined)
  for (let i = 0; i < 20_000; i++) for (let twice = 0; twice < 2; twice++) offer(rows, `key ${i}`, 'x'.repeat(50))
  assert.ok(rows.stats().rows > 500, `${rows.stats().rows} rows`)
  assert.ok(budget.usedBytes <= budget.totalBytes)
  assert.equal(rows.measure(), budget.usedBytes)
  rows.setLimit(64 * 1024)
  assert.ok(rows.bytesHeld <= 64 * 1024)
  assert.equal(rows.measure(), budget.usedBytes)
  rows.configure(0)
  assert.equal(budget.usedBytes, 0)
  for (let i = 0; i < 3; i++) offer(rows, 'a', 'one')
  assert.equal(find(rows, 'a'), undefined)
  rows.close()
  assert.equal(budget.usedBytes, 0)
})

test(`what is found is what was offered last under that key, however rows come and go (seed ${SEED})`, () => {
  const { rows } = made(128 * 1024, 256)
  const last = new Map<string, string>()
  let state = SEED
  const random = (below: number): number => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0
    return Math.floor(state / 2 ** 32 * below)
  }
  let found = 0
  for (let i = 0; i < 100_000; i++) {
    // A few are asked for often, as in a store that is worth it.
    const key = `k${random(random(4) === 0 ? 5000 : 200)}`
    const value = find(rows, key)
    if (value !== undefined) {
      found++
      assert.equal(value, last.get(key))
    }
    if (value === undefined || random(10) === 0) {
      const next = `${i}`.padEnd(random(3) === 0 ? 10 + random(300) : 20)
      // What is not taken in may leave an older one in place: the reader tells it by its epoch. Here it is forgotten.
      offer(rows, key, next)
      last.set(key, find(rows, key) ?? '')
    }
    if (random(5000) === 0) rows.shrink(16 * 1024)
  }
  assert.ok(found > 30_000, `${found} found`)
})

test('the value that was offered can be read after the offer, though its block has given way', () => {
  const budget = new Budget(64 * 1024)
  const block = new Uint8Array(new ArrayBuffer(16 * 1024, { maxByteLength: 16 * 1024 }), 0, 16 * 1024)
  const held = budget.account('blocks', '').lease(48 * 1024)
  const rows = new RowCache(budget.account('rows', ''), 16 * 1024, () => {
    block.buffer.resize(0)
    held.release()
  })
  rows.configure(1024)
  rows.setLimit(Infinity)
  block.set(Buffer.from('the value'), 100)
  const key = Buffer.from('key')
  const hit = hitOf(block, 1)
  for (let i = 0; i < 2; i++) {
    hit.valueStart = 100
    hit.valueEnd = 109
    rows.offer(1, 7, key, 0, 3, 1, hit)
  }
  assert.equal(block.length, 0, 'the block went')
  assert.equal(Buffer.from(hit.value.subarray(hit.valueStart, hit.valueEnd)).toString(), 'the value')
  assert.equal(find(rows, 'key', { hash: 7 }), 'the value')
})
