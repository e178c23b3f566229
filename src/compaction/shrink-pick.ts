/**
 * Shrinks a pick when memory cannot serve all of its runs: merging some is a step towards it. The run the output joins stays in, so
 * that the output overlaps nothing there.
 */
import type { Pick, RunView, TreeView } from './strategy.ts'

/** Keeps the `mostRuns` (at least 2) smallest runs. */
export function narrowPick(pick: Pick, tree: TreeView, mostRuns: number): Pick {
  const wanted = new Set(pick.tables)
  const parts: { run: RunView, tables: number[], bytes: number }[] = []
  for (const run of tree.runs) {
    const tables = run.tables.filter(table => wanted.has(table.id))
    const bytes = tables.reduce((sum, table) => sum + table.bytes, 0)
    if (tables.length > 0) parts.push({ run, tables: tables.map(table => table.id), bytes })
  }
  if (parts.length <= mostRuns) return pick
  const isJoined = (run: RunView): boolean => pick.joinsRun && run.level === pick.outputLevel
  parts.sort((a, b) => Number(isJoined(b.run)) - Number(isJoined(a.run)) || a.bytes - b.bytes)
  return { ...pick, tables: parts.slice(0, Math.max(2, mostRuns)).flatMap(part => part.tables) }
}
