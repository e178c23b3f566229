/** Staged tables become part of the store: for large transactions and for batches that no memtable can take. */
import type { Operations } from '../api/operation.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import type { StagedTables } from './staged-tables.ts'
import { storedValue } from './staged-values.ts'

/** A store and its staged tables. */
export interface Installing {
  readonly core: StoreState
  readonly background: Background
  readonly committer: StagedCommit
}

/** The part of the log writer it uses. */
export interface StagedCommit {
  commitPending(): void
  endSegment(): void
  skipTo(seq: number): void
}

/** Write a batch that no memtable can hold, within its call: no other write comes between. */
export function writeLargeBatch(parts: Installing, tables: StagedTables, operations: Operations): void {
  const { core, background, committer } = parts
  const waitInside = (): void => {
    if (!background.waitInside()) tables.checkStuck()
    core.health.checkWritable()
  }
  committer.commitPending()
  for (let i = 0; i < operations.count; i++) {
    operations.load(i)
    const value = storedValue(core, operations)
    const { key, keyStart, keyEnd } = operations
    try {
      while (!tables.tryWrite(value.kind, key, keyStart, keyEnd, value.bytes, value.start, value.end)) waitInside()
    } catch (error) {
      value.forget(core)
      throw error
    }
  }
  tables.finishing = true
  while (!tables.sealAll() || tables.isBusy || background.installer.isBusy) waitInside()
  operations.prepare?.()
  installTables(parts, tables)
}

export function installTables({ core, background, committer }: Installing, tables: StagedTables): void {
  core.health.checkWritable()
  if (tables.runs.length === 0) {
    tables.handOver()
    return
  }
  committer.endSegment()
  const offset = core.lastSeq
  const lastSeq = offset + tables.lastSeq
  const shift = (by: number): void => {
    for (const { tables: records } of tables.runs) for (const { fileNumber } of records) core.tables.get(fileNumber).shift(by)
  }
  shift(offset)
  try {
    background.installer.now([], { addRuns: tables.runs.map(run => run.tables.map(table => ({ ...table, seqOffset: offset }))), ahead: [offset + 1, lastSeq] })
  } catch (error) {
    shift(0)
    // A manifest may exist that names them.
    tables.keepsFiles = core.health.readOnlyReason !== undefined
    throw error
  }
  const { userBytes, lastSeq: operations } = tables
  tables.handOver()
  core.lastSeq = lastSeq
  committer.skipTo(lastSeq + 1)
  core.counters.userBytes += userBytes
  core.counters.operations += operations
  for (const watcher of core.watchers) watcher.onMany(false)
  core.engine.jobs.progress()
}
