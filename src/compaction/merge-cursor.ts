/**
 * k sorted cursors as one, forward and backward: a binary heap of their current entries.
 *
 * Invariants
 * 1. Forward order is key ascending, sequence number descending; backward is its mirror.
 * 2. `current` is the cursor with the next entry; its views are valid until the next move.
 * 3. A move costs O(log k) comparisons and allocates nothing.
 */
import { compareBytes } from '../base/bytes.ts'
import type { Cursor } from '../base/cursor.ts'

export class MergeCursor {
  readonly #cursors: readonly Cursor[]
  readonly #heap: Cursor[]
  #size = 0
  #direction = 1

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = cursors
    this.#heap = [...cursors]
  }

  get valid(): boolean { return this.#size > 0 }
  get current(): Cursor { return this.#heap[0]! }

  seekToFirst(): void {
    for (const cursor of this.#cursors) cursor.seekToFirst()
    this.#build(1)
  }

  seekToLast(): void {
    for (const cursor of this.#cursors) cursor.seekToLast()
    this.#build(-1)
  }

  /** Forward from the first key >= the given one. */
  seek(key: Uint8Array, start: number, end: number): void {
    for (const cursor of this.#cursors) cursor.seek(key, start, end)
    this.#build(1)
  }

  /** Backward from the last key < the given one. */
  seekBefore(key: Uint8Array, start: number, end: number): void {
    for (const cursor of this.#cursors) cursor.seekBefore(key, start, end)
    this.#build(-1)
  }

  /** In the direction of the last seek. */
  advance(): void {
    const top = this.#heap[0]!
    if (this.#direction > 0) top.next()
    else top.prev()
    if (!top.valid) {
      this.#size--
      if (this.#size === 0) return
      this.#heap[0] = this.#heap[this.#size]!
      this.#heap[this.#size] = top
    }
    this.#siftDown(0)
  }

  /** Call after the cursors were moved forward. */
  rebuild(): void {
    this.#build(1)
  }

  #build(direction: number): void {
    this.#direction = direction
    const heap = this.#heap
    let size = 0
    for (const cursor of this.#cursors) if (cursor.valid) heap[size++] = cursor
    this.#size = size
    for (let i = (size >> 1) - 1; i >= 0; i--) this.#siftDown(i)
  }

  #siftDown(at: number): void {
    const heap = this.#heap
    const size = this.#size
    const moving = heap[at]!
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && this.#before(heap[child + 1]!, heap[child]!)) child++
      if (!this.#before(heap[child]!, moving)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = moving
  }

  #before(a: Cursor, b: Cursor): boolean {
    const order = compareBytes(a.key, a.keyStart, a.keyEnd, b.key, b.keyStart, b.keyEnd) || b.seq - a.seq
    return this.#direction > 0 ? order < 0 : order > 0
  }
}
