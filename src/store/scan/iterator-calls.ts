/**
 * Calls of an iterator that have not taken effect yet, because the event loop has its turn first or a long walk paused.
 *
 * Invariants
 * 1. They take effect one after the other, in the order in which they were made; each is settled once.
 * 2. A synchronous call has all of them take effect first, with `drain`: none of them needs the event loop, they only leave it its turns.
 *
 * Cost: nothing while calls are answered at once, which is nearly always.
 */
import type { StoreState } from '../state/store-state.ts'
import { deferred } from '../api/deferred.ts'
import type { Deferred } from '../api/deferred.ts'
import { dueYield } from '../state/event-loop-yield.ts'

/** What a step of a call says that is not done. */
export const PAUSED: unique symbol = Symbol('paused')

interface WaitingCall {
  step(): unknown
  result: Deferred<any>
}

export class IteratorCalls {
  readonly #core: StoreState
  /** From `#at` on, in their order. */
  #waiting: WaitingCall[] = []
  #at = 0
  #isRunning = false

  constructor(core: StoreState) {
    this.#core = core
  }

  get isEmpty(): boolean { return this.#at === this.#waiting.length }

  /** A call behind all others. `step` does a part of it and returns PAUSED, or its result. `turn`: wait for this first. */
  add<R>(step: () => R | typeof PAUSED, turn: Promise<void> | undefined): Promise<R> {
    const result = deferred<R>()
    this.#waiting.push({ step, result })
    if (!this.#isRunning) void this.#run(turn)
    return result.promise
  }

  /** Have all of them take effect now. */
  drain(): void {
    while (!this.isEmpty) this.#step()
  }

  async #run(turn: Promise<void> | undefined): Promise<void> {
    this.#isRunning = true
    // Never in the call that added it: that may be one of a codec, in the middle of another one.
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
    // It may hold what it has read.
    this.#waiting[this.#at++] = undefined as never
    if (!this.isEmpty) return
    this.#waiting = []
    this.#at = 0
  }
}
