/**
 * Where memory goes: every account of the given ledgers and V8's spaces over time, and handles that were left open.
 *
 * Invariants
 * 1. All its memory is leased when it starts and given back when it stops.
 * 2. Handles are listed from its start on; those opened earlier are not seen.
 * 3. Stopped, it keeps nothing of the stores.
 *
 * Accounts: `profiler` of each budget; without any, of a budget of its own. Cost: a sample takes about 0.1 ms.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Disposer } from '../host/host.ts'
import type { AllocationSite, HeapProfile } from '../host/runtime.ts'
import { Budget } from '../memory/budget.ts'
import type { OpenHandles } from '../memory/open-handles.ts'
import { watchHandles } from '../memory/watch-handles.ts'
import { HeapHistory } from './heap-history.ts'
import type { ProcessTrend, SpaceTrend } from './heap-history.ts'
import { LedgerHistory } from './ledger-history.ts'
import type { LedgerSample, LedgerTrend } from './ledger-history.ts'
import { MAX_LEAKS, leakReport } from './leaks.ts'
import type { LeakReport } from './leaks.ts'
import { profilerSettings } from './profiler-options.ts'
import type { ProfilerOptions, ProfilerSettings } from './profiler-options.ts'
import { ledgersOf } from './sources.ts'
import type { Ledger } from './sources.ts'

/** Part of each budget for samples, and bounds of it. */
const SHARE = 1 / 64
const MIN_BYTES = 64 * 1024
const MAX_BYTES = 1024 * 1024
/** Of the engine's figures. */
const MAX_HEAP_BYTES = 512 * 1024
/** For sources without a budget. */
const OWN_BUDGET = 2 * 1024 * 1024
const HOT_SPOTS = 20

export interface ProfileOptions {
  /** Milliseconds before the last sample that rates and growth are taken from. Default: all samples that are kept. */
  windowMs?: number
}

export interface ProfileSnapshot {
  /** Milliseconds since the profiler was started. */
  elapsedMs: number
  samples: number
  ledgers: LedgerTrend[]
  /** V8's spaces, the largest first. */
  spaces: SpaceTrend[]
  process: ProcessTrend
  leaks: LeakReport
  /** Sites that allocated most on V8's heap since the start, freed or not; undefined: they are not sampled (`hotSpots`). */
  hotSpots: AllocationSite[] | undefined
  /** Milliseconds this snapshot took. */
  tookMs: number
}

/**
 * Samples the ledgers of stores, collections and budgets, and V8's heap, and finds iterators, snapshots and transactions that were
 * left open. While it runs, the warning about a dropped handle names the place that made it.
 * @example
 * ```ts
 * using profiler = new Profiler({ sources: [db] })
 * profiler.start()
 * await db.put('key', 'value')
 * const { ledgers, leaks } = profiler.snapshot()
 * console.log(ledgers[0]?.accounts[0]?.account, leaks.leaks.length)
 * ```
 */
export class Profiler implements Disposable {
  readonly #settings: ProfilerSettings
  readonly #ledgers: Ledger[]
  readonly #histories: LedgerHistory[] = []
  readonly #handles: OpenHandles[] = []
  #heap: HeapHistory | undefined
  #sites: HeapProfile | undefined
  #timer: Disposer | undefined
  #startMs = 0
  #samples = 0

  /** @throws SPILLWAY_INVALID_ARGUMENT an option is wrong, or a source has no memory report */
  constructor(options: ProfilerOptions) {
    this.#settings = profilerSettings(options)
    this.#ledgers = ledgersOf(this.#settings.sources)
  }

  get isRunning(): boolean { return this.#heap !== undefined }

  /**
   * Begin. Takes the first sample; further ones do not keep the process running. Starting twice has no effect.
   * @throws SPILLWAY_BUDGET_TOO_SMALL a budget has no room for its samples; nothing is leased then
   * @throws SPILLWAY_UNAVAILABLE `hotSpots` without an inspector
   */
  start(): void {
    if (this.isRunning) return
    const { runtime, history, hotSpotBytes } = this.#settings
    this.#startMs = runtime.clock.nowMs()
    this.#samples = 0
    try {
      const budgets = this.#ledgers.flatMap(({ budget }) => budget ?? [])
      const first = budgets[0] ?? new Budget(OWN_BUDGET)
      for (const ledger of this.#ledgers) this.#histories.push(new LedgerHistory(ledger, history, shareOf(ledger.budget ?? first, MAX_BYTES), first))
      for (const budget of budgets) this.#handles.push(watchHandles(budget, () => runtime.clock.nowMs()))
      this.#heap = new HeapHistory(runtime, history, shareOf(first, MAX_HEAP_BYTES), first)
      if (hotSpotBytes > 0) this.#sites = runtime.profileHeap(hotSpotBytes)
    } catch (error) {
      this.stop()
      throw error
    }
    this.sample()
    this.#arm()
  }

  /** End it and give its memory back. */
  stop(): void {
    this.#timer?.()
    this.#timer = undefined
    for (const history of this.#histories.splice(0)) history.close()
    for (const list of this.#handles.splice(0)) list.release()
    this.#heap?.close()
    this.#heap = undefined
    this.#sites?.stop()
    this.#sites = undefined
  }

  /** Take a sample now, beside those of the timer, for programs that seldom yield to the event loop. */
  sample(): void {
    const heap = this.#running()
    const nowMs = this.#settings.runtime.clock.nowMs()
    for (const history of this.#histories) history.sample(nowMs)
    for (const list of this.#handles) list.look()
    heap.sample(nowMs)
    this.#samples++
  }

  /**
   * All of it now, from a fresh sample.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  snapshot({ windowMs = Infinity }: ProfileOptions = {}): ProfileSnapshot {
    const { clock } = this.#settings.runtime
    const startMs = clock.nowMs()
    this.sample()
    const heap = this.#running()
    const shot: ProfileSnapshot = {
      elapsedMs: startMs - this.#startMs, samples: this.#samples,
      ledgers: this.#histories.map(history => history.trend(windowMs)),
      spaces: heap.spaces(windowMs), process: heap.process(windowMs),
      leaks: this.leaks(), hotSpots: this.#sites?.read(HOT_SPOTS), tookMs: 0,
    }
    shot.tookMs = clock.nowMs() - startMs
    return shot
  }

  /**
   * Handles that are open and were not used for 30 seconds, in lines by kind and site: the surest first. `limit`: lines, default 20.
   * @throws SPILLWAY_INVALID_ARGUMENT it is not running
   */
  leaks(limit: number = MAX_LEAKS): LeakReport {
    this.#running()
    return leakReport(this.#handles, this.#settings.runtime.clock.nowMs(), limit)
  }

  /** Samples of each ledger, oldest first. */
  history(): { name: string, samples: LedgerSample[] }[] {
    return this.#histories.map(history => ({ name: history.ledger.name, samples: history.history() }))
  }

  [Symbol.dispose](): void { this.stop() }

  #running(): HeapHistory {
    if (this.#heap === undefined) throw invalidArgument('the profiler is not running. Call start() first')
    return this.#heap
  }

  #arm(): void {
    const { runtime, intervalMs } = this.#settings
    this.#timer = runtime.scheduler.later(intervalMs, () => {
      this.sample()
      this.#arm()
    }, true)
  }
}

function shareOf({ totalBytes }: Budget, maxBytes: number): number {
  return Math.min(maxBytes, Math.max(MIN_BYTES, totalBytes * SHARE))
}
