import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tableName } from '../../base/file-names.ts'
import { Hit, MAX_SEQ } from '../../base/cursor.ts'
import type { RangeTombstone } from '../../base/cursor.ts'
import { hashKey } from '../../base/hash.ts'
import { createStrategy } from '../../compaction/strategies.ts'
import { PREFIX, newHost, writeInput } from '../../compaction/testing/job-runs.ts'
import { threadKernels } from '../../compaction/jobs.ts'
import { applyEdit } from '../../manifest/version.ts'
import type { TableRecord, Version } from '../../manifest/version.ts'
import { StreamedBlocks } from '../../table/block/block-source.ts'
import { TableReader } from '../../table/table-reader.ts'
import { bytesOf, put } from '../../table/testing/model.ts'
import type { Entry } from '../../table/testing/model.ts'
import { Run } from './run.ts'
import { Tree, recordOf } from './tree.ts'

const STRATEGY = createStrategy({ name: 'leveled' })

/** Tables on a simulated disk, open. */
class Tables {
  readonly readers = new Map<number, TableReader>()
  readonly #host = newHost()

  write(number: number, entries: readonly Entry[], ranges: readonly RangeTombstone[] = []): TableRecord {
    writeInput(this.#host, number, entries, ranges)
    const reader = TableReader.open(this.#host.files.openRead(PREFIX + tableName(number)), number, threadKernels())
    this.readers.set(number, reader)
    return recordOf(reader.properties)
  }
}

function versionOf(runs: Version['runs']): Version {
  return { number: 1, epoch: 1, lastSeq: 1, logFloor: 1, nextFile: 100, nextRun: 10, strategy: { name: 'leveled', parameters: {} }, runs }
}

function range(start: string, end: string, seq: number): RangeTombstone {
  return { start: bytesOf(start), end: bytesOf(end), seq }
}

test('an install rebuilds the runs that changed, and reuses the others', () => {
  const tables = new Tables()
  const version = versionOf([
    { id: 1, level: 0, tables: [tables.write(1, [put('a', 9)])] },
    { id: 2, level: 1, tables: [tables.write(2, [put('a', 1)]), tables.write(3, [put('c', 2)])] },
  ])
  const before = new Tree(version, tables.readers, STRATEGY)
  const flushed = applyEdit(version, { add: { tables: [tables.write(4, [put('b', 12)])], level: 0, joinsRun: false } }, list => list)
  const after = new Tree(flushed, tables.readers, STRATEGY, before)
  assert.deepEqual(after.runs.map(run => run.id), [10, 1, 2])
  assert.deepEqual([after.runs[1], after.runs[2]], [before.runs[0], before.runs[1]])
  assert.ok(after.runs[1] === before.runs[0] && after.runs[2] === before.runs[1])
  const merged = new Tree(applyEdit(flushed, { remove: [3] }, list => list), tables.readers, STRATEGY, after)
  assert.deepEqual(merged.runs.map((run, i) => run === after.runs[i]), [true, true, false])
  assert.deepEqual([merged.tableCount, merged.tableBytes], [3, merged.runs.reduce((sum, run) => sum + run.bytes, 0)])
})

test('a run finds the one table that may hold a key, and knows hulls, sums and sequence numbers', () => {
  const tables = new Tables()
  const records = [
    tables.write(1, [put('b', 5), put('d', 6)], [range('a', 'c', 9)]),
    tables.write(2, [], [range('f', 'h', 3)]),
    tables.write(3, [put('k', 7), put('m', 8)], [range('k', 'z', 2)]),
  ]
  const run = new Run({ id: 1, level: 1, tables: records }, tables.readers, 1)
  const found = (key: string): number | undefined => run.find(bytesOf(key), 0, key.length)?.fileNumber
  assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'g', 'k', 'l', 'm', 'n'].map(found), [undefined, 1, 1, 1, undefined, undefined, 3, 3, 3, undefined])
  assert.deepEqual([run.entries, run.deletes, run.minSeq, run.maxSeq, run.pointReaders.length], [4, 0, 2, 9, 2])
  const text = (key: Uint8Array): string => Buffer.from(key).toString()
  assert.deepEqual(run.tables.map(view => [view.id, text(view.firstKey), text(view.lastKey)]), [[1, 'a', 'd'], [2, 'f', 'h'], [3, 'k', 'z']])
  const covering = (key: string): number => run.ranges.coveringSeq(bytesOf(key), 0, key.length, MAX_SEQ)
  assert.deepEqual(['', 'a', 'bz', 'c', 'f', 'gz', 'h', 'k', 'y', 'z'].map(covering), [0, 9, 9, 0, 3, 3, 0, 2, 2, 0])
})

test('range tombstones that reach over other tables of their run, or were not stored as fragments, count all the same', () => {
  const tables = new Tables()
  const records = [
    tables.write(1, [put('b', 5)], [range('a', 'x', 9), range('c', 'e', 11), range('b', 'd', 10)]),
    tables.write(2, [put('f', 6)], [range('e', 'g', 12)]),
  ]
  const run = new Run({ id: 1, level: 1, tables: records }, tables.readers, 1)
  const covering = (key: string, seq = MAX_SEQ): number => run.ranges.coveringSeq(bytesOf(key), 0, key.length, seq)
  assert.deepEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'w', 'x'].map(key => covering(key)), [9, 10, 11, 11, 12, 12, 9, 9, 0])
  assert.deepEqual(['c', 'd', 'f'].map(key => covering(key, 10)), [10, 9, 9])
})

test('of very many tables outside a merge, neighbours are told of as one, never across an input', () => {
  const tables = new Tables()
  const records = Array.from({ length: 2500 }, (_, i) => tables.write(i + 1, [put(String(i).padStart(4, '0'), i + 1)]))
  const tree = new Tree(versionOf([{ id: 1, level: 1, tables: records }]), tables.readers, STRATEGY)
  const { keys, ends, minSeqs } = tree.outside(new Set([1001]), 2000)
  assert.ok(minSeqs.length <= 1024, `${minSeqs.length} hulls`)
  const text = (i: number): string => Buffer.from(keys.subarray(i === 0 ? 0 : ends[i - 1]!, ends[i]!)).toString()
  let covered = 0
  for (let i = 0; i < minSeqs.length; i++) {
    const [first, last] = [Number(text(2 * i)), Number(text(2 * i + 1))]
    assert.equal(minSeqs[i], first + 1)
    assert.ok(last < 1000 || first > 1000, `${first} to ${last} reaches over the input`)
    covered += last - first + 1
  }
  assert.equal(covered, 1998, 'all that are older than sequence number 2000, but the input')
  const hit = new Hit()
  const key = bytesOf('1234')
  assert.equal(tree.get(new StreamedBlocks(threadKernels(), 4096), key, 0, 4, hashKey(key, 0, 4), MAX_SEQ, 0, hit), 0)
  assert.equal(hit.seq, 1235)
})
