/**
 * Keeps writers from running into a flush: while a memtable is flushed, the next one is to be full when that ends and not before.
 *
 * Without it a writer that is faster than the flush fills the memtable at full speed and then waits for all that is left of the
 * flush at once; with it the same time is spread over its writes.
 *
 * For writers that await: a call that waits inside itself would not see the flush end.
 *
 * Invariants
 * 1. No delay before half of the memtable is used, none without a flush, and none longer than the writer is ahead of the flush.
 * 2. A flush that takes longer than expected is expected to take a quarter more than it has taken so far.
 *
 * Cost: a look at the clock for each group of writes while a flush runs. Account: none.
 */

/** What is expected of the first flush, which has a thread to start and code to compile. */
const FIRST_MS_PER_BYTE: number = 1 / (32 * 1024)
/** Share of the latest flush in the average of them. */
const LATEST_SHARE = 0.3
/** Less than the average is expected: a flush that ends early has delayed writers for nothing, one that ends late has them wait a little. */
const EXPECTED_SHARE = 0.85
const OVERRUN = 1.25

export class FlushPacer {
  #msPerByte = FIRST_MS_PER_BYTE
  #bytes = 0
  #sinceMs = 0

  /** A memtable of so many bytes is handed to a flush. */
  begin(bytes: number, nowMs: number): void {
    this.#bytes = bytes
    this.#sinceMs = nowMs
  }

  /** That flush has succeeded. */
  end(nowMs: number): void {
    if (this.#bytes === 0) return
    const msPerByte = (nowMs - this.#sinceMs) / this.#bytes
    this.#msPerByte += (msPerByte - this.#msPerByte) * LATEST_SHARE
    this.#bytes = 0
  }

  /** By how much writers who have used this share (0 to 1) of the next memtable are ahead of the flush, in ms. */
  leadMs(usedShare: number, nowMs: number): number {
    if (this.#bytes === 0 || usedShare <= 0.5) return 0
    const elapsedMs = nowMs - this.#sinceMs
    const expectedMs = Math.max(EXPECTED_SHARE * this.#bytes * this.#msPerByte, OVERRUN * elapsedMs)
    return Math.max(0, (2 * usedShare - 1) * expectedMs - elapsedMs)
  }
}
