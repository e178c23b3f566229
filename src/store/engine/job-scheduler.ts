/**
 * Which flushes and merges of the stores of one budget run, and who is told when one has ended.
 *
 * Invariants
 * 1. One flush runs at a time, from its job to its installed tables, and before all merges.
 * 2. Merges of all stores share a number of places. The smallest one always has memory: a reserve.
 * 3. After every job each tenant is told, so that whatever waits tries again. Tenants that open come before writers.
 *
 * Account: `flush and merge`.
 */
import { mergeWorkingBytes } from '../../compaction/jobs.ts'
import type { FlushArgs, JobOutput } from '../../compaction/jobs.ts'
import type { HostScheduler, JobRunner } from '../../host/host.ts'
import type { Account } from '../../memory/budget.ts'
import { HEADROOM_BYTES } from './arena-pool.ts'
import type { BudgetPlan } from './budget-plan.ts'
import type { Tenants } from './tenant.ts'

const FLUSH_PRIORITY = 0

/** One flush, from its job to its installed tables. */
export interface FlushTask {
  readonly args: FlushArgs
  /** The job has ended. Install its tables, then call `end` with the last step of the flush. */
  install(error: Error | undefined, output: JobOutput, end: (finish: () => void) => void): void
}

/** Memory of a merge. */
export interface MergeMemory {
  readonly readAheadBytes: number
  readonly windowBytes: number
  release(): void
}

export interface SchedulerEvents {
  /** A flush has ended; the next one may have begun. */
  onFlushed(): void
  /** A job has ended; tenants are told next. */
  onProgress(): void
  isOpen(): boolean
}

export class JobScheduler {
  readonly runner: JobRunner
  /** Merges that have ended, of all stores. */
  mergesEnded = 0
  readonly #account: Account
  readonly #plan: () => BudgetPlan
  readonly #tenants: Tenants
  readonly #scheduler: HostScheduler
  readonly #events: SchedulerEvents
  readonly #flushes: FlushTask[] = []
  #flushing: FlushTask | undefined
  #mergesRunning = 0
  /** The reserve of the smallest merge is in use. */
  #reserveInUse = false
  /** Waiting for memory, but not writers (`wait-for-lease.ts`). */
  readonly #openers: { take: () => void, resolve: () => void }[] = []
  #progressScheduled = false

  constructor(runner: JobRunner, account: Account, plan: () => BudgetPlan, tenants: Tenants, scheduler: HostScheduler, events: SchedulerEvents) {
    this.runner = runner
    this.#account = account
    this.#plan = plan
    this.#tenants = tenants
    this.#scheduler = scheduler
    this.#events = events
  }

  /** A job runs that will free memory. */
  get isBusy(): boolean { return this.runner.pending > 0 }
  get isFlushing(): boolean { return this.#flushing !== undefined }
  get mergesRunning(): number { return this.#mergesRunning }
  get hasMergePlace(): boolean { return this.#mergesRunning < this.#plan().maxMerges }

  /** Run a flush after those before it. */
  flush(task: FlushTask): void {
    this.#flushes.push(task)
    this.#nextFlush()
  }

  /** Memory and a place for a merge of `runs` runs; undefined: not now. */
  admitMerge(runs: number, windowFactor: number, blockBytes: number): MergeMemory | undefined {
    const plan = this.#plan()
    if (!this.hasMergePlace) return undefined
    const windowBytes = runs * plan.windowBytesPerRun * windowFactor
    for (const readAheadBytes of [plan.readAheadBytes, plan.readAheadBytes / 2, plan.readAheadBytes / 4]) {
      const bytes = mergeWorkingBytes({ blockBytes }, runs, readAheadBytes, windowBytes)
      const extra = this.#reserveInUse ? bytes : Math.max(0, bytes - plan.mergeReserveBytes)
      // Beyond the reserve it leaves memory to readers, unless it cannot be smaller.
      const lease = this.#account.tryLeaseLeaving(extra, extra === 0 || runs <= 2 ? 0 : HEADROOM_BYTES)
      if (lease === undefined) continue
      const usesReserve = !this.#reserveInUse
      if (usesReserve) this.#reserveInUse = true
      this.#mergesRunning++
      return {
        readAheadBytes, windowBytes,
        release: () => {
          this.#mergesRunning--
          this.mergesEnded++
          lease.release()
          if (usesReserve) this.#reserveInUse = false
        },
      }
    }
    return undefined
  }

  /** Memory for reading a log back: the reserve of the smallest merge, unless one uses it. Returns its release. */
  leaseLogReading(bytes: number): () => void {
    if (this.#reserveInUse || bytes > this.#plan().mergeReserveBytes) {
      const lease = this.#account.lease(bytes)
      return () => { lease.release() }
    }
    this.#reserveInUse = true
    return () => { this.#reserveInUse = false }
  }

  /** Resolves when the next job has ended; `take` is called then, before writers try again. */
  jobEnded(take: () => void): Promise<void> {
    return new Promise(resolve => this.#openers.push({ take, resolve }))
  }

  /** Call after every job: every tenant goes on. */
  progress(): void {
    this.#events.onProgress()
    for (const { take, resolve } of this.#openers.splice(0)) {
      take()
      resolve()
    }
    for (const tenant of this.#tenants) tenant.schedule()
    for (const tenant of this.#tenants) tenant.onProgress()
  }

  /** `progress` in a turn of its own: the caller may be in the middle of a tenant's call. */
  progressSoon(): void {
    if (this.#progressScheduled) return
    this.#progressScheduled = true
    this.#scheduler.soon(() => {
      this.#progressScheduled = false
      if (this.#events.isOpen()) this.progress()
    })
  }

  #nextFlush(): void {
    if (this.#flushing !== undefined) return
    const task = this.#flushing = this.#flushes.shift()
    if (task === undefined) return
    const end = (finish: () => void): void => {
      this.#flushing = undefined
      try {
        finish()
      } finally {
        this.#nextFlush()
        this.#events.onFlushed()
        this.progress()
      }
    }
    this.runner.submit({ name: 'flush', args: task.args, priority: FLUSH_PRIORITY }, (error, output) => task.install(error, output as JobOutput, end))
  }
}
