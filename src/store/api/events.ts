/**
 * Events of stores, on `diagnostics_channel`: `diagnostics_channel.subscribe('spillway:stall', message => ...)`. Nothing is built
 * without subscribers. A subscriber runs inside a call of the store: it must be quick and must not call the store.
 */
import { channel } from 'node:diagnostics_channel'

/**
 * Why a write was slowed. Waits: 'flush' = the previous memtable is still being flushed, 'merge' = too many runs until a merge
 * ends, 'memory' = other stores or merges use the memory. Delays: 'runs' and 'debt' = merges fall behind. 'work' = without a worker
 * (small budget) the write did a share of flushing and merging itself.
 */
export type StallCause = 'flush' | 'merge' | 'memory' | 'runs' | 'debt' | 'work'

/** `spillway:stall`: a wait or delay begins or ends. */
export interface StallEvent {
  /** Of the store. */
  directory: string
  phase: 'begin' | 'end'
  cause: StallCause
  /** Its length in ms; at the beginning of a wait absent, of a delay planned. */
  durationMs?: number
}

/** `spillway:flush`: a memtable was written to tables, or that failed with `error`. */
export interface FlushEvent { directory: string, entries: number, bytesWritten: number, tables: number, error?: Error }
/** `spillway:merge`: tables were merged, or that failed with `error`. */
export interface MergeEvent { directory: string, inputs: number, outputs: number, level: number, bytesWritten: number, error?: Error }
/** `spillway:error`: a background failure or an accounting error. `readOnly`: the store takes no more writes. */
export interface ErrorEvent { directory?: string, error: Error, readOnly: boolean }
/** `spillway:budget`: the budget was changed, or has come down to its target. */
export interface BudgetEvent { budgetBytes: number, targetBytes: number, usedBytes: number }
/** `spillway:memory`: the boundary between write memory and cache moved ('tuner'), or the host ran short of memory ('pressure'). */
export interface MemoryEvent { cause: 'tuner' | 'pressure', writeBytes: number, cacheBytes: number, why: string }

export const stallChannel = channel('spillway:stall')
export const flushChannel = channel('spillway:flush')
export const mergeChannel = channel('spillway:merge')
export const errorChannel = channel('spillway:error')
export const budgetChannel = channel('spillway:budget')
export const memoryChannel = channel('spillway:memory')

export function emitStall(message: StallEvent): void { if (stallChannel.hasSubscribers) stallChannel.publish(message) }
export function emitFlush(message: FlushEvent): void { if (flushChannel.hasSubscribers) flushChannel.publish(message) }
export function emitMerge(message: MergeEvent): void { if (mergeChannel.hasSubscribers) mergeChannel.publish(message) }
export function emitError(message: ErrorEvent): void { if (errorChannel.hasSubscribers) errorChannel.publish(message) }
export function emitBudget(message: BudgetEvent): void { if (budgetChannel.hasSubscribers) budgetChannel.publish(message) }
export function emitMemory(message: MemoryEvent): void { if (memoryChannel.hasSubscribers) memoryChannel.publish(message) }
