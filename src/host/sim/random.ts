/** A seeded generator (sfc32): same seed, same numbers on every platform. Not for secrets. */
export class Random {
  #a = 0
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number) {
    this.#b = seed | 0
    this.#c = Math.floor(seed / 2 ** 32) | 0
    // Neighbouring seeds must differ from the start.
    for (let i = 0; i < 15; i++) this.next32()
  }

  /** An unsigned 32-bit integer. */
  next32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum | 0
    return sum >>> 0
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return Math.floor((this.next32() / 2 ** 32) * limit)
  }

  /** An integer in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** An independent generator, whose use does not shift these numbers. */
  fork(): Random {
    return new Random(this.next32() * 2 ** 21 + (this.next32() >>> 11))
  }
}
