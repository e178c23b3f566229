import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KIND_PUT } from '../../base/cursor.ts'
import { logName, valueName } from '../../base/file-names.ts'
import { Kernels } from '../../kernels/kernels.ts'
import type { Version } from '../../manifest/version.ts'
import { LOG_READ_BUFFER_BYTES } from '../../wal/log-reader.ts'
import { LogWriter } from '../../wal/log-writer.ts'
import { scanHistory } from './log-history.ts'
import { Spillway } from '../spillway.ts'
import { simHost } from '../testing/sim.ts'
import { TWO_WRITERS } from '../testing/two-writers.ts'

const KERNELS = new Kernels(LOG_READ_BUFFER_BYTES)
const DIRECTORY = '/db'
const root = mkdtempSync(join(tmpdir(), 'spillway-history-'))
after(() => rmSync(root, { recursive: true, force: true }))

for (const [name, { keys, files }] of Object.entries(TWO_WRITERS)) {
  test(`a store that two writers have written opens with what the newer one had: ${name}`, async () => {
    const directory = join(root, name)
    mkdirSync(directory)
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), Buffer.from(text, 'base64'))
    for (let life = 0; life < 2; life++) {
      const db = await Spillway.open(directory, { budget: '8 MiB' })
      const entries = await db.iterator().all()
      assert.deepEqual(entries, [...keys.map(key => [key, `${key[0]}-value`]), ...life === 0 ? [] : [['z', 'later']]])
      assert.deepEqual((await db.verify()).errors, [])
      await db.put('z', 'later')
      await db.close()
    }
  })
}

type Segment = [number: number, firstSeq: number, operations: number]

/** Segments in a directory, each group of one operation, and what of them is the history. */
function historyOf(segments: Segment[], base: Partial<Version> = {}): { parts: Segment[], lastSeq: number } {
  const host = simHost()
  host.files.makeDirectory(DIRECTORY)
  const buffer = new Uint8Array(64 * 1024)
  const core = {
    host, engine: { kernels: KERNELS },
    files: {
      io: host.files, mountId: host.mountId(), directory: DIRECTORY, manifests: { newestPath: 'manifest' },
      logPath: (number: number) => join(DIRECTORY, logName(number)), valuePath: (number: number) => join(DIRECTORY, valueName(number)),
    },
  }
  const bytesAt = new Map<string, number>()
  for (const [number, firstSeq, operations] of segments) {
    const log = new LogWriter(host.files.create(core.files.logPath(number)), number, buffer, KERNELS, host.mountId(), firstSeq)
    for (let i = 0; i < operations; i++) {
      log.append(KIND_PUT, Uint8Array.of(number), 0, 1, Uint8Array.of(i), 0, 1)
      log.commit(true, () => {})
      bytesAt.set(`${number}:${log.writtenBytes}`, i + 1)
    }
    log.close()
  }
  const version: Version = {
    number: 3, epoch: 1, lastSeq: 0, logFloor: 1, nextFile: 100, nextRun: 1, strategy: { name: 'tiered', parameters: {} }, runs: [], ...base,
  }
  const { parts, lastSeq } = scanHistory(core, version, segments.map(([number]) => number), new Uint8Array(LOG_READ_BUFFER_BYTES), false)
  return { parts: parts.filter(({ operations }) => operations > 0).map(({ number, firstSeq, operations }) => [number, firstSeq!, operations]), lastSeq }
}

/** Bytes of a segment that this many operations of one byte each take. */
function bytesOf(operations: number): number {
  return 40 + operations * 56
}

test('segments that follow one another are the history', () => {
  assert.deepEqual(historyOf([[1, 1, 3], [2, 4, 2], [5, 6, 1]]), { parts: [[1, 1, 3], [2, 4, 2], [5, 6, 1]], lastSeq: 6 })
  assert.deepEqual(historyOf([]), { parts: [], lastSeq: 0 })
  assert.deepEqual(historyOf([[1, 1, 0]]), { parts: [], lastSeq: 0 })
})

test('what the manifest says of earlier logs counts: how far, and no others', () => {
  const earlier = { before: 9, logs: [[1, bytesOf(2)]] as [number, number][] }
  assert.deepEqual(historyOf([[1, 1, 5], [2, 6, 3]], { earlier }), { parts: [[1, 1, 2]], lastSeq: 2 })
  assert.deepEqual(historyOf([[1, 1, 5], [2, 6, 3], [9, 3, 2]], { earlier }), { parts: [[1, 1, 2], [9, 3, 2]], lastSeq: 4 })
  // What a flush has made superfluous is not asked for.
  assert.deepEqual(historyOf([[2, 6, 3], [9, 3, 2]], { earlier, logFloor: 2, lastSeq: 2 }), { parts: [[9, 3, 2]], lastSeq: 4 })
  assert.throws(() => historyOf([[1, 1, 1]], { earlier }), { code: 'SPILLWAY_CORRUPTION', message: /knows 152 bytes of this log segment, of which 96 are left/ })
  assert.throws(() => historyOf([[9, 3, 1]], { earlier }), { code: 'SPILLWAY_CORRUPTION', message: /00000001.log.*is missing/ })
})

test('of a store that was closed the log ends where it ended then', () => {
  const closed = { lastSeq: 4, logs: [[1, bytesOf(3)], [2, bytesOf(1)]] as [number, number][] }
  assert.deepEqual(historyOf([[1, 1, 5], [2, 4, 1], [3, 6, 2]], { closed }), { parts: [[1, 1, 3], [2, 4, 1]], lastSeq: 4 })
  assert.throws(() => historyOf([[1, 1, 3]], { closed }), { code: 'SPILLWAY_CORRUPTION', message: /missing, though the store was closed with it/ })
  assert.throws(() => historyOf([[1, 1, 2], [2, 4, 1]], { closed }), { code: 'SPILLWAY_CORRUPTION' })
})

test('where no manifest says so, a segment that begins before the end of others is a later owner\'s', () => {
  assert.deepEqual(historyOf([[1, 1, 5], [2, 4, 3]]), { parts: [[1, 1, 3], [2, 4, 3]], lastSeq: 6 })
  // The former went on in a segment of its own, and the later one too.
  assert.deepEqual(historyOf([[1, 1, 5], [2, 4, 4], [3, 6, 2], [4, 8, 1]]), { parts: [[1, 1, 3], [2, 4, 4], [4, 8, 1]], lastSeq: 8 })
  assert.deepEqual(historyOf([[1, 1, 2], [2, 3, 4], [3, 2, 2]]), { parts: [[1, 1, 1], [3, 2, 2]], lastSeq: 3 })
  assert.deepEqual(historyOf([[1, 1, 2], [2, 1, 3]]), { parts: [[2, 1, 3]], lastSeq: 3 })
})

test('a segment that is missing is damage still', () => {
  assert.throws(() => historyOf([[1, 1, 3], [3, 6, 2]]), { code: 'SPILLWAY_CORRUPTION' })
  assert.throws(() => historyOf([[2, 4, 3]]), { code: 'SPILLWAY_CORRUPTION' })
})
