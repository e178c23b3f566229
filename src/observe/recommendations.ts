/** What ledgers, leaks and the process advise; the garbage collector's and the allocator's own are beside them. */
import { formatSize } from '../base/sizes.ts'
import type { Opportunity } from './advice.ts'
import type { LedgerTrend } from './ledger-history.ts'
import type { LeakReport } from './leaks.ts'
import type { MemoryPlan } from './optimizer-settings.ts'
import type { ProfileSnapshot } from './profiler.ts'

/** Given back on demand, so that they fill whatever memory no other account needs. */
const ON_DEMAND = new Set(['block cache', 'compressed blocks', 'rows', 'read ahead', 'cold reads'])
const HOUR_S = 3600
/** Growth is judged from this time on. */
const MIN_WINDOW_MS = 60_000
const RSS_GROWTH_BYTES = 64 * 1024 * 1024
const SURE = 0.5

/** Bytes that are in use and would not be given back on demand. */
export function neededBytes({ usedBytes, accounts }: LedgerTrend): number {
  return usedBytes - accounts.reduce((sum, { account, bytes }) => sum + (ON_DEMAND.has(account) ? bytes : 0), 0)
}

export function memoryOpportunities({ ledgers, leaks, process, elapsedMs }: ProfileSnapshot, plan: MemoryPlan, targetUsage: number): Opportunity[] {
  const isSettled = elapsedMs >= MIN_WINDOW_MS
  const found = [...leakOpportunities(leaks), ...ledgers.flatMap(ledger => ledgerOpportunities(ledger, targetUsage, isSettled))]
  const poolBytes = ledgers.reduce((sum, { accounts }) => sum + (accounts.find(({ account }) => account === 'pools')?.bytes ?? 0), 0)
  if (plan.poolBytes > 0 && poolBytes > plan.poolBytes) {
    found.push({
      name: 'pools above their plan', severity: 'medium', why: `pools hold ${formatSize(poolBytes)} of the ${formatSize(plan.poolBytes)} planned for them`,
      benefit: 'memory for caches and writes', risk: 'a full pool refuses blocks', action: { type: 'code', how: `give pools a capacity of ${formatSize(plan.poolBytes)} in all, or defragment them` },
    })
  }
  const hourly = (process.rssGrowthPerSecond - ledgers.reduce((sum, { growthPerSecond }) => sum + growthPerSecond, 0)) * HOUR_S
  if (isSettled && hourly > RSS_GROWTH_BYTES) {
    found.push({
      name: 'growth outside the budgets', severity: 'medium', why: `the process grows by ${formatSize(hourly)} an hour more than its budgets do`,
      benefit: 'stable memory', risk: 'none', action: { type: 'code', how: 'profile with hotSpots: true and look at the sites that allocate most' },
    })
  }
  return found
}

function leakOpportunities({ leaks, dropped }: LeakReport): Opportunity[] {
  const found: Opportunity[] = leaks.map(({ kind, site, count, bytes, ageMs, confidence }) => ({
    name: `open ${kind}`, severity: confidence >= 1 ? 'high' : confidence >= SURE ? 'medium' : 'low',
    why: `${count} opened at ${site} hold ${formatSize(bytes)} and are unused for up to ${(ageMs / 1000).toFixed(0)} s (confidence ${confidence.toFixed(2)})`,
    benefit: kind === 'pin' || kind === 'block' ? 'its memory' : 'its memory, and old versions on disk', risk: 'none if it is not needed any more',
    action: { type: 'code', how: kind === 'transaction' ? 'commit or abort it, or make it with `await using`' : 'close it, or make it with `using`' },
  }))
  return [...found, ...dropped.map(({ site, count }): Opportunity => ({
    name: 'dropped handle', severity: 'high', why: `${count} opened at ${site} were collected without having been closed`,
    benefit: 'memory comes back when it is no longer needed, not when it is collected', risk: 'none', action: { type: 'code', how: 'close it, or make it with `using`' },
  }))]
}

function ledgerOpportunities(ledger: LedgerTrend, targetUsage: number, isSettled: boolean): Opportunity[] {
  const { name, budgetBytes, denied, accounts } = ledger
  const found: Opportunity[] = []
  const needed = neededBytes(ledger)
  if (needed > budgetBytes * targetUsage) {
    const [largest] = accounts.filter(({ account }) => !ON_DEMAND.has(account))
    found.push({
      name: 'usage above the target', severity: needed > budgetBytes * (1 + targetUsage) / 2 ? 'high' : 'medium',
      why: `${name} needs ${formatSize(needed)} of ${formatSize(budgetBytes)}, most of it for ${largest?.account}`, benefit: 'memory for caches, fewer waits',
      risk: 'the machine needs the memory', action: { type: 'code', how: `db.setBudget(${Math.ceil(needed / targetUsage)})` },
    })
  } else if (denied > 0) {
    found.push({
      name: 'denied leases', severity: 'low', why: `${name} denied ${denied} leases; work was done in smaller pieces or waited`, benefit: 'larger pieces, fewer waits',
      risk: 'the machine needs the memory', action: { type: 'code', how: `db.setBudget(${Math.ceil(budgetBytes * 1.5)})` },
    })
  }
  for (const { account, bytes, growthPerSecond } of isSettled ? accounts : []) {
    if (ON_DEMAND.has(account) || growthPerSecond * HOUR_S < budgetBytes / 2) continue
    found.push({
      name: 'growing account', severity: 'medium', why: `${account} holds ${formatSize(bytes)} and grows by ${formatSize(growthPerSecond * HOUR_S)} an hour`,
      benefit: 'stable memory', risk: 'none', action: { type: 'code', how: 'look at the leaks of the report, and at what the account holds in MEMORY.md' },
    })
  }
  return found
}
