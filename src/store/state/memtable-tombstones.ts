/**
 * The range tombstones of one memtable, for reading while more of them are added.
 *
 * Invariants
 * 1. Answers hold for all tombstones in the memtable at the moment of the question.
 * 2. All but the newest are resolved into a RangeSet; the newest are looked at one by one, in the memtable.
 *
 * Cost: resolving again only when the newest have become a quarter of the resolved ones makes n tombstones with a read after
 * each cost O(n log n) in all, and a read a search and at most n / 5 comparisons. A read allocates nothing, but for one that
 * resolves. Bounded by `MAX_RANGES`.
 *
 * Account: `table metadata`, leased before tombstones are resolved. When that is denied they stay where they are and are looked
 * at one by one: slower, at most MAX_RANGES comparisons, and right.
 */
import type { RangeLookup } from '../../base/fragment-list.ts'
import { RangeSet } from '../../base/ranges.ts'
import type { Account, Lease } from '../../memory/budget.ts'
import type { Memtable } from '../../memtable/memtable.ts'

/**
 * Most range tombstones in one memtable: then it counts as full. A flush holds them decoded and resolved, about 1 KiB each
 * and their keys.
 */
export const MAX_RANGES = 1024
/** So many are always looked at one by one. */
const MIN_TAIL = 32

export class MemtableTombstones implements RangeLookup {
  readonly #memtable: Memtable
  readonly #account: Account
  #lease: Lease | undefined
  /** How many there were when a lease was denied. */
  #deniedCount = 0
  #resolved = RangeSet.EMPTY
  #resolvedCount = 0

  constructor(memtable: Memtable, account: Account) {
    this.#memtable = memtable
    this.#account = account
  }

  /** How many there are. */
  get size(): number { return this.#memtable.rangeCount }

  /** Largest seq <= `snapshotSeq` of a tombstone that covers key[start, end); 0 if none. */
  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const memtable = this.#memtable
    let tail = memtable.rangeCount - this.#resolvedCount
    if (tail > MIN_TAIL && tail > this.#resolvedCount >>> 2 && this.#resolve()) tail = 0
    // Newer ones have larger numbers: what the tail has is newer than all that is resolved.
    const seq = tail === 0 ? 0 : memtable.coveringSeq(tail, key, start, end, snapshotSeq)
    return seq > 0 ? seq : this.#resolved.coveringSeq(key, start, end, snapshotSeq)
  }

  /** Give back what was leased; it may still be asked. */
  close(): void {
    this.#resolved = RangeSet.EMPTY
    this.#resolvedCount = 0
    this.#deniedCount = Infinity
    this.#lease?.release()
    this.#lease = undefined
  }

  /** False: there is no room now, and nothing has changed. */
  #resolve(): boolean {
    const count = this.#memtable.rangeCount
    // Not again at the next read.
    if (count - this.#deniedCount <= count >>> 2) return false
    const tombstones = this.#memtable.ranges()
    const keyBytes = tombstones.reduce((sum, { start, end }) => sum + start.length + end.length, 0)
    // The old set is there until the new one is.
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
