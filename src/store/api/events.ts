/**
 * What happens inside a store, for whoever listens: `diagnostics_channel.subscribe('spillway:stall', message => ...)`.
 * Nothing is built or sent while nobody listens. A listener runs inside the store's own call: it must be quick and may not
 * call the store.
 */
import { channel } from 'node:diagnostics_channel'

/**
 * Why writers are slowed. Waits: 'flush' = the memtable before is still being written, 'merge' = so many runs that a merge must
 * end first, 'memory' = the memory is in use elsewhere, by other stores or merges. Delays: 'runs' and 'debt' = merges fall behind.
 * 'work' = a small budget has no worker, and the write did a share of flushing and merging itself.
 */
export type StallCause = 'flush' | 'merge' | 'memory' | 'runs' | 'debt' | 'work'

/** `spillway:stall`: writers begin to wait, or have waited; a delay is told when it begins, with its length. */
export interface StallEvent {
  directory: string
  phase: 'begin' | 'end'
  cause: StallCause
  /** How long it lasted, or, of a delay, will. Absent when that is not known yet. */
  durationMs?: number
}

/** `spillway:flush`: a memtable became tables, or failed to. */
export interface FlushEvent { directory: string, entries: number, bytesWritten: number, tables: number, error?: Error }
/** `spillway:merge`: tables were merged, or were to be. */
export interface MergeEvent { directory: string, inputs: number, outputs: number, level: number, bytesWritten: number, error?: Error }
/** `spillway:error`: a failure in the background, or an accounting error. `readOnly`: the store takes no more writes. */
export interface ErrorEvent { directory?: string, error: Error, readOnly: boolean }
/** `spillway:budget`: the budget was changed, or has come down to what was asked for. */
export interface BudgetEvent { budgetBytes: number, targetBytes: number, usedBytes: number }
/** `spillway:memory`: the boundary between write memory and cache moved, or memory was given back to the host. */
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
