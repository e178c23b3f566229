/**
 * The visible entries of a range, forward, many at a time: the runs are merged in the kernels, which leave packed rows.
 *
 * Invariants
 * 1. It sees what a `Scan` at the same snapshot sees, in the same order.
 * 2. Between two calls it holds its place in each run and no block: a call lays the blocks into the kernels again.
 * 3. What it cannot do it says: blocks and keys too large for a slot, references to value files, more runs
 *    than there are slots. A `Scan` does it then.
 * 4. It is good for one shape of the store only. Memtables are sought anew in each call, so writes between two calls do not matter.
 * 5. A call walks through so many blocks in vain and no more: it ends without rows then, and the next one goes on.
 *
 * Account: `iterators`, for the objects. Cost: a copy of each run's block a call, then one of each row.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import type { Cursor } from '../base/cursor.ts'
import type { RangeLookup } from '../base/fragment-list.ts'
import { SLOT_ROOM_BYTES } from '../base/kernels/merge-kernel.ts'
import { LOWER_BYTES, MOST_KEY_BYTES, SCAN_BOUND, SCAN_END, SCAN_FULL, SCAN_INPUT, ScanKernel } from '../base/kernels/scan-kernel.ts'
import { lowerTable } from '../compaction/run-cursor.ts'
import type { Lease } from '../memory/budget.ts'
import type { CachedBlocks } from '../table/block/block-source.ts'
import { DataBlock } from '../table/block/data-block.ts'
import { readU32 } from '../table/little-endian.ts'
import { TablePlace } from '../table/table-place.ts'
import type { TableReader } from '../table/table-reader.ts'
import type { Core } from './core.ts'

/** Measured: a scan with the cursors of two memtables; the place in a run. */
const SCAN_OBJECTS_BYTES = 2048
const RUN_OBJECTS_BYTES = 1024
const RECORD_HEADER_BYTES = 24
/** Of a memtable, entries beyond those asked for: what of them are other versions and deletions is not known. */
const MORE_RECORDS = 8

/** Most records of a memtable at a time: as long as nothing is found, each time twice as many. */
const MOST_RECORDS = 256

/** Of deletions and what they hide: with fewer before the first row nothing is gained by remembering that. */
const MANY_BLOCKS = 16
/** The same where something is known, so that it grows with what is deleted. */
const FEW_BLOCKS = 2
/** In vain in a row, of one call: a millisecond or two. */
const MOST_BLOCKS = 256

/** What it costs to seek in another run, and an entry to come from several, in runs that a get looks through: the latter a half. */
const SOUGHT_READS = 8

/** Why `fill` returned. */
export const FILL_DONE = 0
/** There may be more. */
export const FILL_MORE = 1
/** A `Scan` has to go on, behind the rows there are: this one stands nowhere. */
export const FILL_STOPPED = 2

/** It was led past something, and begins anew there. */
const LED = 3
const KEYS_ONLY = { withKeys: true, withValues: false, costBytes: 0, keyEighths: 0, valueEighths: 0 }

/** Whoever knows the key to go on at; undefined: the very first. */
export interface KnowsStart {
  startKey(): Uint8Array | undefined
}

/** What rows are to have: see `ScanKernel.cost`. */
export interface RowShape {
  readonly withKeys: boolean
  readonly withValues: boolean
  readonly costBytes: number
  readonly keyEighths: number
  readonly valueEighths: number
}

export class PackedScan {
  readonly shape: number
  readonly kernel: ScanKernel
  readonly heldBytes: number
  /** The last walk ended before it came to anything. */
  isCut = false
  readonly #core: Core
  readonly #blocks: CachedBlocks
  readonly #snapshotSeq: number
  readonly #lease: Lease
  readonly #runs: RunPlace[] = []
  readonly #memory: Cursor[] = []
  readonly #ranges: RangeLookup[] = []
  /** Where to begin, as it was asked for, and where that is as well, for runs that have not been there yet. */
  #wish: Uint8Array | undefined
  #target: Uint8Array | undefined
  #isPlaced = false
  /** Of the rows of a scan, how many may come from memtables if keys are spread alike: twice what is to be expected, from 0 to 1. */
  readonly #memoryShare: number
  /** Records of a memtable to show at a time. */
  #wanted = 0
  /** The last key that was decided, when older versions of it may be next. */
  #seen: Uint8Array | undefined
  /** Nothing was found since it was sent somewhere, in so many blocks; it was led past what is known to be dead. */
  #isInVain = false
  #blocksInVain = 0
  #isLed = false

  /** Undefined when there is no room for it, or too many runs. `isPassing`: it leaves the cache as it is. */
  static open(core: Core, snapshotSeq: number, isPassing = false): PackedScan | undefined {
    const kernel = ScanKernel.of(core.kernels)
    if (kernel === undefined) return undefined
    let runs = 0
    for (const run of core.tree.runs) if (run.minSeq <= snapshotSeq && run.pointReaders.length > 0) runs++
    const memtables = 1 + core.sealed.length
    if (!kernel.layOut(runs + memtables, core.settings.blockBytes)) return undefined
    const bytes = SCAN_OBJECTS_BYTES + runs * RUN_OBJECTS_BYTES
    const lease = core.windows.account.tryLease(bytes)
    return lease === undefined ? undefined : new PackedScan(core, snapshotSeq, kernel, lease, isPassing)
  }

  private constructor(core: Core, snapshotSeq: number, kernel: ScanKernel, lease: Lease, isPassing: boolean) {
    this.shape = core.shape
    this.kernel = kernel
    this.heldBytes = lease.bytes
    this.#core = core
    this.#blocks = core.blocks
    this.#snapshotSeq = snapshotSeq
    this.#lease = lease
    this.#addMemtable(core.active)
    let inMemory = core.active.memtable.entryCount
    for (const slot of core.sealed) {
      this.#addMemtable(slot)
      inMemory += slot.memtable.entryCount
    }
    let inRuns = 0
    for (const run of core.tree.runs) {
      inRuns += run.entries
      if (run.ranges.size > 0) this.#ranges.push(run.ranges)
      if (run.minSeq <= snapshotSeq && run.pointReaders.length > 0) this.#runs.push(new RunPlace(run.pointReaders, isPassing))
    }
    this.#memoryShare = Math.min(1, 2 * inMemory / Math.max(1, inMemory + inRuns))
  }

  /** Since it was sent somewhere, before anything was found. */
  get blocksInVain(): number { return this.#blocksInVain }

  close(): void {
    this.#lease.release()
  }

  /** To the first entry at or after the key; undefined: to the very first. The next `fill` goes there. */
  seek(key: Uint8Array | undefined): void {
    this.#wish = key
    this.#target = this.#core.dead.skip(key, this.#snapshotSeq)
    this.#isLed = this.#target !== key
    this.#isPlaced = false
    this.#isInVain = true
    this.#blocksInVain = 0
    this.#seen = undefined
  }

  /**
   * How far nothing is visible from a key on: to before the first row, or as far as it got with so many blocks and so much time.
   * Undefined: not known, or not even to the next key.
   */
  walk(key: Uint8Array, mostBlocks: number, untilMs: number): Uint8Array | undefined {
    this.seek(key)
    const { kernel } = this
    const result = this.fill({ startKey: () => key }, undefined, KEYS_ONLY, 1, Infinity, mostBlocks, untilMs)
    this.isCut = result === FILL_MORE && kernel.rows === 0
    if (result === FILL_STOPPED || this.#blocksInVain === 0) return undefined
    return kernel.rows > 0 ? kernel.firstKey() : this.#behindSeen()
  }

  /**
   * Put up to so many rows into the kernel that begin at the place, none but the first beyond what they may take when decoded. `from`:
   * where to begin, for the memtables; `bound`: the first key behind the range. Rows may be none though there are more.
   */
  fill(
    from: KnowsStart, bound: Uint8Array | undefined, row: RowShape, rows: number, takenBytes: number,
    mostBlocks = MOST_BLOCKS, untilMs = Infinity,
  ): number {
    let result: number
    do result = this.#fill(from, bound, row, rows, takenBytes, mostBlocks, untilMs)
    while (result === LED)
    return result
  }

  #fill(
    from: KnowsStart, bound: Uint8Array | undefined, row: RowShape, rows: number, takenBytes: number,
    mostBlocks: number, untilMs: number,
  ): number {
    const { kernel } = this
    const blocks = this.#blocks
    if (bound !== undefined && bound.length > MOST_KEY_BYTES) return this.#stopped()
    const runs = this.#runs
    const memory = this.#memory
    if (!kernel.layOut(runs.length + memory.length, this.#core.settings.blockBytes)) return this.#stopped()
    blocks.regionUse = 0
    kernel.begin(this.#snapshotSeq, bound, row.withKeys || this.#ranges.length > 0, row.withValues)
    kernel.cost(row.costBytes, row.keyEighths, row.valueEighths)
    kernel.clear(rows, takenBytes)
    if (this.#seen !== undefined) kernel.setSeen(this.#seen)
    this.#wanted = Math.ceil(rows * this.#memoryShare) + MORE_RECORDS
    let count = 0
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!
      if (!this.#isPlaced) run.seek(blocks, this.#target)
      if (!run.valid) continue
      if (this.#isPlaced) run.place!.loadAgain(blocks)
      if (!this.#showBlock(i, run)) return this.#stopped()
      order[count++] = i
    }
    const isFirst = !this.#isPlaced
    const inRuns = count
    if (memory.length > 0) {
      const key = isFirst ? this.#target : from.startKey()
      for (let i = 0; i < memory.length; i++) {
        const cursor = memory[i]!
        if (key === undefined) cursor.seekToFirst()
        else cursor.seek(key, 0, key.length)
        if (!cursor.valid) continue
        if (!this.#showRecords(runs.length + i, cursor)) return this.#stopped()
        order[count++] = runs.length + i
      }
    }
    this.#isPlaced = true
    if (blocks.regionUse > LOWER_BYTES) return this.#stopped()
    kernel.start(order, count)
    const result = this.#run(rows, mostBlocks, untilMs)
    if (result === LED) return LED
    if (this.#isInVain && blocks.regionUse <= LOWER_BYTES) this.#noteDead(row.withKeys)
    if (this.#ranges.length > 0) kernel.drop(this.#isCovered)
    if (kernel.rows > 0) this.#isInVain = false
    if (inRuns > 1) this.#core.tree.runReads += isFirst ? SOUGHT_READS * (inRuns - 1) + (kernel.rows >>> 1) : kernel.rows >>> 1
    return result
  }

  #run(rows: number, mostBlocks: number, untilMs: number): number {
    const { kernel } = this
    const blocks = this.#blocks
    const runs = this.#runs
    let result = -1
    let found = 0
    let blocksInVain = 0
    const before = this.#seen
    this.#seen = undefined
    while (result < 0) {
      const event = kernel.run()
      const count = kernel.rows
      if (event === SCAN_INPUT) {
        if (count === found) {
          blocksInVain++
          if (count === 0) this.#blocksInVain++
          this.#wanted = Math.min(MOST_RECORDS, 2 * this.#wanted)
        } else {
          found = count
          blocksInVain = 0
        }
        const top = kernel.top
        let isShown: boolean
        let isOver: boolean
        if (top < runs.length) {
          const run = runs[top]!
          // What is dead is not worth its place in the cache.
          run.nextBlock(blocks, count === 0 && this.#blocksInVain > FEW_BLOCKS)
          // What lay there was overwritten: nothing of this call can be used, its places neither.
          if (blocks.regionUse > LOWER_BYTES) return this.#stopped()
          isOver = !run.valid
          isShown = isOver || this.#showBlock(top, run)
        } else {
          const cursor = this.#memory[top - runs.length]!
          isOver = !cursor.valid
          isShown = isOver || this.#showRecords(top, cursor)
        }
        if (!isShown) {
          result = FILL_STOPPED
        } else {
          kernel.settleTop(isOver)
          if (count === 0 && blocksInVain >= FEW_BLOCKS && this.#lead()) return LED
          if ((count === rows || blocksInVain >= mostBlocks || this.#isLate(untilMs)) && this.#hasMoved(before)) {
            this.#seen = kernel.seenKey()
            result = FILL_MORE
          }
        }
      } else if (event === SCAN_BOUND || event === SCAN_END) {
        result = FILL_DONE
      } else {
        result = event === SCAN_FULL ? FILL_MORE : FILL_STOPPED
      }
    }
    if (result === FILL_MORE) {
      for (let i = 0; i < runs.length; i++) if (runs[i]!.valid) runs[i]!.place!.position = kernel.positionOf(i)
    }
    return result
  }

  /** Whether the next call will begin behind `before`, where this one did: what a snapshot does not see moves nothing. */
  #hasMoved(before: Uint8Array | undefined): boolean {
    const { kernel } = this
    return kernel.hasSeen && (before === undefined || compareBytes(kernel.memory, kernel.seenAt, kernel.seenEnd, before, 0, before.length) !== 0)
  }

  #isLate(untilMs: number): boolean {
    return untilMs !== Infinity && this.#core.host.clock.nowMs() >= untilMs
  }

  /** Whether it has come into what is known to be dead: then it goes on behind that. */
  #lead(): boolean {
    const { kernel } = this
    if (!kernel.hasSeen) return false
    const end = this.#core.dead.endAround(kernel.memory, kernel.seenAt, kernel.seenEnd, this.#snapshotSeq)
    if (end === undefined) return false
    this.#target = end
    this.#isPlaced = false
    this.#isLed = true
    return true
  }

  /** From where it was sent to its first row there is nothing, now: the next one need not look. */
  #noteDead(withKeys: boolean): void {
    const { dead, lastSeq } = this.#core
    const { kernel } = this
    if (this.#snapshotSeq !== lastSeq || this.#blocksInVain < (this.#isLed ? FEW_BLOCKS : MANY_BLOCKS)) return
    const end = kernel.rows === 0 ? this.#behindSeen() : withKeys ? kernel.firstKey() : undefined
    if (end !== undefined) dead.note(this.#wish, end)
  }

  #behindSeen(): Uint8Array | undefined {
    const { kernel } = this
    if (!kernel.hasSeen) return undefined
    const behind = new Uint8Array(kernel.seenEnd - kernel.seenAt + 1)
    behind.set(kernel.memory.subarray(kernel.seenAt, kernel.seenEnd))
    return behind
  }

  readonly #isCovered = (key: Uint8Array, start: number, end: number, seq: number): boolean => {
    for (const ranges of this.#ranges) if (ranges.coveringSeq(key, start, end, this.#snapshotSeq) > seq) return true
    return false
  }

  #addMemtable({ memtable, ranges }: Core['active']): void {
    // What was written after the snapshot is not looked at.
    if (ranges.size > 0) this.#ranges.push(ranges)
    if (memtable.entryCount > 0 && memtable.smallestSeq <= this.#snapshotSeq) this.#memory.push(memtable.cursor())
  }

  #stopped(): number {
    this.kernel.clear(0, 0)
    return FILL_STOPPED
  }

  /** The block that the source holds into the slot of input `i`; false when it does not fit. */
  #showBlock(i: number, { place }: RunPlace): boolean {
    const { kernel } = this
    const { bytes, start, end } = this.#blocks
    const longest = DataBlock.longestKey(bytes, start)
    const room = longest + SLOT_ROOM_BYTES
    if (longest > MOST_KEY_BYTES || room + end - start + SLOT_ROOM_BYTES > kernel.slotBytes) return false
    const { memory } = kernel
    const slot = kernel.slotAt(i)
    memory.set(bytes.subarray(start, end), slot + room)
    const prefixAt = slot + room + DataBlock.PREFIX_AT
    copyBytes(memory, prefixAt, prefixAt + readU32(memory, slot + room + 8), memory, slot)
    kernel.openBlock(i, slot, slot + room, place!.position, place!.table.seqOffset)
    return true
  }

  /** Records of what a memtable has from the cursor on into the slot of input `i`; false when the first does not fit. */
  #showRecords(i: number, cursor: Cursor): boolean {
    const { kernel } = this
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
      if (next > limit || keyLength > MOST_KEY_BYTES) break
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

/** The inputs of a call. */
const order = new Uint32Array(64)

/** A place in one run: in the table that it has come to. */
class RunPlace {
  valid = false
  place: TablePlace | undefined
  readonly #tables: readonly TableReader[]
  readonly #isPassing: boolean
  #at = -1

  constructor(tables: readonly TableReader[], isPassing: boolean) {
    this.#tables = tables
    this.#isPassing = isPassing
  }

  seek(blocks: CachedBlocks, key: Uint8Array | undefined): void {
    this.valid = false
    const at = key === undefined ? 0 : lowerTable(this.#tables, key, 0, key.length)
    const place = this.#enter(at)
    if (place === undefined) return
    this.valid = key === undefined ? place.first(blocks) : place.seek(blocks, key, 0, key.length)
    if (!this.valid) this.#nextTable(blocks)
  }

  nextBlock(blocks: CachedBlocks, passes: boolean): void {
    this.valid = false
    if (this.place!.nextBlock(blocks, passes)) this.valid = true
    else this.#nextTable(blocks)
  }

  #nextTable(blocks: CachedBlocks): void {
    while (!this.valid) {
      const place = this.#enter(this.#at + 1)
      if (place === undefined) return
      this.valid = place.first(blocks)
    }
  }

  #enter(at: number): TablePlace | undefined {
    if (at !== this.#at || this.place === undefined) {
      const goesOn = at === this.#at + 1 && this.place?.passes === true
      this.#at = at
      const table = this.#tables[at]
      this.place = table === undefined ? undefined : new TablePlace(table, this.#isPassing || goesOn)
    }
    return this.place
  }
}
