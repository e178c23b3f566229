/**
 * The inputs of a kernel scan: a position in each run, a cursor for each memtable, and the range tombstones. During a call each
 * input has a slot in the kernel with a block of its run or records of its memtable.
 *
 * Invariants
 * 1. Inputs are numbered: the runs in tree order, then the memtables. Inputs without entries visible at the snapshot have no
 *    number.
 * 2. Between two calls the slots are empty: `showRuns` and `showMemory` fill them again.
 *
 * Account: `iterators`, of the scan. Cost: a copy of each block and record.
 */
import { copyBytes } from '../../base/bytes.ts'
import type { Cursor } from '../../base/cursor.ts'
import type { RangeLookup } from '../../base/fragment-list.ts'
import { SLOT_ROOM_BYTES } from '../../kernels/merge-kernel.ts'
import { LOWER_BYTES, MAX_KERNEL_KEY_BYTES } from '../../kernels/scan-kernel.ts'
import type { ScanKernel } from '../../kernels/scan-kernel.ts'
import type { CachedBlocks } from '../../table/block/block-source.ts'
import { DataBlock } from '../../table/block/data-block.ts'
import { readU32 } from '../../table/little-endian.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { StoreState } from '../state/store-state.ts'
import { RunPosition } from './run-position.ts'

const RECORD_HEADER_BYTES = 24
/** Extra memtable records per call, for other versions and deletions. */
const MORE_RECORDS = 8
/** Maximum memtable records per step; doubled while nothing is found. */
const MAX_RECORDS = 256

/** Instead of a number of inputs: one does not fit its slot. */
export const UNFIT = -1
/** Results of `next`: the slot has the next part; the input is exhausted; or UNFIT. */
export const SHOWN = 0
export const OVER = 1

/** Numbers of the non-empty inputs of a call. */
const order = new Uint32Array(64)

export class KernelScanSources {
  readonly #kernel: ScanKernel
  readonly #blocks: CachedBlocks
  readonly #snapshotSeq: number
  readonly #runs: RunPosition[] = []
  readonly #memory: Cursor[] = []
  readonly #ranges: RangeLookup[] = []
  /** Expected share of rows that come from memtables, doubled; from 0 to 1. */
  readonly #memoryShare: number
  /** Memtable records per step. */
  #wanted = 0

  constructor(core: StoreState, snapshotSeq: number, kernel: ScanKernel, bypassesCache: boolean) {
    this.#kernel = kernel
    this.#blocks = core.engine.reading.blocks
    this.#snapshotSeq = snapshotSeq
    this.#addMemtable(core.view.active)
    let inMemory = core.view.active.memtable.entryCount
    for (const slot of core.view.sealed) {
      this.#addMemtable(slot)
      inMemory += slot.memtable.entryCount
    }
    let inRuns = 0
    for (const run of core.view.tree.runs) {
      inRuns += run.entries
      if (run.ranges.size > 0) this.#ranges.push(run.ranges)
      if (run.minSeq <= snapshotSeq && run.pointReaders.length > 0) this.#runs.push(new RunPosition(run.pointReaders, bypassesCache))
    }
    this.#memoryShare = Math.min(1, 2 * inMemory / Math.max(1, inMemory + inRuns))
  }

  get count(): number { return this.#runs.length + this.#memory.length }

  get hasMemory(): boolean { return this.#memory.length > 0 }

  get hasRanges(): boolean { return this.#ranges.length > 0 }

  /** Whether a range tombstone visible at the snapshot is newer than this version. */
  readonly isCovered = (key: Uint8Array, start: number, end: number, seq: number): boolean => {
    for (const ranges of this.#ranges) if (ranges.coveringSeq(key, start, end, this.#snapshotSeq) > seq) return true
    return false
  }

  /** A call that wants `rows` rows of all inputs begins. */
  begin(rows: number): void {
    this.#blocks.regionUse = 0
    this.#wanted = Math.ceil(rows * this.#memoryShare) + MORE_RECORDS
  }

  /** Nothing is found: load more per step. */
  wantMore(): void {
    this.#wanted = Math.min(MAX_RECORDS, 2 * this.#wanted)
  }

  /**
   * Load the blocks of the runs, at their positions or, if `isSought`, from `key` on. Returns the number of non-empty inputs, or
   * UNFIT.
   */
  showRuns(isSought: boolean, key: Uint8Array | undefined): number {
    const runs = this.#runs
    const blocks = this.#blocks
    let count = 0
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!
      if (isSought) run.seek(blocks, key)
      if (!run.valid) continue
      if (!isSought) run.place!.loadAgain(blocks)
      if (!this.#showBlock(i, run)) return UNFIT
      order[count++] = i
    }
    return count
  }

  /** Load memtable records from `key` on, beside `count` other inputs. Returns the number of non-empty inputs, or UNFIT. */
  showMemory(count: number, key: Uint8Array | undefined): number {
    const memory = this.#memory
    const runs = this.#runs.length
    for (let i = 0; i < memory.length; i++) {
      const cursor = memory[i]!
      if (key === undefined) cursor.seekToFirst()
      else cursor.seek(key, 0, key.length)
      if (!cursor.valid) continue
      if (!this.#showRecords(runs + i, cursor)) return UNFIT
      order[count++] = runs + i
    }
    return count
  }

  /** Let the kernel merge the first `count` loaded inputs. */
  start(count: number): void {
    this.#kernel.start(order, count)
  }

  /** Load the next part of input `i`. `passes`: do not cache the block. */
  next(i: number, passes: boolean): number {
    if (i >= this.#runs.length) {
      const cursor = this.#memory[i - this.#runs.length]!
      return !cursor.valid ? OVER : this.#showRecords(i, cursor) ? SHOWN : UNFIT
    }
    const run = this.#runs[i]!
    run.nextBlock(this.#blocks, passes)
    // Its slot was overwritten.
    if (this.hasSpilled) return UNFIT
    return !run.valid ? OVER : this.#showBlock(i, run) ? SHOWN : UNFIT
  }

  /** Loading blocks has overwritten the kernel's rows: this call and the run positions are unusable. */
  get hasSpilled(): boolean { return this.#blocks.regionUse > LOWER_BYTES }

  /** Take the progress within each block back from the kernel. */
  keepPlaces(): void {
    const runs = this.#runs
    for (let i = 0; i < runs.length; i++) if (runs[i]!.valid) runs[i]!.place!.position = this.#kernel.positionOf(i)
  }

  #addMemtable({ memtable, ranges }: MemtableSlot): void {
    // Versions newer than the snapshot are skipped.
    if (ranges.size > 0) this.#ranges.push(ranges)
    if (memtable.entryCount > 0 && memtable.smallestSeq <= this.#snapshotSeq) this.#memory.push(memtable.cursor())
  }

  /** Move the block loaded last into the slot of input `i`; false: it does not fit. */
  #showBlock(i: number, { place }: RunPosition): boolean {
    const kernel = this.#kernel
    const { bytes, start, end } = this.#blocks
    const longest = DataBlock.longestKey(bytes, start)
    const room = longest + SLOT_ROOM_BYTES
    if (longest > MAX_KERNEL_KEY_BYTES || room + end - start + SLOT_ROOM_BYTES > kernel.slotBytes) return false
    const { memory } = kernel
    const slot = kernel.slotAt(i)
    memory.set(bytes.subarray(start, end), slot + room)
    const prefixAt = slot + room + DataBlock.PREFIX_AT
    copyBytes(memory, prefixAt, prefixAt + readU32(memory, slot + room + 8), memory, slot)
    kernel.openBlock(i, slot, slot + room, place!.position, place!.table.seqOffset)
    return true
  }

  /** Copy memtable records from the cursor on into the slot of input `i`; false: the first does not fit. */
  #showRecords(i: number, cursor: Cursor): boolean {
    const kernel = this.#kernel
    const { memory, words, numbers } = kernel
    const begin = kernel.slotAt(i)
    const limit = begin + kernel.slotBytes - SLOT_ROOM_BYTES
    let at = begin
    let count = 0
    for (; cursor.valid && count < this.#wanted; cursor.next()) {
      const keyLength = cursor.keyEnd - cursor.keyStart
      const valueLength = cursor.valueEnd - cursor.valueStart
      const keyAt = at + RECORD_HEADER_BYTES
      const valueAt = (keyAt + keyLength + 3) & ~3
      const next = (valueAt + valueLength + 7) & ~7
      if (next > limit || keyLength > MAX_KERNEL_KEY_BYTES) break
      numbers[at >>> 3] = cursor.seq
      words[(at >>> 2) + 2] = keyLength
      words[(at >>> 2) + 3] = valueLength
      words[(at >>> 2) + 4] = cursor.kind
      copyBytes(cursor.key, cursor.keyStart, cursor.keyEnd, memory, keyAt)
      copyBytes(cursor.value, cursor.valueStart, cursor.valueEnd, memory, valueAt)
      at = next
      count++
    }
    if (count === 0) return false
    kernel.openRecords(i, begin, count)
    return true
  }
}
