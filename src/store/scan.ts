/**
 * The visible entries of a range, one after the other, over the memtables and tables of this moment.
 *
 * Invariants
 * 1. Of each key the newest version <= the snapshot is seen, unless it is a deletion or a newer range tombstone covers it.
 * 2. It holds one window per run while it stands; `close` gives them back.
 * 3. It is good for one shape of the store only: who keeps it across a flush or merge seeks again in a new one.
 *
 * Account: `iterators`. Cost: one comparison chain per version, nothing allocated per entry.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import { KIND_DELETE, MAX_SEQ } from '../base/cursor.ts'
import type { Cursor } from '../base/cursor.ts'
import type { RangeLookup } from '../base/fragment-list.ts'
import { MergeCursor } from '../compaction/merge-cursor.ts'
import { RunCursor } from '../compaction/run-cursor.ts'
import type { Core } from './core.ts'

export class Scan {
  /** The entry it stands on. */
  key: Uint8Array = new Uint8Array(256)
  keyLength = 0
  valid = false
  kind = 0
  value: Uint8Array = this.key
  valueStart = 0
  valueEnd = 0
  readonly shape: number
  readonly #merge: MergeCursor
  readonly #runs: RunCursor[]
  readonly #ranges: RangeLookup[] = []
  readonly #snapshotSeq: number
  readonly #reverse: boolean
  /** Backward, the merge stands beyond the current key already, so its value is kept here. */
  #kept = new Uint8Array(0)

  constructor(core: Core, snapshotSeq: number, reverse: boolean) {
    this.shape = core.shape
    this.#snapshotSeq = snapshotSeq
    this.#reverse = reverse
    const cursors: Cursor[] = []
    for (const slot of [core.active, ...core.sealed]) {
      cursors.push(slot.memtable.cursor())
      if (slot.ranges.size > 0) this.#ranges.push(slot.ranges)
    }
    this.#runs = []
    for (const run of core.tree.runs) {
      if (run.ranges.size > 0) this.#ranges.push(run.ranges)
      if (run.minSeq > snapshotSeq || run.pointReaders.length === 0) continue
      const cursor = new RunCursor(run.pointReaders, core.blocks, core.windows)
      this.#runs.push(cursor)
      cursors.push(cursor)
    }
    this.#merge = new MergeCursor(cursors)
  }

  /** To the first visible entry: at or after the key (forward), before it (backward); undefined: from the end of the order. */
  seek(key: Uint8Array | undefined): void {
    const merge = this.#merge
    if (key === undefined) {
      if (this.#reverse) merge.seekToLast()
      else merge.seekToFirst()
    } else if (this.#reverse) {
      merge.seekBefore(key, 0, key.length)
    } else {
      merge.seek(key, 0, key.length)
    }
    this.#settle()
  }

  advance(): void {
    if (!this.#reverse) this.#skipKey()
    this.#settle()
  }

  close(): void {
    for (const run of this.#runs) run.close()
    this.valid = false
  }

  #settle(): void {
    if (this.#reverse) this.#settleBackward()
    else this.#settleForward()
  }

  #settleForward(): void {
    const merge = this.#merge
    while (merge.valid) {
      const entry = merge.current
      if (entry.seq > this.#snapshotSeq) {
        merge.advance()
        continue
      }
      // The first version that is not too new decides for its key.
      this.#takeKey(entry)
      if (entry.kind !== KIND_DELETE && !this.#isCovered(entry)) {
        this.kind = entry.kind
        this.value = entry.value
        this.valueStart = entry.valueStart
        this.valueEnd = entry.valueEnd
        this.valid = true
        return
      }
      this.#skipKey()
    }
    this.valid = false
  }

  /** Past all versions of the current key. */
  #skipKey(): void {
    const merge = this.#merge
    while (merge.valid) {
      merge.advance()
      if (!merge.valid) return
      const { key, keyStart, keyEnd } = merge.current
      if (compareBytes(key, keyStart, keyEnd, this.key, 0, this.keyLength) !== 0) return
    }
  }

  /** Versions come oldest first: the last one that is not too new decides, known when the key changes. */
  #settleBackward(): void {
    const merge = this.#merge
    while (merge.valid) {
      this.#takeKey(merge.current)
      let visible = false
      do {
        const entry = merge.current
        if (entry.seq <= this.#snapshotSeq) {
          visible = entry.kind !== KIND_DELETE && !this.#isCovered(entry)
          if (visible) this.#keep(entry)
        }
        merge.advance()
      } while (merge.valid && this.#isSameKey(merge.current))
      if (visible) {
        this.valid = true
        return
      }
    }
    this.valid = false
  }

  #isSameKey(entry: Cursor): boolean {
    return compareBytes(entry.key, entry.keyStart, entry.keyEnd, this.key, 0, this.keyLength) === 0
  }

  #isCovered(entry: Cursor): boolean {
    for (const ranges of this.#ranges) {
      if (ranges.coveringSeq(entry.key, entry.keyStart, entry.keyEnd, Math.min(this.#snapshotSeq, MAX_SEQ)) > entry.seq) return true
    }
    return false
  }

  #takeKey({ key, keyStart, keyEnd }: Cursor): void {
    const length = keyEnd - keyStart
    if (length > this.key.length) this.key = new Uint8Array(length * 2)
    copyBytes(key, keyStart, keyEnd, this.key, 0)
    this.keyLength = length
  }

  #keep(entry: Cursor): void {
    const length = entry.valueEnd - entry.valueStart
    if (length > this.#kept.length) this.#kept = new Uint8Array(Math.max(256, length * 2))
    copyBytes(entry.value, entry.valueStart, entry.valueEnd, this.#kept, 0)
    this.kind = entry.kind
    this.value = this.#kept
    this.valueStart = 0
    this.valueEnd = length
  }
}
