/**
 * The visible entries of a range, one after the other, over the memtables and tables of this moment.
 *
 * Invariants
 * 1. Of each key the newest version <= the snapshot is seen, unless it is a deletion or a newer range tombstone covers it.
 * 2. It holds one window and the objects of a cursor per run while it stands, all leased; `close` gives them back.
 * 3. When there is no room for those it is narrow: the runs are one cursor that keeps nothing of them and looks up its place in
 *    each again for every step. What it then holds, four windows of at most 64 KiB (two keys of that cursor, its own key, a
 *    value kept), fits the reserve of the window pool, so that a scan alone never fails for memory.
 * 4. It is good for one shape of the store only: who keeps it across a flush or merge seeks again in a new one.
 *
 * Account: `iterators`. The objects of a narrow scan are not leased: they are few, and one such scan stands at a time.
 * Cost: one comparison chain per version, nothing allocated per entry. Narrow: two or three blocks read per run and key.
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
/** Measured: a run's cursor, its table's with block and index path (the handles of a partition are 1 KiB of it), a window's lease. */
const RUN_OBJECTS_BYTES = 3584
/** Keys and values up to this fit the scan's own buffers. */
const SMALL_BYTES = 256

/** What a scan reads: a store, or the staged tables of a transaction. */
export interface ScanView {
  readonly view: View
  readonly engine: { readonly reading: { readonly blocks: BlockSource, readonly windows: WindowPool } }
  readonly settings: { readonly blockBytes: number }
}

/** An entry after the other, forward or backward. */
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
  /** The entry it stands on. */
  key = new Uint8Array(SMALL_BYTES)
  keyLength = 0
  valid = false
  kind = 0
  value: Uint8Array = this.key
  valueStart = 0
  valueEnd = 0
  readonly generation: number
  readonly #core: ScanView
  readonly #windows: WindowPool
  /** Of the memtables. */
  readonly #memory: Cursor[] = []
  /** Of each run that may hold something visible, its tables with point entries. */
  readonly #tables: (readonly TableReader[])[] = []
  readonly #ranges: RangeLookup[] = []
  readonly #snapshotSeq: number
  readonly #reverse: boolean
  readonly #showsDeletes: boolean
  #merge: MergeCursor
  /** Empty when the scan is narrow. */
  #runs: RunCursor[] = []
  #objects: Lease | undefined
  /** Set when the scan is narrow. */
  #reread: SeekPerStepCursor | undefined
  /** Backward, the merge stands beyond the current key already, so its value is kept here. */
  #kept = new Uint8Array(SMALL_BYTES)
  /** Backward: the versions of `key` are being looked through. */
  #undecided = false

  /** `showsDeletes`: a key whose newest version is a deletion is seen too, for whoever lays this over something else. */
  constructor(core: ScanView, snapshotSeq: number, reverse: boolean, showsDeletes = false) {
    this.#showsDeletes = showsDeletes
    this.generation = core.view.generation
    this.#core = core
    this.#windows = core.engine.reading.windows
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

  /** About what it holds while it stands. */
  get heldBytes(): number {
    return SCAN_OBJECTS_BYTES + this.#runs.length * (RUN_OBJECTS_BYTES + windowBytes(this.#core.settings.blockBytes + SMALL_BYTES))
  }

  /** It stands on the reserve: whoever keeps it keeps others from reading, and a new one may do better. */
  get isNarrow(): boolean { return this.#reread !== undefined }

  /** Whether a range tombstone that is visible here covers a key. */
  covers(key: Uint8Array, length: number): boolean {
    for (const ranges of this.#ranges) if (ranges.coveringSeq(key, 0, length, Math.min(this.#snapshotSeq, MAX_SEQ)) > 0) return true
    return false
  }

  /** To the first visible entry: at or after the key (forward), before it (backward); undefined: from the end of the order. */
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
      // Forward all up to the key taken last is decided; backward that key is, unless its versions were being looked through.
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

  /** A window and cursors for each run; undefined: no room for the cursors. */
  #openWide(): MergeCursor | undefined {
    const core = this.#core
    const tables = this.#tables
    this.#objects = core.engine.reading.windows.account.tryLease(SCAN_OBJECTS_BYTES + tables.length * RUN_OBJECTS_BYTES)
    if (this.#objects === undefined) return undefined
    this.#runs = tables.map(run => new RunCursor(run, core.engine.reading.blocks, core.engine.reading.windows))
    return new MergeCursor([...this.#memory, ...this.#runs])
  }

  #openNarrow(): MergeCursor {
    const core = this.#core
    this.#reread = new SeekPerStepCursor(this.#tables, core.engine.reading.blocks, core.engine.reading.windows, this.#snapshotSeq)
    return new MergeCursor([...this.#memory, this.#reread])
  }

  /** After a refused window: give all of them back and go on with what the reserve has. Throws what is no refusal. */
  #goNarrow(error: unknown): void {
    const isRefusal = error instanceof SpillwayError && error.code === 'SPILLWAY_BUDGET_TOO_SMALL'
    if (!isRefusal || this.#reread !== undefined) throw error
    this.#closeRuns()
    this.#merge = this.#openNarrow()
  }

  #closeRuns(): void {
    for (const run of this.#runs) run.close()
    this.#runs = []
    this.#objects?.release()
    this.#objects = undefined
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
      // The first version that is not too new decides for its key.
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
    // One byte more, for the next possible key.
    if (length >= this.key.length) this.key = this.#room(this.key, length + 1)
    copyBytes(key, keyStart, keyEnd, this.key, 0)
    this.keyLength = length
  }

  #keep(entry: Cursor): void {
    if (entry === this.#reread) this.#reread.loadValue()
    const length = entry.valueEnd - entry.valueStart
    if (length > this.#kept.length) {
      this.#kept = this.#room(this.#kept, length)
      // Making room may have made the cache drop the block.
      if (entry === this.#reread) this.#reread.loadValue()
    }
    copyBytes(entry.value, entry.valueStart, entry.valueEnd, this.#kept, 0)
    this.kind = entry.kind
    this.value = this.#kept
    this.valueStart = 0
    this.valueEnd = length
  }

  /** A window of at least `bytes` in place of one whose contents nobody needs, unless the scan has to become narrow for it. */
  #room(old: Uint8Array<ArrayBuffer>, bytes: number): Uint8Array<ArrayBuffer> {
    const windows = this.#windows
    if (this.#reread === undefined) {
      // Taken first: if that is refused, the key that is in the old one is still needed.
      const window = windows.take(bytes)
      this.#give(old)
      return window
    }
    // Given back first: the reserve has no room for both.
    if (old === this.key) this.key = NOTHING
    else this.#kept = NOTHING
    this.#give(old)
    return windows.take(bytes)
  }

  /** Give a buffer back if it is a window; returns an empty one for its place. */
  #give(buffer: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    if (buffer.length > SMALL_BYTES) this.#windows.give(buffer)
    return NOTHING
  }
}

const NOTHING = new Uint8Array(0)
