/**
 * The active memtable and those being flushed, and the arenas they live in: at most two, leased at the first use of each
 * and used again and again.
 */
import type { RangeSet as RangeSetType } from '../base/ranges.ts'
import { RangeSet } from '../base/ranges.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { Memtable } from '../memtable/memtable.ts'

export class MemtableSlot {
  readonly memtable: Memtable
  readonly buffer: SharedArrayBuffer
  /** First log segment that holds any of its entries. */
  readonly logNumber: number
  /** Value files its entries refer to, or referred to before they were overwritten. */
  readonly valueFiles: number[] = []
  #ranges: RangeSetType = RangeSet.EMPTY
  #rangeCount = 0

  constructor(buffer: SharedArrayBuffer, logNumber: number) {
    this.buffer = buffer
    this.logNumber = logNumber
    this.memtable = new Memtable(buffer)
    this.memtable.reset()
  }

  get isEmpty(): boolean { return this.memtable.entryCount === 0 && this.memtable.rangeCount === 0 }

  /** The range tombstones, resolved for reading; rebuilt when one was added. */
  get ranges(): RangeSetType {
    if (this.memtable.rangeCount !== this.#rangeCount) {
      this.#ranges = RangeSet.of(this.memtable.ranges())
      this.#rangeCount = this.memtable.rangeCount
    }
    return this.#ranges
  }
}

export const MOST_MEMTABLES = 2

export class Arenas {
  readonly #lease: Lease
  readonly #arenaBytes: number
  readonly #free: SharedArrayBuffer[] = []
  #made = 0

  /** Leases both arenas at once: they are part of the floor. */
  constructor(account: Account, arenaBytes: number) {
    this.#arenaBytes = arenaBytes
    this.#lease = account.lease(MOST_MEMTABLES * arenaBytes)
  }

  get available(): boolean { return this.#free.length > 0 || this.#made < MOST_MEMTABLES }

  take(): SharedArrayBuffer {
    const free = this.#free.pop()
    if (free !== undefined) return free
    if (this.#made >= MOST_MEMTABLES) throw new Error('no free memtable arena')
    this.#made++
    return new SharedArrayBuffer(this.#arenaBytes)
  }

  give(buffer: SharedArrayBuffer): void {
    this.#free.push(buffer)
  }

  close(): void {
    this.#free.length = 0
    this.#lease.release()
  }
}
