/** Jobs by hand, over simulated files. */
import { compareKeys } from '../../base/bytes.ts'
import type { RangeTombstone } from '../../base/cursor.ts'
import { tableName } from '../../base/file-names.ts'
import type { JobContext } from '../../host/host.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import { Budget } from '../../memory/budget.ts'
import { WindowPool } from '../../memory/windows.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { StreamedBlocks } from '../../table/block/block-source.ts'
import { TableReader } from '../../table/table-reader.ts'
import { TableWriter } from '../../table/table-writer.ts'
import { EntryCursor, entryAt } from '../../table/testing/model.ts'
import type { Entry } from '../../table/testing/model.ts'
import { jobs, threadKernels } from '../jobs.ts'
import { packOutside } from '../tombstone-elision.ts'
import type { FlushArgs, JobOutput, MergeArgs, OutputOptions } from '../jobs.ts'

export const PREFIX = '/db/'

export function newHost(seed = 1): SimHost {
  const host = new SimHost({ seed })
  host.disk.isLogging = false
  host.files.makeDirectory('/db')
  return host
}

export function contextOf({ files, clock }: SimHost): JobContext {
  return { files, clock }
}

export function outputOptions(nextFile: number, changes: Partial<OutputOptions> = {}): OutputOptions {
  const shared = new Int32Array(new SharedArrayBuffer(4))
  shared[0] = nextFile
  return {
    directoryPrefix: PREFIX, compression: 'lz4', blockBytes: 512, filterBitsPerKey: 10, targetTableBytes: 1 << 20, nextFile: shared, stop: new Int32Array(new SharedArrayBuffer(4)), ...changes,
  }
}

/** A sealed memtable with these operations, in the order of their sequence numbers; every version stays. */
export function memtableOf(entries: readonly Entry[], ranges: readonly RangeTombstone[] = [], bytes = 1 << 20): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer(bytes)
  const memtable = new Memtable(buffer)
  memtable.reset()
  const operations = [...entries, ...ranges].sort((a, b) => a.seq - b.seq)
  for (const operation of operations) {
    if ('start' in operation) {
      memtable.deleteRange(operation.start, operation.end, operation.seq)
      continue
    }
    const { key, seq, kind, value } = operation
    memtable.put(key, 0, key.length, seq, kind, value, 0, value.length, Number.MAX_SAFE_INTEGER)
  }
  return buffer
}

export function flushArgs(buffer: SharedArrayBuffer, options: OutputOptions, changes: Partial<FlushArgs> = {}): FlushArgs {
  return { ...options, buffer, snapshots: [], outside: packOutside([]), ...changes }
}

export function mergeArgs(runs: number[][], options: OutputOptions, changes: Partial<MergeArgs> = {}): MergeArgs {
  return { ...options, runs, snapshots: [], outside: packOutside([]), readAheadBytes: 4096, windowBytes: 1 << 20, ...changes }
}

export function start(name: 'flush' | 'merge', host: SimHost, args: FlushArgs | MergeArgs): Generator<void, JobOutput, void> {
  return jobs[name]!(contextOf(host), args as never) as Generator<void, JobOutput, void>
}

export interface FinishedJob extends JobOutput {
  yields: number
}

export function run(name: 'flush' | 'merge', host: SimHost, args: FlushArgs | MergeArgs): FinishedJob {
  const job = start(name, host, args)
  for (let yields = 0; ; yields++) {
    const { done, value } = job.next()
    if (done === true) return { ...value, yields }
  }
}

export function writeInput(host: SimHost, fileNumber: number, entries: readonly Entry[], ranges: readonly RangeTombstone[] = []): void {
  const file = host.files.create(PREFIX + tableName(fileNumber))
  const writer = new TableWriter(file, { fileNumber, kernels: threadKernels(), compression: 'lz4', blockBytes: 512 })
  const cursor = new EntryCursor()
  for (const entry of entries) writer.add(cursor.at(entry))
  for (const range of ranges) writer.addRange(range)
  writer.finish()
  file.close()
}

export interface TableContents {
  entries: Entry[]
  ranges: RangeTombstone[]
  reader: TableReader
}

/** Everything in a table, checked by `verify` first. */
export function readTable(host: SimHost, fileNumber: number): TableContents {
  const kernels = threadKernels()
  const reader = TableReader.open(host.files.openRead(PREFIX + tableName(fileNumber)), fileNumber, kernels)
  reader.verify(kernels)
  const windows = new WindowPool(new Budget('8 MiB').account('windows', 'test'), 0)
  const cursor = reader.cursor(new StreamedBlocks(kernels, 4096), windows)
  const entries: Entry[] = []
  for (cursor.seekToFirst(); cursor.valid; cursor.next()) entries.push(entryAt(cursor))
  cursor.close()
  return { entries, ranges: reader.readRanges(kernels), reader }
}

/** All output tables one after the other; throws when they are out of order or share a key. */
export function readOutput(host: SimHost, output: JobOutput): { entries: Entry[], ranges: RangeTombstone[] } {
  const entries: Entry[] = []
  const ranges: RangeTombstone[] = []
  for (const { fileNumber } of output.tables) {
    const table = readTable(host, fileNumber)
    const last = entries.at(-1)
    const first = table.entries[0]
    if (last !== undefined && first !== undefined && compareKeys(last.key, first.key) >= 0) throw new Error('two tables of a run overlap')
    entries.push(...table.entries)
    ranges.push(...table.ranges)
  }
  return { entries, ranges }
}
