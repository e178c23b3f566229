/**
 * Admission of writes by byte credits, in the unit that is allocated: a memtable's arena.
 *
 * A store that begins to write takes credits for an arena. Its writes reserve their bytes in that arena (`Memtable.fitsBatch`)
 * before anything is written; an overwrite returns its bytes there. When the arena has been flushed, its credits go once to the
 * store that has waited longest.
 *
 * Invariants
 * 1. Credits held = bytes of all arenas in use + credits granted to waiting stores.
 * 2. First come, first served between stores: while one waits, no other gets an arena.
 * 3. Whenever a wait begins, or remains after a change, `onStarved` is called, so that a flush runs.
 * 4. Nothing waits for the event loop: a grant takes effect inside the call that freed the memory.
 *
 * Account: `memtables` (through `arena-pool.ts`). Cost: a few comparisons per memtable, nothing per write.
 */
import type { SpillwayError } from '../../base/errors.ts'
import type { Account } from '../../memory/budget.ts'
import { Credits } from '../../memory/credits.ts'
import { ArenaPool, arenaSize, arenaSizeAbove } from './arena-pool.ts'

/** A free arena smaller than wanted by up to this factor is accepted. */
const NEAR = 4
/** Smaller arenas accepted in a row before free ones are dropped for one of the wanted size. */
const MAX_SMALLER = 8
/** Beyond this, larger arenas gain less, and dropping free ones would leave too much garbage. */
const LARGEST_GROWN_BYTES = 4 * 1024 * 1024

interface Turn {
  /** Credits granted to this store; 0: it still waits. */
  grantedBytes: number
  leave: () => boolean
}

export interface ArenaAdmissionEvents {
  /** A store waits for credits: make a flush run. */
  onStarved: () => void
  /** A waiting store has been granted credits. */
  onGranted: () => void
  onAccountingError: (error: SpillwayError) => void
}

export class ArenaAdmission {
  readonly arenas: ArenaPool
  readonly #credits: Credits
  readonly #events: ArenaAdmissionEvents
  readonly #turns = new Map<object, Turn>()
  /** Smaller arenas taken since the last one of the wanted size. */
  #smaller = 0
  #prefersLarger = false

  constructor(account: Account, limitBytes: number, events: ArenaAdmissionEvents) {
    this.arenas = new ArenaPool(account, limitBytes)
    this.#events = events
    this.#credits = new Credits(limitBytes, { onAccountingError: events.onAccountingError })
    this.#credits.onStarved = events.onStarved
  }

  get limitBytes(): number { return this.#credits.budgetBytes }
  get usedBytes(): number { return this.#credits.used }
  /** Waiting stores. */
  get waiting(): number { return this.#credits.waiting }

  /** Maximum bytes of arenas in use. A lower limit takes effect as flushes end. */
  setLimit(bytes: number): void {
    this.arenas.setLimit(bytes)
    this.#credits.setBudget(bytes)
  }

  /**
   * An arena of `wantBytes`, or smaller down to `leastBytes`. Undefined: `store` waits for its turn or for free memory; it calls
   * again after every job, or `leave`.
   */
  take(store: object, wantBytes: number, leastBytes: number): SharedArrayBuffer | undefined {
    const least = arenaSizeAbove(leastBytes)
    const turn = this.#turns.get(store)
    if (turn !== undefined && turn.grantedBytes === 0) return undefined
    const grantedBytes = turn?.grantedBytes ?? 0
    const credits = this.#credits
    const reach = Math.max(least, arenaSize(Math.min(wantBytes, grantedBytes + credits.freeBytes)))
    // Nearly the wanted size first, if free: a dropped arena is garbage until it is collected.
    const near = Math.max(least, reach / NEAR)
    // Not for ever: when a small write memory has grown, memtables grow too.
    const isWhole = this.#prefersLarger && reach === Math.max(least, arenaSize(wantBytes))
    if ((this.#smaller >= MAX_SMALLER || isWhole) && reach <= LARGEST_GROWN_BYTES) {
      this.#smaller = 0
      const { bytes } = this.arenas
      const buffer = this.#takeSize(reach, grantedBytes, true)
      // A free one was used; the others stay.
      if (isWhole && this.arenas.bytes !== bytes) this.#prefersLarger = false
      if (buffer !== undefined) return this.#taken(store, buffer, grantedBytes)
    }
    for (const drops of [false, true]) {
      for (let size = reach; size >= (drops ? least : near); size /= 2) {
        const buffer = this.#takeSize(size, grantedBytes, drops)
        if (buffer === undefined) continue
        if (size < reach) this.#smaller++
        return this.#taken(store, buffer, grantedBytes)
      }
    }
    if (turn !== undefined || credits.used === 0) return undefined
    this.#wait(store, least)
    // Waiting may itself have freed an empty arena.
    return this.#turns.get(store)?.grantedBytes === least ? this.take(store, least, least) : undefined
  }

  #taken(store: object, buffer: SharedArrayBuffer, grantedBytes: number): SharedArrayBuffer {
    this.#turns.delete(store)
    if (buffer.byteLength < grantedBytes) this.#credits.release(grantedBytes - buffer.byteLength)
    return buffer
  }

  #takeSize(size: number, grantedBytes: number, drops: boolean): SharedArrayBuffer | undefined {
    const extraBytes = Math.max(0, size - grantedBytes)
    if (!this.#credits.tryAcquire(extraBytes)) return undefined
    const buffer = this.arenas.take(size, drops)
    if (buffer === undefined) this.#credits.release(extraBytes)
    return buffer
  }

  /** The arenas about to be freed have the sizes of idle stores: take the wanted size next. */
  preferLarger(): void {
    this.#prefersLarger = true
  }

  /** Return an arena whose entries are in a table, or an empty one. */
  give(buffer: SharedArrayBuffer): void {
    this.arenas.give(buffer)
    this.#credits.release(buffer.byteLength)
  }

  /** Stop waiting; granted credits go to the next store. */
  leave(store: object): void {
    const turn = this.#turns.get(store)
    if (turn === undefined) return
    this.#turns.delete(store)
    if (!turn.leave()) this.#credits.release(turn.grantedBytes)
  }

  close(): void {
    this.#credits.close()
    this.arenas.close()
  }

  #wait(store: object, leastBytes: number): void {
    const turn: Turn = { grantedBytes: 0, leave: () => false }
    this.#turns.set(store, turn)
    turn.leave = this.#credits.join(leastBytes, () => {
      turn.grantedBytes = leastBytes
      this.#events.onGranted()
    }, () => { this.#turns.delete(store) })
  }
}
