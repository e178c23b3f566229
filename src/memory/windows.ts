/**
 * Windows: buffers for cursors that must keep a block while others load theirs.
 *
 * Invariants
 * 1. Every window, in use or free, is leased. Those of the reserve share one permanent lease: that many bytes can be taken even
 *    when the budget is full.
 * 2. Free windows add up to at most `keepBytes`; others are dropped on return.
 * 3. A window is returned once, to its own pool.
 * 4. The reserve serves one taker at a time: reserve windows that are merely kept are called back (`holders`).
 * 5. Mapped windows return their memory to the system when dropped, and have no bytes then. Others become garbage, and small
 *    buffers leave holes in malloc's heap.
 *
 * Cost: sizes are powers of two from 8 KiB, so at most half is unused. A mapped window takes about 10 us to make and drop, and
 * single-byte reads take up to twice as long.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Account, Lease } from './budget.ts'

export const SMALLEST_WINDOW_BYTES = 8 * 1024
/** Mapped windows without memory kept for reuse. */
const MAX_EMPTY = 256

export class WindowPool {
  readonly account: Account
  /** Called to return reserve windows kept between two calls. */
  readonly holders = new Set<() => void>()
  readonly #keepBytes: number
  /** Windows that are out. */
  readonly #out = new Map<Uint8Array<ArrayBuffer>, Lease | undefined>()
  /** Free windows, most recently used last. */
  readonly #free: { window: Uint8Array<ArrayBuffer>; lease: Lease }[] = []
  #freeBytes = 0
  /** For windows without a lease of their own, when the budget is full. */
  readonly #reserve: Lease
  #reserveUsed = 0
  #closed = false
  readonly #isMapped: boolean
  /** Dropped mapped windows. */
  readonly #empty: Uint8Array<ArrayBuffer>[] = []

  /**
   * `keepBytes`: free bytes kept for the next taker. `reserveBytes`: always available. `mapped`: windows come and go often, and
   * their memory must return at once.
   */
  constructor(account: Account, keepBytes: number, reserveBytes = 0, mapped = false) {
    this.account = account
    this.#isMapped = mapped
    this.#keepBytes = keepBytes
    this.#reserve = account.lease(reserveBytes)
  }

  get outCount(): number { return this.#out.size }
  get freeBytes(): number { return this.#freeBytes }
  /** Some windows in use are the reserve's. */
  get usesReserve(): boolean { return this.#reserveUsed > 0 }

  /** A window of at least `bytes`, contents arbitrary. Throws BUDGET_TOO_SMALL. */
  take(bytes: number): Uint8Array<ArrayBuffer> {
    const size = windowBytes(bytes)
    for (let i = this.#free.length - 1; i >= 0; i--) {
      const { window, lease } = this.#free[i]!
      if (window.length !== size) continue
      this.#free.splice(i, 1)
      this.#freeBytes -= size
      this.#out.set(window, lease)
      return window
    }
    let lease: Lease | undefined
    if (!this.#takeReserve(size)) {
      lease = this.account.tryLease(size)
      if (lease === undefined) {
        // Reclaiming may have freed windows; else use the reserve.
        this.releaseFree(size)
        this.#callBack(size)
        if (!this.#takeReserve(size)) lease = this.account.lease(size)
      }
    }
    let window: Uint8Array<ArrayBuffer>
    try {
      window = this.#isMapped ? this.#map(size) : new Uint8Array(size)
    } catch (error) {
      // The system has less memory than the budget promises.
      if (lease === undefined) this.#reserveUsed -= size
      else lease.release()
      throw error
    }
    this.#out.set(window, lease)
    return window
  }

  give(window: Uint8Array<ArrayBuffer>): void {
    const lease = this.#out.get(window)
    if (!this.#out.has(window)) {
      throw new SpillwayError('SPILLWAY_INVALID_ARGUMENT',
        `a window of ${window.length} bytes was given back twice or to the wrong pool. This is a bug in Spillway; please report it`)
    }
    this.#out.delete(window)
    if (lease === undefined) {
      this.#reserveUsed -= window.length
      this.#letGo(window)
      this.#endReserve()
      return
    }
    if (this.#closed || this.#freeBytes + window.length > this.#keepBytes) {
      this.#letGo(window)
      lease.release()
      return
    }
    this.#free.push({ window, lease })
    this.#freeBytes += window.length
  }

  /** Drop free windows, longest unused first, until `bytes` are freed. A reclaimer. */
  releaseFree(bytes: number): number {
    let released = 0
    while (released < bytes && this.#free.length > 0) {
      const { window, lease } = this.#free.shift()!
      this.#freeBytes -= window.length
      released += window.length
      this.#letGo(window)
      lease.release()
    }
    return released
  }

  /** Drop all free windows now, and those in use on return. */
  close(): void {
    this.#closed = true
    this.releaseFree(this.#freeBytes)
    this.#empty.length = 0
    this.#endReserve()
  }

  #map(size: number): Uint8Array<ArrayBuffer> {
    for (let i = this.#empty.length - 1; i >= 0; i--) {
      const window = this.#empty[i]!
      if (window.buffer.maxByteLength !== size) continue
      window.buffer.resize(size)
      this.#empty.splice(i, 1)
      return window
    }
    // Of fixed length: while its buffer has no bytes, it has none either.
    return new Uint8Array(new ArrayBuffer(size, { maxByteLength: size }), 0, size)
  }

  #letGo(window: Uint8Array<ArrayBuffer>): void {
    if (!this.#isMapped) return
    window.buffer.resize(0)
    if (!this.#closed && this.#empty.length < MAX_EMPTY) this.#empty.push(window)
  }

  /** Call back kept reserve windows until `bytes` fit. */
  #callBack(bytes: number): void {
    for (const giveBack of this.holders) {
      if (this.#reserveUsed + bytes <= this.#reserve.bytes) return
      this.holders.delete(giveBack)
      giveBack()
    }
  }

  #takeReserve(bytes: number): boolean {
    if (this.#reserveUsed + bytes > this.#reserve.bytes) return false
    this.#reserveUsed += bytes
    return true
  }

  #endReserve(): void {
    if (this.#closed && this.#reserveUsed === 0) this.#reserve[Symbol.dispose]()
  }
}

/** Size of the window that `take(bytes)` returns. */
export function windowBytes(bytes: number): number {
  let size = SMALLEST_WINDOW_BYTES
  while (size < bytes) size *= 2
  return size
}
