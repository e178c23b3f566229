/**
 * The tables of one version, open for reading. Immutable: every flush and merge makes a new tree that shares the readers.
 *
 * Invariants
 * 1. `runs` are sorted by their newest sequence number, newest first. A run's place says nothing about one key (merges pick
 *    by size, not by age), so reads go on until no remaining run can hold anything newer than what was found.
 * 2. Within a run point keys are disjoint between tables; range tombstones count for the whole run.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import { Hit } from '../base/cursor.ts'
import { RangeSet } from '../base/ranges.ts'
import { lowerTable } from '../compaction/run-cursor.ts'
import type { OutsideTable } from '../compaction/retention.ts'
import type { RunView, Strategy, TableView, TreeView } from '../compaction/strategy.ts'
import type { TableRecord, Version } from '../manifest/version.ts'
import type { BlockSource } from '../table/block/block-source.ts'
import type { TableProperties } from '../table/properties.ts'
import type { TableReader } from '../table/table-reader.ts'

export interface Run extends RunView {
  readonly minSeq: number
  readonly entries: number
  readonly deletes: number
  readonly readers: readonly TableReader[]
  /** The readers that hold point entries, for `lowerTable`. */
  readonly pointReaders: readonly TableReader[]
  readonly ranges: RangeSet
}

const NO_HIDDEN: ReadonlySet<number> = new Set()

export class Tree {
  readonly runs: readonly Run[]
  readonly runCount: number
  readonly debtBytes: number
  readonly tableBytes: number
  readonly tableCount: number
  readonly #tried = new Hit()

  constructor(version: Version, readers: ReadonlyMap<number, TableReader>, strategy: Strategy) {
    const runs = version.runs.map((run): Run => {
      const own = run.tables.map(table => readers.get(table.fileNumber)!)
      const tombstones = own.flatMap(reader => reader.ranges)
      const tables = own.map(viewOf)
      return {
        id: run.id, level: run.level, tables, readers: own,
        pointReaders: own.filter(reader => reader.properties.firstKey !== undefined),
        bytes: sum(own, properties => properties.fileBytes),
        entries: sum(own, properties => properties.entries),
        deletes: sum(own, properties => properties.deletes),
        minSeq: Math.min(...own.map(reader => reader.properties.minSeq)),
        maxSeq: Math.max(...own.map(reader => reader.properties.maxSeq)),
        ranges: tombstones.length === 0 ? RangeSet.EMPTY : RangeSet.of(tombstones),
      }
    })
    this.runs = runs.sort((a, b) => b.maxSeq - a.maxSeq || b.id - a.id)
    const view = this.view(NO_HIDDEN)
    this.runCount = strategy.runCount(view)
    this.debtBytes = strategy.debtBytes(view)
    this.tableBytes = runs.reduce((bytes, run) => bytes + run.bytes, 0)
    this.tableCount = runs.reduce((count, run) => count + run.readers.length, 0)
  }

  view(hidden: ReadonlySet<number>): TreeView {
    return { runs: this.runs, hidden }
  }

  /**
   * Newest version of a key visible at `snapshotSeq` into `hit`, better than what `hit` and `coverSeq` already hold from newer
   * places. Returns the newest range tombstone over the key. `hit`'s views hold until the next load from the source.
   */
  get(
    source: BlockSource, key: Uint8Array, start: number, end: number, hash: number,
    snapshotSeq: number, coverSeq: number, hit: Hit,
  ): number {
    const runs = this.runs
    let cover = coverSeq
    let found: TableReader | undefined
    let stale = false
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!
      if (hit.seq >= run.maxSeq || cover >= run.maxSeq) break
      if (run.minSeq > snapshotSeq) continue
      if (run.ranges.size > 0) {
        const covering = run.ranges.coveringSeq(key, start, end, snapshotSeq)
        if (covering > cover) cover = covering
      }
      const readers = run.pointReaders
      const at = readers.length === 1 ? 0 : lowerTable(readers, key, start, end)
      const reader = readers[at]
      if (reader === undefined || isOutside(reader.properties, key, start, end)) continue
      stale = found !== undefined
      const tried = this.#tried
      if (!reader.get(source, key, start, end, hash, snapshotSeq, tried) || tried.seq <= hit.seq) continue
      hit.seq = tried.seq
      hit.kind = tried.kind
      hit.value = tried.value
      hit.valueStart = tried.valueStart
      hit.valueEnd = tried.valueEnd
      found = reader
      stale = false
    }
    // Another run was asked after the one that had the answer: its loads may have moved the bytes.
    if (stale && hit.seq > cover) found!.get(source, key, start, end, hash, snapshotSeq, hit)
    return cover
  }

  /** Tables that are not among `inputs` and may hold entries older than `maxSeq`. */
  outside(inputs: ReadonlySet<number>, maxSeq: number): OutsideTable[] {
    const outside: OutsideTable[] = []
    for (const run of this.runs) {
      for (const { properties } of run.pointReaders) {
        if (!inputs.has(properties.fileNumber) && properties.minSeq < maxSeq) {
          outside.push({ firstKey: properties.firstKey!, lastKey: properties.lastKey!, minSeq: properties.minSeq })
        }
      }
    }
    return outside
  }
}

export function recordOf(properties: TableProperties): TableRecord {
  const { fileNumber, fileBytes, entries, deletes } = properties
  return { fileNumber, fileBytes, entries, deletes }
}

/** The inclusive hull of a table's keys and range tombstones. */
function viewOf({ properties }: TableReader): TableView {
  const { fileNumber, fileBytes, entries, deletes, firstKey, lastKey, rangeStart, rangeEnd } = properties
  return {
    id: fileNumber, bytes: fileBytes, entries, deletes,
    firstKey: smaller(firstKey, rangeStart)!, lastKey: larger(lastKey, rangeEnd)!,
  }
}

function smaller(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareKeys(a, b) <= 0 ? a : b
}

function larger(a: Uint8Array | undefined, b: Uint8Array | undefined): Uint8Array | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareKeys(a, b) >= 0 ? a : b
}

function isOutside({ firstKey }: TableProperties, key: Uint8Array, start: number, end: number): boolean {
  return compareBytes(key, start, end, firstKey!, 0, firstKey!.length) < 0
}

function sum(readers: readonly TableReader[], of: (properties: TableProperties) => number): number {
  return readers.reduce((total, reader) => total + of(reader.properties), 0)
}
