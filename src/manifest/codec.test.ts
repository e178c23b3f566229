import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import type { SpillwayError } from '../base/errors.ts'
import { Kernels } from '../kernels/kernels.ts'
import { CHECKSUM_PIECE_BYTES, decodeVersion, encodeVersion } from './codec.ts'
import { KERNELS, SEED, table, versionOf, versions } from './testing/versions.ts'
import { applyEdit } from './version.ts'
import type { Version } from './version.ts'

const PATH = '/db/manifest-00000007'

function decode(bytes: Uint8Array, number = 7): Version {
  return decodeVersion(bytes, number, PATH, KERNELS)
}

const VERSION = versionOf([
  { id: 3, level: 0, tables: [table(9)] },
  { id: 1, level: 1, tables: [table(4), table(6, 0, 0)] },
])

test(`a version comes back as it was written (seed ${SEED})`, () => {
  fc.assert(fc.property(versions, version => {
    assert.deepEqual(decode(encodeVersion(version, KERNELS), version.number), version)
  }), { seed: SEED, numRuns: 300 })
})

test('a manifest is three lines that a person can read', () => {
  const lines = Buffer.from(encodeVersion(VERSION, KERNELS)).toString().split('\n')
  assert.equal(lines.length, 4)
  assert.equal(lines[0], 'SPILLWAY MANIFEST 3')
  assert.deepEqual(JSON.parse(lines[1]!).runs[1], { id: 1, level: 1, tables: [[4, 1004, 10, 1], [6, 1006, 0, 0]] })
  assert.match(lines[2]!, /^[0-9a-f]{16}$/)
  assert.equal(lines[3], '')
})

test('every changed byte is found out', () => {
  const bytes = encodeVersion(VERSION, KERNELS)
  for (let offset = 0; offset < bytes.length; offset++) {
    for (const mask of [1, 2, 8, 0x20, 0x80, 0xff]) {
      const copy = bytes.slice()
      copy[offset]! ^= mask
      assert.throws(() => decode(copy), ({ name, code, details }: SpillwayError) => {
        // A format with another digit may be a newer one, or a damaged one: either way it is not read.
        if (code === 'SPILLWAY_UNAVAILABLE') return offset === 18
        assert.deepEqual([name, code, details['file'], Number.isInteger(details['offset'])], ['CorruptionError', 'SPILLWAY_CORRUPTION', PATH, true])
        return true
      }, `byte ${offset} ^ ${mask}`)
    }
  }
})

test('every truncation and every extension is found out', () => {
  const bytes = encodeVersion(VERSION, KERNELS)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decode(bytes.subarray(0, length)), { code: 'SPILLWAY_CORRUPTION' }, `cut at ${length}`)
  }
  for (const more of ['\n', '\0', 'x', '0123456789abcdef\n']) {
    assert.throws(() => decode(Buffer.concat([bytes, Buffer.from(more)])), { code: 'SPILLWAY_CORRUPTION' })
  }
  assert.throws(() => decode(Buffer.concat([Buffer.from('\ufeff'), bytes])), { code: 'SPILLWAY_CORRUPTION' })
})

test('a long manifest is hashed in pieces of a fixed size, whatever kernels it is written and read with', () => {
  const long = versionOf([{ id: 1, level: 1, tables: Array.from({ length: 15_000 }, (_, i) => table(1000 + i)) }])
  const bytes = encodeVersion(long, KERNELS)
  assert.ok(bytes.length > 4 * CHECKSUM_PIECE_BYTES)
  assert.deepEqual(encodeVersion(long, new Kernels(1024 * 1024)), bytes)
  assert.deepEqual(decode(bytes), long)
  for (let offset = 100; offset < bytes.length; offset += 30_011) {
    const copy = bytes.slice()
    copy[offset]! ^= 1
    assert.throws(() => decode(copy), { code: 'SPILLWAY_CORRUPTION' })
  }
})

test('a manifest under another number is found out', () => {
  assert.throws(() => decode(encodeVersion(VERSION, KERNELS), 8), { code: 'SPILLWAY_CORRUPTION' })
})

test('any bytes at all are refused with a typed error', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, hasTitle) => {
    const whole = hasTitle ? Buffer.concat([Buffer.from('SPILLWAY MANIFEST 1\n'), bytes]) : bytes
    assert.throws(() => decode(whole), { code: 'SPILLWAY_CORRUPTION' })
  }), { seed: SEED, numRuns: 300 })
})

test('a newer format is refused as such, format 0 as no manifest', () => {
  const text = Buffer.from(encodeVersion(VERSION, KERNELS)).toString()
  for (const format of ['4', '10', '99999']) {
    assert.throws(() => decode(Buffer.from(text.replace('MANIFEST 3', `MANIFEST ${format}`))), { code: 'SPILLWAY_UNAVAILABLE' })
  }
  assert.throws(() => decode(Buffer.from(text.replace('MANIFEST 3', 'MANIFEST 0'))), { code: 'SPILLWAY_CORRUPTION' })
})

test('the record of a close comes back, and an edit does not carry it along', () => {
  const closed = { lastSeq: 1001, logs: [[5, 40], [8, 4096]] as const }
  const version = { ...VERSION, closed }
  assert.deepEqual(decode(encodeVersion(version, KERNELS)), version)
  assert.deepEqual(applyEdit(VERSION, { closed }, tables => tables), { ...version, number: 8 })
  assert.deepEqual(applyEdit(version, {}, tables => tables), { ...VERSION, number: 8 })
})

test('content that is well sealed but makes no version is refused with a typed error', () => {
  const row = [9, 1009, 10, 1]
  const good = { ...VERSION, runs: [{ id: 3, level: 0, tables: [row] }] }
  assert.equal(decode(resealed(good)).runs[0]!.tables[0]!.fileNumber, 9)
  const logs = [[5, 40], [8, 4096]]
  assert.deepEqual(decode(resealed({ ...good, closed: { lastSeq: 1001, logs } })).closed, { lastSeq: 1001, logs })
  const badClosed: unknown[] = [
    null, 5, [], {}, { logs }, { lastSeq: 1001 }, { lastSeq: 1000, logs }, { lastSeq: -1, logs }, { lastSeq: '1001', logs }, { lastSeq: 1001, logs: [] },
    ...[null, [5], [5, 40, 1], [4, 40], [10, 40], [5, 0], [5, -1], [5, 1.5], ['5', 40]].map(row => ({ lastSeq: 1001, logs: [row] })),
    { lastSeq: 1001, logs: [[8, 40], [5, 40]] }, { lastSeq: 1001, logs: [[5, 40], [5, 40]] },
  ]
  const bad: [string, unknown][] = [
    ['null', null], ['a list', []], ['a number', 5], ['a text', 'x'],
    ['another number', { ...good, number: 8 }],
    ['no strategy', { ...good, strategy: undefined }], ['a null strategy', { ...good, strategy: null }],
    ['a strategy without parameters', { ...good, strategy: { name: 'x' } }],
    ['a strategy with a parameter that is no number', { ...good, strategy: { name: 'x', parameters: { a: null } } }],
    ['no runs', { ...good, runs: undefined }], ['a null run', { ...good, runs: [null] }],
    ['an empty run', { ...good, runs: [{ id: 1, level: 0, tables: [] }] }],
    ['a null table', { ...good, runs: [{ id: 1, level: 0, tables: [null] }] }],
    ['a short table', { ...good, runs: [{ id: 1, level: 0, tables: [[9, 1009, 10]] }] }],
    ['a negative size', { ...good, runs: [{ id: 1, level: 0, tables: [[9, -1, 10, 1]] }] }],
    ['more deletes than entries', { ...good, runs: [{ id: 1, level: 0, tables: [[9, 1, 10, 11]] }] }],
    ['a table twice', { ...good, runs: [{ id: 1, level: 0, tables: [row, row] }] }],
    ['a table beyond nextFile', { ...good, nextFile: 9 }], ['a run beyond nextRun', { ...good, nextRun: 3 }],
    ['a run without id', { ...good, runs: [{ level: 0, tables: [row] }] }],
    ['a level that is no number', { ...good, runs: [{ id: 1, level: '0', tables: [row] }] }],
    ...badClosed.map((closed): [string, unknown] => [`closed: ${JSON.stringify(closed)}`, { ...good, closed }]),
    ['a fraction', { ...good, lastSeq: 1.5 }], ['a negative epoch', { ...good, epoch: -1 }],
    ['a sequence number beyond 2^53', { ...good, lastSeq: 2 ** 53 }],
  ]
  for (const [what, content] of bad) assert.throws(() => decode(resealed(content)), { name: 'CorruptionError' }, what)
  assert.throws(() => decode(resealed('{"number":7', true)), { name: 'CorruptionError' })
})

/** Title and checksum around any JSON, or any text. */
function resealed(content: unknown, isText = false): Uint8Array {
  const body = isText ? String(content) : JSON.stringify(content) ?? 'undefined'
  const text = Buffer.from(`SPILLWAY MANIFEST 1\n${body}\n`)
  KERNELS.memory.set(text, KERNELS.a)
  KERNELS.hash(KERNELS.a, text.length, 7, 0)
  const { hashHigh: high, hashLow: low } = KERNELS
  return Buffer.concat([text, Buffer.from(`${high.toString(16).padStart(8, '0')}${low.toString(16).padStart(8, '0')}\n`)])
}

test('offsets of tables and ranges ahead of the log come back', () => {
  const version = versionOf([{ id: 3, level: 0, tables: [{ ...table(9), seqOffset: 5000 }, table(10)] }], { lastSeq: 4000, ahead: [[5001, 5900], [6000, 6000]] })
  const bytes = encodeVersion(version, KERNELS)
  assert.match(Buffer.from(bytes).toString(), /^SPILLWAY MANIFEST 3\n/)
  assert.deepEqual(decode(bytes), version)
})

test('the ends of earlier logs come back; those that cannot be are not valid', () => {
  const runs = [{ id: 3, level: 0, tables: [table(9)] }]
  const earlier = { before: 10, logs: [[5, 100], [7, 200]] as [number, number][] }
  const version = versionOf(runs, { logFloor: 5, nextFile: 11, earlier })
  assert.deepEqual(decode(encodeVersion(version, KERNELS)), version)
  const bad: unknown[] = [
    null, [], { before: 10 }, { logs: [] }, { ...earlier, before: 12 }, { ...earlier, before: 5 }, { ...earlier, before: 7 }, { ...earlier, logs: [[4, 100]] },
    { ...earlier, logs: [[7, 1], [5, 1]] }, { ...earlier, logs: [[5, 0]] }, { ...earlier, logs: [[5]] },
  ]
  for (const each of bad) {
    assert.throws(() => decode(encodeVersion({ ...version, earlier: each as typeof earlier }, KERNELS)), { code: 'SPILLWAY_CORRUPTION' }, JSON.stringify(each))
  }
})

test('ranges ahead that touch, overlap or do not rise are not valid', () => {
  const runs = [{ id: 3, level: 0, tables: [table(9)] }]
  for (const ahead of [[], [[4001, 4100]], [[4002, 4001]], [[4002, 4003], [4004, 4005]], [[4010, 4020], [4005, 4006]], [[4002]], [7]]) {
    const version = versionOf(runs, { lastSeq: 4000, ahead: ahead as [number, number][] })
    assert.throws(() => decode(encodeVersion(version, KERNELS)), { code: 'SPILLWAY_CORRUPTION' }, JSON.stringify(ahead))
  }
})
