/** A job runner that keeps jobs of some names waiting until the test lets them go, or loses them as a thread that dies does. */
import { SpillwayError } from '../../base/errors.ts'
import type { JobRequest, JobRunner } from '../../host/host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'

type Done = (error: Error | undefined, result: unknown) => void

export class GatedRunner implements JobRunner {
  readonly #inner: JobRunner
  readonly #held: { request: JobRequest, done: Done }[] = []
  readonly #closed = new Set<string>()
  /** Jobs of a name that are lost: before they began, or when they had ended. */
  readonly losing = new Map<string, 'before' | 'after'>()
  /** Names of jobs in the order in which they were submitted. */
  readonly submitted: string[] = []
  /** Jobs that were held until a caller waited for them inside its call. */
  pumped = 0

  constructor(inner: JobRunner) {
    this.#inner = inner
  }

  /** Put it between a host and the engines that are made on it. */
  static of(host: SimHost): { readonly runner: GatedRunner } {
    const make = host.runner.bind(host)
    const gate: { runner: GatedRunner } = { runner: undefined as never }
    host.runner = options => gate.runner = new GatedRunner(make(options))
    return gate
  }

  get mode(): 'worker' | 'inline' { return this.#inner.mode }
  get pending(): number { return this.#inner.pending + this.#held.length }

  isHolding(name: string): boolean { return this.#held.some(({ request }) => request.name === name) }
  hold(...names: string[]): void { for (const name of names) this.#closed.add(name) }

  release(...names: string[]): void {
    for (const name of names) this.#closed.delete(name)
    for (const { request, done } of this.#held.splice(0)) {
      if (this.#closed.has(request.name)) this.#held.push({ request, done })
      else this.#submit(request, done)
    }
  }

  submit(request: JobRequest, done: Done): void {
    this.submitted.push(request.name)
    if (this.#closed.has(request.name)) this.#held.push({ request, done })
    else this.#submit(request, done)
  }

  /** Who waits inside his call waits for what is held too, when there is nothing else. */
  pump(block: boolean): boolean {
    if (block && this.#inner.pending === 0) {
      for (const { request, done } of this.#held.splice(0)) {
        this.pumped++
        this.#submit(request, done)
      }
    }
    return this.#inner.pump(block)
  }

  help(): void {}
  collectGarbage(): void {}
  close(): Promise<void> { return this.#inner.close() }

  #submit(request: JobRequest, done: Done): void {
    const loses = this.losing.get(request.name)
    if (loses === undefined) {
      this.#inner.submit(request, done)
      return
    }
    this.losing.delete(request.name)
    const lost = (): void => done(new SpillwayError('SPILLWAY_UNAVAILABLE', 'the worker died'), undefined)
    // A job that does nothing takes its place, so that its end comes as that of any other.
    this.#inner.submit(loses === 'before' ? { ...request, name: 'none' } : request, lost)
  }
}
