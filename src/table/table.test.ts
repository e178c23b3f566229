import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { Hit, KIND_DELETE, KIND_PUT, KIND_VALUE_FILE, MAX_SEQ, type Cursor } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { StreamedBlocks } from './block/block-source.ts'
import { copyOf,
  EntryCursor, bytesOf, entryAt, openTable, put, randomNumbers, sortEntries, testKernels, textOf, writeTable, type Entry, type Opened,
} from './testing/model.ts'
import { MemoryFile } from './testing/memory-file.ts'
import { TableWriter } from './table-writer.ts'

const SEED = 20250304

function forward(cursor: Cursor): string[] {
  const texts: string[] = []
  for (; cursor.valid; cursor.next()) texts.push(textOf(entryAt(cursor)))
  return texts
}

function backward(cursor: Cursor): string[] {
  const texts: string[] = []
  for (; cursor.valid; cursor.prev()) texts.push(textOf(entryAt(cursor)))
  return texts
}

function lookUp(opened: Opened, key: Uint8Array, snapshotSeq: number): string | undefined {
  const hit = new Hit()
  const found = opened.reader.get(opened.source, key, 0, key.length, hashKey(key, 0, key.length), snapshotSeq, hit)
  assert.equal(found, hit.seq > 0)
  return found ? textOf({ key, seq: hit.seq, kind: hit.kind, value: hit.value.slice(hit.valueStart, hit.valueEnd) }) : undefined
}

function expectedGet(entries: readonly Entry[], key: Uint8Array, snapshotSeq: number): string | undefined {
  const entry = entries.find((candidate) => candidate.seq <= snapshotSeq && compareKeys(candidate.key, key) === 0)
  return entry && textOf(entry)
}

/** Everything a reader can be asked, against the sorted entries. */
function checkTable(entries: readonly Entry[], opened: Opened, probes: readonly Uint8Array[] = []): void {
  const texts = entries.map(textOf)
  const cursor = opened.reader.cursor(opened.source, opened.windows)
  cursor.seekToFirst()
  assert.deepEqual(forward(cursor), texts)
  cursor.seekToLast()
  assert.deepEqual(backward(cursor), [...texts].reverse())
  for (const key of [...probes, ...entries.map((entry) => entry.key)]) {
    const bound = entries.findIndex((entry) => compareKeys(entry.key, key) >= 0)
    const at = bound < 0 ? entries.length : bound
    cursor.seek(key, 0, key.length)
    assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, texts[at])
    if (cursor.valid) {
      cursor.prev()
      assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, texts[at - 1])
    }
    cursor.seekBefore(key, 0, key.length)
    assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, texts[at - 1])
    if (cursor.valid) {
      cursor.next()
      assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, texts[at])
    }
    const seqs = entries.filter((entry) => compareKeys(entry.key, key) === 0).map((entry) => entry.seq)
    for (const snapshot of [0, 1, MAX_SEQ, ...seqs.slice(0, 5), ...seqs.slice(0, 5).map((seq) => seq - 1)]) {
      assert.equal(lookUp(opened, key, snapshot), expectedGet(entries, key, snapshot))
    }
  }
  cursor.close()
  assert.equal(opened.windows.outCount, 0)
  const streamed = opened.reader.cursor(new StreamedBlocks(testKernels(), 16 * 1024), opened.windows)
  streamed.seekToFirst()
  assert.deepEqual(forward(streamed), texts)
  streamed.seekToLast()
  assert.deepEqual(backward(streamed), [...texts].reverse())
  streamed.close()
  opened.reader.verify(testKernels())
}

const adversarialKey = fc.oneof(
  fc.uint8Array({ maxLength: 5 }),
  fc.array(fc.constantFrom(0, 97, 255), { maxLength: 8 }).map((bytes) => Uint8Array.from(bytes)),
  fc.nat(40).map((length) => bytesOf('a'.repeat(length))),
  fc.nat(2000).map((n) => bytesOf(`table:customers:${n}`)),
  fc.tuple(fc.nat(3), fc.integer({ min: 0, max: 400 })).map(([tail, length]) => bytesOf('long'.repeat(length) + tail)),
)
const adversarialEntry = fc.record({
  key: adversarialKey,
  seq: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 1, max: 100_000 }), fc.constantFrom(2 ** 33, MAX_SEQ)),
  kind: fc.constantFrom<number>(KIND_DELETE, KIND_PUT, KIND_PUT, KIND_PUT, KIND_VALUE_FILE),
  value: fc.oneof(
    fc.uint8Array({ minLength: 6, maxLength: 30 }),
    fc.integer({ min: 6, max: 900 }).map((length) => bytesOf('z'.repeat(length))),
    fc.integer({ min: 6, max: 6000 }).map((length) => new Uint8Array(length).fill(length)),
  ),
})

test(`any table reads as the sorted entries it was written from (seed ${SEED})`, () => {
  fc.assert(fc.property(
    fc.array(adversarialEntry, { maxLength: 150 }), fc.array(adversarialKey, { maxLength: 20 }),
    fc.constantFrom(256, 512, 4096, 16_384), fc.constantFrom('none' as const, 'lz4' as const), fc.constantFrom(0, 10, 16),
    (list, probes, blockBytes, compression, filterBitsPerKey) => {
      const entries = sortEntries(list)
      const { file, properties } = writeTable(entries, { blockBytes, compression, filterBitsPerKey })
      const opened = openTable(file)
      assert.deepEqual(copyOf(opened.reader.properties), properties)
      assert.equal(properties.entries, entries.length)
      assert.equal(properties.fileBytes, file.size())
      checkTable(entries, opened, probes)
      opened.close()
      assert.equal(opened.budget.usedBytes, 0)
    },
  ), { seed: SEED, numRuns: 120 })
})

test('keys of 64 KiB, values of 192 KiB and both in one entry', () => {
  const long = 'k'.repeat(65535)
  const entries = sortEntries([
    put('', 5, ''), put('a', 4, 'v'.repeat(196608)), put('b', 3, 'small'), put('c', 9, 'v'.repeat(65536)),
    put(`${long}a`, 2, 'w'.repeat(196608)), put(`${long}a`, 1, ''), put(`${long}b`, 7, 'x'), put(`${long}c`, 8, 'x'.repeat(5000)),
    put('l'.repeat(65536), 6, 'y'), put('z', 10, '', KIND_DELETE),
  ])
  for (const compression of ['none', 'lz4'] as const) {
    const opened = openTable(writeTable(entries, { compression }).file)
    checkTable(entries, opened, [bytesOf(long), bytesOf(`${long}aa`), bytesOf('k'), bytesOf('zz')])
    opened.close()
  }
})

test('versions of one key straddle blocks and partitions, and every snapshot sees its own', () => {
  const versions = Array.from({ length: 5000 }, (_, i) => put('hot', 3 * i + 3, `version ${i}`.repeat(4)))
  const entries = sortEntries([put('hos', 1), put('host', 2), put('a', 9), ...versions])
  const { file, properties } = writeTable(entries, { blockBytes: 256 })
  assert.ok(properties.blocks > 300)
  const opened = openTable(file)
  const hot = bytesOf('hot')
  for (let snapshot = 0; snapshot < 15_010; snapshot += 97) assert.equal(lookUp(opened, hot, snapshot), expectedGet(entries, hot, snapshot))
  for (const snapshot of [2, 3, 4, 14_999, 15_000, MAX_SEQ]) assert.equal(lookUp(opened, hot, snapshot), expectedGet(entries, hot, snapshot))
  assert.equal(lookUp(opened, bytesOf('hot\0'), MAX_SEQ), undefined)
  const cursor = opened.reader.cursor(opened.source, opened.windows)
  cursor.seek(hot, 0, 3)
  assert.equal(cursor.seq, 15_000)
  cursor.seekBefore(bytesOf('hot!'), 0, 4)
  assert.equal(cursor.seq, 3)
  cursor.close()
  opened.reader.verify(testKernels())
  opened.close()
})

test('many keys: several partitions, a filter each', () => {
  const entries = Array.from({ length: 30_000 }, (_, i) => put(`user:${String(i * 2).padStart(8, '0')}`, 1 + (i % 1000), `value ${i}`))
  const { file, properties } = writeTable(entries)
  const opened = openTable(file)
  assert.ok(properties.blocks > 150, `${properties.blocks} blocks`)
  assert.ok(opened.reader.residentBytes < 4096, `${opened.reader.residentBytes} bytes resident`)
  const random = randomNumbers(1)
  for (let i = 0; i < 3000; i++) {
    const n = random() % 60_000
    const key = bytesOf(`user:${String(n).padStart(8, '0')}`)
    assert.equal(lookUp(opened, key, MAX_SEQ), n % 2 === 0 ? textOf(entries[n / 2]!) : undefined)
  }
  let last = 0
  for (let i = 0; i < 30_000; i += 100) {
    const offset = opened.reader.approximateOffset(opened.source, entries[i]!.key)
    assert.ok(offset >= last && offset <= file.size())
    assert.ok(Math.abs(offset / file.size() - i / 30_000) < 0.05)
    last = offset
  }
  assert.equal(opened.reader.approximateOffset(opened.source, bytesOf('v')), opened.reader.blockEnd)
  opened.reader.verify(testKernels())
  opened.close()
})

test('a filter answers nearly all misses without touching data', () => {
  const entries = Array.from({ length: 20_000 }, (_, i) => put(`k${i * 7919 % 1_000_003}`, 1, 'v'))
  const opened = openTable(writeTable(sortEntries(entries)).file)
  const known = new Set(entries.map((entry) => textOf(entry).split('@')[0]))
  const absent = Array.from({ length: 20_000 }, (_, i) => `k${i * 104_729 % 1_000_003}`).filter((key) => !known.has(key)).map(bytesOf)
  let loads = 0
  const source = {
    bytes: opened.source.bytes, start: 0, end: 0, gets: 0,
    load(...args: Parameters<typeof opened.source.load>) {
      loads++
      opened.source.load(...args)
      this.bytes = opened.source.bytes
      this.start = opened.source.start
      this.end = opened.source.end
    },
    tryLoad(...args: Parameters<typeof opened.source.load>) {
      this.load(...args)
      return true
    },
  }
  const hit = new Hit()
  for (const key of absent) assert.equal(opened.reader.get(source, key, 0, key.length, hashKey(key, 0, key.length), MAX_SEQ, hit), false)
  const passed = (loads - absent.length) / 2 / absent.length
  assert.ok(passed <= 0.015, `${(passed * 100).toFixed(2)} % of misses passed the filter`)
  opened.close()
})

test('long keys without common prefixes make the index deeper, not the resident part larger', () => {
  const random = randomNumbers(5)
  const entries = sortEntries(Array.from({ length: 60 }, (_, i) => {
    const key = new Uint8Array(60_000).fill(97)
    // They part only near the end, in pairs, so that separators stay long and pairs share little with one another.
    key[0] = i >>> 1
    key[59_990] = random()
    key[59_999] = i
    return put(key, i + 1, `value ${i}`)
  }))
  const writer = new TableWriter(new MemoryFile(), { fileNumber: 7, kernels: testKernels(), compression: 'none' })
  const cursor = new EntryCursor()
  for (const entry of entries) writer.add(cursor.at(entry))
  assert.ok(writer.indexLevels > 2)
  assert.ok(writer.bufferBytes <= TableWriter.workingBytes({ longestKeyBytes: 60_000, indexLevels: writer.indexLevels }))
  const opened = openTable(writeTable(entries).file)
  assert.ok(opened.reader.residentBytes < 256 * 1024 + 130_000, `${opened.reader.residentBytes} bytes resident`)
  checkTable(entries, opened, [bytesOf(''), bytesOf('\xff'), entries[3]!.key.subarray(0, 59_995)])
  opened.close()
})

test('buffers stay within workingBytes', () => {
  const shapes = [[8, 4096, 20_000], [16, 16_384, 20_000], [900, 4096, 2000], [5000, 1024, 300], [3, 256, 3000]] as const
  for (const [keyBytes, blockBytes, count] of shapes) {
    const writer = new TableWriter(new MemoryFile(), { fileNumber: 1, kernels: testKernels(), compression: 'lz4', blockBytes })
    const cursor = new EntryCursor()
    let seq = count
    for (let i = 0; i < count; i++) {
      const digits = String(i).padStart(8, '0').slice(-keyBytes)
      if (keyBytes < 8) writer.add(cursor.at(put('k', seq--, '')))
      else writer.add(cursor.at(put(digits + 'x'.repeat(keyBytes - digits.length), 1, i % 50 === 0 ? 'v'.repeat(20_000) : 'v')))
      if (i % 100 === 0) writer.addRange({ start: bytesOf('a'), end: bytesOf('b'.repeat(keyBytes)), seq: 1 })
    }
    const bound = TableWriter.workingBytes({ blockBytes, longestKeyBytes: keyBytes })
    assert.ok(writer.bufferBytes <= bound, `${writer.bufferBytes} bytes with keys of ${keyBytes} and blocks of ${blockBytes}; bound ${bound}`)
    assert.ok(bound <= TableWriter.workingBytes({ blockBytes }))
    writer.finish()
  }
  assert.ok(TableWriter.workingBytes() < 1024 * 1024, `${TableWriter.workingBytes()}`)
})

test('range tombstones come back in order, with their hull, also without entries', () => {
  const ranges = Array.from({ length: 800 }, (_, i) => ({
    start: bytesOf(`r${String(i * 7 % 800).padStart(4, '0')}`), end: bytesOf(`s${i}`), seq: i + 1,
  }))
  for (const entries of [[], [put('a', 2000)]]) {
    const { file, properties } = writeTable(entries, {}, [...ranges, { start: bytesOf('z'), end: bytesOf('z'), seq: 9999 }])
    const opened = openTable(file)
    assert.deepEqual(copyOf(opened.reader.properties), properties)
    assert.deepEqual(opened.reader.readRanges(testKernels()), ranges)
    assert.equal(properties.rangeDeletes, 800)
    assert.deepEqual([properties.rangeStart, properties.rangeEnd], [bytesOf('r0000'), bytesOf('s99')])
    assert.deepEqual([properties.minSeq, properties.maxSeq], [1, entries.length > 0 ? 2000 : 800])
    assert.ok(opened.reader.residentBytes > 800 * 10)
    checkTable(entries, opened, [bytesOf('r0001')])
    opened.close()
  }
  const long = { start: new Uint8Array(65536).fill(1), end: new Uint8Array(65536).fill(2), seq: MAX_SEQ }
  assert.deepEqual(openTable(writeTable([], {}, [long, long]).file).reader.readRanges(testKernels()), [long, long])
})

test('an empty table is a table', () => {
  const opened = openTable(writeTable([]).file)
  assert.deepEqual(opened.reader.properties.valueFiles, [])
  assert.equal(opened.reader.properties.maxSeq, 0)
  checkTable([], opened, [bytesOf(''), bytesOf('a')])
  assert.equal(opened.reader.approximateOffset(opened.source, bytesOf('a')), 0)
  opened.close()
})

test('the numbers of value files are collected, sorted, each once', () => {
  const reference = (fileNumber: number) => Uint8Array.from({ length: 14 }, (_, i) => i < 6 ? Math.floor(fileNumber / 256 ** i) % 256 : 9)
  const numbers = [2 ** 48 - 1, 5, 300, 5, 2 ** 40 + 3]
  const entries = numbers.map((fileNumber, i) => put(`k${i}`, i + 1, reference(fileNumber), KIND_VALUE_FILE))
  const opened = openTable(writeTable(entries).file)
  assert.deepEqual(opened.reader.properties.valueFiles, [5, 300, 2 ** 40 + 3, 2 ** 48 - 1])
  checkTable(entries, opened)
  opened.close()
  const many = Array.from({ length: 5000 }, (_, i) => put(String(i).padStart(5, '0'), 1, reference(i * 3 + 1), KIND_VALUE_FILE))
  const reader = openTable(writeTable(many).file).reader
  assert.deepEqual(reader.properties.valueFiles, many.map((_, i) => i * 3 + 1))
  reader.verify(testKernels())
})

test('the writer refuses what is out of order, too large or malformed', () => {
  const refused = (pattern: RegExp, ...entries: Entry[]) => {
    assert.throws(() => writeTable(entries), { code: 'SPILLWAY_INVALID_ARGUMENT', message: pattern })
  }
  refused(/out of order/, put('b', 1), put('a', 1))
  refused(/out of order/, put('aa', 1), put('a', 1))
  refused(/out of order: sequence number 1 follows 1/, put('a', 1), put('a', 1))
  refused(/out of order: sequence number 2 follows 1/, put('a', 1), put('a', 2))
  refused(/65536/, put('k'.repeat(65537), 1))
  refused(/196608/, put('k', 1, new Uint8Array(196609)))
  refused(/sequence number 0/, put('k', 0))
  refused(/kind 3/, put('k', 1, 'v', 3))
  refused(/reference/, put('k', 1, 'short', KIND_VALUE_FILE))
  const options = { fileNumber: 1, kernels: testKernels(), compression: 'lz4' as const }
  const wrong = [
    { fileNumber: -1 }, { fileNumber: 2 ** 48 }, { blockBytes: 100 }, { blockBytes: 1e9 }, { filterBitsPerKey: 99 }, { compression: 'zip' as 'lz4' },
  ]
  for (const bad of wrong) {
    assert.throws(() => new TableWriter(new MemoryFile(), { ...options, ...bad }), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
  const writer = new TableWriter(new MemoryFile(), options)
  writer.finish()
  assert.throws(() => writer.add(new EntryCursor().at(put('a', 1))), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  assert.throws(() => writer.finish(), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})

test('finish syncs the file, and estimatedBytes follows its length', () => {
  const file = new MemoryFile()
  const writer = new TableWriter(file, { fileNumber: 1, kernels: testKernels(), compression: 'none' })
  const cursor = new EntryCursor()
  let last = 0
  for (let i = 0; i < 5000; i++) {
    writer.add(cursor.at(put(`key${String(i).padStart(6, '0')}`, 1, 'v'.repeat(80))))
    assert.ok(writer.estimatedBytes >= last - 4096)
    last = writer.estimatedBytes
  }
  assert.equal(writer.entries, 5000)
  assert.equal(file.syncs, 0)
  const { fileBytes } = writer.finish()
  assert.equal(file.syncs, 1)
  assert.ok(Math.abs(last - fileBytes) < 4096, `${last} estimated, ${fileBytes} written`)
})

test('compression is used only where it pays', () => {
  const random = randomNumbers(3)
  const noise = Array.from({ length: 500 }, (_, i) => put(String(i).padStart(6, '0'), 1, Uint8Array.from({ length: 200 }, () => random())))
  const plain = writeTable(noise, { compression: 'none' }).file.size()
  const tried = writeTable(noise, { compression: 'lz4' }).file.size()
  assert.ok(tried <= plain && tried > plain * 0.95, `${tried} of ${plain}`)
  const text = noise.map((entry) => put(entry.key, 1, 'lorem ipsum '.repeat(20)))
  assert.ok(writeTable(text, { compression: 'lz4' }).file.size() < writeTable(text, { compression: 'none' }).file.size() / 3)
})

test('a cursor keeps its block when the cache is emptied or the source goes on', () => {
  const entries = Array.from({ length: 2000 }, (_, i) => put(`key${String(i).padStart(6, '0')}`, 1, `value ${i}`))
  const opened = openTable(writeTable(entries).file)
  const first = opened.reader.cursor(opened.source, opened.windows)
  const second = opened.reader.cursor(opened.source, opened.windows)
  first.seekToFirst()
  second.seekToLast()
  for (const entry of entries) {
    assert.equal(textOf(entryAt(first)), textOf(entry))
    opened.cache.shrink(1 << 20)
    second.prev()
    testKernels().memory.fill(0xee, testKernels().a)
    first.next()
  }
  first.close()
  second.close()
  opened.close()
})

test('a read is right whatever little the budget allows, or the cursor says BUDGET_TOO_SMALL', () => {
  const entries = Array.from({ length: 300 }, (_, i) => put(`key${String(i).padStart(6, '0')}`, 1, 'v'.repeat(i % 100 === 50 ? 190_000 : 100)))
  const { file } = writeTable(entries, { compression: 'none' })
  for (const budget of ['0', '1 KiB', '8 KiB', '300 KiB', '520 KiB', '900 KiB']) {
    const opened = openTable(file, 7, budget)
    opened.budget.addReclaimer('cache', (bytes) => opened.cache.shrink(bytes))
    for (const entry of entries) assert.equal(lookUp(opened, entry.key, MAX_SEQ), textOf(entry))
    const cursor = opened.reader.cursor(opened.source, opened.windows)
    let seen = 0
    try {
      for (cursor.seekToFirst(); cursor.valid; cursor.next()) assert.equal(textOf(entryAt(cursor)), textOf(entries[seen++]!))
      assert.equal(seen, entries.length)
      assert.ok(opened.budget.totalBytes > 270_000)
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'SPILLWAY_BUDGET_TOO_SMALL')
      assert.ok(!cursor.valid)
    }
    cursor.close()
    opened.close()
    assert.equal(opened.budget.usedBytes, 0)
  }
})

test('a merge reads a table in large pieces', () => {
  const entries = Array.from({ length: 20_000 }, (_, i) => put(`key${String(i).padStart(6, '0')}`, 1, 'v'.repeat(100)))
  const { file, properties } = writeTable(entries, { compression: 'none' })
  const opened = openTable(file)
  const source = new StreamedBlocks(testKernels(), 128 * 1024)
  const cursor = opened.reader.cursor(source, opened.windows)
  file.reads = 0
  let seen = 0
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) seen++
  assert.equal(seen, entries.length)
  assert.ok(file.reads < properties.blocks / 10, `${file.reads} reads of ${properties.blocks} blocks`)
  file.reads = 0
  cursor.seek(entries[10_000]!.key, 0, 9)
  for (; cursor.valid; cursor.next()) seen++
  assert.equal(seen, 30_000)
  assert.ok(file.reads < properties.blocks / 10, `${file.reads} reads of the second half`)
  cursor.close()
  opened.close()
})
