/**
 * The format, pinned: a few tiny files byte for byte, as FORMAT.md draws them. If one of these tests fails, stores that exist
 * can no longer be read, or older versions can no longer read new ones: that takes a new format number, not new bytes here.
 */
import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import { KIND_DELETE, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { decodeVersion, encodeVersion } from '../../manifest/codec.ts'
import type { Version } from '../../manifest/version.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { MemoryFile } from '../../table/testing/memory-file.ts'
import { entryAt, openTable, put, testKernels, textOf, writeTable } from '../../table/testing/model.ts'
import type { Entry } from '../../table/testing/model.ts'
import { encodeValueReference, readValueFile, writeValueFile } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import { LOG_READ_BUFFER_BYTES, readLog } from '../../wal/log-reader.ts'
import { LogWriter } from '../../wal/log-writer.ts'

const KERNELS = testKernels()

function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex.replace(/\s/g, ''), 'hex')
}

/** Sixteen bytes a line, so that a difference can be found. */
function dump(bytes: Uint8Array): string {
  return (Buffer.from(bytes).toString('hex').match(/.{1,32}/g) ?? []).join('\n')
}

function assertBytes(actual: Uint8Array, expected: string): void {
  assert.equal(dump(actual), dump(bytesOf(expected)))
}

const LOG = `
  5350494c 4c4c4f47 01000000 00000000
  05000000 00000000 00a2ac59 a081f694
  66d29bc7 620ed265 5350574c 09000000
  f1409e03 25d80257 02010000 00000000
  00000000 00000000 01000000 00000000
  01010001 00000061 31000000 00000000
  5350574c 0f000000 545f5921 4a4b4418
  03010000 00000000 60000000 00000000
  01000000 01000000 01030005 0000006b
  65797661 6c756500 5350574c 14000000
  3667257b 45f438ad 04010000 00000000
  60000000 00000000 02000000 00000000
  00040000 00000067 6f6e6503 01000100
  00006466 00000000
`

test('a log segment: header, a frame of one operation, a batch over two frames', () => {
  const file = new MemoryFile('/00000005.log')
  const log = new LogWriter(file, 5, new Uint8Array(4096), KERNELS, 'boot-1', 258)
  const append = (kind: number, key: string, value: string): boolean => log.append(kind, Buffer.from(key), 0, key.length, Buffer.from(value), 0, value.length)
  append(KIND_PUT, 'a', '1')
  log.commit(true, () => {})
  log.syncSync()
  append(KIND_PUT, 'key', 'value')
  log.spill()
  append(KIND_DELETE, 'gone', '')
  append(KIND_DELETE_RANGE, 'd', 'f')
  log.commit(true, () => {})
  assertBytes(file.bytes, LOG)
})

test('the golden log segment is read', () => {
  const operations: string[] = []
  const file = new MemoryFile('/00000005.log', bytesOf(LOG))
  const { endOffset, nextSeq } = readLog(file, 5, new Uint8Array(LOG_READ_BUFFER_BYTES), KERNELS, 'boot-1', undefined,
    (seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
      operations.push(`${seq}/${kind} ${Buffer.from(bytes.subarray(keyStart, keyEnd)).toString()}=${Buffer.from(bytes.subarray(valueStart, valueEnd)).toString()}`)
    })
  assert.deepEqual(operations, ['258/1 a=1', '259/1 key=value', '260/0 gone=', '261/3 d=f'])
  assert.deepEqual([endOffset, nextSeq], [file.bytes.length, 262])
})

const VERSION: Version = {
  number: 7, epoch: 2, lastSeq: 258, logFloor: 5, nextFile: 9, nextRun: 3,
  strategy: { name: 'leveled', parameters: { multiplier: 10 } },
  runs: [
    { id: 2, level: 0, tables: [{ fileNumber: 8, fileBytes: 700, entries: 5, deletes: 1 }] },
    { id: 1, level: 1, tables: [{ fileNumber: 3, fileBytes: 650, entries: 4, deletes: 0 }, { fileNumber: 4, fileBytes: 651, entries: 4, deletes: 0 }] },
  ],
}

const MANIFEST = `SPILLWAY MANIFEST 1
{"number":7,"epoch":2,"lastSeq":258,"logFloor":5,"nextFile":9,"nextRun":3,"strategy":{"name":"leveled","parameters":{"multiplier":10}},"runs":[{"id":2,"level":0,"tables":[[8,700,5,1]]},{"id":1,"level":1,"tables":[[3,650,4,0],[4,651,4,0]]}]}
5db9dbac49f478f6
`

test('a manifest of format 1 is read', () => {
  assert.deepEqual(decodeVersion(Buffer.from(MANIFEST), 7, '/manifest-00000007', KERNELS), VERSION)
})

const OFFSET_MANIFEST = `SPILLWAY MANIFEST 2
{"number":7,"epoch":2,"lastSeq":258,"logFloor":5,"nextFile":9,"nextRun":3,"strategy":{"name":"leveled","parameters":{"multiplier":10}},"ahead":[[300,304]],"runs":[{"id":2,"level":0,"tables":[[8,700,5,1,299]]}]}
cba1a7d16195f5f2
`

test('a manifest of format 2 is read, with tables of a large transaction', () => {
  const { runs: _, ...rest } = VERSION
  const version: Version = {
    ...rest, ahead: [[300, 304]], runs: [{ id: 2, level: 0, tables: [{ fileNumber: 8, fileBytes: 700, entries: 5, deletes: 1, seqOffset: 299 }] }],
  }
  assert.deepEqual(decodeVersion(Buffer.from(OFFSET_MANIFEST), 7, '/manifest-00000007', KERNELS), version)
})

const CLOSED_MANIFEST = `SPILLWAY MANIFEST 1
{"number":7,"epoch":2,"lastSeq":258,"logFloor":5,"nextFile":9,"nextRun":3,"strategy":{"name":"leveled","parameters":{"multiplier":10}},"runs":[],"closed":{"lastSeq":261,"logs":[[5,224]]}}
3006f8d59d741a7e
`

test('a manifest of format 1 is read, of a closed store', () => {
  const version: Version = { ...VERSION, runs: [], closed: { lastSeq: 261, logs: [[5, 224]] } }
  assert.deepEqual(decodeVersion(Buffer.from(CLOSED_MANIFEST), 7, '/manifest-00000007', KERNELS), version)
})

const FULL_MANIFEST = `SPILLWAY MANIFEST 3
{"number":7,"epoch":2,"lastSeq":258,"logFloor":5,"nextFile":9,"nextRun":3,"strategy":{"name":"leveled","parameters":{"multiplier":10}},"ahead":[[300,304]],"earlier":{"before":9,"logs":[[5,224]]},"runs":[{"id":2,"level":0,"tables":[[8,700,5,1,299]]},{"id":1,"level":1,"tables":[[3,650,4,0],[4,651,4,0]]}],"closed":{"lastSeq":261,"logs":[[5,224]]}}
e2764b47288bc2dc
`

test('a manifest with all that it may hold', () => {
  const { runs: [, second], ...rest } = VERSION
  const version: Version = {
    ...rest, ahead: [[300, 304]], earlier: { before: 9, logs: [[5, 224]] },
    runs: [{ id: 2, level: 0, tables: [{ fileNumber: 8, fileBytes: 700, entries: 5, deletes: 1, seqOffset: 299 }] }, second!],
    closed: { lastSeq: 261, logs: [[5, 224]] },
  }
  assert.equal(Buffer.from(encodeVersion(version, KERNELS)).toString(), FULL_MANIFEST)
  assert.deepEqual(decodeVersion(Buffer.from(FULL_MANIFEST), 7, '/manifest-00000007', KERNELS), version)
})

function reference(fileNumber: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(14)
  encodeValueReference(bytes, 0, fileNumber, lengthBytes)
  return bytes
}

const ENTRIES: Entry[] = [
  put('city:bonn', 3, 'Bonn'),
  put('city:paris', 5, 'Paris'),
  put('city:paris', 2, '', KIND_DELETE),
  put('city:rome', 4, reference(6, 1000), KIND_VALUE_FILE),
  put('city:ulm', 1, ''),
]
const RANGES = [{ start: Buffer.from('city:a'), end: Buffer.from('city:c'), seq: 258 }]

function contentsOf(bytes: Uint8Array): { texts: string[], ranges: string[], valueFiles: readonly number[] } {
  const opened = openTable(new MemoryFile('/00000007.table', bytes))
  opened.reader.verify(KERNELS)
  const texts: string[] = []
  const cursor = opened.reader.cursor(opened.source, opened.windows)
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) texts.push(textOf(entryAt(cursor)))
  cursor.close()
  const ranges = opened.reader.readRanges(KERNELS).map(({ start, end, seq }) => `${Buffer.from(start).toString()}-${Buffer.from(end).toString()}@${seq}`)
  const { valueFiles } = opened.reader.properties
  opened.close()
  return { texts, ranges, valueFiles }
}

const TABLE = `
  01120800 05000000 05000000 05000000
  01000000 00000000 63697479 3a040009
  000e0012 00150004 00090009 00170017
  00020401 03000101 000201fe ff03ffff
  ffff0162 6f6e6e70 61726973 70617269
  73726f6d 65756c6d 426f6e6e 50617269
  73060000 000000e8 03000000 00000000
  d35d29cd 1742e9f2 03060000 01000000
  10000000 00102020 00000001 00000802
  00000800 00042000 00800000 20000104
  01000000 00000001 00000010 00000004
  00001008 00000000 00000100 00c08000
  00473154 2f867c80 75020000 00010000
  00080000 00636974 793a756c 6d000000
  00000000 00000000 00780000 00000000
  2f97a9a1 96f84015 04000000 00000000
  00000000 01000000 02010000 00000000
  06000000 06000000 63697479 3a616369
  74793a63 006a6b0a e2235bd6 2d050000
  00000000 00000000 00010000 00060000
  00000000 42171837 ed9f3a61 02010000
  01000000 08000000 63697479 3a756c6d
  00000000 00000000 c9000000 2f000000
  78000000 51000000 000000ca 1f3436b4
  aede7c06 03000007 00000000 00000005
  00000000 00000001 00000000 00000001
  00000000 00000001 00000000 0000002e
  00000000 00000017 00000000 00000001
  00000000 00000002 01000000 00000001
  0000002d 0100001f 00000009 00000008
  00000006 00000006 00000063 6974793a
  626f6e6e 63697479 3a756c6d 63697479
  3a616369 74793a63 00595b01 76f8f72c
  a2f80000 00350000 004c0100 00370000
  00830100 008e0000 00490200 00070000
  00000001 00000000 00535049 4c4c5442
  f1b5c7f4 f3352b04 3b
`

test('a table: data block, filter, partition, lists, top index, properties, footer', () => {
  assertBytes(writeTable(ENTRIES, { compression: 'none' }, RANGES).file.bytes, TABLE)
  assert.deepEqual(contentsOf(bytesOf(TABLE)), { texts: ENTRIES.map(textOf), ranges: ['city:a-city:c@258'], valueFiles: [6] })
})

const COMPRESSED_TABLE = `
  b4010000 62010200 00020001 00130104
  00110008 00bf0200 c8009001 01006162
  610100b4 1f620100 af506262 62626201
  2e41597d 5226e642 03060000 01000000
  40204000 00008000 00000000 00000000
  00120000 00000020 01000000 00000000
  00000000 00000820 00004000 00000000
  00000020 00000000 00000000 00000000
  00d97575 2a0bc05b 741f0000 00530200
  00000104 00276200 01006038 00000000
  00011bd6 8e5ae462 0bbd0201 00000100
  00000100 00006200 00000000 00000089
  00000021 00000038 00000051 00000000
  00009d11 3cf51318 2ca16a00 00006206
  01000007 00010012 0207000d 02001301
  12000420 00139011 00030700 05180008
  02001301 0400a000 00000000 00000061
  620159e6 be6c1309 57c80000 00000000
  0000aa00 00003000 0000da00 00004000
  00005201 00000700 00000000 01000000
  00005350 494c4c54 42f113db 7fac0a5c
  2713
`

test('a compressed table is read; how well it was compressed is no part of the format', () => {
  const entries = [put('a', 2, 'a'.repeat(200)), put('b', 1, 'b'.repeat(200))]
  const expected = { texts: entries.map(textOf), ranges: [], valueFiles: [] }
  assert.deepEqual(contentsOf(bytesOf(COMPRESSED_TABLE)), expected)
  assert.deepEqual(contentsOf(writeTable(entries, { compression: 'lz4' }).file.bytes), expected)
})

const VALUE_FILE = `
  53505646 01000000 06000000 00000000
  08000000 00000000 306b52eb 806c493a
  5370696c 6c776179 d7d75f8d 557c4e4b
`

test('a value file', () => {
  const { files } = new SimHost()
  const value = Buffer.from('Spillway')
  writeValueFile(files, '/00000006.value', 6, value, KERNELS, true)
  assertBytes(files.readAll('/00000006.value'), VALUE_FILE)
  const file = files.create('/golden.value')
  const golden = bytesOf(VALUE_FILE)
  file.writeSync(golden, 0, golden.length, 0)
  assert.deepEqual(Buffer.from(readValueFile(files, '/golden.value', 6, value.length, KERNELS)), value)
})
