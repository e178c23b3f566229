/**
 * The leaves of a memtable in key order, each with its newest version. Leaves and versions of some keys are loaded in advance, all at
 * once: the loads are independent, so the processor waits for many at the same time.
 */
import type { Arena } from './arena.ts'
import { LeafWalk } from './leaf-walk.ts'

/** Keys loaded in advance: their entries fit well into the nearest cache. */
const AHEAD = 32
/** A processor cache line. */
const LINE_WORDS = 16

export class LeavesAhead {
  /** After a successful `next`. */
  leaf = 0
  version = 0
  readonly #words: Int32Array
  readonly #walk: LeafWalk
  readonly #leaves = new Int32Array(AHEAD)
  readonly #versions = new Int32Array(AHEAD)
  #count = 0
  #at = 0
  /** Never read: only the loads that compute it matter. */
  #touched = 0

  constructor(arena: Arena) {
    this.#words = arena.words
    this.#walk = new LeafWalk(arena)
  }

  /** Go before the first leaf. */
  first(): void {
    this.#count = this.#walk.first(this.#leaves)
    this.#touch()
  }

  /** False: there is no further leaf. */
  next(): boolean {
    if (this.#at === this.#count) {
      if (this.#count === 0) return false
      this.#count = this.#walk.next(this.#leaves)
      this.#touch()
      if (this.#count === 0) return false
    }
    this.leaf = this.#leaves[this.#at]!
    this.version = this.#versions[this.#at]!
    this.#at++
    return true
  }

  #touch(): void {
    const words = this.#words
    const versions = this.#versions
    const count = this.#count
    const last = words.length - 1
    for (let i = 0; i < count; i++) versions[i] = words[this.#leaves[i]!]!
    let sum = this.#touched
    for (let i = 0; i < count; i++) {
      const version = versions[i]!
      sum ^= words[version + 1]! ^ words[Math.min(version + LINE_WORDS, last)]!
    }
    this.#touched = sum
    this.#at = 0
  }
}
