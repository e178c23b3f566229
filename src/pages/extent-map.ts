/**
 * Allocation bitmap of the scratch file: one bit per 4 KiB unit, in chunks of 1024 units (4 MiB).
 *
 * Invariants
 * 1. A range of up to one chunk lies within a chunk; a longer one begins at a chunk boundary.
 * 2. Bookkeeping (132 bytes a chunk) is leased before it grows.
 *
 * Cost: first fit, so that the file's end becomes free: 2 bytes a chunk and up to 128 in one.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Account, Lease } from '../memory/budget.ts'

export const UNIT_BYTES = 4096
const CHUNK_UNITS = 1024
const CHUNK_WORDS = CHUNK_UNITS / 32
const BYTES_PER_CHUNK = CHUNK_UNITS / 8 + 4
const STEP_CHUNKS = 16

export class ExtentMap {
  readonly #lease: Lease
  #words: Int32Array
  #free: Uint16Array
  /** Upper bound of each chunk's longest free range. */
  #longest: Uint16Array
  #capacity = STEP_CHUNKS
  #chunks = 0
  #usedUnits = 0
  /** Chunks below have no free unit. */
  #lowest = 0

  /** Throws BUDGET_TOO_SMALL without 2 KiB. */
  constructor(account: Account) {
    this.#lease = account.lease(STEP_CHUNKS * BYTES_PER_CHUNK)
    this.#words = new Int32Array(STEP_CHUNKS * CHUNK_WORDS)
    this.#free = new Uint16Array(STEP_CHUNKS)
    this.#longest = new Uint16Array(STEP_CHUNKS)
  }

  get usedUnits(): number { return this.#usedUnits }
  get endUnits(): number { return this.#chunks * CHUNK_UNITS }
  get bytes(): number { return this.#lease.bytes }

  /** First of `units` in a row, or -1 without memory. */
  alloc(units: number): number {
    const first = units > CHUNK_UNITS ? this.#allocChunks(Math.ceil(units / CHUNK_UNITS)) : this.#allocWithin(units)
    if (first < 0) return -1
    this.#mark(first, units, true)
    return first
  }

  free(first: number, units: number): void {
    this.#mark(first, units, false)
    this.#lowest = Math.min(this.#lowest, Math.floor(first / CHUNK_UNITS))
    while (this.#chunks > 0 && this.#free[this.#chunks - 1] === CHUNK_UNITS) this.#chunks--
    if (this.#lowest > this.#chunks) this.#lowest = this.#chunks
  }

  close(): void {
    this.#lease.release()
    this.#words = new Int32Array(0)
    this.#free = this.#longest = new Uint16Array(0)
    this.#chunks = this.#capacity = this.#usedUnits = 0
  }

  #allocWithin(units: number): number {
    let isLowest = true
    for (let chunk = this.#lowest; chunk < this.#chunks; chunk++) {
      if (isLowest && this.#free[chunk] === 0) this.#lowest = chunk + 1
      else isLowest = false
      if (this.#longest[chunk]! < units) continue
      const at = this.#findRun(chunk, units)
      if (at >= 0) return at
    }
    return this.#append(1) ? (this.#chunks - 1) * CHUNK_UNITS : -1
  }

  #allocChunks(count: number): number {
    let run = 0
    for (let chunk = this.#lowest; chunk < this.#chunks; chunk++) {
      run = this.#free[chunk] === CHUNK_UNITS ? run + 1 : 0
      if (run === count) return (chunk - count + 1) * CHUNK_UNITS
    }
    // The last chunk is in use.
    return this.#append(count) ? (this.#chunks - count) * CHUNK_UNITS : -1
  }

  #append(count: number): boolean {
    const chunks = this.#chunks + count
    if (chunks > this.#capacity && !this.#grow(Math.max(chunks + STEP_CHUNKS, this.#capacity * 2)) && !this.#grow(chunks)) return false
    this.#free.fill(CHUNK_UNITS, this.#chunks, chunks)
    this.#longest.fill(CHUNK_UNITS, this.#chunks, chunks)
    this.#chunks = chunks
    return true
  }

  #grow(capacity: number): boolean {
    const old = this.#lease.bytes
    // Both arrays exist for a moment. No reclaim: it would call this pool.
    if (!this.#lease.resize(old + capacity * BYTES_PER_CHUNK, false)) return false
    const words = new Int32Array(capacity * CHUNK_WORDS)
    const free = new Uint16Array(capacity)
    const longest = new Uint16Array(capacity)
    words.set(this.#words)
    free.set(this.#free)
    longest.set(this.#longest)
    this.#words = words
    this.#free = free
    this.#longest = longest
    this.#capacity = capacity
    this.#lease.resize(capacity * BYTES_PER_CHUNK)
    return true
  }

  /** First free range in the chunk, or -1, which makes `#longest` exact. */
  #findRun(chunk: number, units: number): number {
    const words = this.#words
    const base = chunk * CHUNK_WORDS
    let run = 0
    let longest = 0
    for (let i = 0; i < CHUNK_WORDS; i++) {
      const word = words[base + i]!
      if (word === 0) {
        run += 32
        if (run >= units) return chunk * CHUNK_UNITS + (i + 1) * 32 - run
      } else if (word === -1) {
        if (run > longest) longest = run
        run = 0
      } else {
        for (let bit = 0; bit < 32; bit++) {
          if ((word & (1 << bit)) === 0) {
            if (++run === units) return chunk * CHUNK_UNITS + i * 32 + bit + 1 - run
          } else {
            if (run > longest) longest = run
            run = 0
          }
        }
      }
    }
    this.#longest[chunk] = Math.max(longest, run)
    return -1
  }

  #mark(first: number, units: number, isUsed: boolean): void {
    if (first < 0 || first + units > this.endUnits) throw mapError(first, units)
    for (let unit = first; unit < first + units;) {
      const chunk = Math.floor(unit / CHUNK_UNITS)
      const word = Math.floor(unit / 32)
      const bit = unit % 32
      const count = Math.min(32 - bit, first + units - unit)
      const mask = (count === 32 ? -1 : ((1 << count) - 1) << bit) | 0
      if ((this.#words[word]! & mask) !== (isUsed ? 0 : mask)) throw mapError(first, units)
      this.#words[word]! ^= mask
      this.#free[chunk]! += isUsed ? -count : count
      this.#longest[chunk] = isUsed ? Math.min(this.#longest[chunk]!, this.#free[chunk]!) : this.#free[chunk]!
      unit += count
    }
    this.#usedUnits += isUsed ? units : -units
  }
}

function mapError(first: number, units: number): Error {
  return invalidArgument(`units ${first} to ${first + units} of a scratch file are outside it or in the wrong state. This is a bug in Spillway; please report it`)
}
