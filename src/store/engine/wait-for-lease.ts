/**
 * Memory for opening stores and collections: memtables of the same budget are flushed for it, as for writers.
 *
 * Invariants
 * 1. It is denied only when no memtable can be flushed and no running job will free memory.
 * 2. Memory freed during an asynchronous wait goes to the waiting caller before writers, bit by bit, so that busy writers cannot
 *    starve it.
 * 3. A denied caller holds nothing.
 *
 * Account: the caller's.
 */
import type { Account, Lease } from '../../memory/budget.ts'
import { isDenied } from '../api/denied.ts'
import type { BudgetEngine } from './budget-engine.ts'

/** Returns the result of `take`, which leases memory and changes nothing when it throws BUDGET_TOO_SMALL. Waits inside this call. */
export function withMemory<T>(engine: BudgetEngine, take: () => T): T {
  for (;;) {
    try {
      return take()
    } catch (error) {
      if (!isDenied(error) || !engine.memory.flushInside()) throw error
    }
  }
}

/** Leases of these sizes, all or none. Throws BUDGET_TOO_SMALL, or the reason of a store that cannot flush. */
export async function leaseInTurn(engine: BudgetEngine, wanted: readonly (readonly [Account, number])[]): Promise<Lease[]> {
  const leases = wanted.map(([account]) => account.lease(0))
  const take = (): boolean => leases.every((lease, i) => growTo(lease, wanted[i]![1]))
  let retries = true
  try {
    while (!take()) {
      if (!engine.jobs.isBusy) engine.memory.makeRoom()
      // The disk of a failing store may work again: try once.
      if (!engine.jobs.isBusy && retries) {
        retries = false
        engine.memory.retryFlushes(true)
      }
      if (!engine.jobs.isBusy && !take()) {
        for (const [i, lease] of leases.entries()) {
          const { account } = lease
          if (lease.bytes < wanted[i]![1]) throw engine.memory.heldBy() ?? account.denied(wanted[i]![1])
        }
      }
      if (engine.jobs.isBusy) await engine.jobs.jobEnded(take)
    }
    return leases
  } catch (error) {
    for (const lease of leases) lease.release()
    // Others may wait for the released memory.
    engine.jobs.progressSoon()
    throw error
  }
}

/** Grow as far as there is memory. True: completely. */
function growTo(lease: Lease, bytes: number): boolean {
  if (lease.bytes === bytes || lease.resize(bytes)) return true
  const some = Math.min(bytes - lease.bytes, lease.account.budget.freeBytes)
  if (some > 0) lease.resize(lease.bytes + some, false)
  return false
}
