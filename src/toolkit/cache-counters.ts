/** Counts what happens in a cache and times a sample of the gets; bounded, whatever the number of keys. */
import type { HostClock } from '../host/host.ts'

/** One get in this many is timed. */
const SAMPLED = 64
/** Weight of the latest sample in a mean. */
const WEIGHT = 1 / 32

export class CacheCounters {
  /** Hits by level: memory, compressed memory and disk. */
  hits = 0
  lowerHits = 0
  misses = 0
  /** Misses of keys that were evicted recently: a larger cache would have had them. */
  regretted = 0
  expired = 0
  sets = 0
  deletes = 0
  /** Entries that left level 1 for lower levels, and those that left the cache. */
  demotions = 0
  evictions = 0
  hitUs = 0
  missUs = 0
  readonly #clock: HostClock
  #startMs: number
  #startedMs = -1
  #gets = 0

  constructor(clock: HostClock) {
    this.#clock = clock
    this.#startMs = clock.nowMs()
  }

  get elapsedMs(): number { return this.#clock.nowMs() - this.#startMs }

  beginGet(): void {
    this.#startedMs = this.#gets++ % SAMPLED === 0 ? this.#clock.nowMs() : -1
  }

  endGet(isHit: boolean): void {
    if (this.#startedMs < 0) return
    const us = (this.#clock.nowMs() - this.#startedMs) * 1000
    if (isHit) this.hitUs = this.hitUs === 0 ? us : this.hitUs + WEIGHT * (us - this.hitUs)
    else this.missUs = this.missUs === 0 ? us : this.missUs + WEIGHT * (us - this.missUs)
  }
}
