/**
 * Decides for each entry of a flush or merge whether to keep it.
 *
 * Rules (a *snapshot stripe* is the set of sequence numbers between two neighbouring snapshots; readers see only the newest version
 * of a key in each stripe)
 * 1. A version is dropped when a newer version of its key, or a range tombstone over it, is in the same stripe.
 * 2. A remaining tombstone is dropped when it is in the oldest stripe and no older table outside the merge can hold its key.
 * 3. Range tombstones follow the same rules by fragment and are emitted as later keys come.
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
  /** Undefined: all tombstones stay. */
  readonly #outside: OutsideIndex | undefined
  readonly #ranges: RangeSweep
  #key = new Uint8Array(256)
  #keyLength = -1
  #stripe = -1
  /** Set with every new key, cleared by the caller when a version is kept. */
  startsKey = true

  /**
   * `snapshots`: ascending. `outside`: all tables that are no inputs and may hold older entries; undefined: unknown. `ranges`:
   * range tombstones of the inputs. `keepRange` gets those that stay, sorted.
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

  /** Emit range tombstones before the next entry, in at most `steps` starts and ends. True: done. */
  approach({ key, keyStart, keyEnd }: Cursor, steps: number): boolean {
    return this.#ranges.advance(key, keyStart, keyEnd, steps)
  }

  /** In cursor order. */
  keep(entry: Cursor): boolean {
    const { key, keyStart, keyEnd, seq } = entry
    const stripe = this.#stripeOf(seq)
    const sameKey = this.#keyLength >= 0 && compareBytes(this.#key, 0, this.#keyLength, key, keyStart, keyEnd) === 0
    if (sameKey) {
      if (stripe === this.#stripe) return false
    } else {
      this.#rememberKey(key, keyStart, keyEnd)
      this.startsKey = true
      this.#ranges.advance(key, keyStart, keyEnd)
    }
    this.#stripe = stripe
    const ceiling = stripe < this.#snapshots.length ? this.#snapshots[stripe]! : MAX_SEQ
    if (this.#ranges.newestUpTo(ceiling) > seq) return false
    if (entry.kind !== KIND_DELETE || stripe > 0 || this.#outside === undefined) return true
    return this.#outside.minSeqAt(key, keyStart, keyEnd) < seq
  }

  /** See `RangeSweep.isQuiet`. */
  get isQuiet(): boolean { return this.#ranges.isQuiet }

  /**
   * Hand over to a kernel merge, with `entry` next: it stops at keys that range tombstones touch, or where tables outside change.
   * False: the last key is too long. Only while quiet.
   */
  handOver(merge: MergeKernel, { key, keyStart, keyEnd }: Cursor): boolean {
    if (this.#keyLength > merge.slotBytes) return false
    if (this.#keyLength > 0) merge.memory.set(this.#key.subarray(0, this.#keyLength), merge.seenAt)
    merge.setSeen(this.#keyLength, this.#stripe)
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

  /** Continue after a kernel merge. */
  takeBack(merge: MergeKernel): void {
    const { seenAt, seenLength } = merge
    this.startsKey = merge.startsKey
    this.#keyLength = -1
    if (seenLength < 0) return
    this.#rememberKey(merge.memory, seenAt, seenAt + seenLength)
    this.#stripe = merge.seenStratum
  }

  /** A new table begins with this key, of the last entry. */
  cut(key: Uint8Array): void {
    this.#ranges.cut(key)
  }

  /** Emit the remaining range tombstones, in at most `steps` starts and ends. True: done. */
  finish(steps = Infinity): boolean {
    return this.#ranges.finish(steps)
  }

  #mustStay({ start, end, seq }: RangeTombstone): boolean {
    return this.#outside === undefined || this.#stripeOf(seq) > 0 || this.#outside.minSeqOver(start, end) < seq
  }

  /** Snapshots too old to see `seq`. */
  #stripeOf(seq: number): number {
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
