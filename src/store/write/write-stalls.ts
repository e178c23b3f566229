/**
 * How writers are slowed: a smooth delay computed from the tree's present state, and waits for room. Each has a cause, an age
 * while it lasts, and an end that is counted and told (`spillway:stall`).
 *
 * Invariants
 * 1. Nothing is latched: when the tree has recovered, nothing is owed any more.
 * 2. A wait that has begun ends, however the writes end: written, aborted, failed or closed.
 */
import { stallVerdict } from '../../compaction/stall.ts'
import type { StallVerdict } from '../../compaction/stall.ts'
import type { StoreState } from '../state/store-state.ts'
import { emitStall } from '../api/events.ts'
import { FlushPacer } from './flush-pacer.ts'
import type { StallReport } from '../api/reports.ts'
import type { StallCause } from '../api/events.ts'

/** The delay of a verdict is for so many bytes; smaller writes owe their share of it. */
const QUANTUM_BYTES = 64 * 1024
const REMEMBERED = 16
/** Less work inside a call is no stall. */
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
  /** Told by who begins and ends flushes. */
  readonly pace = new FlushPacer()
  /** Delays that go on, since when, and for what. */
  #delays = 0
  #delayedMs = 0
  #delayedFor: StallCause = 'runs'
  readonly #all = new Tally()
  readonly #byCause: Record<StallCause, Tally> = { flush: new Tally(), merge: new Tally(), memory: new Tally(), runs: new Tally(), debt: new Tally(), work: new Tally() }
  readonly #recent: { cause: StallCause, endedMs: number, durationMs: number }[] = []

  constructor(core: StoreState) {
    this.#core = core
  }

  /** True when the tree is so far behind that no further run may be added before a merge has ended. */
  get stop(): boolean { return this.#verdict().stop }
  /** True when writers owe a delay that a timer can measure. */
  get owes(): boolean { return this.#owedMs >= 1 }

  /** Writers wait for `cause` from now on. What they waited for before, if it was something else, has ended. */
  begin(cause: StallCause): void {
    if (this.#sinceMs !== undefined && this.#cause === cause) return
    this.end()
    this.#sinceMs = this.#core.host.clock.nowMs()
    this.#cause = cause
    emitStall({ directory: this.#core.files.directory, phase: 'begin', cause })
  }

  /** Nobody waits any more. */
  end(): void {
    if (this.#sinceMs === undefined) return
    const durationMs = this.#core.host.clock.nowMs() - this.#sinceMs
    this.#sinceMs = undefined
    this.#count(this.#cause, durationMs)
    emitStall({ directory: this.#core.files.directory, phase: 'end', cause: this.#cause, durationMs })
  }

  /** Writes of so many bytes were admitted. */
  owe(bytes: number): void {
    const { delayMs, cause } = this.#verdict()
    if (cause !== undefined) this.#owedFor = cause
    if (delayMs > 0) this.#owedMs += delayMs * bytes / QUANTUM_BYTES
    else this.#owedMs = 0
  }

  /** What is owed, to be waited for now. */
  takeOwed(): number {
    const delayMs = Math.min(this.#owedMs, 10 * this.#core.engine.plan.stall.maxDelayMs)
    this.#owedMs = 0
    return this.#delay(this.#owedFor, delayMs)
  }

  /**
   * For how long the acknowledgement of a group is held back: what is owed, or by how much its writers are ahead of the flush, if that
   * is more. Not for a call that waits inside itself, since the event loop has to turn for a flush to be seen to end.
   */
  takeDelay(): number {
    const leadMs = this.#leadMs
    if (leadMs < 1 || leadMs <= this.#owedMs) return this.owes ? this.takeOwed() : 0
    this.#owedMs = 0
    return this.#delay('flush', Math.min(leadMs, this.#core.engine.plan.stall.maxDelayMs))
  }

  get #leadMs(): number {
    const { view: { sealed, active }, engine, host } = this.#core
    // Where a flush has no thread of its own, writers help it along instead.
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

  /** Jobs without a thread of their own were helped inside a write, since so many ms of the clock. */
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
