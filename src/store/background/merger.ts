/**
 * Merges of a store: those its strategy picks, and those it is asked for.
 *
 * Invariants
 * 1. Tables that a running merge reads are hidden from the strategy until its output is installed. A failed merge unhides them and
 *    changes nothing else.
 * 2. A merge that memory cannot serve is shrunk to fewer runs, down to two.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { JobOutput } from '../../compaction/jobs.ts'
import type { SeqOffsets } from '../../compaction/merge-run.ts'
import { narrowPick } from '../../compaction/shrink-pick.ts'
import type { Pick } from '../../compaction/strategy.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { emitMerge } from '../api/events.ts'
import type { StoreState } from '../state/store-state.ts'
import { recordOf } from '../state/tree.ts'
import type { JobFailures } from './job-failures.ts'
import { MergeWindows, submitMerge } from './merge-job.ts'
import { inputsOf, pickForMetadata } from './merge-picks.ts'
import type { TableOutput } from './table-output.ts'
import type { VersionInstaller } from './version-installer.ts'

const FIRST_RETRY_MS = 50
const MAX_RETRY_MS = 10_000
/** Readers that had at least this share of the output's size cached, as inputs, will want the output cached. */
const MIN_CACHED = 0.5
/** Cache memory per byte of block: unused ends of slots, the directory, index blocks. */
const WARM_OVERHEAD = 1.05

export class Merger {
  readonly windows = new MergeWindows()
  /** While above 0, the strategy is not asked. */
  pauses = 0
  readonly #store: StoreState
  readonly #installer: VersionInstaller
  readonly #failures: JobFailures
  readonly #output: TableOutput
  readonly #hidden = new Set<number>()
  #running = 0
  #retryAtMs = 0
  #optionalRetryAtMs = 0
  /** Bytes flushed when all runs were last merged into one, or a merge for readers last began. */
  #wholeAtBytes = 0

  constructor(store: StoreState, installer: VersionInstaller, failures: JobFailures, output: TableOutput) {
    this.#store = store
    this.#installer = installer
    this.#failures = failures
    this.#output = output
  }

  get running(): number { return this.#running }
  /** Bytes flushed since all runs were last one. */
  get bytesSinceWhole(): number { return this.#store.counters.flushBytes - this.#wholeAtBytes }
  /** Whether an optional merge that failed may be tried again. */
  get mayTryOptional(): boolean { return this.#store.host.clock.nowMs() >= Math.max(this.#retryAtMs, this.#optionalRetryAtMs) }

  /** An attempt to merge all runs begins: the next one is due after as much was flushed again. */
  markWhole(): void {
    this.#wholeAtBytes = this.#store.counters.flushBytes
  }

  /** Start the merges the strategy picks, as many as may run at once. */
  schedule(): void {
    const { health, host, strategy, engine } = this.#store
    while (this.pauses === 0 && health.takesCalls && health.readOnlyReason === undefined) {
      if (host.clock.nowMs() < this.#retryAtMs) return
      const { tree } = this.#store.view
      const pick = strategy.pick(tree.view(this.#hidden)) ?? (engine.isMetadataShort ? pickForMetadata(tree, strategy, this.#hidden) : undefined)
      if (pick === undefined || !this.start(pick, () => {})) return
    }
  }

  /**
   * Start a merge, of fewer runs than `wanted` when memory is short. `done` says whether all of it was merged. False: there is no
   * memory even for two runs, and nothing was started.
   */
  start(wanted: Pick, done: (error: Error | undefined, isWhole: boolean) => void): boolean {
    const store = this.#store
    const { tree } = store.view
    if (!store.ownership.isOurs) return false
    store.ownership.watch()
    let pick = wanted
    let inputs = inputsOf(tree, pick)
    let memory = this.windows.admit(store, inputs.runs.length)
    while (memory === undefined && store.engine.jobs.hasMergePlace && inputs.runs.length > 2) {
      pick = narrowPick(wanted, tree.view(this.#hidden), inputs.runs.length - 1)
      inputs = inputsOf(tree, pick)
      memory = this.windows.admit(store, inputs.runs.length)
    }
    if (memory === undefined) return false
    const { runs, bytes, maxSeq, readers } = inputs
    const { release } = memory
    for (const table of pick.tables) this.#hidden.add(table)
    this.#running++
    const end = (finish: () => Error | undefined): void => {
      this.#running--
      for (const table of pick.tables) this.#hidden.delete(table)
      release()
      done(finish(), pick.tables.length === wanted.tables.length)
      store.engine.jobs.progress()
    }
    submitMerge(store, this.#output(pick.outputLevel, pick.targetTableBytes), {
      runs, snapshots: store.snapshots.seqs(),
      // Beside tables of a large transaction, memtables may hold older entries that are in no table yet.
      outside: maxSeq > store.view.version.lastSeq ? undefined : tree.outside(new Set(pick.tables), maxSeq),
      ...offsetsOf(readers),
    }, memory, bytes, (error, output) => {
      if (!store.health.takesCalls) {
        end(() => {
          for (const { fileNumber } of output?.tables ?? []) store.files.discard(store.files.tablePath(fileNumber))
          return new SpillwayError('SPILLWAY_CLOSED', 'the store was closed before this was done')
        })
        return
      }
      if (error !== undefined) {
        end(() => this.#failed(pick, error))
        return
      }
      this.#installer.add(output!.tables, {
        remove: pick.tables,
        add: { tables: output!.tables.map(recordOf), level: pick.outputLevel, joinsRun: pick.joinsRun },
      }, (failure, droppedBytes) => end(() => failure === undefined ? this.#merged(pick, output!, droppedBytes) : this.#failed(pick, failure)))
    })
    return true
  }

  /** `droppedBytes`: cached bytes of the inputs. */
  #merged(pick: Pick, output: JobOutput, droppedBytes: number): undefined {
    const { counters, engine, files, settings: { blockBytes }, tables, view } = this.#store
    const { bytesRead, bytesWritten } = output
    counters.merges++
    counters.mergeBytes += bytesWritten
    engine.governor.traffic.mergeBytes += bytesRead + bytesWritten
    emitMerge({ directory: files.directory, inputs: pick.tables.length, outputs: output.tables.length, level: pick.outputLevel, bytesWritten })
    this.#failures.succeeded()
    if (view.tree.runs.length === 1) this.markWhole()
    const made = output.tables.map(({ fileNumber, blocks }) => ({ table: tables.get(fileNumber), bytes: WARM_OVERHEAD * blocks * blockBytes }))
    const bytes = made.reduce((total, table) => total + table.bytes, 0)
    if (pick.isOptional === true || droppedBytes >= MIN_CACHED * bytes) engine.warm(made)
  }

  #failed(pick: Pick, cause: Error): Error {
    const error = this.windows.grow(cause) ? cause : this.#retry(cause, pick.isOptional === true)
    emitMerge({ directory: this.#store.files.directory, inputs: pick.tables.length, outputs: 0, level: pick.outputLevel, bytesWritten: 0, error })
    return error
  }

  #retry(cause: Error, isOptional: boolean): Error {
    const { host, health } = this.#store
    const error = this.#failures.failed(cause, 'merging tables', !isOptional)
    if (isOptional) {
      this.#optionalRetryAtMs = host.clock.nowMs() + MAX_RETRY_MS
      return error
    }
    const delayMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures.count)
    this.#retryAtMs = host.clock.nowMs() + delayMs
    host.scheduler.later(delayMs + 1, () => {
      if (!health.closed) this.schedule()
    }, true)
    return error
  }
}

/** For jobs: what to add to the sequence numbers of tables of large transactions. */
function offsetsOf(readers: readonly TableReader[]): { seqOffsets?: SeqOffsets } {
  const shifted = readers.filter(({ seqOffset }) => seqOffset !== 0)
  return shifted.length === 0 ? {} : { seqOffsets: new Map(shifted.map(({ fileNumber, seqOffset }) => [fileNumber, seqOffset])) }
}
