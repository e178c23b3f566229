/** What an optimizer found, as text and as JSON. */
import { formatSize } from '../base/sizes.ts'
import type { Opportunity } from './advice.ts'
import type { GcReport } from './gc-monitor.ts'
import type { MallocInUse } from '../host/runtime.ts'
import type { MemoryPlan } from './optimizer-settings.ts'
import type { ProfileSnapshot } from './profiler.ts'

export interface OptimizerStats {
  /** Milliseconds since the start. */
  elapsedMs: number
  budgetBytes: number
  /** Leased from all budgets. */
  usedBytes: number
  /** Part of it that is not given back on demand. */
  neededBytes: number
  /** Needed bytes by budget, from 0. */
  usage: number
  rssBytes: number
  heapUsedBytes: number
  /** Bytes a second that the budgets grow by; negative: they shrink. */
  growthPerSecond: number
  /** Iterators, snapshots, transactions and others that are open. */
  openHandles: number
  /** Those that are reported as leaks. */
  leakedHandles: number
  /** Collections since the start. */
  youngCollections: number
  oldCollections: number
  /** Milliseconds, of the last minute. */
  pauseP95Ms: number
  /** From 0 to 100; 60 at the targets. */
  gcScore: number
}

export interface OptimizerFindings {
  before: OptimizerStats
  after: OptimizerStats
  plan: MemoryPlan
  allocator: MallocInUse
  profile: ProfileSnapshot
  gc: GcReport
  recommendations: Opportunity[]
}

/** The result of `MemoryOptimizer.stop`: `text` for people, `JSON.stringify(report)` for programs. */
export class OptimizerReport {
  readonly findings: OptimizerFindings

  /** @internal */
  constructor(findings: OptimizerFindings) {
    this.findings = findings
  }

  toJSON(): OptimizerFindings { return this.findings }

  get text(): string {
    const { before, after, plan, allocator, profile, gc, recommendations } = this.findings
    const { window } = gc
    const lines = [
      `Memory over ${(after.elapsedMs / 1000).toFixed(1)} s, ${profile.samples} samples`,
      `  budgets     ${formatSize(after.usedBytes)} of ${formatSize(after.budgetBytes)} leased (${formatSize(before.usedBytes)} before), ${(100 * after.usage).toFixed(0)} % needed, target ${(100 * plan.targetBytes / Math.max(1, plan.budgetBytes)).toFixed(0)} %`,
      `  process     RSS ${formatSize(after.rssBytes)} (${formatSize(before.rssBytes)} before, ${formatSize(profile.process.maximumRssBytes)} at most), heap ${formatSize(after.heapUsedBytes)}`,
      `  allocator   ${allocator.name} (${allocator.how})`,
      `  plan        ${formatSize(plan.poolBytes)} for pools, ${formatSize(plan.cacheBytes)} for caches`,
      '', 'Accounts, largest first',
      ...profile.ledgers.flatMap(({ name, accounts }) => accounts.slice(0, 10).map(({ account, bytes, growthPerSecond, allocatedPerSecond, freedPerSecond }) =>
        `  ${name}  ${account.padEnd(18)} ${formatSize(bytes).padStart(10)}, grows ${rate(growthPerSecond)}, leased ${rate(allocatedPerSecond)}, given back ${rate(freedPerSecond)}`)),
      '', 'Garbage collection',
      `  score ${gc.score} of 100: ${gc.counts.young} young and ${gc.counts.old} full collections, pauses ${(100 * gc.pauseShare).toFixed(1)} % of the time, mean ${ms(window.all.meanMs)}, p95 ${ms(window.all.p95Ms)}, longest ${ms(window.all.maxMs)}`,
      gc.reclaimed === undefined ? '  given back: not known' : `  given back: ${formatSize(gc.reclaimed.youngBytes)} by young, ${formatSize(gc.reclaimed.oldBytes)} by full collections, on the heap alone`,
      ...gc.bottlenecks.map(({ severity, name, what }) => `  ${severity}: ${name}: ${what}`),
      ...gc.applied.map(({ how, before: was, now, isTakenBack }) => `  ${isTakenBack ? 'taken back, because it cost more than 5 % of the time' : 'applied'}: ${how}; young generation ${formatSize(was.youngBytes)} before, ${formatSize(now.youngBytes)} now`),
      '', `Open handles: ${profile.leaks.open}, of which ${profile.leaks.leaked} may be leaks`,
      ...profile.leaks.leaks.map(({ kind, site, count, bytes, ageMs, confidence }) => `  ${confidence.toFixed(2)}  ${count} ${kind} at ${site}: ${formatSize(bytes)}, unused for ${(ageMs / 1000).toFixed(0)} s`),
      ...(profile.hotSpots === undefined ? [] : ['', 'Sites that allocate most on the heap', ...profile.hotSpots.map(({ site, bytes }) => `  ${formatSize(bytes).padStart(10)}  ${site}`)]),
      '', recommendations.length === 0 ? 'Nothing to recommend' : 'Recommendations',
      ...recommendations.flatMap(({ severity, name, why, benefit, risk, action }) => [`  ${severity}: ${name}: ${why}`, `    ${action.type}: ${action.how}`, `    benefit: ${benefit}; risk: ${risk}`]),
    ]
    return `${lines.join('\n')}\n`
  }
}

function rate(bytesPerSecond: number): string { return `${formatSize(Math.round(bytesPerSecond))}/s` }
function ms(value: number): string { return `${value.toFixed(1)} ms` }
