/**
 * One run of a version, open for reading. Immutable; reused from tree to tree while its record is the same.
 *
 * Cost: built in one pass over its tables; a lookup is a binary search over packed keys without allocation.
 */
import { compareKeys } from '../../base/bytes.ts'
import type { RangeLookup } from '../../base/fragment-list.ts'
import { RangeSet } from '../../base/ranges.ts'
import type { RunView, TableView } from '../../compaction/strategy.ts'
import type { RunRecord } from '../../manifest/version.ts'
import type { TableReader } from '../../table/table-reader.ts'

export class Run implements RunView {
  readonly record: RunRecord
  readonly id: number
  readonly level: number
  readonly tables: readonly TableView[]
  readonly readers: readonly TableReader[]
  /** Readers of tables with point entries. */
  readonly pointReaders: readonly TableReader[]
  /** The range tombstones of all its tables. */
  readonly ranges: RangeLookup
  readonly bytes: number
  readonly entries: number
  readonly deletes: number
  readonly minSeq: number
  readonly maxSeq: number
  /** Epoch of the tree that brought its newest rows. */
  readonly born: number

  constructor(record: RunRecord, readers: ReadonlyMap<number, TableReader>, born: number) {
    const own = record.tables.map(table => readers.get(table.fileNumber)!)
    let bytes = 0
    let entries = 0
    let deletes = 0
    let minSeq = Infinity
    let maxSeq = 0
    let withPoints = 0
    let withRanges = 0
    for (const { properties, ranges } of own) {
      bytes += properties.fileBytes
      entries += properties.entries
      deletes += properties.deletes
      if (properties.minSeq < minSeq) minSeq = properties.minSeq
      if (properties.maxSeq > maxSeq) maxSeq = properties.maxSeq
      if (properties.hasEntries) withPoints++
      if (ranges.size > 0) withRanges++
    }
    this.record = record
    this.id = record.id
    this.level = record.level
    this.tables = own.map(reader => new ReaderView(reader))
    this.readers = own
    this.pointReaders = withPoints === own.length ? own : own.filter(reader => reader.properties.hasEntries)
    this.ranges = withRanges === 0 ? RangeSet.EMPTY : lookupOver(own.filter(reader => reader.ranges.size > 0))
    this.bytes = bytes
    this.entries = entries
    this.deletes = deletes
    this.minSeq = minSeq
    this.maxSeq = maxSeq
    this.born = born
  }

  /** The only table that may hold the key, if any. */
  find(key: Uint8Array, start: number, end: number): TableReader | undefined {
    const readers = this.pointReaders
    let low = 0
    let high = readers.length
    if (high > 1) {
      while (low < high) {
        const middle = (low + high) >>> 1
        if (readers[middle]!.properties.compareLast(key, start, end) < 0) low = middle + 1
        else high = middle
      }
    }
    const reader = readers[low]
    return reader === undefined || reader.properties.compareFirst(key, start, end) > 0 ? undefined : reader
  }
}

/** A table as a strategy sees it: the inclusive hull of its keys and range tombstones. Keys are copied at each call. */
class ReaderView implements TableView {
  readonly #reader: TableReader

  constructor(reader: TableReader) {
    this.#reader = reader
  }

  get id(): number { return this.#reader.fileNumber }
  get bytes(): number { return this.#reader.properties.fileBytes }
  get entries(): number { return this.#reader.properties.entries }
  get deletes(): number { return this.#reader.properties.deletes }

  get firstKey(): Uint8Array {
    const { firstKey, rangeStart } = this.#reader.properties
    if (firstKey === undefined || rangeStart === undefined) return (firstKey ?? rangeStart)!
    return compareKeys(firstKey, rangeStart) <= 0 ? firstKey : rangeStart
  }

  get lastKey(): Uint8Array {
    const { lastKey, rangeEnd } = this.#reader.properties
    if (lastKey === undefined || rangeEnd === undefined) return (lastKey ?? rangeEnd)!
    return compareKeys(lastKey, rangeEnd) >= 0 ? lastKey : rangeEnd
  }
}

function lookupOver(readers: readonly TableReader[]): RangeLookup {
  return readers.length === 1 ? readers[0]!.ranges : new RunRanges(readers)
}

/** Range tombstones of several tables: a binary search if their hulls are disjoint, else all tables. */
class RunRanges implements RangeLookup {
  readonly size: number
  readonly #readers: readonly TableReader[]
  readonly #isDisjoint: boolean

  constructor(readers: readonly TableReader[]) {
    let size = 0
    let isDisjoint = true
    for (let i = 0; i < readers.length; i++) {
      size += readers[i]!.ranges.size
      if (i > 0 && compareKeys(readers[i - 1]!.properties.rangeEnd!, readers[i]!.properties.rangeStart!) > 0) isDisjoint = false
    }
    this.size = size
    this.#readers = readers
    this.#isDisjoint = isDisjoint
  }

  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const readers = this.#readers
    if (this.#isDisjoint) {
      let low = 0
      let high = readers.length
      while (low < high) {
        const middle = (low + high) >>> 1
        if (readers[middle]!.properties.compareRangeEnd(key, start, end) <= 0) low = middle + 1
        else high = middle
      }
      return low === readers.length ? 0 : readers[low]!.ranges.coveringSeq(key, start, end, snapshotSeq)
    }
    let best = 0
    for (const { ranges } of readers) best = Math.max(best, ranges.coveringSeq(key, start, end, snapshotSeq))
    return best
  }
}
