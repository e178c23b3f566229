// Latencies in a fixed number of buckets: 64 equal ones of 10 ns each, then 32 for every doubling, so that a bucket is at most 3 %
// wide. Recording allocates nothing.

const SUB_BITS = 5
const LINEAR = 2 << SUB_BITS
const UNITS_PER_MS = 1e5
const MAX_UNITS = 2 ** 32 - 1

export class Histogram {
  #counts = new Uint32Array(LINEAR + (32 - SUB_BITS - 1) * (1 << SUB_BITS))
  count = 0
  maxMs = 0

  record(ms) {
    const units = Math.min(ms * UNITS_PER_MS, MAX_UNITS) >>> 0
    this.#counts[bucketOf(units)]++
    this.count++
    if (ms > this.maxMs) this.maxMs = ms
  }

  /** Microseconds that the share `quantile` of all stayed at or below: the middle of its bucket, never above the maximum. */
  quantileUs(quantile) {
    let left = Math.ceil(this.count * quantile)
    for (let bucket = 0; bucket < this.#counts.length; bucket++) {
      left -= this.#counts[bucket]
      if (left <= 0 && this.count > 0) return Math.min(middleOf(bucket) / UNITS_PER_MS, this.maxMs) * 1000
    }
    return 0
  }
}

function bucketOf(units) {
  if (units < LINEAR) return units
  const exponent = 31 - Math.clz32(units)
  return LINEAR + ((exponent - SUB_BITS - 1) << SUB_BITS) + ((units >>> (exponent - SUB_BITS)) & ((1 << SUB_BITS) - 1))
}

function middleOf(bucket) {
  if (bucket < LINEAR) return bucket + 0.5
  const above = bucket - LINEAR
  const shift = (above >> SUB_BITS) + 1
  return ((1 << SUB_BITS) + (above & ((1 << SUB_BITS) - 1)) + 0.5) * 2 ** shift
}
