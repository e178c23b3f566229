/**
 * Staged tables, which no manifest names yet, in runs like those of the store.
 *
 * Invariants
 * 1. A staged table is only a file: it is handed over to the store, removed, or left to recovery.
 * 2. Tables of a run do not overlap. A table that overlaps none of a run joins it, unless that run is being merged.
 * 3. Output that cannot be opened changes nothing; its files are removed.
 *
 * Accounts: `table metadata` for open tables, `transactions` for the runs.
 */
import { compareKeys } from '../../base/bytes.ts'
import { SpillwayError } from '../../base/errors.ts'
import type { JobOutput } from '../../compaction/jobs.ts'
import type { RunRecord } from '../../manifest/version.ts'
import type { Lease } from '../../memory/budget.ts'
import type { StoreState } from '../state/store-state.ts'
import { METADATA_SPARE_BYTES } from '../engine/budget-plan.ts'
import type { Run } from '../state/run.ts'
import { Tree, recordOf } from '../state/tree.ts'

/** A run of the tree, and of its version. */
const RUN_BYTES = 640
const NO_VERSION = { number: 0, epoch: 0, lastSeq: 0, logFloor: 0, nextFile: 0, nextRun: 0 }

export class StagedRuns {
  readonly #core: StoreState
  readonly #lease: Lease
  #records: RunRecord[] = []
  #nextRun = 1
  #tree: Tree
  /** Runs being merged: no table may join them. */
  #merging: ReadonlySet<number> = new Set()

  constructor(core: StoreState) {
    this.#core = core
    this.#lease = core.engine.transactions.lease(0)
    this.#tree = this.#makeTree(undefined)
  }

  get records(): readonly RunRecord[] { return this.#records }
  get length(): number { return this.#records.length }
  /** Of the present tables. */
  get tree(): Tree { return this.#tree }

  /** Until `endMerge`. */
  beginMerge(runs: readonly Run[]): void {
    this.#merging = new Set(runs.map(({ id }) => id))
  }

  endMerge(): void {
    this.#merging = new Set()
  }

  /** Replace runs by new tables. Throws, and removes the tables, when they cannot be opened. */
  install(output: JobOutput, replaced: readonly Run[]): void {
    const core = this.#core
    const opened: number[] = []
    const gone = new Set(replaced.map(({ id }) => id))
    const records = output.tables.map(recordOf)
    try {
      // The spare for the store's own flushes and merges stays untouched, unless more memory comes back at once.
      const replacedTables = replaced.reduce((sum, run) => sum + run.readers.length, 0)
      const keptBytes = records.length < replacedTables ? 0 : METADATA_SPARE_BYTES
      for (const record of records) {
        core.tables.open(record, keptBytes)
        opened.push(record.fileNumber)
      }
      const most = this.#records.length + 1
      if (!this.#lease.resize(most * RUN_BYTES)) throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `no room for the ${most} runs of a transaction. ${this.#lease.account.budget.advice()}`)
    } catch (error) {
      for (const number of opened) core.tables.drop(number)
      this.removeFiles(output)
      throw error
    }
    for (const { valueFiles } of output.tables) core.valueFiles.retain(valueFiles)
    this.#records = this.#records.filter(({ id }) => !gone.has(id))
    this.#add({ id: this.#nextRun++, level: 0, tables: records })
    this.#tree = this.#makeTree(this.#tree)
    for (const run of replaced) for (const { fileNumber } of run.readers) this.#drop(fileNumber, false)
  }

  /** Files of tables that were never opened. */
  removeFiles(output: JobOutput | undefined): void {
    for (const { fileNumber } of output?.tables ?? []) this.#core.files.discard(this.#core.files.tablePath(fileNumber))
  }

  /** The tables belong to the store now. The tree is valid until then. */
  handOver(): void {
    this.#lease.release()
    this.#records = []
  }

  /** Close all tables; `keepsFiles`: a manifest may name them. */
  discard(keepsFiles: boolean): void {
    this.#lease.release()
    for (const { tables } of this.#records) for (const { fileNumber } of tables) this.#drop(fileNumber, keepsFiles)
    this.#records = []
  }

  /** With ordered keys most tables do not overlap, and form one run. */
  #add(added: RunRecord): void {
    const isApart = ({ id }: RunRecord): boolean => !this.#merging.has(id) && (this.#tree.runs.find(run => run.id === id)?.tables.every(table => {
      for (const record of added.tables) if (this.#overlap(record.fileNumber, table)) return false
      return true
    }) ?? false)
    const at = this.#records.findIndex(isApart)
    if (at < 0) {
      this.#records.push(added)
      return
    }
    const run = this.#records[at]!
    const tables = [...run.tables, ...added.tables].sort((a, b) => compareKeys(this.#hull(a.fileNumber)[0], this.#hull(b.fileNumber)[0]))
    this.#records[at] = { ...run, tables }
  }

  #overlap(fileNumber: number, table: { firstKey: Uint8Array, lastKey: Uint8Array }): boolean {
    const [first, last] = this.#hull(fileNumber)
    return compareKeys(first, table.lastKey) <= 0 && compareKeys(table.firstKey, last) <= 0
  }

  /** First and last key of entries and range tombstones. */
  #hull(fileNumber: number): [Uint8Array, Uint8Array] {
    const { firstKey, lastKey, rangeStart, rangeEnd } = this.#core.tables.get(fileNumber).properties
    const first = firstKey === undefined || rangeStart !== undefined && compareKeys(rangeStart, firstKey) < 0 ? rangeStart! : firstKey
    const last = lastKey === undefined || rangeEnd !== undefined && compareKeys(rangeEnd, lastKey) > 0 ? rangeEnd! : lastKey
    return [first, last]
  }

  #makeTree(before: Tree | undefined): Tree {
    const { tables, strategy } = this.#core
    return new Tree({ ...NO_VERSION, strategy: { name: strategy.name, parameters: {} }, runs: this.#records }, tables.readers, strategy, before)
  }

  #drop(fileNumber: number, keepsFile: boolean): void {
    const core = this.#core
    const reader = core.tables.get(fileNumber)
    const { valueFiles } = reader.properties
    core.engine.reading.cache.dropTable(reader.id)
    core.tables.drop(fileNumber)
    if (keepsFile) return
    core.files.discard(core.files.tablePath(fileNumber))
    core.valueFiles.release(valueFiles)
  }
}
