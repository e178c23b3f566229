/**
 * The leaves of a memtable in key order, many at a time, without reading keys: in a large memtable nearly every leaf and version is
 * a cache miss, and misses of many keys can be waited for together. A write invalidates it. Cost: one tree step per key.
 */
import { type Arena, H_ROOT } from './arena.ts'
import { END, childAt, isTerminal, nextPlace } from './nodes.ts'

export class LeafWalk {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  /** Pairs: node, place of the next child, -1 = the terminal entry. */
  #path = new Int32Array(64)
  #top = 0

  constructor(arena: Arena) {
    this.#words = arena.words
    this.#bytes = arena.bytes
  }

  /** Fill `leaves` with the first leaves; returns their number. */
  first(leaves: Int32Array): number {
    this.#top = 0
    const pointer = this.#words[H_ROOT]!
    if (pointer > 0) {
      this.#enter(pointer)
      return this.next(leaves)
    }
    if (pointer === 0) return 0
    leaves[0] = ~pointer
    return 1
  }

  /** Fill `leaves` with the next ones; returns their number, 0 = end. */
  next(leaves: Int32Array): number {
    const words = this.#words
    const bytes = this.#bytes
    const room = leaves.length
    let count = 0
    while (this.#top > 0 && count < room) {
      const path = this.#path
      const node = path[this.#top - 2]!
      const header = words[node]!
      let place = path[this.#top - 1]!
      if (place < 0) {
        leaves[count++] = words[node + 1]!
        path[this.#top - 1] = nextPlace(words, bytes, node, header, -1)
        continue
      }
      let inner = 0
      while (place !== END && count < room) {
        const pointer = childAt(words, bytes, node, header, place)
        place = nextPlace(words, bytes, node, header, place)
        if (pointer > 0) {
          inner = pointer
          break
        }
        leaves[count++] = ~pointer
      }
      if (place === END) this.#top -= 2
      else path[this.#top - 1] = place
      if (inner > 0) this.#enter(inner)
    }
    return count
  }

  #enter(node: number): void {
    if (this.#top === this.#path.length) {
      const longer = new Int32Array(2 * this.#top)
      longer.set(this.#path)
      this.#path = longer
    }
    const header = this.#words[node]!
    this.#path[this.#top] = node
    this.#path[this.#top + 1] = isTerminal(header) ? -1 : nextPlace(this.#words, this.#bytes, node, header, -1)
    this.#top += 2
  }
}
