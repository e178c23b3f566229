/**
 * Running jobs by urgency: decides which job makes the next step. Used by the worker, the inline runner and the simulator.
 *
 * Invariants
 * 1. A step goes to the job with the lowest priority value, the oldest among equals.
 * 2. A job leaves the list before its end is reported, so the report may add jobs or make steps.
 * 3. Anything a job throws is reported as an Error.
 * 4. A waiting job is passed over; when all wait there is no step, and `endWait` ends the wait of the most urgent one.
 *
 * Cost: one call of the generator per step; adding is linear in the number of running jobs (a handful).
 */
import { invalidArgument } from '../base/errors.ts'
import type { JobContext, JobModule, JobRequest, JobWait } from './host.ts'

export type JobEnd = (id: number, error: Error | undefined, result: unknown) => void

interface RunningJob {
  id: number
  priority: number
  generator: Generator<JobWait | void, unknown, void>
  wait: JobWait | undefined
}

export class JobList {
  readonly #module: JobModule
  readonly #context: JobContext
  readonly #onEnd: JobEnd
  readonly #running: RunningJob[] = []

  constructor(module: JobModule, context: JobContext, onEnd: JobEnd) {
    this.#module = module
    this.#context = context
    this.#onEnd = onEnd
  }

  get size(): number { return this.#running.length }

  get isWaiting(): boolean { return this.#running.some(({ wait }) => wait !== undefined && !wait.isOver) }

  /** Add a job without running it. An unknown name is reported at its first step. */
  add(id: number, request: JobRequest): void {
    const generator = begin(this.#module, this.#context, request)
    let at = this.#running.length
    while (at > 0 && this.#running[at - 1]!.priority > request.priority) at--
    this.#running.splice(at, 0, { id, priority: request.priority, generator, wait: undefined })
  }

  /** Called when a waiting job may continue. */
  onReady: () => void = () => {}

  /** One step of the most urgent job that does not wait; false when there is none. */
  step(): boolean {
    let job: RunningJob | undefined
    for (let i = 0; i < this.#running.length && job === undefined; i++) {
      const next = this.#running[i]!
      if (next.wait === undefined || next.wait.isOver) job = next
    }
    if (job === undefined) return false
    job.wait = undefined
    let error: Error | undefined
    let result: unknown
    try {
      const step = job.generator.next()
      if (step.done !== true) {
        if (step.value !== undefined) {
          job.wait = step.value
          step.value.onOver = this.onReady
        }
        return true
      }
      result = step.value
    } catch (thrown) {
      error = thrown instanceof Error ? thrown : new Error(String(thrown))
    }
    this.#running.splice(this.#running.indexOf(job), 1)
    this.#onEnd(job.id, error, result)
    return true
  }

  /** End the wait of the most urgent waiting job; false when none waits. */
  endWait(): boolean {
    const job = this.#running.find(({ wait }) => wait !== undefined && !wait.isOver)
    job?.wait!.end()
    return job !== undefined
  }

  /** End the wait of the most urgent job, if it waits, so that its caller does not wait for others' work. */
  endFirstWait(): void {
    const wait = this.#running[0]?.wait
    if (wait !== undefined && !wait.isOver) wait.end()
  }

  /** Drop every job, running its `finally` blocks. Nothing is reported. */
  abort(): void {
    for (const job of this.#running.splice(0)) {
      try {
        job.generator.return(undefined)
      } catch {
        // Its caller gets the abort.
      }
    }
  }
}

function* begin(module: JobModule, context: JobContext, request: JobRequest): Generator<JobWait | void, unknown, void> {
  if (!Object.hasOwn(module.jobs, request.name)) {
    throw invalidArgument(`no job is named "${request.name}"; the module has ${Object.keys(module.jobs).join(', ')}`)
  }
  return yield* module.jobs[request.name]!(context, request.args as never)
}
