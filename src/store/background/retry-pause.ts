/**
 * When a failed flush may be retried for a waiting writer: at once after the first failure, then after pauses that double. On a
 * full disk each attempt writes a table for nothing, and refused writes come by the thousand.
 *
 * Invariant: pauses grow with failures in a row, not with waiting writers; at most a second, so that writes resume soon after space
 * is free.
 */
import type { HostClock } from '../../host/host.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 1000

export class RetryPause {
  readonly #clock: Pick<HostClock, 'nowMs'>
  #failures = 0
  #endMs = 0

  constructor(clock: Pick<HostClock, 'nowMs'>) {
    this.#clock = clock
  }

  get isOver(): boolean { return this.#failures < 2 || this.#clock.nowMs() >= this.#endMs }
  /** In a row. */
  get failures(): number { return this.#failures }

  failed(): void {
    const pauseMs = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.#failures - 1))
    this.#failures++
    this.#endMs = this.#clock.nowMs() + pauseMs
  }

  succeeded(): void {
    this.#failures = 0
  }
}
