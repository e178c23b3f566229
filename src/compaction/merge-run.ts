/**
 * One run as an input of a merge: its tables one after the other, each open only while it is read.
 *
 * Invariants
 * 1. At most one table is open for entries and one for range tombstones.
 * 2. Range tombstones come no later than the entries of their table.
 * 3. In a kernel merge, a block that fits the run's slot is there (`KernelInput`).
 *
 * Account: windows of the merge's own pool, one for entries and one for range tombstones.
 */
import { compareBytes } from '../base/bytes.ts'
import { EMPTY } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import { RangeSet } from '../base/ranges.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { MergeKernel } from '../kernels/merge-kernel.ts'
import type { HostFile } from '../host/host.ts'
import type { WindowPool } from '../memory/windows.ts'
import { StreamedBlocks } from '../table/block/block-source.ts'
import { RangeRecords } from '../table/range-records.ts'
import type { TableCursor } from '../table/table-cursor.ts'
import { TableReader } from '../table/table-reader.ts'
import type { KernelInput } from './kernel-merge.ts'
import { ListedFragments } from './range-sweep.ts'
import type { Fragment, FragmentSource } from './range-sweep.ts'

/** Shifted tables, by file number. */
export type SeqOffsets = ReadonlyMap<number, number>

/** Shared by the runs of a merge. */
export interface RunParts {
  openFile(fileNumber: number): HostFile
  kernels: Kernels
  windows: WindowPool
  /** For range tombstones that are not stored as fragments. */
  snapshots: readonly number[]
  seqOffsets?: SeqOffsets | undefined
}

export class MergeRun implements KernelInput {
  valid = false
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  seq = 0
  kind = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  /** Of all tables opened so far. */
  bytesRead = 0
  readonly ranges: RunFragments
  readonly #tables: readonly number[]
  readonly #parts: RunParts
  readonly #source: StreamedBlocks
  #at = -1
  #file: HostFile | undefined
  #inner: TableCursor | undefined
  #slot: Uint8Array<ArrayBuffer> | undefined

  /** `tables`: in key order. */
  constructor(tables: readonly number[], parts: RunParts, readAheadBytes: number) {
    this.#tables = tables
    this.#parts = parts
    this.#source = new StreamedBlocks(parts.kernels, readAheadBytes)
    this.ranges = new RunFragments(parts)
  }

  seekToFirst(): void {
    this.#forward()
  }

  next(): void {
    this.#inner!.next()
    this.#forward()
  }

  useSlot(slot: Uint8Array<ArrayBuffer>): void {
    this.#slot = slot
  }

  fillSlot(): boolean {
    return this.#inner!.isInSlot
  }

  enter(kernel: MergeKernel, i: number): void {
    const slotAt = kernel.slotAt(i)
    kernel.openBlock(i, slotAt, slotAt + this.#inner!.blockAt, this.#inner!.position)
  }

  leave(position: number): void {
    this.#inner!.stepTo(position)
    this.#show()
  }

  emptySlot(): void {
    this.#inner!.skipBlock()
    this.#forward()
  }

  seekToLast(): void { throw forwardOnly() }
  seek(): void { throw forwardOnly() }
  seekBefore(): void { throw forwardOnly() }
  prev(): void { throw forwardOnly() }

  close(): void {
    this.#closeTable()
    this.ranges.close()
    this.#source.close()
    this.#at = -1
    this.valid = false
  }

  #forward(): void {
    while (this.#inner === undefined || !this.#inner.valid) {
      this.#closeTable()
      if (this.#at + 1 >= this.#tables.length) {
        this.valid = false
        return
      }
      this.#openTable(this.#tables[++this.#at]!)
    }
    this.#show()
  }

  #show(): void {
    const inner = this.#inner!
    this.valid = true
    this.key = inner.key
    this.keyStart = inner.keyStart
    this.keyEnd = inner.keyEnd
    this.seq = inner.seq
    this.kind = inner.kind
    this.value = inner.value
    this.valueStart = inner.valueStart
    this.valueEnd = inner.valueEnd
  }

  #openTable(fileNumber: number): void {
    const { kernels, windows } = this.#parts
    this.#file = this.#parts.openFile(fileNumber)
    const table = TableReader.open(this.#file, fileNumber, kernels, { holdsRanges: false, seqOffset: seqOffsetOf(this.#parts, fileNumber) })
    this.bytesRead += table.properties.fileBytes
    if (table.properties.rangeDeletes > 0) this.ranges.push(fileNumber)
    this.#inner = table.cursor(this.#source, windows, this.#slot)
    this.#inner.seekToFirst()
  }

  #closeTable(): void {
    this.#inner?.close()
    this.#inner = undefined
    this.#file?.close()
    this.#file = undefined
  }
}

/** Range tombstones of the tables a `MergeRun` has reached. */
class RunFragments implements FragmentSource {
  readonly #parts: RunParts
  hasMore = false
  /** Ascending. */
  readonly #tables: number[] = []
  #file: HostFile | undefined
  #records: RangeRecords | undefined
  #hasRecord = false
  /** For tombstones that are no fragments. */
  #listed: ListedFragments | undefined
  #lastEnd: Uint8Array = EMPTY

  constructor(parts: RunParts) {
    this.#parts = parts
  }

  push(fileNumber: number): void {
    this.#tables.push(fileNumber)
    this.hasMore = true
  }

  next(): Fragment | undefined {
    for (;;) {
      const fragment = this.#listed === undefined ? this.#nextRecord() : this.#listed.next()
      if (fragment !== undefined) {
        if (compareBytes(fragment.start, 0, fragment.start.length, this.#lastEnd, 0, this.#lastEnd.length) < 0) {
          throw new CorruptionError(this.#file!.path, 0, 'range tombstones overlap those of the table before it in its run')
        }
        this.#lastEnd = fragment.end
        return fragment
      }
      this.#closeTable()
      const fileNumber = this.#tables.shift()
      if (fileNumber === undefined) {
        this.hasMore = false
        return undefined
      }
      this.#openTable(fileNumber)
    }
  }

  close(): void {
    this.#closeTable()
    this.#tables.length = 0
    this.hasMore = false
    this.#lastEnd = EMPTY
  }

  #openTable(fileNumber: number): void {
    const { kernels, windows, snapshots } = this.#parts
    this.#file = this.#parts.openFile(fileNumber)
    const seqOffset = seqOffsetOf(this.#parts, fileNumber)
    const table = TableReader.open(this.#file, fileNumber, kernels, { holdsRanges: false, seqOffset })
    const blocks = table.rangeBlocks(kernels)
    if (blocks.isSorted) {
      this.#records = new RangeRecords(table, kernels, blocks, windows, seqOffset)
      this.#hasRecord = this.#records.next()
    } else {
      this.#listed = new ListedFragments(RangeSet.compactFor(table.readRanges(kernels), snapshots))
    }
  }

  /** All records of the same range. */
  #nextRecord(): Fragment | undefined {
    const records = this.#records
    if (records === undefined || !this.#hasRecord) return undefined
    const { bytes, start: from, split, end: to } = records
    const start = bytes.slice(from, split)
    const end = bytes.slice(split, to)
    const seqs: number[] = []
    do {
      seqs.push(records.seq)
      this.#hasRecord = records.next()
    } while (this.#hasRecord && compareBytes(records.bytes, records.start, records.split, start, 0, start.length) === 0)
    return { start, end, seqs }
  }

  #closeTable(): void {
    this.#records?.close()
    this.#records = undefined
    this.#listed = undefined
    this.#hasRecord = false
    this.#file?.close()
    this.#file = undefined
  }
}

function seqOffsetOf({ seqOffsets }: RunParts, fileNumber: number): number {
  return seqOffsets?.get(fileNumber) ?? 0
}

function forwardOnly(): Error {
  return new Error('an input of a merge goes forward only')
}
