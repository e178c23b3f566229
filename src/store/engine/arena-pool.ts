/**
 * The arenas of all memtables of a budget, taken when a store begins to write and returned after its flush. There are few sizes
 * (`arenaSize`), so that arenas are reused.
 *
 * Invariants
 * 1. Every arena, in use or free, is leased. Free ones are dropped before the total would exceed `limitBytes`; `arena-admission.ts`
 *    limits those in use.
 * 2. Two of the smallest size are leased for good. So a writer can always continue once earlier memtables are flushed.
 *
 * Account: `memtables`. Shared memory returns to the system only after a garbage collection, so arenas are dropped seldom: when the
 * budget shrinks or other accounts need the memory.
 */
import type { Account, Lease } from '../../memory/budget.ts'
import { arenaBuffer } from '../../memtable/arena.ts'

export const RESERVED_ARENAS = 2
export const SMALLEST_ARENA_BYTES: number = 256 * 1024
/** Left free for table metadata of flushes and merges, and for readers. */
export const HEADROOM_BYTES: number = 512 * 1024

interface Arena {
  buffer: SharedArrayBuffer
  /** Undefined: part of the reserve. */
  lease: Lease | undefined
}

export class ArenaPool {
  readonly #account: Account
  readonly #reserve: Lease
  #reserveUsed = 0
  readonly #out = new Map<SharedArrayBuffer, Arena>()
  #free: Arena[] = []
  #bytes = 0
  #limitBytes: number
  /** Called after arenas were dropped: a collection must free their memory. */
  onDropped: (bytes: number) => void = () => {}

  constructor(account: Account, limitBytes: number) {
    this.#account = account
    this.#limitBytes = limitBytes
    this.#reserve = account.lease(RESERVED_ARENAS * SMALLEST_ARENA_BYTES)
  }

  /** All arenas, in use and free. */
  get bytes(): number { return this.#bytes }
  get limitBytes(): number { return this.#limitBytes }

  /** The existing buffers, counted one by one. */
  measure(): number {
    let bytes = 0
    for (const { buffer } of [...this.#out.values(), ...this.#free]) bytes += buffer.byteLength
    return bytes
  }

  /** What `releaseFree` could free. */
  get releasableBytes(): number {
    let bytes = 0
    for (const { buffer, lease } of this.#free) if (lease !== undefined) bytes += buffer.byteLength
    return bytes
  }

  /** Whether an arena outside the reserve is in use. */
  get holdsLeased(): boolean {
    for (const { lease } of this.#out.values()) if (lease !== undefined) return true
    return false
  }

  /** Change the limit; free arenas beyond it are dropped at once. */
  setLimit(bytes: number): void {
    this.#limitBytes = bytes
    while (this.#bytes > this.#limitBytes && this.#free.length > 0) this.#drop(this.#free.shift()!)
  }

  /** An arena of exactly this size, one of `arenaSize`; undefined: no memory. `drops`: free ones of other sizes may be dropped for it. */
  take(size: number, drops: boolean): SharedArrayBuffer | undefined {
    const arena = this.#takeFree(size) ?? this.#make(size, drops)
    if (arena === undefined) return undefined
    this.#out.set(arena.buffer, arena)
    return arena.buffer
  }

  give(buffer: SharedArrayBuffer): void {
    const arena = this.#out.get(buffer)
    if (arena === undefined) throw new Error('an arena was given back twice')
    this.#out.delete(buffer)
    this.#free.push(arena)
    this.setLimit(this.#limitBytes)
  }

  /** Drop free arenas for other accounts. A reclaimer. */
  releaseFree(bytes: number): number {
    let released = 0
    for (let i = 0; i < this.#free.length && released < bytes;) {
      const arena = this.#free[i]!
      if (arena.lease === undefined) {
        i++
        continue
      }
      this.#free.splice(i, 1)
      released += arena.buffer.byteLength
      this.#drop(arena)
    }
    return released
  }

  close(): void {
    for (const arena of [...this.#free, ...this.#out.values()]) arena.lease?.release()
    this.#free = []
    this.#out.clear()
    this.#reserve.release()
  }

  #takeFree(size: number): Arena | undefined {
    const at = this.#free.findIndex(arena => arena.buffer.byteLength === size)
    return at < 0 ? undefined : this.#free.splice(at, 1)[0]
  }

  #make(size: number, drops: boolean): Arena | undefined {
    if (!drops && this.#free.length > 0 && this.#bytes + size > this.#limitBytes) return undefined
    while (this.#bytes + size > this.#limitBytes && this.#free.length > 0) this.#drop(this.#free.shift()!)
    const lease = this.#account.tryLeaseLeaving(size, HEADROOM_BYTES)
    if (lease === undefined) {
      if (size !== SMALLEST_ARENA_BYTES || this.#reserveUsed >= RESERVED_ARENAS) return undefined
      this.#reserveUsed++
    }
    this.#bytes += size
    return { buffer: arenaBuffer(size), lease }
  }

  #drop(arena: Arena): void {
    this.#bytes -= arena.buffer.byteLength
    if (arena.lease === undefined) this.#reserveUsed--
    else arena.lease.release()
    this.onDropped(arena.buffer.byteLength)
  }
}

/** The largest arena size up to `bytes`, at least the smallest: powers of two. */
export function arenaSize(bytes: number): number {
  return Math.max(SMALLEST_ARENA_BYTES, 2 ** Math.floor(Math.log2(Math.max(1, bytes))))
}

/** The smallest arena size of at least `bytes`. */
export function arenaSizeAbove(bytes: number): number {
  return Math.max(SMALLEST_ARENA_BYTES, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))))
}
