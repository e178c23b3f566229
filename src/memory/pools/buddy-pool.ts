/**
 * Blocks of any size up to a chunk, by halving: for records of very different sizes.
 *
 * A chunk is halved until a block fits; a freed block is merged with its other half while that is free.
 *
 * Invariants
 * 1. Every chunk and its bookkeeping (6 bytes for each 512) is leased first; `capacity` bounds both.
 * 2. Free blocks never lie beside their free other half.
 * 3. A block is in use once: its generation is odd while it is, and in its handle.
 *
 * Account: `pools`. Cost: at most one step per doubling between the smallest block and a chunk. Rounding: up to half of a block, on
 * average a quarter; a slab pool wastes less where sizes are alike.
 */
import { nodeClock } from '../../host/node/clock.ts'
import { generationOf, indexOf, makeHandle, nextPoolNumber, staleBlock } from './handles.ts'
import { checkBlockBytes, checkPowerOfTwo, poolMemory } from './pool-options.ts'
import type { PoolOptions } from './pool-options.ts'
import { PoolCounters } from './pool-stats.ts'
import type { PoolStats } from './pool-stats.ts'
import { PooledBlock } from './pooled-block.ts'
import { Slabs } from './slabs.ts'
import type { SlabBytes } from './slabs.ts'

export interface BuddyPoolOptions extends PoolOptions {
  /** Bytes of a chunk, and of the largest block: a power of two from 64 KiB to 64 MiB. Default 1 MiB. */
  chunkBytes?: number
}

const UNIT_BYTES = 512
const UNIT_SHIFT = 9
/** Order and state, generation, length. */
const METADATA_PER_UNIT = 1 + 1 + 4
const UNIT_WORDS = UNIT_BYTES / 4
const FREE = 0x80
const NONE = -1

class Chunk {
  readonly bytes: SlabBytes
  readonly number: number
  /** Of the unit where a block begins: its order, with FREE when it is free; 0xff inside a block. */
  readonly orders: Uint8Array
  readonly generations: Uint8Array
  readonly lengths: Uint32Array
  /** A free block begins with the units of the next and the previous one of its order. */
  readonly words: Int32Array
  /** First free block by order. */
  readonly heads: Int32Array
  used = 0

  constructor(bytes: SlabBytes, number: number, maxOrder: number, generation: number) {
    const units = bytes.length >>> UNIT_SHIFT
    this.bytes = bytes
    this.number = number
    this.orders = new Uint8Array(units).fill(0xff)
    this.generations = new Uint8Array(units).fill(generation)
    this.lengths = new Uint32Array(units)
    this.words = new Int32Array(bytes.buffer, 0, bytes.length >>> 2)
    this.heads = new Int32Array(maxOrder + 1).fill(NONE)
    this.push(0, maxOrder)
  }

  push(unit: number, order: number): void {
    const head = this.heads[order]!
    this.orders[unit] = order | FREE
    this.words[unit * UNIT_WORDS] = head
    this.words[unit * UNIT_WORDS + 1] = NONE
    if (head !== NONE) this.words[head * UNIT_WORDS + 1] = unit
    this.heads[order] = unit
  }

  remove(unit: number, order: number): void {
    const next = this.words[unit * UNIT_WORDS]!
    const previous = this.words[unit * UNIT_WORDS + 1]!
    if (previous === NONE) this.heads[order] = next
    else this.words[previous * UNIT_WORDS] = next
    if (next !== NONE) this.words[next * UNIT_WORDS + 1] = previous
    this.orders[unit] = 0xff
  }

  /** The first unit of a free block of this order, split off a larger one if needed; -1: none. */
  take(order: number): number {
    let from = order
    while (from < this.heads.length && this.heads[from] === NONE) from++
    if (from === this.heads.length) return NONE
    const unit = this.heads[from]!
    this.remove(unit, from)
    while (from > order) this.push(unit + (1 << --from), from)
    this.orders[unit] = order
    this.used++
    return unit
  }

  give(unit: number): void {
    let order = this.orders[unit]!
    this.orders[unit] = 0xff
    this.used--
    for (const top = this.heads.length - 1; order < top; order++) {
      const buddy = unit ^ (1 << order)
      if (this.orders[buddy] !== (order | FREE)) break
      this.remove(buddy, order)
      unit = Math.min(unit, buddy)
    }
    this.push(unit, order)
  }
}

/**
 * A pool of blocks of 1 byte to a chunk. Blocks are numbers; `view` gives their bytes.
 * @example
 * ```ts
 * using pool = new BuddyPool({ budget: '8 MiB' })
 * const blocks = [1000, 50_000, 300].map(bytes => pool.alloc(bytes)!)
 * for (const block of blocks) pool.free(block)
 * console.log(pool.defragment())
 * ```
 */
export class BuddyPool implements Disposable {
  readonly #pool = nextPoolNumber()
  readonly #slabs: Slabs
  readonly #capacityBytes: number
  readonly #counters: PoolCounters
  readonly #maxOrder: number
  readonly #metadataPerChunk: number
  readonly #chunks: (Chunk | undefined)[] = []
  readonly #vacant: { number: number, generation: number }[] = []
  #count = 0

  /** @throws SPILLWAY_INVALID_ARGUMENT a size that is none, or no budget */
  constructor(options: BuddyPoolOptions) {
    const { account, capacityBytes } = poolMemory(options)
    const chunkBytes = checkPowerOfTwo(options.chunkBytes ?? 1024 * 1024, 'chunkBytes', 64 * 1024, 64 * 1024 * 1024)
    // And the heads of the free lists.
    this.#metadataPerChunk = (chunkBytes >>> UNIT_SHIFT) * METADATA_PER_UNIT + 128
    this.#slabs = new Slabs(account, chunkBytes, this.#metadataPerChunk)
    this.#capacityBytes = capacityBytes
    this.#counters = new PoolCounters(options.nowMs ?? nodeClock.nowMs)
    this.#maxOrder = Math.log2(chunkBytes) - UNIT_SHIFT
  }

  /**
   * Allocate a block of `bytes`; its content is arbitrary. Undefined when the budget or the capacity is full.
   * @throws SPILLWAY_INVALID_ARGUMENT not a whole number of 1 to `chunkBytes`
   */
  alloc(bytes: number): number | undefined {
    const counters = this.#counters
    const block = counters.isSampled ? counters.time(() => this.#alloc(bytes)) : this.#alloc(bytes)
    counters.allocations++
    if (block === undefined) counters.denied++
    return block
  }

  /**
   * A block that is freed by `using`.
   * @throws SPILLWAY_BUDGET_TOO_SMALL the budget or the capacity is full
   */
  take(bytes: number): PooledBlock {
    const block = this.alloc(bytes)
    if (block === undefined) throw this.#slabs.account.denied(bytes)
    return new PooledBlock(this.view(block), () => this.free(block))
  }

  /** @throws SPILLWAY_INVALID_ARGUMENT the block is not in use, or of another pool */
  free(block: number): void {
    const { chunk, unit } = this.#find(block, 'freed')
    const counters = this.#counters
    counters.frees++
    counters.blocks--
    counters.allocatedBytes -= UNIT_BYTES << chunk.orders[unit]!
    counters.usedBytes -= chunk.lengths[unit]!
    chunk.generations[unit]!++
    chunk.give(unit)
  }

  /** The bytes of a block, until it is freed. Keep no view longer. */
  view(block: number): Uint8Array<ArrayBuffer> {
    const { chunk, unit } = this.#find(block, 'read')
    const start = unit << UNIT_SHIFT
    return chunk.bytes.subarray(start, start + chunk.lengths[unit]!)
  }

  /** Free all blocks; their numbers are invalid from now on. Memory stays reserved: see `defragment`. */
  reset(): void {
    for (const chunk of this.#chunks) {
      if (chunk === undefined || chunk.used === 0) continue
      for (let unit = 0; unit < chunk.generations.length; unit++) {
        if (chunk.generations[unit]! % 2 === 1) this.free(this.#handle(chunk, unit))
      }
    }
  }

  /** Give empty chunks back to the system; returns their bytes. */
  defragment(): number {
    const before = this.#slabs.leasedBytes
    for (const chunk of this.#chunks) if (chunk?.used === 0) this.#drop(chunk)
    return before - this.#slabs.leasedBytes
  }

  stats(): PoolStats { return this.#counters.stats(this.#slabs.leasedBytes, this.#count * this.#metadataPerChunk) }

  /** Give everything back. Its blocks are invalid. */
  close(): void {
    for (const chunk of this.#chunks) if (chunk !== undefined) this.#drop(chunk)
    this.#slabs.clear()
    this.#counters.blocks = this.#counters.usedBytes = this.#counters.allocatedBytes = 0
  }

  [Symbol.dispose](): void { this.close() }

  #alloc(bytes: number): number | undefined {
    checkBlockBytes(bytes, this.#slabs.slabBytes)
    let order = 0
    while (UNIT_BYTES << order < bytes) order++
    let unit = NONE
    let found: Chunk | undefined
    for (const chunk of this.#chunks) {
      if (chunk === undefined || (unit = chunk.take(order)) === NONE) continue
      found = chunk
      break
    }
    if (found === undefined) {
      found = this.#grow()
      if (found === undefined) return undefined
      unit = found.take(order)
    }
    found.generations[unit]!++
    found.lengths[unit] = bytes
    const counters = this.#counters
    counters.blocks++
    counters.allocatedBytes += UNIT_BYTES << order
    counters.usedBytes += bytes
    return this.#handle(found, unit)
  }

  #grow(): Chunk | undefined {
    if (this.#slabs.leasedBytes + this.#slabs.slabBytes + this.#metadataPerChunk > this.#capacityBytes) return undefined
    const bytes = this.#slabs.take(true)
    if (bytes === undefined) return undefined
    const { number, generation } = this.#vacant.pop() ?? { number: this.#chunks.length, generation: 0 }
    const chunk = new Chunk(bytes, number, this.#maxOrder, generation)
    this.#chunks[number] = chunk
    this.#count++
    this.#counters.misses++
    return chunk
  }

  #drop(chunk: Chunk): void {
    this.#slabs.giveBack(chunk.bytes)
    this.#chunks[chunk.number] = undefined
    this.#vacant.push({ number: chunk.number, generation: (chunk.generations.reduce((a, b) => Math.max(a, b)) + 1) & 0xfe })
    this.#count--
  }

  #handle(chunk: Chunk, unit: number): number {
    return makeHandle(this.#pool, (chunk.number << this.#maxOrder) + unit, chunk.generations[unit]!)
  }

  #find(block: number, doing: string): { chunk: Chunk, unit: number } {
    const index = indexOf(this.#pool, block)
    const chunk = this.#chunks[index >>> this.#maxOrder]
    const unit = index & ((1 << this.#maxOrder) - 1)
    const generation = generationOf(block)
    if (chunk === undefined || generation % 2 === 0 || chunk.generations[unit] !== generation) throw staleBlock(block, doing)
    return { chunk, unit }
  }
}
