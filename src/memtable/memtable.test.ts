import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import { Hit, KIND_DELETE, KIND_PUT, KIND_VALUE_FILE, MAX_SEQ } from '../base/cursor.ts'
import { Memtable } from './memtable.ts'
import { Model, assertGet, assertSame, dirtyBuffer, framed, putFramed, randomSource, text } from './testing/model.ts'

const SEED = 77003
const INVALID = { code: 'SPILLWAY_INVALID_ARGUMENT' }

function emptyTable(bytes: number, seed = 5): Memtable {
  const table = new Memtable(dirtyBuffer(bytes, seed))
  table.reset()
  return table
}

/** Bytes of what was written so far, in and out of use, without the header. */
function contentBytes(table: Memtable): number {
  const empty = emptyTable(Memtable.MIN_BYTES).usedBytes
  return table.usedBytes - empty
}

const fewBytes = fc.uint8Array({ maxLength: 6 }).map((bytes) => bytes.map((byte) => [0x00, 0x61, 0xff, 0x62][byte & 3]!))
const longPrefix = fc.tuple(fc.constantFrom(7, 300, 301), fewBytes).map(([length, tail]) => {
  const key = new Uint8Array(length + tail.length).fill(0x70)
  key.set(tail, length)
  return key
})
const anyKey = fc.oneof(
  { weight: 4, arbitrary: fewBytes },
  { weight: 2, arbitrary: longPrefix },
  { weight: 2, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 2 }) },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
)
const write = fc.record({
  key: anyKey,
  kind: fc.constantFrom(KIND_PUT, KIND_PUT, KIND_DELETE, KIND_VALUE_FILE),
  valueLength: fc.oneof(fc.nat(9), fc.nat(9), fc.nat(200), fc.nat(3000)),
  seqStep: fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 1, max: 3 }) }, { weight: 1, arbitrary: fc.constant(2 ** 32 - 1) }),
  /** How far back the newest snapshot reads; undefined = none open. */
  snapshotAge: fc.option(fc.nat(6), { nil: undefined }),
})
const history = fc.array(write, { maxLength: 150 })

test(`a memtable holds what a sorted array holds, read through a second one over the same recycled buffer (seed ${SEED})`, () => {
  const buffer = dirtyBuffer(2 << 20, 9)
  fc.assert(
    fc.property(history, fc.array(anyKey, { maxLength: 10 }), fc.integer({ min: 1, max: 2 ** 33 }), (writes, probes, first) => {
      const table = new Memtable(buffer)
      table.reset()
      const model = new Model()
      let seq = first
      for (const { key, kind, valueLength, seqStep, snapshotAge } of writes) {
        const keepSeq = snapshotAge === undefined ? 0 : Math.max(0, seq - snapshotAge)
        seq += seqStep
        const value = kind === KIND_DELETE ? new Uint8Array(0) : new Uint8Array(valueLength).fill(seq & 255)
        putFramed(table, key, seq, kind, value, keepSeq)
        model.put(key, seq, kind, value, keepSeq)
        assert.equal(table.usedBytes + table.freeBytes, table.capacityBytes)
      }
      assertSame(new Memtable(buffer), model, [...probes, ...writes.map(({ key }) => key)])
    }),
    { seed: SEED, numRuns: 250 },
  )
})

test('thousands of short keys fan out through every node size and stay in order', () => {
  const random = randomSource(99)
  const table = emptyTable(4 << 20)
  const model = new Model()
  const probes: Uint8Array[] = []
  for (let i = 0; i < 8000; i++) {
    // The first byte decides how many values the second one has.
    const first = random(64)
    const key = Uint8Array.of(first * 4, random(1 + first * 4), ...(random(3) === 0 ? [random(256)] : []))
    const value = text(String(i))
    putFramed(table, key, i + 1, KIND_PUT, value, 0)
    model.put(key, i + 1, KIND_PUT, value, 0)
    if (i % 10 === 0) probes.push(Uint8Array.of(random(256), random(256), random(256)))
  }
  assertSame(table, model, probes)
})

test('keys of 65535 bytes differ in their last byte, in their first, or by being one byte shorter', () => {
  const table = emptyTable(2 << 20)
  const model = new Model()
  const long = new Uint8Array(65535).fill(7)
  const keys = [
    long, long.with(65534, 8), long.with(65534, 0), long.with(0, 6), long.subarray(0, 65534), long.with(40000, 255),
    new Uint8Array(0), long,
  ]
  keys.forEach((key, i) => {
    putFramed(table, key, i + 1, KIND_PUT, text(`value ${i}`), 0)
    model.put(key, i + 1, KIND_PUT, text(`value ${i}`), 0)
  })
  const tooLong = new Uint8Array(70000).fill(7)
  assertSame(table, model, [...keys, long.with(65534, 7), long.with(40000, 6), tooLong, long.subarray(1), Uint8Array.of(7)])
  assert.equal(table.entryCount, 7)
  assert.throws(() => putFramed(table, new Uint8Array(65536), 100, KIND_PUT, text(''), 0), INVALID)
  assertSame(table, model, keys)
})

test('one entry takes 16 bytes beside its padded key and value', () => {
  for (const [key, value] of [[0, 0], [1, 1], [16, 100], [15, 97], [4, 504], [65535, 0]] as const) {
    const table = emptyTable(1 << 18)
    putFramed(table, new Uint8Array(key), 1, KIND_PUT, new Uint8Array(value), 0)
    assert.equal(contentBytes(table), 16 + Math.ceil(key / 4) * 4 + Math.ceil(value / 4) * 4)
  }
  const chained = emptyTable(1 << 18)
  putFramed(chained, text('key'), 1, KIND_PUT, text('four'), 0)
  const before = contentBytes(chained)
  putFramed(chained, text('key'), 2, KIND_PUT, text('five5'), 1)
  assert.equal(contentBytes(chained) - before, 12 + 8)
})

test('ten thousand overwrites of one key with values of one length take the space of one', () => {
  for (const length of [0, 3, 100, 5000]) {
    const table = emptyTable(1 << 16)
    const value = new Uint8Array(length)
    putFramed(table, text('key'), 1, KIND_PUT, value, 0)
    const used = table.usedBytes
    for (let seq = 2; seq <= 10_000; seq++) putFramed(table, text('key'), seq, KIND_PUT, value.fill(seq & 255), 0)
    assert.equal(table.usedBytes, used)
    assert.equal(table.reusableBytes, 0)
    assert.equal(table.entryCount, 1)
    assert.equal(table.smallestSeq, 1)
    assert.equal(table.largestSeq, 10_000)
    const model = new Model()
    model.put(text('key'), 1, KIND_PUT, value, 0)
    model.put(text('key'), 10_000, KIND_PUT, value, 0)
    assertSame(table, model, [])
  }
})

test('overwrites of changing lengths reuse what they freed: ten rounds take hardly more than the first', () => {
  const table = emptyTable(8 << 20)
  const random = randomSource(4)
  let seq = 0
  const round = (): void => {
    for (let i = 0; i < 1000; i++) putFramed(table, text(`key ${i % 500}`), ++seq, KIND_PUT, new Uint8Array(random(1500)), 0)
  }
  round()
  round()
  const used = contentBytes(table)
  for (let i = 0; i < 10; i++) round()
  assert.ok(contentBytes(table) < used * 1.6, `${contentBytes(table)} bytes after 12 rounds, ${used} after 2`)
  assert.equal(table.entryCount, 500)
})

test('a version stays behind the new one exactly when a snapshot may read it', () => {
  const table = emptyTable(1 << 16)
  const key = text('key')
  const hit = new Hit()
  const seqAt = (snapshotSeq: number): number => {
    table.get(key, 0, key.length, snapshotSeq, hit)
    return hit.seq
  }
  putFramed(table, key, 5, KIND_PUT, text('five'), 0)
  putFramed(table, key, 6, KIND_PUT, text('six'), 5)
  assert.deepEqual([seqAt(4), seqAt(5), seqAt(6), seqAt(MAX_SEQ)], [0, 5, 6, 6])
  putFramed(table, key, 7, KIND_DELETE, text(''), 5)
  assert.deepEqual([seqAt(4), seqAt(5), seqAt(6), seqAt(7)], [0, 5, 5, 7], '6 > 5 is replaced')
  assert.equal(hit.kind, KIND_DELETE)
  assert.deepEqual([table.entryCount, table.deleteCount], [2, 1])
  putFramed(table, key, 8, KIND_PUT, text('eight'), 7)
  assert.deepEqual([table.entryCount, table.deleteCount], [3, 1])
  putFramed(table, key, 9, KIND_PUT, text('a longer nine'), 0)
  assert.deepEqual([seqAt(5), seqAt(7), seqAt(8), seqAt(9)], [5, 7, 7, 9])
  assert.equal(table.entryCount, 3)
})

test('sequence numbers keep all 53 bits, also when they change their high word', () => {
  const table = emptyTable(1 << 16)
  const model = new Model()
  const seqs = [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 40 + 3, MAX_SEQ - 1, MAX_SEQ]
  seqs.forEach((seq, i) => {
    for (const name of ['a', `b${i}`]) {
      putFramed(table, text(name), seq, KIND_PUT, text(`at ${seq}`), seq - 1)
      model.put(text(name), seq, KIND_PUT, text(`at ${seq}`), seq - 1)
    }
  })
  assertSame(table, model, [text('a'), text('b')])
  const late = emptyTable(1 << 16)
  putFramed(late, text('k'), MAX_SEQ, KIND_PUT, text(''), 0)
  assert.equal(contentBytes(late), 16 + 4, 'the high word is shared, not stored')
})

test('fits keeps its word up to the last byte, and what is then refused changes nothing', () => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = randomSource(seed * 7919)
    const table = emptyTable(Memtable.MIN_BYTES + random(60_000), seed)
    const model = new Model()
    const alphabet = [2, 16, 60, 256][seed % 4]!
    let refusals = 0
    let seq = 0
    while (refusals < 400) {
      const key = new Uint8Array(random(seed % 3 === 0 ? 30 : 4)).map(() => random(alphabet))
      const value = new Uint8Array(random(10) === 0 ? random(2000) : random(12)).fill(random(256))
      const keepSeq = random(3) === 0 ? seq : 0
      seq += random(50) === 0 ? 2 ** 32 : 1
      const used = table.usedBytes
      if (table.fits(key.length, value.length)) {
        putFramed(table, key, seq, KIND_PUT, value, keepSeq)
        model.put(key, seq, KIND_PUT, value, keepSeq)
        assert.ok(table.usedBytes - used <= Memtable.worstCaseBytes(key.length, value.length))
        continue
      }
      refusals++
      try {
        putFramed(table, key, seq, KIND_PUT, value, keepSeq)
      } catch (error) {
        assert.equal((error as { code: string }).code, 'SPILLWAY_INVALID_ARGUMENT')
        assert.equal(table.usedBytes, used)
        continue
      }
      model.put(key, seq, KIND_PUT, value, keepSeq)
    }
    assert.ok(table.freeBytes < 2000)
    assertSame(table, model, [new Uint8Array(0), Uint8Array.of(1, 1), Uint8Array.of(255)])
  }
})

test('fitsBatch keeps its word when every put makes a node outgrow its size, or every node outgrows two sizes', () => {
  for (const [children, added] of [[4, 1], [8, 1], [16, 1], [32, 1], [48, 1], [4, 5], [8, 9], [16, 17], [32, 17]] as const) {
    const count = 200 * added
    const fill = (table: Memtable): void => {
      let seq = 0
      for (let byte = 0; byte < children; byte++) {
        for (let first = 0; first < 200; first++) putFramed(table, Uint8Array.of(first, byte), ++seq, KIND_PUT, text(''), 0)
      }
    }
    const grow = (table: Memtable): void => {
      for (let byte = 255; byte > 255 - added; byte--) {
        for (let first = 0; first < 200; first++) putFramed(table, Uint8Array.of(first, byte), 1_000_000, KIND_PUT, text(''), 0)
      }
    }
    const recordBytes = count * Memtable.recordBytes(2, 0)
    const filled = emptyTable(4 << 20)
    fill(filled)
    // The smallest arena, after the same fill, that fitsBatch accepts.
    let low = filled.usedBytes
    let high = 4 << 20
    while (low < high) {
      const middle = (low + high) >>> 1
      const table = emptyTable(middle)
      fill(table)
      if (table.fitsBatch(count, recordBytes)) high = middle
      else low = middle + 1
    }
    const table = emptyTable(low)
    fill(table)
    grow(table)
    assert.ok(low - filled.usedBytes <= count * Memtable.worstCaseBytes(2, 0))
    assert.equal(table.entryCount, 200 * (children + added))
  }
})

test('fitsBatch keeps its word for random batches and asks far less than the sum of worst cases', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const random = randomSource(seed * 131)
    const table = emptyTable(100_000 + random(100_000), seed)
    let seq = 0
    let accepted = 0
    for (let tries = 0; tries < 60; tries++) {
      const keys = Array.from({ length: 1 + random(80) }, () => new Uint8Array(1 + random(6)).map(() => random(seed % 2 === 0 ? 256 : 5)))
      const value = new Uint8Array(random(40))
      const recordBytes = keys.reduce((sum, key) => sum + Memtable.recordBytes(key.length, value.length), 0)
      if (!table.fitsBatch(keys.length, recordBytes)) continue
      accepted++
      const keepSeq = random(2) === 0 ? seq : 0
      for (const key of keys) putFramed(table, key, ++seq, KIND_PUT, value, keepSeq)
    }
    assert.ok(accepted >= 5, `${accepted} batches accepted`)
  }
  assert.equal(emptyTable(300_000).fitsBatch(1000, 1000 * Memtable.recordBytes(16, 16)), true)
  assert.ok(1000 * Memtable.worstCaseBytes(16, 16) > 1_000_000)
})

test('lengths that no memtable takes never fit', () => {
  const table = emptyTable(1 << 18)
  assert.equal(table.fits(65536, 0), false)
  assert.equal(table.fits(0, 2 ** 28), false)
  assert.equal(table.fits(65535, 0), true)
  assert.equal(Memtable.worstCaseBytes(65536, 0), Infinity)
  assert.equal(Memtable.worstCaseBytes(0, 2 ** 28), Infinity)
})

test('bad arguments are refused with numbers and change nothing', () => {
  const table = emptyTable(1 << 16)
  const model = new Model()
  putFramed(table, text('a'), 10, KIND_PUT, text('1'), 0)
  model.put(text('a'), 10, KIND_PUT, text('1'), 0)
  const key = text('b')
  for (const seq of [0, -1, 9, NaN, MAX_SEQ + 1, Infinity]) {
    assert.throws(() => table.put(key, 0, 1, seq, KIND_PUT, key, 0, 1, 0), INVALID)
    assert.throws(() => table.deleteRange(key, key, seq), INVALID)
  }
  assert.throws(() => table.put(key, 1, 0, 11, KIND_PUT, key, 0, 1, 0), INVALID)
  assert.throws(() => table.put(key, 0, 1, 11, KIND_PUT, key, 1, 0, 0), INVALID)
  assert.throws(() => table.put(key, 0, 1, 11, 4, key, 0, 1, 0), INVALID)
  assert.throws(() => table.put(key, 0, 1, 11, -1, key, 0, 1, 0), INVALID)
  assertSame(table, model, [key])
  assert.equal(table.rangeCount, 0)
  assert.throws(() => new Memtable(new ArrayBuffer(Memtable.MIN_BYTES - 1)), INVALID)
})

test('range tombstones are kept newest first, at their exact cost, beside the entries', () => {
  const buffer = dirtyBuffer(1 << 16, 8)
  const table = new Memtable(buffer)
  table.reset()
  assert.deepEqual(table.ranges(), [])
  const ranges = [
    { start: text(''), end: text('a'), seq: 3 },
    { start: text('abcd'), end: text('abcde'), seq: 4 },
    { start: Uint8Array.of(0, 255), end: new Uint8Array(1000).fill(255), seq: 2 ** 40 + 2 ** 31 },
  ]
  for (const { start, end, seq } of ranges) {
    const used = table.usedBytes
    table.deleteRange(start, end, seq)
    assert.equal(table.usedBytes - used, Memtable.rangeBytes(start.length, end.length))
    putFramed(table, start, seq, KIND_PUT, text('x'), 0)
  }
  const reader = new Memtable(buffer)
  assert.deepEqual(reader.ranges(), ranges.toReversed())
  assert.deepEqual([reader.rangeCount, reader.entryCount, reader.smallestSeq, reader.largestSeq], [3, 3, 3, 2 ** 40 + 2 ** 31])
  const free = table.freeBytes
  const start = new Uint8Array(free - Memtable.rangeBytes(0, 0) + 1)
  assert.throws(() => table.deleteRange(start, text(''), MAX_SEQ), INVALID)
  assert.deepEqual([table.rangeCount, table.freeBytes, table.largestSeq], [3, free, 2 ** 40 + 2 ** 31])
  table.deleteRange(start.subarray(0, (start.length >> 2) * 4), text(''), MAX_SEQ)
  assert.equal(table.freeBytes, 0)
  assert.equal(table.rangeCount, 4)
})

test('reset empties a full memtable, ranges and all, and writes nothing past the header', () => {
  const buffer = dirtyBuffer(1 << 16, 2)
  const table = new Memtable(buffer)
  table.reset()
  const empty = table.usedBytes
  for (let seq = 1; table.fits(8, 20); seq++) putFramed(table, text(`k${seq}`), seq, KIND_DELETE, new Uint8Array(seq % 20), 0)
  table.deleteRange(text('a'), text('b'), 1_000_000)
  const rest = new Uint8Array(buffer, empty).slice()
  table.reset()
  assert.deepEqual(new Uint8Array(buffer, empty).slice(), rest)
  assert.deepEqual(
    [table.usedBytes, table.entryCount, table.deleteCount, table.rangeCount, table.smallestSeq, table.largestSeq, table.reusableBytes],
    [empty, 0, 0, 0, 0, 0, 0],
  )
  assertSame(table, new Model(), [text('k1'), text('')])
  putFramed(table, text('k1'), 1, KIND_PUT, text('again'), 0)
  assert.equal(table.entryCount, 1)
})

test('another thread reads a sealed memtable in place', async () => {
  const buffer = dirtyBuffer(1 << 18, 6)
  const table = new Memtable(buffer)
  table.reset()
  const random = randomSource(12)
  const model = new Model()
  for (let seq = 1; seq <= 2000; seq++) {
    const key = new Uint8Array(random(4)).map(() => random(9) * 30)
    const keepSeq = random(4) === 0 ? seq - 1 : 0
    putFramed(table, key, seq, KIND_PUT, text(`v${seq}`), keepSeq)
    model.put(key, seq, KIND_PUT, text(`v${seq}`), keepSeq)
  }
  table.deleteRange(text('a'), text('b'), 2001)
  const worker = new Worker(new URL('./testing/reader-worker.js', import.meta.url), { workerData: buffer })
  const exit = once(worker, 'exit')
  const [answer] = await once(worker, 'message') as [{ entryCount: number; ranges: unknown; lines: string[] }]
  await exit
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  assert.equal(answer.entryCount, table.entryCount)
  assert.deepEqual(answer.ranges, table.ranges())
  assert.deepEqual(answer.lines, model.versions.map(({ key, seq, kind, value }) => `${hex(key)} ${seq} ${kind} ${hex(value)}`))
})

test('a buffer that is not shared, or not a multiple of four bytes long, works as well', () => {
  const table = new Memtable(new ArrayBuffer(Memtable.MIN_BYTES + 3))
  table.reset()
  assert.equal(table.capacityBytes, Memtable.MIN_BYTES & ~3)
  const model = new Model()
  for (let seq = 1; table.fits(6, 4); seq++) {
    putFramed(table, text(`k${seq}`), seq, KIND_PUT, text('v'), 0)
    model.put(text(`k${seq}`), seq, KIND_PUT, text('v'), 0)
  }
  assert.ok(table.entryCount > 50)
  assertSame(table, model, [])
})

test('a miss leaves nothing of an earlier hit behind', () => {
  const table = emptyTable(1 << 16)
  const model = new Model()
  putFramed(table, text('abc'), 4, KIND_PUT, text('v'), 0)
  model.put(text('abc'), 4, KIND_PUT, text('v'), 0)
  const hit = new Hit()
  for (const [key, snapshot] of [['abc', 3], ['ab', MAX_SEQ], ['abcd', MAX_SEQ], ['', MAX_SEQ], ['abd', MAX_SEQ]] as const) {
    assertGet(table, model, text('abc'), MAX_SEQ, hit)
    const k = framed(text(key))
    assert.equal(table.get(k.bytes, k.start, k.end, snapshot, hit), false)
    assert.deepEqual([hit.seq, hit.valueStart, hit.valueEnd, hit.value.length], [0, 0, 0, 0])
  }
})
