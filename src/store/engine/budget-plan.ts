/**
 * How a budget is divided: every derived size in one place. The only number a user gives is the budget.
 *
 * Invariants
 * 1. What must always be held (the floor) is leased when the first store of a budget opens, and kept: its parts are named
 *    when they do not fit.
 * 2. One flush, one smallest merge, two smallest memtables and one read can always go on: their memory is part of the floor,
 *    never lent to anyone else.
 * 3. What is left belongs to memtables, up to their share, and to the block cache, which gives it back whenever somebody asks.
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
  /** What a batch may take: an arena of this size can be had when those before it have been flushed. */
  batchArenaBytes: number
  /** All arenas together, to begin with. */
  writeBytes: number
  /** Bounds of what the tuner may make of it, and what it leaves to the cache. */
  minWriteBytes: number
  maxWriteBytes: number
  minCacheBytes: number
  /** Whether the boundary between write memory and cache moves by itself. */
  tunes: boolean
  /** Memory for the names of blocks that were dropped from the cache lately. */
  ghostBytes: number
  /** Rows read once lately that are remembered, so as to keep those that are read twice; and what kept rows grow by. */
  rowTags: number
  rowSlotBytes: number
  /** What scans read at once. */
  stretchBytes: number
  /** Values above this go to a file of their own. */
  inlineValueBytes: number
  logBufferBytes: number
  /** Writes that wait for room while a flush runs; beyond this a write call waits inside. */
  queueBytes: number
  /** Text encoding scratch of one store: two keys and a value. */
  scratchBytes: number
  /** JavaScript objects of the parts that all stores share, and of one store, measured after a collection. Code is not counted. */
  objectBytes: number
  storeObjectBytes: number
  /** wasm memory of the main thread. */
  kernelBytes: number
  /** Flush and merge in a worker thread, or in slices on the main thread. */
  mode: 'worker' | 'inline'
  /** Isolate, stack and wasm memory of the worker; inline: wasm memory of the jobs. */
  workerBytes: number
  /** A limit, not a lease: no job comes near it. */
  workerHeapBytes: number
  flushBytes: number
  /** The reserve of one smallest merge. */
  mergeReserveBytes: number
  maxMerges: number
  /** Runs a merge may be asked to take at once. */
  maxRuns: number
  readAheadBytes: number
  windowBytesPerRun: number
  /** Free windows kept for the next iterator. */
  keepWindowBytes: number
  stall: StallLimits
}

/** Ghosts tell what a cache larger by this share of the budget would be worth. */
export const GHOST_SHARE = 0.1
/** Up to this, write memory begins with more than half of the budget, two arenas of a quarter each: small memtables mean many merges. */
const SMALL_BUDGET_BYTES = 32 * MIB
const SMALL_WRITE_SHARE = 0.53
const TUNES_FROM_BYTES = 12 * MIB
/** Below this a worker thread costs more than it gives. */
export const WORKER_FROM_BYTES: number = 24 * MIB
/** A worker's isolate with a small heap, measured as growth of RSS. */
const ISOLATE_BYTES = 5 * MIB
/** From here on there is room for what an isolate grows to under load, and for garbage that waits for the collector. */
const AMPLE_FROM_BYTES = 48 * MIB
const AMPLE_ISOLATE_BYTES = 12 * MIB
const GARBAGE_SHARE = 1 / 32
/** Tables of each further store that shares a budget. */
const STORE_METADATA_BYTES = 128 * KIB
/** Of the spare for new tables, what flushes leave to merges. */
export const MERGE_SPARE_BYTES: number = 32 * KIB
/** Windows and cache that merges and memtables leave to readers. */
export const READING_BYTES: number = 512 * KIB
const MIN_READING_BYTES = 64 * KIB
/** The floor of a store, and room for the metadata of tables: what is not for memtables. */
const MIN_FLOOR_BYTES = 7 * MIB
/** Of those, kept for the metadata of the tables that one flush and one smallest merge make. */
export const METADATA_SPARE_BYTES: number = 64 * KIB

/** `mode`: of a budget in use, whose worker runs or does not, or of a host without threads. `writeShare`: fixed, not tuned. `isShared`: further stores may come. */
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
    // A small budget has nothing to move: nearly all of it is the floor.
    tunes,
    ghostBytes: tunes ? Ghosts.memoryBytes(2 ** Math.ceil(Math.log2(GHOST_SHARE * budgetBytes / blockBytes))) : 0,
    rowTags: tunes ? powerOfTwoBelow(budgetBytes / 512) : 0,
    rowSlotBytes: budgetBytes < AMPLE_FROM_BYTES ? 64 * KIB : 256 * KIB,
    stretchBytes: clamp(budgetBytes / 1024, 16 * KIB, 64 * KIB),
    // So that a memtable holds many, and the windows of merges and iterators have room for a block of one.
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

/** Two arenas of a quarter of a small budget that one store has alone, as far as the floor leaves room for them. */
function smallWriteBytes(budgetBytes: number, mode: 'worker' | 'inline'): number {
  if (budgetBytes > SMALL_BUDGET_BYTES) return 0
  const floorBytes = MIN_FLOOR_BYTES + (mode === 'worker' ? ISOLATE_BYTES : 0)
  return Math.floor(Math.min(SMALL_WRITE_SHARE * budgetBytes, budgetBytes - floorBytes))
}

/** The parts of the floor: what do so many stores need at least? */
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
    // Tables written with this budget may have taken some of it: the store must open again.
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

/** To what is shown of a size, so that the size shown is enough. */
function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}
