import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tableName } from '../base/file-names.ts'
import { MergeKernel } from '../kernels/merge-kernel.ts'
import { StreamedBlocks } from '../table/block/block-source.ts'
import { IndexPath } from '../table/index/index-path.ts'
import { seedOf } from '../table/format.ts'
import { TableReader } from '../table/table-reader.ts'
import { put } from '../table/testing/model.ts'
import { threadKernels } from './jobs.ts'
import type { MergeArgs } from './jobs.ts'
import { PREFIX, flushArgs, memtableOf, mergeArgs, newHost, outputOptions, run, start, writeInput } from './testing/job-runs.ts'
import { Dice, outcomeOf, randomFlush, randomMerge } from './testing/twins.ts'
import type { Twin } from './testing/twins.ts'

const SEED = 20250711
const RUNS = Number(process.env['SPILLWAY_SEEDS'] ?? 40)

function sameBothWays(twin: Twin, seed: number): unknown {
  const expected = outcomeOf(twin, false)
  const actual = outcomeOf(twin, true)
  assert.deepEqual(actual.report, expected.report, `seed ${seed}`)
  assert.deepEqual([...actual.files.keys()], [...expected.files.keys()], `seed ${seed}`)
  for (const [name, bytes] of expected.files) assert.ok(Buffer.compare(actual.files.get(name)!, bytes) === 0, `seed ${seed}: ${name} differs`)
  return expected.report
}

test(`flushes in the kernel write the same files as entry by entry (seeds from ${SEED})`, () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) sameBothWays(randomFlush(seed), seed)
})

test(`merges in the kernel write the same files as entry by entry (seeds from ${SEED})`, () => {
  for (let seed = SEED; seed < SEED + RUNS; seed++) sameBothWays(randomMerge(seed), seed)
})

test(`damaged inputs give the same error both ways (seeds from ${SEED})`, () => {
  let refused = 0
  for (let seed = SEED; seed < SEED + RUNS; seed++) {
    const twin = randomMerge(seed)
    const dice = new Dice(seed)
    const tables = (twin.args as MergeArgs).runs.flat()
    for (let i = 0; i < 3; i++) {
      const path = PREFIX + tableName(dice.pick(tables))
      const offset = dice.below(twin.host.files.readAll(path).length)
      twin.host.disk.corrupt(path, offset, 1)
      if ((sameBothWays(twin, seed) as { code?: string }).code === 'SPILLWAY_CORRUPTION') refused++
      twin.host.disk.corrupt(path, offset, 1)
    }
  }
  assert.ok(refused > RUNS, `${refused}`)
})

/** Change bytes of a data block and seal it again, so that only its contents tell. */
function forge(twin: Twin, fileNumber: number, dice: Dice): boolean {
  const kernels = threadKernels()
  const path = PREFIX + tableName(fileNumber)
  const reader = TableReader.open(twin.host.files.openRead(path), fileNumber, kernels)
  const index = new IndexPath(reader)
  const source = new StreamedBlocks(kernels, 4096)
  if (!index.first(source)) return false
  for (let skip = dice.below(5); skip > 0 && index.next(source); skip--);
  const { blockOffset, blockBytes } = index
  const bytes = twin.host.files.readAll(path)
  if (bytes[blockOffset + blockBytes - 9] !== 0) return false
  const sealed = bytes.slice(blockOffset, blockOffset + blockBytes)
  for (let changes = 1 + dice.below(2); changes > 0; changes--) sealed[dice.below(dice.chance(70) ? blockBytes - 9 : 24)] = dice.below(256)
  const { memory, a } = kernels
  memory.set(sealed, a)
  kernels.hash(a, blockBytes - 8, seedOf(fileNumber), blockOffset)
  const seal = new DataView(sealed.buffer)
  seal.setUint32(blockBytes - 8, kernels.hashLow, true)
  seal.setUint32(blockBytes - 4, kernels.hashHigh, true)
  bytes.set(sealed, blockOffset)
  const file = twin.host.files.openWrite(path)
  file.writeSync(bytes, 0, bytes.length, 0)
  file.close()
  return true
}

test(`blocks that lie under a right checksum give the same error or the same files both ways (seeds from ${SEED})`, () => {
  const codes = new Map<string, number>()
  for (let seed = SEED; seed < SEED + 2 * RUNS; seed++) {
    const twin = randomMerge(seed)
    const dice = new Dice(seed)
    if (!forge(twin, dice.pick((twin.args as MergeArgs).runs.flat()), dice)) continue
    const { code = 'none' } = sameBothWays(twin, seed) as { code?: string }
    codes.set(code, (codes.get(code) ?? 0) + 1)
  }
  assert.ok((codes.get('SPILLWAY_CORRUPTION') ?? 0) > 10 && (codes.get('SPILLWAY_INVALID_ARGUMENT') ?? 0) > 1 && codes.has('none'), JSON.stringify([...codes]))
})

test('a merge in the kernel writes nothing outside its piece of the arena', () => {
  const { memory } = threadKernels()
  const arenaAt = threadKernels().takeArena(1)
  threadKernels().giveArena(arenaAt)
  for (let seed = SEED; seed < SEED + 40; seed++) {
    const twin = randomMerge(seed)
    const { runs, blockBytes, snapshots } = twin.args as MergeArgs
    const slotBytes = Math.ceil((blockBytes * 1.5 + 128) / 16) * 16
    const end = arenaAt + MergeKernel.bytesFor({ inputs: runs.length, slotBytes, blockBytes, snapshots })
    memory.fill(0xa5, end)
    outcomeOf(twin, true)
    assert.ok(memory.subarray(end).every(byte => byte === 0xa5), `seed ${seed}`)
  }
})

test('jobs that run in turn in one thread do not disturb each other, and give their memory back', () => {
  const host = newHost()
  const rows = (from: number, step: number): ReturnType<typeof put>[] =>
    Array.from({ length: 2000 }, (_, i) => put(`key:${String(from + step * i).padStart(6, '0')}`, from + step * i + 1, 'v'.repeat(i % 90)))
  for (const number of [1, 2, 3, 4]) writeInput(host, number, rows(number, 5))
  const entries = rows(0, 3)
  const make = (nextFile: number): Generator<void, unknown, void>[] => [
    start('merge', host, mergeArgs([[1], [2]], outputOptions(nextFile))),
    start('flush', host, flushArgs(memtableOf(entries), outputOptions(nextFile + 1))),
    start('merge', host, mergeArgs([[3], [4]], outputOptions(nextFile + 2))),
  ]
  const finish = (jobs: Generator<void, unknown, void>[]): void => {
    for (let left = jobs; left.length > 0;) left = left.filter(job => job.next().done !== true)
  }
  finish(make(100))
  for (const job of make(200)) finish([job])
  for (const i of [0, 1, 2]) {
    const [together, alone] = [100, 200].map(first => host.files.readAll(PREFIX + tableName(first + i)))
    // The numbers of the files are in their checksums.
    assert.equal(together!.length, alone!.length)
    run('merge', host, mergeArgs([[100 + i]], outputOptions(300 + i)))
    run('merge', host, mergeArgs([[200 + i]], outputOptions(400 + i, { usesKernel: false })))
    const [first, second] = [300, 400].map(number => TableReader.open(host.files.openRead(PREFIX + tableName(number + i)), number + i, threadKernels()))
    assert.deepEqual([first!.properties.entries, first!.properties.rawValueBytes], [second!.properties.entries, second!.properties.rawValueBytes])
  }
  const piece = threadKernels().takeArena(288 * 1024)
  assert.ok(piece > 0, 'all of the arena is free')
  threadKernels().giveArena(piece)
})

test('a job that finds no room in the arena goes entry by entry', () => {
  const kernels = threadKernels()
  const host = newHost()
  const entries = Array.from({ length: 500 }, (_, i) => put(`key:${String(i).padStart(6, '0')}`, i + 1))
  const all = kernels.takeArena(288 * 1024)
  try {
    assert.equal(run('flush', host, flushArgs(memtableOf(entries), outputOptions(1))).entriesOut, 500)
  } finally {
    kernels.giveArena(all)
  }
})
