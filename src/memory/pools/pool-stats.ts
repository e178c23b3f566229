/** Figures that all pools report. */

export interface PoolStats {
  /** Bytes leased: memory of blocks, in use or free, and bookkeeping. */
  reservedBytes: number
  /** Part of `reservedBytes` that is bookkeeping. */
  metadataBytes: number
  /** Bytes of the blocks in use, each with its rounding. */
  allocatedBytes: number
  /** Bytes asked for by the blocks in use. */
  usedBytes: number
  /** Blocks in use. */
  blocks: number
  /** Blocks allocated since the pool was made. */
  allocations: number
  /** Blocks freed since the pool was made. */
  frees: number
  /** Allocations refused because the budget or the pool's capacity was full. */
  denied: number
  /** Share of allocations served without new memory, from 0 to 1. */
  hitRate: number
  /** Used by reserved bytes, from 0 to 1; 1 for an empty pool. */
  efficiency: number
  /** Share of allocated bytes lost to rounding, from 0 to 1. */
  internalFragmentation: number
  /** Share of the memory of blocks that is free but reserved, from 0 to 1. */
  externalFragmentation: number
  /** Mean time of an allocation, in nanoseconds, from every 1024th; 0: none measured yet. */
  allocationNs: number
}

/** One allocation in this many is timed. */
const SAMPLED = 1024
/** Weight of the latest sample in the mean. */
const WEIGHT = 1 / 16

/** Counts allocations and frees, and times some of them. */
export class PoolCounters {
  allocations = 0
  frees = 0
  denied = 0
  /** Allocations that needed new memory. */
  misses = 0
  blocks = 0
  usedBytes = 0
  allocatedBytes = 0
  readonly #nowMs: () => number
  #ns = 0
  /** Cost of reading the clock. */
  #clockMs = 0

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
    this.#clockMs = emptyMeasurement(nowMs)
  }

  get isSampled(): boolean { return this.allocations % SAMPLED === 0 }

  /** Time one allocation. */
  time<T>(allocate: () => T): T {
    const startMs = this.#nowMs()
    const result = allocate()
    const ns = Math.max(0, this.#nowMs() - startMs - this.#clockMs) * 1e6
    this.#ns = this.#ns === 0 ? ns : this.#ns + WEIGHT * (ns - this.#ns)
    return result
  }

  stats(reservedBytes: number, metadataBytes: number): PoolStats {
    const { allocations, frees, denied, misses, blocks, usedBytes, allocatedBytes } = this
    const blockBytes = reservedBytes - metadataBytes
    return {
      reservedBytes, metadataBytes, allocatedBytes, usedBytes, blocks, allocations, frees, denied,
      hitRate: allocations === 0 ? 1 : (allocations - misses) / allocations,
      efficiency: reservedBytes === 0 ? 1 : usedBytes / reservedBytes,
      internalFragmentation: allocatedBytes === 0 ? 0 : (allocatedBytes - usedBytes) / allocatedBytes,
      externalFragmentation: blockBytes === 0 ? 0 : (blockBytes - allocatedBytes) / blockBytes,
      allocationNs: this.#ns,
    }
  }
}

function emptyMeasurement(nowMs: () => number): number {
  let least = Infinity
  for (let i = 0; i < 16; i++) {
    const startMs = nowMs()
    least = Math.min(least, nowMs() - startMs)
  }
  return least
}
