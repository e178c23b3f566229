/**
 * The two jobs that write tables, in a worker or in slices on the main thread: `flush` turns a sealed memtable into a run, `merge`
 * several runs into one. They only create files; the caller commits or removes them.
 *
 * Memory: `flushWorkingBytes` and `mergeWorkingBytes`, leased by the caller.
 */
import type { RangeTombstone } from '../base/cursor.ts'
import { SpillwayError } from '../base/errors.ts'
import { RangeSet } from '../base/ranges.ts'
import { tableName, valueName } from '../base/file-names.ts'
import { Kernels } from '../kernels/kernels.ts'
import type { BeginSync, DirectoryReference, HostFile, HostFiles, Job, JobContext, JobWait } from '../host/host.ts'
import { isOutOfDescriptors } from '../host/file-error.ts'
import { UnsyncedFiles } from '../host/unsynced-files.ts'
import { Budget } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { Memtable } from '../memtable/memtable.ts'
import type { TableProperties } from '../table/properties.ts'
import type { KernelBlockWriter } from '../table/block/kernel-block-writer.ts'
import { KERNEL_REGION_BYTES } from '../table/format.ts'
import { PENDING_KEY_BYTES } from '../table/index/index-writer.ts'
import { TableWriter } from '../table/table-writer.ts'
import type { Entry } from '../table/table-writer.ts'
import { WriterBuffers } from '../table/writer-buffers.ts'
import { KernelMerge } from './kernel-merge.ts'
import type { KernelInput, KernelOutput } from './kernel-merge.ts'
import { MemtableRun } from './memtable-run.ts'
import { MergeCursor } from './merge-cursor.ts'
import { MergeRun } from './merge-run.ts'
import type { SeqOffsets } from './merge-run.ts'
import type { OutsideTables } from './tombstone-elision.ts'
import { notDurable } from './sync-errors.ts'
import { publish } from './publish.ts'
import { ListedFragments } from './range-sweep.ts'
import type { FragmentSource } from './range-sweep.ts'
import { Retention } from './retention.ts'

export type Compression = 'none' | 'lz4'

export interface OutputOptions {
  directoryPrefix: string
  /** Default: by its path. */
  place?: DirectoryReference | undefined
  compression: Compression
  blockBytes: number
  filterBitsPerKey: number
  targetTableBytes: number
  /** Shared with the main thread. */
  nextFile: Int32Array<SharedArrayBuffer>
  /** Shared. Not 0: the store is closing; jobs end with ABORTED. */
  stop: Int32Array<SharedArrayBuffer>
  /** False: same result in JavaScript. Default true. */
  usesKernel?: boolean
  /** Nothing is synced. */
  isScratch?: boolean
}

export interface FlushArgs extends OutputOptions {
  buffer: SharedArrayBuffer
  snapshots: number[]
  outside: OutsideTables | undefined
}

export interface MergeArgs extends OutputOptions {
  /** By run, in key order. */
  runs: number[][]
  /** By table number. */
  seqOffsets?: SeqOffsets
  snapshots: number[]
  /** Undefined: unknown, all tombstones stay. */
  outside: OutsideTables | undefined
  readAheadBytes: number
  windowBytes: number
}

export interface JobOutput {
  tables: TableProperties[]
  entriesIn: number
  entriesOut: number
  bytesRead: number
  bytesWritten: number
}

export { KERNEL_REGION_BYTES }
/** Per thread: enough for 40 runs with blocks of 4 KiB, or several smaller merges. */
export const MERGE_ARENA_BYTES: number = 288 * 1024
/** Minimum of a flush's slot. */
const FLUSH_SLOT_BYTES = 16 * 1024
/** Bytes and cost of an entry per step. */
export const STEP_BYTES: number = 16 * 1024
const ENTRY_COST_BYTES = 64
/** Starts and ends of range tombstones per step. */
const STEP_BOUNDS = 200
const NO_FILES: ReadonlySet<number> = new Set()
let shared: Kernels | undefined
/** One set of kernels per thread: jobs interleave only between entries, when only their own pieces of the arena are in use. */
export function threadKernels(): Kernels {
  return shared ??= new Kernels(KERNEL_REGION_BYTES, MERGE_ARENA_BYTES)
}

/** One set per reserved job, within the thread's lease. */
const freeBuffers: WriterBuffers[] = []
const MAX_FREE_BUFFERS = 2

function takeBuffers(blockBytes: number, filterBitsPerKey: number): WriterBuffers {
  const at = freeBuffers.findIndex(buffers => buffers.blockBytes === blockBytes && buffers.filterBitsPerKey === filterBitsPerKey)
  return at < 0 ? new WriterBuffers(blockBytes, filterBitsPerKey) : freeBuffers.splice(at, 1)[0]!
}

function giveBuffers(buffers: WriterBuffers): void {
  freeBuffers.push(buffers)
  if (freeBuffers.length > MAX_FREE_BUFFERS) freeBuffers.shift()
}

export function flushWorkingBytes(options: { blockBytes: number }): number {
  return TableWriter.workingBytes(options)
}

export function mergeWorkingBytes(options: { blockBytes: number }, runs: number, readAheadBytes: number, windowBytes: number): number {
  return TableWriter.workingBytes(options) + runs * readAheadBytes + windowBytes
}

/**
 * The tables being written: cut at the target size, never between versions of a key. Range tombstones are cut there too: the hulls
 * of a run's tables touch at most, which strategies rely on for concurrent merges.
 */
class Output implements KernelOutput {
  readonly tables: TableProperties[] = []
  entriesOut = 0
  readonly #files: HostFiles
  readonly #options: OutputOptions
  readonly #created: string[] = []
  readonly #buffers: WriterBuffers
  readonly #kernelBlock: KernelBlockWriter | undefined
  #writer: TableWriter | undefined
  #file: HostFile | undefined
  /** `key`: the first of the next table. Earlier range tombstones belong to this one. */
  onCut: (key: Uint8Array) => void = () => {}

  constructor(files: HostFiles, options: OutputOptions, kernelBlock: KernelBlockWriter | undefined) {
    this.#files = files
    this.#kernelBlock = kernelBlock
    this.#options = options
    this.#buffers = takeBuffers(options.blockBytes, options.filterBitsPerKey)
  }

  add(entry: Entry, startsKey: boolean): void {
    if (startsKey && this.#writer !== undefined && this.#writer.estimatedBytes >= this.#options.targetTableBytes) {
      this.onCut(entry.key.slice(entry.keyStart, entry.keyEnd))
      this.#finishTable()
    }
    this.#open().add(entry)
    this.entriesOut++
  }

  absorb(): void {
    if (this.#writer !== undefined) this.entriesOut += this.#writer.absorb()
  }

  get roomBytes(): number {
    return this.#writer === undefined ? 0 : this.#options.targetTableBytes - this.#writer.estimatedBytes
  }

  get keyBytes(): number { return this.#options.filterBitsPerKey === 0 ? 0 : PENDING_KEY_BYTES }

  addRange(tombstone: RangeTombstone): void {
    this.#open().addRange(tombstone)
  }

  finish(): undefined {
    if (this.#writer !== undefined) this.#finishTable()
  }

  /** Returns the file of the last table, to be synced and closed. */
  finishUnsynced(): HostFile | undefined {
    if (this.#writer === undefined) return undefined
    this.tables.push(this.#writer.finish(false))
    this.#writer = undefined
    return this.#file
  }

  synced(): void {
    this.#file!.close()
    this.#file = undefined
  }

  close(): void {
    giveBuffers(this.#buffers)
  }

  #finishTable(): void {
    this.tables.push(this.#writer!.finish())
    this.#writer = undefined
    const file = this.#file!
    this.#file = undefined
    file.close()
  }

  /** Its errors would hide the first one, and recovery removes leftovers. */
  abandon(): void {
    if (this.#file !== undefined) quietly(() => this.#file!.close())
    for (const path of this.#created) quietly(() => this.#files.remove(path))
  }

  #open(): TableWriter {
    if (this.#writer !== undefined) return this.#writer
    const { nextFile, directoryPrefix, compression, blockBytes, filterBitsPerKey } = this.#options
    const fileNumber = Atomics.add(nextFile, 0, 1)
    const path = directoryPrefix + tableName(fileNumber)
    this.#file = this.#files.create(path)
    this.#created.push(path)
    this.#writer = new TableWriter(this.#file, {
      fileNumber, kernels: threadKernels(), compression, blockBytes, filterBitsPerKey, buffers: this.#buffers,
      ...(this.#kernelBlock === undefined ? {} : { kernelBlock: this.#kernelBlock }),
    })
    return this.#writer
  }
}

function quietly(act: () => void): void {
  try {
    act()
  } catch {
  }
}

/** `slotBytes`: per input. `isPlain`: no input has shifted sequence numbers, which the kernel does not support. */
function* writeTables(
  context: JobContext, args: FlushArgs | MergeArgs, inputs: readonly KernelInput[], ranges: readonly FragmentSource[], slotBytes: number,
  syncsValueFiles: boolean, isPlain = true,
): Generator<JobWait | void, Omit<JobOutput, 'bytesRead'>, void> {
  const { snapshots, outside, usesKernel = true } = args
  const placed = context.files.within(args.place)
  const files = args.isScratch ? new UnsyncedFiles(placed) : placed
  const kernel = usesKernel && isPlain ? KernelMerge.open(threadKernels(), inputs, slotBytes, args.blockBytes, snapshots) : undefined
  const output = new Output(files, args, kernel?.block)
  const merge = new MergeCursor(inputs)
  let entriesIn = 0
  let step = 0
  let finished = false
  try {
    const retention = new Retention(snapshots, outside, ranges, tombstone => output.addRange(tombstone))
    output.onCut = key => retention.cut(key)
    for (merge.seekToFirst(); merge.valid;) {
      if (kernel !== undefined && (kernel.isRunning || kernel.enter(merge.current, retention, output))) {
        step += kernel.run(STEP_BYTES - step, retention, output, merge)
      } else {
        const entry = merge.current
        while (!retention.approach(entry, STEP_BOUNDS)) {
          yield
          checkStop(args)
        }
        if (retention.keep(entry)) {
          output.add(entry, retention.startsKey)
          retention.startsKey = false
        }
        entriesIn++
        step += ENTRY_COST_BYTES + entry.keyEnd - entry.keyStart + entry.valueEnd - entry.valueStart
        merge.advance()
      }
      if (step >= STEP_BYTES) {
        step = 0
        yield
        checkStop(args)
      }
    }
    entriesIn += kernel?.entriesIn ?? 0
    while (!retention.finish(STEP_BOUNDS)) {
      yield
      checkStop(args)
    }
    const { beginSync } = context
    const unsynced = beginSync === undefined || args.isScratch ? output.finish() : output.finishUnsynced()
    if (unsynced !== undefined) {
      const wait = beginSync!(unsynced)
      if (wait === undefined) {
        unsynced.syncSync()
      } else {
        while (!wait.isOver) yield wait
        wait.check()
        checkStop(args)
      }
      output.synced()
    }
    const lateError = context.lateSyncError?.(args.directoryPrefix.slice(0, -1))
    if (lateError !== undefined) throw notDurable(`tables in ${args.directoryPrefix}`, lateError)
    const valueFiles = syncsValueFiles && !args.isScratch ? new Set(output.tables.flatMap(table => table.valueFiles)) : NO_FILES
    syncValueFiles(files, args.directoryPrefix, valueFiles)
    if (output.tables.length > 0) yield* syncDirectory(files, args.directoryPrefix, valueFiles.size > 0, beginSync)
    finished = true
  } finally {
    // Also when the job is abandoned at a yield.
    if (!finished) output.abandon()
    output.close()
    kernel?.close()
  }
  const bytesWritten = output.tables.reduce((sum, table) => sum + table.fileBytes, 0)
  return { tables: output.tables, entriesIn, entriesOut: output.entriesOut, bytesWritten }
}

function checkStop({ stop }: OutputOptions): void {
  if (Atomics.load(stop, 0) !== 0) throw new SpillwayError('SPILLWAY_ABORTED', 'the store is being closed')
}

/** After the flush the log is gone, so large values must be as durable as their references. */
function syncValueFiles(files: HostFiles, prefix: string, numbers: ReadonlySet<number>): void {
  for (const fileNumber of numbers) {
    const path = prefix + valueName(fileNumber)
    const file = files.openWrite(path)
    try {
      file.syncSync()
    } catch (cause) {
      throw notDurable(`large value ${path}`, cause)
    } finally {
      file.close()
    }
  }
}

/** Tables of a failed job are made again under new names; earlier large values are not. */
function* syncDirectory(files: HostFiles, prefix: string, holdsValues: boolean, beginSync: BeginSync | undefined): Generator<JobWait | void, void, void> {
  try {
    yield* files.syncDirectoryInSteps(prefix, beginSync)
  } catch (cause) {
    throw holdsValues && !isOutOfDescriptors(cause) ? notDurable(`large values in ${prefix}`, cause) : cause
  }
}

function flushSlotBytes({ blockBytes }: OutputOptions): number {
  return Math.max(FLUSH_SLOT_BYTES, 2 * blockBytes)
}

/** 1.5 x the target block size. Blocks with one oversized entry, or very many tiny ones, take the JavaScript path. */
function mergeSlotBytes({ blockBytes }: OutputOptions): number {
  return Math.ceil((blockBytes + (blockBytes >>> 1) + 128) / 16) * 16
}

function* flush(context: JobContext, args: FlushArgs): Generator<JobWait | void, JobOutput, void> {
  const memtable = new Memtable(args.buffer)
  const ranges = new ListedFragments(RangeSet.compactFor(memtable.ranges(), args.snapshots))
  const run = new MemtableRun(args.buffer)
  return { ...yield* writeTables(context, args, [run], [ranges], flushSlotBytes(args), true), bytesRead: 0 }
}

function* merge(context: JobContext, args: MergeArgs): Generator<JobWait | void, JobOutput, void> {
  const files = context.files.within(args.place)
  const budget = new Budget(args.windowBytes)
  const windows = new WindowPool(budget.account('windows', 'the lease of the merge'), args.windowBytes)
  const openFile = (fileNumber: number): HostFile => files.openRead(args.directoryPrefix + tableName(fileNumber))
  const { readAheadBytes, snapshots, seqOffsets } = args
  const runs = args.runs.map(tables => new MergeRun(tables, { openFile, kernels: threadKernels(), windows, snapshots, seqOffsets }, readAheadBytes))
  try {
    const output = yield* writeTables(context, args, runs, runs.map(run => run.ranges), mergeSlotBytes(args), false, (seqOffsets?.size ?? 0) === 0)
    return { ...output, bytesRead: runs.reduce((bytes, run) => bytes + run.bytesRead, 0) }
  } finally {
    for (const run of runs) run.close()
    windows.close()
  }
}

export const jobs: Record<string, Job<any, unknown>> = { flush, merge, publish }
