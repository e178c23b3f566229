/** Cooperative yielding: long work in slices of 12 ms, with an abort check between them. */
import { SpillwayError } from '../base/errors.ts'
import type { Host } from '../host/host.ts'

const SLICE_MS = 12

export class Turns {
  readonly #host: Host
  readonly #signal: AbortSignal | undefined
  readonly #what: string
  #sinceMs: number

  constructor(host: Host, what: string, signal: AbortSignal | undefined) {
    this.#host = host
    this.#signal = signal
    this.#what = what
    this.#sinceMs = host.clock.nowMs()
  }

  check(): void {
    if (this.#signal?.aborted === true) {
      throw new SpillwayError('SPILLWAY_ABORTED', `${this.#what} was aborted by its signal`, { cause: this.#signal.reason })
    }
  }

  get due(): boolean { return this.#host.clock.nowMs() - this.#sinceMs >= SLICE_MS }

  async pause(): Promise<void> {
    await new Promise<void>(resolve => this.#host.scheduler.soon(resolve))
    this.startSlice()
  }

  /** Call after an await. */
  startSlice(): void {
    this.check()
    this.#sinceMs = this.#host.clock.nowMs()
  }

  async run(steps: Generator<void>): Promise<void> {
    for (const _ of steps) {
      void _
      if (this.due) await this.pause()
    }
  }
}
