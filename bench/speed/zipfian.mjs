// The key choosers of YCSB: ranks 0 ... items - 1 with the popularity of Zipf's law, drawn beforehand so that the draw is not timed.
import { mix } from '../memory/rows.mjs'

const THETA = 0.99

/** Ranks, most popular first, by the method of Gray et al. that YCSB uses. The same in every run. */
export class Zipfian {
  #items
  #alpha = 1 / (1 - THETA)
  #zeta = 0
  #eta
  #state

  constructor(items, seed = 1) {
    this.#items = items
    for (let rank = 1; rank <= items; rank++) this.#zeta += 1 / rank ** THETA
    this.#eta = (1 - (2 / items) ** (1 - THETA)) / (1 - (1 + 0.5 ** THETA) / this.#zeta)
    this.#state = mix(seed) || 1
  }

  next() {
    const uniform = this.#uniform()
    const scaled = uniform * this.#zeta
    if (scaled < 1) return 0
    if (scaled < 1 + 0.5 ** THETA) return Math.min(1, this.#items - 1)
    return Math.min(Math.floor(this.#items * (this.#eta * uniform - this.#eta + 1) ** this.#alpha), this.#items - 1)
  }

  #uniform() {
    let state = this.#state
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    this.#state = state
    return (state >>> 0) / 2 ** 32
  }
}

/** `count` ranks; `isScrambled`: spread over all items, so that popular ones are not neighbours. */
export function drawRanks(items, count, isScrambled, seed) {
  const zipfian = new Zipfian(items, seed)
  const ranks = new Uint32Array(count)
  for (let n = 0; n < count; n++) {
    const rank = zipfian.next()
    ranks[n] = isScrambled ? mix(rank + 0x5bd1e995) % items : rank
  }
  return ranks
}
