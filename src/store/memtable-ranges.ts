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
 */
import { RangeSet } from '../base/ranges.ts'
import type { Memtable } from '../memtable/memtable.ts'

/**
 * Most range tombstones in one memtable: then it counts as full. A flush holds them decoded and resolved, about 1 KiB each
 * and their keys.
 */
export const MAX_RANGES = 1024
/** So many are always looked at one by one. */
const LEAST_TAIL = 32

export class MemtableRanges {
  readonly #memtable: Memtable
  #resolved = RangeSet.EMPTY
  #resolvedCount = 0

  constructor(memtable: Memtable) {
    this.#memtable = memtable
  }

  /** How many there are. */
  get size(): number { return this.#memtable.rangeCount }

  /** Largest seq <= `snapshotSeq` of a tombstone that covers key[start, end); 0 if none. */
  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const memtable = this.#memtable
    let tail = memtable.rangeCount - this.#resolvedCount
    if (tail > LEAST_TAIL && tail > this.#resolvedCount >>> 2) {
      this.#resolve()
      tail = 0
    }
    // Newer ones have larger numbers: what the tail has is newer than all that is resolved.
    const seq = tail === 0 ? 0 : memtable.coveringSeq(tail, key, start, end, snapshotSeq)
    return seq > 0 ? seq : this.#resolved.coveringSeq(key, start, end, snapshotSeq)
  }

  #resolve(): void {
    this.#resolved = RangeSet.of(this.#memtable.ranges())
    this.#resolvedCount = this.#memtable.rangeCount
  }
}
