/**
 * Changes to the garbage collector that act while a program runs. Only what was measured to act is here: --max-semi-space-size and
 * --max-old-space-size have no effect after the start.
 *
 * Invariant: what was applied is set again at every look, since on Node 20 a new Worker takes it back; `undo` restores what the program was started with.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Runtime } from '../host/runtime.ts'
import { flagValue } from './start-flags.ts'

export type TuningName = 'young-generation'

const GROWTH = 'semi-space-growth-factor'

const CHANGES: Record<TuningName, { set: string, reset: (startFlags: readonly string[]) => string, what: string }> = {
  'young-generation': {
    set: `--${GROWTH}=1`, reset: flags => `--${GROWTH}=${flagValue(flags, GROWTH) ?? 2}`,
    what: 'the young generation does not grow; it shrinks to its beginning with the next full collections',
  },
}

export interface AppliedTuning {
  name: TuningName
  /** The flag that was set, for the whole process. */
  how: string
  what: string
  /** Memory of the young generation when it was applied, and now. */
  before: { youngBytes: number }
  now: { youngBytes: number }
  /** It cost more than 5 % of the time, so it is no longer in effect. */
  isTakenBack: boolean
}

/** Time in young collections, of all time: from here on holding them small costs too much. */
export const MAX_YOUNG_SHARE = 0.05

export class GcTuning {
  readonly #runtime: Runtime
  /** Bytes of the young generation when each was applied. */
  readonly #applied = new Map<TuningName, number>()
  readonly #takenBack = new Set<TuningName>()
  #isRefused = false

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** In effect now. */
  has(name: TuningName): boolean { return this.#applied.has(name) && !this.#takenBack.has(name) }

  /** Memory really used for the young generation. */
  youngBytes(): number {
    return this.#runtime.heapSpaces().reduce((sum, { name, physicalBytes }) => name === 'new_space' ? sum + physicalBytes : sum, 0)
  }

  apply(name: TuningName): AppliedTuning {
    const change = Object.hasOwn(CHANGES, name) ? CHANGES[name] : undefined
    if (change === undefined) throw invalidArgument(`there is no change ${JSON.stringify(String(name))}, only ${Object.keys(CHANGES).join(', ')}`)
    if (!this.#runtime.setFlag(change.set)) {
      throw new SpillwayError('SPILLWAY_UNAVAILABLE', `${change.set} cannot be set: this runtime has no V8 flags. Start the program with its own settings for memory`, { details: { flag: change.set } })
    }
    this.#takenBack.delete(name)
    if (!this.#applied.has(name)) this.#applied.set(name, this.youngBytes())
    return this.applied().find(applied => applied.name === name)!
  }

  /** Hold the young generation if it is above `bytes`, as long as that costs little. `youngShare`: of the time, in young collections. */
  tune(bytes: number, youngShare: number): void {
    if (youngShare >= MAX_YOUNG_SHARE) {
      if (!this.has('young-generation')) return
      this.#takenBack.add('young-generation')
      this.#reset('young-generation')
      return
    }
    if (this.#isRefused || this.#applied.has('young-generation') || this.youngBytes() <= bytes) return
    try {
      this.apply('young-generation')
    } catch {
      // Without flags there is nothing to tune, and the report says what a start flag can do.
      this.#isRefused = true
    }
  }

  renew(): void {
    for (const name of this.#applied.keys()) if (this.has(name)) this.#runtime.setFlag(CHANGES[name].set)
  }

  undo(): void {
    for (const name of this.#applied.keys()) if (this.has(name)) this.#reset(name)
    this.#applied.clear()
    this.#takenBack.clear()
  }

  #reset(name: TuningName): void {
    this.#runtime.setFlag(CHANGES[name].reset(this.#runtime.startFlags))
  }

  applied(): AppliedTuning[] {
    const youngBytes = this.youngBytes()
    return [...this.#applied].map(([name, before]) => ({ name, how: CHANGES[name].set, what: CHANGES[name].what, before: { youngBytes: before }, now: { youngBytes }, isTakenBack: this.#takenBack.has(name) }))
  }
}
