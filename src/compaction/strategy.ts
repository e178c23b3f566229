/**
 * Which sorted runs to merge: the interface of strategies, and the views they decide on.
 *
 * Invariants
 * 1. A strategy is a pure function of the view: the same view gives the same pick, so a failed merge needs no undoing.
 * 2. A pick names at least one table and no hidden one; a pick that would need a hidden table is declined.
 * 3. Picking and merging ends: every pick removes runs or moves bytes to a deeper level.
 *
 * A strategy looks at sizes and key hulls only. Picks by size are not contiguous in age, so a run's index says nothing about one
 * key: reads and merges go by sequence numbers.
 *
 * Cost: linear in runs and tables (tiered sorts its runs). Ask once per version of the tree.
 */
export interface TableView {
  readonly id: number
  /** On disk. */
  readonly bytes: number
  readonly entries: number
  /** Tombstones. */
  readonly deletes: number
  /** Inclusive hull of all keys and range tombstones. */
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

export interface RunView {
  readonly id: number
  /** 0 = from a flush, or any run of a tiered tree. */
  readonly level: number
  /** Over all tables, on disk. */
  readonly bytes: number
  /** Largest sequence number within. */
  readonly maxSeq: number
  /** Sorted by key, without common keys; hulls may touch where a range tombstone was cut. */
  readonly tables: readonly TableView[]
}

export interface TreeView {
  /** Newest first. */
  readonly runs: readonly RunView[]
  /** Tables of running merges. */
  readonly hidden: ReadonlySet<number>
}

export interface Pick {
  /** Table ids: runs newest first, then by key. */
  readonly tables: number[]
  readonly outputLevel: number
  /** The output joins the one run of its level; otherwise it forms a run. */
  readonly joinsRun: boolean
  /** Cut output tables at this size. */
  readonly targetTableBytes: number
  /** For people and logs, such as 'space amplification 300 % >= 200 %'. */
  readonly reason: string
  /** The store can go on without it: a failure is only reported. */
  readonly isOptional?: boolean
}

export interface Strategy {
  readonly name: 'tiered' | 'leveled'
  /**
   * Every parameter after defaults and floors: finite numbers, `UNLIMITED` = off. `createStrategy({ name, ...parameters })` gives
   * the same strategy again, so the manifest keeps these.
   */
  readonly parameters: Readonly<Record<string, number>>
  /** Output tables are cut at this size. */
  readonly targetTableBytes: number
  /** Outputs join the one run of their level; else each output is a run, and any runs may be merged. */
  readonly joinsRuns: boolean
  /** The most useful merge now, or undefined. */
  pick(tree: TreeView): Pick | undefined
  /** Bytes that merges are behind, including running ones. */
  debtBytes(tree: TreeView): number
  /** Runs a read of any key may probe, for the stall verdict, including running merges. */
  runCount(tree: TreeView): number
}
