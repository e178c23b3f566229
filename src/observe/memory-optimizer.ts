/**
 * Profiler, GC monitor and allocator in one: start, stop with a report, stats, recommendations.
 *
 * Invariants
 * 1. It changes nothing except the young generation of the process, with `gcTuning`, which the report says and `stop` takes back.
 * 2. A budget counts once, however many stores on it are given.
 *
 * Accounts: `profiler` of each budget. Cost: those of `Profiler` and `GcMonitor`.
 */
import { invalidArgument } from '../base/errors.ts'
import { Budget } from '../memory/budget.ts'
import { bySeverity } from './advice.ts'
import type { Opportunity } from './advice.ts'
import { allocatorOpportunities } from './allocators.ts'
import { GcMonitor } from './gc-monitor.ts'
import type { GcReport } from './gc-monitor.ts'
import { optimizerSettings, planFor } from './optimizer-settings.ts'
import type { MemoryOptimizerOptions, MemoryPlan, OptimizerSettings } from './optimizer-settings.ts'
import { OptimizerReport } from './optimizer-report.ts'
import type { OptimizerFindings, OptimizerStats } from './optimizer-report.ts'
import { Profiler } from './profiler.ts'
import type { ProfileSnapshot } from './profiler.ts'
import { memoryOpportunities, neededBytes } from './recommendations.ts'
import { ledgersOf } from './sources.ts'
import type { Ledger } from './sources.ts'

const MIN_YOUNG_BYTES = 8 * 1024 * 1024
const YOUNG_SHARE = 1 / 16

/**
 * Watches the memory of stores, collections and budgets and of the process, and says what would help.
 * @example
 * ```ts
 * const optimizer = new MemoryOptimizer({ sources: [db] })
 * optimizer.start()
 * for (let i = 0; i < 1000; i++) await db.put(`key ${i}`, 'value')
 * console.log(optimizer.stats().usedBytes, optimizer.recommendations().length)
 * console.log(optimizer.stop().text)
 * ```
 */
export class MemoryOptimizer implements Disposable {
  /** Memory meant for pools and caches, as shares inside the budgets; pass it as their capacity. */
  readonly plan: MemoryPlan
  readonly #settings: OptimizerSettings
  readonly #ledgers: Ledger[]
  readonly #profiler: Profiler
  readonly #gc: GcMonitor
  #before: OptimizerStats | undefined

  /** @throws SPILLWAY_INVALID_ARGUMENT an option is wrong, or a source has no memory report */
  constructor(options: MemoryOptimizerOptions) {
    const settings = this.#settings = optimizerSettings(options)
    const { sources, intervalMs, hotSpots, runtime } = settings
    this.#ledgers = ledgersOf(sources)
    const totalBytes = this.#ledgers.reduce((sum, ledger) => sum + ledger.report().budgetBytes, 0)
    this.plan = planFor(totalBytes, settings)
    this.#profiler = new Profiler({ sources, intervalMs, hotSpots, runtime })
    const budget = this.#ledgers.find(ledger => ledger.budget !== undefined)?.budget
    this.#gc = new GcMonitor({
      intervalMs, runtime, tune: settings.gcTuning, youngLimitBytes: Math.max(MIN_YOUNG_BYTES, Math.floor(totalBytes * YOUNG_SHARE)),
      ...(budget instanceof Budget ? { budget } : {}),
    })
  }

  get isRunning(): boolean { return this.#before !== undefined }

  /**
   * Begin. Starting twice has no effect.
   * @throws SPILLWAY_BUDGET_TOO_SMALL a budget has no room for the samples; nothing is leased then
   */
  start(): void {
    if (this.isRunning) return
    try {
      this.#profiler.start()
      this.#gc.start()
      this.#before = statsOf(this.#profiler.snapshot(), this.#gc.report())
    } catch (error) {
      this.#end()
      throw error
    }
  }

  /**
   * End it, take back what it applied, and give its memory back.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  stop(): OptimizerReport {
    const report = new OptimizerReport(this.#findings())
    this.#end()
    return report
  }

  /**
   * Figures now.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  stats(): OptimizerStats {
    this.#running()
    return statsOf(this.#profiler.snapshot(), this.#gc.report())
  }

  /**
   * What would help now, the most severe first.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  recommendations(): Opportunity[] {
    return this.#findings().recommendations
  }

  [Symbol.dispose](): void { this.#end() }

  #running(): OptimizerStats {
    if (this.#before === undefined) throw invalidArgument('the optimizer is not running. Call start() first')
    return this.#before
  }

  #findings(): OptimizerFindings {
    const before = this.#running()
    const { runtime, targetUsage } = this.#settings
    const profile = this.#profiler.snapshot()
    const gc = this.#gc.report()
    const after = statsOf(profile, gc)
    const allocator = runtime.malloc()
    const recommendations = bySeverity([
      ...memoryOpportunities(profile, this.plan, targetUsage), ...gc.opportunities, ...allocatorOpportunities(allocator, runtime.memory(), after.usedBytes),
    ])
    return { before, after, plan: this.plan, allocator, profile, gc, recommendations }
  }

  #end(): void {
    this.#before = undefined
    this.#profiler.stop()
    this.#gc.stop()
  }
}

function statsOf({ elapsedMs, ledgers, process, leaks }: ProfileSnapshot, { counts, window, score }: GcReport): OptimizerStats {
  const sum = (of: (ledger: ProfileSnapshot['ledgers'][number]) => number): number => ledgers.reduce((total, ledger) => total + of(ledger), 0)
  const budgetBytes = sum(({ budgetBytes: bytes }) => bytes)
  const needed = sum(neededBytes)
  return {
    elapsedMs, budgetBytes, usedBytes: sum(({ usedBytes }) => usedBytes), neededBytes: needed, usage: budgetBytes === 0 ? 0 : needed / budgetBytes,
    rssBytes: process.rssBytes, heapUsedBytes: process.heapUsedBytes, growthPerSecond: sum(({ growthPerSecond }) => growthPerSecond),
    openHandles: leaks.open, leakedHandles: leaks.leaked, youngCollections: counts.young, oldCollections: counts.old, pauseP95Ms: window.all.p95Ms, gcScore: score,
  }
}
