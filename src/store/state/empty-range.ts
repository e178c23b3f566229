/**
 * A key range known to hold nothing visible, found by a scan or by deletions in key order, so that the next scan skips its
 * tombstones. A queue, whose lowest keys are deleted one by one, finds its first key at once although the tombstones wait for a
 * merge.
 *
 * Invariants
 * 1. While the range is known, nothing in [start, end) is visible to a snapshot >= `seq`.
 * 2. A put inside cuts the range there; a write that does not name its keys forgets it. Deletions, flushes and merges do not change
 *    it.
 * 3. After some deletions `scan/empty-range-walk.ts` extends it. Useless walks, because keys are deleted in another order, become
 *    rare.
 *
 * Account: none; three keys of at most 2,000 bytes a store. Cost: an addition per deletion; two comparisons per put while a range
 * is known; one walk over deleted keys.
 */
import { compareBytes, compareKeys } from '../../base/bytes.ts'
import { KIND_DELETE } from '../../base/cursor.ts'
import { MAX_KERNEL_KEY_BYTES } from '../../kernels/scan-kernel.ts'
import type { WriteWatcher } from './write-watcher.ts'
import { copyOf } from '../../encoding/encoding.ts'

/** Deletions that make a walk worthwhile. */
export const WALK_DELETIONS = 1000
/** A useless walk doubles the deletions before the next one, at most this often. */
const MAX_DOUBLINGS = 6

interface WatchedStore {
  readonly lastSeq: number
  readonly watchers: Set<WriteWatcher>
}

export class EmptyRange implements WriteWatcher {
  readonly #core: WatchedStore
  /** Undefined: the first possible key. */
  #start: Uint8Array | undefined
  /** Undefined: no range is known. */
  #end: Uint8Array | undefined
  #seq = 0
  /** Since the last walk, and the key of the first. */
  #deletions = 0
  #deleted: Uint8Array | undefined
  #dueDeletions = WALK_DELETIONS

  constructor(core: WatchedStore) {
    this.#core = core
  }

  /** A scan at the newest state found nothing from `start` to before `end`. Joins a known range that touches it. */
  note(start: Uint8Array | undefined, end: Uint8Array): void {
    const core = this.#core
    if (start !== undefined && start.length > MAX_KERNEL_KEY_BYTES) return
    const knownEnd = this.#end
    if (knownEnd !== undefined) {
      const known = this.#start
      const beginsInside = known === undefined || start !== undefined && compareKeys(known, start) <= 0
      if (beginsInside) {
        if (start === undefined || compareKeys(start, knownEnd) <= 0) {
          if (compareKeys(end, knownEnd) <= 0) return
          start = known
        }
      } else if (compareKeys(known, end) <= 0 && compareKeys(end, knownEnd) < 0) {
        end = knownEnd
      }
    }
    this.#start = start
    this.#end = end
    this.#seq = core.lastSeq
    core.watchers.add(this)
  }

  /** Where a scan from `key` may start instead. */
  skip(key: Uint8Array | undefined, snapshotSeq: number): Uint8Array | undefined {
    const end = this.#end
    if (end === undefined || snapshotSeq < this.#seq) return key
    const start = this.#start
    const isBehindStart = start === undefined || key !== undefined && compareKeys(start, key) <= 0
    return isBehindStart && (key === undefined || compareKeys(key, end) < 0) ? end : key
  }

  /** The end of the range if it holds the key; else undefined. */
  endAround(key: Uint8Array, start: number, end: number, snapshotSeq: number): Uint8Array | undefined {
    const behind = this.#end
    return behind !== undefined && snapshotSeq >= this.#seq && this.#holds(key, start, end, behind) ? behind : undefined
  }

  /** Whether a walk is due, at a moment without reads. */
  get isDue(): boolean { return this.#deletions >= this.#dueDeletions }

  onDelete(key: Uint8Array, start: number, end: number): void {
    if (this.#deletions++ === 0) this.#deleted = end - start > MAX_KERNEL_KEY_BYTES ? undefined : copyOf(key, start, end)
  }

  onWrite(key: Uint8Array, start: number, end: number, kind: number): void {
    const behind = this.#end!
    if (kind === KIND_DELETE || !this.#holds(key, start, end, behind)) return
    const first = this.#start
    if (end - start > MAX_KERNEL_KEY_BYTES || end === start || first !== undefined && compareBytes(key, start, end, first, 0, first.length) === 0) this.#forget()
    else this.#end = copyOf(key, start, end)
  }

  onMany(isRemoval: boolean): void {
    if (!isRemoval) this.#forget()
  }

  /** Begin a walk: its possible starting keys (the end of the range, the first key deleted since the last walk). Forgets the deletions. */
  takeDeletions(): { end: Uint8Array | undefined, deleted: Uint8Array | undefined } {
    const end = this.#end
    let deleted = this.#deleted
    this.#deletions = 0
    this.#deleted = undefined
    if (deleted !== undefined && end !== undefined && this.#holds(deleted, 0, deleted.length, end)) deleted = undefined
    return { end, deleted }
  }

  /** A walk has ended. `nextDeletions`: deletions before the next one; 0 = the walk was useless. */
  walked(nextDeletions: number): void {
    this.#dueDeletions = nextDeletions > 0 ? nextDeletions : Math.min(2 * this.#dueDeletions, WALK_DELETIONS << MAX_DOUBLINGS)
  }

  #holds(key: Uint8Array, start: number, end: number, behind: Uint8Array): boolean {
    const first = this.#start
    return (first === undefined || compareBytes(key, start, end, first, 0, first.length) >= 0) && compareBytes(key, start, end, behind, 0, behind.length) < 0
  }

  #forget(): void {
    this.#start = this.#end = undefined
    this.#core.watchers.delete(this)
  }
}
