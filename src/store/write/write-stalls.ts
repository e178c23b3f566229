/**
 * How writers are slowed: a smooth delay computed from the present state of the tree, and waits for memory. Each has a cause and an
 * age while it lasts, is counted, and is reported on `spillway:stall`.
 *
 * Invariants
 * 1. Nothing is latched: once the tree has recovered, no delay is owed.
 * 2. Every wait ends, however its writes end: written, aborted, failed or closed.
 */
import { stallVerdict } from '../../compaction/stall.ts'
import type { StallVerdict } from '../../compaction/stall.ts'
import type { StoreState } from '../state/store-state.ts'
import { emitStall } from '../api/events.ts'
import { FlushPacer } from './flush-pacer.ts'
import type { StallReport } from '../api/reports.ts'
import type { StallCause } from '../api/events.ts'

/** A verdict's delay is for this many bytes; smaller writes owe their share. */
const QUANTUM_BYTES = 64 * 1024
const REMEMBERED = 16
/** Shorter work inside a call is no stall. */
const MIN_WORK_MS = 1

class Tally {
  count = 0
  totalMs = 0
  longestMs = 0
}

export class WriteStalls {
  readonly #core: StoreState
  #sinceMs: number | undefined
  #cause: StallCause = 'memory'
  #owedMs = 0
  #owedFor: StallCause = 'runs'
  /** Called when flushes begin and end. */
  readonly pace = new FlushPacer()
  /** Delays in progress, since when, and their cause. */
  #delays = 0
  #delayedMs = 0
  #delayedFor: StallCause = 'runs'
  readonly #all = new Tally()
  readonly #byCause: Record<StallCause, Tally> = { flush: new Tally(), merge: new Tally(), memory: new Tally(), runs: new Tally(), debt: new Tally(), work: new Tally() }
  readonly #recent: { cause: StallCause, endedMs: number, durationMs: number }[] = []

  constructor(core: StoreState) {
    this.#core = core
  }

  /** No further run may be added before a merge ends. */
  get stop(): boolean { return this.#verdict().stop }
  /** Writers owe a delay long enough for a timer. */
  get owes(): boolean { return this.#owedMs >= 1 }

  /** Writers wait for `cause` from now on; a wait for another cause has ended. */
  begin(cause: StallCause): void {
    if (this.#sinceMs !== undefined && this.#cause === cause) return
    this.end()
    this.#sinceMs = this.#core.host.clock.nowMs()
    this.#cause = cause
    emitStall({ directory: this.#core.files.directory, phase: 'begin', cause })
  }

  /** No write waits. */
  end(): void {
    if (this.#sinceMs === undefined) return
    const durationMs = this.#core.host.clock.nowMs() - this.#sinceMs
    this.#sinceMs = undefined
    this.#count(this.#cause, durationMs)
    emitStall({ directory: this.#core.files.directory, phase: 'end', cause: this.#cause, durationMs })
  }

  /** Writes of `bytes` were admitted. */
  owe(bytes: number): void {
    const { delayMs, cause } = this.#verdict()
    if (cause !== undefined) this.#owedFor = cause
    if (delayMs > 0) this.#owedMs += delayMs * bytes / QUANTUM_BYTES
    else this.#owedMs = 0
  }

  /** Take the owed delay, to be waited now, in ms. */
  takeOwed(): number {
    const delayMs = Math.min(this.#owedMs, 10 * this.#core.engine.plan.stall.maxDelayMs)
    this.#owedMs = 0
    return this.#delay(this.#owedFor, delayMs)
  }

  /**
   * Delay of a group's acknowledgement in ms: the owed delay, or its writers' lead over the flush if that is longer. Not for
   * synchronous calls, which would not see the flush end.
   */
  takeDelay(): number {
    const leadMs = this.#leadMs
    if (leadMs < 1 || leadMs <= this.#owedMs) return this.owes ? this.takeOwed() : 0
    this.#owedMs = 0
    return this.#delay('flush', Math.min(leadMs, this.#core.engine.plan.stall.maxDelayMs))
  }

  get #leadMs(): number {
    const { view: { sealed, active }, engine, host } = this.#core
    // Without a worker, writers help the flush instead.
    if (sealed.length === 0 || active.isPlaceholder || engine.jobs.runner.mode !== 'worker') return 0
    return this.pace.leadMs(active.memtable.usedBytes / active.memtable.capacityBytes, host.clock.nowMs())
  }

  #delay(cause: StallCause, delayMs: number): number {
    const { directory } = this.#core.files
    this.#count(cause, delayMs)
    emitStall({ directory, phase: 'begin', cause, durationMs: delayMs })
    if (this.#delays++ === 0) this.#delayedMs = this.#core.host.clock.nowMs()
    this.#delayedFor = cause
    this.#core.host.scheduler.later(delayMs, () => {
      this.#delays--
      emitStall({ directory, phase: 'end', cause, durationMs: delayMs })
    }, true)
    return delayMs
  }

  /** A write has run jobs inside its call since `sinceMs`. */
  helped(sinceMs: number): void {
    const durationMs = this.#core.host.clock.nowMs() - sinceMs
    if (durationMs < MIN_WORK_MS) return
    const { directory } = this.#core.files
    this.#count('work', durationMs)
    emitStall({ directory, phase: 'begin', cause: 'work' })
    emitStall({ directory, phase: 'end', cause: 'work', durationMs })
  }

  report(): StallReport {
    const nowMs = this.#core.host.clock.nowMs()
    const { delayMs, stop, cause } = this.#verdict()
    return {
      ...this.#all,
      byCause: Object.fromEntries(Object.entries(this.#byCause).map(([name, tally]) => [name, { ...tally }])) as StallReport['byCause'],
      verdict: { delayMs, stop, ...(cause === undefined ? {} : { cause }) },
      ...(this.#sinceMs !== undefined
        ? { current: { cause: this.#cause, ageMs: nowMs - this.#sinceMs } }
        : this.#delays > 0 ? { current: { cause: this.#delayedFor, ageMs: nowMs - this.#delayedMs } } : {}),
      recent: this.#recent.map(({ cause, endedMs, durationMs }) => ({ cause, agoMs: nowMs - endedMs, durationMs })),
    }
  }

  #count(cause: StallCause, durationMs: number): void {
    for (const tally of [this.#all, this.#byCause[cause]]) {
      tally.count++
      tally.totalMs += durationMs
      if (durationMs > tally.longestMs) tally.longestMs = durationMs
    }
    this.#recent.push({ cause, endedMs: this.#core.host.clock.nowMs(), durationMs })
    if (this.#recent.length > REMEMBERED) this.#recent.shift()
  }

  #verdict(): StallVerdict {
    const { view: { tree: { runCount: runs, debtBytes } }, engine: { plan } } = this.#core
    return stallVerdict({ runs, debtBytes }, plan.stall)
  }
}
