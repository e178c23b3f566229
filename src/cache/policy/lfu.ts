/**
 * LFU: the entry found least often goes, the oldest among equals. Uses are counted up to 255; when half of the entries have that
 * many, all counts are halved, so that the past does not count for ever.
 *
 * Memory: 9 bytes an entry. Cost: a touch moves an entry to the next list; halving walks all entries, once in 128 uses of most of them.
 */
import { EntryLists, grown } from './entry-lists.ts'
import { NONE } from './policy.ts'
import type { EvictionPolicy } from './policy.ts'

const MAX_USES = 255

export class Lfu implements EvictionPolicy {
  readonly name = 'lfu'
  readonly #lists = new EntryLists(MAX_USES + 1)
  #uses = new Uint8Array(0)
  #least = 0
  #entries = 0
  #atMost = 0

  insert(entry: number): void {
    this.#uses[entry] = 0
    this.#lists.append(0, entry)
    this.#least = 0
    this.#entries++
  }

  touch(entry: number): void {
    const uses = this.#uses[entry]!
    if (uses === MAX_USES) return
    this.#lists.remove(uses, entry)
    this.#lists.append(uses + 1, entry)
    this.#uses[entry] = uses + 1
    if (uses + 1 === MAX_USES && ++this.#atMost * 2 > this.#entries) this.#halve()
  }

  remove(entry: number): void {
    const uses = this.#uses[entry]!
    this.#lists.remove(uses, entry)
    this.#entries--
    if (uses === MAX_USES) this.#atMost--
  }

  evict(): number {
    const { oldest } = this.#lists
    while (this.#least < MAX_USES && oldest[this.#least] === NONE) this.#least++
    const entry = oldest[this.#least]!
    if (entry !== NONE) this.remove(entry)
    return entry
  }

  grow(capacity: number): void {
    this.#lists.grow(capacity)
    this.#uses = grown(this.#uses, capacity)
  }

  clear(): void {
    this.#lists.clear()
    this.#uses = new Uint8Array(0)
    this.#least = this.#entries = this.#atMost = 0
  }

  #halve(): void {
    const { oldest, newest, next } = this.#lists
    const all: number[] = []
    for (let list = 1; list <= MAX_USES; list++) {
      for (let entry = oldest[list]!; entry !== NONE; entry = next[entry]!) all.push(entry)
      oldest[list] = newest[list] = NONE
    }
    for (const entry of all) {
      const uses = this.#uses[entry]! >>> 1
      this.#uses[entry] = uses
      this.#lists.append(uses, entry)
    }
    this.#least = this.#atMost = 0
  }
}
