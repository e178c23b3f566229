/**
 * A version: which tables exist, in which runs, and where the log begins. Immutable.
 *
 * Invariants
 * 1. A table belongs to one run; a run's tables are sorted by key and hold no key twice.
 * 2. Every sequence number <= `lastSeq` is in a table; later ones are in log segments >= `logFloor`, except ranges in `ahead`,
 *    which a large transaction brought as tables while smaller numbers were in the log only. The log has a gap there. The ranges
 *    are ascending, disjoint, and begin above `lastSeq` + 1; one that `lastSeq` reaches is absorbed.
 * 3. `number` grows by one with every commit; `epoch` with every writer that opens the store.
 * 4. No file of the store has a number >= `nextFile`.
 * 5. Log segments below `earlier.before` belong to earlier owners: only those listed there are history, each up to its length.
 *    Anything a fenced owner appended is not.
 * 6. A version with `closed` is the last of its epoch: nothing was written after it.
 */

export interface TableRecord {
  fileNumber: number
  fileBytes: number
  entries: number
  deletes: number
  /** Added to every sequence number in the file; only in tables of a large transaction. Absent: 0. */
  seqOffset?: number
}

/** First and last sequence number, inclusive. */
export type SeqRange = readonly [number, number]

export interface RunRecord {
  /** Unique for the life of the store. */
  id: number
  level: number
  tables: readonly TableRecord[]
}

export interface Version {
  number: number
  epoch: number
  lastSeq: number
  logFloor: number
  nextFile: number
  nextRun: number
  strategy: StrategyRecord
  /** Absent: none. */
  ahead?: readonly SeqRange[]
  /** Absent: no segment >= `logFloor` belongs to an earlier owner. */
  earlier?: EarlierLogs
  runs: readonly RunRecord[]
  /** Only in the last version of a store closed with something in its log; the next opening drops it. */
  closed?: ClosedRecord
}

export interface EarlierLogs {
  /** The first file number of this owner. */
  before: number
  /** Segment number and bytes, ascending. */
  logs: readonly (readonly [number, number])[]
  /** All of it was durable when this was written, with its large values. Absent: written by a build that did not make sure. */
  durable?: boolean
}

/** Durable content of the log when the store was closed. */
export interface ClosedRecord {
  /** Of the last operation in the log. */
  lastSeq: number
  /** Segment number and bytes, ascending. */
  logs: readonly (readonly [number, number])[]
}

/** Name and parameters of the last strategy. */
export interface StrategyRecord {
  name: string
  parameters: Readonly<Record<string, number>>
}

export interface VersionEdit {
  remove?: readonly number[]
  add?: { tables: readonly TableRecord[], level: number, joinsRun: boolean } | undefined
  /** Further runs, of level 0. */
  addRuns?: readonly (readonly TableRecord[])[]
  /** Sequence numbers in the added tables, while smaller ones may be in no table yet. */
  ahead?: SeqRange
  lastSeq?: number
  logFloor?: number
  nextFile?: number
  epoch?: number
  strategy?: StrategyRecord
  closed?: ClosedRecord
}

/** The version after an edit. `order` sorts the tables of a run by key. */
export function applyEdit(version: Version, edit: VersionEdit, order: (tables: TableRecord[]) => TableRecord[]): Version {
  const removed = new Set(edit.remove)
  let nextRun = version.nextRun
  const runs: RunRecord[] = []
  for (const run of version.runs) {
    const tables = removed.size === 0 ? run.tables : run.tables.filter(table => !removed.has(table.fileNumber))
    if (tables.length > 0) runs.push(tables.length === run.tables.length ? run : { ...run, tables })
  }
  const { add } = edit
  if (add !== undefined && add.tables.length > 0) {
    const at = add.joinsRun ? runs.findIndex(run => run.level === add.level) : -1
    if (at < 0) runs.push({ id: nextRun++, level: add.level, tables: add.tables })
    else runs[at] = { ...runs[at]!, tables: order([...runs[at]!.tables, ...add.tables]) }
  }
  for (const tables of edit.addRuns ?? []) runs.push({ id: nextRun++, level: 0, tables })
  const logFloor = edit.logFloor ?? version.logFloor
  const { earlier } = version
  const { lastSeq, ahead } = settled(edit.lastSeq ?? version.lastSeq, [...version.ahead ?? [], ...edit.ahead === undefined ? [] : [edit.ahead]])
  return {
    number: version.number + 1,
    epoch: edit.epoch ?? version.epoch,
    lastSeq,
    logFloor,
    nextFile: Math.max(version.nextFile, edit.nextFile ?? 0),
    nextRun,
    strategy: edit.strategy ?? version.strategy,
    ...(ahead.length === 0 ? {} : { ahead }),
    ...(earlier === undefined || earlier.before <= logFloor ? {} : { earlier: { ...earlier, logs: earlier.logs.filter(([number]) => number >= logFloor) } }),
    runs,
    // The previous one is not carried over.
    ...(edit.closed === undefined ? {} : { closed: edit.closed }),
  }
}

/** The sequence number after `seq` in the log, which skips `ahead`. */
export function nextLogged(version: Pick<Version, 'ahead'>, seq: number): number {
  let next = seq + 1
  for (const [first, last] of version.ahead ?? []) if (first === next) next = last + 1
  return next
}

/** Absorb ranges that `lastSeq` has reached, join neighbours. `ahead` is ascending. */
function settled(lastSeq: number, ahead: readonly SeqRange[]): { lastSeq: number, ahead: SeqRange[] } {
  const left: SeqRange[] = []
  for (const [first, last] of ahead) {
    const before = left.at(-1)
    if (first <= lastSeq + 1) lastSeq = Math.max(lastSeq, last)
    else if (before !== undefined && before[1] + 1 === first) left[left.length - 1] = [before[0], last]
    else left.push([first, last])
  }
  return { lastSeq, ahead: left }
}
