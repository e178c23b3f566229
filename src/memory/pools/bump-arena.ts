/**
 * Memory that is allocated piece by piece and freed all at once: for the data of one request, batch or parse.
 *
 * Invariants
 * 1. Every chunk is leased first; `capacity` bounds them.
 * 2. After `reset` no earlier piece can be read: its handle is of an earlier epoch.
 *
 * Account: `pools`. Cost: an addition per allocation; a chunk of its own for pieces larger than a chunk is refused.
 */
import { nodeClock } from '../../host/node/clock.ts'
import { invalidArgument } from '../../base/errors.ts'
import { indexOf, makeHandle, nextPoolNumber, staleBlock, generationOf } from './handles.ts'
import { checkBlockBytes, checkPowerOfTwo, poolMemory } from './pool-options.ts'
import type { PoolOptions } from './pool-options.ts'
import { PoolCounters } from './pool-stats.ts'
import type { PoolStats } from './pool-stats.ts'
import { Slabs } from './slabs.ts'
import type { SlabBytes } from './slabs.ts'

export interface ArenaPoolOptions extends PoolOptions {
  /** Bytes of a chunk, and of the largest piece: a power of two from 4 KiB to 64 MiB. Default 64 KiB. */
  chunkBytes?: number
}

const ALIGN = 8

/**
 * A bump allocator. Pieces are numbers; `view` gives their bytes.
 * @example
 * ```ts
 * using arena = new ArenaPool({ budget: '1 MiB' })
 * const piece = arena.alloc(24)!
 * arena.view(piece, 24).fill(1)
 * arena.reset()
 * ```
 */
export class ArenaPool implements Disposable {
  readonly #pool = nextPoolNumber()
  readonly #slabs: Slabs
  readonly #capacityBytes: number
  readonly #counters: PoolCounters
  readonly #chunks: SlabBytes[] = []
  /** The chunk in use, and its first free byte. */
  #chunk = 0
  #at: number
  #epoch = 1

  /** @throws SPILLWAY_INVALID_ARGUMENT a size that is none, or no budget */
  constructor(options: ArenaPoolOptions) {
    const { account, capacityBytes } = poolMemory(options)
    const chunkBytes = checkPowerOfTwo(options.chunkBytes ?? 64 * 1024, 'chunkBytes', 4096, 64 * 1024 * 1024)
    this.#slabs = new Slabs(account, chunkBytes)
    this.#capacityBytes = capacityBytes
    this.#counters = new PoolCounters(options.nowMs ?? nodeClock.nowMs)
    this.#at = chunkBytes
    this.#chunk = -1
  }

  /**
   * Allocate a piece of `bytes`, aligned to 8; its content is arbitrary. Undefined when the budget or the capacity is full.
   * @throws SPILLWAY_INVALID_ARGUMENT not a whole number of 1 to `chunkBytes`
   */
  alloc(bytes: number): number | undefined {
    const counters = this.#counters
    const piece = counters.isSampled ? counters.time(() => this.#alloc(bytes)) : this.#alloc(bytes)
    counters.allocations++
    if (piece === undefined) counters.denied++
    return piece
  }

  /**
   * `bytes` bytes of a piece, until the next `reset`. Keep no view longer.
   * @throws SPILLWAY_INVALID_ARGUMENT the arena was reset since, or the piece is of another arena
   */
  view(piece: number, bytes: number): Uint8Array<ArrayBuffer> {
    const at = indexOf(this.#pool, piece) * ALIGN
    if (generationOf(piece) !== this.#epoch) throw staleBlock(piece, 'read')
    const { slabBytes } = this.#slabs
    const start = at % slabBytes
    const chunk = Math.floor(at / slabBytes)
    const end = chunk === this.#chunk ? this.#at : slabBytes
    if (!Number.isInteger(bytes) || bytes < 0 || chunk > this.#chunk || start + bytes > end) {
      throw invalidArgument(`${String(bytes)} bytes of a piece that begins ${end - start} bytes before the end of its chunk's data`, { bytes })
    }
    return this.#chunks[chunk]!.subarray(start, start + bytes)
  }

  /** Free all pieces. The memory stays reserved: see `defragment`. */
  reset(): void {
    const counters = this.#counters
    this.#epoch = this.#epoch % 255 + 1
    counters.frees += counters.blocks
    counters.blocks = counters.usedBytes = counters.allocatedBytes = 0
    this.#chunk = -1
    this.#at = this.#slabs.slabBytes
  }

  /** Give unused chunks back to the system; returns their bytes. */
  defragment(): number {
    let given = 0
    while (this.#chunks.length > this.#chunk + 1) {
      this.#slabs.giveBack(this.#chunks.pop()!)
      given += this.#slabs.slabBytes
    }
    return given
  }

  stats(): PoolStats { return this.#counters.stats(this.#slabs.leasedBytes, 0) }

  /** Give everything back. Its pieces are invalid. */
  close(): void {
    this.reset()
    this.defragment()
    this.#slabs.clear()
  }

  [Symbol.dispose](): void { this.close() }

  #alloc(bytes: number): number | undefined {
    const { slabBytes } = this.#slabs
    checkBlockBytes(bytes, slabBytes)
    const size = (bytes + ALIGN - 1) & ~(ALIGN - 1)
    if (this.#at + size > slabBytes && !this.#nextChunk()) return undefined
    const at = this.#chunk * slabBytes + this.#at
    this.#at += size
    const counters = this.#counters
    counters.blocks++
    counters.usedBytes += bytes
    counters.allocatedBytes += size
    return makeHandle(this.#pool, at / ALIGN, this.#epoch)
  }

  #nextChunk(): boolean {
    if (this.#chunk + 1 === this.#chunks.length) {
      if (this.#slabs.leasedBytes + this.#slabs.slabBytes > this.#capacityBytes) return false
      const bytes = this.#slabs.take(true)
      if (bytes === undefined) return false
      this.#chunks.push(bytes)
      this.#counters.misses++
    }
    this.#chunk++
    this.#at = 0
    return true
  }
}
