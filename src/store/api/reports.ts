/** Public reports: `stats()`, `verify()`, stalls, transactions, removals. Counts and bytes are since the store was opened. */
import type { RowShareStats } from '../../cache/read-cache.ts'
import type { SecondLevelStats } from '../../cache/two-level-cache.ts'
import type { TunerDecision } from '../../memory/tuner.ts'
import type { StallCause } from './events.ts'
import type { Durability } from './options.ts'

/** Obsolete files that could not be removed. */
export interface RemovalReport {
  /** Files whose removal failed. */
  failed: number
  /** Part of them that still exist and are retried. */
  left: number
}

/** Transactions of a store. */
export interface TransactionReport {
  /** Open transactions. */
  open: number
  /** Bytes written by open transactions, in memory and in tables. */
  bytes: number
  /** Part of `bytes` that is in tables. */
  tableBytes: number
  /** Age of the oldest open transaction, in ms. */
  oldestAgeMs?: number
  /** Transactions committed. */
  committed: number
  /** Commits refused for a conflict. */
  conflicts: number
}

/** Stalls of one cause, or of all. */
export interface StallTally {
  /** Waits and delays. */
  count: number
  /** Their total time, in ms. */
  totalMs: number
  /** The longest of them, in ms. */
  longestMs: number
}

/** How writes were slowed. */
export interface StallReport extends StallTally {
  /** These figures for each cause. */
  byCause: Record<StallCause, StallTally>
  /** The delay of a 64 KiB write now, from the state of the tree; `stop`: no further run before a merge ends. */
  verdict: { delayMs: number, stop: boolean, cause?: 'runs' | 'debt' }
  /** The present wait or delay, if any. */
  current?: { cause: StallCause, ageMs: number }
  /** The last 16 that have ended, oldest first. */
  recent: { cause: StallCause, agoMs: number, durationMs: number }[]
}

/** How the memory of a budget is governed, for all its stores. */
export interface GovernorReport {
  /** Size at which memtables are sealed. `rateBytesPerSecond`: write demand; `pressure`: 0 to 1, absent while unknown. */
  memtable: { sizeBytes: number, rateBytesPerSecond: number, pressure?: number, pressureKnown: boolean }
  /** Credits for unflushed data, in bytes of memtable arenas: limit, in use, and stores waiting for some. */
  credits: { limitBytes: number, usedBytes: number, waiting: number }
  /** The boundary between write memory and cache, why it stands there, and how it moved. */
  tuner: { enabled: boolean, writeBytes: number, cacheBytes: number, standing: string, decisions: readonly TunerDecision[] }
  /** Shares of host and container memory in use; null: unknown. `cacheLimitBytes`: set while the host is short of memory. */
  host: { parts: Record<string, number | null>, cacheLimitBytes?: number }
}

/** The report of `db.stats()`. */
export interface StoreStats {
  /** How often the store was opened for writing. */
  epoch: number
  /** Number of the newest manifest. */
  manifest: number
  /** Sequence number of the last write. */
  lastSeq: number
  /** Durability of writes that do not choose their own. */
  durability: Durability
  /** Compaction strategy and all its parameters. */
  strategy: { name: string, parameters: Readonly<Record<string, number>> }
  /** Sorted runs, newest first. */
  runs: { id: number, level: number, tables: number, bytes: number, entries: number, deletes: number }[]
  /** Number of tables. */
  tables: number
  /** Bytes of all tables on disk. */
  tableBytes: number
  /** Files of large values. */
  valueFiles: number
  /** The active memtable, then those being flushed. */
  memtables: { entries: number, bytes: number, capacityBytes: number, sealed: boolean }[]
  /** Bytes written, by destination. */
  written: {
    /** Keys and values as the caller gave them. */
    userBytes: number
    /** Puts, deletions and range deletions. */
    operations: number
    /** Bytes of log frames. */
    logBytes: number
    /** Bytes of tables written by flushes. */
    flushBytes: number
    /** Bytes of tables written by merges. */
    mergeBytes: number
    /** Bytes of large values written to files. */
    valueFileBytes: number
    /** Bytes of manifests. */
    manifestBytes: number
    /** (log + flush + merge + value files + manifest) / user bytes. */
    amplification: number
  }
  /** Memtables flushed. */
  flushes: number
  /** Merges finished. */
  merges: number
  /** Failed flushes and merges, retried ones included. */
  backgroundErrors: number
  /** Message of the last of them. */
  lastBackgroundError?: string
  /** Obsolete files that could not be removed; see `spillway:error`. */
  removals: RemovalReport
  /** How long and why writes were slowed. */
  stalls: StallReport
  /** Writes waiting for memory now. */
  waiting: { writes: number, bytes: number }
  /** Bytes of entries that are in memory and in no table yet. */
  unflushedBytes: number
  /** How the memory of the budget is governed, for all its stores. */
  governor: GovernorReport
  /** Cached blocks of all stores of the budget. `compressed`: blocks kept as stored; `rows`: single hot rows. */
  cache: { hits: number, misses: number, blocks: number, bytes: number, compressed: SecondLevelStats, rows: RowShareStats }
  /** Transactions. */
  transactions: TransactionReport
  /** Open snapshots, those of iterators included. */
  snapshots: { open: number, oldestSeq?: number, oldestAgeMs?: number }
  /** Open iterators. */
  iterators: number
  /** What opening recovered. `droppedBytes`: unfinished writes at the end of the log; `orphansRemoved`: leftover files. */
  recovery: { logSegments: number, operations: number, droppedBytes: number, orphansRemoved: number, elapsedMs: number }
  /** Where flushes and merges run: a worker thread, or slices of 2 ms on the main thread. */
  background: 'worker' | 'inline'
  /** Why they run on the main thread. */
  backgroundReason?: string
}

/** The report of `db.verify()` and `spillway verify`. */
export interface VerifyReport {
  /** Manifests checked, damaged ones included. */
  manifests: number
  /** Log segments checked. */
  logs: number
  /** Tables checked. */
  tables: number
  /** Value files checked. */
  valueFiles: number
  /** Checked files without damage. */
  sound: number
  /** Entries of sound tables. */
  entries: number
  /** Sound data blocks, of all tables. */
  blocks: number
  /** Operations of sound log segments. */
  operations: number
  /** Bytes of the checked files. */
  bytes: number
  /** Each damaged place, up to 100 per file, and each missing or unreadable file; empty = all is well. */
  errors: { file: string, offset?: number, message: string }[]
  /** Findings that are no damage: leftovers of a crash, foreign files, an unfinished write at the end of the log. */
  notes: { file: string, message: string }[]
}
