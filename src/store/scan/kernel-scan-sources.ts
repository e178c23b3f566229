/**
 * What a packed scan merges: a place in each run and a cursor for each memtable, and the range tombstones that lie over them. In a call
 * each has a slot of the kernel, where it shows a block of its run, or records of its memtable.
 *
 * Invariants
 * 1. Sources are numbered: the runs in the order of the tree, then the memtables. What a snapshot cannot see has no number.
 * 2. Between two calls nothing is in the slots: `showRuns` and `showMemory` lay everything there again.
 *
 * Account: `iterators`, of the scan. Cost: a copy of each block, and of each record.
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
/** Of a memtable, entries beyond those asked for: what of them are other versions and deletions is not known. */
const MORE_RECORDS = 8
/** Most records of a memtable at a time: as long as nothing is found, each time twice as many. */
const MAX_RECORDS = 256

/** In place of a number of sources: one does not fit its slot. */
export const UNFIT = -1
/** What `next` says: there is more of the source in its slot; there is no more of it; UNFIT. */
export const SHOWN = 0
export const OVER = 1

/** The numbers of the sources of a call that have anything. */
const order = new Uint32Array(64)

export class KernelScanSources {
  readonly #kernel: ScanKernel
  readonly #blocks: CachedBlocks
  readonly #snapshotSeq: number
  readonly #runs: RunPosition[] = []
  readonly #memory: Cursor[] = []
  readonly #ranges: RangeLookup[] = []
  /** Of the rows of a scan, how many may come from memtables if keys are spread alike: twice what is to be expected, from 0 to 1. */
  readonly #memoryShare: number
  /** Records of a memtable to show at a time. */
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

  /** Whether a range tombstone that the snapshot sees is newer than this version of a key. */
  readonly isCovered = (key: Uint8Array, start: number, end: number, seq: number): boolean => {
    for (const ranges of this.#ranges) if (ranges.coveringSeq(key, start, end, this.#snapshotSeq) > seq) return true
    return false
  }

  /** A call that wants so many rows of all sources begins. */
  begin(rows: number): void {
    this.#blocks.regionUse = 0
    this.#wanted = Math.ceil(rows * this.#memoryShare) + MORE_RECORDS
  }

  /** Nothing is found: show more at a time. */
  wantMore(): void {
    this.#wanted = Math.min(MAX_RECORDS, 2 * this.#wanted)
  }

  /** Show the blocks of the runs, at their places or, `isSought`, from this key on. Returns how many sources have anything, or UNFIT. */
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

  /** Show records of the memtables from this key on, beside `count` other sources. The same. */
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

  /** Have the kernel merge the first so many of those that were shown. */
  start(count: number): void {
    this.#kernel.start(order, count)
  }

  /** Show what comes next of source `i`. `passes`: a block is not worth its place in the cache. */
  next(i: number, passes: boolean): number {
    if (i >= this.#runs.length) {
      const cursor = this.#memory[i - this.#runs.length]!
      return !cursor.valid ? OVER : this.#showRecords(i, cursor) ? SHOWN : UNFIT
    }
    const run = this.#runs[i]!
    run.nextBlock(this.#blocks, passes)
    // What lay there was overwritten.
    if (this.hasSpilled) return UNFIT
    return !run.valid ? OVER : this.#showBlock(i, run) ? SHOWN : UNFIT
  }

  /** Blocks were loaded to where the kernel's rows lie: nothing of this call can be used, the places in the runs neither. */
  get hasSpilled(): boolean { return this.#blocks.regionUse > LOWER_BYTES }

  /** Take over from the kernel how far it has come in each block. */
  keepPlaces(): void {
    const runs = this.#runs
    for (let i = 0; i < runs.length; i++) if (runs[i]!.valid) runs[i]!.place!.position = this.#kernel.positionOf(i)
  }

  #addMemtable({ memtable, ranges }: MemtableSlot): void {
    // What was written after the snapshot is not looked at.
    if (ranges.size > 0) this.#ranges.push(ranges)
    if (memtable.entryCount > 0 && memtable.smallestSeq <= this.#snapshotSeq) this.#memory.push(memtable.cursor())
  }

  /** The block that was loaded last into the slot of source `i`; false when it does not fit. */
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

  /** Records of what a memtable has from the cursor on into the slot of source `i`; false when the first does not fit. */
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
