/**
 * What a flush or merge may leave out. Fed the entries of its inputs in order, it says of each whether to keep it.
 *
 * Rules (a *stratum* is the set of sequence numbers between two neighbouring snapshots: readers cannot tell
 * two versions of a key in one stratum apart, they see the newer one)
 * 1. A version goes when a newer version of its key, or a range tombstone over it, is in the same stratum.
 * 2. A tombstone that is left goes when it is in the oldest stratum and no older table outside the merge can
 *    hold its key: there is nothing left for it to hide.
 * 3. The same for range tombstones, fragment by fragment: those that must stay are handed out as the keys behind them are met.
 *
 * Memory: one fragment an input, and the index of the tables outside; it does not grow with the number of range tombstones.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import { KIND_DELETE, MAX_SEQ } from '../base/cursor.ts'
import type { Cursor, RangeTombstone } from '../base/cursor.ts'
import { OutsideIndex } from './outside.ts'
import type { OutsideTables } from './outside.ts'
import { RangeSweep } from './range-sweep.ts'
import type { FragmentSource } from './range-sweep.ts'

export class Retention {
  readonly #snapshots: readonly number[]
  /** Undefined: unknown, all tombstones stay. */
  readonly #outside: OutsideIndex | undefined
  readonly #ranges: RangeSweep
  #key = new Uint8Array(256)
  #keyLength = -1
  #stratum = -1

  /**
   * `snapshots`: sequence numbers that open snapshots read at, ascending.
   * `outside`: every table that is not an input and may hold something older; undefined = unknown, keep all tombstones.
   * `ranges`: the range tombstones of the inputs. `keepRange` is given those that must stay, sorted.
   */
  constructor(
    snapshots: readonly number[], outside: OutsideTables | undefined, ranges: readonly FragmentSource[], keepRange: (tombstone: RangeTombstone) => void,
  ) {
    this.#snapshots = snapshots
    this.#outside = outside === undefined ? undefined : new OutsideIndex(outside)
    this.#ranges = new RangeSweep(ranges, snapshots, tombstone => {
      if (this.#mustStay(tombstone)) keepRange(tombstone)
    })
  }

  /** Hand out range tombstones before the entry that is asked about next, at most so many starts and ends; true when that was all. */
  approach({ key, keyStart, keyEnd }: Cursor, steps: number): boolean {
    return this.#ranges.advance(key, keyStart, keyEnd, steps)
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
      this.#ranges.advance(key, keyStart, keyEnd)
    }
    this.#stratum = stratum
    const ceiling = stratum < this.#snapshots.length ? this.#snapshots[stratum]! : MAX_SEQ
    if (this.#ranges.newestUpTo(ceiling) > seq) return false
    if (entry.kind !== KIND_DELETE || stratum > 0 || this.#outside === undefined) return true
    return this.#outside.minSeqAt(key, keyStart, keyEnd) < seq
  }

  /** True when the entry last asked about has the same key as the given one: outputs are not cut between them. */
  isCurrentKey(key: Uint8Array, start: number, end: number): boolean {
    return this.#keyLength >= 0 && compareBytes(this.#key, 0, this.#keyLength, key, start, end) === 0
  }

  /** A table ends and another one begins with this key, that of the entry asked about last: cut the range tombstones here. */
  cut(key: Uint8Array): void {
    this.#ranges.cut(key)
  }

  /** After the last entry: hand out the range tombstones that are left, at most so many starts and ends; true when that was all. */
  finish(steps = Infinity): boolean {
    return this.#ranges.finish(steps)
  }

  #mustStay({ start, end, seq }: RangeTombstone): boolean {
    return this.#outside === undefined || this.#stratumOf(seq) > 0 || this.#outside.minSeqOver(start, end) < seq
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

  #rememberKey(key: Uint8Array, start: number, end: number): void {
    const length = end - start
    if (length > this.#key.length) this.#key = new Uint8Array(length * 2)
    copyBytes(key, start, end, this.#key, 0)
    this.#keyLength = length
  }
}
