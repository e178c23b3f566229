/**
 * What a flush or merge may leave out. Fed the entries of its inputs in order, it says of each whether to keep it.
 *
 * Rules (a *stratum* is the set of sequence numbers between two neighbouring snapshots: readers cannot tell
 * two versions of a key in one stratum apart, they see the newer one)
 * 1. A version goes when a newer version of its key, or a range tombstone over it, is in the same stratum.
 * 2. A tombstone that is left goes when it is in the oldest stratum and no older table outside the merge can
 *    hold its key: there is nothing left for it to hide.
 * 3. The same for range tombstones, fragment by fragment.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import { KIND_DELETE, MAX_SEQ } from '../base/cursor.ts'
import type { Cursor, RangeTombstone } from '../base/cursor.ts'
import { RangeSet } from '../base/ranges.ts'

/** A table that is not part of the merge: its point keys lie in [firstKey, lastKey], no sequence number is below minSeq. */
export interface OutsideTable {
  firstKey: Uint8Array
  lastKey: Uint8Array
  minSeq: number
}

export class Retention {
  readonly #snapshots: readonly number[]
  readonly #outside: readonly OutsideTable[]
  readonly #mayDropTombstones: boolean
  readonly #ranges: RangeSet
  readonly #tombstones: readonly RangeTombstone[]
  #key = new Uint8Array(256)
  #keyLength = -1
  #stratum = -1

  /**
   * `snapshots`: sequence numbers that open snapshots read at, ascending.
   * `outside`: every table that is not an input and may hold something older; undefined = unknown, keep all tombstones.
   */
  constructor(snapshots: readonly number[], outside: readonly OutsideTable[] | undefined, tombstones: readonly RangeTombstone[]) {
    this.#snapshots = snapshots
    this.#outside = outside ?? []
    this.#mayDropTombstones = outside !== undefined
    this.#tombstones = tombstones
    this.#ranges = RangeSet.of(tombstones)
  }

  /** True when the entry must stay. Entries come in cursor order. */
  keep(entry: Cursor): boolean {
    const { key, keyStart, keyEnd, seq } = entry
    const stratum = this.#stratumOf(seq)
    const sameKey = this.#keyLength >= 0 && compareBytes(this.#key, 0, this.#keyLength, key, keyStart, keyEnd) === 0
    if (sameKey) {
      if (stratum === this.#stratum) return false
    } else {
      this.#rememberKey(key, keyStart, keyEnd)
    }
    this.#stratum = stratum
    if (this.#ranges.size > 0) {
      const ceiling = stratum < this.#snapshots.length ? this.#snapshots[stratum]! : MAX_SEQ
      if (this.#ranges.coveringSeq(key, keyStart, keyEnd, ceiling) > seq) return false
    }
    return !(entry.kind === KIND_DELETE && stratum === 0 && this.#mayDropTombstones && !this.#mayBeOutside(key, keyStart, keyEnd, seq))
  }

  /** True when the entry last asked about has the same key as the given one: outputs are not cut between them. */
  isCurrentKey(key: Uint8Array, start: number, end: number): boolean {
    return this.#keyLength >= 0 && compareBytes(this.#key, 0, this.#keyLength, key, start, end) === 0
  }

  /** The range tombstones that must stay. */
  ranges(): RangeTombstone[] {
    return RangeSet.compactFor(this.#tombstones, this.#snapshots).filter(({ start, end, seq }) =>
      this.#stratumOf(seq) > 0 || !this.#mayDropTombstones || this.#outside.some(table =>
        table.minSeq < seq && compareBytes(table.lastKey, 0, table.lastKey.length, start, 0, start.length) >= 0
        && compareBytes(table.firstKey, 0, table.firstKey.length, end, 0, end.length) < 0))
  }

  /** Index of the first snapshot at or after `seq`: how many snapshots are too old to see it. */
  #stratumOf(seq: number): number {
    const snapshots = this.#snapshots
    let low = 0
    let high = snapshots.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (snapshots[middle]! < seq) low = middle + 1
      else high = middle
    }
    return low
  }

  #mayBeOutside(key: Uint8Array, start: number, end: number, seq: number): boolean {
    for (const table of this.#outside) {
      if (table.minSeq < seq && compareBytes(key, start, end, table.firstKey, 0, table.firstKey.length) >= 0
        && compareBytes(key, start, end, table.lastKey, 0, table.lastKey.length) <= 0) return true
    }
    return false
  }

  #rememberKey(key: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length > this.#key.length) this.#key = new Uint8Array(length * 2)
    copyBytes(key, start, end, this.#key, 0)
    this.#keyLength = length
  }
}
