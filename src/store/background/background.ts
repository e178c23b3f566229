/**
 * Flushes and merges: hands them to the job runner, has what they made installed, retries what failed.
 *
 * Invariants
 * 1. At most one flush runs at a time and it comes before any merge, so that a writer waits for one flush at most.
 * 2. Tables that a running merge reads are hidden from the strategy; a failed merge unhides them and changes nothing else.
 * 3. A flush or merge runs until its tables are installed (`version-installer.ts`) or that has failed.
 * 4. A failed flush keeps its memtable and log; it is retried with growing pauses, shorter ones when writers want room
 *    (`retry-pause.ts`), and at once when a flush is asked for. One that could not make a large value durable is not: the store takes
 *    no more writes.
 *
 * Account: `flush and merge`, through the engine.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { FlushArgs, JobOutput, MergeArgs, OutputOptions } from '../../compaction/jobs.ts'
import type { SeqOffsets } from '../../compaction/merge-run.ts'
import { narrowPick } from '../../compaction/shrink-pick.ts'
import { isNotDurable } from '../../compaction/sync-errors.ts'
import type { Pick } from '../../compaction/strategy.ts'
import type { SeqRange, TableRecord } from '../../manifest/version.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { compareKeys } from '../../base/bytes.ts'
import type { StoreState } from '../state/store-state.ts'
import { isDenied } from '../api/denied.ts'
import { emitError, emitFlush, emitMerge } from '../api/events.ts'
import { VersionInstaller } from './version-installer.ts'
import { ioError } from '../api/io-errors.ts'
import { RetryPause } from './retry-pause.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import { recordOf } from '../state/tree.ts'

/** Runs merged at once because metadata is short. */
const SHORT_MERGE_RUNS = 8
/** Merges come after flushes, the smaller before the larger. */
const MERGE_PRIORITY = 1
const FIRST_RETRY_MS = 50
const LONGEST_RETRY_MS = 10_000
/** So many failures in a row that are not for want of space, and the store stops taking writes. */
const MAX_FAILURES = 5
/** And for so long: writers that want room, and calls of \`flush\`, shorten the pauses. */
const MIN_FAILING_MS = 1500
/** So many times in a row a job that found no room for its tables' metadata is tried again before anybody hears of it. */
const MAX_DENIALS = 24

/**
 * What another run costs a read, and what a byte of a table costs a merge, in microseconds of one core; fewer reads of runs than
 * MIN_RUN_READS are of no account. Of a merge that is due to what was written a reader pays only a part: nobody else needs the core.
 */
const RUN_READ_US = 0.3
const MERGE_BYTE_US = 0.01
const MIN_RUN_READS = 50_000
const DUE_SHARE = 1 / 32
const MIN_NEW = 0.9
/** While somebody writes: how long it takes to write what is in tables, and what share of it is new since the last time. */
const MIN_SECONDS = 30
const MIN_NEW_BESIDE = 1 / 16
/** Readers who had in the cache, of what was merged, half as much as was made of it will want that. */
const MIN_CACHED = 0.5
/** Memory of blocks by their bytes: the ends of slots, the directory, and blocks of the index. */
const WARM_OVERHEAD = 1.05
/** A longer merge would be in the way of writers who come back. */
const MAX_BYTES_FOR_READERS = 512 * 1024 * 1024

export class Background {
  readonly #core: StoreState
  /** Called after a flush with the first log segment that is still needed. */
  onFlushed: (logFloor: number) => void = () => {}
  /** Why the last flush failed; undefined after one that succeeded. */
  flushError: Error | undefined
  readonly #installs: VersionInstaller
  readonly #pause: RetryPause
  readonly #hidden = new Set<number>()
  #mergesRunning = 0
  #flushRunning = false
  #failures = 0
  #failingSinceMs = 0
  /** Flushes in a row that found no room. */
  #denials = 0
  #flushDenied = false
  #deniedAfterMerges = 0
  /** Grows when merges find their windows too small for the blocks they meet. */
  #windowFactor = 1
  #paused = 0
  #cancelRetry: (() => void) | undefined
  #mergeRetryAt = 0
  #optionalRetryAt = 0
  /** Bytes flushed when all runs were last merged into one, or were to be for readers. */
  #wholeAt = 0
  #waiting: (() => void)[] = []

  constructor(core: StoreState) {
    this.#core = core
    this.#installs = new VersionInstaller(core)
    this.#pause = new RetryPause(core.host.clock)
  }

  get mergesRunning(): number { return this.#mergesRunning }
  get isFlushing(): boolean { return this.#flushRunning }
  /** The next manifest is on its way to the disk. */
  get isInstalling(): boolean { return this.#installs.isBusy }
  /** No job of this store runs. */
  get isIdle(): boolean { return !this.#flushRunning && this.#mergesRunning === 0 && this.#core.transactions.jobs === 0 }

  /** Resolves when the next job has ended. */
  changed(): Promise<void> {
    this.retryNow()
    if (this.#core.engine.runner.pending === 0) return new Promise(resolve => this.#core.host.scheduler.soon(resolve))
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Park this thread until a job has ended; false when none runs. */
  waitInside(): boolean {
    return this.#core.engine.runner.pump(true)
  }

  /** Write a sealed memtable to a table. */
  flush(slot: MemtableSlot): void {
    const core = this.#core
    core.ownership.watch()
    this.#flushRunning = true
    const args: FlushArgs = {
      ...this.output(0, Number.MAX_SAFE_INTEGER),
      buffer: slot.buffer,
      snapshots: core.snapshots.seqs(),
      outside: core.view.tree.outside(new Set(), slot.memtable.largestSeq),
    }
    const end = (finish: () => void): void => core.engine.endFlush(() => {
      this.#flushRunning = false
      finish()
    })
    core.engine.flush(args, (error, output) => {
      if (core.health.closing || core.health.closed) {
        end(() => this.#discard(output))
        return
      }
      if (error !== undefined) {
        end(() => this.#flushFailed(error))
        return
      }
      const { logNumber } = core.view.sealed[1] ?? core.view.active
      this.#installs.add(output.tables, {
        add: { tables: output.tables.map(recordOf), level: 0, joinsRun: false },
        lastSeq: slot.memtable.largestSeq,
        logFloor: logNumber,
      }, failure => end(() => failure === undefined ? this.#flushed(slot, output, logNumber) : this.#flushFailed(failure)))
    })
  }

  /** A flush that failed begins again now, if the pause since then is over or it is asked for: true if it does. */
  retryNow(isAskedFor = false): boolean {
    const slot = this.#core.view.sealed[0]
    if (slot === undefined || this.#flushRunning || this.#core.health.closing || this.#core.health.readOnlyReason !== undefined || !this.#core.ownership.isOurs) return false
    if (!isAskedFor && !this.#pause.isOver) return false
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    this.flush(slot)
    return true
  }

  /** Start the merges the strategy asks for, as many as may run at once. */
  schedule(): void {
    const core = this.#core
    this.#scheduleMerges()
    // A flush that found no room for its tables' metadata waits for a merge, which gives some back, if one runs.
    if (!this.#flushDenied || (core.engine.mergesRunning > 0 && core.engine.mergesEnded === this.#deniedAfterMerges)) return
    this.#flushDenied = false
    if (!core.health.closed) this.retryNow(true)
  }

  #scheduleMerges(): void {
    const core = this.#core
    while (this.#paused === 0 && !core.health.closing && !core.health.closed && core.health.readOnlyReason === undefined) {
      if (core.host.clock.nowMs() < this.#mergeRetryAt) return
      const pick = core.strategy.pick(core.view.tree.view(this.#hidden)) ?? this.#pickForMetadata()
      if (pick === undefined || !this.#merge(pick, () => {})) return
    }
  }

  /** When metadata is short: the smallest runs, whatever the strategy thinks of it. Fewer tables take less memory. */
  #pickForMetadata(): Pick | undefined {
    const { engine, view: { tree }, strategy } = this.#core
    if (!engine.isMetadataShort || strategy.name !== 'tiered') return undefined
    const runs = tree.runs.filter(run => !run.tables.some(table => this.#hidden.has(table.id))).sort((a, b) => a.bytes - b.bytes).slice(0, SHORT_MERGE_RUNS)
    if (runs.length < 2) return undefined
    return {
      tables: runs.flatMap(run => run.tables.map(table => table.id)), outputLevel: 0, joinsRun: false,
      targetTableBytes: strategy.parameters['targetTableBytes']!, reason: 'table metadata is short of memory',
    }
  }

  /**
   * Little is written, or nothing: merge all runs into one, once reads have paid for their number what that costs. So a store that is only read
   * pays at most twice what is needed, however long it is read. Much less is asked when about as much was flushed since the last time
   * as there is to merge: these merges write each byte once more in all, then.
   */
  mergeForReaders(bytesPerSecond: number): void {
    const core = this.#core
    const { tree } = core.view
    const { runReads, tableBytes } = tree
    const { flushBytes } = core.counters
    // Without a worker it is the readers' own thread that merges.
    const isDue = core.engine.plan.mode === 'worker' && flushBytes - this.#wholeAt >= tableBytes * MIN_NEW
    // Beside writers only where they would need long to write as much, and each of their bytes is the reason for few others.
    if (bytesPerSecond > 0 && (bytesPerSecond * MIN_SECONDS > tableBytes || flushBytes - this.#wholeAt < tableBytes * MIN_NEW_BESIDE)) return
    const priceUs = tableBytes * MERGE_BYTE_US * (isDue ? DUE_SHARE : 1)
    if (runReads < MIN_RUN_READS || runReads * RUN_READ_US < priceUs || tableBytes > MAX_BYTES_FOR_READERS) return
    if (tree.runs.length < 2 || this.#paused > 0 || !this.isIdle || core.view.sealed.length > 0 || core.health.closing || core.health.readOnlyReason !== undefined) return
    if (core.host.clock.nowMs() < Math.max(this.#mergeRetryAt, this.#optionalRetryAt)) return
    // Whatever becomes of it, the next one is not before they have paid as much again.
    tree.runReads = 0
    this.#wholeAt = flushBytes
    const pick = this.#pickRange(undefined, undefined)
    if (pick === undefined) return
    // As in `compact`: while all runs go to the deepest level, no other merge may put tables into its gaps. Where there are no levels
    // what is flushed meanwhile is merged beside it: writers may come back.
    const pauses = core.strategy.name === 'leveled' ? 1 : 0
    this.#paused += pauses
    const resume = (): void => {
      this.#paused -= pauses
    }
    const isStarted = this.#merge({ ...pick, isOptional: true, reason: 'readers look through several runs, and little is written' }, () => {
      resume()
      if (!core.health.closed) this.schedule()
    })
    if (!isStarted) resume()
  }

  /** Merge everything that overlaps a range of keys, given as inclusive bounds, into its final place. */
  async compact(first: Uint8Array | undefined, last: Uint8Array | undefined): Promise<void> {
    const core = this.#core
    this.#paused++
    let denials = 0
    try {
      for (;;) {
        while (this.#mergesRunning > 0 || !core.engine.hasMergePlace) {
          await this.changed()
          core.health.checkWritable()
        }
        const pick = this.#pickRange(first, last)
        if (pick === undefined) return
        core.ownership.check()
        const factor = this.#windowFactor
        const merged = this.#mergeAskedFor(pick)
        // Memtables may hold what it needs.
        if (merged === undefined && !core.engine.isBusy) core.engine.makeRoom()
        if (merged === undefined && core.engine.isBusy) {
          // Jobs hold the memory, or are about to bring some.
          await this.changed()
          core.health.checkWritable()
          continue
        }
        if (merged === undefined) {
          throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `no room to merge even two runs. ${core.engine.budget.advice()}`)
        }
        const { error, whole } = await merged
        if (error === undefined && whole) return
        // With wider windows it is tried again, and when there was no room for the new tables' metadata.
        const isHopeful = this.#windowFactor !== factor || (isDenied(error) && ++denials <= MAX_DENIALS)
        if (error !== undefined && !isHopeful) throw error
      }
    } finally {
      this.#paused--
      if (!core.health.closed) this.schedule()
    }
  }

  /** Stop this store's jobs at their next step; resolves when none runs any more. What they had made is removed. */
  async close(): Promise<void> {
    const core = this.#core
    this.#cancelRetry?.()
    core.health.stopJobs()
    while (!this.isIdle) await this.changed()
    this.wake()
  }

  /** Some job has ended. */
  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** A job of a store that was closed meanwhile had ended already: nobody will name its tables. */
  #discard(output: JobOutput | undefined): void {
    for (const { fileNumber } of output?.tables ?? []) this.#core.files.discard(this.#core.files.tablePath(fileNumber))
  }

  /** Undefined: there is no memory for it now, and nothing was started. */
  #mergeAskedFor(pick: Pick): Promise<{ error: Error | undefined, whole: boolean }> | undefined {
    let resolve!: (outcome: { error: Error | undefined, whole: boolean }) => void
    const outcome = new Promise<{ error: Error | undefined, whole: boolean }>(onResolve => resolve = onResolve)
    return this.#merge(pick, (error, whole) => resolve({ error, whole })) ? outcome : undefined
  }

  /** @internal Options of a job that writes tables of this store. */
  output(level: number, targetTableBytes: number): OutputOptions {
    const { settings, host, health: { stop }, files: { directory, reference: place, nextNumber: nextFile } } = this.#core
    const { compression, blockBytes, filterBitsPerKey } = settings
    return {
      directoryPrefix: host.join(directory, 'x').slice(0, -1), place,
      compression: compression[Math.min(level, compression.length - 1)]!,
      blockBytes, filterBitsPerKey, targetTableBytes, nextFile, stop, isScratch: settings.isScratch,
    }
  }

  #flushed(slot: MemtableSlot, output: JobOutput, logFloor: number): void {
    const core = this.#core
    core.setMemtables(core.view.active, core.view.sealed.slice(1))
    for (const number of slot.valueFiles) core.files.unsyncedValues.delete(number)
    core.valueFiles.release(slot.valueFiles)
    slot.close()
    core.engine.admission.give(slot.buffer)
    core.counters.flushes++
    core.counters.flushBytes += output.bytesWritten
    core.engine.governor.traffic.flushedBytes += output.bytesWritten
    emitFlush({ directory: core.files.directory, entries: output.entriesOut, bytesWritten: output.bytesWritten, tables: output.tables.length })
    this.flushError = undefined
    this.#pause.succeeded()
    this.#failures = 0
    this.#denials = 0
    this.onFlushed(logFloor)
  }

  #flushFailed(cause: Error): void {
    const core = this.#core
    const error = this.#failed(cause, 'flushing a memtable')
    if (isDenied(cause)) this.#deniedAfterMerges = core.engine.mergesEnded
    if (isDenied(cause) && (core.engine.mergesRunning > 0 || ++this.#denials <= MAX_DENIALS)) {
      // Room may be there the next moment: it begins again before the engine tells anybody that a job has ended, so that
      // whoever waits for this flush, in whatever store, waits on.
      this.#flushDenied = true
      return
    }
    this.flushError = error
    this.#pause.failed()
    emitFlush({ directory: core.files.directory, entries: 0, bytesWritten: 0, tables: 0, error })
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#pause.failures, 10))
    this.#cancelRetry?.()
    this.#cancelRetry = core.host.scheduler.later(delayMs, () => {
      this.#cancelRetry = undefined
      if (!core.health.closed) this.retryNow(true)
    }, true)
  }

  /**
   * Start a merge, narrower than asked for when memory is short: `done` says whether the whole pick was merged. False: there
   * is no memory even for two runs, and nothing was started.
   */
  #merge(wanted: Pick, done: (error: Error | undefined, whole: boolean) => void): boolean {
    const core = this.#core
    if (!core.ownership.isOurs) return false
    core.ownership.watch()
    let pick = wanted
    let inputs = this.#inputsOf(pick)
    let memory = core.engine.admitMerge(inputs.runs.length, this.#windowFactor, core.settings.blockBytes)
    while (memory === undefined && core.engine.hasMergePlace && inputs.runs.length > 2) {
      pick = narrowPick(wanted, core.view.tree.view(this.#hidden), inputs.runs.length - 1)
      inputs = this.#inputsOf(pick)
      memory = core.engine.admitMerge(inputs.runs.length, this.#windowFactor, core.settings.blockBytes)
    }
    if (memory === undefined) return false
    const { runs, bytes, maxSeq } = inputs
    const { release } = memory
    const args: MergeArgs = {
      ...this.output(pick.outputLevel, pick.targetTableBytes),
      runs, snapshots: core.snapshots.seqs(),
      // Beside tables of a large transaction there may be older entries in memory that are in no table yet.
      outside: maxSeq > core.view.version.lastSeq ? undefined : core.view.tree.outside(new Set(pick.tables), maxSeq),
      ...offsetsOf(pick.tables.map(number => core.tables.get(number))),
      readAheadBytes: memory.readAheadBytes, windowBytes: memory.windowBytes,
    }
    for (const table of pick.tables) this.#hidden.add(table)
    this.#mergesRunning++
    // Its tables are hidden, and its place is taken, until what it made is installed.
    const end = (finish: () => Error | undefined): void => {
      this.#mergesRunning--
      for (const table of pick.tables) this.#hidden.delete(table)
      release()
      done(finish(), pick.tables.length === wanted.tables.length)
      core.engine.progress()
    }
    core.engine.runner.submit({ name: 'merge', args, priority: MERGE_PRIORITY + bytes }, (error, result) => {
      const output = result as JobOutput
      if (core.health.closing || core.health.closed) {
        end(() => {
          this.#discard(output)
          return new SpillwayError('SPILLWAY_CLOSED', 'the store was closed before this was done')
        })
        return
      }
      if (error !== undefined) {
        end(() => this.#mergeFailed(pick, error))
        return
      }
      this.#installs.add(output.tables, {
        remove: pick.tables,
        add: { tables: output.tables.map(recordOf), level: pick.outputLevel, joinsRun: pick.joinsRun },
      }, (failure, droppedBytes) => end(() => failure === undefined ? this.#merged(pick, output, droppedBytes) : this.#mergeFailed(pick, failure)))
    })
    return true
  }

  #inputsOf(pick: Pick): { runs: number[][], bytes: number, maxSeq: number } {
    const inputs = new Set(pick.tables)
    const runs: number[][] = []
    let maxSeq = 0
    let bytes = 0
    for (const run of this.#core.view.tree.runs) {
      const readers = run.readers.filter(reader => inputs.has(reader.properties.fileNumber))
      if (readers.length === 0) continue
      runs.push(readers.map(reader => reader.properties.fileNumber))
      maxSeq = Math.max(maxSeq, ...readers.map(reader => reader.properties.maxSeq))
      bytes += readers.reduce((total, reader) => total + reader.properties.fileBytes, 0)
    }
    return { runs, bytes, maxSeq }
  }

  /** `droppedBytes`: what the cache held of the tables that were merged. */
  #merged(pick: Pick, output: JobOutput, droppedBytes: number): undefined {
    const core = this.#core
    core.counters.merges++
    core.counters.mergeBytes += output.bytesWritten
    core.engine.governor.traffic.mergeBytes += output.bytesRead + output.bytesWritten
    emitMerge({
      directory: core.files.directory, inputs: pick.tables.length, outputs: output.tables.length, level: pick.outputLevel, bytesWritten: output.bytesWritten,
    })
    this.#failures = 0
    if (core.view.tree.runs.length === 1) this.#wholeAt = core.counters.flushBytes
    const { blockBytes } = core.settings
    const tables = output.tables.map(({ fileNumber, blocks }) => ({ table: core.tables.get(fileNumber), bytes: WARM_OVERHEAD * blocks * blockBytes }))
    const bytes = tables.reduce((total, table) => total + table.bytes, 0)
    if (pick.isOptional === true || droppedBytes >= MIN_CACHED * bytes) core.engine.warm(tables)
  }

  #mergeFailed(pick: Pick, cause: Error): Error {
    const error = this.#retryMerge(cause, pick.isOptional === true)
    emitMerge({ directory: this.#core.files.directory, inputs: pick.tables.length, outputs: 0, level: pick.outputLevel, bytesWritten: 0, error })
    return error
  }

  #retryMerge(cause: Error, isOptional: boolean): Error {
    const core = this.#core
    const { code, details } = cause as { code?: unknown, details?: { account?: unknown } }
    if (code === 'SPILLWAY_BUDGET_TOO_SMALL' && details?.account === 'windows' && this.#windowFactor < 64) {
      this.#windowFactor *= 2
      return cause
    }
    const failures = this.#failures
    const error = this.#failed(cause, 'merging tables', !isOptional)
    if (isOptional) {
      this.#failures = failures
      this.#optionalRetryAt = core.host.clock.nowMs() + LONGEST_RETRY_MS
      return error
    }
    const delayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures)
    this.#mergeRetryAt = core.host.clock.nowMs() + delayMs
    core.host.scheduler.later(delayMs + 1, () => {
      if (!core.health.closed) this.schedule()
    }, true)
    return error
  }

  /** `isNeeded`: without it the store cannot go on for ever. */
  #failed(cause: Error, doing: string, isNeeded = true): Error {
    const core = this.#core
    const error = ioError(cause, doing)
    core.health.lastBackgroundError = error
    core.counters.backgroundErrors++
    const nowMs = core.host.clock.nowMs()
    if (this.#failures++ === 0) this.#failingSinceMs = nowMs
    const lasts = isNeeded && this.#failures >= MAX_FAILURES && nowMs - this.#failingSinceMs >= MIN_FAILING_MS
    const { code } = error as { code?: unknown }
    if (code === 'SPILLWAY_FENCED') core.ownership.lose(error)
    else if (isNotDurable(error) || (code !== 'SPILLWAY_NO_SPACE' && code !== 'SPILLWAY_BUDGET_TOO_SMALL' && lasts)) core.health.failStop(error)
    emitError({ directory: core.files.directory, error, readOnly: core.health.readOnlyReason !== undefined })
    return error
  }

  /** Call `install` when nothing is being installed, before what waits for that; resolves to what it returns. */
  installTurn<T>(install: () => T): Promise<T> {
    return this.#installs.turn(install)
  }

  /**
   * Make the tables of a transaction, which are open, part of the store, while `isInstalling` is false. On an error the store is as
   * it was, unless it is read-only then.
   */
  installTransaction(runs: readonly (readonly TableRecord[])[], ahead: SeqRange): void {
    this.#installs.now([], { addRuns: runs, ahead })
  }

  /** Resolves when nothing is being installed. */
  async installed(): Promise<void> {
    while (this.isInstalling) await this.changed()
  }

  /** All tables that overlap the range, widened until no table outside overlaps what is inside. */
  #pickRange(first: Uint8Array | undefined, last: Uint8Array | undefined): Pick | undefined {
    const { view: { tree }, strategy } = this.#core
    const chosen = new Set<number>()
    for (let grew = true; grew;) {
      grew = false
      for (const run of tree.runs) {
        for (const table of run.tables) {
          if (chosen.has(table.id)) continue
          if (first !== undefined && compareKeys(table.lastKey, first) < 0) continue
          if (last !== undefined && compareKeys(table.firstKey, last) > 0) continue
          chosen.add(table.id)
          grew = true
          if (first !== undefined && compareKeys(table.firstKey, first) < 0) first = table.firstKey
          if (last !== undefined && compareKeys(table.lastKey, last) > 0) last = table.lastKey
        }
      }
    }
    if (chosen.size === 0) return undefined
    const leveled = strategy.name === 'leveled'
    const deepest = tree.runs.reduce((level, run) => Math.max(level, run.level), leveled ? 1 : 0)
    return {
      tables: [...chosen], outputLevel: deepest, joinsRun: leveled,
      targetTableBytes: strategy.parameters['targetTableBytes']!, reason: 'asked for',
    }
  }
}

/** What a job has to add to the sequence numbers of these tables. */
function offsetsOf(readers: readonly TableReader[]): { seqOffsets?: SeqOffsets } {
  const shifted = readers.filter(({ seqOffset }) => seqOffset !== 0)
  return shifted.length === 0 ? {} : { seqOffsets: new Map(shifted.map(({ fileNumber, seqOffset }) => [fileNumber, seqOffset])) }
}
