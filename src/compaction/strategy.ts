/**
 * Which sorted runs to merge: the shape every strategy has, and the views it decides on.
 *
 * Invariants
 * 1. A strategy is a pure function of the view: no state, no clock, no randomness. The same view gives the same pick,
 *    so a merge that failed needs no undoing: unhide its inputs and ask again.
 * 2. A pick names at least one table and no hidden one; a pick that would need a hidden table is declined.
 * 3. Picking and merging until nothing is picked ends: every pick takes runs away or moves bytes to a deeper level.
 *
 * A strategy looks at sizes and key hulls only. Picks by size are not contiguous in age, so a run's place in the list says
 * nothing about one key: reads, and the merge that drops tombstones, must go by the sequence numbers of entries.
 *
 * Cost: linear in runs and tables (tiered sorts its runs). Ask once per version of the tree, not once per write.
 */
export interface TableView {
  readonly id: number
  /** Whole bytes on disk. */
  readonly bytes: number
  readonly entries: number
  /** Entries that are tombstones. */
  readonly deletes: number
  /** The inclusive hull of every key and range tombstone within. */
  readonly firstKey: Uint8Array
  readonly lastKey: Uint8Array
}

export interface RunView {
  readonly id: number
  /** 0 = straight from a flush, or any run of a tiered tree. */
  readonly level: number
  /** Whole bytes on disk, over all tables. */
  readonly bytes: number
  /** Largest sequence number within. */
  readonly maxSeq: number
  /** Sorted by key. They share no key; a hull may touch its neighbour's where a range tombstone was cut. */
  readonly tables: readonly TableView[]
}

export interface TreeView {
  /** Newest first. */
  readonly runs: readonly RunView[]
  /** Ids of the tables a running merge reads. */
  readonly hidden: ReadonlySet<number>
}

export interface Pick {
  /** Ids of the tables to merge: runs newest first, then by key. */
  readonly tables: number[]
  readonly outputLevel: number
  /** The output joins the single run of its level; otherwise it forms a run of its own. */
  readonly joinsRun: boolean
  /** Cut output tables at this size. */
  readonly targetTableBytes: number
  /** For people and logs, such as 'space amplification 300 % >= 200 %'. */
  readonly reason: string
  /** The store can go on without it, for ever: should it fail, that is told and no more. */
  readonly isOptional?: boolean
}

export interface Strategy {
  readonly name: 'tiered' | 'leveled'
  /**
   * Every parameter in force, after defaults and floors: finite numbers, `UNLIMITED` where something is off.
   * `createStrategy({ name, ...parameters })` gives the same strategy again, so this is what the manifest keeps.
   */
  readonly parameters: Readonly<Record<string, number>>
  /** Output tables are cut at this size. */
  readonly targetTableBytes: number
  /** Outputs join the one run of their level; else each output is a run of its own, and any runs may be merged. */
  readonly joinsRuns: boolean
  /** The most useful merge now, or undefined. */
  pick(tree: TreeView): Pick | undefined
  /** Bytes that merges are behind, over all runs, also those in flight. */
  debtBytes(tree: TreeView): number
  /** Runs that a read of any key may have to ask, for the stall verdict; also those in flight. */
  runCount(tree: TreeView): number
}
