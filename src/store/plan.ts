/**
 * How a budget is divided: every derived size in one place. The only number a user gives is the budget.
 *
 * Invariants
 * 1. What a store must always hold (the floor) is leased at open and kept: its parts are named when they do not fit.
 * 2. One flush and one smallest merge can always run: their memory is part of the floor, never lent to anyone else.
 * 3. What is left belongs to the block cache, which gives it back whenever somebody else asks.
 */
import { SpillwayError } from '../base/errors.ts'
import { Kernels } from '../base/kernels/kernels.ts'
import { formatSize } from '../base/sizes.ts'
import { KERNEL_REGION_BYTES, flushWorkingBytes, mergeWorkingBytes } from '../compaction/jobs.ts'
import type { StallLimits } from '../compaction/stall.ts'

const KIB = 1024
const MIB = 1024 * KIB

export interface Plan {
  budgetBytes: number
  /** Arena of one memtable; there are at most two: one being filled, one being flushed. */
  memtableBytes: number
  /** Values above this go to a file of their own. */
  inlineValueBytes: number
  logBufferBytes: number
  /** Writes that wait for room while a flush runs; beyond this a write call waits inside. */
  queueBytes: number
  /** Text encoding scratch: two keys and a value. */
  scratchBytes: number
  /** wasm memory of the main thread. */
  kernelBytes: number
  /** Flush and merge in a worker thread, or in slices on the main thread. */
  mode: 'worker' | 'inline'
  /** Isolate, stack and wasm memory of the worker; 0 inline, where jobs have wasm memory of their own. */
  workerBytes: number
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

/** Below this a worker thread costs more than it gives. */
const WORKER_FROM_BYTES = 16 * MIB
/** A worker's isolate with a small heap, measured as growth of RSS. */
const ISOLATE_BYTES = 5 * MIB
/** Windows and cache that merges leave to readers. */
export const READING_BYTES: number = 512 * KIB

export function makePlan(budgetBytes: number, blockBytes: number): Plan {
  const plan = planFor(budgetBytes, budgetBytes, blockBytes)
  // Close to the floor, shares of the budget would not fit beside what has a fixed size: then every part has its least.
  return sum(floorParts(plan, 0)) <= budgetBytes ? plan : planFor(budgetBytes, 0, blockBytes)
}

/** `sharedBytes`: of what the parts without a fixed size are shares. */
function planFor(budgetBytes: number, sharedBytes: number, blockBytes: number): Plan {
  const mode = budgetBytes >= WORKER_FROM_BYTES ? 'worker' : 'inline'
  const memtableBytes = clamp(roundDown(sharedBytes / 8, 64 * KIB), 512 * KIB, 64 * MIB)
  const readAheadBytes = 64 * KIB
  const windowBytesPerRun = 32 * KIB
  const kernelBytes = Kernels.bytesFor(KERNEL_REGION_BYTES)
  const smallestMerge = mergeWorkingBytes({ blockBytes }, 4, 32 * KIB, 4 * windowBytesPerRun)
  return {
    budgetBytes, memtableBytes, mode, kernelBytes, readAheadBytes, windowBytesPerRun,
    // So that the windows of the smallest merge and of a few iterators have room for a block of one such value.
    inlineValueBytes: Math.min(64 * KIB, memtableBytes / 32),
    logBufferBytes: clamp(sharedBytes / 16, 512 * KIB, 4 * MIB),
    queueBytes: clamp(sharedBytes / 64, 64 * KIB, 1 * MIB),
    scratchBytes: 2 * 66 * KIB + 200 * KIB,
    workerBytes: mode === 'worker' ? ISOLATE_BYTES + kernelBytes : kernelBytes,
    workerHeapBytes: 12 * MIB,
    flushBytes: flushWorkingBytes({ blockBytes }),
    mergeReserveBytes: smallestMerge,
    maxMerges: mode === 'worker' ? 2 : 1,
    maxRuns: Math.max(12, Math.floor(budgetBytes / 4 / (readAheadBytes + windowBytesPerRun))),
    keepWindowBytes: clamp(sharedBytes / 64, 64 * KIB, 4 * MIB),
    stall: { slowdownRuns: 20, stopRuns: 40, slowdownDebtBytes: 1024 * MIB, stopDebtBytes: 8192 * MIB, maxDelayMs: 10 },
  }
}

/** The parts of the floor, largest question first: what does this store need at least? */
export function floorParts(plan: Plan, tableMetadataBytes: number): Record<string, number> {
  return {
    'table metadata': tableMetadataBytes,
    'memtables (2)': 2 * plan.memtableBytes,
    'log buffer': plan.logBufferBytes,
    'write queue and scratch': plan.queueBytes + plan.scratchBytes,
    'flush and smallest merge': plan.flushBytes + plan.mergeReserveBytes,
    'checksum and compression kernels': plan.kernelBytes,
    [plan.mode === 'worker' ? 'worker' : 'background kernels']: plan.workerBytes,
    'reading': READING_BYTES,
  }
}

export function checkFloor(plan: Plan, tableMetadataBytes: number): void {
  const parts = floorParts(plan, tableMetadataBytes)
  const floorBytes = sum(parts)
  if (floorBytes <= plan.budgetBytes) return
  const list = Object.entries(parts).filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${formatSize(bytes)}`).join(', ')
  throw new SpillwayError(
    'SPILLWAY_BUDGET_TOO_SMALL',
    `budget is ${formatSize(plan.budgetBytes)} but this store needs at least ${formatSize(roundUp(floorBytes, MIB / 10))} to open: ${list}. Open it with a larger budget`,
    { details: { budgetBytes: plan.budgetBytes, floorBytes, parts } },
  )
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(value)))
}

function sum(parts: Record<string, number>): number {
  return Object.values(parts).reduce((total, bytes) => total + bytes, 0)
}

/** To what is shown of a size, so that the size shown is enough. */
function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit
}

function roundDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit
}
