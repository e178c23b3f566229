/** Picks that are not the strategy's: ranges to compact, and merges that free table metadata. */
import { compareKeys } from '../../base/bytes.ts'
import type { Pick, Strategy } from '../../compaction/strategy.ts'
import type { TableReader } from '../../table/table-reader.ts'
import type { Tree } from '../state/tree.ts'

/** Runs merged at once when metadata is short. */
const SHORT_MERGE_RUNS = 8

/** The smallest runs, whatever the strategy would pick: fewer tables take less memory. */
export function pickForMetadata(tree: Tree, strategy: Strategy, hidden: ReadonlySet<number>): Pick | undefined {
  // Runs of levels may not be merged at random.
  if (strategy.joinsRuns) return undefined
  const runs = tree.runs.filter(run => !run.tables.some(table => hidden.has(table.id))).sort((a, b) => a.bytes - b.bytes).slice(0, SHORT_MERGE_RUNS)
  if (runs.length < 2) return undefined
  return {
    tables: runs.flatMap(run => run.tables.map(table => table.id)), outputLevel: 0, joinsRun: false,
    targetTableBytes: strategy.targetTableBytes, reason: 'table metadata is short of memory',
  }
}

/** All tables that overlap [first, last], widened until no other table overlaps them. Undefined bounds are open. */
export function pickRange(tree: Tree, strategy: Strategy, first: Uint8Array | undefined, last: Uint8Array | undefined): Pick | undefined {
  const chosen = new Set<number>()
  for (let grew = true; grew;) {
    grew = false
    for (const run of tree.runs) {
      for (const table of run.tables) {
        if (chosen.has(table.id)) continue
        if (first !== undefined && compareKeys(table.lastKey, first) < 0) continue
        if (last !== undefined && compareKeys(table.firstKey, last) > 0) continue
        chosen.add(table.id)
        grew = true
        if (first !== undefined && compareKeys(table.firstKey, first) < 0) first = table.firstKey
        if (last !== undefined && compareKeys(table.lastKey, last) > 0) last = table.lastKey
      }
    }
  }
  if (chosen.size === 0) return undefined
  const deepest = tree.runs.reduce((level, run) => Math.max(level, run.level), strategy.joinsRuns ? 1 : 0)
  return { tables: [...chosen], outputLevel: deepest, joinsRun: strategy.joinsRuns, targetTableBytes: strategy.targetTableBytes, reason: 'asked for' }
}

export interface PickInputs {
  /** Numbers of the tables, run by run. */
  readonly runs: number[][]
  readonly bytes: number
  readonly maxSeq: number
  readonly readers: readonly TableReader[]
}

export function inputsOf(tree: Tree, pick: Pick): PickInputs {
  const inputs = new Set(pick.tables)
  const runs: number[][] = []
  const all: TableReader[] = []
  let maxSeq = 0
  let bytes = 0
  for (const run of tree.runs) {
    const readers = run.readers.filter(reader => inputs.has(reader.properties.fileNumber))
    if (readers.length === 0) continue
    runs.push(readers.map(reader => reader.properties.fileNumber))
    all.push(...readers)
    for (const { properties } of readers) {
      maxSeq = Math.max(maxSeq, properties.maxSeq)
      bytes += properties.fileBytes
    }
  }
  return { runs, bytes, maxSeq, readers: all }
}
