/**
 * Doubly linked lists of entries over typed arrays. An entry is in at most one list.
 *
 * Memory: 8 bytes an entry. Cost: no allocation per entry.
 */
import { NONE } from './policy.ts'

export class EntryLists {
  /** The oldest and the newest entry of each list. */
  readonly oldest: Int32Array
  readonly newest: Int32Array
  next = new Int32Array(0)
  previous = new Int32Array(0)

  constructor(lists: number) {
    this.oldest = new Int32Array(lists).fill(NONE)
    this.newest = new Int32Array(lists).fill(NONE)
  }

  grow(capacity: number): void {
    this.next = grown(this.next, capacity)
    this.previous = grown(this.previous, capacity)
  }

  clear(): void {
    this.oldest.fill(NONE)
    this.newest.fill(NONE)
    this.next = new Int32Array(0)
    this.previous = new Int32Array(0)
  }

  /** Add an entry as the newest of a list. */
  append(list: number, entry: number): void {
    const last = this.newest[list]!
    this.previous[entry] = last
    this.next[entry] = NONE
    if (last === NONE) this.oldest[list] = entry
    else this.next[last] = entry
    this.newest[list] = entry
  }

  remove(list: number, entry: number): void {
    const { next, previous } = this
    const before = previous[entry]!
    const after = next[entry]!
    if (before === NONE) this.oldest[list] = after
    else next[before] = after
    if (after === NONE) this.newest[list] = before
    else previous[after] = before
  }
}

export function grown<T extends Int32Array | Uint8Array>(array: T, capacity: number): T {
  const larger = new (array.constructor as new (length: number) => T)(capacity)
  larger.set(array)
  return larger
}
