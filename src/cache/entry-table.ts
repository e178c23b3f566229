/**
 * The entries of a cache of records: where each is, how long its key and value are, when it expires; found by the hash of its key.
 *
 * Invariants
 * 1. An entry's number is stable until it is removed.
 * 2. The index is at most half full, so every probe ends.
 * 3. `BYTES_PER_ENTRY` are leased for each entry of the capacity before the arrays grow.
 *
 * Memory: 35 bytes an entry, index included. Cost: two cache lines a lookup; growing touches every entry.
 */
import { NONE } from './policy/policy.ts'

export const BYTES_PER_ENTRY = 35
const MIN_CAPACITY = 256

/** Compares a candidate with the key that is looked up. */
export interface KeyMatcher {
  matches(entry: number): boolean
}

export class EntryTable {
  /** In units of the level it is in. */
  places = new Uint32Array(0)
  keyBytes = new Uint16Array(0)
  valueBytes = new Uint32Array(0)
  /** Milliseconds of the cache's clock; Infinity: never. */
  expiresMs = new Float64Array(0)
  levels = new Uint8Array(0)
  hashes = new Int32Array(0)
  /** Entry + 1, or 0. */
  #index = new Int32Array(0)
  #mask = 0
  #count = 0
  #fresh = 0
  /** The first free entry; the next one is in `places`. */
  #free = NONE

  get count(): number { return this.#count }
  get capacity(): number { return this.places.length }
  get isFull(): boolean { return this.#count === this.places.length }
  /** The capacity to grow to. */
  get nextCapacity(): number { return Math.max(MIN_CAPACITY, this.places.length * 2) }

  find(hash: number, keyLength: number, matcher: KeyMatcher): number {
    const { hashes, keyBytes } = this
    const mask = this.#mask
    if (this.#count === 0) return NONE
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = this.#index[at]! - 1
      if (entry < 0) return NONE
      if (hashes[entry] === hash && keyBytes[entry] === keyLength && matcher.matches(entry)) return entry
    }
  }

  /** Add an entry; the table must not be full. */
  add(hash: number, keyLength: number, valueLength: number): number {
    const entry = this.#free === NONE ? this.#fresh++ : this.#free
    if (entry === this.#free) this.#free = this.places[entry]! - 1
    this.hashes[entry] = hash
    this.keyBytes[entry] = keyLength
    this.valueBytes[entry] = valueLength
    this.expiresMs[entry] = Infinity
    this.#count++
    this.#link(entry)
    return entry
  }

  remove(entry: number): void {
    const mask = this.#mask
    const index = this.#index
    let hole = this.hashes[entry]! & mask
    while (index[hole] !== entry + 1) hole = (hole + 1) & mask
    index[hole] = 0
    // Close the gap: move up every later entry that may stand here.
    for (let at = (hole + 1) & mask; index[at] !== 0; at = (at + 1) & mask) {
      const home = this.hashes[index[at]! - 1]! & mask
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      index[hole] = index[at]!
      index[at] = 0
      hole = at
    }
    this.places[entry] = this.#free + 1
    this.levels[entry] = 0
    this.#free = entry
    this.#count--
  }

  grow(capacity: number): void {
    this.places = grow(this.places, new Uint32Array(capacity))
    this.keyBytes = grow(this.keyBytes, new Uint16Array(capacity))
    this.valueBytes = grow(this.valueBytes, new Uint32Array(capacity))
    this.expiresMs = grow(this.expiresMs, new Float64Array(capacity))
    this.levels = grow(this.levels, new Uint8Array(capacity))
    this.hashes = grow(this.hashes, new Int32Array(capacity))
    const old = this.#index
    this.#index = new Int32Array(2 * capacity)
    this.#mask = 2 * capacity - 1
    for (const linked of old) if (linked !== 0) this.#link(linked - 1)
  }

  /** Remove all entries and the arrays. */
  clear(): void {
    this.places = new Uint32Array(0)
    this.keyBytes = new Uint16Array(0)
    this.valueBytes = new Uint32Array(0)
    this.expiresMs = new Float64Array(0)
    this.levels = new Uint8Array(0)
    this.hashes = new Int32Array(0)
    this.#index = new Int32Array(0)
    this.#count = this.#fresh = 0
    this.#free = NONE
  }

  #link(entry: number): void {
    const mask = this.#mask
    let at = this.hashes[entry]! & mask
    while (this.#index[at] !== 0) at = (at + 1) & mask
    this.#index[at] = entry + 1
  }
}

function grow<T extends { set(from: T): void }>(from: T, to: T): T {
  to.set(from)
  return to
}
