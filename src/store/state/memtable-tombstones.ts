/**
 * The range tombstones of one memtable, for reading while more are added.
 *
 * Invariants
 * 1. An answer covers all tombstones in the memtable at that moment.
 * 2. All but the newest are resolved into a RangeSet; the newest are compared one by one in the memtable.
 *
 * Cost: they are resolved again only when the newest exceed a quarter of the resolved ones, so n tombstones with a read after each
 * cost O(n log n) in all, and a read one search and at most n / 5 comparisons. Only resolving allocates. Bounded by `MAX_RANGES`.
 *
 * Account: `table metadata`, leased before resolving. If denied, they are compared one by one: slower, still correct.
 */
import type { RangeLookup } from '../../base/fragment-list.ts'
import { RangeSet } from '../../base/ranges.ts'
import type { Account, Lease } from '../../memory/budget.ts'
import type { Memtable } from '../../memtable/memtable.ts'

/**
 * Maximum range tombstones in one memtable; then it counts as full. A flush holds them decoded and resolved, about 1 KiB each plus
 * their keys.
 */
export const MAX_RANGES = 1024
/** Up to this many are never resolved. */
const MIN_TAIL = 32

export class MemtableTombstones implements RangeLookup {
  readonly #memtable: Memtable
  readonly #account: Account
  #lease: Lease | undefined
  /** Count at the last denied lease. */
  #deniedCount = 0
  #resolved = RangeSet.EMPTY
  #resolvedCount = 0

  constructor(memtable: Memtable, account: Account) {
    this.#memtable = memtable
    this.#account = account
  }

  /** Number of tombstones. */
  get size(): number { return this.#memtable.rangeCount }

  /** Largest seq <= `snapshotSeq` of a tombstone that covers key[start, end); 0 if none. */
  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const memtable = this.#memtable
    let tail = memtable.rangeCount - this.#resolvedCount
    if (tail > MIN_TAIL && tail > this.#resolvedCount >>> 2 && this.#resolve()) tail = 0
    // Newer ones have larger numbers: any match in the tail wins.
    const seq = tail === 0 ? 0 : memtable.coveringSeq(tail, key, start, end, snapshotSeq)
    return seq > 0 ? seq : this.#resolved.coveringSeq(key, start, end, snapshotSeq)
  }

  /** Release the lease; reads stay possible. */
  close(): void {
    this.#resolved = RangeSet.EMPTY
    this.#resolvedCount = 0
    this.#deniedCount = Infinity
    this.#lease?.release()
    this.#lease = undefined
  }

  /** False: no memory, nothing changed. */
  #resolve(): boolean {
    const count = this.#memtable.rangeCount
    // Not at every read.
    if (count - this.#deniedCount <= count >>> 2) return false
    const tombstones = this.#memtable.ranges()
    const keyBytes = tombstones.reduce((sum, { start, end }) => sum + start.length + end.length, 0)
    // The old set exists until the new one does.
    const bytes = this.#resolved.bytes + RangeSet.bytesFor(count, keyBytes)
    this.#lease ??= this.#account.tryLease(0)
    if (this.#lease?.resize(bytes) !== true) {
      this.#deniedCount = count
      return false
    }
    this.#resolved = RangeSet.of(tombstones)
    this.#resolvedCount = count
    this.#lease.resize(this.#resolved.bytes)
    return true
  }
}
