/**
 * Iterator calls that have not taken effect yet, because the event loop gets a turn first or a long walk has paused.
 *
 * Invariants
 * 1. They take effect one after the other, in call order. Each settles once.
 * 2. A synchronous call first runs all of them with `drain`: they only yield to the event loop and do not depend on it.
 *
 * Cost: none while calls are answered at once, the usual case.
 */
import type { StoreState } from '../state/store-state.ts'
import { deferred } from '../api/deferred.ts'
import type { Deferred } from '../api/deferred.ts'
import { dueYield } from '../state/event-loop-yield.ts'

/** Returned by a step of a call that is not done. */
export const PAUSED: unique symbol = Symbol('paused')

interface WaitingCall {
  step(): unknown
  result: Deferred<any>
}

export class IteratorCalls {
  readonly #core: StoreState
  /** From `#at` on, in call order. */
  #waiting: WaitingCall[] = []
  #at = 0
  #isRunning = false

  constructor(core: StoreState) {
    this.#core = core
  }

  get isEmpty(): boolean { return this.#at === this.#waiting.length }

  /** Queue a call. `step` does part of it and returns PAUSED or its result. `turn`: wait for this first. */
  add<R>(step: () => R | typeof PAUSED, turn: Promise<void> | undefined): Promise<R> {
    const result = deferred<R>()
    this.#waiting.push({ step, result })
    if (!this.#isRunning) void this.#run(turn)
    return result.promise
  }

  /** Run all queued calls now. */
  drain(): void {
    while (!this.isEmpty) this.#step()
  }

  async #run(turn: Promise<void> | undefined): Promise<void> {
    this.#isRunning = true
    // Never inside the call that added it: that may come from a codec, inside another call.
    await turn
    while (!this.isEmpty) {
      this.#step()
      const due = dueYield(this.#core)
      if (due !== undefined && !this.isEmpty) await due
    }
    this.#isRunning = false
  }

  #step(): void {
    const { step, result } = this.#waiting[this.#at]!
    let done: unknown
    try {
      done = step()
      if (done === PAUSED) return
    } catch (error) {
      this.#next()
      result.reject(error as Error)
      return
    }
    this.#next()
    result.resolve(done)
  }

  #next(): void {
    // It may hold entries.
    this.#waiting[this.#at++] = undefined as never
    if (!this.isEmpty) return
    this.#waiting = []
    this.#at = 0
  }
}
