/** What every pool takes: a budget, a capacity, a clock. */
import { invalidArgument } from '../../base/errors.ts'
import { parseSize } from '../../base/sizes.ts'
import { Budget } from '../budget.ts'
import type { Account } from '../budget.ts'

export interface PoolOptions {
  /** The budget to lease from, or the size of one of its own: bytes or a text such as "16 MiB". */
  budget: Budget | number | string
  /** Maximum bytes to reserve, bookkeeping included. Default: the budget. */
  capacity?: number | string
  /** @internal Monotonic milliseconds. */
  nowMs?: () => number
}

/** The account of a pool and the bytes it may reserve. Throws INVALID_ARGUMENT. */
export function poolMemory({ budget, capacity }: PoolOptions): { account: Account, capacityBytes: number } {
  if (budget === undefined || budget === null) throw invalidArgument('a pool needs a budget: { budget: "16 MiB" }, or a Budget that it shares')
  const shared = budget instanceof Budget ? budget : new Budget(budget)
  return { account: shared.account('pools'), capacityBytes: capacity === undefined ? Infinity : parseSize(capacity, 'capacity') }
}

/** Throws INVALID_ARGUMENT unless `value` is a power of two within the bounds. */
export function checkPowerOfTwo(value: number, name: string, min: number, max: number): number {
  if (!Number.isInteger(value) || value < min || value > max || (value & (value - 1)) !== 0) {
    throw invalidArgument(`${name} must be a power of two from ${min} to ${max}, not ${String(value)}`)
  }
  return value
}

/** Throws INVALID_ARGUMENT unless `bytes` is a size a pool can give. */
export function checkBlockBytes(bytes: number, maxBytes: number): void {
  if (Number.isInteger(bytes) && bytes > 0 && bytes <= maxBytes) return
  throw invalidArgument(`a block of ${String(bytes)} bytes; this pool gives 1 to ${maxBytes}`, { bytes, maxBytes })
}
