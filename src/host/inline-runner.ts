/**
 * A job runner without a thread: jobs are stepped on the caller's thread, in slices between turns of the event loop.
 *
 * Invariants
 * 1. `submit` runs no part of a job and never calls `done`.
 * 2. While a job is unfinished a slice is scheduled, so jobs end without `pump`.
 *
 * The host decides the length of a slice (`Slice`): milliseconds on a real clock, steps in the simulator.
 */
import { plainError, reviveError } from '../base/errors.ts'
import type { JobContext, JobModule, JobRequest, JobRunner } from './host.ts'
import { abortedError, argumentsError, closedError, failAll } from './job-errors.ts'
import type { Done } from './job-errors.ts'
import { JobList } from './job-list.ts'

export interface Slice {
  begin(): void
  /** Whether there is time for another step. */
  more(): boolean
}

export interface InlineRunnerOptions {
  module: JobModule
  context: JobContext
  slice: Slice
  soon: (task: () => void) => void
  /** Clone arguments, results and errors as a message between threads would. Default: pass them. */
  clone?: boolean
}

export class InlineRunner implements JobRunner {
  readonly mode = 'inline'
  readonly #options: InlineRunnerOptions
  readonly #list: JobList
  readonly #waiting = new Map<number, Done>()
  #nextId = 1
  #scheduled = false
  #isResting = false
  #closed = false
  #delivered = 0

  constructor(options: InlineRunnerOptions) {
    this.#options = options
    this.#list = new JobList(options.module, options.context, (id, error, result) => { this.#deliver(id, error, result) })
    this.#list.onReady = () => {
      if (!this.#closed) this.#schedule()
    }
  }

  get pending(): number { return this.#waiting.size }

  submit(request: JobRequest, done: Done): void {
    if (this.#closed) throw closedError(request)
    const id = this.#nextId++
    this.#list.add(id, this.#options.clone === true ? cloned(request) : request)
    this.#waiting.set(id, done)
    this.#schedule()
  }

  pump(block: boolean): boolean {
    if (this.#closed) return this.#abortAll()
    if (!block) return false
    const before = this.#delivered
    do this.#list.endFirstWait()
    while (this.#delivered === before && this.#list.step())
    return this.#delivered !== before
  }

  help(steps: number): void {
    if (this.#closed) return
    while (steps-- > 0 && this.#list.step()) { /* one after the other */ }
  }

  /** Jobs' garbage is this thread's. */
  collectGarbage(): void {}

  async close(): Promise<void> {
    this.#closed = true
    this.#list.abort()
    // `done` is never called from inside the caller's code.
    await Promise.resolve()
    this.#abortAll()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#options.soon(() => { this.#slice() })
  }

  #slice(): void {
    this.#scheduled = false
    const slice = this.#options.slice
    this.#isResting = false
    slice.begin()
    try {
      let stepped = true
      while ((stepped = this.#list.step()) && slice.more()) { /* until the slice is used up */ }
      this.#isResting = !stepped
    } finally {
      // When all wait, the end of a wait schedules the next slice.
      if (this.#list.size > 0 && !this.#isResting) this.#schedule()
    }
  }

  #deliver(id: number, error: Error | undefined, result: unknown): void {
    const done = this.#waiting.get(id)!
    this.#waiting.delete(id)
    this.#delivered++
    if (this.#options.clone === true) {
      if (error !== undefined) {
        error = reviveError(structuredClone(plainError(error)))
      } else {
        try {
          result = structuredClone(result)
        } catch (thrown) {
          error = reviveError(plainError(thrown))
          result = undefined
        }
      }
    }
    done(error, result)
  }

  #abortAll(): boolean {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    failAll(waiting, abortedError())
    return waiting.length > 0
  }
}

function cloned(request: JobRequest): JobRequest {
  try {
    return structuredClone(request)
  } catch (cause) {
    throw argumentsError(request, cause)
  }
}
