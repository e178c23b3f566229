/**
 * Running jobs ordered by urgency: the one place that decides which job makes the next step.
 * Used by the worker thread, by the inline runner and by the simulator.
 *
 * Invariants
 * 1. A step goes to the job with the lowest priority value, among equals to the oldest.
 * 2. A job leaves the list before its end is reported, so the report may add jobs or make further steps.
 * 3. Whatever a job throws is reported as an Error.
 * 4. A job that waits is passed over; when all wait there is no step, and `endWait` ends the wait of the most urgent one.
 *
 * Cost: a step is one call of the generator; adding is linear in the number of running jobs (a handful).
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

  /** Some job waits for something that is not over. */
  get isWaiting(): boolean { return this.#running.some(({ wait }) => wait !== undefined && !wait.isOver) }

  /** Add a job; nothing of it runs yet. A name the module does not know is reported at its first step. */
  add(id: number, request: JobRequest): void {
    const generator = begin(this.#module, this.#context, request)
    let at = this.#running.length
    while (at > 0 && this.#running[at - 1]!.priority > request.priority) at--
    this.#running.splice(at, 0, { id, priority: request.priority, generator, wait: undefined })
  }

  /** Called when a job that waited may go on. */
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

  /** End the wait of the most urgent job that waits; false when none does. */
  endWait(): boolean {
    const job = this.#running.find(({ wait }) => wait !== undefined && !wait.isOver)
    job?.wait!.end()
    return job !== undefined
  }

  /** End the wait of the most urgent job, if that waits: who waits for it is not to wait for others in the meantime. */
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
        // The job is given up anyway; its caller is told that it was aborted.
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
