/**
 * The tables of one version, open for reading. Immutable: every flush and merge makes a new tree that shares the readers.
 *
 * Invariants
 * 1. `runs` are sorted by newest sequence number, newest first. Merges pick by size, not age, so a run's index says nothing about
 *    one key: reads continue until no remaining run can hold anything newer than the hit.
 * 2. Within a run the point keys of tables are disjoint; range tombstones apply to the whole run.
 *
 * Epochs decide whether a row found in an earlier tree is still the newest of its key (`cache/row-cache.ts`). A tree that adds rows
 * begins an epoch, in which its new runs are born; a merge adds none, and its output keeps the latest birth of its inputs. So a row
 * found at epoch e is in the tree until a run born after e is merged (`mergedEpoch` > e), and until then only runs born after e can
 * hold a newer one.
 */
import { Hit } from '../../base/cursor.ts'
import { packOutside } from '../../compaction/tombstone-elision.ts'
import type { OutsideTable, OutsideTables } from '../../compaction/tombstone-elision.ts'
import type { Strategy, TreeView } from '../../compaction/strategy.ts'
import type { TableRecord, Version } from '../../manifest/version.ts'
import { BLOCK_MISSED, SEQ_MISSED } from '../../table/block/block-source.ts'
import type { BlockSource } from '../../table/block/block-source.ts'
import type { TableProperties } from '../../table/properties.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { Run } from './run.ts'

/** Maximum hulls passed to a job; beyond it neighbouring tables are joined. */
const MAX_OUTSIDE = 1024
const NO_HIDDEN: ReadonlySet<number> = new Set()
/** Lineages so far. */
let spaces = 0

export class Tree {
  readonly runs: readonly Run[]
  readonly runCount: number
  readonly debtBytes: number
  readonly tableBytes: number
  readonly tableCount: number
  /** Of all runs. Tables of a large transaction may be newer than entries of a memtable. */
  readonly newestSeq: number
  /** Shared by all trees derived from one another. */
  readonly space: number
  readonly epoch: number
  /** The latest epoch of a merged run. */
  readonly mergedEpoch: number
  readonly hasRanges: boolean
  /** Extra runs that reads have probed since rows were last merged. */
  runReads: number
  /** The run the last `get` was in when it ended or stopped. */
  lastRun = 0
  /** Sequence number found before it missed a block. */
  lastSeq = 0
  readonly #tried = new Hit()

  /** `before`: the previous tree, whose unchanged runs are reused. `isMerged`: no rows were added. */
  constructor(version: Version, readers: ReadonlyMap<number, TableReader>, strategy: Strategy, before?: Tree, isMerged = false) {
    const known = new Map(before?.runs.map(run => [run.record, run]))
    this.space = before?.space ?? ++spaces
    this.epoch = before === undefined ? 1 : isMerged ? before.epoch : before.epoch + 1
    let born = this.epoch
    this.mergedEpoch = before?.mergedEpoch ?? 0
    this.runReads = isMerged ? 0 : before?.runReads ?? 0
    if (isMerged && before !== undefined) {
      const kept = new Set(version.runs)
      born = before.runs.reduce((latest, run) => kept.has(run.record) ? latest : Math.max(latest, run.born), 0)
      this.mergedEpoch = Math.max(before.mergedEpoch, born)
    }
    const runs = version.runs.map(record => known.get(record) ?? new Run(record, readers, born))
    this.runs = runs.sort((a, b) => b.maxSeq - a.maxSeq || b.id - a.id)
    this.newestSeq = runs[0]?.maxSeq ?? 0
    this.hasRanges = runs.some(run => run.ranges.size > 0)
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
   * Find the newest version of a key visible at `snapshotSeq`, newer than `hit` and `coverSeq`, which come from newer places.
   * Returns the newest range tombstone over the key. The views of `hit` are valid until the source's next load. `hit.seq` is
   * SEQ_MISSED when a deferring source has missed a data block.
   */
  get(
    source: BlockSource, key: Uint8Array, start: number, end: number, hash: number,
    snapshotSeq: number, coverSeq: number, hit: Hit,
  ): number {
    const runs = this.runs
    if (source.retried === undefined) this.runReads += runs.length - 1
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
      const reader = run.find(key, start, end)
      if (reader === undefined) continue
      this.lastRun = i
      stale = found !== undefined
      const tried = this.#tried
      if (!reader.get(source, key, start, end, hash, snapshotSeq, tried)) {
        if (tried.seq === SEQ_MISSED) {
          this.lastSeq = hit.seq
          hit.seq = SEQ_MISSED
          return cover
        }
        continue
      }
      if (tried.seq <= hit.seq) continue
      hit.seq = tried.seq
      hit.kind = tried.kind
      hit.value = tried.value
      hit.valueStart = tried.valueStart
      hit.valueEnd = tried.valueEnd
      found = reader
      stale = false
    }
    // A later run was probed after the hit: its loads may have moved the bytes.
    if (stale && hit.seq > cover) {
      this.lastSeq = hit.seq
      found!.get(source, key, start, end, hash, snapshotSeq, hit)
    }
    return cover
  }

  /** `get` in runs born after an epoch only, in a tree without range tombstones. False: nothing of the key. */
  getSince(source: BlockSource, key: Uint8Array, start: number, end: number, hash: number, snapshotSeq: number, epoch: number, hit: Hit): boolean {
    const { runs } = this
    let found: TableReader | undefined
    hit.seq = 0
    for (let i = 0; i < runs.length; i++) {
      const run = runs[i]!
      if (run.born <= epoch || hit.seq >= run.maxSeq) continue
      const reader = run.find(key, start, end)
      if (reader === undefined) continue
      if (!reader.get(source, key, start, end, hash, snapshotSeq, this.#tried)) {
        if (this.#tried.seq === SEQ_MISSED) throw BLOCK_MISSED
        continue
      }
      if (this.#tried.seq <= hit.seq) continue
      hit.seq = this.#tried.seq
      found = reader
    }
    // Again, because later loads may have moved the bytes.
    if (found === undefined) return false
    found.get(source, key, start, end, hash, snapshotSeq, hit)
    if (hit.seq === SEQ_MISSED) throw BLOCK_MISSED
    return hit.seq > 0
  }

  /** Tables outside the merge that may hold entries older than `maxSeq`; neighbours are joined when there are many. */
  outside(inputs: ReadonlySet<number>, maxSeq: number): OutsideTables {
    const outside: OutsideTable[] = []
    const atOnce = Math.ceil(this.tableCount / MAX_OUTSIDE)
    for (const run of this.runs) {
      if (run.minSeq >= maxSeq) continue
      let joined = 0
      for (const { fileNumber, properties } of run.pointReaders) {
        if (inputs.has(fileNumber)) {
          // The gap at an input must stay a gap.
          joined = 0
        } else if (properties.minSeq < maxSeq) {
          const { minSeq } = properties
          const last = outside.at(-1)
          if (joined === 0) {
            outside.push({ firstKey: properties.firstKey!, lastKey: properties.lastKey!, minSeq })
          } else {
            last!.lastKey = properties.lastKey!
            if (minSeq < last!.minSeq) last!.minSeq = minSeq
          }
          joined = (joined + 1) % atOnce
        }
      }
    }
    return packOutside(outside)
  }
}

export function recordOf(properties: TableProperties): TableRecord {
  const { fileNumber, fileBytes, entries, deletes } = properties
  return { fileNumber, fileBytes, entries, deletes }
}
