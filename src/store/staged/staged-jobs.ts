/**
 * Flushes and merges of a large write: when they begin, what becomes of what they made, and what when they fail.
 *
 * Invariants
 * 1. One flush and one merge at a time. Tombstones stay: they hide what is in the store.
 * 2. Runs stay few: the smallest are merged when there are many. Tables stay few for what they hold: a run of many small ones is
 *    merged into one.
 * 3. A job that ends when the write is over removes what it made.
 * 4. Want of memory is tried again first. Any other failure is told once, at the next write, and then tried again, with pauses that grow
 *    when others ask for it (`retry-pause.ts`); that a large value could not be made durable is final.
 *
 * Account: `flush and merge`. Cost: each byte is written once, and once more for every eightfold of runs that overlap.
 */
import { isNotDurable } from '../../compaction/sync-errors.ts'
import type { FlushArgs, JobOutput, MergeArgs } from '../../compaction/jobs.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import { ioError } from '../api/io-errors.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import { RetryPause } from '../background/retry-pause.ts'
import type { Run } from '../state/run.ts'
import type { SnapshotList } from '../api/snapshots.ts'
import type { StagedRuns } from './staged-runs.ts'

/** With so many runs the smallest are merged, so many at once. */
const MERGE_FROM_RUNS = 12
const MERGE_WIDTH = 8
/** A run of so many tables, which are smaller than this on average, is merged into one: the metadata of each takes memory. */
const MERGE_FROM_TABLES = 8
const SMALL_TABLE_BYTES = 32 * 1024
const MERGE_PRIORITY = 1
/** Flushes and merges in a row that failed for want of memory. */
const MAX_DENIALS = 24

/** Whose jobs they are. */
export interface JobsOwner {
  /** Being flushed: none or one. */
  readonly sealed: readonly MemtableSlot[]
  exchange(change: { sealed: readonly MemtableSlot[] }): void
  readonly snapshots: SnapshotList
  /** It is being committed: no more merges. */
  readonly finishing: boolean
  /** It was handed over or discarded. */
  readonly isClosed: boolean
  /** The runs have a new tree. */
  onTables(): void
  giveBack(slot: MemtableSlot): void
}

export class StagedJobs {
  readonly #core: StoreState
  readonly #background: Background
  readonly #owner: JobsOwner
  readonly #runs: StagedRuns
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  #isFlushing = false
  #isMerging = false
  /** A merge found no memory: the next one begins when something has changed, or when nothing else goes on. */
  #isMergeDenied = false
  #windowFactor = 1
  #denials = 0
  #error: Error | undefined
  readonly #pause: RetryPause
  /** A large value could not be made durable: a later attempt that succeeds would prove nothing. */
  #isLost = false

  constructor(core: StoreState, background: Background, owner: JobsOwner, runs: StagedRuns) {
    this.#core = core
    this.#background = background
    this.#owner = owner
    this.#runs = runs
    this.#pause = new RetryPause(core.host.clock)
  }

  get isFlushing(): boolean { return this.#isFlushing }
  get isMerging(): boolean { return this.#isMerging }
  /** What the last job failed with, if nobody was told yet. */
  get error(): Error | undefined { return this.#error }

  /** Throws what a job failed with. The next attempt begins anew. */
  check(): void {
    const error = this.#error
    if (!this.#isLost) this.#error = undefined
    if (error !== undefined) throw error
  }

  /** A flush that failed begins again: false if there is none, or it has begun already. */
  retryFlush(isAskedFor = false): boolean {
    const { sealed, isClosed } = this.#owner
    if (isClosed || this.#isFlushing || this.#isLost || sealed.length === 0 || !(isAskedFor || this.#pause.isOver)) return false
    this.flush(sealed[0]!)
    return true
  }

  /** The same for a merge that found no memory. */
  retryMerge(isAskedFor: boolean): void {
    if (!this.#isMergeDenied || !(isAskedFor || this.#pause.isOver)) return
    this.#isMergeDenied = false
    this.schedule()
  }

  /** Those that run end at their next step. */
  stop(): void {
    Atomics.store(this.#stop, 0, 1)
  }

  /** Start a merge if there is something to merge. */
  schedule(): void {
    const { isClosed, finishing } = this.#owner
    if (isClosed || this.#isMerging || this.#isMergeDenied || finishing || this.#core.health.closing) return
    const { tree } = this.#runs
    const scattered = tree.runs.find(({ readers, bytes }) => readers.length >= MERGE_FROM_TABLES && bytes < readers.length * SMALL_TABLE_BYTES)
    if (scattered !== undefined) this.#merge([scattered])
    else if (this.#runs.length >= MERGE_FROM_RUNS) this.#merge([...tree.runs].sort((a, b) => a.bytes - b.bytes))
  }

  /** Write the memtable that was sealed to a table. */
  flush(slot: MemtableSlot): void {
    const core = this.#core
    this.#isFlushing = true
    core.transactions.jobs++
    const args: FlushArgs = {
      ...this.#background.output(0, Number.MAX_SAFE_INTEGER), stop: this.#stop,
      buffer: slot.buffer, snapshots: this.#owner.snapshots.seqs(), outside: undefined,
    }
    core.engine.flush(args, (error, output) => core.engine.endFlush(() => this.#flushed(slot, error, output)))
  }

  #flushed(slot: MemtableSlot, error: Error | undefined, output: JobOutput): void {
    const core = this.#core
    const owner = this.#owner
    core.transactions.jobs--
    this.#isFlushing = false
    if (owner.isClosed) {
      this.#runs.removeFiles(output)
      owner.exchange({ sealed: [] })
      owner.giveBack(slot)
      return
    }
    try {
      if (error !== undefined) throw error
      this.#install(output, [])
    } catch (cause) {
      this.#failed(cause as Error, 'flushing a transaction')
      return
    }
    owner.exchange({ sealed: [] })
    for (const number of slot.valueFiles) core.files.unsyncedValues.delete(number)
    owner.giveBack(slot)
    this.#denials = 0
    this.#error = undefined
    this.#pause.succeeded()
    core.counters.flushBytes += output.bytesWritten
    core.engine.governor.traffic.flushedBytes += output.bytesWritten
    this.schedule()
  }

  /** The first ones become one run. */
  #merge(runs: readonly Run[]): void {
    const core = this.#core
    const { engine } = core
    let picked: Run[] = []
    let memory
    for (const width of [MERGE_WIDTH, MERGE_WIDTH / 2, 2]) {
      picked = runs.slice(0, width)
      memory = engine.admitMerge(Math.max(2, picked.length), this.#windowFactor, core.settings.blockBytes)
      if (memory !== undefined) break
    }
    if (memory === undefined) return
    const { readAheadBytes, windowBytes, release } = memory
    const args: MergeArgs = {
      ...this.#background.output(0, core.strategy.parameters['targetTableBytes']!), stop: this.#stop,
      runs: picked.map(run => run.readers.map(({ fileNumber }) => fileNumber)),
      snapshots: this.#owner.snapshots.seqs(), outside: undefined, readAheadBytes, windowBytes,
    }
    const bytes = picked.reduce((sum, run) => sum + run.bytes, 0)
    this.#isMerging = true
    this.#runs.beginMerge(picked)
    core.transactions.jobs++
    engine.runner.submit({ name: 'merge', args, priority: MERGE_PRIORITY + bytes }, (error, result) => {
      core.transactions.jobs--
      this.#isMerging = false
      this.#runs.endMerge()
      release()
      const output = result as JobOutput | undefined
      if (this.#owner.isClosed) this.#runs.removeFiles(output)
      else this.#merged(error, output, picked)
      engine.progress()
    })
  }

  #merged(error: Error | undefined, output: JobOutput | undefined, picked: readonly Run[]): void {
    const { code, details } = (error ?? {}) as { code?: unknown, details?: { account?: unknown } }
    if (code === 'SPILLWAY_BUDGET_TOO_SMALL' && details?.account === 'windows' && this.#windowFactor < 64) {
      this.#windowFactor *= 2
      return
    }
    try {
      if (error !== undefined) throw error
      this.#install(output!, picked)
      this.#core.counters.mergeBytes += output!.bytesWritten
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

  /** Its writer is told at the next write; for want of memory it is tried again first. */
  #failed(cause: Error, doing: string): void {
    const isDenied = (cause as { code?: unknown }).code === 'SPILLWAY_BUDGET_TOO_SMALL'
    if (isDenied && ++this.#denials <= MAX_DENIALS) return
    this.#denials = 0
    this.#error = ioError(cause, doing)
    this.#pause.failed()
    this.#isLost ||= isNotDurable(cause)
  }
}
