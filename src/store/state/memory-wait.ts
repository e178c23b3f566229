/**
 * Waiting for memory while no job runs whose end would bring some.
 *
 * Invariants
 * 1. Each time all is done that could help: somebody is asked to flush, those whose turn it is go on, failed flushes begin again.
 * 2. It ends: after so many waits in a row that nobody could end, with the reason why the memory is kept.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { StoreState } from './store-state.ts'

const MAX_FRUITLESS = 24

export class MemoryWait {
  readonly #core: StoreState
  readonly #what: string
  readonly #isOnce: boolean
  #fruitless = 0
  /** What had been flushed and merged at the last fruitless wait. */
  #progressBytes = 0

  /** `what`: who waits in vain, in a sentence without its end. What holds the memory is added, if no store says why it keeps it. `isOnce`: what waits does not come by the thousand, failed flushes are begun for it in their pauses. */
  constructor(core: StoreState, what: string, isOnce = false) {
    this.#core = core
    this.#isOnce = isOnce
    this.#what = what
  }

  /** There was room. */
  renew(): void {
    this.#fruitless = 0
  }

  /** Called when a wait found nobody to wait for. Throws when nobody ever will make room. */
  check(): void {
    const { engine, counters: { flushBytes, mergeBytes }, health: { readOnlyReason } } = this.#core
    if (engine.jobs.isBusy) return
    engine.memory.makeRoom()
    if (engine.jobs.isBusy) return
    engine.jobs.progress()
    if (engine.jobs.isBusy) return
    engine.memory.retryFlushes(this.#isOnce)
    // A flush that fails each time is no progress.
    if (flushBytes + mergeBytes !== this.#progressBytes) this.#fruitless = 0
    this.#progressBytes = flushBytes + mergeBytes
    if (++this.#fruitless <= MAX_FRUITLESS) return
    this.#fruitless = 0
    throw readOnlyReason ?? engine.memory.heldBy() ?? new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `${this.#what}. ${engine.budget.advice()}`)
  }
}
