/**
 * Windows: byte buffers handed out and taken back, for cursors that must keep a block while others load theirs.
 *
 * Invariants
 * 1. Every window, out or free, is leased from the account for as long as the pool knows it.
 *    Those of the reserve stand on one lease that is held for good: when the budget is full, so many bytes can still be taken.
 * 2. Free windows add up to at most `keepBytes`; what comes back beyond that is let go and its lease released.
 * 3. A window is given back once, to the pool it came from.
 * 4. The reserve carries one taker at a time: what others of its windows they merely keep is called back (`holders`) for it.
 * 5. Mapped windows give their memory back to the system in the moment they are let go, and have no bytes from then on. Others
 *    are garbage then, which comes back when it is collected, or not at all: small buffers leave holes in the heap of malloc.
 *
 * Cost: sizes are powers of two from 8 KiB, so at most half of a window is unused. A mapped window takes about 10 us to make and
 * to let go, and reading single bytes of it takes up to twice as long.
 */
import { SpillwayError } from '../base/errors.ts'
import type { Account, Lease } from './budget.ts'

export const SMALLEST_WINDOW_BYTES = 8 * 1024
/** Mapped windows without memory that are kept to be used again. */
const MAX_EMPTY = 256

export class WindowPool {
  readonly account: Account
  /** Those that keep windows of the reserve between two calls: each gives them back when it is called. */
  readonly holders = new Set<() => void>()
  readonly #keepBytes: number
  /** Windows that are out. */
  readonly #out = new Map<Uint8Array<ArrayBuffer>, Lease | undefined>()
  /** Free windows, the last used last. */
  readonly #free: { window: Uint8Array<ArrayBuffer>; lease: Lease }[] = []
  #freeBytes = 0
  /** Leased for good, for windows when the budget has no room: those have no lease of their own. */
  readonly #reserve: Lease
  #reserveUsed = 0
  #closed = false
  readonly #isMapped: boolean
  /** Mapped windows that were let go. */
  readonly #empty: Uint8Array<ArrayBuffer>[] = []

  /**
   * `keepBytes`: how much to keep free for the next taker. `reserveBytes`: how much can be out whatever else is leased. `mapped`:
   * windows come and go often, and their memory has to come back at once.
   */
  constructor(account: Account, keepBytes: number, reserveBytes = 0, mapped = false) {
    this.account = account
    this.#isMapped = mapped
    this.#keepBytes = keepBytes
    this.#reserve = account.lease(reserveBytes)
  }

  get outCount(): number { return this.#out.size }
  get freeBytes(): number { return this.#freeBytes }
  /** Some windows that are out are the reserve's. */
  get usesReserve(): boolean { return this.#reserveUsed > 0 }

  /** A window of at least `bytes`, contents arbitrary. Throws BUDGET_TOO_SMALL when there is no room. */
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
        // Reclaiming may have brought back windows of the reserve, or free ones; the rest of the reserve is asked for.
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

  /** Let free windows go, the longest unused first, until `bytes` are given back; returns how many were. Suits `Budget.addReclaimer`. */
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

  /** Let all free windows go now, and those that are out when they come back. */
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

  /** Ask those that keep windows of the reserve, until it has room for `bytes`. */
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

/** The size of the window that `take(bytes)` gives. */
export function windowBytes(bytes: number): number {
  let size = SMALLEST_WINDOW_BYTES
  while (size < bytes) size *= 2
  return size
}
