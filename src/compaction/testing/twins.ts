/** Random flushes and merges, run twice: in the kernel and entry by entry. */
import { compareKeys } from '../../base/bytes.ts'
import { EMPTY, KIND_DELETE, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import type { RangeTombstone } from '../../base/cursor.ts'
import { tableName, valueName } from '../../base/file-names.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import { TableWriter } from '../../table/table-writer.ts'
import { EntryCursor, randomNumbers, sortEntries } from '../../table/testing/model.ts'
import type { Entry } from '../../table/testing/model.ts'
import { encodeValueReference, writeValueFile } from '../../table/value-file.ts'
import { threadKernels } from '../jobs.ts'
import type { FlushArgs, JobOutput, MergeArgs } from '../jobs.ts'
import { packOutside } from '../tombstone-elision.ts'
import type { OutsideTables } from '../tombstone-elision.ts'
import { PREFIX, flushArgs, memtableOf, mergeArgs, newHost, outputOptions, run } from './job-runs.ts'

/** Integers below a bound, choices and chances from one seed. */
export class Dice {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = randomNumbers(seed)
  }

  below(bound: number): number { return this.#next() % bound }
  chance(percent: number): boolean { return this.below(100) < percent }
  pick<T>(list: readonly T[]): T { return list[this.below(list.length)]! }
  bytes(length: number, alphabet = 256): Uint8Array { return Uint8Array.from({ length }, () => this.below(alphabet)) }
}

/** Files that references to large values name. */
const VALUE_FILES = [90, 91, 92]

interface Shape {
  key(): Uint8Array
  valueBytes(): number
  deletes: number
  references: number
}

function shapeOf(dice: Dice): Shape {
  const prefix = dice.bytes(dice.pick([0, 0, 3, 8, 40, 200]))
  const alphabet = dice.pick([2, 10, 256])
  const longest = dice.pick([3, 16, 16, 40])
  const isFixed = dice.chance(50)
  const giants = dice.chance(15) ? 3 : 0
  const large = dice.pick([0, 0, 1, 10])
  const most = dice.pick([0, 8, 100, 100, 250])
  return {
    key() {
      if (giants > 0 && dice.chance(giants)) return new Uint8Array(dice.pick([300, 700, 5000, 65_535])).fill(dice.below(3) + 97)
      const tail = dice.bytes(isFixed ? longest : dice.below(longest + 1), alphabet)
      return Uint8Array.from([...prefix.subarray(0, dice.chance(95) ? prefix.length : dice.below(prefix.length + 1)), ...tail])
    },
    valueBytes: () => dice.chance(large) ? dice.pick([500, 2000, 6000, 30_000]) : dice.below(most + 1),
    deletes: dice.pick([0, 5, 50]),
    references: dice.pick([0, 0, 5]),
  }
}

function entriesOf(dice: Dice, count: number): Entry[] {
  const shape = shapeOf(dice)
  const firstSeq = dice.pick([1, 1, 250, 70_000, 2 ** 33, 2 ** 50])
  const step = dice.pick([1, 1, 300, 2 ** 34])
  const keys = Array.from({ length: dice.pick([3, count, 2 * count]) }, () => shape.key())
  return Array.from({ length: count }, (_, i) => {
    const kind = dice.chance(shape.deletes) ? KIND_DELETE : dice.chance(shape.references) ? KIND_VALUE_FILE : KIND_PUT
    let value: Uint8Array = EMPTY
    if (kind === KIND_PUT) value = dice.bytes(shape.valueBytes(), dice.pick([3, 256]))
    if (kind === KIND_VALUE_FILE) encodeValueReference(value = new Uint8Array(14), 0, dice.pick(VALUE_FILES), 100)
    return { key: dice.pick(keys), seq: firstSeq + step * i, kind, value }
  })
}

function rangesOf(dice: Dice, entries: readonly Entry[], count: number): RangeTombstone[] {
  return Array.from({ length: count }, () => {
    const [start, end] = [dice.pick(entries).key, dice.pick(entries).key].sort(compareKeys)
    return { start: start!, end: dice.chance(20) ? Uint8Array.from([...end!, 0]) : end!, seq: dice.pick(entries).seq + dice.below(2) }
  })
}

function outsideOf(dice: Dice, entries: readonly Entry[]): OutsideTables {
  return packOutside(Array.from({ length: dice.pick([0, 0, 1, 3, 20]) }, () => {
    const [firstKey, lastKey] = [dice.pick(entries).key, dice.pick(entries).key].sort(compareKeys)
    return { firstKey: firstKey!, lastKey: lastKey!, minSeq: dice.pick(entries).seq + dice.below(3) - 1 }
  }))
}

function snapshotsOf(dice: Dice, entries: readonly Entry[]): number[] {
  const seqs = Array.from({ length: dice.pick([0, 0, 1, 3, 30]) }, () => dice.pick(entries).seq)
  return [...new Set(seqs)].sort((a, b) => a - b)
}

function optionsOf(dice: Dice): ReturnType<typeof outputOptions> {
  return outputOptions(1001, {
    blockBytes: dice.pick([256, 512, 1024, 4096]), compression: dice.pick(['none', 'lz4']), filterBitsPerKey: dice.pick([0, 10, 16]),
    targetTableBytes: dice.pick([600, 8192, 1 << 20]),
  })
}

export interface Twin {
  host: SimHost
  name: 'flush' | 'merge'
  args: FlushArgs | MergeArgs
}

export function randomFlush(seed: number): Twin {
  const dice = new Dice(seed)
  const host = newHost()
  const entries = entriesOf(dice, dice.pick([1, 30, 300, 1500]))
  const ranges = dice.chance(30) ? rangesOf(dice, entries, 1 + dice.below(4)) : []
  // Each sequence number is used once in a memtable.
  const seqs = new Set(entries.map(({ seq }) => seq))
  const args = flushArgs(memtableOf(entries, ranges.filter(({ seq }) => !seqs.has(seq)), 1 << 23), optionsOf(dice), {
    snapshots: snapshotsOf(dice, entries), outside: dice.chance(30) ? undefined : outsideOf(dice, entries),
  })
  for (const number of VALUE_FILES) writeValueFile(host.files, PREFIX + valueName(number), number, new Uint8Array(100), threadKernels(), false)
  return { host, name: 'flush', args }
}

export function randomMerge(seed: number): Twin {
  const dice = new Dice(seed)
  const host = newHost()
  const runCount = 1 + dice.below(6)
  const lists: Entry[][] = Array.from({ length: runCount }, () => [])
  const entries = entriesOf(dice, dice.pick([1, 30, 300, 1500]))
  const streak = dice.pick([1, 20])
  entries.forEach((entry, i) => lists[(streak === 1 ? dice.below(runCount) : Math.floor(i / streak)) % runCount]!.push(entry))
  const hasRanges = dice.chance(30)
  const blockBytes = dice.pick([256, 512, 512, 4096])
  const compression = dice.pick(['none', 'lz4'] as const)
  const runs = lists.map((list, r) => {
    const cuts = dice.pick([0, 0, 2, 20])
    const tables: Entry[][] = [[]]
    for (const entry of sortEntries(list)) {
      const last = tables.at(-1)!.at(-1)
      if (last !== undefined && dice.chance(cuts) && compareKeys(last.key, entry.key) !== 0) tables.push([])
      tables.at(-1)!.push(entry)
    }
    return tables.map((table, t) => {
      const fileNumber = 10_000 * (r + 1) + t
      const file = host.files.create(PREFIX + tableName(fileNumber))
      const writer = new TableWriter(file, { fileNumber, kernels: threadKernels(), compression, blockBytes })
      const cursor = new EntryCursor()
      for (const entry of table) writer.add(cursor.at(entry))
      // The hulls of a run's tables touch at most.
      if (hasRanges && tables.length === 1) for (const range of rangesOf(dice, entries, 1 + dice.below(3))) writer.addRange(range)
      writer.finish()
      file.close()
      return fileNumber
    })
  })
  const args = mergeArgs(runs, optionsOf(dice), {
    snapshots: snapshotsOf(dice, entries), outside: outsideOf(dice, entries), readAheadBytes: dice.pick([512, 4096, 65_536]), windowBytes: 1 << 22,
  })
  return { host, name: 'merge', args }
}

/** What became of a job: its files and report, or its error. Its files are removed. */
export function outcomeOf({ host, name, args }: Twin, usesKernel: boolean): { files: Map<string, Uint8Array>, report: unknown } {
  args.nextFile[0] = 1001
  const before = new Set(host.files.list('/db'))
  let report: unknown
  try {
    const { yields: _, ...output }: JobOutput & { yields: number } = run(name, host, { ...args, usesKernel })
    report = output
  } catch (error) {
    const { code, message } = error as { code?: string, message: string }
    if (code === undefined) throw error
    report = { code, message }
  }
  const files = new Map<string, Uint8Array>()
  for (const file of host.files.list('/db')) {
    if (before.has(file)) continue
    files.set(file, host.files.readAll(`/db/${file}`))
    host.files.remove(`/db/${file}`)
  }
  return { files, report }
}
