/** Trees for tests: built from sizes, and merged as the engine would merge them. */
import { compareKeys } from '../../base/bytes.ts'
import type { Pick, RunView, TableView, TreeView } from '../strategy.ts'

/** A fixed seed, so that a failure can be repeated; fast-check prints it with the counterexample. */
export const PROPERTY = { seed: 20240611, numRuns: 300 }

let nextId = 1

/** A key that sorts as its number: two bytes. */
export function key(n: number): Uint8Array {
  return Uint8Array.of(n >> 8, n & 255)
}

export function table(bytes: number, first = 0, last = 65535, entries = 10, deletes = 0): TableView {
  return { id: nextId++, bytes, entries, deletes, firstKey: key(first), lastKey: key(last) }
}

export function run(level: number, ...tables: TableView[]): RunView {
  const id = nextId++
  return { id, level, bytes: tables.reduce((sum, { bytes }) => sum + bytes, 0), maxSeq: id, tables }
}

/** Runs newest first. */
export function tree(runs: readonly RunView[], hidden: Iterable<number> = []): TreeView {
  return { runs, hidden: new Set(hidden) }
}

/** One level-0 run of one table for each size, newest first. */
export function treeOfSizes(sizes: readonly number[]): TreeView {
  return tree(sizes.map(bytes => run(0, table(bytes))))
}

export function idsOf(view: TreeView): Set<number> {
  return new Set(view.runs.flatMap(({ tables }) => tables.map(({ id }) => id)))
}

/** The sizes of the runs that a pick takes from, newest first. */
export function pickedSizes(view: TreeView, pick: Pick | undefined): number[] | undefined {
  return pick && view.runs.filter(({ tables }) => tables.some(({ id }) => pick.tables.includes(id))).map(({ bytes }) => bytes)
}

/** The tree after the merge, nothing dropped: output tables are cut at the target size, with hulls that leave no gap between them. */
export function applyPick(view: TreeView, pick: Pick): TreeView {
  const taken = new Set(pick.tables)
  const inputs = view.runs.flatMap(({ tables }) => tables.filter(({ id }) => taken.has(id)))
  const bytes = inputs.reduce((sum, input) => sum + input.bytes, 0)
  const first = Math.min(...inputs.map(({ firstKey }) => number(firstKey)))
  const last = Math.max(...inputs.map(({ lastKey }) => number(lastKey)))
  const entries = inputs.reduce((sum, input) => sum + input.entries, 0)
  const deletes = inputs.reduce((sum, input) => sum + input.deletes, 0)
  const count = Math.max(1, Math.min(Math.ceil(bytes / pick.targetTableBytes), last - first + 1, 8))
  const share = (total: number, i: number): number => Math.floor(total * (i + 1) / count) - Math.floor(total * i / count)
  const outputs: TableView[] = []
  for (let i = 0; i < count; i++) {
    const from = first + Math.floor((last - first + 1) * i / count)
    const to = first + Math.floor((last - first + 1) * (i + 1) / count) - 1
    outputs.push(table(share(bytes, i), from, to, share(entries, i), share(deletes, i)))
  }

  const maxSeq = Math.max(...view.runs.filter(({ tables }) => tables.some(({ id }) => taken.has(id))).map(run => run.maxSeq))
  const left = view.runs
    .map(old => ({ ...run(old.level, ...old.tables.filter(({ id }) => !taken.has(id))), maxSeq: old.maxSeq }))
    .filter(({ tables }) => tables.length > 0)
  const joined = pick.joinsRun ? left.find(({ level }) => level === pick.outputLevel) : undefined
  const others = left.filter(other => other !== joined)
  const tables = [...joined?.tables ?? [], ...outputs].sort((a, b) => compareKeys(a.firstKey, b.firstKey))
  const merged = { ...run(pick.outputLevel, ...tables), maxSeq: Math.max(maxSeq, joined?.maxSeq ?? 0) }
  const runs = [...others, merged].sort((a, b) => a.level - b.level || b.maxSeq - a.maxSeq)
  return { runs, hidden: view.hidden }
}

function number(bytes: Uint8Array): number {
  return bytes[0]! * 256 + bytes[1]!
}
