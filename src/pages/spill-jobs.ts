/**
 * Spill queue: pages that jobs compress off the main thread.
 *
 * Invariants
 * 1. At most 64 pages are queued or in flight; beyond that the pool evicts inline.
 * 2. Submitting copies the page into the staging buffer, so its slot is never shared and stays readable.
 * 3. A cancelled job leaves the queue, or its result is dropped.
 * 4. Only garbage collection frees shared memory, so there is one buffer, leased with the job's kernels until `close`.
 *
 * Cost: a copy of the page, 10 to 30 us of the job, a copy of the extent.
 */
import type { JobRunner } from '../host/host.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { extentBound } from './extent-codec.ts'
import type { Page } from './page.ts'
import { COMPRESS_PAGE, JOB_KERNEL_BYTES } from './page-jobs.ts'
import type { CompressPageArgs } from './page-jobs.ts'
import { slotBytes } from './slot-pool.ts'

export const MAX_QUEUED = 64
/** Consecutive failures that end queueing. */
const MAX_FAILURES = 3

export interface SpillJob {
  page: Page | undefined
  readonly isEager: boolean
  readonly serial: number
  at: number
  readonly bytes: number
  isSubmitted: boolean
}

/** bytes[start, end) is the extent, empty if the job failed. */
export type JobEnd = (job: SpillJob, page: Page, bytes: Uint8Array, start: number, end: number) => void

export class SpillJobs {
  readonly #runner: JobRunner
  readonly #account: Account
  readonly #pieceBytes: number
  readonly #stagingBytes: number
  readonly #priority: number
  readonly #onEnd: JobEnd
  #lease: Lease | undefined
  #staging: Uint8Array<SharedArrayBuffer> | undefined
  readonly #queue: SpillJob[] = []
  readonly #inFlight: SpillJob[] = []
  #live = 0
  #liveBytes = 0
  #failures = 0
  #closed = false

  constructor(runner: JobRunner, account: Account, pieceBytes: number, stagingBytes: number, priority: number, onEnd: JobEnd) {
    this.#runner = runner
    this.#account = account
    this.#pieceBytes = pieceBytes
    this.#stagingBytes = stagingBytes
    this.#priority = priority
    this.#onEnd = onEnd
  }

  get live(): number { return this.#live }
  get liveBytes(): number { return this.#liveBytes }
  get stagingBytes(): number { return this.#lease?.bytes ?? 0 }

  /** False if the queue is full, the page too long, or staging denied. */
  canSchedule(page: Page): boolean {
    if (this.#closed || this.#failures >= MAX_FAILURES || extentBound(page.length, this.#pieceBytes) > this.#stagingBytes) return false
    return this.#queue.length + this.#inFlight.length < MAX_QUEUED && this.#openStaging()
  }

  /** Call `canSchedule` first. */
  schedule(page: Page, isEager: boolean, serial: number): void {
    const job: SpillJob = { page, isEager, serial, at: 0, bytes: extentBound(page.length, this.#pieceBytes), isSubmitted: false }
    page.job = job
    this.#live++
    this.#liveBytes += slotBytes(page.length)
    this.#queue.push(job)
    this.#submit()
  }

  cancel(page: Page): SpillJob {
    const job = page.job as SpillJob
    this.#forget(job)
    if (!job.isSubmitted) this.#queue.splice(this.#queue.indexOf(job), 1)
    return job
  }

  /** Cancel the oldest job, queued ones first. */
  takeOldest(): Page | undefined {
    const job = this.#queue[0] ?? this.#inFlight.find(other => other.page !== undefined)
    const page = job?.page
    if (page !== undefined) this.cancel(page)
    return page
  }

  pump(): void {
    if (this.#inFlight.length > 0) this.#runner.pump(false)
  }

  /** The lease lasts until no job uses the buffer. */
  close(): void {
    this.#closed = true
    for (const job of [...this.#queue, ...this.#inFlight]) if (job.page !== undefined) this.cancel(job.page)
    this.#releaseStaging()
  }

  #forget(job: SpillJob): void {
    const page = job.page!
    this.#live--
    this.#liveBytes -= slotBytes(page.length)
    page.job = job.page = undefined
  }

  #openStaging(): boolean {
    if (this.#staging !== undefined) return true
    const lease = this.#account.tryLease(this.#stagingBytes + JOB_KERNEL_BYTES, false)
    if (lease === undefined) return false
    try {
      this.#staging = new Uint8Array(new SharedArrayBuffer(this.#stagingBytes))
    } catch {
      // The system has less memory than the budget promises.
      lease.release()
      return false
    }
    this.#lease = lease
    return true
  }

  #releaseStaging(): void {
    if (!this.#closed || this.#inFlight.length > 0) return
    this.#staging = undefined
    this.#lease?.release()
    this.#lease = undefined
  }

  #submit(): void {
    for (let job = this.#queue[0]; job !== undefined && this.#place(job); job = this.#queue[0]) {
      this.#queue.shift()
      job.isSubmitted = true
      const { length, slot } = job.page!
      const from = job.at + job.bytes - length
      const staging = this.#staging!
      staging.set(slot!.subarray(0, length), from)
      const args: CompressPageArgs = { staging: staging.buffer, from, length, to: job.at, pieceBytes: this.#pieceBytes, serial: job.serial }
      const submitted = job
      try {
        this.#runner.submit({ name: COMPRESS_PAGE, args, priority: this.#priority }, (error, result) => { this.#ended(submitted, error, result) })
      } catch {
        // The runner is closed: evict inline from now on.
        this.#failures = MAX_FAILURES
        this.#ended(submitted, undefined, 0)
        return
      }
    }
  }

  /** Use the first gap between jobs in flight. */
  #place(job: SpillJob): boolean {
    const inFlight = this.#inFlight
    let at = 0
    for (let i = 0; i <= inFlight.length; i++) {
      const end = i < inFlight.length ? inFlight[i]!.at : this.#stagingBytes
      if (at + job.bytes <= end) {
        job.at = at
        inFlight.splice(i, 0, job)
        return true
      }
      if (i < inFlight.length) at = end + inFlight[i]!.bytes
    }
    return false
  }

  #ended(job: SpillJob, error: Error | undefined, result: unknown): void {
    const bytes = error === undefined ? result as number : 0
    this.#failures = bytes > 0 ? 0 : this.#failures + 1
    const page = job.page
    try {
      if (page !== undefined) {
        this.#forget(job)
        this.#onEnd(job, page, this.#staging!, job.at, job.at + bytes)
      }
    } finally {
      this.#inFlight.splice(this.#inFlight.indexOf(job), 1)
      if (!this.#closed) this.#submit()
      this.#releaseStaging()
    }
  }
}
