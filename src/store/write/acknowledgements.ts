/**
 * Resolves the promises of written groups: at once, delayed while merges fall behind, or in the next turn of the event loop when an
 * awaiting writer has kept it busy.
 *
 * Invariants
 * 1. Groups are acknowledged in write order.
 * 2. The event loop turns at least every few milliseconds of writing, however writes are awaited.
 */
import type { HostClock, HostScheduler } from '../../host/host.ts'

interface Waiting {
  dueMs: number
  tell: () => void
}

/** Maximum time without a turn of the event loop. */
const TURN_MS = 5

export class Acknowledgements {
  readonly #clock: HostClock
  readonly #scheduler: HostScheduler
  /** In write order. */
  readonly #waiting: Waiting[] = []
  #isTurnAwaited = false
  #turnMs = 0

  constructor(clock: HostClock, scheduler: HostScheduler) {
    this.#clock = clock
    this.#scheduler = scheduler
  }

  /** Call `tell` after `delayMs` (0: now or next turn), but not before earlier entries. */
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
    // Earlier entries are resolved with it, so an early or late timer changes no order.
    if (entry.dueMs > nowMs) this.#scheduler.later(entry.dueMs - nowMs, () => this.#tellUpTo(entry))
    else this.#scheduler.soon(() => this.#tellUpTo(entry))
  }

  readonly #turned = (): void => {
    this.#isTurnAwaited = false
  }

  /** Resolve every due acknowledgement in one go. Resolved one by one, their writers would never form one commit group again. */
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
