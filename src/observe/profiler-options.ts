/** What a profiler takes, checked. */
import { invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import type { Runtime } from '../host/runtime.ts'
import { nodeRuntime } from '../host/node/node-runtime.ts'
import type { MemorySource } from './sources.ts'

export interface ProfilerOptions {
  /** Stores, collections and budgets to watch. Stores on one budget count once. */
  sources: readonly MemorySource[]
  /** Milliseconds between two samples, from 10 to 3,600,000. Default 1000. */
  intervalMs?: number
  /** Samples to keep of each budget, from 2 to 100,000; fewer where 1/64 of the budget (64 KiB to 1 MiB) holds fewer. Default 600. */
  history?: number
  /**
   * Sample allocations on V8's heap by site. Default false: it costs 1 % of the program's time, and reading it 2 to 10 ms. A number
   * is the mean bytes between two samples, at least 16 KiB; true is 524,288.
   */
  hotSpots?: boolean | number
  /** @internal */
  runtime?: Runtime
}

export interface ProfilerSettings {
  readonly sources: readonly MemorySource[]
  readonly intervalMs: number
  readonly history: number
  /** 0: off. */
  readonly hotSpotBytes: number
  readonly runtime: Runtime
}

const NAMES = ['sources', 'intervalMs', 'history', 'hotSpots', 'runtime']
const HOT_SPOT_BYTES = 512 * 1024
const MIN_HOT_SPOT_BYTES = 16 * 1024
export const MIN_INTERVAL_MS = 10
export const MAX_INTERVAL_MS = 3_600_000

export function profilerSettings(options: ProfilerOptions): ProfilerSettings {
  if (options === undefined) throw invalidArgument('a profiler needs sources: { sources: [db] }')
  checkOptions(options, NAMES, 'a profiler')
  const { sources, intervalMs = 1000, history = 600, hotSpots = false, runtime = nodeRuntime } = options
  return {
    sources, runtime,
    intervalMs: checkNumber(intervalMs, 'intervalMs', MIN_INTERVAL_MS, MAX_INTERVAL_MS),
    history: checkNumber(history, 'history', 2, 100_000),
    hotSpotBytes: typeof hotSpots === 'boolean' ? (hotSpots ? HOT_SPOT_BYTES : 0) : checkNumber(hotSpots, 'hotSpots', MIN_HOT_SPOT_BYTES, 2 ** 30),
  }
}

/** Throws INVALID_ARGUMENT unless it is a whole number within the bounds. */
export function checkNumber(value: number, name: string, min: number, max: number): number {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value
  throw invalidArgument(`${name} must be a whole number from ${min} to ${max}, not ${String(value)}`, { [name]: value, min, max })
}
