/**
 * A job runner over one worker thread, started at the first job and replaced when it dies.
 *
 * Invariants
 * 1. `done` is never called inside `submit`, not even when no thread can be started.
 * 2. Every job is delivered once: its result, its error, UNAVAILABLE when its thread died, ABORTED after `close`.
 *
 * Cost: starting a thread takes 20-40 ms and 3-9 MiB; a job 10-30 us for both ways.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { JobRequest, JobRunner } from '../host.ts'
import { errorCode } from '../file-error.ts'
import { abortedError, closedError } from '../job-errors.ts'
import type { Done } from '../job-errors.ts'
import { WorkerThread } from './worker-thread.ts'
import type { WorkerThreadOptions } from './worker-thread.ts'

export class WorkerRunner implements JobRunner {
  readonly mode = 'worker'
  readonly #options: WorkerThreadOptions
  #thread: WorkerThread | undefined
  /** Jobs without a thread; they fail outside `submit`. */
  #notStarted: { done: Done; error: Error }[] = []
  #closing: Promise<void> | undefined

  constructor(options: WorkerThreadOptions) {
    this.#options = options
  }

  get pending(): number { return (this.#thread?.pending ?? 0) + this.#notStarted.length }

  prepare(): void {
    if (this.#closing !== undefined || this.#thread !== undefined) return
    try {
      this.#thread = new WorkerThread(this.#options)
    } catch {
      // The first job reports it.
    }
  }

  submit(request: JobRequest, done: Done): void {
    if (this.#closing !== undefined) throw closedError(request)
    if (this.#thread === undefined || this.#thread.dead) {
      try {
        this.#thread = new WorkerThread(this.#options)
      } catch (cause) {
        const message = `no worker could be started: ${(cause as Error).message}. Run the jobs inline, or try again later`
        this.#notStarted.push({ done, error: new SpillwayError('SPILLWAY_UNAVAILABLE', message, { cause, details: { code: errorCode(cause) } }) })
        setImmediate(() => { this.#deliverNotStarted() })
        return
      }
    }
    this.#thread.submit(request, done)
  }

  help(): void {}

  collectGarbage(): void {
    this.#thread?.collectGarbage()
  }

  pump(block: boolean): boolean {
    let delivered = this.#deliverNotStarted()
    const thread = this.#thread
    if (thread === undefined) return delivered
    while (thread.receive()) delivered = true
    while (block && !delivered && thread.pending > 0) {
      thread.park()
      while (thread.receive()) delivered = true
      // A thread that died has failed its jobs.
      if (thread.dead) delivered = true
    }
    return delivered
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#thread?.stop(abortedError())
  }

  #deliverNotStarted(): boolean {
    let delivered = false
    for (let next = this.#notStarted.shift(); next !== undefined; next = this.#notStarted.shift()) {
      delivered = true
      next.done(next.error, undefined)
    }
    return delivered
  }
}
