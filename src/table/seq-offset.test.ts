/** A table whose sequence numbers are shifted shows them so everywhere, and can be shifted back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hit, KIND_DELETE } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { RangeRecords } from './range-records.ts'
import { entryAt, bytesOf, openTable, put, testKernels, writeTable } from './testing/model.ts'

const OFFSET = 2 ** 40

test('gets, cursors, range tombstones and properties are shifted; the file is found whole as before', () => {
  const entries = [put('a', 3), put('a', 1, '', KIND_DELETE), put('b', 2)]
  const { file } = writeTable(entries, {}, [{ start: bytesOf('b'), end: bytesOf('d'), seq: 4 }])
  const { reader, source, windows } = openTable(file)
  for (const offset of [OFFSET, 0]) {
    reader.shift(offset)
    assert.deepEqual([reader.seqOffset, reader.properties.minSeq, reader.properties.maxSeq], [offset, offset + 1, offset + 4])
    const hit = new Hit()
    const get = (key: string, seq: number): boolean => reader.get(source, bytesOf(key), 0, key.length, hashKey(bytesOf(key), 0, key.length), seq, hit)
    assert.deepEqual([get('a', offset + 9), hit.seq], [true, offset + 3])
    assert.deepEqual([get('a', offset + 2), hit.seq, hit.kind], [true, offset + 1, KIND_DELETE])
    assert.equal(get('a', offset), false)
    const cursor = reader.cursor(source, windows)
    const seqs: number[] = []
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) seqs.push(entryAt(cursor).seq)
    assert.deepEqual(seqs, [offset + 3, offset + 1, offset + 2])
    cursor.close()
    const covering = (key: string, seq: number): number => reader.ranges.coveringSeq(bytesOf(key), 0, key.length, seq)
    assert.deepEqual([covering('c', offset + 4), covering('c', offset + 3), covering('d', offset + 9)], [offset + 4, 0, 0])
    const kernels = testKernels()
    assert.deepEqual(reader.readRanges(kernels).map(({ seq }) => seq), [offset + 4])
    const records = new RangeRecords(reader, kernels, reader.rangeBlocks(kernels), windows, offset)
    assert.deepEqual([records.next(), records.seq, records.next()], [true, offset + 4, false])
    records.close()
    reader.verify(kernels)
  }
})
