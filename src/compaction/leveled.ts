/**
 * Leveled compaction: level 0 holds the runs of flushes, levels 1 to 6 one run each, every level `multiplier` times as large as the
 * one above. Low read and space amplification, higher write amplification.
 *
 * Rules, first match wins:
 * 1. At least `level0Runs` runs in level 0: merge all of them with the overlapping tables of level 1. Declined while any of those
 *    is in another merge: a level-0 run left behind could be newer or older than the output.
 * 2. Of the levels over their target, the fullest first: move the table with the least overlapping bytes below per byte of its own,
 *    ties to the smallest key, together with the tables it overlaps.
 *
 * Invariants
 * 1. Levels 1 to 6 never overlap within themselves, whatever merges run at once: the inputs in the output level are all tables
 *    within the hull of the inputs above, and inputs are hidden.
 * 2. Every pick moves bytes to a deeper level, and level 6 has no target, so picking ends.
 *
 * A table that overlaps nothing below it is picked alone.
 */
import { compareKeys } from '../base/bytes.ts'
import { formatSize } from '../base/sizes.ts'
import { hullOf, overlaps } from './overlap.ts'
import { checkNames, wholeNumber } from './parameters.ts'
import type { Pick, Strategy, TableView, TreeView } from './strategy.ts'

export interface LeveledOptions {
  /** Level-0 runs that make a merge due. At least 1. Default 4. */
  level0Runs?: number | undefined
  /** Target size of level 1. Default 64 MiB. */
  baseLevelBytes?: number | undefined
  /** Target ratio of a level to the one above. At least 2. Default 10. */
  multiplier?: number | undefined
  /** Output tables are cut at this size. Default 16 MiB. */
  targetTableBytes?: number | undefined
}

const MIB = 1024 * 1024
const DEFAULTS = { level0Runs: 4, baseLevelBytes: 64 * MIB, multiplier: 10, targetTableBytes: 16 * MIB }

/** The deepest level, without a target. */
export const LAST_LEVEL = 6

export function createLeveled(options: LeveledOptions): Strategy {
  return new Leveled(options)
}

class Leveled implements Strategy {
  readonly name = 'leveled'
  readonly joinsRuns = true
  readonly parameters: Readonly<typeof DEFAULTS>
  get targetTableBytes(): number { return this.parameters.targetTableBytes }

  constructor(options: LeveledOptions) {
    checkNames('leveled', options, DEFAULTS)
    this.parameters = Object.freeze({
      level0Runs: wholeNumber('level0Runs', options.level0Runs, DEFAULTS.level0Runs, 1),
      baseLevelBytes: wholeNumber('baseLevelBytes', options.baseLevelBytes, DEFAULTS.baseLevelBytes, 1),
      multiplier: wholeNumber('multiplier', options.multiplier, DEFAULTS.multiplier, 2),
      targetTableBytes: wholeNumber('targetTableBytes', options.targetTableBytes, DEFAULTS.targetTableBytes, 1),
    })
  }

  pick(tree: TreeView): Pick | undefined {
    const levels = tablesByLevel(tree)
    return this.#fromLevel0(tree, levels) ?? this.#fromFullest(tree, levels)
  }

  /** Bytes that must go down, counted once per level they leave. */
  debtBytes(tree: TreeView): number {
    const bytes: bigint[] = new Array(LAST_LEVEL + 1).fill(0n)
    for (const run of tree.runs) bytes[Math.min(run.level, LAST_LEVEL)]! += BigInt(run.bytes)
    let excess = this.runCount(tree) >= this.parameters.level0Runs ? bytes[0]! : 0n
    let debt = excess
    for (let level = 1; level < LAST_LEVEL; level++) {
      excess += bytes[level]! - this.#targetBytes(level)
      if (excess < 0n) excess = 0n
      debt += excess
    }
    return Number(debt)
  }

  runCount(tree: TreeView): number {
    let count = 0
    for (const run of tree.runs) if (run.level === 0) count++
    return count
  }

  #fromLevel0(tree: TreeView, levels: readonly TableView[][]): Pick | undefined {
    const count = this.runCount(tree)
    const above = levels[0]!
    const hull = hullOf(above)
    if (count < this.parameters.level0Runs || hull === undefined) return undefined
    const below = levels[1]!.filter(table => overlaps(table, hull))
    if (anyHidden(above, tree) || anyHidden(below, tree)) return undefined
    return this.#merge(above, below, 1, `${count} level-0 runs >= ${this.parameters.level0Runs}`)
  }

  #fromFullest(tree: TreeView, levels: readonly TableView[][]): Pick | undefined {
    const due: { level: number; bytes: number; fullness: number }[] = []
    for (let level = 1; level < LAST_LEVEL; level++) {
      // Running merges are moving their inputs down.
      let bytes = 0
      for (const table of levels[level]!) if (!tree.hidden.has(table.id)) bytes += table.bytes
      const target = Number(this.#targetBytes(level))
      if (bytes > target) due.push({ level, bytes, fullness: bytes / target })
    }
    due.sort((a, b) => b.fullness - a.fullness || a.level - b.level)
    for (const { level, bytes } of due) {
      const best = cheapestMove(levels[level]!, levels[level + 1]!, tree)
      if (best === undefined) continue
      const below = levels[level + 1]!.slice(best.from, best.to)
      const target = formatSize(Number(this.#targetBytes(level)))
      return this.#merge([levels[level]![best.at]!], below, level + 1, `level ${level} holds ${formatSize(bytes)} > ${target}`)
    }
    return undefined
  }

  #merge(above: readonly TableView[], below: readonly TableView[], outputLevel: number, reason: string): Pick {
    const tables = [...above, ...below].map(table => table.id)
    return { tables, outputLevel, joinsRun: true, targetTableBytes: this.parameters.targetTableBytes, reason }
  }

  #targetBytes(level: number): bigint {
    return BigInt(this.parameters.baseLevelBytes) * BigInt(this.parameters.multiplier) ** BigInt(level - 1)
  }
}

/** Level 0: runs newest first. Deeper: by key. */
function tablesByLevel(tree: TreeView): TableView[][] {
  const levels: TableView[][] = Array.from({ length: LAST_LEVEL + 1 }, () => [])
  for (const run of tree.runs) {
    const level = levels[Math.min(run.level, LAST_LEVEL)]!
    for (const table of run.tables) level.push(table)
  }
  return levels
}

function anyHidden(tables: readonly TableView[], tree: TreeView): boolean {
  return tree.hidden.size > 0 && tables.some(table => tree.hidden.has(table.id))
}

/** The visible table `upper[at]` whose overlap, `lower[from, to)`, is visible and the smallest per byte. */
function cheapestMove(
  upper: readonly TableView[], lower: readonly TableView[], tree: TreeView,
): { at: number; from: number; to: number } | undefined {
  let best: { at: number; from: number; to: number } | undefined
  let bestCost = Infinity
  let from = 0
  for (let at = 0; at < upper.length; at++) {
    const table = upper[at]!
    while (from < lower.length && compareKeys(lower[from]!.lastKey, table.firstKey) < 0) from++
    let to = from
    let bytes = 0
    let visible = !tree.hidden.has(table.id)
    while (to < lower.length && compareKeys(lower[to]!.firstKey, table.lastKey) <= 0) {
      bytes += lower[to]!.bytes
      if (tree.hidden.has(lower[to]!.id)) visible = false
      to++
    }
    const cost = bytes / Math.max(1, table.bytes)
    if (visible && cost < bestCost) {
      bestCost = cost
      best = { at, from, to }
    }
  }
  return best
}
