/**
 * Ghosts: the names of recently evicted blocks. A miss that finds its ghost would have been a hit in a cache larger by `bytes`:
 * this measures the worth of more cache.
 *
 * A ring of the latest evictions, oldest overwritten first, chained by hash, youngest first.
 *
 * Invariants
 * 1. `memoryBytes` (20 a ghost) are allocated at the start; the caller leases them before.
 * 2. The ghosts are the latest `capacity` blocks added, less those found, added again, dropped or beyond `limitBytes`.
 * 3. `bytes` is the sum of the sizes of their blocks, at most `limitBytes`.
 *
 * Cost: a lookup of an absent name 10 to 30 ns, an add with its eviction 30 to 80 ns; no allocation after the start.
 */
import { invalidArgument } from '../base/errors.ts'

const ENTRY_WORDS = 4
const TABLE = 0
const OFFSET = 1
/** Size of the block, or DEAD. */
const LENGTH = 2
/** The next index of the chain + 1, or 0. */
const NEXT = 3
const DEAD = -1
const BYTES_PER_GHOST = 4 * (ENTRY_WORDS + 1)
const MIN_CAPACITY = 16
/** Word positions stay 31-bit integers. */
const MAX_CAPACITY = 2 ** 25
const MAX_BLOCK_BYTES = 2 ** 31 - 1

export interface GhostStats {
  /** Ghosts held. */
  count: number
  /** Sizes of their blocks: the extra cache they stand for. */
  bytes: number
  limitBytes: number
  capacity: number
  /** Bytes allocated. */
  memoryBytes: number
  added: number
  /** Ghosts found, and the sizes of their blocks. */
  hits: number
  hitBytes: number
}

export class Ghosts {
  readonly capacity: number
  /** Called inside `hit` whenever a ghost is found. */
  onFound: (() => void) | undefined
  readonly #ring: Int32Array
  /** By hash: the first index of the chain + 1, or 0. */
  readonly #chains: Int32Array
  readonly #mask: number
  /** Next index, and the oldest that may be used: counts that never wrap. */
  #head = 0
  #tail = 0
  #count = 0
  #bytes = 0
  #limitBytes: number
  #added = 0
  #hits = 0
  #hitBytes = 0

  /** Bytes of `capacity` ghosts, to be leased first. A capacity is a power of two from 16 to 2^25. */
  static memoryBytes(capacity: number): number {
    if (!(capacity >= MIN_CAPACITY && capacity <= MAX_CAPACITY && Number.isInteger(Math.log2(capacity)))) {
      throw invalidArgument(`the capacity of a ghost list must be a power of two from ${MIN_CAPACITY} to ${MAX_CAPACITY}, not ${capacity}`)
    }
    return capacity * BYTES_PER_GHOST
  }

  /** The largest capacity for this many bytes; 0: too few. */
  static capacityFor(memoryBytes: number): number {
    const most = memoryBytes / BYTES_PER_GHOST
    if (!(most >= MIN_CAPACITY)) return 0
    let capacity = MIN_CAPACITY
    while (capacity * 2 <= most && capacity < MAX_CAPACITY) capacity *= 2
    return capacity
  }

  /** `limitBytes`: maximum total of block sizes, the extra cache asked about. Throws INVALID_ARGUMENT. */
  constructor(capacity: number, limitBytes = Infinity) {
    const memoryBytes = Ghosts.memoryBytes(capacity)
    this.capacity = capacity
    this.#limitBytes = checkLimit(limitBytes)
    this.#mask = capacity - 1
    const words = new Int32Array(memoryBytes >> 2)
    this.#ring = words.subarray(0, capacity * ENTRY_WORDS)
    this.#chains = words.subarray(capacity * ENTRY_WORDS)
  }

  /** Ghosts held. */
  get count(): number { return this.#count }
  /** Sizes of their blocks. */
  get bytes(): number { return this.#bytes }
  get limitBytes(): number { return this.#limitBytes }
  /** Ghosts found since the start. */
  get hits(): number { return this.#hits }
  /** Sizes of their blocks. */
  get hitBytes(): number { return this.#hitBytes }

  /**
   * A block was evicted: `table` an int32, `offset` a uint32, `bytes` its size. Replaces an older ghost of the same block. Ignores
   * impossible names and sizes.
   */
  add(table: number, offset: number, bytes: number): void {
    if ((table | 0) !== table || offset >>> 0 !== offset || !(bytes >= 0 && bytes <= MAX_BLOCK_BYTES)) return
    const chain = hashOf(table, offset | 0) & this.#mask
    this.#take(chain, table, offset | 0)
    if (bytes > this.#limitBytes) return
    if (this.#head - this.#tail === this.capacity) this.#dropOldest()
    const place = this.#head & this.#mask
    const ring = this.#ring
    const chains = this.#chains
    const at = place * ENTRY_WORDS
    ring[at + TABLE] = table
    ring[at + OFFSET] = offset | 0
    ring[at + LENGTH] = bytes
    ring[at + NEXT] = chains[chain]!
    chains[chain] = place + 1
    this.#head++
    this.#count++
    this.#added++
    this.#bytes += ring[at + LENGTH]!
    while (this.#bytes > this.#limitBytes) this.#dropOldest()
  }

  /** The cache missed this block. True, and the ghost is removed and counted, if it was evicted recently. */
  hit(table: number, offset: number): boolean {
    if ((table | 0) !== table || offset >>> 0 !== offset) return false
    const bytes = this.#take(hashOf(table, offset | 0) & this.#mask, table, offset | 0)
    if (bytes < 0) return false
    this.#hits++
    this.#hitBytes += bytes
    this.onFound?.()
    return true
  }

  /** Remove the ghosts of a deleted table. Walks the whole list. */
  dropTable(table: number): void {
    const ring = this.#ring
    for (let i = this.#tail; i < this.#head; i++) {
      const at = (i & this.#mask) * ENTRY_WORDS
      if (ring[at + TABLE] !== table || ring[at + LENGTH] === DEAD) continue
      const offset = ring[at + OFFSET]!
      this.#take(hashOf(table, offset) & this.#mask, table, offset)
    }
  }

  /** Change the extra cache asked about; the oldest ghosts go at once. Throws INVALID_ARGUMENT. */
  setLimitBytes(limitBytes: number): void {
    this.#limitBytes = checkLimit(limitBytes)
    while (this.#bytes > limitBytes) this.#dropOldest()
  }

  /** Remove all ghosts; counts stay. */
  clear(): void {
    this.#chains.fill(0)
    this.#head = this.#tail = this.#count = this.#bytes = 0
  }

  stats(): GhostStats {
    return {
      count: this.#count, bytes: this.#bytes, limitBytes: this.#limitBytes, capacity: this.capacity,
      memoryBytes: Ghosts.memoryBytes(this.capacity), added: this.#added, hits: this.#hits, hitBytes: this.#hitBytes,
    }
  }

  #dropOldest(): void {
    const at = (this.#tail & this.#mask) * ENTRY_WORDS
    const ring = this.#ring
    if (ring[at + LENGTH] !== DEAD) {
      const table = ring[at + TABLE]!
      const offset = ring[at + OFFSET]!
      this.#take(hashOf(table, offset) & this.#mask, table, offset)
    }
    this.#tail++
  }

  /** Remove a ghost; returns its block's size, -1: none. Its index stays dead until it is overwritten. */
  #take(chain: number, table: number, offset: number): number {
    const ring = this.#ring
    let before = -1
    for (let place = this.#chains[chain]! - 1; place >= 0; place = ring[before + NEXT]! - 1) {
      const at = place * ENTRY_WORDS
      if (ring[at + OFFSET] !== offset || ring[at + TABLE] !== table) {
        before = at
        continue
      }
      if (before < 0) this.#chains[chain] = ring[at + NEXT]!
      else ring[before + NEXT] = ring[at + NEXT]!
      const bytes = ring[at + LENGTH]!
      ring[at + LENGTH] = DEAD
      this.#count--
      this.#bytes -= bytes
      return bytes
    }
    return -1
  }
}

function checkLimit(limitBytes: number): number {
  if (limitBytes >= 0) return limitBytes
  throw invalidArgument(`limitBytes of a ghost list must be a number of bytes from 0, not ${String(limitBytes)}`)
}

function hashOf(table: number, offset: number): number {
  let hash = Math.imul(table, 0x9e3779b1) ^ offset
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
