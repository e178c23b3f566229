import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CorruptionError } from '../base/errors.ts'
import { Hit, KIND_VALUE_FILE } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { StreamedBlocks } from './block/block-source.ts'
import { FOOTER_BODY_BYTES, FOOTER_BYTES, decodeFooter } from './footer.ts'
import { handleAt, nodeCount } from './index/index-node.ts'
import { readU32, writeU32 } from './little-endian.ts'
import { bytesOf, entryAt, openTable, put, sortEntries, testKernels, textOf, writeTable, type Entry } from './testing/model.ts'
import type { MemoryFile } from './testing/memory-file.ts'
import { seedOf } from './format.ts'
import { tableDamage } from './table-damage.ts'

const entries = sortEntries([
  ...Array.from({ length: 30 }, (_, i) => put(`key${i % 19}`, i + 1, 'value '.repeat(i % 5), i % 6 === 0 ? 0 : 1)),
  put('ref', 99, '\x09\0\0\0\0\0rest', KIND_VALUE_FILE),
])
const ranges = [{ start: bytesOf('b'), end: bytesOf('d'), seq: 50 }, { start: bytesOf('a'), end: bytesOf('k'), seq: 51 }]
const texts = entries.map(textOf)

function isCorruption(error: unknown, file: MemoryFile): true {
  // A footer whose checksum is right and whose version is higher is a newer format, not damage.
  if ((error as { code?: unknown }).code === 'SPILLWAY_UNAVAILABLE') return true
  assert.ok(error instanceof CorruptionError, `not a CorruptionError: ${String((error as Error).stack)}`)
  assert.equal(error.details['file'], file.path)
  assert.equal(typeof error.details['offset'], 'number')
  return true
}

/** Runs a read; true when it gave the right answer, false when it said that the file is damaged. Anything else fails. */
function readsRight(file: MemoryFile, read: () => void): boolean {
  try {
    read()
    return true
  } catch (error) {
    return !isCorruption(error, file)
  }
}

/** Open and read all there is, each entry both ways. */
function readAll(file: MemoryFile, expected: readonly string[] | undefined, streamed: boolean): void {
  const opened = openTable(file)
  const source = streamed ? new StreamedBlocks(testKernels(), 1024) : opened.source
  const cursor = opened.reader.cursor(source, opened.windows)
  try {
    const seen: Entry[] = []
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) seen.push(entryAt(cursor))
    if (expected) assert.deepEqual(seen.map(textOf), expected)
    const reversed: Entry[] = []
    for (cursor.seekToLast(); cursor.valid; cursor.prev()) reversed.push(entryAt(cursor))
    if (expected) assert.deepEqual(reversed.reverse().map(textOf), expected)
    const hit = new Hit()
    for (const entry of seen.concat(entries)) {
      opened.reader.get(source, entry.key, 0, entry.key.length, hashKey(entry.key, 0, entry.key.length), entry.seq, hit)
      if (expected) assert.equal(hit.seq, entry.seq)
    }
    if (expected) assert.deepEqual(opened.reader.readRanges(testKernels()), ranges)
  } finally {
    cursor.close()
    opened.close()
  }
}

for (const compression of ['none', 'lz4'] as const) {
  const { file } = writeTable(entries, { compression, blockBytes: 256 }, ranges)

  test(`every flipped byte gives the right data or a CorruptionError, and verify sees it (${compression})`, () => {
    assert.ok(readsRight(file, () => readAll(file, texts, false)))
    let damaged = 0
    for (let at = 0; at < file.size(); at++) {
      for (const mask of [0x01, 0x80]) {
        const copy = file.copy()
        copy.bytes[at]! ^= mask
        if (!readsRight(copy, () => readAll(copy, texts, at % 2 === 0))) damaged++
        assert.ok(!readsRight(copy, () => openTable(copy).reader.verify(testKernels())), `verify missed byte ${at}`)
      }
    }
    assert.equal(damaged, file.size() * 2)
  })

  test(`a file cut at any length is a CorruptionError (${compression})`, () => {
    for (let length = 0; length < file.size(); length++) {
      const copy = file.copy()
      copy.truncate(length)
      assert.throws(() => openTable(copy), (error) => isCorruption(error, copy))
    }
  })

  test(`a file that loses its end after it was opened gives right data or a CorruptionError (${compression})`, () => {
    for (let length = 0; length < file.size(); length += 7) {
      const copy = file.copy()
      const { reader, source, windows } = openTable(copy)
      copy.truncate(length)
      for (const blocks of [source, new StreamedBlocks(testKernels(), 512)]) {
        const cursor = reader.cursor(blocks, windows)
        let seen = 0
        readsRight(copy, () => {
          for (cursor.seekToFirst(); cursor.valid; cursor.next()) assert.equal(textOf(entryAt(cursor)), texts[seen++])
          assert.equal(seen, texts.length)
        })
      }
    }
  })

  test(`bytes behind the footer are a CorruptionError (${compression})`, () => {
    for (const extra of [1, 8, FOOTER_BYTES]) {
      const copy = file.copy()
      copy.writeSync(new Uint8Array(extra), 0, extra, copy.size())
      assert.throws(() => openTable(copy), (error) => isCorruption(error, copy))
      copy.bytes.copyWithin(copy.size() - FOOTER_BYTES, copy.size() - FOOTER_BYTES - extra, copy.size() - extra)
      assert.throws(() => openTable(copy), (error) => isCorruption(error, copy))
    }
  })
}

interface Handle { offset: number; bytes: number }

/** Handles of the data blocks, of an uncompressed table of one partition. */
function dataBlocks(file: MemoryFile): Handle[] {
  const { reader } = openTable(file)
  assert.equal(nodeCount(reader.root, 0), 1)
  const partition = readU32(reader.root, handleAt(reader.root, 0, 0))
  return Array.from({ length: nodeCount(file.bytes, partition) }, (_, i) => {
    const handle = handleAt(file.bytes, partition, i)
    return { offset: readU32(file.bytes, handle), bytes: readU32(file.bytes, handle + 4) }
  })
}

test('two blocks of equal size that changed places are found out', () => {
  const list = Array.from({ length: 60 }, (_, i) => put(`key${i + 10}`, 5, 'same size'))
  const { file } = writeTable(list, { compression: 'none', blockBytes: 256 })
  const blocks = dataBlocks(file)
  const [first, second] = blocks
  assert.equal(first!.bytes, second!.bytes)
  const copy = file.copy()
  copy.bytes.set(file.bytes.subarray(second!.offset, second!.offset + second!.bytes), first!.offset)
  copy.bytes.set(file.bytes.subarray(first!.offset, first!.offset + first!.bytes), second!.offset)
  assert.throws(() => readAll(copy, undefined, false), (error) => {
    return isCorruption(error, copy) && (error as CorruptionError).details['offset'] === first!.offset
  })
})

test('a block of another table is found out, and so is another table', () => {
  const list = Array.from({ length: 60 }, (_, i) => put(`key${i + 10}`, 5, 'same size'))
  const { file } = writeTable(list, { compression: 'none', blockBytes: 256 })
  const block = dataBlocks(file)[1]!
  for (const fileNumber of [8, 7 + 2 ** 32]) {
    const other = writeTable(list, { compression: 'none', blockBytes: 256, fileNumber }).file
    const copy = file.copy()
    copy.bytes.set(other.bytes.subarray(block.offset, block.offset + block.bytes), block.offset)
    assert.throws(() => readAll(copy, undefined, true), (error) => isCorruption(error, copy))
  }
  const other = writeTable(list, { fileNumber: 8 }).file
  assert.throws(() => openTable(other, 7), (error) => isCorruption(error, other))
  assert.throws(() => openTable(file, 7 + 2 ** 32), (error) => isCorruption(error, file))
})

/** Handles of every block of a small uncompressed table, the footer as one of 48 bytes. */
function allBlocks(file: MemoryFile): Handle[] {
  const { reader } = openTable(file)
  const handles = dataBlocks(file)
  const at = handleAt(reader.root, 0, 0)
  for (const pair of [at, at + 8]) handles.push({ offset: readU32(reader.root, pair), bytes: readU32(reader.root, pair + 4) })
  const footer = decodeFooter(file.bytes, reader.blockEnd)
  handles.push({ offset: footer.rangesOffset, bytes: footer.rangesBytes }, { offset: footer.rootOffset, bytes: footer.rootBytes })
  handles.push({ offset: footer.propertiesOffset, bytes: footer.propertiesBytes })
  handles.push({ offset: reader.blockEnd, bytes: FOOTER_BODY_BYTES + 8 })
  return handles
}

test('an index that leads back to blocks already seen ends in a CorruptionError', () => {
  const list = Array.from({ length: 3000 }, (_, i) => put(`key${String(i).padStart(5, '0')}`, 5, 'some value'))
  const { file } = writeTable(list, { compression: 'none', blockBytes: 256 })
  const { reader } = openTable(file)
  assert.ok(nodeCount(reader.root, 0) > 1)
  const [first, second] = [0, 1].map((i) => readU32(reader.root, handleAt(reader.root, 0, i)))
  const stored = readU32(reader.root, handleAt(reader.root, 0, 1) + 4)
  assert.equal(nodeCount(file.bytes, first!), nodeCount(file.bytes, second!))
  const from = handleAt(file.bytes, first!, 0)
  const copy = file.copy()
  copy.bytes.set(file.bytes.subarray(from, from + nodeCount(file.bytes, first!) * 8), handleAt(file.bytes, second!, 0))
  reseal(copy, second!, stored)
  assert.throws(() => readAll(copy, undefined, false), (error) => isCorruption(error, copy) && /leads from/.test((error as Error).message))
  const { errors, soundBlocks } = tableDamage(copy, 7, testKernels(), 1000)
  assert.ok(errors.length > 0 && errors.every((error) => /leads from/.test(error.message)))
  assert.equal(soundBlocks + nodeCount(file.bytes, second!), reader.properties.blocks)
})

/** Makes the checksum of a changed block right again. */
function reseal(file: MemoryFile, offset: number, storedBytes: number): void {
  const kernels = testKernels()
  kernels.memory.set(file.bytes.subarray(offset, offset + storedBytes - 8), kernels.a)
  kernels.hash(kernels.a, storedBytes - 8, seedOf(7), offset)
  writeU32(file.bytes, offset + storedBytes - 8, kernels.hashLow)
  writeU32(file.bytes, offset + storedBytes - 4, kernels.hashHigh)
}

test('a block that is wrong under a right checksum never crashes, hangs or reads out of bounds', () => {
  const { file } = writeTable(entries, { compression: 'none', blockBytes: 256 }, ranges)
  const kernels = testKernels()
  let refused = 0
  for (const { offset, bytes } of allBlocks(file)) {
    for (let at = offset; at < offset + bytes - 8; at++) {
      for (const mask of [0x01, 0xff]) {
        const copy = file.copy()
        copy.bytes[at]! ^= mask
        reseal(copy, offset, bytes)
        if (!readsRight(copy, () => readAll(copy, undefined, at % 2 === 0))) refused++
        readsRight(copy, () => openTable(copy).reader.verify(kernels))
        readsRight(copy, () => { for (const error of tableDamage(copy, 7, kernels, 100).errors) isCorruption(error, copy) })
      }
    }
  }
  assert.ok(refused > 500, `${refused}`)
})

test('every damaged block is listed, and the others are counted', () => {
  const list = Array.from({ length: 3000 }, (_, i) => put(`key${String(i).padStart(5, '0')}`, 5, 'some value'))
  const { file } = writeTable(list, { compression: 'none', blockBytes: 256 }, ranges)
  const kernels = testKernels()
  const blocks = openTable(file).reader.properties.blocks
  const damageOf = (copy: MemoryFile, most = 100) => tableDamage(copy, 7, kernels, most)
  const offsetsOf = (copy: MemoryFile) => damageOf(copy).errors.map((error) => error.details['offset'] as number)
  assert.deepEqual(damageOf(file), { errors: [], soundBlocks: blocks })
  const { reader } = openTable(file)
  const root = handleAt(reader.root, 0, 0)
  const footer = decodeFooter(file.bytes, reader.blockEnd)
  const partition = readU32(reader.root, root)
  const data = (i: number) => readU32(file.bytes, handleAt(file.bytes, partition, i))
  const one = (at: number) => {
    const copy = file.copy()
    copy.bytes[at]! ^= 4
    return copy
  }
  // Of any one block that place alone.
  for (const offset of [data(0), partition, readU32(reader.root, root + 8), footer.rangesOffset, footer.propertiesOffset, footer.rootOffset, reader.blockEnd]) {
    assert.deepEqual(offsetsOf(one(offset + 3)), [offset])
  }
  const copy = file.copy()
  const wrong = [data(1), data(3), footer.rangesOffset, footer.propertiesOffset]
  for (const offset of wrong) copy.bytes[offset + 5]! ^= 1
  assert.deepEqual(offsetsOf(copy).toSorted((a, b) => a - b), wrong)
  assert.equal(damageOf(copy).soundBlocks, blocks - 2)
  assert.equal(damageOf(copy, 2).errors.length, 2)
  // A partition of the index hides its blocks, and no others.
  assert.equal(damageOf(one(partition + 9)).soundBlocks, blocks - nodeCount(file.bytes, partition))
})

test('verify finds what only a full check can: order, counts, filters, slots', () => {
  const { file } = writeTable(entries, { compression: 'none', blockBytes: 256 }, ranges)
  const kernels = testKernels()
  const blocks = allBlocks(file)
  const filter = blocks.at(-5)!
  assert.equal(file.bytes[filter.offset], 3)
  const resealed = (handle: Handle, change: (bytes: Uint8Array) => void) => {
    const copy = file.copy()
    change(copy.bytes.subarray(handle.offset, handle.offset + handle.bytes - 9))
    reseal(copy, handle.offset, handle.bytes)
    return copy
  }
  const verify = (copy: MemoryFile) => openTable(copy).reader.verify(kernels)
  verify(resealed(blocks[0]!, () => {}))
  const cases: [string, Handle, (bytes: Uint8Array) => void, RegExp][] = [
    ['an emptied filter', filter, (bytes) => bytes.fill(0, 8), /filter denies/],
    ['another first key', blocks[0]!, (bytes) => { bytes[24 + readU32(bytes, 8) - 1]! -= 1 }, /first key|properties state|hash slots/],
    ['another count of entries', blocks.at(-2)!, (bytes) => { bytes[12]! ^= 1 }, /entries/],
    ['another count of data blocks', blocks.at(-2)!, (bytes) => { bytes[36]! ^= 1 }, /data blocks/],
    ['another sum of key bytes', blocks.at(-2)!, (bytes) => { bytes[44]! ^= 1 }, /key bytes/],
  ]
  for (const [name, handle, change, pattern] of cases) {
    const copy = resealed(handle, change)
    assert.throws(() => verify(copy), (error) => isCorruption(error, copy) && pattern.test((error as Error).message), name)
  }
})
