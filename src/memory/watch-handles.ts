/** The list of open handles of a budget, shared by its users. Account: `profiler`. */
import type { Budget } from './budget.ts'
import { OpenHandles } from './open-handles.ts'

const MIN_BYTES = 32 * 1024
const MAX_BYTES = 1024 * 1024
/** Part of the budget. */
const SHARE = 1 / 128

/**
 * The list of a budget, made by its first user. Each call is matched by one of `release`. Throws BUDGET_TOO_SMALL; with `optional` it
 * returns undefined instead.
 */
export function watchHandles(budget: Budget, nowMs: () => number): OpenHandles
export function watchHandles(budget: Budget, nowMs: () => number, optional: true): OpenHandles | undefined
export function watchHandles(budget: Budget, nowMs: () => number, optional = false): OpenHandles | undefined {
  if (budget.handles !== undefined) return budget.handles.share()
  const account = budget.account('profiler')
  const bytes = Math.floor(Math.min(MAX_BYTES, Math.max(MIN_BYTES, budget.totalBytes * SHARE)))
  const lease = optional ? account.tryLease(bytes) : account.lease(bytes)
  if (lease === undefined) return undefined
  budget.handles = new OpenHandles(bytes, nowMs, () => {
    budget.handles = undefined
    lease.release()
  })
  return budget.handles.share()
}
