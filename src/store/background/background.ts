/**
 * The flushes and merges of one store, and waiting for them.
 *
 * Parts: `flusher.ts`, `merger.ts` (with `merge-picks.ts`), `read-triggered-merge.ts`, `compact-range.ts`, `version-installer.ts`;
 * `flush-job.ts` and `merge-job.ts` are shared with staged tables.
 *
 * Account: `flush and merge`, through the job scheduler.
 */
import type { OutputOptions } from '../../compaction/jobs.ts'
import type { StoreState } from '../state/store-state.ts'
import { compactRange } from './compact-range.ts'
import { Flusher } from './flusher.ts'
import { JobFailures } from './job-failures.ts'
import { Merger } from './merger.ts'
import { mergeForReaders } from './read-triggered-merge.ts'
import { tableOutput } from './table-output.ts'
import type { TableOutput } from './table-output.ts'
import { VersionInstaller } from './version-installer.ts'

export interface BackgroundOptions {
  /** Called before each job that writes tables; returns options that replace the store's. May throw: then no job begins. */
  readonly output?: () => Partial<OutputOptions>
  /** False: tables stay as they are. Default true. */
  readonly merges?: boolean
}

export class Background {
  readonly installer: VersionInstaller
  readonly flusher: Flusher
  readonly merger: Merger
  /** Options of jobs that write tables of this store. */
  readonly output: TableOutput
  readonly #store: StoreState
  readonly #merges: boolean
  readonly #waiting: (() => void)[] = []

  constructor(store: StoreState, { output, merges = true }: BackgroundOptions = {}) {
    this.#store = store
    this.#merges = merges
    this.output = (level, targetTableBytes) => ({ ...tableOutput(store, level, targetTableBytes), ...output?.() })
    const failures = new JobFailures(store)
    this.installer = new VersionInstaller(store)
    this.flusher = new Flusher(store, this.installer, failures, this.output)
    this.merger = new Merger(store, this.installer, failures, this.output)
  }

  /** No job of this store runs. */
  get isIdle(): boolean { return !this.flusher.isRunning && this.merger.running === 0 && this.#store.transactions.jobs === 0 }

  /** Resolves when the next job has ended; a failed flush whose pause is over begins first. Without jobs it resolves next turn. */
  changed(): Promise<void> {
    const { engine, host } = this.#store
    this.flusher.retry()
    if (!engine.jobs.isBusy) return new Promise(resolve => host.scheduler.soon(resolve))
    return new Promise(resolve => this.#waiting.push(resolve))
  }

  /** Park this thread until a job has ended. False: none runs. */
  waitInside(): boolean {
    return this.#store.engine.jobs.runner.pump(true)
  }

  /** Start the merges the strategy picks, then a flush that was denied memory. */
  schedule(): void {
    if (!this.#merges) return
    this.merger.schedule()
    this.flusher.retryDenied()
  }

  mergeForReaders(bytesPerSecond: number): void {
    if (!this.#merges) return
    mergeForReaders(this.#store, this.merger, bytesPerSecond, () => this.isIdle, () => { if (!this.#store.health.closed) this.schedule() })
  }

  /** Merge everything that overlaps a range of keys (inclusive bounds) into its final place. */
  async compact(first: Uint8Array | undefined, last: Uint8Array | undefined): Promise<void> {
    this.merger.pauses++
    try {
      await compactRange(this.#store, this.merger, first, last, () => this.changed())
    } finally {
      this.merger.pauses--
      if (!this.#store.health.closed) this.schedule()
    }
  }

  /** Resolves when no manifest is being installed. */
  async installed(): Promise<void> {
    while (this.installer.isBusy) await this.changed()
  }

  /** Stop the jobs at their next step; resolves when none runs. Their tables are removed. */
  async close(): Promise<void> {
    this.flusher.cancelRetry()
    this.#store.health.stopJobs()
    while (!this.isIdle) await this.changed()
    this.wake()
  }

  /** A job has ended. */
  wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
