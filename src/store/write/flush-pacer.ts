/**
 * Paces writers during a flush so that the next memtable fills up just as the flush ends. Unpaced, a fast writer fills it at full
 * speed and then waits for the rest of the flush at once; paced, the same time is spread over its writes. Only for writers that
 * await: a synchronous call would not see the flush end.
 *
 * Invariants
 * 1. No delay before half of the memtable is used, none without a flush, none longer than the writer's lead over the flush.
 * 2. A flush that takes longer than expected is expected to take a quarter more than so far.
 *
 * Cost: a clock read per group during a flush. Account: none.
 */

/** Expected for the first flush, which starts a thread and compiles code. */
const FIRST_MS_PER_BYTE: number = 1 / (32 * 1024)
/** Weight of the latest flush in the average. */
const LATEST_SHARE = 0.3
/** Expect less than the average: a flush that ends early has delayed writers for nothing, one that ends late costs a short wait. */
const EXPECTED_SHARE = 0.85
const OVERRUN = 1.25

export class FlushPacer {
  #msPerByte = FIRST_MS_PER_BYTE
  #bytes = 0
  #sinceMs = 0

  /** A flush of a memtable with `bytes` begins. */
  begin(bytes: number, nowMs: number): void {
    this.#bytes = bytes
    this.#sinceMs = nowMs
  }

  /** The flush has succeeded. */
  end(nowMs: number): void {
    if (this.#bytes === 0) return
    const msPerByte = (nowMs - this.#sinceMs) / this.#bytes
    this.#msPerByte += (msPerByte - this.#msPerByte) * LATEST_SHARE
    this.#bytes = 0
  }

  /** Lead of writers over the flush in ms, after using this share (0 to 1) of the next memtable. */
  leadMs(usedShare: number, nowMs: number): number {
    if (this.#bytes === 0 || usedShare <= 0.5) return 0
    const elapsedMs = nowMs - this.#sinceMs
    const expectedMs = Math.max(EXPECTED_SHARE * this.#bytes * this.#msPerByte, OVERRUN * elapsedMs)
    return Math.max(0, (2 * usedShare - 1) * expectedMs - elapsedMs)
  }
}
