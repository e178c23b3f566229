/** The shapes of the public API: options, operations, reports. */
import type { Budget, MemoryReport } from '../memory/budget.ts'
import type { RowShareStats } from '../cache/read-cache.ts'
import type { SecondLevelStats } from '../cache/two-level-cache.ts'
import type { TunerDecision } from '../memory/tuner.ts'
import type { Host } from '../host/host.ts'
import type { LeveledOptions } from '../compaction/leveled.ts'
import type { TieredOptions } from '../compaction/tiered.ts'
import type { KeyEncodingFor, NoEncodings, ValueEncodingFor } from './encoding-types.ts'
import type { RemovalReport } from './removals.ts'
import type { Snapshot } from './snapshots.ts'

/**
 * What an acknowledged write survives: 'none' = nothing (it is in memory), 'os' = the death of the process,
 * 'disk' = the death of the machine.
 */
export type Durability = 'none' | 'os' | 'disk'

/** One codec for all levels, or one per level (the last one counts for all deeper levels). */
export type CompressionOption = 'none' | 'lz4' | readonly ('none' | 'lz4')[]

export type CompactionOption =
  | 'tiered' | 'leveled'
  | ({ strategy: 'tiered' } & TieredOptions)
  | ({ strategy: 'leveled' } & LeveledOptions)

/** All of them but the encodings. */
export interface StoreOptions {
  /**
   * Everything the store may hold in memory: bytes, "64 MiB", or a `Budget` that several stores share.
   * Default: a quarter of what the process may use.
   */
  budget?: number | string | Budget | undefined
  /** Default of every write. Default 'os'. */
  durability?: Durability | undefined
  /** Make the store if the directory has none. Default true. */
  createIfMissing?: boolean | undefined
  /** Refuse a directory that already has a store. Default false. */
  errorIfExists?: boolean | undefined
  /** Default: what the store was last opened with; for a new store 'tiered'. */
  compaction?: CompactionOption | undefined
  /** Default 'lz4'. */
  compression?: CompressionOption | undefined
  /** Uncompressed bytes of a block. Default 4096. */
  blockBytes?: number | undefined
  /** Bits of filter per key; 0 = no filter. Default 10. */
  filterBitsPerKey?: number | undefined
  /** @internal A fixed share of the budget for memtables, instead of one that moves with the load; for comparisons. */
  writeShare?: number | undefined
  /** @internal For benchmarks: false = blocks are never kept as they are stored. */
  compressedCache?: boolean | undefined
  /** @internal For tests and benchmarks: false = rows are not kept by themselves. */
  rowCache?: boolean | undefined
  /** @internal For tests: true = blocks are read beside the thread, however fast reads are. */
  coldReads?: boolean | undefined
  /** @internal Nothing of the store is changed, no lock is taken, and every write is READ_ONLY; for commands that only read. Default false. */
  readOnly?: boolean | undefined
  /** @internal The outside world; for tests. Default: this machine. */
  host?: Host | undefined
}

/**
 * How a store is opened whose keys are a `K` and whose values a `V`. `keyEncoding` and `valueEncoding` are 'utf8' by default, and have to be
 * given where that does not give a `K` or a `V`.
 */
export type OpenOptions<K = string, V = string> = StoreOptions & KeyEncodingFor<K> & ValueEncodingFor<V>

/** Of a write in the encodings of its store. To give others, `keyEncoding` and `valueEncoding`, beside them. */
export interface WriteOptions extends DurableOptions, NoEncodings {}

export interface DurableOptions {
  /** Default: the store's. */
  durability?: Durability | undefined
  /** Ends a write that waits for room: it is rejected with ABORTED and leaves no trace. Once it has room it is written. */
  signal?: AbortSignal | undefined
}

export interface BeginOptions {
  /** What its commit survives. One that had to go to tables always survives the machine. Default: the store's. */
  durability?: Durability | undefined
  /** Once aborted, everything in the transaction and its commit fail with ABORTED, and nothing of it is written. */
  signal?: AbortSignal | undefined
}

export interface TransactionOptions extends BeginOptions {
  /** How often the function is run again after a conflict. Default 5. */
  retries?: number | undefined
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

/** Of a read in the encodings of its store. To give others, `keyEncoding` and `valueEncoding`, beside them. */
export interface ReadOptions extends SnapshotOptions, NoEncodings {}

export interface SnapshotOptions {
  /** Read as of this snapshot. */
  snapshot?: Snapshot | undefined
}

/** Which keys: bounds are keys in the key encoding. One that is not wanted is left out; undefined is refused. */
export interface RangeOptions<K = string> {
  gt?: K
  gte?: K
  lt?: K
  lte?: K
}

/** Which keys of a range, and in which order. */
export interface OrderOptions<K = string> extends RangeOptions<K> {
  /** From the last key to the first. Default false. */
  reverse?: boolean | undefined
  /** At most so many entries; -1 or Infinity = all. Default all. */
  limit?: number | undefined
}

/** Of an iterator over keys of the type `K`, in the encodings of its store. To give others, `keyEncoding` and `valueEncoding`, beside them. */
export interface IteratorOptions<K = string> extends OrderOptions<K>, ReadOptions {}

export type BatchOperation<K, V> =
  | { type: 'put', key: K, value: V }
  | { type: 'del', key: K }

/**
 * Why writers are slowed. Waits: 'flush' = the memtable before is still being written, 'merge' = so many runs that a merge must
 * end first, 'memory' = the memory is in use elsewhere, by other stores or merges. Delays: 'runs' and 'debt' = merges fall behind.
 * 'work' = a small budget has no worker, and the write did a share of flushing and merging itself.
 */
export type StallCause = 'flush' | 'merge' | 'memory' | 'runs' | 'debt' | 'work'

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

export type { MemoryReport, RemovalReport }
