/**
 * Moving an iterator's place on, by one of two scans: a `KernelScan` leaves many entries at once, a `Scan` stands on one after the
 * other and can do everything. Either is made when it is needed and made anew when the store has changed its shape.
 *
 * Invariants
 * 1. At most one scan stands. Between two calls only the place is needed: the scan can be closed at any time then.
 * 2. It is kept between two calls only if those of all iterators fit half of the budget: otherwise each would push out what the next
 *    is about to use, and the block cache with it. What is kept is told to the engine, which has it given back for others.
 * 3. After an error of `fill`, `pass` or `each` whoever called it has it `goBack`; `count` does so itself.
 *
 * Account: `iterators`, for the scan. Cost: packed scans that were of little use make the next try wait, the longer the more often
 * that was so.
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

/** What `fill` says in place of what a packed scan does: go entry by entry; nothing was found so far. */
export const FILL_BY_ENTRY = -1
export const FILL_PAUSED = -2
/** What the function says that `each` calls: not this one; this one and no more; this one and the next. */
export const REFUSE = 0
export const LAST = 1
export const MORE = 2

/** Part of the budget for the scans that iterators keep between two calls. */
const SCANS_SHARE = 1 / 2
/** Packed scans that were of little use make the next try wait for so many chunks, at most. */
const MAX_PATIENCE = 64
const FEW_ROWS = 16
const NO_COLUMNS: RowShape = { withKeys: false, withValues: false, costBytes: 0, keyEighths: 0, valueEighths: 0 }

export class RangeScanner {
  /** A walk through what was deleted ends the call, which then has fewer entries or none though there are more. */
  pauses = false
  readonly #core: StoreState
  readonly #plan: IteratorPlan
  readonly #place: IteratorPosition
  readonly #idle: Member<() => void>
  #scan: EntryScan | undefined
  /** In its place, where many entries can be had at once. */
  #packed: KernelScan | undefined
  /** Chunks to go without it, and how many it will be the next time. */
  #wait = 0
  #patience = 1
  /** Writes the scan has seen: the memtable cursor does not survive a change. -1: the place is not where the scan stands. */
  #scanSeq = 0
  readonly #closeScan = (): void => {
    this.#packed?.close()
    this.#packed = undefined
    if (this.#scan === undefined) return
    this.#scan.close()
    this.#scan = undefined
    this.#core.engine.reading.windows.holders.delete(this.#closeScan)
  }

  /** `idle` is what the engine calls between two calls when others need the memory. */
  constructor(core: StoreState, plan: IteratorPlan, place: IteratorPosition, idle: Member<() => void>) {
    this.#core = core
    this.#plan = plan
    this.#place = place
    this.#idle = idle
  }

  get holdsScan(): boolean { return this.#scan !== undefined || this.#packed !== undefined }

  /** Go on entry by entry for so many before `fill` is tried again. */
  get patientRows(): number { return FEW_ROWS * this.#patience }

  /** Where `fill` has left its rows. */
  get kernel(): ScanKernel { return this.#packed!.kernel }

  checkOpen(): void {
    this.#core.health.checkOpen()
    if (this.#place.isClosed) throw new SpillwayError('SPILLWAY_CLOSED', 'the iterator is closed. Make a new one with db.iterator()')
  }

  closeScan(): void {
    this.#closeScan()
  }

  /** The place was changed by somebody else. */
  lost(): void {
    this.#scanSeq = -1
  }

  /** Nothing is left. */
  finish(): void {
    this.#place.isDone = true
    this.#closeScan()
    this.#core.engine.reading.idleScans.delete(this.#idle)
  }

  /** After an error: some runs of the scan may stand further on than others. Returns what is to be thrown. */
  goBack(to: Standing, error: unknown): unknown {
    this.#place.back(to)
    this.#closeScan()
    return readError(error)
  }

  // ---- many at once

  /**
   * Have up to so many of the next rows in the kernel, which have to be `pass`ed then, none but the first beyond what they may take
   * when decoded. FILL_BY_ENTRY: there are none that way; FILL_PAUSED: none yet.
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

  /** Behind what was filled, with what `fill` said. */
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

  /** What was filled is not `pass`ed: go entry by entry from where it began. */
  giveUpRows(): number {
    return this.#standBack(false)
  }

  #passSeen(kernel: ScanKernel): void {
    const seen = kernel.seenKey()
    if (seen !== undefined) this.#place.passKey(seen)
  }

  /** Go entry by entry for a while, the longer the more often it was in vain. */
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

  /** Call `take` for one entry after the other until it says REFUSE or LAST, or nothing is left. */
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
      // Closed by a codec it has none left, and its scan stands nowhere.
      if (step !== REFUSE && --place.left > 0) scan.advance()
    }
    this.checkOpen()
    // Before others may take what it holds: room for these is made at their cost, not at its own.
    place.count()
    if (step === MORE || place.left <= 0) this.finish()
    else if (scan.isNarrow || !this.#isAffordable(scan.heldBytes)) this.#closeScan()
    else this.#keepScan()
  }

  /** Past up to so many entries; returns past how many. */
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

  /** A scan that stands on the next entry. */
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
