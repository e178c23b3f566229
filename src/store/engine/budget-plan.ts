/**
 * How a budget is divided: every derived size in one place. The budget is the user's only number.
 *
 * Invariants
 * 1. The floor is leased when the first store of a budget opens, and kept. Its parts are named when they do not fit.
 * 2. One flush, one smallest merge, two smallest memtables and one read can always run: their memory is part of the floor and never
 *    lent.
 * 3. The rest belongs to memtables, up to their share, and to the block cache, which gives it back on demand.
 */
import { SpillwayError } from '../../base/errors.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { Ghosts } from '../../cache/ghosts.ts'
import { formatSize } from '../../base/sizes.ts'
import { KERNEL_REGION_BYTES, MERGE_ARENA_BYTES, flushWorkingBytes, mergeWorkingBytes } from '../../compaction/jobs.ts'
import type { StallLimits } from '../../compaction/stall.ts'
import { RESERVED_ARENAS, SMALLEST_ARENA_BYTES } from './arena-pool.ts'

const KIB = 1024
const MIB = 1024 * KIB

export interface BudgetPlan {
  budgetBytes: number
  /** Maximum for a batch: an arena of this size is available after earlier ones are flushed. */
  batchArenaBytes: number
  /** All arenas together, at first. */
  writeBytes: number
  /** Limits of the tuner. */
  minWriteBytes: number
  maxWriteBytes: number
  minCacheBytes: number
  /** Whether the boundary between write memory and cache moves. */
  tunes: boolean
  /** Names of recently evicted blocks. */
  ghostBytes: number
  /** Tags of rows read once, to recognise a second read; and the growth step of kept rows. */
  rowTags: number
  rowSlotBytes: number
  /** Read-ahead of scans. */
  stretchBytes: number
  /** Larger values go to files of their own. */
  inlineValueBytes: number
  logBufferBytes: number
  /** Writes waiting for memory during a flush; when full, a write call waits inside itself. */
  queueBytes: number
  /** Encoding scratch of one store: two keys and a value. */
  scratchBytes: number
  /** JavaScript objects shared by all stores, and of one store, measured after a collection. Code is not counted. */
  objectBytes: number
  storeObjectBytes: number
  /** wasm memory of the main thread. */
  kernelBytes: number
  /** Flush and merge in a worker thread, or in slices on the main thread. */
  mode: 'worker' | 'inline'
  /** Isolate, stack and wasm memory of the worker; inline: wasm memory of the jobs. */
  workerBytes: number
  /** A V8 limit, not a lease; no job comes near it. */
  workerHeapBytes: number
  flushBytes: number
  /** Reserved for one smallest merge. */
  mergeReserveBytes: number
  maxMerges: number
  /** Maximum runs of one merge. */
  maxRuns: number
  readAheadBytes: number
  windowBytesPerRun: number
  /** Free windows kept for the next iterator. */
  keepWindowBytes: number
  stall: StallLimits
}

/** Ghosts estimate the worth of a cache larger by this share of the budget. */
export const GHOST_SHARE = 0.1
/** Up to this budget write memory starts above half of it, in two arenas of a quarter each: small memtables cause many merges. */
const SMALL_BUDGET_BYTES = 32 * MIB
const SMALL_WRITE_SHARE = 0.53
const TUNES_FROM_BYTES = 12 * MIB
/** Below this a worker thread costs more than it gains. */
export const WORKER_FROM_BYTES: number = 24 * MIB
/** A worker's isolate with a small heap, measured as growth of RSS. */
const ISOLATE_BYTES = 5 * MIB
/** From here on there is memory for an isolate under load and for garbage before it is collected. */
const AMPLE_FROM_BYTES = 48 * MIB
const AMPLE_ISOLATE_BYTES = 12 * MIB
const GARBAGE_SHARE = 1 / 32
/** Tables of each further store on the budget. */
const STORE_METADATA_BYTES = 128 * KIB
/** Part of the spare for new tables that flushes leave to merges. */
export const MERGE_SPARE_BYTES: number = 32 * KIB
/** Windows and cache that merges and memtables leave to readers. */
export const READING_BYTES: number = 512 * KIB
const MIN_READING_BYTES = 64 * KIB
/** Floor of a store and table metadata: not for memtables. */
const MIN_FLOOR_BYTES = 7 * MIB
/** Part of it, kept for the metadata of tables of one flush and one smallest merge. */
export const METADATA_SPARE_BYTES: number = 64 * KIB

/**
 * `mode`: of a budget in use, or 'inline' on a host without threads; default by size. `writeShare`: fixed instead of tuned.
 * `isShared`: further stores may come.
 */
export function makePlan(budgetBytes: number, blockBytes: number, mode?: 'worker' | 'inline', writeShare?: number, isShared = true): BudgetPlan {
  const chosen = mode ?? (budgetBytes >= WORKER_FROM_BYTES ? 'worker' : 'inline')
  const readAheadBytes = 64 * KIB
  const windowBytesPerRun = 32 * KIB
  const kernelBytes = Kernels.bytesFor(KERNEL_REGION_BYTES)
  const jobKernelBytes = Kernels.bytesFor(KERNEL_REGION_BYTES, MERGE_ARENA_BYTES)
  const memtableBytes = clamp(powerOfTwoBelow(budgetBytes / 8), 512 * KIB, 64 * MIB)
  const writeBytes = writeShare === undefined ? Math.max(2 * memtableBytes, Math.floor(budgetBytes / 4), isShared ? 0 : smallWriteBytes(budgetBytes, chosen)) : Math.floor(writeShare * budgetBytes)
  const tunes = writeShare === undefined && budgetBytes >= TUNES_FROM_BYTES
  return {
    budgetBytes, mode: chosen, kernelBytes, readAheadBytes, windowBytesPerRun, writeBytes,
    batchArenaBytes: clamp(powerOfTwoBelow(Math.min(budgetBytes / 4, budgetBytes - MIN_FLOOR_BYTES)), SMALLEST_ARENA_BYTES, 64 * MIB),
    minWriteBytes: Math.min(writeBytes, Math.max(4 * SMALLEST_ARENA_BYTES, Math.floor(budgetBytes / 16))),
    maxWriteBytes: Math.max(writeBytes, Math.floor(0.6 * budgetBytes)),
    minCacheBytes: Math.max(512 * KIB, Math.floor(budgetBytes / 16)),
    // A small budget is nearly all floor: there is nothing to move.
    tunes,
    ghostBytes: tunes ? Ghosts.memoryBytes(2 ** Math.ceil(Math.log2(GHOST_SHARE * budgetBytes / blockBytes))) : 0,
    rowTags: tunes ? powerOfTwoBelow(budgetBytes / 512) : 0,
    rowSlotBytes: budgetBytes < AMPLE_FROM_BYTES ? 64 * KIB : 256 * KIB,
    stretchBytes: clamp(budgetBytes / 1024, 16 * KIB, 64 * KIB),
    // So that a memtable holds many, and windows of merges and iterators have memory for a block of one.
    inlineValueBytes: clamp(memtableBytes / 128, 16 * KIB, 64 * KIB),
    logBufferBytes: 512 * KIB,
    queueBytes: 256 * KIB,
    scratchBytes: 2 * 66 * KIB + 200 * KIB,
    objectBytes: 384 * KIB + (budgetBytes < AMPLE_FROM_BYTES ? 0 : Math.floor(GARBAGE_SHARE * budgetBytes)),
    storeObjectBytes: 32 * KIB,
    workerBytes: chosen === 'worker' ? (budgetBytes < AMPLE_FROM_BYTES ? ISOLATE_BYTES : AMPLE_ISOLATE_BYTES) + jobKernelBytes : jobKernelBytes,
    workerHeapBytes: 48 * MIB,
    flushBytes: flushWorkingBytes({ blockBytes }),
    mergeReserveBytes: mergeWorkingBytes({ blockBytes }, 4, 32 * KIB, 4 * windowBytesPerRun),
    maxMerges: chosen === 'worker' ? 2 : 1,
    maxRuns: Math.max(12, Math.floor(budgetBytes / 4 / (readAheadBytes + windowBytesPerRun))),
    keepWindowBytes: clamp(budgetBytes / 64, 64 * KIB, 4 * MIB),
    stall: { slowdownRuns: 20, stopRuns: 40, slowdownDebtBytes: 1024 * MIB, stopDebtBytes: 8192 * MIB, maxDelayMs: 10 },
  }
}

/** Two arenas of a quarter each of a small budget used by one store, as far as the floor allows. */
function smallWriteBytes(budgetBytes: number, mode: 'worker' | 'inline'): number {
  if (budgetBytes > SMALL_BUDGET_BYTES) return 0
  const floorBytes = MIN_FLOOR_BYTES + (mode === 'worker' ? ISOLATE_BYTES : 0)
  return Math.floor(Math.min(SMALL_WRITE_SHARE * budgetBytes, budgetBytes - floorBytes))
}

/** Parts of the floor for `stores` stores. */
export function floorParts(plan: BudgetPlan, tableMetadataBytes: number, stores = 1): Record<string, number> {
  return {
    'table metadata': tableMetadataBytes,
    'smallest memtables (2)': RESERVED_ARENAS * SMALLEST_ARENA_BYTES,
    'log buffer': plan.logBufferBytes,
    'write queue and scratch': plan.queueBytes + stores * plan.scratchBytes,
    'JavaScript objects': plan.objectBytes + stores * plan.storeObjectBytes,
    'flush and smallest merge': plan.flushBytes + plan.mergeReserveBytes,
    'checksum and compression kernels': plan.kernelBytes,
    [plan.mode === 'worker' ? 'worker' : 'background kernels']: plan.workerBytes,
    // Tables written with this budget may have used some of it: the store must open again.
    ...(stores > 1 ? { 'metadata of further stores': (stores - 1) * STORE_METADATA_BYTES } : {}),
    'reading': Math.max(MIN_READING_BYTES, READING_BYTES - tableMetadataBytes),
  }
}

export function checkFloor(plan: BudgetPlan, tableMetadataBytes: number, stores = 1): void {
  const parts = floorParts(plan, tableMetadataBytes, stores)
  const floorBytes = Object.values(parts).reduce((total, bytes) => total + bytes, 0)
  if (floorBytes <= plan.budgetBytes) return
  const list = Object.entries(parts).filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${formatSize(bytes)}`).join(', ')
  throw new SpillwayError(
    'SPILLWAY_BUDGET_TOO_SMALL',
    `budget is ${formatSize(plan.budgetBytes)} but ${stores > 1 ? `the ${stores} stores that share it need` : 'this store needs'} at least ${formatSize(roundUp(floorBytes, MIB / 10))} to open: ${list}. ${stores > 1 ? 'Raise the budget, or close stores' : 'Open it with a larger budget'}`,
    { details: { budgetBytes: plan.budgetBytes, floorBytes, parts } },
  )
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(value)))
}

function powerOfTwoBelow(bytes: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, bytes)))
}

/** To the precision that is displayed, so that the displayed size suffices. */
function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
