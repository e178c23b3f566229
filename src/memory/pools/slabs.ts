/**
 * Equal slabs of memory: leased before they are allocated, freed at once when given back. The block cache, the compressed tier of the
 * page pool and the public pools take their memory here.
 *
 * Invariants
 * 1. The account holds `slabBytes + extraBytes` for each slab in use, and nothing else.
 * 2. A slab given back keeps no memory; its emptied buffer is reused.
 *
 * Cost: one mapping a slab. Buffers are resizable because only resize(0) frees memory at once.
 */
import type { Account } from '../budget.ts'

export type SlabBytes = Uint8Array<ArrayBuffer>

export class Slabs {
  readonly account: Account
  readonly slabBytes: number
  /** Leased for each slab beside its bytes, for its bookkeeping. */
  readonly #extraBytes: number
  readonly #empty: SlabBytes[] = []
  #count = 0

  constructor(account: Account, slabBytes: number, extraBytes = 0) {
    this.account = account
    this.slabBytes = slabBytes
    this.#extraBytes = extraBytes
  }

  /** Slabs in use. */
  get count(): number { return this.#count }
  get leasedBytes(): number { return this.#count * (this.slabBytes + this.#extraBytes) }

  /** A slab of arbitrary content; undefined without memory. `reclaim`: ask reclaimers first. */
  take(reclaim: boolean): SlabBytes | undefined {
    const bytes = this.slabBytes + this.#extraBytes
    // Checked first: without reclaimers a full budget is normal, not a denial worth counting.
    if (!reclaim && this.account.budget.freeBytes < bytes) return undefined
    if (!this.account.grow(bytes, reclaim)) return undefined
    try {
      const slab = this.#empty.pop() ?? this.#make()
      if (slab.buffer.byteLength === 0) slab.buffer.resize(this.slabBytes)
      this.#count++
      return slab
    } catch {
      // The system has less memory than the budget promises.
      this.account.shrink(bytes)
      return undefined
    }
  }

  giveBack(slab: SlabBytes): void {
    slab.buffer.resize(0)
    this.account.shrink(this.slabBytes + this.#extraBytes)
    this.#empty.push(slab)
    this.#count--
  }

  /** Views of a fixed length are faster than views that follow their buffer. */
  #make(): SlabBytes {
    return new Uint8Array(new ArrayBuffer(this.slabBytes, { maxByteLength: this.slabBytes }), 0, this.slabBytes)
  }

  /** Forget emptied buffers. */
  clear(): void {
    this.#empty.length = 0
  }
}
