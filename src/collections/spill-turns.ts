/**
 * Long work in slices: the event loop gets a turn every few milliseconds, and an AbortSignal is heard between two slices.
 */
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

  /** Throws ABORTED when the signal says so. */
  check(): void {
    if (this.#signal?.aborted === true) {
      throw new SpillwayError('SPILLWAY_ABORTED', `${this.#what} was aborted by its signal`, { cause: this.#signal.reason })
    }
  }

  /** Whether it is time for `pause`. */
  get due(): boolean { return this.#host.clock.nowMs() - this.#sinceMs >= SLICE_MS }

  /** Let the event loop have a turn. */
  async pause(): Promise<void> {
    await new Promise<void>(resolve => this.#host.scheduler.soon(resolve))
    this.rested()
  }

  /** Somebody else awaited: a slice begins anew. */
  rested(): void {
    this.check()
    this.#sinceMs = this.#host.clock.nowMs()
  }

  /** Run a generator to its end. */
  async run(steps: Generator<void>): Promise<void> {
    for (const _ of steps) {
      void _
      if (this.due) await this.pause()
    }
  }
}
