/**
 * Maps (table, offset) of a cached block to slot, start and length.
 *
 * One array of words: entries (dense, with a free list, chained per slot in insertion order) and an open-addressed index of entry
 * numbers, twice as many. An index word has six bits of the hash above the entry number, so false candidates are rare.
 *
 * Invariants
 * 1. Its bytes are leased before they are allocated: 32 per entry.
 * 2. An entry's number is stable until it is removed.
 * 3. The index is at most half full, so every probe ends.
 *
 * Cost: two cache lines a lookup; growth and shrinking touch every entry.
 */
import type { Account, Lease } from '../memory/budget.ts'

/** No entry. */
export const NONE = -1
/** Maximum counted touches. */
export const MAX_TOUCHES = 3

const ENTRY_WORDS = 6
const TABLE = 0
const OFFSET = 1
/** Slot number << 2 | touches. */
const PLACE = 2
const START = 3
const LENGTH = 4
/** The next entry of the slot, or of the free list. */
const NEXT = 5
const BYTES_PER_ENTRY = 4 * (ENTRY_WORDS + 2)
export const MIN_CAPACITY = 64
/** Entry numbers leave six bits of an index word free. */
const MAX_CAPACITY = 2 ** 25
const NUMBER_MASK = 2 ** 26 - 1
const TAG_SHIFT = 26

export class BlockDirectory {
  readonly #account: Account
  #lease: Lease | undefined
  #words = NO_WORDS
  #capacity = 0
  /** Index slots - 1. */
  #mask = 0
  #count = 0
  #free = NONE
  /** Entries from here on were never used. */
  #fresh = 0

  constructor(account: Account) {
    this.#account = account
  }

  /** Bytes for `capacity` entries. */
  static bytesFor(capacity: number): number { return capacity * BYTES_PER_ENTRY }

  get count(): number { return this.#count }
  get capacity(): number { return this.#capacity }
  get bytes(): number { return this.#capacity * BYTES_PER_ENTRY }
  measure(): number { return this.#words.buffer.byteLength }

  start(entry: number): number { return this.#words[entry * ENTRY_WORDS + START]! }
  length(entry: number): number { return this.#words[entry * ENTRY_WORDS + LENGTH]! }
  slot(entry: number): number { return this.#words[entry * ENTRY_WORDS + PLACE]! >>> 2 }
  table(entry: number): number { return this.#words[entry * ENTRY_WORDS + TABLE]! }
  offset(entry: number): number { return this.#words[entry * ENTRY_WORDS + OFFSET]! >>> 0 }
  touches(entry: number): number { return this.#words[entry * ENTRY_WORDS + PLACE]! & MAX_TOUCHES }
  next(entry: number): number { return this.#words[entry * ENTRY_WORDS + NEXT]! }
  setNext(entry: number, next: number): void { this.#words[entry * ENTRY_WORDS + NEXT] = next }

  /** The entry of a block, or NONE. */
  find(table: number, offset: number): number {
    if (this.#count === 0) return NONE
    const words = this.#words
    const mask = this.#mask
    const index = this.#capacity * ENTRY_WORDS
    const wanted = offset | 0
    const hash = hashOf(table, wanted)
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const word = words[index + i]!
      if (word === 0) return NONE
      if ((word ^ hash) >>> TAG_SHIFT !== 0) continue
      const entry = (word & NUMBER_MASK) - 1
      const at = entry * ENTRY_WORDS
      if (words[at + OFFSET] === wanted && words[at + TABLE] === table) return entry
    }
  }

  touch(entry: number): void {
    const at = entry * ENTRY_WORDS + PLACE
    const place = this.#words[at]!
    if ((place & MAX_TOUCHES) !== MAX_TOUCHES) this.#words[at] = place + 1
  }

  /** The block moved. Its touches are halved, so that it must earn its next stay. */
  move(entry: number, slot: number, start: number): void {
    const at = entry * ENTRY_WORDS
    const touches = this.#words[at + PLACE]! & MAX_TOUCHES
    this.#words[at + PLACE] = (slot << 2) | (touches >> 1)
    this.#words[at + START] = start
  }

  /** Add a block that is not present, while `count < capacity`. Its `next` is NONE. */
  add(table: number, offset: number, slot: number, start: number, length: number, touches = 0): number {
    const words = this.#words
    let entry = this.#free
    if (entry === NONE) entry = this.#fresh++
    else this.#free = words[entry * ENTRY_WORDS + NEXT]!
    const at = entry * ENTRY_WORDS
    words[at + TABLE] = table
    words[at + OFFSET] = offset | 0
    words[at + PLACE] = (slot << 2) | touches
    words[at + START] = start
    words[at + LENGTH] = length
    words[at + NEXT] = NONE
    this.#enter(entry)
    this.#count++
    return entry
  }

  /** Remove an entry; the caller unlinks it from its chain. */
  remove(entry: number): void {
    const words = this.#words
    const mask = this.#mask
    const index = this.#capacity * ENTRY_WORDS
    let hole = this.#hash(entry) & mask
    while ((words[index + hole]! & NUMBER_MASK) !== entry + 1) hole = (hole + 1) & mask
    // Close the gap: move up every later entry that may stand here.
    for (let i = (hole + 1) & mask; ; i = (i + 1) & mask) {
      const word = words[index + i]!
      if (word === 0) break
      const home = this.#hash((word & NUMBER_MASK) - 1) & mask
      if (((i - home) & mask) >= ((i - hole) & mask)) {
        words[index + hole] = word
        hole = i
      }
    }
    words[index + hole] = 0
    words[entry * ENTRY_WORDS + NEXT] = this.#free
    this.#free = entry
    this.#count--
  }

  /** Space for `capacity` entries (a power of two), leased from free memory; false: none. Only for an empty or full directory. */
  reserve(capacity: number): boolean {
    if (capacity > MAX_CAPACITY) return false
    const bytes = capacity * BYTES_PER_ENTRY
    if (this.#account.budget.freeBytes < bytes) return false
    const lease = this.#account.tryLease(bytes, false)
    if (lease === undefined) return false
    let words: Int32Array<ArrayBuffer>
    try {
      // Resizable, because only resize(0) frees memory at once.
      words = new Int32Array(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes >> 2)
    } catch {
      lease.release()
      return false
    }
    // All entries are in use, or there are none: the free list is empty.
    const entries = this.#count
    words.set(this.#words.subarray(0, entries * ENTRY_WORDS))
    resizeTo(this.#words, 0)
    this.#lease?.release()
    this.#lease = lease
    this.#words = words
    this.#capacity = capacity
    this.#mask = capacity * 2 - 1
    for (let entry = 0; entry < entries; entry++) this.#enter(entry)
    return true
  }

  /** Remove all entries and free everything. */
  free(): void {
    this.#lease?.release()
    this.#lease = undefined
    resizeTo(this.#words, 0)
    this.#words = NO_WORDS
    this.#capacity = this.#mask = this.#count = this.#fresh = 0
    this.#free = NONE
  }

  #hash(entry: number): number {
    return hashOf(this.#words[entry * ENTRY_WORDS + TABLE]!, this.#words[entry * ENTRY_WORDS + OFFSET]!)
  }

  #enter(entry: number): void {
    const index = this.#capacity * ENTRY_WORDS
    const hash = this.#hash(entry)
    let i = hash & this.#mask
    while (this.#words[index + i] !== 0) i = (i + 1) & this.#mask
    this.#words[index + i] = (entry + 1) | (hash >>> TAG_SHIFT << TAG_SHIFT)
  }
}

const NO_WORDS = new Int32Array(new ArrayBuffer(0, { maxByteLength: 0 }))

function resizeTo(words: Int32Array<ArrayBuffer>, bytes: number): void {
  if (words !== NO_WORDS) words.buffer.resize(bytes)
}

function hashOf(table: number, offset: number): number {
  let hash = Math.imul(table, 0x9e3779b1) ^ offset
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
