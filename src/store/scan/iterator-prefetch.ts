/**
 * Entries an iterator has read but not yielded. They can be dropped between any two calls and are then read again, which gives the
 * same entries at a snapshot.
 *
 * Invariants
 * 1. Entries are leased before they are read. Without memory one entry is read, which is the caller's at once.
 * 2. They stay within the iterator's share of an eighth of the budget.
 * 3. The position is behind the last entry read. A drop moves it back to the start of the chunk; `#skip` counts the entries after
 *    it that were already yielded.
 *
 * Account: `iterators`. Cost: entries are read in chunks, small at first.
 */
import { Member } from '../../base/linked-list.ts'
import type { Lease } from '../../memory/budget.ts'
import type { StoreState } from '../state/store-state.ts'
import { IteratorPosition } from './iterator-position.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import { EntryReader } from './iterator-reader.ts'
import { RangeScanner } from './range-scanner.ts'

/** Limits of a chunk: entries at first and at most, bytes of keys and values, bytes when decoded. */
const FIRST_ENTRIES = 16
const CHUNK_ENTRIES = 256
const GROWTH = 4
const CHUNK_BYTES = 64 * 1024
const CHUNK_LEASE_BYTES = 128 * 1024
/** An iterator with a limit up to this reads all of it at once. */
const SHORT_LIMIT = 256
/** Share of the budget for the prefetched entries of all iterators. */
const READ_AHEAD_SHARE = 1 / 8
/** Objects of an open iterator. */
const OBJECT_BYTES = 1.3 * 1024

/** T: the yielded type. */
export class ReadAhead<T> {
  readonly place: IteratorPosition
  readonly walk: RangeScanner
  readonly #core: StoreState
  readonly #reader: EntryReader
  #chunk: T[] = []
  /** Index of the next entry. */
  #at = 0
  #lease: Lease | undefined
  /** Entries of the next chunk. */
  #entries = FIRST_ENTRIES
  /** Entries after the position that were already yielded. */
  #skip = 0
  /** Chunks, counts and seeks. */
  #moves = 0
  /** Called when others need the memory: first to release the scan, then the entries. */
  readonly #idle: Member<() => void> = new Member(() => {
    if (this.walk.holdsScan) this.walk.closeScan()
    else this.drop()
    if (this.#lease !== undefined) this.#core.engine.reading.idleScans.add(this.#idle)
  })

  constructor(core: StoreState, plan: IteratorPlan) {
    this.#core = core
    this.place = new IteratorPosition(core.engine.reading.iteratorObjects, plan)
    this.walk = new RangeScanner(core, plan, this.place, this.#idle)
    this.#reader = new EntryReader(core, plan, this.place, this.walk)
    if (plan.limit <= SHORT_LIMIT) this.#entries = Math.max(1, plan.limit)
  }

  get isEmpty(): boolean { return this.#at >= this.#chunk.length }
  /** Changes with each entry that is yielded, counted or passed. */
  get uses(): number { return this.#moves * (CHUNK_ENTRIES + 1) + this.#at }
  get heldBytes(): number { return OBJECT_BYTES + (this.#lease?.bytes ?? 0) }

  /** The next entry; it must not be empty. It is the caller's alone from now on: it may be large. */
  take(): T {
    const at = this.#at++
    const entry = this.#chunk[at]!
    this.#chunk[at] = undefined as T
    return entry
  }

  /** Up to `most` of the entries at hand. */
  takeSome(most: number): T[] {
    const some = this.#chunk.slice(this.#at, this.#at + most)
    this.#at += some.length
    return some
  }

  /** Read up to `most` entries directly for the caller. */
  readSome(most: number): T[] {
    this.#moves++
    this.drop()
    this.#catchUp()
    return this.#reader.read(most, Infinity, Infinity) as T[]
  }

  /** Read the next chunk, larger each time while memory lasts. Empty afterwards: the range is exhausted, or the walk has paused. */
  refill(): void {
    this.#moves++
    const { engine } = this.#core
    const { place } = this
    this.#chunk = []
    this.#at = 0
    this.#catchUp()
    // Its own lease must not close the scan it is about to use.
    engine.reading.idleScans.delete(this.#idle)
    place.hold()
    const roomBytes = place.isDone ? 0 : this.#leaseChunk()
    try {
      this.#chunk = this.#reader.read(roomBytes === 0 ? 1 : this.#entries, CHUNK_BYTES, roomBytes) as T[]
      if (this.#chunk.length > 1) this.#lease!.resize(Math.min(this.#reader.takenBytes, roomBytes))
    } finally {
      if (this.#chunk.length > 1) engine.reading.idleScans.add(this.#idle)
      else this.#endLease()
    }
    this.#entries = Math.min(CHUNK_ENTRIES, this.#entries * GROWTH)
  }

  /** Pass up to `most` unyielded entries; returns their number. */
  count(most: number): number {
    this.#moves++
    this.drop()
    this.#catchUp()
    return this.walk.count(most)
  }

  /** Continue at this key. */
  seek(key: Uint8Array): void {
    this.#moves++
    // Unyielded entries do not count for the limit.
    this.drop()
    this.place.left -= this.#skip
    this.#skip = 0
    this.#entries = FIRST_ENTRIES
    this.walk.lost()
    this.place.seek(key)
  }

  /** Drop the entries; unyielded ones are read again. */
  drop(): void {
    if (!this.isEmpty) {
      this.place.backToHeld()
      this.walk.lost()
      this.#skip = this.#at
      this.#entries = FIRST_ENTRIES
    }
    this.#chunk = []
    this.#at = 0
    this.#endLease()
  }

  close(): void {
    this.walk.closeScan()
    this.drop()
    this.#skip = 0
    this.#core.engine.reading.idleScans.delete(this.#idle)
    this.place.close()
  }

  /** Skip entries that were yielded before a chunk was dropped. */
  #catchUp(): void {
    this.walk.checkOpen()
    while (this.#skip > 0 && !this.place.isDone) this.#skip -= this.walk.count(this.#skip)
    this.#skip = 0
  }

  /** Bytes leased for the next chunk; 0: memory for only an entry or two. */
  #leaseChunk(): number {
    const { budget, reading: { idleScans, windows: { account } } } = this.#core.engine
    const { entryBytes } = this.#reader
    const share = Math.floor(budget.totalBytes * READ_AHEAD_SHARE / (idleScans.size + 1))
    const wanted = Math.min(CHUNK_LEASE_BYTES, share, this.#entries * entryBytes)
    // Fewer than two entries are not worth a lease.
    const least = 2 * entryBytes
    if (wanted >= least) {
      const lease = this.#lease ??= account.tryLease(0)
      if (lease?.resize(wanted)) return wanted
      const some = Math.min(wanted, (lease?.bytes ?? 0) + budget.freeBytes)
      if (some >= least && lease?.resize(some, false)) return some
    }
    this.#endLease()
    return 0
  }

  #endLease(): void {
    this.#lease?.release()
    this.#lease = undefined
  }
}
