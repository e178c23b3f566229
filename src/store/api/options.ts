/** Public options of the store: opening, writing, reading, transactions. */
import type { Budget } from '../../memory/budget.ts'
import type { Host } from '../../host/host.ts'
import type { LeveledOptions } from '../../compaction/leveled.ts'
import type { TieredOptions } from '../../compaction/tiered.ts'
import type { KeyEncodingFor, NoEncodings, ValueEncodingFor } from '../../encoding/encoding-types.ts'
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
