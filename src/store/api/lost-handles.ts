/**
 * Handles that the program lost without closing them: iterators, snapshots, transactions. What one holds is given back once it was
 * collected, and a warning says so, once a process.
 *
 * Invariants
 * 1. What a handle holds never leads to it, or it would live as long as the store.
 * 2. An iterator is watched only once it has been open for some 10 ms: being watched costs as much as a part of a short scan, and most are
 *    closed by then. Until then the store itself keeps it.
 *
 * Account: none; some 100 bytes of V8's for a handle that is watched, in the measure of an iterator. Cost: for an iterator that is closed
 * soon, nothing; a timer every 10 ms while new ones are opened, which looks at those that are still open.
 */
import type { LinkedList } from '../../base/linked-list.ts'
import type { Host, LossRegistry } from '../../host/host.ts'
import { emitError } from './events.ts'

/** What a handle stands for. It knows nothing of the handle. */
export interface Holding {
  readonly isClosed: boolean
  close(): void
}

/** One whose handle the store keeps for as long as it is new. */
export interface YoungHolding extends Holding {
  /** Undefined: it is watched, or closed. */
  handle: object | undefined
  isWatched: boolean
}

const CODE = 'SPILLWAY_NOT_CLOSED'
/** How long an iterator is new, at most. */
const YOUNG_MS = 10

export class LostHandles {
  readonly #host: Host
  readonly #directory: string
  readonly #holdings: LinkedList<YoungHolding>
  #registry: LossRegistry | undefined
  #isDue = false

  /** `holdings`: the open iterators, oldest first. */
  constructor(host: Host, directory: string, holdings: LinkedList<YoungHolding>) {
    this.#host = host
    this.#directory = directory
    this.#holdings = holdings
  }

  /** A holding was added to the list, and its handle is with it. */
  added(): void {
    if (this.#isDue || this.#host.lossRegistry === undefined) return
    this.#isDue = true
    this.#host.scheduler.later(YOUNG_MS, this.#watchYoung, true)
  }

  /** From now on, if the handle is lost, `holding` is closed. `name`: 'a snapshot'. */
  watch(handle: object, holding: Holding): void {
    this.#registry ??= this.#host.lossRegistry?.(lost => { this.#lost(lost as Holding) })
    this.#registry?.register(handle, holding, holding)
  }

  /** The holding is closed. */
  forget(holding: Holding): void {
    this.#registry?.unregister(holding)
  }

  readonly #watchYoung = (): void => {
    this.#isDue = false
    // The young are the last ones.
    for (let member = this.#holdings.last; member !== undefined && member.value.handle !== undefined; member = member.before) {
      const holding = member.value
      this.watch(holding.handle!, holding)
      holding.handle = undefined
      holding.isWatched = true
    }
  }

  #lost(holding: Holding): void {
    if (holding.isClosed) return
    this.#host.warnOnce(
      CODE,
      'an iterator, a snapshot or a transaction of a Spillway store was dropped without being closed. It held old versions on disk, and memory, '
      + 'until it was collected. Close it: with close(), a loop that runs to its end or is left, all(), commit() or abort(), or `using`',
    )
    try {
      holding.close()
    } catch (error) {
      emitError({ directory: this.#directory, error: error as Error, readOnly: false })
    }
  }
}
