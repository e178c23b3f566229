/** Spillway: an embedded, ordered key-value store that keeps all its memory inside one budget. */
export { Spillway } from './store/spillway.ts'
export { SpillwayIterator } from './store/iterator.ts'
export { Transaction } from './store/transaction.ts'
export { ConflictError } from './store/transaction-conflicts.ts'
export { Snapshot } from './store/snapshots.ts'
export { CorruptionError, SpillwayError } from './base/errors.ts'
export type { SpillwayErrorCode } from './base/errors.ts'
export { Budget } from './memory/budget.ts'
export type { AccountReport, MemoryReport } from './memory/budget.ts'
export type { Codec, Decoded, Encodable, Encoding, EncodingName, EncodingOf } from './store/encoding-types.ts'
export type {
  BatchOperation, BeginOptions, CompactionOption, CompressionOption, Durability, GovernorReport, IteratorOptions, OpenOptions, RangeOptions, ReadOptions,
  RemovalReport, StallCause, StallReport, StallTally, StoreOptions, StoreStats, TransactionOptions, TransactionReport, VerifyReport, WriteOptions,
} from './store/types.ts'
export type { BudgetEvent, ErrorEvent, FlushEvent, MemoryEvent, MergeEvent, StallEvent } from './store/events.ts'
export type { TunerDecision } from './memory/tuner.ts'
