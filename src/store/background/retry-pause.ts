/**
 * When a flush that failed may begin again because somebody wants to write: at once after the first failure, which may have been a
 * moment's, then after pauses that double. On a full disk each attempt writes a table in vain, and refused writes come by the thousand.
 *
 * Invariants
 * 1. The pauses grow with the failures in a row, whoever waits and however many; a second at most, so that writes go on soon after
 *    there is room again.
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
  /** Failures in a row. */
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
