/** How much the stores of a budget are asked to write, and for how long they have been asked for nothing. */
import type { HostClock } from '../../host/host.ts'
import type { Traffic } from './governor.ts'

/** Without demand for this long, free arenas serve readers. */
export const QUIET_MS = 250
/** Without demand for this long, a merge will probably not delay writers. */
const LONG_QUIET_MS = 1000

export class WriteDemand {
  readonly #clock: HostClock
  readonly #traffic: Traffic
  /** Demand at the last look, and since when it has not changed. */
  #seenBytes = -1
  #quietSinceMs = 0
  #sampledBytes = 0
  #sampledMs = 0
  #bytesPerSecond = 0

  constructor(clock: HostClock, traffic: Traffic) {
    this.#clock = clock
    this.#traffic = traffic
  }

  /** No write for QUIET_MS, as far as it was looked at. */
  get isQuiet(): boolean { return this.#quietMs() >= QUIET_MS }

  /** Bytes a second: 0 after a second without writes, else the recent maximum. Call once a sample. */
  sample(): number {
    const { demandBytes } = this.#traffic
    const nowMs = this.#clock.nowMs()
    const seconds = (nowMs - this.#sampledMs) / 1000
    if (seconds > 0) this.#bytesPerSecond = Math.max(this.#bytesPerSecond / 2, (demandBytes - this.#sampledBytes) / seconds)
    this.#sampledBytes = demandBytes
    this.#sampledMs = nowMs
    return this.#quietMs() >= LONG_QUIET_MS ? 0 : this.#bytesPerSecond
  }

  #quietMs(): number {
    const { demandBytes } = this.#traffic
    const nowMs = this.#clock.nowMs()
    if (demandBytes !== this.#seenBytes) {
      this.#seenBytes = demandBytes
      this.#quietSinceMs = nowMs
    }
    return nowMs - this.#quietSinceMs
  }
}
