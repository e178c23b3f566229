/**
 * Flushes of a store: one at a time, oldest memtable first, retried until they succeed.
 *
 * Invariants
 * 1. A flush runs until its tables are installed (`version-installer.ts`) or that has failed.
 * 2. A failed flush keeps its memtable and log. It is retried after growing pauses, shorter ones when writers wait
 *    (`retry-pause.ts`), at once when a flush is requested. If a large value could not be made durable, the store stops instead.
 * 3. A flush that found no memory for the metadata of its tables is retried before anyone is told, while merges may free some.
 */
import type { FlushArgs, JobOutput } from '../../compaction/jobs.ts'
import { isDenied } from '../api/denied.ts'
import { emitFlush } from '../api/events.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { StoreState } from '../state/store-state.ts'
import { recordOf } from '../state/tree.ts'
import { startFlush } from './flush-job.ts'
import type { FlushOwner } from './flush-job.ts'
import type { JobFailures } from './job-failures.ts'
import { RetryPause } from './retry-pause.ts'
import type { TableOutput } from './table-output.ts'
import type { VersionInstaller } from './version-installer.ts'

const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 10_000
/** Flushes in a row that were denied memory before the failure is reported. */
const MAX_DENIALS = 24

export class Flusher implements FlushOwner {
  /** Called after a flush with the first log segment that is still needed. */
  onFlushed: (logFloor: number) => void = () => {}
  readonly #store: StoreState
  readonly #installer: VersionInstaller
  readonly #failures: JobFailures
  readonly #output: TableOutput
  readonly #pause: RetryPause
  #error: Error | undefined
  #isRunning = false
  #denials = 0
  /** The last flush was denied memory, when this many merges had ended. */
  #deniedAfterMerges: number | undefined
  #cancelRetry: (() => void) | undefined

  constructor(store: StoreState, installer: VersionInstaller, failures: JobFailures, output: TableOutput) {
    this.#store = store
    this.#installer = installer
    this.#failures = failures
    this.#output = output
    this.#pause = new RetryPause(store.host.clock)
  }

  /** Of the last flush; undefined after one that succeeded. */
  get error(): Error | undefined { return this.#error }
  get isRunning(): boolean { return this.#isRunning }

  /** Write a sealed memtable to a table. */
  flush(slot: MemtableSlot): void {
    const store = this.#store
    // Throws when there is no place for its files; then nothing has begun.
    const output = this.#output(0, Number.MAX_SAFE_INTEGER)
    store.ownership.watch()
    this.#isRunning = true
    const args: FlushArgs = {
      ...output, buffer: slot.buffer, snapshots: store.snapshots.seqs(),
      outside: store.view.tree.outside(new Set(), slot.memtable.largestSeq),
    }
    startFlush(store, this, slot, args)
  }

  /** Retry a failed flush, unless its pause lasts and it is not `isAskedFor`. True if one begins. */
  retry(isAskedFor = false): boolean {
    const { view, health, ownership } = this.#store
    const slot = view.sealed[0]
    if (slot === undefined || this.#isRunning || health.closing || health.readOnlyReason !== undefined || !ownership.isOurs) return false
    if (!isAskedFor && !this.#pause.isOver) return false
    this.cancelRetry()
    this.flush(slot)
    return true
  }

  /** A job has ended: retry a flush that was denied memory, if a merge may have freed some or none will. */
  retryDenied(): void {
    const { mergesRunning, mergesEnded } = this.#store.engine.jobs
    if (this.#deniedAfterMerges === undefined || (mergesRunning > 0 && mergesEnded === this.#deniedAfterMerges)) return
    this.#deniedAfterMerges = undefined
    if (!this.#store.health.closed) this.retry(true)
  }

  cancelRetry(): void {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
  }

  get isOver(): boolean { return !this.#store.health.takesCalls }

  install(slot: MemtableSlot, output: JobOutput, done: (error: Error | undefined) => void): void {
    this.#installer.add(output.tables, {
      add: { tables: output.tables.map(recordOf), level: 0, joinsRun: false },
      lastSeq: slot.memtable.largestSeq,
      logFloor: this.#logFloor,
    }, done)
  }

  flushed(slot: MemtableSlot, output: JobOutput): void {
    const store = this.#store
    const logFloor = this.#logFloor
    this.#isRunning = false
    store.setMemtables(store.view.active, store.view.sealed.slice(1))
    store.valueFiles.release(slot.valueFiles)
    slot.close()
    store.engine.admission.give(slot.buffer)
    store.counters.flushes++
    emitFlush({ directory: store.files.directory, entries: output.entriesOut, bytesWritten: output.bytesWritten, tables: output.tables.length })
    this.#error = undefined
    this.#pause.succeeded()
    this.#failures.succeeded()
    this.#denials = 0
    this.onFlushed(logFloor)
  }

  failed(cause: Error): void {
    const store = this.#store
    const { host, engine: { jobs }, files: { directory } } = store
    this.#isRunning = false
    const error = this.#failures.failed(cause, 'flushing a memtable')
    if (isDenied(cause) && (jobs.mergesRunning > 0 || ++this.#denials <= MAX_DENIALS)) {
      // Memory may be free the next moment. It is retried before any tenant hears that a job has ended, so that callers
      // waiting for this flush keep waiting.
      this.#deniedAfterMerges = jobs.mergesEnded
      return
    }
    this.#error = error
    this.#pause.failed()
    emitFlush({ directory, entries: 0, bytesWritten: 0, tables: 0, error })
    this.cancelRetry()
    const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(this.#pause.failures, 10))
    this.#cancelRetry = host.scheduler.later(delayMs, () => {
      this.#cancelRetry = undefined
      if (!store.health.closed) this.retry(true)
    }, true)
  }

  abandoned(_slot: MemtableSlot, output: JobOutput | undefined): void {
    this.#isRunning = false
    const { files } = this.#store
    for (const { fileNumber } of output?.tables ?? []) files.discard(files.tablePath(fileNumber))
  }

  /** The log segment of the memtable after the one being flushed. */
  get #logFloor(): number {
    const { sealed, active } = this.#store.view
    return (sealed[1] ?? active).logNumber
  }
}
