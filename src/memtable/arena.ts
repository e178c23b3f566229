/**
 * One flat buffer handed out word by word: a bump pointer, and free lists of released blocks. All state is in the header words, so
 * a second Arena over the same shared buffer, in another thread, sees the same content once the writer has stopped.
 *
 * Invariants
 * 1. A fresh buffer may hold anything: `reset` writes the header, allocators write the rest.
 * 2. The size of a recyclable block is a function of the requested words (`blockWords`) and stored nowhere: exact up to 128 words,
 *    above that rounded up to a sixteenth of its power of two (3 % on average).
 * 3. Blocks are neither split nor merged, so a class never holds more blocks than were in use at once.
 * 4. A failed allocation changes nothing.
 *
 * Cost: a header of 2 KiB; a few word operations per call.
 */
import { invalidArgument } from '../base/errors.ts'

/** Word indices of the header. */
export const H_ROOT = 0
/** First word never handed out. */
export const H_BUMP = 1
/** Words on the free lists. */
export const H_FREED = 2
export const H_ENTRIES = 3
export const H_DELETES = 4
export const H_RANGES = 5
/** Newest range tombstone, 0 = none. */
export const H_RANGE_HEAD = 6
/** High word of the first sequence number; versions that share it leave it out. -1 = nothing written. */
export const H_SEQ_HIGH = 7
/** Two words each: low, high. 0 = nothing written. */
export const H_SMALLEST = 8
export const H_LARGEST = 10
/** Nodes of each type in the tree (nodes.ts). */
export const H_NODES = 16
const H_FREE_LISTS = 32
const FREE_LISTS = 480
export const HEADER_WORDS: number = H_FREE_LISTS + FREE_LISTS

const EXACT_WORDS = 128
/** Byte offsets stay well inside 31 bits. */
export const MAX_ARENA_BYTES: number = 2 ** 30

/** Size of a recyclable block for `words` words. */
export function blockWords(words: number): number {
  if (words <= EXACT_WORDS) return words
  const step = 1 << (27 - Math.clz32(words - 1))
  return (words + step - 1) & -step
}

/** The free list for blocks of this size. */
function freeList(block: number): number {
  if (block <= EXACT_WORDS) return H_FREE_LISTS + block
  const exponent = 31 - Math.clz32(block - 1)
  return H_FREE_LISTS + EXACT_WORDS + (exponent - 7) * 16 + ((block >>> (exponent - 4)) - 16)
}

/**
 * Memory for an arena shared by two threads. A growable buffer (which never grows) is mapped separately and unmapped whole; others
 * come from malloc and leave holes in its heap.
 */
export function arenaBuffer(bytes: number): SharedArrayBuffer {
  return new SharedArrayBuffer(bytes, { maxByteLength: bytes })
}

export class Arena {
  readonly words: Int32Array
  readonly bytes: Uint8Array
  readonly capacityWords: number

  constructor(buffer: SharedArrayBuffer | ArrayBuffer) {
    if (buffer.byteLength < HEADER_WORDS * 4 || buffer.byteLength > MAX_ARENA_BYTES) {
      throw invalidArgument(
        `a memtable arena takes ${HEADER_WORDS * 4} to ${MAX_ARENA_BYTES} bytes, not ${buffer.byteLength}`,
        { bytes: buffer.byteLength },
      )
    }
    this.capacityWords = buffer.byteLength >>> 2
    this.words = new Int32Array(buffer, 0, this.capacityWords)
    this.bytes = new Uint8Array(buffer, 0, this.capacityWords * 4)
  }

  reset(): void {
    this.words.fill(0, 0, HEADER_WORDS)
    this.words[H_BUMP] = HEADER_WORDS
    this.words[H_SEQ_HIGH] = -1
  }

  get freeWords(): number { return this.capacityWords - this.words[H_BUMP]! }

  /** Throw unless `words` more can be allocated without the free lists. Call before the first change. */
  require(words: number): void {
    if (words > this.capacityWords - this.words[H_BUMP]!) this.#full(words)
  }

  /** Words that are never released: no rounding. */
  allocateForever(words: number): number {
    const at = this.words[H_BUMP]!
    if (words > this.capacityWords - at) this.#full(words)
    this.words[H_BUMP] = at + words
    return at
  }

  /** At least two words, later released. `block` comes from `blockWords`. */
  allocate(block: number): number {
    const words = this.words
    const list = freeList(block)
    const at = words[list]!
    if (at === 0) return this.allocateForever(block)
    words[list] = words[at]!
    words[H_FREED] = words[H_FREED]! - block
    return at
  }

  release(at: number, block: number): void {
    const words = this.words
    const list = freeList(block)
    words[at] = words[list]!
    words[list] = at
    words[H_FREED] = words[H_FREED]! + block
  }

  #full(words: number): never {
    const freeBytes = this.freeWords * 4
    throw invalidArgument(
      `the memtable is full: ${words * 4} bytes needed, ${freeBytes} free. Ask fits() first, and seal it when that says no`,
      { neededBytes: words * 4, freeBytes, capacityBytes: this.capacityWords * 4 },
    )
  }
}
