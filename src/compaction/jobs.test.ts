import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { KIND_DELETE, KIND_VALUE_FILE, MAX_SEQ } from '../base/cursor.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { plainError, reviveError } from '../base/errors.ts'
import { tableName, valueName } from '../base/file-names.ts'
import { fileError } from '../host/file-error.ts'
import type { SimHost } from '../host/sim/sim-host.ts'
import { encodeValueReference, verifyValueFile, writeValueFile } from '../table/value-file.ts'
import { copyOf, bytesOf, put, textOf } from '../table/testing/model.ts'
import type { Entry } from '../table/testing/model.ts'
import { TableReader } from '../table/table-reader.ts'
import { threadKernels } from './jobs.ts'
import { isNotDurable } from './sync-errors.ts'
import type { FlushArgs, MergeArgs } from './jobs.ts'
import { LAST_KEY, histories, keyOf, mustKeep, outsideOf, readersOf, visible, visibleIn } from './testing/entries.ts'
import { packOutside } from './tombstone-elision.ts'
import {
  PREFIX, flushArgs, memtableOf, mergeArgs, newHost, outputOptions, readOutput, readTable, run, start, writeInput,
} from './testing/job-runs.ts'

const SEED = 20250701

function numbered(count: number, valueBytes = 20, firstSeq = 1): Entry[] {
  return Array.from({ length: count }, (_, i) => put(`key:${String(i).padStart(6, '0')}`, firstSeq + i, `${i}`.padEnd(valueBytes, '.')))
}

function range(from: string, to: string, seq: number): RangeTombstone {
  return { start: bytesOf(from), end: bytesOf(to), seq }
}

function texts(entries: readonly Entry[]): string[] {
  return entries.map(textOf)
}

test('a flush turns a memtable into one table, numbered from the shared counter', () => {
  const host = newHost()
  const entries = [...numbered(600), put('zz', 1000, '', KIND_DELETE)]
  const options = outputOptions(7)
  const output = run('flush', host, flushArgs(memtableOf(entries), options, { outside: undefined }))
  assert.deepEqual(host.files.list('/db'), ['00000007.table'])
  assert.equal(options.nextFile[0], 8)
  assert.deepEqual(texts(readOutput(host, output).entries), texts(entries))
  assert.equal(output.tables.length, 1)
  assert.deepEqual([output.entriesIn, output.entriesOut, output.bytesRead], [601, 601, 0])
  assert.equal(output.bytesWritten, host.files.readAll('/db/00000007.table').length)
  assert.deepEqual(output.tables[0], copyOf(readTable(host, 7).reader.properties))
  assert.ok(output.yields >= 2, 'long jobs can be put aside')
})

test('what a flush has written survives a power loss once it is done', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const host = newHost(seed)
    const output = run('flush', host, flushArgs(memtableOf(numbered(50)), outputOptions(1)))
    assert.deepEqual(texts(readOutput(host.crash(), output).entries), texts(numbered(50)))
  }
})

test('a flush of which nothing is left makes no file and takes no number', () => {
  const host = newHost()
  const options = outputOptions(7)
  const entries = [put('a', 1), put('a', 2, '', KIND_DELETE), put('b', 3)]
  const output = run('flush', host, flushArgs(memtableOf(entries, [range('b', 'c', 4)]), options))
  assert.deepEqual([output.tables, output.entriesIn, output.entriesOut, output.bytesWritten], [[], 3, 0, 0])
  assert.deepEqual([host.files.list('/db'), options.nextFile[0]], [[], 7])
})

test('a memtable of range tombstones alone becomes a table', () => {
  const host = newHost()
  const output = run('flush', host, flushArgs(memtableOf([], [range('b', 'c', 4)]), outputOptions(1), { outside: undefined }))
  assert.deepEqual(readOutput(host, output), { entries: [], ranges: [range('b', 'c', 4)] })
  assert.equal(output.tables[0]!.firstKey, undefined)
})

function writeReference(host: SimHost, fileNumber: number): Uint8Array {
  writeValueFile(host.files, valuePath(fileNumber), fileNumber, new Uint8Array(100).fill(fileNumber), threadKernels(), false)
  const bytes = new Uint8Array(14)
  encodeValueReference(bytes, 0, fileNumber, 100)
  return bytes
}

function valuePath(fileNumber: number): string {
  return PREFIX + valueName(fileNumber)
}

test('a flush names the value files it refers to, without those of versions it left out', () => {
  const host = newHost()
  const entries = [40, 30, 20].map((number, i) => put(i < 2 ? 'a' : 'b', i + 1, writeReference(host, number), KIND_VALUE_FILE))
  const output = run('flush', host, flushArgs(memtableOf([...entries, put('c', 4, 'inline')]), outputOptions(50)))
  assert.deepEqual(output.tables.map(({ valueFiles }) => valueFiles), [[20, 30]])
  assert.deepEqual(readTable(host, 50).reader.properties.valueFiles, [20, 30])
})

test('after a flush large values survive what their references survive, for the log may go', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const host = newHost(seed)
    const entries = [20, 30].map(number => put(`${number}`, number, writeReference(host, number), KIND_VALUE_FILE))
    run('flush', host, flushArgs(memtableOf(entries), outputOptions(50)))
    const { files } = host.crash()
    for (const number of [20, 30]) verifyValueFile(files, valuePath(number), number, 100, threadKernels())
  }
})

test('the error of a flush tells when large values could not be made durable, also in another thread, and only then', () => {
  let told = 0
  for (let ahead = 1, failed = true; failed; ahead++) {
    const host = newHost()
    const entries = [20, 30].map(number => put(`${number}`, number, writeReference(host, number), KIND_VALUE_FILE))
    const args = flushArgs(memtableOf(entries), outputOptions(50))
    host.disk.isLogging = true
    const { faults } = host.disk
    faults.failAt(faults.operations + ahead)
    try {
      run('flush', host, args)
      failed = false
    } catch (error) {
      const fault = host.disk.log.find(line => line.endsWith('FAILS'))!
      const expected = /^sync .*value|^syncDirectory/.test(fault)
      assert.equal(isNotDurable(error as Error), expected, fault)
      assert.equal(isNotDurable(reviveError(structuredClone(plainError(error)))), expected)
      if (expected) told++
    }
  }
  assert.equal(told, 3)
})

test('a flush without large values that cannot sync the directory may be tried again', () => {
  const host = newHost()
  const { syncDirectory } = host.files
  host.files.syncDirectory = () => { throw fileError('EIO', 'fsync', PREFIX) }
  const args = flushArgs(memtableOf(numbered(10)), outputOptions(50))
  assert.throws(() => run('flush', host, args), error => !isNotDurable(error as Error))
  host.files.syncDirectory = syncDirectory
  run('flush', host, args)
})

test('outputs are cut at the target size, and only there', () => {
  const host = newHost()
  const entries = numbered(2000, 100)
  writeInput(host, 1, entries)
  const output = run('merge', host, mergeArgs([[1]], outputOptions(2, { compression: 'none', targetTableBytes: 32 * 1024 })))
  assert.deepEqual(texts(readOutput(host, output).entries), texts(entries))
  assert.ok(output.tables.length > 5)
  assert.deepEqual(output.tables.map(({ fileNumber }) => fileNumber), output.tables.map((_, i) => i + 2))
  for (const table of output.tables.slice(0, -1)) assert.ok(table.fileBytes > 31 * 1024 && table.fileBytes < 36 * 1024, `${table.fileBytes}`)
})

test('the versions of a key stay in one table, however many they are', () => {
  const host = newHost()
  const snapshots = Array.from({ length: 500 }, (_, i) => i + 1)
  const versions = (key: string): Entry[] => snapshots.toReversed().map(seq => put(key, seq, 'x'.repeat(100)))
  const entries = [...versions('a'), ...versions('b'), ...versions('c')]
  writeInput(host, 1, entries)
  const output = run('merge', host, mergeArgs([[1]], outputOptions(2, { targetTableBytes: 1024 }), { snapshots }))
  assert.deepEqual(texts(readOutput(host, output).entries), texts(entries))
  assert.deepEqual(output.tables.map(table => table.entries), [500, 500, 500])
})

test('outputs are cut too where the newest version of every key is left out', () => {
  const host = newHost()
  const old = numbered(1000, 100)
  const replaced = old.map(({ key, seq }) => put(key, 2000 + seq, 'y'))
  writeInput(host, 1, old)
  writeInput(host, 2, replaced, [range('k', 'l', 9000)])
  const options = outputOptions(3, { compression: 'none', targetTableBytes: 16 * 1024 })
  const output = run('merge', host, mergeArgs([[2], [1]], options, { snapshots: [1500] }))
  assert.deepEqual(texts(readOutput(host, output).entries), texts(old))
  assert.ok(output.tables.length > 5, `${output.tables.length} tables`)
})

test('range tombstones that a merge keeps are in its output once', () => {
  const host = newHost()
  writeInput(host, 1, numbered(500), [range('a', 'b', 5000), range('x', 'z', 5001)])
  writeInput(host, 2, [], [range('a', 'b', 5002)])
  const outside = [{ firstKey: bytesOf('aa'), lastKey: bytesOf('ab'), minSeq: 1 }]
  const output = run('merge', host, mergeArgs([[1], [2]], outputOptions(3, { targetTableBytes: 4096 }), { outside: packOutside(outside) }))
  assert.ok(output.tables.length > 1)
  assert.deepEqual(readOutput(host, output).ranges, [range('a', 'b', 5002)])
})

test('range tombstones are cut where tables are, so that the hulls of a run touch at most and nothing is uncovered', () => {
  const host = newHost()
  const seq = 5000
  writeInput(host, 1, numbered(500), [range('a', 'z', seq), range('key:000100', 'key:000300', seq + 1)])
  // An open snapshot keeps what is covered.
  const outside = [{ firstKey: bytesOf('a'), lastKey: bytesOf('z'), minSeq: 1 }]
  const output = run('merge', host, mergeArgs([[1]], outputOptions(3, { targetTableBytes: 4096 }), { outside: packOutside(outside), snapshots: [1000] }))
  assert.ok(output.tables.length > 2)
  for (const [i, { firstKey, rangeStart, rangeEnd }] of output.tables.entries()) {
    const next = output.tables[i + 1]
    assert.ok(i === 0 || compareKeys(rangeStart!, firstKey!) >= 0)
    assert.ok(next === undefined || compareKeys(rangeEnd!, next.firstKey!) <= 0)
  }
  const { ranges } = readOutput(host, output)
  for (const key of ['a', 'key:000099', 'key:000100', 'key:000299', 'key:0002999', 'key:000300', 'key:000499', 'yy', 'z']) {
    const covering = ranges.filter(({ start, end }) => compareKeys(start, bytesOf(key)) <= 0 && compareKeys(end, bytesOf(key)) > 0)
    const expected = key === 'z' ? 0 : key >= 'key:000100' && key < 'key:000300' ? seq + 1 : seq
    assert.equal(Math.max(0, ...covering.map(tombstone => tombstone.seq)), expected, key)
  }
})

/** A run's tables: entries cut between keys. */
function writeRun(
  host: SimHost, firstNumber: number, entries: readonly Entry[], ranges: readonly RangeTombstone[], cuts: Iterator<boolean>,
): number[] {
  const lists: Entry[][] = [[]]
  entries.forEach((entry, i) => {
    if (i > 0 && compareKeys(entry.key, entries[i - 1]!.key) !== 0 && cuts.next().value) lists.push([])
    lists.at(-1)!.push(entry)
  })
  return lists.map((list, i) => {
    writeInput(host, firstNumber + i, list, i === 0 ? ranges : [])
    return firstNumber + i
  })
}

test(`a merge keeps what the rules say, and no reader sees a difference (seed ${SEED})`, () => {
  fc.assert(fc.property(histories, fc.infiniteStream(fc.boolean()), fc.constantFrom(300, 1 << 20), (history, coins, targetTableBytes) => {
    const host = newHost()
    const [inside, ...others] = history.tables
    const entries = inside!.entries
    // Two runs, each with some of the versions and of the range tombstones.
    const first = entries.filter(() => coins.next().value)
    const firstRanges = inside!.ranges.filter(() => coins.next().value)
    const second = entries.filter(entry => !first.includes(entry))
    const secondRanges = inside!.ranges.filter(tombstone => !firstRanges.includes(tombstone))
    const runs = [writeRun(host, 1, first, firstRanges, coins), writeRun(host, 101, second, secondRanges, coins)]
    const before = host.files.list('/db')
    const outside = outsideOf(history)
    const output = run('merge', host, mergeArgs(runs, outputOptions(1001, { targetTableBytes }), { snapshots: history.snapshots, outside: packOutside(outside) }))
    const after = readOutput(host, output)
    const expected = entries.filter(entry => mustKeep(entry, inside!, history.snapshots, outside))
    assert.deepEqual(texts(after.entries), texts(expected))
    assert.deepEqual([output.entriesIn, output.entriesOut], [entries.length, expected.length])
    for (let i = 0; i <= LAST_KEY; i++) {
      for (const reader of readersOf(history)) {
        assert.equal(visibleIn([after, ...others], keyOf(i), reader), visibleIn(history.tables, keyOf(i), reader))
      }
    }
    const made = output.tables.map(({ fileNumber }) => tableName(fileNumber))
    assert.deepEqual(host.files.list('/db'), [...before, ...made])
  }), { seed: SEED, numRuns: 150 })
})

/** A flush and a merge with several outputs, several yields, a value file and range tombstones. */
function busyJobs(host: SimHost): [name: 'flush' | 'merge', args: FlushArgs | MergeArgs][] {
  const value = writeReference(host, 90)
  const entries = [...numbered(1200, 60), put('large', 5000, value, KIND_VALUE_FILE)]
  writeInput(host, 1, numbered(700, 60))
  const newer = [...numbered(700, 60, 3000), put('large', 5000, value, KIND_VALUE_FILE)]
  writeInput(host, 2, newer, [range('key:000100', 'key:000200', 4000)])
  const options = (): ReturnType<typeof outputOptions> => outputOptions(100, { targetTableBytes: 8 * 1024, compression: 'none' })
  return [
    ['flush', flushArgs(memtableOf(entries, [range('b', 'c', 6000)]), options(), { outside: undefined })],
    ['merge', mergeArgs([[1], [2]], options(), { snapshots: [2000] })],
  ]
}

test('a job that is put down at any yield, or before it began, leaves no files of its own', () => {
  const host = newHost()
  for (const [name, args] of busyJobs(host)) {
    const before = host.files.list('/db')
    const { yields, tables } = run(name, host, args)
    assert.ok(yields > 3 && tables.length > 3, `${yields} yields, ${tables.length} tables`)
    for (const { fileNumber } of tables) host.files.remove(PREFIX + tableName(fileNumber))
    for (let steps = 0; steps <= yields; steps++) {
      const job = start(name, host, args)
      for (let i = 0; i < steps; i++) assert.equal(job.next().done, false)
      job.return(undefined as never)
      assert.deepEqual(host.files.list('/db'), before, `${name} put down after ${steps} steps`)
      assert.equal(job.next().done, true)
    }
  }
})

test('a job that fails at any disk operation fails with that error and leaves no files of its own', () => {
  const host = newHost()
  const { faults } = host.disk
  for (const [name, args] of busyJobs(host)) {
    const names = host.files.list('/db')
    const began = faults.operations
    const { tables } = run(name, host, args)
    const operations = faults.operations - began
    for (const { fileNumber } of tables) host.files.remove(PREFIX + tableName(fileNumber))
    assert.ok(operations > 20)
    for (let point = 1; point <= operations; point++) {
      for (const isGone of [false, true]) {
        faults.failAt(faults.operations + point, 'ENOSPC', isGone)
        assert.throws(() => run(name, host, args), error => {
          const { code, details } = error as { code: string, details?: { code: string } }
          return (isNotDurable(error as Error) ? details?.code : code) === 'ENOSPC'
        }, `${name} at operation ${point} of ${operations}`)
        faults.clearFailAt()
        if (!isGone) assert.deepEqual(host.files.list('/db'), names, `${name} at operation ${point}`)
        for (const left of host.files.list('/db')) if (!names.includes(left)) host.files.remove(`/db/${left}`)
      }
    }
  }
})

test('a damaged input is an error with its file, and leaves no output', () => {
  const host = newHost()
  writeInput(host, 1, numbered(1000, 60))
  const size = host.files.readAll(PREFIX + tableName(1)).length
  for (const offset of [10, Math.floor(size / 2), size - 5]) {
    host.disk.corrupt(PREFIX + tableName(1), offset, 1)
    assert.throws(() => run('merge', host, mergeArgs([[1]], outputOptions(2, { targetTableBytes: 4096 }))), {
      code: 'SPILLWAY_CORRUPTION', message: /^\/db\/00000001\.table at offset/,
    })
    assert.deepEqual(host.files.list('/db'), ['00000001.table'])
    host.disk.corrupt(PREFIX + tableName(1), offset, 1)
  }
})

test('a merge stays within its windows: one for each run that reads in JavaScript, or it says that they are too small', () => {
  const host = newHost()
  // Larger than what the kernel takes, now and then.
  const entries = numbered(300, 60).map((entry, i) => i % 40 < 4 ? put(entry.key, entry.seq, 'x'.repeat(2000)) : entry)
  for (let number = 1; number <= 4; number++) writeInput(host, number, entries.filter((_, i) => i % 4 === number - 1))
  const runs = [[1], [2], [3], [4]]
  for (const usesKernel of [true, false]) {
    const options = (nextFile: number): ReturnType<typeof outputOptions> => outputOptions(nextFile, { usesKernel })
    const output = run('merge', host, mergeArgs(runs, options(10), { windowBytes: 4 * 8192 }))
    assert.deepEqual(texts(readOutput(host, output).entries), texts(entries))
    assert.throws(() => run('merge', host, mergeArgs(runs, options(20), { windowBytes: 3 * 8192 })), { code: 'SPILLWAY_BUDGET_TOO_SMALL' })
    assert.equal(host.files.exists(PREFIX + tableName(20)), false)
    for (const { fileNumber } of output.tables) host.files.remove(PREFIX + tableName(fileNumber))
  }
})

test('blocks that the kernel takes need no windows', () => {
  const host = newHost()
  const entries = numbered(300, 60)
  for (let number = 1; number <= 4; number++) writeInput(host, number, entries.filter((_, i) => i % 4 === number - 1))
  const output = run('merge', host, mergeArgs([[1], [2], [3], [4]], outputOptions(10), { windowBytes: 0 }))
  assert.deepEqual(texts(readOutput(host, output).entries), texts(entries))
})

test('a missing input is an error, and those opened before it are closed', () => {
  const host = newHost()
  writeInput(host, 1, numbered(10))
  assert.throws(() => run('merge', host, mergeArgs([[1, 2]], outputOptions(3))), { code: 'ENOENT' })
  assert.deepEqual(host.files.list('/db'), ['00000001.table'])
})

test('the newest version is the one a reader at the largest sequence number sees', () => {
  assert.equal(visible([put('a', 1), put('a', 2)], [], bytesOf('a'), MAX_SEQ), 2)
  assert.equal(visible([put('a', 1), put('a', 2)], [], bytesOf('a'), 1), 1)
  assert.equal(visible([put('a', 1), put('a', 2, '', KIND_DELETE)], [], bytesOf('a'), MAX_SEQ), 0)
  assert.equal(visible([put('a', 1)], [range('a', 'b', 2)], bytesOf('a'), MAX_SEQ), 0)
})

test('a job of a store that is being closed ends at its next step and leaves no files', () => {
  const host = newHost()
  const options = outputOptions(1)
  const job = start('flush', host, flushArgs(memtableOf(numbered(2000)), options))
  assert.equal(job.next().done, false)
  Atomics.store(options.stop, 0, 1)
  assert.throws(() => job.next(), { code: 'SPILLWAY_ABORTED' })
  assert.deepEqual(host.files.list('/db'), [])
})

test('a merge of 200,000 range tombstones that stay holds a few of them at a time', () => {
  const host = newHost()
  const count = 100_000
  const key = (i: number): Uint8Array => bytesOf(String(i).padStart(7, '0'))
  // Every other gap in either run, so that the output alternates.
  for (const table of [1, 2]) {
    const ranges = Array.from({ length: count }, (_, i) => ({ start: key(20 * i + 10 * table), end: key(20 * i + 10 * table + 5), seq: 10 + table }))
    writeInput(host, table, [put(key(20 * table), 1), put(key(1_999_999), table)], ranges)
  }
  const everything = packOutside([{ firstKey: key(0), lastKey: key(9_999_999), minSeq: 1 }])
  // One window for entries and one for range tombstones, a run: no more is leased.
  const args = mergeArgs([[1], [2]], outputOptions(3, { targetTableBytes: 1 << 30 }), { outside: everything, windowBytes: 2 * 2 * 16 * 1024 })
  const job = start('merge', host, args)
  let steps = 1
  let step = job.next()
  for (; step.done !== true; steps++) step = job.next()
  const output = step.value
  assert.ok(steps > 500, `${steps} steps: it can be put aside between them`)
  const [table] = output.tables
  assert.deepEqual([output.tables.length, table!.rangeDeletes, table!.entries], [1, 2 * count, 1])
  const reader = TableReader.open(host.files.openRead('/db/00000003.table'), 3, threadKernels())
  assert.ok(reader.residentBytes < 2 * count * (20 + 2 * 7) + 4096, `${reader.residentBytes} bytes to read them`)
  for (const i of [0, 1, 777, 199_999]) {
    const probe = key(10 + 10 * i + 4)
    assert.equal(reader.ranges.coveringSeq(probe, 0, 7, 100), i % 2 === 0 ? 11 : 12)
    const between = key(10 + 10 * i + 5)
    assert.equal(reader.ranges.coveringSeq(between, 0, 7, 100), 0)
  }
})
