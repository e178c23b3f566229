/**
 * The adaptive policy, after S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO queues are all you need for cache eviction, SOSP 2023): a
 * small queue for new entries, a main queue for those found again, and the hashes of those that left the small queue.
 *
 * 1. A new entry goes to the small queue, which gets SMALL_SHARE of the bytes; one whose hash is remembered goes to the main queue.
 * 2. At the end of the small queue an entry found meanwhile moves to the main queue; another is evicted and remembered.
 * 3. At the end of the main queue an entry found meanwhile starts over with one use less; another is evicted.
 *
 * Memory: 25 bytes an entry. Cost: a touch adds one to a count.
 */
import { EntryLists, grown } from './entry-lists.ts'
import { NONE } from './policy.ts'
import type { EvictionPolicy } from './policy.ts'
import { RecentKeys } from './recent-keys.ts'

const SMALL_SHARE = 0.1
const MAX_USES = 3
const SMALL = 0
const MAIN = 1

export class S3Fifo implements EvictionPolicy {
  readonly name = 'adaptive'
  readonly #lists = new EntryLists(2)
  readonly #bytes = [0, 0]
  readonly #recent = new RecentKeys()
  /** Uses, and the queue above them. */
  #state = new Uint8Array(0)
  #sizes = new Int32Array(0)
  #hashes = new Int32Array(0)

  insert(entry: number, hash: number, bytes: number): void {
    this.#sizes[entry] = bytes
    this.#hashes[entry] = hash
    this.#enter(this.#recent.take(hash) ? MAIN : SMALL, entry, 0)
  }

  touch(entry: number): void {
    const state = this.#state[entry]!
    if ((state & MAX_USES) < MAX_USES) this.#state[entry] = state + 1
  }

  remove(entry: number): void {
    this.#leave(this.#state[entry]! >>> 2, entry)
  }

  evict(): number {
    const { oldest } = this.#lists
    for (;;) {
      const [small, main] = this.#bytes as [number, number]
      const queue = oldest[SMALL] !== NONE && (oldest[MAIN] === NONE || small >= SMALL_SHARE * (small + main)) ? SMALL : MAIN
      const entry = oldest[queue]!
      if (entry === NONE) return NONE
      const uses = this.#state[entry]! & MAX_USES
      this.#leave(queue, entry)
      if (uses === 0) {
        if (queue === SMALL) this.#recent.add(this.#hashes[entry]!)
        return entry
      }
      this.#enter(MAIN, entry, queue === SMALL ? 0 : uses - 1)
    }
  }

  grow(capacity: number): void {
    this.#lists.grow(capacity)
    this.#state = grown(this.#state, capacity)
    this.#sizes = grown(this.#sizes, capacity)
    this.#hashes = grown(this.#hashes, capacity)
    this.#recent.resize(2 ** Math.floor(Math.log2(Math.max(2, capacity))))
  }

  clear(): void {
    this.#lists.clear()
    this.#bytes.fill(0)
    this.#recent.resize(2)
    this.#state = new Uint8Array(0)
    this.#sizes = new Int32Array(0)
    this.#hashes = new Int32Array(0)
  }

  #enter(queue: number, entry: number, uses: number): void {
    this.#state[entry] = queue << 2 | uses
    this.#lists.append(queue, entry)
    this.#bytes[queue]! += this.#sizes[entry]!
  }

  #leave(queue: number, entry: number): void {
    this.#lists.remove(queue, entry)
    this.#bytes[queue]! -= this.#sizes[entry]!
  }
}
