/**
 * A range that holds nothing visible: what a scan had to walk through in vain, so that the next one need not. A store whose lowest keys
 * were deleted one by one (a queue) finds its first key at once again, though the tombstones are there until they are merged.
 *
 * Invariants
 * 1. Nothing in [start, end) is visible to a snapshot >= `seq`, for as long as the range is known.
 * 2. It is forgotten by any write into it, by writes that do not name their keys, and when memtables or tables are exchanged.
 *
 * Account: none; two keys of at most 2,000 bytes a store. Cost: two comparisons a write, while there is one.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import type { Core, WriteWatcher } from './core.ts'

export class DeadRange implements WriteWatcher {
  readonly #core: Core
  /** Undefined: the beginning of the order. */
  #start: Uint8Array | undefined
  /** Undefined: nothing is known. */
  #end: Uint8Array | undefined
  #seq = 0
  #shape = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** A scan at the newest state has found nothing from `start` to before `end`. */
  note(start: Uint8Array | undefined, end: Uint8Array): void {
    const core = this.#core
    this.#start = start
    this.#end = end
    this.#seq = core.lastSeq
    this.#shape = core.shape
    core.watchers.add(this)
  }

  /** Where a scan from `key` may begin as well. */
  skip(key: Uint8Array | undefined, snapshotSeq: number): Uint8Array | undefined {
    const end = this.#end
    if (end === undefined || snapshotSeq < this.#seq) return key
    if (this.#shape !== this.#core.shape) {
      this.onMany()
      return key
    }
    const start = this.#start
    const isBehindStart = start === undefined || key !== undefined && compareKeys(start, key) <= 0
    return isBehindStart && (key === undefined || compareKeys(key, end) < 0) ? end : key
  }

  onWrite(key: Uint8Array, start: number, end: number): void {
    const first = this.#start
    const behind = this.#end!
    if (first !== undefined && compareBytes(key, start, end, first, 0, first.length) < 0) return
    if (compareBytes(key, start, end, behind, 0, behind.length) < 0) this.onMany()
  }

  onMany(): void {
    this.#start = this.#end = undefined
    this.#core.watchers.delete(this)
  }
}
