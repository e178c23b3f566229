/**
 * How writers are slowed: a smooth delay computed from the tree's present state, and waits for room, each with cause and age.
 *
 * Invariants
 * 1. Nothing is latched: when the tree has recovered, nothing is owed any more.
 * 2. A stall has a cause and a beginning while it lasts, and an end that is counted.
 */
import { stallVerdict } from '../compaction/stall.ts'
import type { Core } from './core.ts'

/** The delay of a verdict is for so many bytes; smaller writes owe their share of it. */
const QUANTUM_BYTES = 64 * 1024

export class Stalls {
  readonly #core: Core
  #sinceMs: number | undefined
  #cause = ''
  #owedMs = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** True when the tree is so far behind that no further run may be added before a merge has ended. */
  get stop(): boolean { return this.#verdict().stop }
  /** True when writers owe a delay that a timer can measure. */
  get owes(): boolean { return this.#owedMs >= 1 }

  get current(): { cause: string, ageMs: number } | undefined {
    return this.#sinceMs === undefined ? undefined : { cause: this.#cause, ageMs: this.#core.host.clock.nowMs() - this.#sinceMs }
  }

  begin(cause: string): void {
    if (this.#sinceMs !== undefined) return
    this.#sinceMs = this.#core.host.clock.nowMs()
    this.#cause = cause
    this.#core.counters.stallCount++
  }

  end(): void {
    if (this.#sinceMs === undefined) return
    this.#core.counters.stallMs += this.#core.host.clock.nowMs() - this.#sinceMs
    this.#sinceMs = undefined
  }

  /** Writes of so many bytes were admitted. */
  owe(bytes: number): void {
    const { delayMs } = this.#verdict()
    if (delayMs > 0) this.#owedMs += delayMs * bytes / QUANTUM_BYTES
    else this.#owedMs = 0
  }

  /** What is owed, to be waited for now. */
  takeOwed(): number {
    const { counters, plan } = this.#core
    const delayMs = Math.min(this.#owedMs, 10 * plan.stall.maxDelayMs)
    this.#owedMs = 0
    counters.stallCount++
    counters.stallMs += delayMs
    return delayMs
  }

  #verdict(): { delayMs: number, stop: boolean } {
    const { tree: { runCount: runs, debtBytes }, plan } = this.#core
    return stallVerdict({ runs, debtBytes }, plan.stall)
  }
}
