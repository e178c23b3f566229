/** Mean times of block loads, from every 16th load: reads from a table, and loads from the second cache level. */

const SAMPLED = 16
/** Weight of the latest sample. */
const WEIGHT = 1 / 16

export class LoadTimes {
  /** Mean of a read in milliseconds; 0: none yet. */
  readMs = 0
  /** Mean of a load from the second level. */
  loadMs = 0
  /** Time the next load. */
  isWanted = false
  readonly #nowMs: () => number
  #startedMs = -1

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** A load begins; `count`: loads so far. */
  begin(count: number): void {
    this.#startedMs = this.isWanted || count % SAMPLED === 0 ? this.#nowMs() : -1
    this.isWanted = false
  }

  end(isFound: boolean): void {
    if (this.#startedMs < 0) return
    const ms = this.#nowMs() - this.#startedMs
    this.#startedMs = -1
    const mean = isFound ? this.loadMs : this.readMs
    // A single load may have met a pause of the process.
    const next = mean === 0 ? ms : mean + WEIGHT * (Math.min(ms, 8 * mean) - mean)
    if (isFound) this.loadMs = next
    else this.readMs = next
  }

  /** The load was not one read: ignore it. */
  drop(): void {
    this.#startedMs = -1
  }
}
