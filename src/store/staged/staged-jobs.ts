/**
 * Flushes and merges of staged tables.
 *
 * Invariants
 * 1. One flush and one merge at a time. Tombstones stay: they hide entries of the store.
 * 2. Runs stay few: the smallest are merged when there are many. A run of many small tables is merged into one.
 * 3. A job that ends after the write is over removes its output.
 * 4. Denied memory is retried first. Any other failure is thrown once, at the next write, and then retried after growing pauses
 *    (`retry-pause.ts`). A large value that could not be made durable is final.
 *
 * Account: `flush and merge`. Cost: each byte is written once, and once more for every eightfold of overlapping runs.
 */
import { isNotDurable } from '../../compaction/sync-errors.ts'
import type { JobOutput, OutputOptions } from '../../compaction/jobs.ts'
import { isDenied } from '../api/denied.ts'
import { ioError } from '../api/io-errors.ts'
import type { SnapshotList } from '../api/snapshots.ts'
import type { Background } from '../background/background.ts'
import { startFlush } from '../background/flush-job.ts'
import type { FlushOwner } from '../background/flush-job.ts'
import { MergeWindows, submitMerge } from '../background/merge-job.ts'
import { RetryPause } from '../background/retry-pause.ts'
import type { MergeMemory } from '../engine/job-scheduler.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { Run } from '../state/run.ts'
import type { StoreState } from '../state/store-state.ts'
import type { StagedRuns } from './staged-runs.ts'

/** From this many runs on the smallest are merged, at most MERGE_WIDTH at once. */
const MERGE_FROM_RUNS = 12
const MERGE_WIDTH = 8
/** A run of this many tables, smaller than this on average, is merged into one: the metadata of each takes memory. */
const MERGE_FROM_TABLES = 8
const SMALL_TABLE_BYTES = 32 * 1024
/** Jobs in a row that were denied memory before the failure is reported. */
const MAX_DENIALS = 24

/** The staged tables. */
export interface JobsOwner {
  /** Being flushed: at most one. */
  readonly sealed: readonly MemtableSlot[]
  exchange(change: { sealed: readonly MemtableSlot[] }): void
  readonly snapshots: SnapshotList
  /** Being committed: no more merges. */
  readonly finishing: boolean
  /** Handed over or discarded. */
  readonly isClosed: boolean
  /** The runs have a new tree. */
  onTables(): void
  giveBack(slot: MemtableSlot): void
}

export class StagedJobs implements FlushOwner {
  readonly #store: StoreState
  readonly #background: Background
  readonly #owner: JobsOwner
  readonly #runs: StagedRuns
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #windows = new MergeWindows()
  readonly #pause: RetryPause
  #isFlushing = false
  #isMerging = false
  /** A merge was denied memory: the next one starts after a change. */
  #isMergeDenied = false
  #denials = 0
  #error: Error | undefined
  /** A large value could not be made durable; a later success would prove nothing. */
  #isLost = false

  constructor(store: StoreState, background: Background, owner: JobsOwner, runs: StagedRuns) {
    this.#store = store
    this.#background = background
    this.#owner = owner
    this.#runs = runs
    this.#pause = new RetryPause(store.host.clock)
  }

  get isFlushing(): boolean { return this.#isFlushing }
  get isMerging(): boolean { return this.#isMerging }
  /** Of the last job, while it was not thrown yet. */
  get error(): Error | undefined { return this.#error }

  /** Throws the error of a job, once. */
  check(): void {
    const error = this.#error
    if (!this.#isLost) this.#error = undefined
    if (error !== undefined) throw error
  }

  /** Retry a failed flush. False: there is none, or one runs already. */
  retryFlush(isAskedFor = false): boolean {
    const { sealed, isClosed } = this.#owner
    if (isClosed || this.#isFlushing || this.#isLost || sealed.length === 0 || !(isAskedFor || this.#pause.isOver)) return false
    this.flush(sealed[0]!)
    return true
  }

  /** Retry a merge that was denied memory. */
  retryMerge(isAskedFor: boolean): void {
    if (!this.#isMergeDenied || !(isAskedFor || this.#pause.isOver)) return
    this.#isMergeDenied = false
    this.schedule()
  }

  /** Running jobs end at their next step. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1)
  }

  /** Start a merge if one is due. */
  schedule(): void {
    const { isClosed, finishing } = this.#owner
    if (isClosed || this.#isMerging || this.#isMergeDenied || finishing || this.#store.health.closing) return
    const { tree } = this.#runs
    const scattered = tree.runs.find(({ readers, bytes }) => readers.length >= MERGE_FROM_TABLES && bytes < readers.length * SMALL_TABLE_BYTES)
    if (scattered !== undefined) this.#merge([scattered])
    else if (this.#runs.length >= MERGE_FROM_RUNS) this.#merge([...tree.runs].sort((a, b) => a.bytes - b.bytes))
  }

  /** Write the sealed memtable to a table. */
  flush(slot: MemtableSlot): void {
    const output = this.#output(Number.MAX_SAFE_INTEGER)
    this.#isFlushing = true
    this.#store.transactions.jobs++
    startFlush(this.#store, this, slot, { ...output, buffer: slot.buffer, snapshots: this.#owner.snapshots.seqs(), outside: undefined })
  }

  get isOver(): boolean { return this.#owner.isClosed }

  install(_slot: MemtableSlot, output: JobOutput, done: (error: Error | undefined) => void): void {
    let error: Error | undefined
    try {
      this.#install(output, [])
    } catch (cause) {
      error = cause as Error
    }
    done(error)
  }

  flushed(slot: MemtableSlot): void {
    this.#flushEnded()
    this.#owner.exchange({ sealed: [] })
    this.#owner.giveBack(slot)
    this.#denials = 0
    this.#error = undefined
    this.#pause.succeeded()
    this.schedule()
  }

  failed(cause: Error): void {
    this.#flushEnded()
    this.#failed(cause, 'flushing a transaction')
  }

  abandoned(slot: MemtableSlot, output: JobOutput | undefined): void {
    this.#flushEnded()
    this.#runs.removeFiles(output)
    this.#owner.exchange({ sealed: [] })
    this.#owner.giveBack(slot)
  }

  #flushEnded(): void {
    this.#store.transactions.jobs--
    this.#isFlushing = false
  }

  #output(targetTableBytes: number): OutputOptions {
    return { ...this.#background.output(0, targetTableBytes), stop: this.#stop }
  }

  /** Merge the first of `runs` into one, as many as memory allows. */
  #merge(runs: readonly Run[]): void {
    const store = this.#store
    let picked: Run[] = []
    let memory: MergeMemory | undefined
    for (const width of [MERGE_WIDTH, MERGE_WIDTH / 2, 2]) {
      picked = runs.slice(0, width)
      memory = this.#windows.admit(store, Math.max(2, picked.length))
      if (memory !== undefined) break
    }
    if (memory === undefined) return
    const { release } = memory
    const bytes = picked.reduce((sum, run) => sum + run.bytes, 0)
    this.#isMerging = true
    this.#runs.beginMerge(picked)
    store.transactions.jobs++
    submitMerge(store, this.#output(store.strategy.targetTableBytes), {
      runs: picked.map(run => run.readers.map(({ fileNumber }) => fileNumber)), snapshots: this.#owner.snapshots.seqs(), outside: undefined,
    }, memory, bytes, (error, output) => {
      store.transactions.jobs--
      this.#isMerging = false
      this.#runs.endMerge()
      release()
      if (this.#owner.isClosed) this.#runs.removeFiles(output)
      else this.#merged(error, output, picked)
      store.engine.jobs.progress()
    })
  }

  #merged(error: Error | undefined, output: JobOutput | undefined, picked: readonly Run[]): void {
    if (error !== undefined && this.#windows.grow(error)) return
    try {
      if (error !== undefined) throw error
      this.#install(output!, picked)
      this.#store.counters.mergeBytes += output!.bytesWritten
      this.#denials = 0
    } catch (cause) {
      this.#isMergeDenied = true
      this.#failed(cause as Error, 'merging the tables of a transaction')
    }
  }

  #install(output: JobOutput, replaced: readonly Run[]): void {
    this.#runs.install(output, replaced)
    this.#isMergeDenied = false
    this.#owner.onTables()
  }

  /** Thrown at the next write, unless a retry may find memory. */
  #failed(cause: Error, doing: string): void {
    if (isDenied(cause) && ++this.#denials <= MAX_DENIALS) return
    this.#denials = 0
    this.#error = ioError(cause, doing)
    this.#pause.failed()
    this.#isLost ||= isNotDurable(cause)
  }
}
