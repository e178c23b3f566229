/**
 * Telling writers that their group is written: at once, later when merges fall behind, and in the next turn of the event loop
 * when a writer that awaits each write has kept it from turning for a while.
 *
 * Invariants
 * 1. Groups are told in the order in which they were written.
 * 2. The event loop turns at least every few milliseconds of writing, however writes are awaited.
 */
import type { HostClock, HostScheduler } from '../../host/host.ts'

interface Waiting {
  dueMs: number
  tell: () => void
}

/** So long an awaiting writer may keep the event loop. */
const TURN_MS = 5

export class Acknowledgements {
  readonly #clock: HostClock
  readonly #scheduler: HostScheduler
  /** In the order of writing. */
  readonly #waiting: Waiting[] = []
  #isTurnAwaited = false
  #turnMs = 0

  constructor(clock: HostClock, scheduler: HostScheduler) {
    this.#clock = clock
    this.#scheduler = scheduler
  }

  /** Call `tell` after `delayMs` (0: now, or in the next turn), but not before those that were added earlier. */
  add(tell: () => void, delayMs: number): void {
    const nowMs = this.#clock.nowMs()
    if (!this.#isTurnAwaited) {
      this.#isTurnAwaited = true
      this.#turnMs = nowMs
      this.#scheduler.soon(this.#turned)
    }
    const isLate = nowMs - this.#turnMs >= TURN_MS
    if (delayMs === 0 && this.#waiting.length === 0 && !isLate) {
      tell()
      return
    }
    const last = this.#waiting.at(-1)
    const entry: Waiting = { dueMs: Math.max(last?.dueMs ?? 0, nowMs + delayMs), tell }
    this.#waiting.push(entry)
    // What was awaited before is told with it: one timer that is early or late changes no order.
    if (entry.dueMs > nowMs) this.#scheduler.later(entry.dueMs - nowMs, () => this.#tellUpTo(entry))
    else this.#scheduler.soon(() => this.#tellUpTo(entry))
  }

  readonly #turned = (): void => {
    this.#isTurnAwaited = false
  }

  /** And all behind it that are due: told one by one, their writers would go on as so many small groups, each with a write of its own, for ever. */
  #tellUpTo(entry: Waiting): void {
    const waiting = this.#waiting
    if (!waiting.includes(entry)) return
    const nowMs = this.#clock.nowMs()
    for (let isBehind = false; waiting.length > 0 && (!isBehind || waiting[0]!.dueMs <= nowMs);) {
      const next = waiting.shift()!
      next.tell()
      if (next === entry) isBehind = true
    }
  }
}
