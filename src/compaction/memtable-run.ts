/**
 * A sealed memtable as the input of a flush: its cursor, and, for a flush in the kernels, records of what follows in a slot.
 *
 * Invariants
 * 1. The slot holds records (layout: base/kernels/assembly/input.ts) of entries that the cursor has gone past; while there are any left,
 *    the current entry is the first of them.
 * 2. All versions of a memtable are read once, forward.
 *
 * Cost: one copy of each entry, by words.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Cursor } from '../base/cursor.ts'
import type { MergeKernel } from '../base/kernels/merge-kernel.ts'
import { SLOT_ROOM_BYTES } from '../base/kernels/merge-kernel.ts'
import type { KernelInput } from './kernel-merge.ts'

const RECORD_HEADER_BYTES = 24
/** Longer values are copied by the engine. */
const LONG_WORDS = 64

export class MemtableRun implements KernelInput {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly #inner: Cursor
  readonly #source: Int32Array
  #slot: Uint8Array<ArrayBuffer> = EMPTY
  #words: Int32Array = new Int32Array(0)
  #numbers: Float64Array = new Float64Array(0)
  /** Records in the slot, the current one, and where in the slot it is. */
  #count = 0
  #at = 0
  #recordAt = 0

  /** `inner`: of a memtable in `buffer`, whose keys and values begin on words. */
  constructor(inner: Cursor, buffer: SharedArrayBuffer) {
    this.#inner = inner
    this.#source = new Int32Array(buffer, 0, buffer.byteLength >>> 2)
  }

  seekToFirst(): void {
    this.#count = this.#at = 0
    this.#inner.seekToFirst()
    this.#show()
  }

  next(): void {
    if (this.#at < this.#count) {
      this.#recordAt = this.#after(this.#recordAt)
      this.#at++
    } else {
      this.#inner.next()
    }
    this.#show()
  }

  useSlot(slot: Uint8Array<ArrayBuffer>): void {
    this.#slot = slot
    this.#words = new Int32Array(slot.buffer, slot.byteOffset, slot.length >>> 2)
    this.#numbers = new Float64Array(slot.buffer, slot.byteOffset, slot.length >>> 3)
  }

  fillSlot(): boolean {
    if (this.#at < this.#count) return true
    const inner = this.#inner
    const words = this.#words
    const limit = this.#slot.length - SLOT_ROOM_BYTES
    let at = 0
    let count = 0
    for (; inner.valid; inner.next()) {
      const keyLength = inner.keyEnd - inner.keyStart
      const valueLength = inner.valueEnd - inner.valueStart
      const end = recordEnd(at, keyLength, valueLength)
      if (end > limit) break
      this.#numbers[at >>> 3] = inner.seq
      const w = at >>> 2
      words[w + 2] = keyLength
      words[w + 3] = valueLength
      words[w + 4] = inner.kind
      const keyWords = (keyLength + 3) >>> 2
      this.#copyWords(inner.keyStart >>> 2, keyWords, w + RECORD_HEADER_BYTES / 4)
      this.#copyWords(inner.valueStart >>> 2, (valueLength + 3) >>> 2, w + RECORD_HEADER_BYTES / 4 + keyWords)
      at = end
      count++
    }
    this.#at = this.#recordAt = 0
    this.#count = count
    if (count > 0) this.#show()
    return count > 0
  }

  enter(kernel: MergeKernel, i: number): void {
    kernel.openRecords(i, kernel.slotAt(i) + this.#recordAt, this.#count - this.#at)
  }

  leave(position: number): void {
    for (let i = 0; i < position; i++) this.#recordAt = this.#after(this.#recordAt)
    this.#at += position
    this.#show()
  }

  emptySlot(): void {
    this.#count = this.#at = 0
    this.#show()
  }

  seekToLast(): void { throw forwardOnly() }
  seek(): void { throw forwardOnly() }
  seekBefore(): void { throw forwardOnly() }
  prev(): void { throw forwardOnly() }

  #after(recordAt: number): number {
    const w = recordAt >>> 2
    return recordEnd(recordAt, this.#words[w + 2]!, this.#words[w + 3]!)
  }

  #show(): void {
    if (this.#at < this.#count) {
      const w = this.#recordAt >>> 2
      this.valid = true
      this.key = this.value = this.#slot
      this.keyStart = this.#recordAt + RECORD_HEADER_BYTES
      this.keyEnd = this.keyStart + this.#words[w + 2]!
      this.seq = this.#numbers[this.#recordAt >>> 3]!
      this.kind = this.#words[w + 4]!
      this.valueStart = (this.keyEnd + 3) & ~3
      this.valueEnd = this.valueStart + this.#words[w + 3]!
      return
    }
    const inner = this.#inner
    this.valid = inner.valid
    this.key = inner.key
    this.keyStart = inner.keyStart
    this.keyEnd = inner.keyEnd
    this.seq = inner.seq
    this.kind = inner.kind
    this.value = inner.value
    this.valueStart = inner.valueStart
    this.valueEnd = inner.valueEnd
  }

  #copyWords(from: number, count: number, to: number): void {
    const words = this.#words
    const source = this.#source
    if (count > LONG_WORDS) {
      words.set(source.subarray(from, from + count), to)
      return
    }
    for (let i = 0; i < count; i++) words[to + i] = source[from + i]!
  }
}

function recordEnd(at: number, keyLength: number, valueLength: number): number {
  return (at + RECORD_HEADER_BYTES + ((keyLength + 3) & ~3) + valueLength + 7) & ~7
}

function forwardOnly(): Error {
  return new Error('an input of a flush goes forward only')
}
