import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../../base/bytes.ts'
import { KIND_DELETE, KIND_VALUE_FILE, MAX_SEQ } from '../../base/cursor.ts'
import { hashKey } from '../../base/hash.ts'
import { bytesOf, put, randomNumbers, sortEntries, testKernels, textOf, type Entry } from '../testing/model.ts'
import { DataBlock, dataBlockProblem as problemOf } from './data-block.ts'
import { DataBlockWriter, encodeSingle } from './data-block-writer.ts'

const SEED = 20250302
const AT = 13

/** What is wrong, and the kernel says whether anything is. */
function dataBlockProblem(bytes: Uint8Array, start: number, end: number): string | undefined {
  const problem = problemOf(bytes, start, end)
  const kernels = testKernels()
  kernels.memory.fill(0xff, kernels.a, kernels.a + end - start + 64)
  kernels.memory.set(bytes.subarray(start, end), kernels.a)
  assert.equal(kernels.isSoundBlock(kernels.a, kernels.a + end - start), problem === undefined, problem)
  return problem
}

function sharedPrefixLength(a: Uint8Array, b: Uint8Array): number {
  let length = 0
  while (length < a.length && length < b.length && a[length] === b[length]) length++
  return length
}

/** As many of the entries as fit one block, encoded at AT in a dirty buffer. */
function encode(entries: readonly Entry[], blockBytes = 4096): { bytes: Uint8Array; end: number; kept: Entry[] } {
  const writer = new DataBlockWriter(blockBytes)
  const kept: Entry[] = []
  for (const entry of entries) {
    const { key, value, seq, kind } = entry
    const last = kept.at(-1)?.key
    const shared = last ? sharedPrefixLength(last, key) : 0
    if (writer.isOversize(key.length, value.length) || (kept.length > 0 && !writer.hasRoom(key.length, value.length, shared))) break
    const isFirst = !last || compareKeys(last, key) !== 0
    writer.add(key, 0, key.length, shared, isFirst, isFirst ? hashKey(key, 0, key.length) : 0, seq, kind, value, 0, value.length)
    kept.push(entry)
  }
  const bytes = new Uint8Array(blockBytes * 3 + 500).fill(0xa5)
  return { bytes, end: writer.encode(bytes, AT), kept }
}

function decode(bytes: Uint8Array): Entry[] {
  const block = new DataBlock()
  block.open(bytes, AT)
  return Array.from({ length: block.count }, (_, i) => ({
    key: Uint8Array.from([
      ...bytes.subarray(block.prefixAt, block.prefixAt + block.prefixLength), ...bytes.subarray(block.suffixStart(i), block.suffixEnd(i)),
    ]),
    seq: block.seq(i), kind: block.kind(i), value: bytes.slice(block.valueStart(i), block.valueEnd(i)),
  }))
}

function check(entries: readonly Entry[], blockBytes?: number): Entry[] {
  const { bytes, end, kept } = encode(entries, blockBytes)
  assert.equal(dataBlockProblem(bytes, AT, end), undefined)
  assert.deepEqual(decode(bytes).map(textOf), kept.map(textOf))
  const block = new DataBlock()
  block.open(bytes, AT)
  const probes = kept.flatMap(({ key }) => [key, Uint8Array.from([...key, 0]), key.subarray(0, -1)])
  for (const key of [...probes, bytesOf(''), bytesOf('\xff\xff\xff')]) {
    const bound = kept.findIndex((entry) => compareKeys(entry.key, key) >= 0)
    const exact = kept.findIndex((entry) => compareKeys(entry.key, key) === 0)
    assert.equal(block.lowerBound(key, 0, key.length), bound < 0 ? kept.length : bound)
    assert.equal(block.find(key, 0, key.length, hashKey(key, 0, key.length)), exact)
  }
  return kept
}

const keys = fc.oneof(
  fc.uint8Array({ maxLength: 6 }),
  fc.array(fc.constantFrom(0, 1, 97, 255), { maxLength: 5 }).map((bytes) => Uint8Array.from(bytes)),
  fc.nat(300).map((n) => bytesOf(`common/prefix/${n}`)),
)
const entries = fc.array(fc.record({
  key: keys,
  seq: fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 70_000 }), fc.constantFrom(2 ** 32, 2 ** 48, MAX_SEQ)),
  kind: fc.constantFrom(0, 1, 1, 1, 2),
  value: fc.uint8Array({ maxLength: 40 }),
}), { minLength: 1, maxLength: 200 }).map(sortEntries)

test(`any sorted entries come back as they were, and are found (seed ${SEED})`, () => {
  fc.assert(fc.property(entries, (sorted) => { check(sorted) }), { seed: SEED, numRuns: 300 })
})

test('every width of sequence deltas round-trips', () => {
  for (const range of [0, 1, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, 2 ** 48, MAX_SEQ - 1]) {
    const kept = check(['a', 'b', 'c', 'd'].map((key, i) => put(key, i === 2 ? 1 + range : 1)))
    assert.equal(kept.length, 4)
  }
})

test('equal sequence numbers and puts only take no space for either', () => {
  const same = encode(['a', 'b'].map((key) => put(key, 9)))
  const deltas = encode([put('a', 9), put('b', 10)])
  const kinds = encode([put('a', 9), put('b', 9, 'v', KIND_DELETE)])
  assert.equal(deltas.end - same.end, 2)
  assert.equal(kinds.end - same.end, 2)
})

test('a common prefix is stored once', () => {
  const long = 'x'.repeat(500)
  const { end, kept } = encode(Array.from({ length: 9 }, (_, i) => put(`${long}${i}`, 1)))
  assert.equal(kept.length, 9)
  assert.ok(end < 700)
})

test('keys that lose their common prefix late come back whole', () => {
  const long = 'm'.repeat(700)
  check([put(`${long}`, 3), put(`${long}a`, 3), put(`${long}b`, 3), put(`${long.slice(0, 300)}z`, 3), put('n', 3)])
})

test('blocks of more than 254 entries do without hash slots', () => {
  const kept = check(Array.from({ length: 400 }, (_, i) => put(String(i).padStart(4, '0'), 1, '')))
  assert.ok(kept.length > 254)
})

test('blocks larger than 64 KiB use wide offsets', () => {
  const kept = check(Array.from({ length: 120 }, (_, i) => put(String(i).padStart(4, '0'), i + 1, 'v'.repeat(1000))), 128 * 1024)
  assert.ok(kept.length > 100)
})

test('a single entry is encoded from where it is', () => {
  const shapes = [
    ['', '', 1], ['k', 'v', KIND_DELETE], ['k'.repeat(65536), 'v'.repeat(262144), KIND_VALUE_FILE], ['', 'v'.repeat(65536), 1],
  ] as const
  for (const [key, value, kind] of shapes) {
    const entry = put(key, MAX_SEQ, value, kind)
    const bytes = new Uint8Array(400_000).fill(0xa5)
    const end = encodeSingle(bytes, AT, entry.key, 0, entry.key.length, entry.seq, entry.kind, entry.value, 0, entry.value.length)
    assert.equal(dataBlockProblem(bytes, AT, end), undefined)
    assert.ok(decode(bytes).map(textOf)[0] === textOf(entry))
    const block = new DataBlock()
    block.open(bytes, AT)
    assert.equal(block.find(entry.key, 0, entry.key.length, hashKey(entry.key, 0, entry.key.length)), 0)
  }
})

test('any changed byte of a block is either refused or readable within the block', () => {
  const sorted = sortEntries(Array.from({ length: 30 }, (_, i) => put(`key${i % 20}`, i + 1, 'value'.repeat(i % 3), i % 7 === 0 ? 0 : 1)))
  const { bytes, end } = encode(sorted)
  const exact = bytes.slice(0, end)
  let refused = 0
  for (let at = AT + 1; at < end; at++) {
    for (const mask of [1, 0x80, 0xff]) {
      exact[at]! ^= mask
      if (dataBlockProblem(exact, AT, end) !== undefined) refused++
      else {
        const block = new DataBlock()
        block.open(exact, AT)
        for (const entry of decode(exact)) block.find(entry.key, 0, entry.key.length, hashKey(entry.key, 0, entry.key.length))
        assert.ok(block.valueEnd(block.count - 1) === end)
      }
      exact[at]! ^= mask
    }
  }
  assert.ok(refused > 100)
  for (let cut = AT; cut < end; cut++) assert.notEqual(dataBlockProblem(exact, AT, cut), undefined)
})

test('the kernel finds the same blocks sound, whatever is changed in one', () => {
  const random = randomNumbers(5)
  let sound = 0
  for (let round = 0; round < 60; round++) {
    const firstSeq = [1, 200, 2 ** 40, MAX_SEQ - 300][round % 4]!
    const entries = sortEntries(Array.from({ length: 1 + random() % 40 }, (_, i) => {
      const kind = round % 3 === 0 ? random() % 3 : 1
      return put(`key ${random() % 50}`, firstSeq + (round % 5) * i, 'v'.repeat(random() % 9), kind)
    }))
    const { bytes, end } = encode(entries)
    for (let change = 0; change < 60; change++) {
      const damaged = bytes.slice()
      const inHeader = change % 2 === 0
      damaged[AT + random() % (inHeader ? 24 : end - AT)] = random() % 4 === 0 ? random() : random() % 4
      if (dataBlockProblem(damaged, AT, end) === undefined) sound++
      dataBlockProblem(bytes, AT, AT + random() % (end - AT))
    }
  }
  assert.ok(sound > 100 && sound < 3500, `${sound}`)
})
