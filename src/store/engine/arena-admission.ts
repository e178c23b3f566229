/**
 * Admission of writes: byte credits for unflushed data, in the unit that is really allocated, a memtable's arena.
 *
 * A store that begins to write takes credits for an arena; its writes then reserve their bytes in that arena
 * (`Memtable.fitsBatch`) before anything is written, and an overwrite gives its bytes back there. When the arena is in a table
 * its credits come back, exactly and once, to whoever waits first, whatever store that is.
 *
 * Invariants
 * 1. Credits held = bytes of all arenas in use + credits granted to stores whose turn it is.
 * 2. First come, first served between stores: while one waits in line no other gets an arena.
 * 3. Whenever a wait begins, or one remains after a change, `onStarved` is told, so that a flush is on its way.
 * 4. Nothing here waits for the event loop: a grant takes effect inside the call that made room.
 *
 * Accounts: `memtables` (through `arena-pool.ts`). Cost: a few comparisons for each memtable, nothing for a write.
 */
import type { SpillwayError } from '../../base/errors.ts'
import type { Account } from '../../memory/budget.ts'
import { Credits } from '../../memory/credits.ts'
import { ArenaPool, arenaSize, arenaSizeAbove } from './arena-pool.ts'

/** An arena so many times smaller than the wanted one will do, if it is there. */
const NEAR = 4
/** So many smaller ones are taken before those that lie free are dropped for one of the size that was wanted. */
const MAX_SMALLER = 8
/** With larger ones there is less to gain, and what is dropped for them is more than may lie about as garbage. */
const LARGEST_GROWN_BYTES = 4 * 1024 * 1024

interface Turn {
  /** Credits that are this store's; 0: it still waits. */
  grantedBytes: number
  leave: () => boolean
}

export interface ArenaAdmissionEvents {
  /** Somebody waits for credits: see to it that a flush is on its way. */
  onStarved: () => void
  /** It is the turn of a store that waited. */
  onGranted: () => void
  onAccountingError: (error: SpillwayError) => void
}

export class ArenaAdmission {
  readonly arenas: ArenaPool
  readonly #credits: Credits
  readonly #events: ArenaAdmissionEvents
  readonly #turns = new Map<object, Turn>()
  /** Arenas smaller than could be had that were taken since the last larger one. */
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
  /** Stores that wait in line. */
  get waiting(): number { return this.#credits.waiting }

  /** Most bytes of arenas in use. Lowered, it takes effect as flushes end. */
  setLimit(bytes: number): void {
    this.arenas.setLimit(bytes)
    this.#credits.setBudget(bytes)
  }

  /**
   * An arena of `wantBytes`, or of a smaller size down to `leastBytes`; undefined: `store` waits for its turn, or for the
   * ledger to have room. It asks again after every job, or leaves the line.
   */
  take(store: object, wantBytes: number, leastBytes: number): SharedArrayBuffer | undefined {
    const least = arenaSizeAbove(leastBytes)
    const turn = this.#turns.get(store)
    if (turn !== undefined && turn.grantedBytes === 0) return undefined
    const grantedBytes = turn?.grantedBytes ?? 0
    const credits = this.#credits
    const reach = Math.max(least, arenaSize(Math.min(wantBytes, grantedBytes + credits.freeBytes)))
    // What lies free in nearly the right size first: a dropped arena is garbage until it is collected.
    const near = Math.max(least, reach / NEAR)
    // But not for ever: when a small write memory has grown, so do the memtables.
    const isWhole = this.#prefersLarger && reach === Math.max(least, arenaSize(wantBytes))
    if ((this.#smaller >= MAX_SMALLER || isWhole) && reach <= LARGEST_GROWN_BYTES) {
      this.#smaller = 0
      const { bytes } = this.arenas
      const buffer = this.#takeSize(reach, grantedBytes, true)
      // One that lay free leaves the others as they are.
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
    // The wait itself may have made somebody give an empty arena back.
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

  /** What is about to come back is of sizes that stores at rest had: the next one for which there are credits is of the size that is wanted. */
  preferLarger(): void {
    this.#prefersLarger = true
  }

  /** What was in the arena is in a table, or it was empty. */
  give(buffer: SharedArrayBuffer): void {
    this.arenas.give(buffer)
    this.#credits.release(buffer.byteLength)
  }

  /** The store waits no longer; what was granted goes to the next. */
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
