/**
 * The arenas of all memtables that share a budget: taken when a store begins to write, given back when what it wrote is in a
 * table. There are few sizes (`arenaSize`), so that an arena serves whoever comes next.
 *
 * Invariants
 * 1. Every arena, in use or free, is leased. Free ones are dropped before all together would exceed `limitBytes`; how many may
 *    be in use is for the credits to say (`arena-admission.ts`).
 * 2. Two of the smallest size can always be made: they are leased for good. So a writer can always write once those before it
 *    have been flushed.
 *
 * Account: `memtables`. Shared memory goes back to the system only when the garbage collector finds it, so arenas are
 * dropped seldom: when the budget shrinks or somebody else needs the memory.
 */
import type { Account, Lease } from '../../memory/budget.ts'
import { arenaBuffer } from '../../memtable/arena.ts'

export const RESERVED_ARENAS = 2
export const SMALLEST_ARENA_BYTES: number = 256 * 1024
/** Left free for the metadata of the tables that flushes and merges make, and for readers. */
export const HEADROOM_BYTES: number = 512 * 1024

interface Arena {
  buffer: SharedArrayBuffer
  /** Undefined: it stands on the reserve. */
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
  /** Called after arenas were dropped: their memory needs a collection to come back. */
  onDropped: (bytes: number) => void = () => {}

  constructor(account: Account, limitBytes: number) {
    this.#account = account
    this.#limitBytes = limitBytes
    this.#reserve = account.lease(RESERVED_ARENAS * SMALLEST_ARENA_BYTES)
  }

  /** Bytes of all arenas, in use and free. */
  get bytes(): number { return this.#bytes }
  get limitBytes(): number { return this.#limitBytes }

  /** The buffers that are there, counted one by one. */
  measure(): number {
    let bytes = 0
    for (const { buffer } of [...this.#out.values(), ...this.#free]) bytes += buffer.byteLength
    return bytes
  }

  /** What `releaseFree` could give. */
  get releasableBytes(): number {
    let bytes = 0
    for (const { buffer, lease } of this.#free) if (lease !== undefined) bytes += buffer.byteLength
    return bytes
  }

  /** Whether an arena is in use that would give memory back to the budget. */
  get holdsLeased(): boolean {
    for (const { lease } of this.#out.values()) if (lease !== undefined) return true
    return false
  }

  /** Move the bound: free arenas beyond it go at once. */
  setLimit(bytes: number): void {
    this.#limitBytes = bytes
    while (this.#bytes > this.#limitBytes && this.#free.length > 0) this.#drop(this.#free.shift()!)
  }

  /**
   * An arena of exactly this size, one of `arenaSize`; undefined: there is no room for it. `drops`: free ones of other sizes may
   * be dropped for it.
   */
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

  /** Let free arenas go, for somebody who needs the memory. Suits `Budget.addReclaimer`. */
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

/** The largest size of an arena that is at most `bytes`, but for the smallest: powers of two. */
export function arenaSize(bytes: number): number {
  return Math.max(SMALLEST_ARENA_BYTES, 2 ** Math.floor(Math.log2(Math.max(1, bytes))))
}

/** The smallest size of an arena that is at least `bytes`. */
export function arenaSizeAbove(bytes: number): number {
  return Math.max(SMALLEST_ARENA_BYTES, 2 ** Math.ceil(Math.log2(Math.max(1, bytes))))
}
