/**
 * Compressed extents in memory: chains of 4 KiB blocks in slabs of 256 KiB.
 *
 * Invariants
 * 1. A slab is leased before it is allocated. At most 8 and a sixteenth of all slabs are kept empty.
 * 2. Blocks come from the lowest slab, so that higher slabs become empty.
 *
 * Account: `tierAccount`, with 256 bytes of bookkeeping a slab. Cost: one copy; half a block unused per extent.
 */
import type { Account } from '../memory/budget.ts'
import { Slabs } from '../memory/pools/slabs.ts'
import type { SlabBytes } from '../memory/pools/slabs.ts'

export const BLOCK_BYTES = 4096
export const SLAB_BYTES = 256 * 1024
const SLAB_BLOCKS = SLAB_BYTES / BLOCK_BYTES
/** With each block's successor. */
export const SLAB_LEASE_BYTES = SLAB_BYTES + SLAB_BLOCKS * 4
export const NO_BLOCK = -1
const MAX_SPARE = 8

interface Slab {
  bytes: SlabBytes
  next: Int32Array
  free: number
  freeCount: number
}

export class CompressedTier {
  readonly #memory: Slabs
  readonly #poison: boolean
  readonly #slabs: (Slab | undefined)[] = []
  #freeBlocks = 0
  #spares = 0
  /** Slabs below have no free block. */
  #lowest = 0

  constructor(account: Account, poison: boolean) {
    this.#memory = new Slabs(account, SLAB_BYTES, SLAB_LEASE_BYTES - SLAB_BYTES)
    this.#poison = poison
  }

  get bytes(): number { return this.#memory.leasedBytes }

  measure(): number {
    let bytes = 0
    for (const slab of this.#slabs) if (slab !== undefined) bytes += slab.bytes.buffer.byteLength + slab.next.byteLength
    return bytes
  }

  growthFor(bytes: number): number {
    const missing = Math.ceil(bytes / BLOCK_BYTES) - this.#freeBlocks
    return missing <= 0 ? 0 : Math.ceil(missing / SLAB_BLOCKS) * SLAB_LEASE_BYTES
  }

  /** Returns the first block, or NO_BLOCK if the lease was denied. */
  alloc(bytes: number): number {
    let slabs = this.growthFor(bytes) / SLAB_LEASE_BYTES
    while (slabs-- > 0) {
      if (this.#addSlab()) continue
      this.releaseSpares(Infinity)
      return NO_BLOCK
    }
    let first = NO_BLOCK
    let last = NO_BLOCK
    for (let count = Math.ceil(bytes / BLOCK_BYTES); count > 0; count--) {
      const block = this.#takeBlock()
      if (last === NO_BLOCK) first = block
      else this.#setNext(last, block)
      last = block
    }
    return first
  }

  free(first: number): void {
    for (let block = first; block !== NO_BLOCK;) {
      const next = this.#nextOf(block)
      this.#freeBlock(block)
      block = next
    }
  }

  /** `keepBytes`: at least 1. */
  trim(first: number, keepBytes: number): void {
    const last = this.#blockAt(first, keepBytes - 1)
    const rest = this.#nextOf(last)
    this.#setNext(last, NO_BLOCK)
    this.free(rest)
  }

  put(first: number, bytes: Uint8Array, start: number, end: number, at: number): void {
    let block = this.#blockAt(first, at)
    let within = at % BLOCK_BYTES
    while (start < end) {
      const length = Math.min(this.#run(block, within), end - start)
      this.#slabs[Math.floor(block / SLAB_BLOCKS)]!.bytes.set(bytes.subarray(start, start + length), (block % SLAB_BLOCKS) * BLOCK_BYTES + within)
      start += length
      block = this.#after(block, within + length)
      within = (within + length) % BLOCK_BYTES
    }
  }

  get(first: number, target: Uint8Array, at: number, length: number, from: number): void {
    let block = this.#blockAt(first, from)
    let within = from % BLOCK_BYTES
    while (length > 0) {
      const count = Math.min(this.#run(block, within), length)
      const start = (block % SLAB_BLOCKS) * BLOCK_BYTES + within
      target.set(this.#slabs[Math.floor(block / SLAB_BLOCKS)]!.bytes.subarray(start, start + count), at)
      at += count
      length -= count
      block = this.#after(block, within + count)
      within = (within + count) % BLOCK_BYTES
    }
  }

  /** If there are that many. */
  releaseSpares(bytes: number): void {
    for (let i = this.#slabs.length - 1; i >= 0 && bytes > 0 && this.#spares > 0; i--) {
      if (this.#slabs[i]?.freeCount !== SLAB_BLOCKS) continue
      this.#dropSlab(i)
      this.#spares--
      bytes -= SLAB_LEASE_BYTES
    }
  }

  close(): void {
    for (let i = 0; i < this.#slabs.length; i++) if (this.#slabs[i] !== undefined) this.#dropSlab(i)
    this.#slabs.length = 0
    this.#memory.clear()
    this.#freeBlocks = this.#spares = 0
  }

  #blockAt(first: number, offset: number): number {
    let block = first
    for (let skip = Math.floor(offset / BLOCK_BYTES); skip > 0; skip--) block = this.#nextOf(block)
    return block
  }

  #run(block: number, within: number): number {
    let bytes = BLOCK_BYTES - within
    for (;;) {
      const next = this.#nextOf(block)
      if (next !== block + 1 || next % SLAB_BLOCKS === 0) return bytes
      bytes += BLOCK_BYTES
      block = next
    }
  }

  #after(block: number, offset: number): number {
    for (; offset >= BLOCK_BYTES && block !== NO_BLOCK; offset -= BLOCK_BYTES) block = this.#nextOf(block)
    return block
  }

  #nextOf(block: number): number {
    return this.#slabs[Math.floor(block / SLAB_BLOCKS)]!.next[block % SLAB_BLOCKS]!
  }

  #setNext(block: number, next: number): void {
    this.#slabs[Math.floor(block / SLAB_BLOCKS)]!.next[block % SLAB_BLOCKS] = next
  }

  #takeBlock(): number {
    while (this.#slabs[this.#lowest] === undefined || this.#slabs[this.#lowest]!.freeCount === 0) this.#lowest++
    const slab = this.#slabs[this.#lowest]!
    if (slab.freeCount === SLAB_BLOCKS) this.#spares--
    const block = slab.free
    slab.free = slab.next[block % SLAB_BLOCKS]!
    slab.next[block % SLAB_BLOCKS] = NO_BLOCK
    slab.freeCount--
    this.#freeBlocks--
    return block
  }

  #freeBlock(block: number): void {
    const number = Math.floor(block / SLAB_BLOCKS)
    const slab = this.#slabs[number]!
    const at = block % SLAB_BLOCKS
    if (this.#poison) slab.bytes.fill(0xdb, at * BLOCK_BYTES, (at + 1) * BLOCK_BYTES)
    slab.next[at] = slab.free
    slab.free = block
    slab.freeCount++
    this.#freeBlocks++
    if (number < this.#lowest) this.#lowest = number
    if (slab.freeCount < SLAB_BLOCKS) return
    if (this.#freeBlocks === this.#memory.count * SLAB_BLOCKS) {
      this.#spares++
      this.releaseSpares(Infinity)
    } else if (this.#spares < Math.min(MAX_SPARE, this.#memory.count >> 4)) {
      this.#spares++
    } else {
      this.#dropSlab(number)
    }
  }

  #addSlab(): boolean {
    // No reclaim: it would call this pool.
    const bytes = this.#memory.take(false)
    if (bytes === undefined) return false
    let number = 0
    while (this.#slabs[number] !== undefined) number++
    const next = new Int32Array(SLAB_BLOCKS)
    for (let i = 0; i < SLAB_BLOCKS; i++) next[i] = i + 1 < SLAB_BLOCKS ? number * SLAB_BLOCKS + i + 1 : NO_BLOCK
    this.#slabs[number] = { bytes, next, free: number * SLAB_BLOCKS, freeCount: SLAB_BLOCKS }
    this.#spares++
    this.#freeBlocks += SLAB_BLOCKS
    if (number < this.#lowest) this.#lowest = number
    return true
  }

  #dropSlab(number: number): void {
    this.#freeBlocks -= this.#slabs[number]!.freeCount
    this.#memory.giveBack(this.#slabs[number]!.bytes)
    this.#slabs[number] = undefined
  }
}
