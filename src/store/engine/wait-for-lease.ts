/**
 * Memory for those who are no writers: a store that is opened, a collection. What memtables of the same budget hold is flushed for
 * them, as it is for writers.
 *
 * Invariants
 * 1. It is denied only when no memtable is left that could be flushed and no job runs that would give memory back.
 * 2. What comes back while somebody waits for it outside a call is his before writers take it for their next memtable, bit by bit, so
 *    that writers who go on cannot keep him waiting for ever.
 * 3. Whoever is denied in the end holds nothing.
 *
 * Account: whichever is asked for.
 */
import type { Account, Lease } from '../../memory/budget.ts'
import { isDenied } from '../api/denied.ts'
import type { BudgetEngine } from './budget-engine.ts'

/** What `take` returns, which leases memory and has changed nothing when it throws BUDGET_TOO_SMALL. Waits inside this call. */
export function withMemory<T>(engine: BudgetEngine, take: () => T): T {
  for (;;) {
    try {
      return take()
    } catch (error) {
      if (!isDenied(error) || !engine.memory.flushInside()) throw error
    }
  }
}

/** Leases of so many bytes, all of them or none. Throws BUDGET_TOO_SMALL, with the reason of a store that cannot flush if there is one. */
export async function leaseInTurn(engine: BudgetEngine, wanted: readonly (readonly [Account, number])[]): Promise<Lease[]> {
  const leases = wanted.map(([account]) => account.lease(0))
  const take = (): boolean => leases.every((lease, i) => growTo(lease, wanted[i]![1]))
  let retries = true
  try {
    while (!take()) {
      if (!engine.jobs.isBusy) engine.memory.makeRoom()
      // The disk of a store that could not flush may be well again: once.
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
    // Others may wait for what was held.
    engine.jobs.progressSoon()
    throw error
  }
}

/** As far as there is room: true if it has all of it. */
function growTo(lease: Lease, bytes: number): boolean {
  if (lease.bytes === bytes || lease.resize(bytes)) return true
  const some = Math.min(bytes - lease.bytes, lease.account.budget.freeBytes)
  if (some > 0) lease.resize(lease.bytes + some, false)
  return false
}
