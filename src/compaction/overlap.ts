/** Key hulls: [firstKey, lastKey], both inclusive. */
import { compareKeys } from '../base/bytes.ts'
import type { RunView, TableView, TreeView } from './strategy.ts'

export interface Hull {
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

export function overlaps(a: Hull, b: Hull): boolean {
  return compareKeys(a.firstKey, b.lastKey) <= 0 && compareKeys(b.firstKey, a.lastKey) <= 0
}

/** Undefined without tables. */
export function hullOf(tables: Iterable<TableView>): Hull | undefined {
  let firstKey: Uint8Array | undefined
  let lastKey: Uint8Array | undefined
  for (const table of tables) {
    if (firstKey === undefined || compareKeys(table.firstKey, firstKey) < 0) firstKey = table.firstKey
    if (lastKey === undefined || compareKeys(table.lastKey, lastKey) > 0) lastKey = table.lastKey
  }
  return firstKey === undefined || lastKey === undefined ? undefined : { firstKey, lastKey }
}

export function hasHidden(run: RunView, hidden: TreeView['hidden']): boolean {
  if (hidden.size === 0) return false
  for (const table of run.tables) if (hidden.has(table.id)) return true
  return false
}
