/**
 * The arenas of all memtables that share a budget: taken when a store begins to write, given back when what it wrote is in a
 * table. Sizes are powers of two, so that an arena serves whoever comes next.
 *
 * Invariants
 * 1. Every arena, in use or free, is leased. All together stay within `limitBytes`, which the owner may move.
 * 2. Two of the smallest size can always be taken by somebody: they are leased for good. So a writer can always write once
 *    those before it have been flushed.
 *
 * Account: `memtables`. Shared memory goes back to the system only when the garbage collector finds it, so arenas are
 * dropped seldom: when the budget shrinks or somebody else needs the memory.
 */
import type { Account, Lease } from '../memory/budget.ts'

export const RESERVED_ARENAS = 2
/** Left free for the metadata of the tables that flushes and merges make, and for readers. */
export const HEADROOM_BYTES: number = 512 * 1024

interface Arena {
  buffer: SharedArrayBuffer
  /** Undefined: it stands on the reserve. */
  lease: Lease | undefined
}

export class Arenas {
  readonly smallestBytes: number
  readonly #account: Account
  readonly #reserve: Lease
  #reserveUsed = 0
  readonly #out = new Map<SharedArrayBuffer, Arena>()
  #free: Arena[] = []
  #bytes = 0
  #limitBytes: number
  /** Called after arenas were dropped: their memory needs a collection to come back. */
  onDropped: (bytes: number) => void = () => {}

  constructor(account: Account, smallestBytes: number, limitBytes: number) {
    this.smallestBytes = smallestBytes
    this.#account = account
    this.#limitBytes = limitBytes
    this.#reserve = account.lease(RESERVED_ARENAS * smallestBytes)
  }

  /** Bytes of all arenas, in use and free. */
  get bytes(): number { return this.#bytes }
  get outCount(): number { return this.#out.size }
  get limitBytes(): number { return this.#limitBytes }

  /** Whether an arena is in use that would give memory back to the budget. */
  get holdsLeased(): boolean {
    for (const { lease } of this.#out.values()) if (lease !== undefined) return true
    return false
  }

  /** Move the bound. Free arenas beyond it go at once, others when they come back. */
  setLimit(bytes: number): void {
    this.#limitBytes = bytes
    while (this.#bytes > this.#limitBytes && this.#free.length > 0) this.#drop(this.#free.shift()!)
  }

  /** An arena of `wantBytes` or of the largest smaller size there is room for; undefined: none at all. */
  take(wantBytes: number): SharedArrayBuffer | undefined {
    for (let size = Math.max(powerOfTwoBelow(wantBytes), this.smallestBytes); size >= this.smallestBytes; size /= 2) {
      const arena = this.#takeFree(size) ?? this.#make(size)
      if (arena === undefined) continue
      this.#out.set(arena.buffer, arena)
      return arena.buffer
    }
    return undefined
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

  #make(size: number): Arena | undefined {
    // Free ones of other sizes are in the way of the limit.
    while (this.#bytes + size > this.#limitBytes && this.#free.length > 0) this.#drop(this.#free.shift()!)
    let lease: Lease | undefined
    if (this.#bytes + size <= this.#limitBytes) lease = this.#account.tryLeaseLeaving(size, HEADROOM_BYTES)
    if (lease === undefined && (size !== this.smallestBytes || this.#reserveUsed >= RESERVED_ARENAS)) return undefined
    if (lease === undefined) this.#reserveUsed++
    this.#bytes += size
    return { buffer: new SharedArrayBuffer(size), lease }
  }

  #drop(arena: Arena): void {
    this.#bytes -= arena.buffer.byteLength
    if (arena.lease === undefined) this.#reserveUsed--
    else arena.lease.release()
    this.onDropped(arena.buffer.byteLength)
  }
}

export function powerOfTwoBelow(bytes: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, bytes)))
}

export function powerOfTwoAbove(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, bytes)))
}
