/** Public options of the store: opening, writing, reading, transactions. */
import type { LeveledOptions } from '../../compaction/leveled.ts'
import type { TieredOptions } from '../../compaction/tiered.ts'
import type { KeyEncodingFor, NoEncodings, ValueEncodingFor } from '../../encoding/encoding-types.ts'
import type { Host } from '../../host/host.ts'
import type { Budget } from '../../memory/budget.ts'
import type { Snapshot } from './snapshots.ts'

/**
 * What an acknowledged write survives: 'none' = nothing (it is in memory), 'os' = the death of the process,
 * 'disk' = the death of the machine.
 */
export type Durability = 'none' | 'os' | 'disk'

/** One codec for all levels, or one per level (the last one counts for all deeper levels). */
export type CompressionOption = 'none' | 'lz4' | readonly ('none' | 'lz4')[]

/** A compaction strategy by name, with its defaults or with parameters. */
export type CompactionOption =
  | 'tiered' | 'leveled'
  | ({ strategy: 'tiered' } & TieredOptions)
  | ({ strategy: 'leveled' } & LeveledOptions)

/** Options of `Spillway.open` except the encodings. */
export interface StoreOptions {
  /**
   * Maximum memory of the store: bytes, a text such as "64 MiB", or a `Budget` that several stores share. Minimum about 6.1 MiB.
   * Default: a quarter of the memory the process may use.
   */
  budget?: number | string | Budget | undefined
  /** Durability of writes that do not choose their own. Default 'os'. */
  durability?: Durability | undefined
  /** Create a store in a directory without one. Default true. */
  createIfMissing?: boolean | undefined
  /** Refuse a directory that already has a store. Default false. */
  errorIfExists?: boolean | undefined
  /** Compaction strategy. Default: the one the store was last opened with; for a new store 'tiered'. */
  compaction?: CompactionOption | undefined
  /** Compression of blocks. Default 'lz4'. */
  compression?: CompressionOption | undefined
  /** Uncompressed bytes of a block, 1,024 to 65,536. Default 4,096. */
  blockBytes?: number | undefined
  /** Filter bits per key, 0 to 64; 0 = no filter. Default 10: about 1 % false positives. */
  filterBitsPerKey?: number | undefined
  /** @internal A fixed share of the budget for memtables, 0 to 1, for comparisons. Default: moved by the tuner. */
  writeShare?: number | undefined
  /** @internal For benchmarks: false = cached blocks are never kept compressed. */
  compressedCache?: boolean | undefined
  /** @internal For tests and benchmarks: false = single rows are not cached. */
  rowCache?: boolean | undefined
  /** @internal For tests: true = blocks are read off the main thread, however fast reads are. */
  coldReads?: boolean | undefined
  /** @internal Change nothing, take no lock, and refuse every write with READ_ONLY. Default false. */
  readOnly?: boolean | undefined
  /** @internal The outside world; for tests. Default: this machine. */
  host?: Host | undefined
}

/**
 * Options of `Spillway.open` for keys of type `K` and values of type `V`. `keyEncoding` and `valueEncoding` default to 'utf8', and
 * are required where that does not give a `K` or a `V`.
 */
export type OpenOptions<K = string, V = string> = StoreOptions & KeyEncodingFor<K> & ValueEncodingFor<V>

/** Options of a write in the store's encodings. For others add `keyEncoding` and `valueEncoding`. */
export interface WriteOptions extends DurableOptions, NoEncodings {}

/** Durability and cancellation of a write. */
export interface DurableOptions {
  /** What the write survives once it is acknowledged. Default: the store's. */
  durability?: Durability | undefined
  /** Cancels a write that waits for memory: it rejects with ABORTED and leaves no trace. A write that has memory is not cancelled. */
  signal?: AbortSignal | undefined
}

/** Options of `db.begin`. */
export interface BeginOptions {
  /** What the commit survives. Default: the store's. A transaction that was written to tables always survives the machine. */
  durability?: Durability | undefined
  /** Once aborted, every call of the transaction and its commit fail with ABORTED, and nothing is written. */
  signal?: AbortSignal | undefined
}

/** Options of `db.transaction`. */
export interface TransactionOptions extends BeginOptions {
  /** How often the function runs again after a conflict. Default 5. */
  retries?: number | undefined
}

/** Options of a read in the store's encodings. For others add `keyEncoding` and `valueEncoding`. */
export interface ReadOptions extends SnapshotOptions, NoEncodings {}

/** The state a read sees. */
export interface SnapshotOptions {
  /** Read as of this snapshot. Default: the newest state. */
  snapshot?: Snapshot | undefined
}

/** A range of keys, in the key encoding. Leave a bound out to leave that side open; undefined is refused. */
export interface RangeOptions<K = string> {
  /** Keys after this one. */
  gt?: K
  /** Keys from this one on. */
  gte?: K
  /** Keys before this one. */
  lt?: K
  /** Keys up to this one. */
  lte?: K
}

/** A range, its order and limit. */
export interface OrderOptions<K = string> extends RangeOptions<K> {
  /** From the last key to the first. Default false. */
  reverse?: boolean | undefined
  /** Maximum number of entries; -1 or Infinity = all. Default all. */
  limit?: number | undefined
}

/** Options of an iterator over keys of type `K`, in the store's encodings. For others add `keyEncoding` and `valueEncoding`. */
export interface IteratorOptions<K = string> extends OrderOptions<K>, ReadOptions {}

/** One operation of `db.batch`. */
export type BatchOperation<K, V> =
  | { type: 'put', key: K, value: V }
  | { type: 'del', key: K }
