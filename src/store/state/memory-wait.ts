/**
 * A bounded wait for memory while no running job will free any.
 *
 * Invariants
 * 1. Each step does all that could help: asks a store to flush, lets waiting tenants go on, retries failed flushes.
 * 2. It ends: after MAX_FRUITLESS steps without progress it throws, naming the holder of the memory.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { StoreState } from './store-state.ts'

const MAX_FRUITLESS = 24

export class MemoryWait {
  readonly #core: StoreState
  readonly #what: string
  readonly #isOnce: boolean
  #fruitless = 0
  /** Bytes flushed and merged at the last step without progress. */
  #progressBytes = 0

  /**
   * `what`: the caller, as the start of a sentence; the holder of the memory is appended, unless a store names its own reason.
   * `isOnce`: such waits are rare, so failed flushes are retried even in their pause.
   */
  constructor(core: StoreState, what: string, isOnce = false) {
    this.#core = core
    this.#isOnce = isOnce
    this.#what = what
  }

  /** Memory was found. */
  renew(): void {
    this.#fruitless = 0
  }

  /** A step without memory. Throws when no progress is possible. */
  check(): void {
    const { engine, counters: { flushBytes, mergeBytes }, health: { readOnlyReason } } = this.#core
    if (engine.jobs.isBusy) return
    engine.memory.makeRoom()
    if (engine.jobs.isBusy) return
    engine.jobs.progress()
    if (engine.jobs.isBusy) return
    engine.memory.retryFlushes(this.#isOnce)
    // A flush that keeps failing is no progress.
    if (flushBytes + mergeBytes !== this.#progressBytes) this.#fruitless = 0
    this.#progressBytes = flushBytes + mergeBytes
    if (++this.#fruitless <= MAX_FRUITLESS) return
    this.#fruitless = 0
    throw readOnlyReason ?? engine.memory.heldBy() ?? new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `${this.#what}. ${engine.budget.advice()}`)
  }
}
