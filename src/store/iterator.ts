/**
 * Iterators: a snapshot, a place, and a scan that is rebuilt whenever the store has changed its shape.
 *
 * Invariants
 * 1. An iterator sees the store as of its creation, whatever is written, flushed or merged meanwhile.
 * 2. Between two calls it needs only its place: its scan, then what it has read ahead, is given back when somebody else needs
 *    the memory. What was read ahead and not yielded is read again then: at a snapshot it is the same.
 * 3. What it reads ahead is leased before it is read. Without room it reads one entry, which is the caller's at once.
 * 4. It reads ahead no more than its share of an eighth of the budget, and keeps a scan only if those of all fit half of it:
 *    otherwise each would push out what the next is about to use, and the block cache with it.
 *
 * Account: `iterators`; its own objects and place are in an allowance (`engine.iteratorObjects`).
 * Cost: entries are decoded in chunks, small at first; one promise per chunk with `nextv` and `for await`.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Lease } from '../memory/budget.ts'
import type { Core } from './core.ts'
import type { Transcoder } from './encoding.ts'
import type { ByteRange } from './range.ts'
import { readError } from './io-error.ts'
import { isEmptyRange } from './range.ts'
import { decodeValue, valueLength } from './reader.ts'
import { Scan } from './scan.ts'
import type { EntryScan } from './scan.ts'
import type { Snapshot } from './snapshots.ts'

/** @internal */
export interface IteratorPlan {
  range: ByteRange
  reverse: boolean
  limit: number
  keys: Transcoder | undefined
  values: Transcoder | undefined
  /** Where `seek` targets are encoded. */
  encodeTarget: (target: unknown) => Uint8Array
  snapshotSeq: number
  /** Of a transaction: what it has written lies over the store. */
  overlay?: ScanOverlay
}

/** @internal */
export interface ScanOverlay {
  /** Change when a scan has to be made anew, and when it has to look up its place again. */
  readonly shape: number
  readonly lastSeq: number
  open(snapshotSeq: number, reverse: boolean): EntryScan
  /** The iterator is closed. */
  close(): void
}

/** Of a chunk: entries at first and at most, bytes of keys and values, and what the entries take when decoded. */
const FIRST_ENTRIES = 8
const CHUNK_ENTRIES = 256
const CHUNK_BYTES = 64 * 1024
const CHUNK_LEASE_BYTES = 128 * 1024
/** Parts of the budget: for what all iterators together read ahead, and for the scans they keep between two calls. */
const READ_AHEAD_SHARE = 1 / 8
const SCANS_SHARE = 1 / 2
/** Measured: an iterator with its snapshot and plan; a key that it holds, beside its length. */
const ITERATOR_BYTES = 1024
const KEY_OBJECT_BYTES = 224
/** What `take` of a walk says. */
const REFUSE = 0
const LAST = 1
const MORE = 2
/** After so long without giving it a turn, an async iterator lets the event loop run. */
const TURN_MS = 5

/** T: what it yields: [key, value], keys or values. */
export class SpillwayIterator<T> implements AsyncDisposable {
  readonly #core: Core
  readonly #plan: IteratorPlan
  readonly #snapshot: Snapshot
  #scan: EntryScan | undefined
  /** Writes the scan has seen: the memtable cursor does not survive a change. */
  #scanSeq = 0
  /** Where to go on; undefined: where the range begins. */
  #place: Uint8Array | undefined
  /** The entry at the place is next, not the one behind it. */
  #placeIsNext = false
  /** Entries behind the place that were yielded already. */
  #skip = 0
  #left: number
  #done = false
  #closed = false
  #chunk: T[] = []
  #chunkAt = 0
  /** Where the chunk began. */
  #chunkPlace: Uint8Array | undefined
  #chunkPlaceIsNext = false
  #chunkLease: Lease | undefined
  #chunkEntries = FIRST_ENTRIES
  /** What an entry took in the last chunk. */
  #entryBytes = 512
  /** In the allowance. */
  #objectBytes = 0
  #turnMs: number
  /** Called when others need the memory: first for the scan, then for what was read ahead. */
  readonly #release = (): void => {
    if (this.#scan === undefined) this.#dropChunk()
    else this.#closeScan()
    if (this.#chunkLease !== undefined) this.#core.engine.idleScans.add(this.#release)
  }
  readonly #closeScan = (): void => {
    if (this.#scan === undefined) return
    this.#scan.close()
    this.#scan = undefined
    this.#core.windows.holders.delete(this.#closeScan)
  }

  /** @internal Made by `db.iterator`, `db.keys` and `db.values`. */
  constructor(core: Core, plan: IteratorPlan) {
    this.#core = core
    this.#plan = plan
    this.#left = plan.limit
    this.#countObjects()
    this.#snapshot = core.snapshots.add(plan.snapshotSeq)
    this.#done = isEmptyRange(plan.range)
    this.#turnMs = core.host.clock.nowMs()
    core.iterators.add(this)
  }

  /** The next one, or undefined after the last. */
  async next(): Promise<T | undefined> {
    if (this.#chunkAt >= this.#chunk.length) {
      await this.#turn()
      // Another call of `next` may have refilled it meanwhile.
      if (this.#chunkAt >= this.#chunk.length) this.#refill()
    }
    return this.#chunkAt < this.#chunk.length ? this.#take() : undefined
  }

  /** Up to `size` of the next ones; an empty array after the last. */
  async nextv(size: number): Promise<T[]> {
    await this.#turn()
    return this.nextvSync(size)
  }

  nextvSync(size: number): T[] {
    if (!Number.isSafeInteger(size) || size < 1) throw invalidArgument(`nextv takes a whole number from 1, not ${size}`)
    if (this.#chunkAt < this.#chunk.length) {
      const buffered = this.#chunk.slice(this.#chunkAt, this.#chunkAt + size)
      this.#chunkAt += buffered.length
      return buffered
    }
    this.#dropChunk()
    return this.#read(size, Infinity, Infinity)
  }

  /** All that are left, then close. */
  async all(): Promise<T[]> {
    const all: T[] = []
    try {
      for (;;) {
        const some = await this.nextv(1000)
        if (some.length === 0) return all
        for (const one of some) all.push(one)
      }
    } finally {
      await this.close()
    }
  }

  /** Go on at the first key at or after `target` (reverse: at or before it). Outside the range: nothing is left. */
  seek(target: unknown): void {
    this.#check()
    const { range, encodeTarget } = this.#plan
    const key = encodeTarget(target)
    // What was read ahead and not yielded does not count for the limit.
    this.#dropChunk()
    this.#left -= this.#skip
    this.#skip = 0
    this.#place = key
    this.#placeIsNext = true
    this.#chunkEntries = FIRST_ENTRIES
    this.#done = isEmptyRange(range) || !isInside(key, range)
    this.#scanSeq = -1
    this.#countObjects()
  }

  async close(): Promise<void> {
    this.closeSync()
  }

  closeSync(): void {
    if (this.#closed) return
    this.#closed = true
    const { engine, iterators } = this.#core
    this.#closeScan()
    this.#dropChunk()
    engine.idleScans.delete(this.#release)
    this.#snapshot.close()
    this.#plan.overlay?.close()
    iterators.delete(this)
    engine.iteratorObjects.change(-this.#objectBytes)
    this.#place = this.#chunkPlace = undefined
  }

  async* [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.#chunkAt < this.#chunk.length) yield this.#take()
        await this.#turn()
        this.#refill()
        if (this.#chunk.length === 0) return
      }
    } finally {
      this.closeSync()
    }
  }

  /** The same without promises. */
  * entriesSync(): Generator<T, void, undefined> {
    try {
      for (;;) {
        while (this.#chunkAt < this.#chunk.length) yield this.#take()
        this.#refill()
        if (this.#chunk.length === 0) return
      }
    } finally {
      this.closeSync()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closeSync()
  }

  /** @internal Count what is left without decoding it. */
  countSync(most: number): number {
    this.#dropChunk()
    this.#catchUp()
    let count = 0
    this.#walk(() => ++count < most ? MORE : LAST)
    return count
  }

  /** @internal Where it stands, for splitting long work: true when nothing is left. */
  get ended(): boolean { return this.#done }

  /** The next entry of the chunk, which is the caller's alone from now on: it may be large. */
  #take(): T {
    const at = this.#chunkAt++
    const entry = this.#chunk[at]!
    this.#chunk[at] = undefined as T
    return entry
  }

  /** Read ahead: more each time, as long as there is memory for it. */
  #refill(): void {
    const { engine } = this.#core
    this.#chunk = []
    this.#chunkAt = 0
    this.#catchUp()
    // Its own lease must not close the scan that is about to be used.
    engine.idleScans.delete(this.#release)
    this.#chunkPlace = this.#place
    this.#chunkPlaceIsNext = this.#placeIsNext
    const roomBytes = this.#done ? 0 : this.#leaseChunk()
    try {
      this.#chunk = this.#read(roomBytes === 0 ? 1 : this.#chunkEntries, CHUNK_BYTES, roomBytes)
    } finally {
      if (this.#chunk.length > 1) engine.idleScans.add(this.#release)
      else this.#endLease()
    }
    this.#chunkEntries = Math.min(CHUNK_ENTRIES, this.#chunkEntries * 2)
  }

  /** Bytes leased for the next chunk; 0: no room for more than an entry or two. */
  #leaseChunk(): number {
    const { engine: { budget, idleScans }, windows: { account } } = this.#core
    const share = Math.floor(budget.totalBytes * READ_AHEAD_SHARE / (idleScans.size + 1))
    const wanted = Math.min(CHUNK_LEASE_BYTES, share, this.#chunkEntries * this.#entryBytes)
    // Two entries, or it is not worth a lease.
    const least = 2 * this.#entryBytes
    if (wanted >= least) {
      const lease = this.#chunkLease ??= account.tryLease(0)
      if (lease?.resize(wanted)) return wanted
      const some = Math.min(wanted, (lease?.bytes ?? 0) + budget.freeBytes)
      if (some >= least && lease?.resize(some, false)) return some
    }
    this.#endLease()
    return 0
  }

  /** Up to so many entries and bytes of keys and values, and no more than fit into `roomBytes` when decoded, but for the first. */
  #read(entries: number, bytes: number, roomBytes: number): T[] {
    this.#catchUp()
    const { keys, values } = this.#plan
    const chunk: unknown[] = []
    let read = 0
    let taken = 0
    const core = this.#core
    this.#walk(scan => {
      const valueBytes = values === undefined ? 0 : valueLength(scan.kind, scan.value, scan.valueStart, scan.valueEnd)
      const decoded = ENTRY_BYTES + (keys === undefined ? 0 : decodedBytes(keys, scan.keyLength))
        + (values === undefined ? 0 : decodedBytes(values, valueBytes))
      if (chunk.length > 0 && taken + decoded > roomBytes) return REFUSE
      taken += decoded
      read += scan.keyLength + valueBytes
      if (values === undefined) {
        chunk.push(keys!.decode(scan.key, 0, scan.keyLength))
      } else {
        // The value first: it may be a view that does not outlive what a user's codec does.
        const value = decodeValue(core, values, scan.kind, scan.value, scan.valueStart, scan.valueEnd)
        chunk.push(keys === undefined ? value : [keys.decode(scan.key, 0, scan.keyLength), value])
      }
      return chunk.length < entries && read < bytes ? MORE : LAST
    })
    if (chunk.length > 0) this.#entryBytes = Math.ceil(taken / chunk.length)
    if (chunk.length > 1 && roomBytes !== Infinity) this.#chunkLease!.resize(Math.min(taken, roomBytes))
    return chunk as T[]
  }

  /** Forget what was read ahead; what of it was not yielded is read again. */
  #dropChunk(): void {
    const { length } = this.#chunk
    if (this.#chunkAt < length) {
      this.#left += length
      this.#place = this.#chunkPlace
      this.#placeIsNext = this.#chunkPlaceIsNext
      this.#skip = this.#chunkAt
      this.#done = false
      this.#scanSeq = -1
      this.#chunkEntries = FIRST_ENTRIES
    }
    this.#chunk = []
    this.#chunkAt = 0
    this.#endLease()
  }

  #endLease(): void {
    this.#chunkLease?.release()
    this.#chunkLease = undefined
  }

  /** Past the entries that were yielded before a chunk was dropped. */
  #catchUp(): void {
    const skip = this.#skip
    if (skip === 0) return
    let left = skip
    this.#walk(() => --left > 0 ? MORE : LAST)
    this.#skip = 0
  }

  /**
   * Call `take` for one entry after the other until it refuses one, says that it was the last, or nothing is left. After an
   * error the iterator stands where it stood before the call.
   */
  #walk(take: (scan: EntryScan) => number): void {
    this.#check()
    if (this.#done) return
    if (this.#left <= 0) {
      this.#finish()
      return
    }
    const left = this.#left
    const place = this.#place
    const placeIsNext = this.#placeIsNext
    try {
      this.#walkOn(take)
    } catch (error) {
      this.#left = left
      this.#place = place
      this.#placeIsNext = placeIsNext
      this.#closeScan()
      throw readError(error)
    }
  }

  #walkOn(take: (scan: EntryScan) => number): void {
    const scan = this.#placeScan()
    const { range, reverse } = this.#plan
    const bound = reverse ? range.start : range.end
    let step = MORE
    while (step === MORE && scan.valid && this.#left > 0) {
      if (bound !== undefined) {
        const order = compareBytes(scan.key, 0, scan.keyLength, bound, 0, bound.length)
        if (reverse ? order < 0 : order >= 0) break
      }
      step = take(scan)
      if (step !== MORE) {
        this.#place = scan.key.slice(0, scan.keyLength)
        this.#placeIsNext = step === REFUSE
      }
      if (step !== REFUSE) {
        this.#left--
        scan.advance()
      }
    }
    // Before others may take what it holds: room for these is made at their cost, not at its own.
    this.#countObjects()
    const { engine: { budget, idleScans }, windows } = this.#core
    if (step === MORE || this.#left <= 0) {
      this.#finish()
    } else if (scan.isNarrow || scan.heldBytes * (idleScans.size + 1) > budget.totalBytes * SCANS_SHARE) {
      this.#closeScan()
    } else {
      idleScans.add(this.#release)
      if (windows.usesReserve) windows.holders.add(this.#closeScan)
    }
  }

  #finish(): void {
    this.#done = true
    this.#closeScan()
    this.#core.engine.idleScans.delete(this.#release)
  }

  /** A scan that stands on the next entry. */
  #placeScan(): EntryScan {
    const core = this.#core
    core.engine.idleScans.delete(this.#release)
    core.windows.holders.delete(this.#closeScan)
    let scan = this.#scan
    const { overlay } = this.#plan
    // Both only grow.
    const shape = core.shape + (overlay?.shape ?? 0)
    const seq = core.lastSeq + (overlay?.lastSeq ?? 0)
    if (scan !== undefined && scan.shape === shape && this.#scanSeq === seq) return scan
    if (scan !== undefined && scan.shape !== shape) {
      this.#closeScan()
      scan = undefined
    }
    const { reverse, snapshotSeq } = this.#plan
    scan ??= this.#scan = overlay?.open(snapshotSeq, reverse) ?? new Scan(core, snapshotSeq, reverse)
    this.#scanSeq = seq
    scan.seek(this.#startKey())
    return scan
  }

  #startKey(): Uint8Array | undefined {
    const { range: { start, end }, reverse } = this.#plan
    const place = this.#place
    if (place === undefined) return reverse ? end : start
    return reverse === this.#placeIsNext ? successor(place) : place
  }

  /** Its objects, and the keys it holds. */
  #countObjects(): void {
    const { start, end } = this.#plan.range
    const bytes = ITERATOR_BYTES + keyBytes(start) + keyBytes(end) + keyBytes(this.#place) + keyBytes(this.#chunkPlace)
    this.#core.engine.iteratorObjects.change(bytes - this.#objectBytes)
    this.#objectBytes = bytes
  }

  async #turn(): Promise<void> {
    const { scheduler, clock } = this.#core.host
    if (clock.nowMs() - this.#turnMs < TURN_MS) return
    await new Promise<void>(resolve => scheduler.soon(resolve))
    this.#turnMs = clock.nowMs()
  }

  #check(): void {
    this.#core.checkOpen()
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the iterator is closed. Make a new one with db.iterator()')
  }
}

/** An array for key and value, and its place in the chunk. */
const ENTRY_BYTES = 64

/** Most that a decoded key or value takes, by its encoding; measured (of JSON and users' codecs: usually the most). */
function decodedBytes({ name }: Transcoder, bytes: number): number {
  switch (name) {
    // Short text is put together character by character, long text may take two bytes for each.
    case 'utf8': return bytes <= 12 ? 32 : bytes <= 24 ? 32 * (bytes - 10) : 2 * bytes + 32
    case 'view':
    case 'buffer': return bytes + (bytes >>> 3) + 224
    default: return 8 * bytes + 64
  }
}

function keyBytes(key: Uint8Array | undefined): number {
  return key === undefined ? 0 : KEY_OBJECT_BYTES + key.length
}

function isInside(key: Uint8Array, { start, end }: ByteRange): boolean {
  return (start === undefined || compareKeys(start, key) <= 0) && (end === undefined || compareKeys(key, end) < 0)
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
