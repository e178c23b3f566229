/**
 * The visible entries of a range, one by one, over the memtables and tables of one view.
 *
 * Invariants
 * 1. For each key it yields the newest version <= the snapshot, unless that is a deletion or a newer range tombstone covers it.
 * 2. It holds one window and one cursor per run, all leased; `close` releases them.
 * 3. Without memory for those it becomes a low-memory scan: one cursor over all runs that keeps nothing and seeks again in each run
 *    for every step. That needs at most four windows of 64 KiB (two keys of the cursor, its own key, a value), which the reserve of
 *    the window pool holds. So a lone scan never fails for memory.
 * 4. It is valid for one generation of the view. After a flush or merge the caller seeks again in a new one.
 *
 * Account: `iterators`. The objects of a low-memory scan are not leased: they are few, and at most one exists.
 * Cost: one comparison chain per version, no allocation per entry. Low-memory: two or three block reads per run and key.
 */
import { compareBytes, copyBytes } from '../../base/bytes.ts'
import { KIND_DELETE, MAX_SEQ } from '../../base/cursor.ts'
import type { Cursor } from '../../base/cursor.ts'
import { SpillwayError } from '../../base/errors.ts'
import type { RangeLookup } from '../../base/fragment-list.ts'
import { MergeCursor } from '../../compaction/merge-cursor.ts'
import { SeekPerStepCursor } from '../../compaction/reread-cursor.ts'
import { RunCursor } from '../../compaction/run-cursor.ts'
import type { Lease } from '../../memory/budget.ts'
import { windowBytes } from '../../memory/windows.ts'
import type { WindowPool } from '../../memory/windows.ts'
import type { BlockSource } from '../../table/block/block-source.ts'
import type { TableReader } from '../../table/table-reader.ts'
import type { View } from '../state/store-view.ts'

/** Measured: a scan with the cursors of two memtables. */
const SCAN_OBJECTS_BYTES = 2048
/** Measured: a run's cursor, its table cursor with block and index path (1 KiB of it the handles of a partition), a window's lease. */
const RUN_OBJECTS_BYTES = 3584
/** Keys and values up to this fit the scan's own buffers. */
const SMALL_BYTES = 256

/** What a scan reads: a store, or the staged tables of a transaction. */
export interface ScanView {
  readonly view: View
  readonly engine: { readonly reading: { readonly blocks: BlockSource, readonly windows: WindowPool } }
  readonly settings: { readonly blockBytes: number }
}

/** A cursor over visible entries, forward or backward. */
export interface EntryScan {
  readonly generation: number
  readonly key: Uint8Array
  readonly keyLength: number
  readonly valid: boolean
  readonly kind: number
  readonly value: Uint8Array
  readonly valueStart: number
  readonly valueEnd: number
  readonly heldBytes: number
  readonly isNarrow: boolean
  seek(key: Uint8Array | undefined): void
  advance(): void
  close(): void
}

export class Scan implements EntryScan {
  /** The current entry. */
  key = new Uint8Array(SMALL_BYTES)
  keyLength = 0
  valid = false
  kind = 0
  value: Uint8Array = this.key
  valueStart = 0
  valueEnd = 0
  readonly generation: number
  readonly #core: ScanView
  /** One for each memtable. */
  readonly #memory: Cursor[] = []
  /** For each run with visible entries, its tables with point entries. */
  readonly #tables: (readonly TableReader[])[] = []
  readonly #ranges: RangeLookup[] = []
  readonly #snapshotSeq: number
  readonly #reverse: boolean
  readonly #showsDeletes: boolean
  #merge: MergeCursor
  /** Undefined in a low-memory scan. */
  #wide: { readonly runs: readonly RunCursor[], readonly objects: Lease } | undefined
  /** Set in a low-memory scan. */
  #reread: SeekPerStepCursor | undefined
  /** Backward, the merge is already past the current key, so its value is copied here. */
  #kept = new Uint8Array(SMALL_BYTES)
  /** Backward: the versions of `key` are still being compared. */
  #undecided = false

  /** `showsDeletes`: also yield keys whose newest version is a deletion, for an overlay. */
  constructor(core: ScanView, snapshotSeq: number, reverse: boolean, showsDeletes = false) {
    this.#showsDeletes = showsDeletes
    this.generation = core.view.generation
    this.#core = core
    this.#snapshotSeq = snapshotSeq
    this.#reverse = reverse
    for (const slot of [core.view.active, ...core.view.sealed]) {
      this.#memory.push(slot.memtable.cursor())
      if (slot.ranges.size > 0) this.#ranges.push(slot.ranges)
    }
    for (const run of core.view.tree.runs) {
      if (run.ranges.size > 0) this.#ranges.push(run.ranges)
      if (run.minSeq <= snapshotSeq && run.pointReaders.length > 0) this.#tables.push(run.pointReaders)
    }
    this.#merge = this.#openWide() ?? this.#openNarrow()
  }

  /** Approximate bytes held while open. */
  get heldBytes(): number {
    return SCAN_OBJECTS_BYTES + (this.#wide?.runs.length ?? 0) * (RUN_OBJECTS_BYTES + windowBytes(this.#core.settings.blockBytes + SMALL_BYTES))
  }

  /** A low-memory scan uses the reserve, which other reads need; a new scan may find memory. */
  get isNarrow(): boolean { return this.#reread !== undefined }

  /** Whether a visible range tombstone covers a key. */
  covers(key: Uint8Array, length: number): boolean {
    for (const ranges of this.#ranges) if (ranges.coveringSeq(key, 0, length, Math.min(this.#snapshotSeq, MAX_SEQ)) > 0) return true
    return false
  }

  /** Move to the first visible entry at or after the key (forward) or before it (backward); undefined: from the start. */
  seek(key: Uint8Array | undefined): void {
    try {
      this.#seek(key)
    } catch (error) {
      this.#goNarrow(error)
      this.#seek(key)
    }
  }

  advance(): void {
    try {
      if (!this.#reverse) this.#skipKey()
      this.#settle()
    } catch (error) {
      this.#goNarrow(error)
      const inclusive = this.#reverse && this.#undecided || !this.#reverse
      // Forward, keys up to the last taken one are decided. Backward that key is decided too, unless its versions were still being
      // compared.
      if (inclusive) this.key[this.keyLength] = 0
      this.#seek(this.key.subarray(0, this.keyLength + Number(inclusive)))
    }
  }

  close(): void {
    this.#closeRuns()
    this.#reread?.close()
    this.#reread = undefined
    this.key = this.#give(this.key)
    this.#kept = this.#give(this.#kept)
    this.value = this.key
    this.keyLength = 0
    this.valid = false
  }

  /** A window and a cursor for each run; undefined: no memory for the cursors. */
  #openWide(): MergeCursor | undefined {
    const { blocks, windows } = this.#core.engine.reading
    const tables = this.#tables
    const objects = windows.account.tryLease(SCAN_OBJECTS_BYTES + tables.length * RUN_OBJECTS_BYTES)
    if (objects === undefined) return undefined
    const runs = tables.map(run => new RunCursor(run, blocks, windows))
    this.#wide = { runs, objects }
    return new MergeCursor([...this.#memory, ...runs])
  }

  #openNarrow(): MergeCursor {
    const { blocks, windows } = this.#core.engine.reading
    this.#reread = new SeekPerStepCursor(this.#tables, blocks, windows, this.#snapshotSeq)
    return new MergeCursor([...this.#memory, this.#reread])
  }

  /** After a denied window: release all of them and continue on the reserve. Rethrows any other error. */
  #goNarrow(error: unknown): void {
    const isRefusal = error instanceof SpillwayError && error.code === 'SPILLWAY_BUDGET_TOO_SMALL'
    if (!isRefusal || this.#reread !== undefined) throw error
    this.#closeRuns()
    this.#merge = this.#openNarrow()
  }

  #closeRuns(): void {
    const wide = this.#wide
    if (wide === undefined) return
    for (const run of wide.runs) run.close()
    this.#wide = undefined
    wide.objects.release()
  }

  #seek(key: Uint8Array | undefined): void {
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
      // The first version within the snapshot decides its key.
      this.#takeKey(entry)
      if ((entry.kind !== KIND_DELETE || this.#showsDeletes) && !this.#isCovered(entry)) {
        if (entry === this.#reread) this.#reread.loadValue()
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

  /** Skip all versions of the current key. */
  #skipKey(): void {
    const merge = this.#merge
    while (merge.valid) {
      merge.advance()
      if (!merge.valid) return
      const { key, keyStart, keyEnd } = merge.current
      if (compareBytes(key, keyStart, keyEnd, this.key, 0, this.keyLength) !== 0) return
    }
  }

  /** Versions come oldest first: the last one within the snapshot decides, known when the key changes. */
  #settleBackward(): void {
    const merge = this.#merge
    this.#undecided = false
    while (merge.valid) {
      this.#takeKey(merge.current)
      this.#undecided = true
      let visible = false
      do {
        const entry = merge.current
        if (entry.seq <= this.#snapshotSeq) {
          visible = (entry.kind !== KIND_DELETE || this.#showsDeletes) && !this.#isCovered(entry)
          if (visible) this.#keep(entry)
        }
        merge.advance()
      } while (merge.valid && this.#isSameKey(merge.current))
      this.#undecided = false
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
    // One more byte, for the key's successor.
    if (length >= this.key.length) this.key = this.#room(this.key, length + 1)
    copyBytes(key, keyStart, keyEnd, this.key, 0)
    this.keyLength = length
  }

  #keep(entry: Cursor): void {
    if (entry === this.#reread) this.#reread.loadValue()
    const length = entry.valueEnd - entry.valueStart
    if (length > this.#kept.length) {
      this.#kept = this.#room(this.#kept, length)
      // Allocating may have evicted the block.
      if (entry === this.#reread) this.#reread.loadValue()
    }
    copyBytes(entry.value, entry.valueStart, entry.valueEnd, this.#kept, 0)
    this.kind = entry.kind
    this.value = this.#kept
    this.valueStart = 0
    this.valueEnd = length
  }

  /** Replace a window whose content is no longer needed by one of at least `bytes`, unless the scan becomes a low-memory scan. */
  #room(old: Uint8Array<ArrayBuffer>, bytes: number): Uint8Array<ArrayBuffer> {
    const { windows } = this.#core.engine.reading
    if (this.#reread === undefined) {
      // Taken first: if it is denied, the key in the old one is still needed.
      const window = windows.take(bytes)
      this.#give(old)
      return window
    }
    // Released first: the reserve cannot hold both.
    if (old === this.key) this.key = NOTHING
    else this.#kept = NOTHING
    this.#give(old)
    return windows.take(bytes)
  }

  /** Release a buffer if it is a window. Returns an empty one in its place. */
  #give(buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (buffer.length > SMALL_BYTES) this.#core.engine.reading.windows.give(buffer)
    return NOTHING
  }
}

const NOTHING = new Uint8Array(0)
