/**
 * The garbage collector as it works: real pauses, what they gave back, what they cost, and what would help.
 *
 * Invariants
 * 1. Every figure comes from an event or a statistic of V8. What V8 does not tell is listed in `unknown`, never estimated in silence.
 * 2. What is applied acts in this process and is taken back by `stop`; everything else is an exact flag or a change of the program.
 *
 * Account: `profiler`, 48 KiB. Cost: 1 us a collection, and 50 us for the bytes it gave back.
 */
import { invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import { nodeRuntime } from '../host/node/node-runtime.ts'
import type { Disposer } from '../host/host.ts'
import type { CollectionWatch, Runtime } from '../host/runtime.ts'
import { Budget } from '../memory/budget.ts'
import type { Lease } from '../memory/budget.ts'
import { bySeverity } from './advice.ts'
import type { Bottleneck, Opportunity } from './advice.ts'
import { gcBottlenecks, gcOpportunities, gcScore, pauseShare } from './gc-advice.ts'
import type { GcState } from './gc-advice.ts'
import { GcTuning } from './gc-tuning.ts'
import type { AppliedTuning, TuningName } from './gc-tuning.ts'
import { GcWindow } from './gc-window.ts'
import type { WindowFigures } from './gc-window.ts'
import { checkNumber, MAX_INTERVAL_MS, MIN_INTERVAL_MS } from './profiler-options.ts'
import { semiSpaceMb } from './start-flags.ts'

export interface GcMonitorOptions {
  /** Budget to lease 48 KiB from. Default: one of its own. */
  budget?: Budget
  /** Milliseconds that frequencies and percentiles are over, from 1000 on; shorter if more than 2048 pauses fall into it. Default 60,000. */
  windowMs?: number
  /** Milliseconds between two looks at the bytes given back, from 10 on. Default 1000. */
  intervalMs?: number
  /** Hold the young generation of this process small once it is above `youngLimitBytes`, while young collections take less than 5 % of the time. Default false. */
  tune?: boolean
  /** From here on the young generation is large. Default 8 MiB. */
  youngLimitBytes?: number
  /** @internal */
  runtime?: Runtime
}

export interface GcReport {
  /** Milliseconds since the start. */
  observedMs: number
  /** Collections since the start. */
  counts: { young: number, old: number }
  /** Over the last `windowMs`. */
  window: WindowFigures
  /** Time in pauses by time, within the window, from 0 to 1. */
  pauseShare: number
  /** Bytes of V8's heap that collections gave back since the start; undefined: this runtime does not tell. */
  reclaimed: { youngBytes: number, oldBytes: number, collections: number } | undefined
  /** From 0 to 100; at the targets (p95 50 ms, 5 % of the time) 60. */
  score: number
  bottlenecks: Bottleneck[]
  opportunities: Opportunity[]
  applied: AppliedTuning[]
  /** What these figures do not hold. */
  unknown: string[]
}

const PAUSES = 2048
const YOUNG_LIMIT_BYTES = 8 * 1024 * 1024
/** The cost of tuning is judged over this time. */
const TUNING_MS = 10_000
const NAMES = ['budget', 'windowMs', 'intervalMs', 'tune', 'youngLimitBytes', 'runtime']

/** Of every runtime. */
const UNKNOWN = [
  'memory of Buffers that a collection gave back: V8 frees it later, in another thread',
  'steps of incremental marking between a start and its full collection, and work of V8\'s other threads',
  'collections of workers: each thread has a heap of its own',
]

/**
 * Watches the garbage collector of this thread.
 * @example
 * ```ts
 * using monitor = new GcMonitor()
 * monitor.start()
 * await db.put('key', 'value')
 * const { score, window, opportunities } = monitor.report()
 * console.log(score, window.all.p95Ms, opportunities.map(({ action }) => action.how))
 * ```
 */
export class GcMonitor implements Disposable {
  readonly #runtime: Runtime
  readonly #budget: Budget
  readonly #windowMs: number
  readonly #intervalMs: number
  readonly #youngLimitBytes: number
  readonly #tunes: boolean
  readonly #tuning: GcTuning
  #window: GcWindow | undefined
  #watch: CollectionWatch | undefined
  #lease: Lease | undefined
  #timer: Disposer | undefined
  #startMs = 0
  #reclaimed: GcReport['reclaimed']

  /** @throws SPILLWAY_INVALID_ARGUMENT */
  constructor(options: GcMonitorOptions = {}) {
    checkOptions(options, NAMES, 'a GC monitor')
    const { budget = new Budget(GcWindow.bytesOf(PAUSES)), windowMs = 60_000, intervalMs = 1000, tune = false, youngLimitBytes = YOUNG_LIMIT_BYTES, runtime = nodeRuntime } = options
    if (!(budget instanceof Budget)) throw invalidArgument('budget must be a Budget: { budget: new Budget("64 KiB") }')
    if (typeof tune !== 'boolean') throw invalidArgument(`tune must be true or false, not ${String(tune)}`)
    this.#budget = budget
    this.#windowMs = checkNumber(windowMs, 'windowMs', 1000, 24 * MAX_INTERVAL_MS)
    this.#intervalMs = checkNumber(intervalMs, 'intervalMs', MIN_INTERVAL_MS, MAX_INTERVAL_MS)
    this.#youngLimitBytes = checkNumber(youngLimitBytes, 'youngLimitBytes', 1024 * 1024, Number.MAX_SAFE_INTEGER)
    this.#tunes = tune
    this.#runtime = runtime
    this.#tuning = new GcTuning(runtime)
  }

  get isRunning(): boolean { return this.#window !== undefined }

  /**
   * Begin. Starting twice has no effect.
   * @throws SPILLWAY_BUDGET_TOO_SMALL
   */
  start(): void {
    if (this.isRunning) return
    this.#lease = this.#budget.account('profiler').lease(GcWindow.bytesOf(PAUSES))
    this.#startMs = this.#runtime.clock.nowMs()
    const window = this.#window = new GcWindow(this.#startMs, this.#windowMs, PAUSES)
    this.#reclaimed = undefined
    this.#watch = this.#runtime.watchCollections(event => window.add(event))
    this.#arm()
  }

  /** End it, and take back what was applied. Returns the last report; undefined: it was not running. */
  stop(): GcReport | undefined {
    if (!this.isRunning) return undefined
    const report = this.report()
    this.#timer?.()
    this.#watch?.stop()
    this.#lease?.release()
    this.#tuning.undo()
    this.#timer = this.#watch = this.#lease = this.#window = undefined
    return report
  }

  /**
   * All figures now.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  report(): GcReport {
    const window = this.#running()
    this.#look()
    const nowMs = this.#runtime.clock.nowMs()
    const state: GcState = {
      window: window.figures(nowMs), memory: this.#runtime.memory(), youngBytes: this.#tuning.youngBytes(),
      youngLimitBytes: this.#youngLimitBytes, semiSpaceMb: semiSpaceMb(this.#runtime), isYoungHeld: this.#tuning.has('young-generation'),
    }
    const bytesUnknown = this.#reclaimed === undefined ? ['bytes that collections gave back: this runtime does not tell'] : []
    return {
      observedMs: nowMs - this.#startMs, counts: { ...window.counts }, window: state.window, pauseShare: pauseShare(state.window),
      reclaimed: this.#reclaimed, score: gcScore(state), bottlenecks: bySeverity(gcBottlenecks(state)), opportunities: bySeverity(gcOpportunities(state)),
      applied: this.#tuning.applied(), unknown: [...bytesUnknown, ...UNKNOWN],
    }
  }

  /**
   * Apply a change that acts at once, in the whole process: 'young-generation' holds it between 2 and 5 MiB.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running, or there is no such change
   * @throws SPILLWAY_UNAVAILABLE this runtime has no V8 flags
   */
  apply(name: TuningName): AppliedTuning {
    this.#running()
    return this.#tuning.apply(name)
  }

  [Symbol.dispose](): void { this.stop() }

  #running(): GcWindow {
    if (this.#window === undefined) throw invalidArgument('the GC monitor is not running. Call start() first')
    return this.#window
  }

  #look(): void {
    const taken = this.#watch?.takeReclaimed()
    if (taken !== undefined) {
      const sum = this.#reclaimed ??= { youngBytes: 0, oldBytes: 0, collections: 0 }
      sum.youngBytes += taken.youngBytes
      sum.oldBytes += taken.oldBytes
      sum.collections += taken.collections
    }
    if (this.#tunes) {
      const nowMs = this.#runtime.clock.nowMs()
      this.#tuning.tune(this.#youngLimitBytes, this.#window?.youngShare(Math.max(this.#startMs, nowMs - TUNING_MS), nowMs) ?? 0)
    }
    this.#tuning.renew()
  }

  #arm(): void {
    this.#timer = this.#runtime.scheduler.later(this.#intervalMs, () => {
      this.#look()
      this.#arm()
    }, true)
  }
}
