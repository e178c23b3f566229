/**
 * Moves the position of an iterator with one of two scans: a `KernelScan` for many entries at once, a `Scan` entry by entry for
 * everything else. Either is opened on demand, again after the view has changed.
 *
 * Invariants
 * 1. At most one scan is open. Between two calls only the position is needed, so the scan can be closed at any time.
 * 2. A scan is kept between two calls only while the kept scans of all iterators fit half of the budget; else each would evict the
 *    blocks of the next. The engine closes kept scans when others need memory.
 * 3. After an error of `fill`, `pass` or `each` the caller calls `goBack`; `count` does so itself.
 *
 * Account: `iterators`, for the scan. Cost: kernel scans that helped little delay the next attempt, longer each time.
 */
import { compareBytes } from '../../base/bytes.ts'
import { SpillwayError } from '../../base/errors.ts'
import type { ScanKernel } from '../../kernels/scan-kernel.ts'
import type { Member } from '../../base/linked-list.ts'
import type { StoreState } from '../state/store-state.ts'
import { readError } from '../api/io-errors.ts'
import type { IteratorPosition, Standing } from './iterator-position.ts'
import { isPackable } from './iterator-plan.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import { FILL_DONE, FILL_STOPPED, KernelScan } from './kernel-scan.ts'
import type { RowShape } from './kernel-scan.ts'
import { Scan } from './entry-scan.ts'
import type { EntryScan } from './entry-scan.ts'

/** Returned by `fill` instead of a kernel scan's result: go entry by entry; nothing found so far. */
export const FILL_BY_ENTRY = -1
export const FILL_PAUSED = -2
/** Returned by the callback of `each`: not this entry; this entry and stop; this entry and go on. */
export const REFUSE = 0
export const LAST = 1
export const MORE = 2

/** Share of the budget for scans kept between calls. */
const SCANS_SHARE = 1 / 2
/** Maximum chunks before a kernel scan is tried again. */
const MAX_PATIENCE = 64
const FEW_ROWS = 16
const NO_COLUMNS: RowShape = { withKeys: false, withValues: false, costBytes: 0, keyEighths: 0, valueEighths: 0 }

export class RangeScanner {
  /** A long walk through deleted entries ends the call, with fewer entries or none although there are more. */
  pauses = false
  readonly #core: StoreState
  readonly #plan: IteratorPlan
  readonly #place: IteratorPosition
  readonly #idle: Member<() => void>
  #scan: EntryScan | undefined
  /** At the position, where many entries can be read at once. */
  #packed: KernelScan | undefined
  /** Chunks until the next kernel scan, and that number after the next useless one. */
  #wait = 0
  #patience = 1
  /** Last sequence number the scan has seen: memtable cursors do not survive a write. -1: the scan is not at the position. */
  #scanSeq = 0
  readonly #closeScan = (): void => {
    this.#packed?.close()
    this.#packed = undefined
    if (this.#scan === undefined) return
    this.#scan.close()
    this.#scan = undefined
    this.#core.engine.reading.windows.holders.delete(this.#closeScan)
  }

  /** `idle` is called between two calls when others need the memory. */
  constructor(core: StoreState, plan: IteratorPlan, place: IteratorPosition, idle: Member<() => void>) {
    this.#core = core
    this.#plan = plan
    this.#place = place
    this.#idle = idle
  }

  get holdsScan(): boolean { return this.#scan !== undefined || this.#packed !== undefined }

  /** Entries to read one by one before `fill` is tried again. */
  get patientRows(): number { return FEW_ROWS * this.#patience }

  /** Holds the rows of `fill`. */
  get kernel(): ScanKernel { return this.#packed!.kernel }

  checkOpen(): void {
    this.#core.health.checkOpen()
    if (this.#place.isClosed) throw new SpillwayError('SPILLWAY_CLOSED', 'the iterator is closed. Make a new one with db.iterator()')
  }

  closeScan(): void {
    this.#closeScan()
  }

  /** The position was changed elsewhere. */
  lost(): void {
    this.#scanSeq = -1
  }

  /** The range is exhausted. */
  finish(): void {
    this.#place.isDone = true
    this.#closeScan()
    this.#core.engine.reading.idleScans.delete(this.#idle)
  }

  /** After an error some runs of the scan may be ahead of others. Returns the error to throw. */
  goBack(to: Standing, error: unknown): unknown {
    this.#place.back(to)
    this.#closeScan()
    return readError(error)
  }

  // ---- many at once

  /**
   * Put up to `rows` of the next rows into the kernel, within the decoded size limit (the first row always); then call `pass`.
   * FILL_BY_ENTRY: not possible; FILL_PAUSED: none yet.
   */
  fill(rows: number, takenBytes: number, row: RowShape): number {
    if (this.#wait > 0) {
      this.#wait--
      return FILL_BY_ENTRY
    }
    const packed = this.#placePacked()
    if (packed === undefined) return this.#standBack(false)
    const { kernel } = packed
    const place = this.#place
    const { end } = this.#plan.range
    for (;;) {
      const result = packed.fill(place, end, row, rows, takenBytes)
      if (kernel.rows > 0 || result === FILL_DONE) return result
      if (result === FILL_STOPPED) return this.#standBack(false)
      // All of them were deleted.
      this.#passSeen(kernel)
      if (this.pauses) {
        place.count()
        this.#core.engine.reading.idleScans.add(this.#idle)
        return FILL_PAUSED
      }
    }
  }

  /** Move behind the rows of `fill`; `result` is what it returned. */
  pass(result: number): void {
    const packed = this.#packed!
    const { kernel } = packed
    const place = this.#place
    place.left -= kernel.rows
    if (result === FILL_DONE || place.left <= 0) {
      this.finish()
      return
    }
    this.#passSeen(kernel)
    if (result === FILL_STOPPED) {
      this.#standBack(kernel.rows >= FEW_ROWS)
      return
    }
    place.count()
    if (this.#isAffordable(packed.heldBytes)) this.#core.engine.reading.idleScans.add(this.#idle)
    else this.#closeScan()
  }

  /** Do not `pass` the rows: read them one by one instead. */
  giveUpRows(): number {
    return this.#standBack(false)
  }

  #passSeen(kernel: ScanKernel): void {
    const seen = kernel.seenKey()
    if (seen !== undefined) this.#place.passKey(seen)
  }

  /** Go entry by entry for a while, longer after each useless attempt. */
  #standBack(wasOfUse: boolean): number {
    this.#closeScan()
    this.#patience = wasOfUse ? 1 : Math.min(MAX_PATIENCE, 2 * this.#patience)
    this.#wait = this.#patience
    return FILL_BY_ENTRY
  }

  #placePacked(): KernelScan | undefined {
    const core = this.#core
    core.engine.reading.idleScans.delete(this.#idle)
    let packed = this.#packed
    if (packed === undefined || packed.generation !== core.view.generation) {
      this.#closeScan()
      packed = this.#packed = KernelScan.open(core, this.#plan.snapshotSeq)
      packed?.seek(this.#place.startKey())
    } else if (this.#scanSeq === -1) {
      packed.seek(this.#place.startKey())
    }
    this.#scanSeq = 0
    return packed
  }

  // ---- entry by entry

  /** Call `take` for each entry until it returns REFUSE or LAST, or the range is exhausted. */
  each(take: (scan: EntryScan) => number): void {
    this.checkOpen()
    const place = this.#place
    if (place.isDone) return
    if (place.left <= 0) {
      this.finish()
      return
    }
    if (this.#packed !== undefined) this.#closeScan()
    const scan = this.#placeScan()
    const { reverse } = this.#plan
    const { bound } = place
    let step = MORE
    while (step === MORE && scan.valid && place.left > 0) {
      if (bound !== undefined) {
        const order = compareBytes(scan.key, 0, scan.keyLength, bound, 0, bound.length)
        if (reverse ? order < 0 : order >= 0) break
      }
      step = take(scan)
      if (step !== MORE) {
        place.key = scan.key.slice(0, scan.keyLength)
        place.isNext = step === REFUSE
      }
      // A codec may have closed the iterator.
      if (step !== REFUSE && --place.left > 0) scan.advance()
    }
    this.checkOpen()
    // First: memory for these is taken from others, not from this scan.
    place.count()
    if (step === MORE || place.left <= 0) this.finish()
    else if (scan.isNarrow || !this.#isAffordable(scan.heldBytes)) this.#closeScan()
    else this.#keepScan()
  }

  /** Skip up to `most` entries; returns their number. */
  count(most: number): number {
    const before = this.#place.standing()
    try {
      return this.#count(most)
    } catch (error) {
      throw this.goBack(before, error)
    }
  }

  #count(most: number): number {
    const place = this.#place
    const packable = isPackable(this.#plan)
    let count = 0
    while (count < most && !place.isDone) {
      const rows = Math.min(most - count, place.left)
      const result = packable && rows > 0 ? this.fill(rows, Infinity, NO_COLUMNS) : FILL_BY_ENTRY
      if (result === FILL_PAUSED) break
      if (result === FILL_BY_ENTRY) {
        const last = packable ? Math.min(most, count + this.patientRows) : most
        this.each(() => ++count < last ? MORE : LAST)
      } else {
        count += this.kernel.rows
        this.pass(result)
      }
    }
    return count
  }

  /** A scan positioned on the next entry. */
  #placeScan(): EntryScan {
    const core = this.#core
    core.engine.reading.idleScans.delete(this.#idle)
    core.engine.reading.windows.holders.delete(this.#closeScan)
    let scan = this.#scan
    const { overlay, reverse, snapshotSeq } = this.#plan
    // Both only grow.
    const generation = core.view.generation + (overlay?.generation ?? 0)
    const seq = core.lastSeq + (overlay?.lastSeq ?? 0)
    if (scan !== undefined && scan.generation === generation && this.#scanSeq === seq) return scan
    if (scan !== undefined && scan.generation !== generation) {
      this.#closeScan()
      scan = undefined
    }
    scan ??= this.#scan = overlay?.open(snapshotSeq, reverse) ?? new Scan(core, snapshotSeq, reverse)
    this.#scanSeq = seq
    scan.seek(this.#place.startKey())
    return scan
  }

  #keepScan(): void {
    const { engine, engine: { reading: { windows } } } = this.#core
    engine.reading.idleScans.add(this.#idle)
    if (windows.usesReserve) windows.holders.add(this.#closeScan)
  }

  #isAffordable(heldBytes: number): boolean {
    const { budget, reading: { idleScans } } = this.#core.engine
    return heldBytes * (idleScans.size + 1) <= budget.totalBytes * SCANS_SHARE
  }
}
