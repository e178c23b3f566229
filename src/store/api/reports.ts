/** Public reports: `stats()`, `verify()`, stalls, transactions, removals. */
import type { RowShareStats } from '../../cache/read-cache.ts'
import type { SecondLevelStats } from '../../cache/two-level-cache.ts'
import type { TunerDecision } from '../../memory/tuner.ts'
import type { StallCause } from './events.ts'
import type { Durability } from './options.ts'

export interface RemovalReport {
  /** Files whose removal failed. */
  failed: number
  /** Of those, how many are there still and are tried again. */
  left: number
}

export interface TransactionReport {
  open: number
  /** What open ones have written, in memory and in tables; of that, what is in tables. */
  bytes: number
  tableBytes: number
  /** Of the one that has been open longest. */
  oldestAgeMs?: number
  /** Since the store was opened. */
  committed: number
  conflicts: number
}

export interface StallTally {
  count: number
  totalMs: number
  longestMs: number
}

export interface StallReport extends StallTally {
  byCause: Record<StallCause, StallTally>
  /** What a write of 64 KiB is delayed by now, computed from the tree as it is. */
  verdict: { delayMs: number, stop: boolean, cause?: 'runs' | 'debt' }
  /** Writers wait now. */
  current?: { cause: StallCause, ageMs: number }
  /** The latest that have ended, oldest first. */
  recent: { cause: StallCause, agoMs: number, durationMs: number }[]
}

export interface GovernorReport {
  /** When a memtable is sealed: `rateBytesPerSecond` is what is asked for, `pressure` from 0 to 1 (absent: never known). */
  memtable: { sizeBytes: number, rateBytesPerSecond: number, pressure?: number, pressureKnown: boolean }
  /** Credits for unflushed data, in bytes of memtable arenas: how many there are, how many are held, stores that wait for some. */
  credits: { limitBytes: number, usedBytes: number, waiting: number }
  /** The boundary between write memory and cache, why it is where it is, and how it moved. */
  tuner: { enabled: boolean, writeBytes: number, cacheBytes: number, standing: string, decisions: readonly TunerDecision[] }
  /** Shares of the memory of machine and container in use; null: unknown. `cacheLimitBytes`: there is pressure, the cache gives way. */
  host: { parts: Record<string, number | null>, cacheLimitBytes?: number }
}

export interface StoreStats {
  /** Writer epoch, manifest number. */
  epoch: number
  manifest: number
  lastSeq: number
  durability: Durability
  strategy: { name: string, parameters: Readonly<Record<string, number>> }
  /** Newest first. */
  runs: { id: number, level: number, tables: number, bytes: number, entries: number, deletes: number }[]
  tables: number
  /** Bytes of all tables on disk. */
  tableBytes: number
  valueFiles: number
  memtables: { entries: number, bytes: number, capacityBytes: number, sealed: boolean }[]
  written: {
    /** Keys and values as the caller gave them. */
    userBytes: number
    operations: number
    logBytes: number
    flushBytes: number
    mergeBytes: number
    valueFileBytes: number
    manifestBytes: number
    /** (log + flush + merge + value files + manifest) / user. */
    amplification: number
  }
  flushes: number
  merges: number
  backgroundErrors: number
  lastBackgroundError?: string
  /** Files that nothing needs any more and that could not be removed; see `spillway:error`. */
  removals: RemovalReport
  /** How long and why writers were made to wait since the store was opened. */
  stalls: StallReport
  /** Writes that wait for room now. */
  waiting: { writes: number, bytes: number }
  /** Bytes of the entries that are in memory and not yet in a table. */
  unflushedBytes: number
  /** How the memory of the budget is governed: of all stores that share it. */
  governor: GovernorReport
  /** Blocks in memory; `compressed`: the second level, which holds them as they are stored; `rows`: single rows that are read often. */
  cache: { hits: number, misses: number, blocks: number, bytes: number, compressed: SecondLevelStats, rows: RowShareStats }
  transactions: TransactionReport
  snapshots: { open: number, oldestSeq?: number, oldestAgeMs?: number }
  iterators: number
  recovery: { logSegments: number, operations: number, droppedBytes: number, orphansRemoved: number, elapsedMs: number }
  /** Where flushes and merges run: a thread of their own, or slices of 2 ms on the main thread. */
  background: 'worker' | 'inline'
  /** Why they run on the main thread. */
  backgroundReason?: string
}

export interface VerifyReport {
  /** Files that were checked, damaged ones included. */
  manifests: number
  logs: number
  tables: number
  valueFiles: number
  /** Of all these files, those in which nothing is wrong. */
  sound: number
  /** What was found whole: entries of sound tables, data blocks of all tables, operations of sound log segments. */
  entries: number
  blocks: number
  operations: number
  /** Bytes of the files that were checked. */
  bytes: number
  /** Each damaged place, up to 100 of one file; empty = all is well. A file that is missing, or cannot be read, is in it too. */
  errors: { file: string, offset?: number, message: string }[]
  /** What is no damage: leftovers of a crash, files of somebody else, an unfinished write at the end of the log. */
  notes: { file: string, message: string }[]
}
