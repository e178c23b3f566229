/**
 * Size-tiered compaction: all runs are in level 0, and runs of similar size are merged. Low write amplification, higher read and
 * space amplification.
 *
 * Rules, first match wins, over the runs no running merge reads:
 * 1. Space amplification, total / largest - 1, at or above the maximum: merge all.
 * 2. The smallest runs, sorted by size, while neighbours are similar (larger / smaller <= 1 + sizeRatio; size 0 is similar to
 *    anything): if at least minMergeWidth, merge the smallest maxMergeWidth of them. Too few: the same from the first dissimilar
 *    run on, so that one small run does not separate larger ones for ever.
 * 3. More than maxRuns runs: merge the smallest ones, just enough to be at maxRuns (in steps of maxMergeWidth). This bounds the
 *    memory of readers in a small budget. Off unless set.
 * 4. A run (the newest such) of mostly tombstones: merge it with older overlapping runs. Without one nothing could be dropped.
 *
 * Invariants
 * 1. Rule 1 and the debt are exact for any sizes (BigInt). Similarity is one correctly rounded division.
 * 2. Every pick merges at least two whole runs into one, so picking ends.
 *
 * Unlike RocksDB's universal compaction, amplification is measured against the largest run, not the oldest, and the size ratio is a
 * fraction, not percent.
 */
import { invalidArgument } from '../base/errors.ts'
import { hasHidden, hullOf, overlaps } from './overlap.ts'
import { UNLIMITED, checkNames, wholeNumber } from './parameters.ts'
import type { Pick, RunView, Strategy, TreeView } from './strategy.ts'

export interface TieredOptions {
  /**
   * Neighbouring runs are similar if larger / smaller <= 1 + this; 0 = equal sizes only.
   * NaN, negative or infinite -> 1.0. Default 1.0.
   */
  sizeRatio?: number | undefined
  /** Fewest similar runs worth a merge. Below 2 -> 2. Default 4. */
  minMergeWidth?: number | undefined
  /** Most similar runs in one merge. Below 2 -> 2; below minMergeWidth is an error. Default `UNLIMITED`. */
  maxMergeWidth?: number | undefined
  /** Merge all when total / largest - 1 reaches this, in percent. `UNLIMITED` = off. Default 200. */
  maxSpaceAmplificationPercent?: number | undefined
  /** Output tables are cut at this size. Default 64 MiB. */
  targetTableBytes?: number | undefined
  /** Most runs left to read, at least 1. `UNLIMITED` = off, the default. */
  maxRuns?: number | undefined
  /** A run with more than this share of tombstones is merged with the older runs under it. 100 = off. Default 50. */
  tombstonePercent?: number | undefined
  /** ... if it has at least this many entries. Default 1000. */
  tombstoneMinEntries?: number | undefined
}

const DEFAULTS = {
  sizeRatio: 1,
  minMergeWidth: 4,
  maxMergeWidth: UNLIMITED,
  maxSpaceAmplificationPercent: 200,
  targetTableBytes: 64 * 1024 * 1024,
  maxRuns: UNLIMITED,
  tombstonePercent: 50,
  tombstoneMinEntries: 1000,
}

export function createTiered(options: TieredOptions): Strategy {
  return new Tiered(options)
}

class Tiered implements Strategy {
  readonly name = 'tiered'
  readonly joinsRuns = false
  readonly parameters: Readonly<typeof DEFAULTS>
  get targetTableBytes(): number { return this.parameters.targetTableBytes }

  constructor(options: TieredOptions) {
    checkNames('tiered', options, DEFAULTS)
    const minMergeWidth = mergeWidth('minMergeWidth', options.minMergeWidth)
    const maxMergeWidth = mergeWidth('maxMergeWidth', options.maxMergeWidth)
    if (maxMergeWidth < minMergeWidth) {
      throw invalidArgument(
        `maxMergeWidth ${maxMergeWidth} is below minMergeWidth ${minMergeWidth}, so nothing would ever be merged by size. ` +
        `Raise maxMergeWidth to ${minMergeWidth} or more, or lower minMergeWidth`,
        { minMergeWidth, maxMergeWidth },
      )
    }
    this.parameters = Object.freeze({
      sizeRatio: sizeRatio(options.sizeRatio),
      minMergeWidth,
      maxMergeWidth,
      maxSpaceAmplificationPercent: whole('maxSpaceAmplificationPercent', options, 0),
      targetTableBytes: whole('targetTableBytes', options, 1),
      maxRuns: whole('maxRuns', options, 1),
      tombstonePercent: whole('tombstonePercent', options, 0, 100),
      tombstoneMinEntries: whole('tombstoneMinEntries', options, 1),
    })
  }

  pick(tree: TreeView): Pick | undefined {
    const visible = tree.runs.filter(run => run.tables.length > 0 && !hasHidden(run, tree.hidden))
    if (visible.length < 2) return undefined
    return this.#byAmplification(visible) ?? this.#bySize(visible) ?? this.#byTombstones(visible, tree)
  }

  debtBytes(tree: TreeView): number {
    if (tree.runs.length < 2 || this.parameters.maxSpaceAmplificationPercent === UNLIMITED) return 0
    const { total, largest } = sizes(tree.runs)
    const debt = total * 100n - largest * BigInt(100 + this.parameters.maxSpaceAmplificationPercent)
    if (debt <= 0n) return 0
    return debt <= Number.MAX_SAFE_INTEGER ? Number(debt) / 100 : Number(debt / 100n)
  }

  runCount(tree: TreeView): number {
    return tree.runs.length
  }

  #byAmplification(runs: readonly RunView[]): Pick | undefined {
    const percent = this.parameters.maxSpaceAmplificationPercent
    if (percent === UNLIMITED) return undefined
    const { total, largest } = sizes(runs)
    if (total * 100n < largest * BigInt(100 + percent)) return undefined
    const reason = largest === 0n
      ? `${runs.length} empty runs`
      : `space amplification ${total * 100n / largest - 100n} % >= ${percent} %`
    return this.#merge(runs, runs, reason)
  }

  #bySize(runs: readonly RunView[]): Pick | undefined {
    const { sizeRatio, minMergeWidth, maxMergeWidth, maxRuns } = this.parameters
    // Of equal sizes the oldest first: more of its tombstones can go.
    const bySize = runs.toReversed().sort((a, b) => a.bytes - b.bytes)
    for (let first = 0, end = 1; first < bySize.length; first = end++) {
      while (end < bySize.length && isSimilar(bySize[end - 1]!.bytes, bySize[end]!.bytes, sizeRatio)) end++
      const similar = end - first
      if (similar < minMergeWidth) continue
      return this.#merge(runs, bySize.slice(first, first + Math.min(similar, maxMergeWidth)), `${similar} runs of similar size >= ${minMergeWidth}`)
    }
    if (runs.length > maxRuns) {
      const width = Math.min(runs.length - maxRuns + 1, maxMergeWidth)
      return this.#merge(runs, bySize.slice(0, width), `${runs.length} runs > ${maxRuns}`)
    }
    return undefined
  }

  #byTombstones(visible: readonly RunView[], tree: TreeView): Pick | undefined {
    const { tombstonePercent, tombstoneMinEntries } = this.parameters
    if (tombstonePercent === 100) return undefined
    for (const run of visible) {
      let entries = 0
      let deletes = 0
      for (const table of run.tables) {
        entries += table.entries
        deletes += table.deletes
      }
      if (entries < tombstoneMinEntries || deletes * 100 <= entries * tombstonePercent) continue
      const older = tree.runs.slice(tree.runs.indexOf(run) + 1).filter(other => runsOverlap(run, other))
      // While one of them is in another merge, its tombstones could not go yet.
      if (older.length === 0 || older.some(other => hasHidden(other, tree.hidden))) continue
      const share = Math.floor(deletes * 100 / entries)
      return this.#merge(visible, [run, ...older], `${share} % tombstones > ${tombstonePercent} % in run ${run.id}`)
    }
    return undefined
  }

  /** In the order of `runs` (newest first). */
  #merge(runs: readonly RunView[], picked: readonly RunView[], reason: string): Pick {
    const chosen = new Set(picked)
    const tables: number[] = []
    for (const run of runs) {
      if (chosen.has(run)) for (const table of run.tables) tables.push(table.id)
    }
    return { tables, outputLevel: 0, joinsRun: false, targetTableBytes: this.parameters.targetTableBytes, reason }
  }
}

function isSimilar(smaller: number, larger: number, sizeRatio: number): boolean {
  return smaller === 0 || larger / smaller <= 1 + sizeRatio
}

function sizes(runs: readonly RunView[]): { total: bigint; largest: bigint } {
  let total = 0n
  let largest = 0
  for (const run of runs) {
    total += BigInt(run.bytes)
    if (run.bytes > largest) largest = run.bytes
  }
  return { total, largest: BigInt(largest) }
}

/** Compares tables: a merge of runs with only hulls in common drops nothing. */
function runsOverlap(a: RunView, b: RunView): boolean {
  const hull = hullOf(b.tables)
  if (hull === undefined) return false
  for (const table of a.tables) {
    if (overlaps(table, hull) && b.tables.some(other => overlaps(table, other))) return true
  }
  return false
}

function sizeRatio(value: number | undefined): number {
  if (value === undefined) return DEFAULTS.sizeRatio
  if (typeof value !== 'number') throw invalidArgument(`sizeRatio must be a number, not ${JSON.stringify(value)}`)
  return Number.isFinite(value) && value >= 0 ? value : 1
}

function mergeWidth(name: 'minMergeWidth' | 'maxMergeWidth', value: number | undefined): number {
  return Math.max(2, wholeNumber(name, value, DEFAULTS[name], -UNLIMITED))
}

function whole(name: keyof typeof DEFAULTS, options: TieredOptions, least: number, most?: number): number {
  return wholeNumber(name, options[name], DEFAULTS[name], least, most)
}
