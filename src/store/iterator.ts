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
import { FILL_DONE, FILL_STOPPED, PackedScan } from './packed-scan.ts'
import type { RowShape } from './packed-scan.ts'
import type { ScanKernel } from '../base/kernels/scan-kernel.ts'
import { takeRows } from './rows.ts'
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
const FIRST_ENTRIES = 16
const CHUNK_ENTRIES = 256
const GROWTH = 4
/** An iterator with such a limit reads all of it at once. */
const SHORT_LIMIT = 256
const CHUNK_BYTES = 64 * 1024
const CHUNK_LEASE_BYTES = 128 * 1024
/** Parts of the budget: for what all iterators together read ahead, and for the scans they keep between two calls. */
const READ_AHEAD_SHARE = 1 / 8
const SCANS_SHARE = 1 / 2
/** Measured: an iterator with its snapshot and plan; a key that it holds, beside its length. */
const ITERATOR_BYTES = 1024
const KEY_OBJECT_BYTES = 224
/** Packed scans that were of little use make the next try wait for so many chunks, at most. */
const MOST_PATIENCE = 64
const FEW_ROWS = 16
/** In place of rows: nothing was found so far. */
const PAUSED = -2
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
  /** In its place, where many entries can be had at once. */
  #packed: PackedScan | undefined
  readonly #row: RowShape | undefined
  /** Chunks to go without it, and how many it will be the next time. */
  #wait = 0
  #patience = 1
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
  /** What the entries read in this call take. */
  #taken = 0
  /** What an entry took in the last chunk. */
  #entryBytes = 512
  /** In the allowance. */
  #objectBytes = 0
  #turnMs: number
  /** A walk through what was deleted ends the call, which then has fewer entries or none though there are more. */
  #pauses = false
  readonly #from = (): Uint8Array | undefined => this.#startKey()
  /** Called when others need the memory: first for the scan, then for what was read ahead. */
  readonly #release = (): void => {
    if (this.#scan === undefined && this.#packed === undefined) this.#dropChunk()
    else this.#closeScan()
    if (this.#chunkLease !== undefined) this.#core.engine.idleScans.add(this.#release)
  }
  readonly #closeScan = (): void => {
    this.#packed?.close()
    this.#packed = undefined
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
    if (plan.limit <= SHORT_LIMIT) this.#chunkEntries = Math.max(1, plan.limit)
    this.#row = rowShape(plan)
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
      while (this.#chunkAt >= this.#chunk.length && this.#refillOrPause()) await this.#turn()
    }
    return this.#chunkAt < this.#chunk.length ? this.#take() : undefined
  }

  /** Up to `size` of the next ones; an empty array after the last. */
  async nextv(size: number): Promise<T[]> {
    for (;;) {
      await this.#turn()
      this.#pauses = true
      try {
        const some = this.nextvSync(size)
        if (some.length > 0 || this.#done) return some
      } finally {
        this.#pauses = false
      }
    }
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
    this.#skip = 0
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
        do await this.#turn()
        while (this.#chunkAt >= this.#chunk.length && this.#refillOrPause())
        if (this.#chunkAt >= this.#chunk.length) return
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

  /** @internal Count what is left without decoding it: up to so many, or fewer when `ended` says that there are more. */
  countSync(most: number): number {
    this.#check()
    this.#dropChunk()
    this.#catchUp()
    this.#pauses = true
    try {
      return this.#count(most)
    } finally {
      this.#pauses = false
    }
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

  /** Read ahead; true: nothing was found so far, and the event loop may have its turn. */
  #refillOrPause(): boolean {
    this.#pauses = true
    try {
      this.#refill()
    } finally {
      this.#pauses = false
    }
    return this.#chunk.length === 0 && !this.#done
  }

  /** Read ahead: more each time, as long as there is memory for it. */
  #refill(): void {
    const { engine } = this.#core
    this.#check()
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
    this.#chunkEntries = Math.min(CHUNK_ENTRIES, this.#chunkEntries * GROWTH)
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

  /**
   * Up to so many entries and bytes of keys and values, and no more than fit into `roomBytes` when decoded, but for the first. After
   * an error the iterator stands where it stood before.
   */
  #read(entries: number, bytes: number, roomBytes: number): T[] {
    this.#check()
    this.#catchUp()
    const left = this.#left
    const place = this.#place
    const placeIsNext = this.#placeIsNext
    let chunk: unknown[] = []
    this.#taken = 0
    try {
      while (chunk.length < entries && !this.#done) {
        if (this.#left <= 0) {
          this.#finish()
          break
        }
        const some = this.#readPacked(entries - chunk.length, roomBytes)
        if (some === PAUSED) break
        if (some === undefined) {
          // As long as it may do better soon.
          const few = this.#row === undefined || roomBytes !== Infinity ? Infinity : FEW_ROWS * this.#patience
          this.#readOn(chunk, Math.min(entries, chunk.length + few), bytes, roomBytes)
        } else if (chunk.length === 0) {
          chunk = some
        } else {
          for (let i = 0; i < some.length; i++) chunk.push(some[i])
        }
        if (roomBytes !== Infinity && chunk.length > 0) break
      }
    } catch (error) {
      this.#left = left
      this.#place = place
      this.#placeIsNext = placeIsNext
      this.#done = false
      this.#closeScan()
      throw readError(error)
    }
    const taken = this.#taken
    if (chunk.length > 0) this.#entryBytes = Math.ceil(taken / chunk.length)
    if (chunk.length > 1 && roomBytes !== Infinity) this.#chunkLease!.resize(Math.min(taken, roomBytes))
    return chunk as T[]
  }

  /** Entry by entry, until `chunk` has so many. */
  #readOn(chunk: unknown[], entries: number, bytes: number, roomBytes: number): void {
    const { keys, values } = this.#plan
    const before = chunk.length
    let read = 0
    let keyBytes = 0
    const core = this.#core
    this.#walk(scan => {
      const valueBytes = values === undefined ? 0 : valueLength(scan.kind, scan.value, scan.valueStart, scan.valueEnd)
      const decoded = ENTRY_BYTES + (keys === undefined ? 0 : decodedBytes(keys, scan.keyLength))
        + (values === undefined ? 0 : decodedBytes(values, valueBytes))
      if (chunk.length > 0 && this.#taken + decoded > roomBytes) return REFUSE
      this.#taken += decoded
      keyBytes += scan.keyLength
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
    this.#noteHandedOut(chunk.length - before, keyBytes, read - keyBytes)
  }

  /** The same, many at once; undefined: go entry by entry. */
  #readPacked(entries: number, roomBytes: number): unknown[] | typeof PAUSED | undefined {
    const row = this.#row
    if (row === undefined) return undefined
    const { keys, values } = this.#plan
    const result = this.#fill(Math.min(entries, this.#left), roomBytes, row)
    if (result < 0) return result === PAUSED ? PAUSED : undefined
    const { kernel } = this.#packed!
    // At once: the rows lie where blocks are loaded.
    const some = takeRows(kernel, keys, values, this.#core.host)
    this.#taken += kernel.takenBytes
    this.#noteHandedOut(kernel.rows, kernel.keyBytes, kernel.valueBytes)
    this.#pass(result)
    return some
  }

  /** What is the caller's from now on lies outside the budget: the host sees to it that not too much of it waits as garbage. */
  #noteHandedOut(rows: number, keyBytes: number, valueBytes: number): void {
    const { keys, values } = this.#plan
    const hasKeys = isBuffer(keys)
    const hasValues = isBuffer(values)
    if (!hasKeys && !hasValues) return
    const objectBytes = rows * ((hasKeys ? BUFFER_OBJECT_BYTES : 0) + (hasValues ? BUFFER_OBJECT_BYTES : 0))
    this.#core.host.handedOut((hasKeys ? keyBytes : 0) + (hasValues ? valueBytes : 0), objectBytes)
  }

  /** Have the next rows in the kernel, which have to be passed then; -1: there are none that way; PAUSED: none yet. */
  #fill(rows: number, takenBytes: number, row: RowShape): number {
    if (this.#wait > 0) {
      this.#wait--
      return -1
    }
    const packed = this.#placePacked()
    if (packed === undefined) return this.#standBack(false)
    const { kernel } = packed
    const { end } = this.#plan.range
    for (;;) {
      const result = packed.fill(this.#from, end, row, rows, takenBytes)
      if (kernel.rows > 0 || result === FILL_DONE) return result
      if (result === FILL_STOPPED) return this.#standBack(false)
      // All of them were deleted.
      this.#takePlace(kernel)
      if (this.#pauses) {
        this.#countObjects()
        this.#core.engine.idleScans.add(this.#release)
        return PAUSED
      }
    }
  }

  /** Behind what was filled. */
  #pass(result: number): void {
    const packed = this.#packed!
    const { kernel } = packed
    this.#left -= kernel.rows
    if (result === FILL_DONE || this.#left <= 0) {
      this.#finish()
      return
    }
    this.#takePlace(kernel)
    if (result === FILL_STOPPED) {
      this.#standBack(kernel.rows >= FEW_ROWS)
      return
    }
    this.#countObjects()
    const { budget, idleScans } = this.#core.engine
    if (packed.heldBytes * (idleScans.size + 1) > budget.totalBytes * SCANS_SHARE) this.#closeScan()
    else idleScans.add(this.#release)
  }

  #takePlace(kernel: ScanKernel): void {
    const seen = kernel.seenKey()
    if (seen === undefined) return
    this.#place = seen
    this.#placeIsNext = false
  }

  /** Go entry by entry for a while, the longer the more often it was in vain. */
  #standBack(wasOfUse: boolean): -1 {
    this.#closeScan()
    this.#patience = wasOfUse ? 1 : Math.min(MOST_PATIENCE, 2 * this.#patience)
    this.#wait = this.#patience
    return -1
  }

  #placePacked(): PackedScan | undefined {
    const core = this.#core
    core.engine.idleScans.delete(this.#release)
    let packed = this.#packed
    if (packed !== undefined && packed.shape === core.shape) {
      if (this.#scanSeq === -1) packed.seek(this.#startKey())
      this.#scanSeq = 0
      return packed
    }
    this.#closeScan()
    packed = this.#packed = PackedScan.open(core, this.#plan.snapshotSeq)
    packed?.seek(this.#startKey())
    this.#scanSeq = 0
    return packed
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
    const left = this.#left
    const place = this.#place
    const placeIsNext = this.#placeIsNext
    try {
      for (let still = skip; still > 0 && !this.#done;) still -= this.#count(still)
    } catch (error) {
      // Some of its runs may stand further on than others.
      this.#left = left
      this.#place = place
      this.#placeIsNext = placeIsNext
      this.#done = false
      this.#closeScan()
      throw readError(error)
    }
    this.#skip = 0
  }

  /** Past up to so many entries; returns past how many. */
  #count(most: number): number {
    const plan = this.#plan
    let count = 0
    while (count < most && !this.#done) {
      const rows = Math.min(most - count, this.#left)
      const result = isPackable(plan) && rows > 0 ? this.#fill(rows, Infinity, NO_COLUMNS) : -1
      if (result === PAUSED) break
      if (result < 0) {
        const last = isPackable(plan) ? Math.min(most, count + FEW_ROWS * this.#patience) : most
        this.#walk(() => ++count < last ? MORE : LAST)
      } else {
        count += this.#packed!.kernel.rows
        this.#pass(result)
      }
    }
    return count
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
    if (this.#packed !== undefined) this.#closeScan()
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

/** A Buffer on V8's heap, at least, without what it is a view of; measured 104 and more. */
const BUFFER_OBJECT_BYTES = 96

const NO_COLUMNS: RowShape = { withKeys: false, withValues: false, costBytes: 0, keyEighths: 0, valueEighths: 0 }

/** Backward and under what a transaction has written it goes entry by entry. */
function isPackable({ reverse, overlay }: IteratorPlan): boolean {
  return !reverse && overlay === undefined
}

/** What packed rows are to have; undefined: this plan goes entry by entry. */
function rowShape(plan: IteratorPlan): RowShape | undefined {
  const { keys, values } = plan
  if (!isPackable(plan) || keys !== undefined && keys.packed === undefined || values !== undefined && values.packed === undefined) return undefined
  const [keyBytes, keyEighths] = packedCost(keys)
  const [valueBytes, valueEighths] = packedCost(values)
  return {
    withKeys: keys !== undefined, withValues: values !== undefined, costBytes: ENTRY_BYTES + keyBytes + valueBytes, keyEighths, valueEighths,
  }
}

/** As `decodedBytes`, of what comes from packed rows: so much, and so many eighths for each byte. */
function packedCost(transcoder: Transcoder | undefined): readonly [number, number] {
  if (transcoder === undefined) return [0, 0]
  switch (transcoder.name) {
    case 'utf8': return [48, 16]
    case 'view':
    case 'buffer': return [224, 9]
    default: return [64, 64]
  }
}

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

/** Whether the bytes of what it decodes lie outside V8's heap. */
function isBuffer(transcoder: Transcoder | undefined): boolean {
  return transcoder !== undefined && (transcoder.name === 'buffer' || transcoder.name === 'view')
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
