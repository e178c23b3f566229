/** Spillway: an embedded, ordered key-value store that keeps all its memory inside one budget. */
export { Spillway } from './store/spillway.ts'
export { SpillwayIterator } from './store/scan/iterator.ts'
export { Transaction } from './store/transaction/transaction.ts'
export { ConflictError } from './store/transaction/conflicts.ts'
export { Snapshot } from './store/api/snapshots.ts'
export { CorruptionError, SpillwayError } from './base/errors.ts'
export type { SpillwayErrorCode } from './base/errors.ts'
export { Budget } from './memory/budget.ts'
export type { AccountReport, MemoryReport } from './memory/budget.ts'
export type { Codec, Decoded, Encodable, Encoding, EncodingName, EncodingOf } from './encoding/encoding-types.ts'
export type {
  BatchOperation, BeginOptions, CompactionOption, CompressionOption, Durability, IteratorOptions, OpenOptions, RangeOptions, ReadOptions, StoreOptions, TransactionOptions, WriteOptions,
} from './store/api/options.ts'
export type { GovernorReport, RemovalReport, StallReport, StallTally, StoreStats, TransactionReport, VerifyReport } from './store/api/reports.ts'
export type { StallCause } from './store/api/events.ts'
export type { BudgetEvent, ErrorEvent, FlushEvent, MemoryEvent, MergeEvent, StallEvent } from './store/api/events.ts'
export type { TunerDecision } from './memory/tuner.ts'
