/**
 * What an optimizer takes, and how it divides budgets.
 *
 * Invariant: pools and caches together stay within the target share of the budgets, in the proportion that was asked for.
 */
import { invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import { parseSize } from '../base/sizes.ts'
import { nodeRuntime } from '../host/node/node-runtime.ts'
import type { Runtime } from '../host/runtime.ts'
import { MAX_INTERVAL_MS, MIN_INTERVAL_MS, checkNumber } from './profiler-options.ts'
import type { MemorySource } from './sources.ts'

export interface MemoryOptimizerOptions {
  /** Stores, collections and budgets. Stores on one budget count once. */
  sources: readonly MemorySource[]
  /** Plan memory for pools. Default true. */
  pooling?: boolean
  /** Bytes to plan for pools, or a text such as "64 MiB". Default 256 MiB, scaled down to the budgets. */
  poolBytes?: number | string
  /** Plan memory for caches. Default true. */
  caching?: boolean
  /** Bytes to plan for caches, or a text. Default 512 MiB, scaled down to the budgets. */
  cacheBytes?: number | string
  /** Hold the young generation of the process small once it is above 8 MiB and a sixteenth of the budgets. Default true. */
  gcTuning?: boolean
  /** Share of the budgets that may be in use without what is given back on demand, above 0 to 1. Default 0.75. */
  targetUsage?: number
  /** Milliseconds between two samples, from 10 to 3,600,000. Default 1000. */
  intervalMs?: number
  /** Sample allocations by site, at 1 % of the program's time. Default false. */
  hotSpots?: boolean
  /** @internal */
  runtime?: Runtime
}

export interface OptimizerSettings {
  readonly sources: readonly MemorySource[]
  readonly poolBytes: number
  readonly cacheBytes: number
  readonly gcTuning: boolean
  readonly targetUsage: number
  readonly intervalMs: number
  readonly hotSpots: boolean
  readonly runtime: Runtime
}

/** How much memory is meant for what; for the capacity of pools and caches. */
export interface MemoryPlan {
  budgetBytes: number
  /** Target share of the budgets. */
  targetBytes: number
  poolBytes: number
  cacheBytes: number
}

const NAMES = ['sources', 'pooling', 'poolBytes', 'caching', 'cacheBytes', 'gcTuning', 'targetUsage', 'intervalMs', 'hotSpots', 'runtime']
const FLAGS = ['pooling', 'caching', 'gcTuning', 'hotSpots'] as const
const MIB = 1024 * 1024

export function optimizerSettings(options: MemoryOptimizerOptions): OptimizerSettings {
  if (options === undefined) throw invalidArgument('an optimizer needs sources: { sources: [db] }')
  checkOptions(options, NAMES, 'an optimizer')
  for (const name of FLAGS) {
    const value = options[name]
    if (value !== undefined && typeof value !== 'boolean') throw invalidArgument(`${name} must be true or false, not ${String(value)}`)
  }
  const { pooling = true, poolBytes = 256 * MIB, caching = true, cacheBytes = 512 * MIB, gcTuning = true, targetUsage = 0.75, hotSpots = false } = options
  if (typeof targetUsage !== 'number' || !(targetUsage > 0 && targetUsage <= 1)) throw invalidArgument(`targetUsage must be above 0 and at most 1, not ${String(targetUsage)}`)
  return {
    sources: options.sources,
    poolBytes: pooling ? parseSize(poolBytes, 'poolBytes') : 0,
    cacheBytes: caching ? parseSize(cacheBytes, 'cacheBytes') : 0,
    gcTuning, targetUsage, hotSpots,
    intervalMs: checkNumber(options.intervalMs ?? 1000, 'intervalMs', MIN_INTERVAL_MS, MAX_INTERVAL_MS),
    runtime: options.runtime ?? nodeRuntime,
  }
}

/** Scaled down to the target, never up. */
export function planFor(budgetBytes: number, { poolBytes, cacheBytes, targetUsage }: Pick<OptimizerSettings, 'poolBytes' | 'cacheBytes' | 'targetUsage'>): MemoryPlan {
  const targetBytes = Math.floor(budgetBytes * targetUsage)
  const wanted = poolBytes + cacheBytes
  const scale = wanted <= targetBytes ? 1 : targetBytes / wanted
  return { budgetBytes, targetBytes, poolBytes: Math.floor(poolBytes * scale), cacheBytes: Math.floor(cacheBytes * scale) }
}
