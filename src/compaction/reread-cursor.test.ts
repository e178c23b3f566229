import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { Budget } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { BlockCache } from '../cache/block-cache.ts'
import { CachedBlocks } from '../table/block/block-source.ts'
import { TableReader } from '../table/table-reader.ts'
import { entryAt, put, sortEntries, testKernels, textOf, writeTable } from '../table/testing/model.ts'
import type { Entry } from '../table/testing/model.ts'
import { SeekPerStepCursor } from './reread-cursor.ts'

const SEED = 20250812

/** Each list a run, cut into tables wherever `cuts` says; without any memory for a cache. */
function openRuns(runs: readonly (readonly Entry[])[], cut: () => boolean, snapshotSeq: number): { cursor: SeekPerStepCursor, windows: WindowPool } {
  let fileNumber = 0
  const tables = runs.map(entries => {
    const lists: Entry[][] = [[]]
    entries.forEach((entry, i) => {
      if (i > 0 && compareKeys(entry.key, entries[i - 1]!.key) !== 0 && cut()) lists.push([])
      lists.at(-1)!.push(entry)
    })
    return lists.filter(list => list.length > 0).map(list => {
      fileNumber++
      const reader = TableReader.open(writeTable(list, { fileNumber, blockBytes: 256 }).file, fileNumber, testKernels())
      reader.id = fileNumber
      return reader
    })
  }).filter(list => list.length > 0)
  // The reserve alone: two windows.
  const budget = new Budget(2 * 64 * 1024)
  const windows = new WindowPool(budget.account('windows', 'test'), 0, budget.totalBytes)
  const blocks = new CachedBlocks(new BlockCache(budget.account('cache', 'none')), testKernels())
  return { cursor: new SeekPerStepCursor(tables, blocks, windows, snapshotSeq), windows }
}

/** Of each key the newest version that the snapshot sees. */
function visible(runs: readonly (readonly Entry[])[], snapshotSeq: number): Entry[] {
  const seen = sortEntries(runs.flat()).filter(entry => entry.seq <= snapshotSeq)
  return seen.filter((entry, i) => i === 0 || compareKeys(entry.key, seen[i - 1]!.key) !== 0)
}

function here(cursor: SeekPerStepCursor): string | undefined {
  if (!cursor.valid) return undefined
  cursor.loadValue()
  return textOf(entryAt(cursor))
}

function texts(cursor: SeekPerStepCursor, direction: 'next' | 'prev'): (string | undefined)[] {
  const list: (string | undefined)[] = []
  for (; cursor.valid; cursor[direction]()) list.push(here(cursor))
  return list
}

const key = fc.uint8Array({ maxLength: 2, max: 5 })
const version = fc.record({ key, kind: fc.constantFrom(0, 1, 2), run: fc.nat(3), length: fc.oneof(fc.constant(14), fc.integer({ min: 14, max: 300 })) })

test(`runs without windows are the visible versions of one sorted list, both ways and from any key (seed ${SEED})`, () => {
  fc.assert(fc.property(
    fc.array(version, { maxLength: 50 }), fc.nat(60), fc.array(key, { maxLength: 8 }), fc.infiniteStream(fc.boolean()),
    (versions, snapshotSeq, probes, cuts) => {
      const runs: Entry[][] = [[], [], [], []]
      versions.forEach(({ key, kind, run, length }, i) => runs[run]!.push(put(key, i + 1, new Uint8Array(length).fill(i), kind)))
      const sorted = runs.map(sortEntries)
      const { cursor, windows } = openRuns(sorted, () => cuts.next().value!, snapshotSeq)
      const entries = visible(sorted, snapshotSeq)
      const all = entries.map(textOf)
      cursor.seekToFirst()
      assert.deepEqual(texts(cursor, 'next'), all)
      cursor.seekToLast()
      assert.deepEqual(texts(cursor, 'prev'), all.toReversed())
      for (const probe of [...probes, ...entries.map(entry => entry.key)]) {
        const found = entries.findIndex(entry => compareKeys(entry.key, probe) >= 0)
        const bound = found < 0 ? entries.length : found
        cursor.seek(probe, 0, probe.length)
        assert.equal(here(cursor), all[bound])
        cursor.prev()
        if (found >= 0) assert.equal(here(cursor), all[bound - 1], 'back from there')
        cursor.seekBefore(probe, 0, probe.length)
        assert.equal(here(cursor), all[bound - 1])
        cursor.next()
        if (bound > 0) assert.equal(here(cursor), all[bound], 'and on from there')
        assert.ok(windows.outCount <= 2)
      }
      cursor.close()
      assert.equal(windows.outCount, 0)
    },
  ), { seed: SEED, numRuns: 150 })
})

test('keys of the greatest length fit two windows of 64 KiB', () => {
  const long = (first: string, length: number): Uint8Array => new Uint8Array(Buffer.alloc(length, first))
  const runs = [
    [put(long('a', 65535), 1), put(long('c', 40_000), 3)],
    [put(long('a', 10), 5), put(long('b', 65535), 2), put(long('c', 65535), 4)],
  ]
  const { cursor, windows } = openRuns(runs, () => false, 10)
  const found: [number, number][] = []
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) found.push([cursor.keyEnd, cursor.seq])
  assert.deepEqual(found, [[10, 5], [65535, 1], [65535, 2], [40_000, 3], [65535, 4]])
  const back: [number, number][] = []
  for (cursor.seekToLast(); cursor.valid; cursor.prev()) back.push([cursor.keyEnd, cursor.seq])
  assert.deepEqual(back, found.toReversed())
  cursor.close()
  assert.equal(windows.outCount, 0)
})
