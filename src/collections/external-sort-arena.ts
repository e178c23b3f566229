/**
 * Memory of a sort: one leased buffer, entries from the front and an index of their positions from the back.
 *
 * Invariant: if an entry fits, so does the memory to sort the index, 24 bytes an entry.
 * Cost: one copy an entry. Lines never become strings.
 */
import { copyBytes } from '../base/bytes.ts'
import { EntryReader, MAX_HEADER_BYTES, headerBytes, writeHeader } from '../pages/paged-entry.ts'
import type { KeyOrder } from '../pages/paged-merge.ts'
import { INDEX_INTEGERS, RadixSorter } from './external-sort-radix.ts'

const INDEX_BYTES = 4 * INDEX_INTEGERS

export class SortArena {
  /** Start of the first line not taken. */
  rest = 0

  readonly bytes: Uint8Array
  readonly #view: DataView
  readonly #start: number
  readonly #places: Uint32Array
  readonly #sorter: RadixSorter
  #at: number
  #count = 0

  /** `bytes` begins at offset 0 of its buffer and is a multiple of four long. */
  constructor(bytes: Uint8Array, start: number, order: KeyOrder) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#start = start
    this.#at = start
    this.#places = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length >>> 2)
    this.#sorter = new RadixSorter(bytes, order)
  }

  get count(): number { return this.#count }
  get usedBytes(): number { return this.#at - this.#start }
  get largestBytes(): number { return this.bytes.length - this.#start - MAX_HEADER_BYTES - INDEX_BYTES }

  add(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number): boolean {
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    if (!this.#fits(headerBytes(keyLength, valueLength) + keyLength + valueLength)) return false
    const at = writeHeader(this.bytes, this.#at, keyLength, valueLength)
    copyBytes(key, keyStart, keyEnd, this.bytes, at)
    copyBytes(value, valueStart, valueEnd, this.bytes, at + keyLength)
    this.#added(at + keyLength + valueLength)
    return true
  }

  /** Add lines as keys. False when the arena is full. Sets `rest`. */
  addLines(chunk: Uint8Array, from: number, delimiter: number): boolean {
    const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.length)
    for (;;) {
      const end = chunk.indexOf(delimiter, from)
      if (end < 0) {
        this.rest = from
        return true
      }
      const length = end - from
      if (!this.#fits(length + (length < 64 ? 1 : headerBytes(length, 0)))) {
        this.rest = from
        return false
      }
      const at = writeHeader(this.bytes, this.#at, length, 0)
      this.#copy(view, from, end, at)
      this.#added(at + length)
      from = end + 1
    }
  }

  /** Valid until the next `add` or `clear`. */
  sort(): Uint32Array {
    const integers = this.#count * INDEX_INTEGERS
    return this.#sorter.sort(this.#places.subarray(this.#places.length - integers), this.#count)
  }

  clear(): void {
    this.#at = this.#start
    this.#count = 0
  }

  adopt(other: SortArena): void {
    const shift = this.#start - other.#start
    this.bytes.set(other.bytes.subarray(other.#start, other.#at), this.#start)
    const from = other.#places
    const to = this.#places
    for (let i = 1; i <= other.#count; i++) to[to.length - i] = from[from.length - i]! + shift
    this.#at = other.#at + shift
    this.#count = other.#count
  }

  #fits(bytes: number): boolean {
    return this.#at + bytes + (this.#count + 1) * INDEX_BYTES <= this.bytes.length
  }

  #added(end: number): void {
    this.#count++
    this.#places[this.#places.length - this.#count] = this.#at
    this.#at = end
  }

  /** Cheaper per line than `set` and a view. */
  #copy(from: DataView, start: number, end: number, at: number): void {
    const to = this.#view
    for (; start + 4 <= end; start += 4, at += 4) to.setInt32(at, from.getInt32(start, true), true)
    for (; start < end; start++, at++) to.setUint8(at, from.getUint8(start))
  }
}

const AHEAD = 32
const LINE_BYTES = 64

/**
 * Iterates a sorted arena. Entries are in random order; touching 32 together lets their cache misses overlap (a third of the time
 * of writing a run).
 */
export class ArenaWalk {
  readonly bytes: Uint8Array
  entryStart = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  entryEnd = 0
  readonly #places: Uint32Array
  readonly #reader = new EntryReader()
  #next = 0
  #touched = 0
  /** Keeps the JIT from removing the touches. */
  touchSum = 0

  constructor(bytes: Uint8Array, places: Uint32Array) {
    this.bytes = bytes
    this.#places = places
  }

  next(): boolean {
    if (this.#next === this.#touched) {
      if (this.#next === this.#places.length) return false
      this.#touch()
    }
    const at = this.#places[this.#next++]!
    const reader = this.#reader
    reader.read(this.bytes, at)
    this.entryStart = at
    this.keyStart = reader.keyStart
    this.valueStart = this.keyEnd = reader.keyEnd
    this.entryEnd = reader.valueEnd
    return true
  }

  #touch(): void {
    const places = this.#places
    const bytes = this.bytes
    const end = Math.min(this.#next + AHEAD, places.length)
    const last = bytes.length - 1
    let sum = 0
    for (let i = this.#next; i < end; i++) {
      const at = places[i]!
      sum += bytes[at]! + bytes[Math.min(at + LINE_BYTES, last)]!
    }
    this.touchSum = sum
    this.#touched = end
  }
}
