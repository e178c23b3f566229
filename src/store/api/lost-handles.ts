/**
 * Handles the program lost without closing: iterators, snapshots, transactions. Their resources are released once the handle is
 * collected, with one warning a process. Where handles are watched the warning names the place that made it, once for each of the
 * first 20 places.
 *
 * Invariants
 * 1. Resources never reference their handle, or it would live as long as the store.
 * 2. An iterator is registered only after it has been open for about 10 ms: registration costs as much as part of a short scan.
 *    Until then the store references it.
 *
 * Account: none; some 100 bytes in V8 per registered handle, included in an iterator's size. Cost: none for an iterator closed
 * soon; a timer every 10 ms while new ones are opened.
 */
import type { LinkedList } from '../../base/linked-list.ts'
import type { Host, LossRegistry } from '../../host/host.ts'
import type { HandleKind, OpenHandle } from '../../memory/open-handles.ts'
import { emitError } from './events.ts'

/** Resources of a handle, without a reference to it. */
export interface Holding {
  readonly isClosed: boolean
  /** Its entry while handles are watched: by a profiler, or with SPILLWAY_DEBUG. */
  readonly listed: OpenHandle | undefined
  close(): void
}

/** Resources whose handle the store references while it is new. */
export interface YoungHolding extends Holding {
  /** Undefined: registered or closed. */
  handle: object | undefined
  isWatched: boolean
}

const CODE = 'SPILLWAY_NOT_CLOSED'
/** More warnings than that would hide others. */
const MAX_PLACES = 20
const places = new Set<string>()

const HELD = 'It held old versions on disk, and memory, until it was collected. '
  + 'Close it: with close(), a loop that runs to its end or is left, all(), commit() or abort(), or `using`'
/** Maximum age of a new iterator. */
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

  /** An entry with its handle was added to the list. */
  added(): void {
    if (this.#isDue || this.#host.lossRegistry === undefined) return
    this.#isDue = true
    this.#host.scheduler.later(YOUNG_MS, this.#watchYoung, true)
  }

  /** Close `holding` if the handle is lost. `name`: such as 'a snapshot'. */
  watch(handle: object, holding: Holding): void {
    this.#registry ??= this.#host.lossRegistry?.(lost => { this.#lost(lost as Holding) })
    this.#registry?.register(handle, holding, holding)
  }

  /** The holding was closed. */
  forget(holding: Holding): void {
    this.#registry?.unregister(holding)
  }

  readonly #watchYoung = (): void => {
    this.#isDue = false
    // New ones are at the end.
    for (let member = this.#holdings.last; member !== undefined && member.value.handle !== undefined; member = member.before) {
      const holding = member.value
      this.watch(holding.handle!, holding)
      holding.handle = undefined
      holding.isWatched = true
    }
  }

  #lost(holding: Holding): void {
    if (holding.isClosed) return
    this.#warn(holding)
    try {
      holding.close()
    } catch (error) {
      emitError({ directory: this.#directory, error: error as Error, readOnly: false })
    }
  }
  #warn({ listed }: Holding): void {
    const place = listed?.drop()
    if (listed === undefined || place === undefined) {
      this.#host.warnOnce(
        CODE, `an iterator, a snapshot or a transaction of a Spillway store was dropped without being closed. ${HELD}. SPILLWAY_DEBUG=1 names the place that made it`,
      )
      return
    }
    if (!places.has(place) && places.size >= MAX_PLACES) return
    places.add(place)
    this.#host.warnOnce(CODE, `${withArticle(listed.kind)} of a Spillway store, made at ${place}, was dropped without being closed. ${HELD}`, `${CODE} ${place}`)
  }
}

function withArticle(kind: HandleKind): string {
  return `${kind === 'iterator' ? 'an' : 'a'} ${kind}`
}
