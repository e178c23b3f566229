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
import type { MergeKernel } from '../kernels/merge-kernel.ts'
import { OutsideIndex } from './tombstone-elision.ts'
import type { OutsideTables } from './tombstone-elision.ts'
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
  /** Set with every new key, for the caller to clear when a version of it has been kept: outputs are cut only between keys. */
  startsKey = true

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
      this.startsKey = true
      this.#ranges.advance(key, keyStart, keyEnd)
    }
    this.#stratum = stratum
    const ceiling = stratum < this.#snapshots.length ? this.#snapshots[stratum]! : MAX_SEQ
    if (this.#ranges.newestUpTo(ceiling) > seq) return false
    if (entry.kind !== KIND_DELETE || stratum > 0 || this.#outside === undefined) return true
    return this.#outside.minSeqAt(key, keyStart, keyEnd) < seq
  }

  /** No range tombstone is over the key in hand, and what comes of them is known: `watch` says where. */
  get isQuiet(): boolean { return this.#ranges.isQuiet }

  /**
   * Have a merge in the kernels go on from here, with `entry` as the next one: keys that range tombstones touch, or where other
   * tables lie outside, are watched. False when it cannot: the last key is too long. Only while quiet.
   */
  handOver(merge: MergeKernel, { key, keyStart, keyEnd }: Cursor): boolean {
    if (this.#keyLength > merge.slotBytes) return false
    if (this.#keyLength > 0) merge.memory.set(this.#key.subarray(0, this.#keyLength), merge.seenAt)
    merge.setSeen(this.#keyLength, this.#stratum)
    merge.startsKey = this.startsKey
    const outside = this.#outside
    merge.outsideMin = outside === undefined ? -Infinity : outside.minSeqAt(key, keyStart, keyEnd)
    const next = this.#ranges.next
    const isNearer = outside !== undefined && outside.findNext(key, keyStart, keyEnd) && (
      next === undefined || compareBytes(outside.keys, outside.nextStart, outside.nextEnd, next, 0, next.length) < 0
    )
    if (isNearer) merge.watch(outside.keys, outside.nextStart, outside.nextEnd)
    else if (next !== undefined) merge.watch(next, 0, next.length)
    else merge.watchNothing()
    return true
  }

  /** The merge in the kernels has stopped: go on where it is. */
  takeBack(merge: MergeKernel): void {
    const { seenAt, seenLength } = merge
    this.startsKey = merge.startsKey
    this.#keyLength = -1
    if (seenLength < 0) return
    this.#rememberKey(merge.memory, seenAt, seenAt + seenLength)
    this.#stratum = merge.seenStratum
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
