/**
 * How long a write must wait so that merges keep up: two axes, level-0 runs and debt, each with a slowdown and a stop.
 *
 * Invariants
 * 1. Computed from the current version at each write, never latched.
 * 2. The delay is 0 at slowdown and grows linearly to the cap at stop; the larger axis counts; stop dominates. Without a stop
 *    (Infinity) it reaches the cap at twice the slowdown.
 * 3. A verdict is for writers only. It never holds back the merge that would clear it.
 */
import { invalidArgument } from '../base/errors.ts'

export interface StallLoad {
  /** `Strategy.runCount`. */
  readonly runs: number
  /** `Strategy.debtBytes`. */
  readonly debtBytes: number
}

/** Limits of an axis: 0 <= slowdown <= stop, stop > 0, Infinity = off. */
export interface StallLimits {
  readonly slowdownRuns: number
  readonly stopRuns: number
  readonly slowdownDebtBytes: number
  readonly stopDebtBytes: number
  /** Maximum delay of one write; finite. */
  readonly maxDelayMs: number
}

export interface StallVerdict {
  /** Fractions count. The cap when stopped. */
  readonly delayMs: number
  /** Wait until a later verdict. */
  readonly stop: boolean
  /** Absent without a delay. */
  readonly cause?: 'runs' | 'debt'
}

const NO_STALL: StallVerdict = Object.freeze({ delayMs: 0, stop: false })

/** Throws INVALID_ARGUMENT for limits out of order, and for a load that is not a number >= 0. */
export function stallVerdict(load: StallLoad, limits: StallLimits): StallVerdict {
  const { runs, debtBytes } = load
  if (!(runs >= 0 && debtBytes >= 0 && areValid(limits))) throw invalidStall(load, limits)
  if (runs < limits.slowdownRuns && debtBytes < limits.slowdownDebtBytes) return NO_STALL
  if (runs >= limits.stopRuns) return { delayMs: limits.maxDelayMs, stop: true, cause: 'runs' }
  if (debtBytes >= limits.stopDebtBytes) return { delayMs: limits.maxDelayMs, stop: true, cause: 'debt' }
  const runsShare = ramp(runs, limits.slowdownRuns, limits.stopRuns)
  const debtShare = ramp(debtBytes, limits.slowdownDebtBytes, limits.stopDebtBytes)
  if (runsShare >= debtShare) {
    return runsShare === 0 ? NO_STALL : { delayMs: limits.maxDelayMs * runsShare, stop: false, cause: 'runs' }
  }
  return { delayMs: limits.maxDelayMs * debtShare, stop: false, cause: 'debt' }
}

/** Throws INVALID_ARGUMENT. */
export function checkStallLimits(limits: StallLimits): void {
  if (!areValid(limits)) throw invalidStall({ runs: 0, debtBytes: 0 }, limits)
}

/** 0 at or below `slowdown`, approaching 1 at `stop`; value < stop. A line to Infinity would never rise. */
function ramp(value: number, slowdown: number, stop: number): number {
  if (value <= slowdown) return 0
  return stop === Infinity ? Math.min(1, (value - slowdown) / slowdown) : (value - slowdown) / (stop - slowdown)
}

function areValid(limits: StallLimits): boolean {
  return limits.slowdownRuns >= 0 && limits.slowdownRuns <= limits.stopRuns && limits.stopRuns > 0 &&
    limits.slowdownDebtBytes >= 0 && limits.slowdownDebtBytes <= limits.stopDebtBytes && limits.stopDebtBytes > 0 &&
    limits.maxDelayMs >= 0 && limits.maxDelayMs < Infinity
}

function invalidStall(load: StallLoad, limits: StallLimits): Error {
  const { slowdownRuns, stopRuns, slowdownDebtBytes, stopDebtBytes, maxDelayMs } = limits
  return invalidArgument(
    'a stall needs 0 <= slowdown <= stop and stop > 0 on both axes, a finite maxDelayMs >= 0 and a load >= 0, not ' +
    `runs ${load.runs} of ${slowdownRuns}/${stopRuns}, debt ${load.debtBytes} of ${slowdownDebtBytes}/${stopDebtBytes}, maxDelayMs ${maxDelayMs}`,
    { ...load, ...limits },
  )
}
