/**
 * Which sorted runs to merge: the interface of strategies, and the views they decide on.
 *
 * Invariants
 * 1. A strategy is a pure function of the view, so a failed merge needs no undoing.
 * 2. A pick names at least one table and no hidden one.
 * 3. Picking and merging ends: every pick removes runs or moves bytes to a deeper level.
 *
 * Picks by size are not contiguous in age, so a run's index says nothing about one key: reads and merges go by sequence numbers.
 *
 * Cost: linear in runs and tables (tiered sorts its runs). Ask once per version of the tree.
 */
export interface TableView {
  readonly id: number
  /** On disk. */
  readonly bytes: number
  readonly entries: number
  readonly deletes: number
  /** Inclusive hull of all keys and range tombstones. */
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

export interface RunView {
  readonly id: number
  /** 0 = from a flush, or any run of a tiered tree. */
  readonly level: number
  /** On disk. */
  readonly bytes: number
  readonly maxSeq: number
  /** By key. Hulls may touch where a range tombstone was cut. */
  readonly tables: readonly TableView[]
}

export interface TreeView {
  /** Newest first. */
  readonly runs: readonly RunView[]
  /** Tables of running merges. */
  readonly hidden: ReadonlySet<number>
}

export interface Pick {
  /** Runs newest first, then by key. */
  readonly tables: number[]
  readonly outputLevel: number
  /** The output joins the one run of its level; otherwise it forms a run. */
  readonly joinsRun: boolean
  readonly targetTableBytes: number
  /** For logs, such as 'space amplification 300 % >= 200 %'. */
  readonly reason: string
  /** A failure is only reported. */
  readonly isOptional?: boolean
}

export interface Strategy {
  readonly name: 'tiered' | 'leveled'
  /**
   * With defaults applied: finite numbers, `UNLIMITED` = off. `createStrategy({ name, ...parameters })` gives the same strategy
   * again, so the manifest keeps these.
   */
  readonly parameters: Readonly<Record<string, number>>
  /** Output tables are cut at this size. */
  readonly targetTableBytes: number
  /** Outputs join the one run of their level; else each output is a run, and any runs may be merged. */
  readonly joinsRuns: boolean
  /** The most useful merge now. */
  pick(tree: TreeView): Pick | undefined
  /** Merge backlog, running merges included. */
  debtBytes(tree: TreeView): number
  /** Runs a read of any key may probe, running merges included. */
  runCount(tree: TreeView): number
}
