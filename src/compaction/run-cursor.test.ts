import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { Budget } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { StreamedBlocks } from '../table/block/block-source.ts'
import { TableReader } from '../table/table-reader.ts'
import { bytesOf, entryAt, put, sortEntries, testKernels, textOf, writeTable } from '../table/testing/model.ts'
import type { Entry } from '../table/testing/model.ts'
import { RunCursor, lowerTable } from './run-cursor.ts'

const SEED = 20250630

interface OpenRun {
  cursor: RunCursor
  tables: TableReader[]
  windows: WindowPool
  budget: Budget
}

/** Each list a table; an empty one holds a range tombstone alone. */
function openRun(lists: readonly (readonly Entry[])[]): OpenRun {
  const tables = lists.map((entries, i) => {
    const ranges = entries.length > 0 ? [] : [{ start: bytesOf('a'), end: bytesOf('z'), seq: 9 }]
    const { file } = writeTable(entries, { fileNumber: i + 1, blockBytes: 256 }, ranges)
    return TableReader.open(file, i + 1, testKernels())
  })
  const budget = new Budget('1 MiB')
  const windows = new WindowPool(budget.account('windows', 'test'), 0)
  return { cursor: new RunCursor(tables, new StreamedBlocks(testKernels(), 4096), windows), tables, windows, budget }
}

function texts(cursor: RunCursor, direction: 'next' | 'prev'): string[] {
  const list: string[] = []
  for (; cursor.valid; cursor[direction]()) list.push(textOf(entryAt(cursor)))
  return list
}

test('a run without point entries is never valid', () => {
  for (const lists of [[], [[]], [[], []]]) {
    const { cursor, budget } = openRun(lists)
    cursor.seekToFirst()
    assert.equal(cursor.valid, false)
    cursor.seekToLast()
    assert.equal(cursor.valid, false)
    cursor.seek(bytesOf('a'), 0, 1)
    assert.equal(cursor.valid, false)
    cursor.seekBefore(bytesOf('a'), 0, 1)
    assert.equal(cursor.valid, false)
    cursor.close()
    assert.equal(budget.usedBytes, 0)
  }
})

test('the table that may hold a key is the first whose last key is not below it', () => {
  const { tables } = openRun([[put('b', 1), put('d', 1)], [put('f', 1)], [put('h', 1), put('k', 1)]])
  const expected: [string, number][] = [['', 0], ['a', 0], ['d', 0], ['e', 1], ['f', 1], ['g', 2], ['k', 2], ['l', 3]]
  for (const [key, at] of expected) assert.equal(lowerTable(tables, bytesOf(key), 0, key.length), at, key)
})

const key = fc.uint8Array({ maxLength: 2, max: 5 })
const lengths = fc.oneof(fc.constant(14), fc.integer({ min: 14, max: 300 }))
const entries = fc.array(fc.record({ key, kind: fc.constantFrom(0, 1, 2), length: lengths }), { maxLength: 60 })
  .map(list => sortEntries(list.map(({ key, kind, length }, i) => ({ key, kind, seq: i + 1, value: new Uint8Array(length).fill(i) }))))

test(`a run is one sorted list, forward, backward and from any key, and holds one window at most (seed ${SEED})`, () => {
  fc.assert(fc.property(entries, fc.array(key, { maxLength: 8 }), fc.infiniteStream(fc.boolean()), (sorted, probes, cuts) => {
    const lists: Entry[][] = [[]]
    sorted.forEach((entry, i) => {
      const startsKey = i > 0 && compareKeys(entry.key, sorted[i - 1]!.key) !== 0
      if (startsKey && cuts.next().value) lists.push([])
      lists.at(-1)!.push(entry)
    })
    if (cuts.next().value) lists.push([])
    const { cursor, windows, budget } = openRun(lists)
    const all = sorted.map(textOf)
    cursor.seekToFirst()
    assert.deepEqual(texts(cursor, 'next'), all)
    cursor.seekToLast()
    assert.deepEqual(texts(cursor, 'prev'), [...all].reverse())
    for (const probe of [...probes, ...sorted.map(entry => entry.key)]) {
      const found = sorted.findIndex(entry => compareKeys(entry.key, probe) >= 0)
      const bound = found < 0 ? sorted.length : found
      cursor.seek(probe, 0, probe.length)
      assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, all[bound])
      if (cursor.valid) {
        cursor.prev()
        assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, all[bound - 1], 'back from there')
      }
      cursor.seekBefore(probe, 0, probe.length)
      assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, all[bound - 1])
      if (cursor.valid) {
        cursor.next()
        assert.equal(cursor.valid ? textOf(entryAt(cursor)) : undefined, all[bound], 'and on from there')
      }
      assert.ok(windows.outCount <= 1)
    }
    cursor.close()
    assert.equal(cursor.valid, false)
    assert.deepEqual([windows.outCount, budget.usedBytes], [0, 0])
  }), { seed: SEED, numRuns: 150 })
})
