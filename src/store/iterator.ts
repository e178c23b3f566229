/**
 * Iterators: a snapshot, a place, and a scan that is rebuilt whenever the store has changed its shape.
 *
 * Invariants
 * 1. An iterator sees the store as of its creation, whatever is written, flushed or merged meanwhile.
 * 2. Between two calls it needs only its last key: its windows are given back when somebody else needs the memory.
 *
 * Account: `iterators`. Cost: entries are decoded in chunks; one promise per chunk with `nextv` and `for await`.
 */
import { compareBytes, compareKeys } from '../base/bytes.ts'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Core } from './core.ts'
import type { Transcoder } from './encoding.ts'
import type { ByteRange } from './range.ts'
import { readError } from './io-error.ts'
import { isEmptyRange } from './range.ts'
import { decodeValue, valueLength } from './reader.ts'
import { Scan } from './scan.ts'
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
}

const CHUNK_ENTRIES = 256
const CHUNK_BYTES = 64 * 1024
/** After so long without giving it a turn, an async iterator lets the event loop run. */
const TURN_MS = 5

/** T: what it yields: [key, value], keys or values. */
export class SpillwayIterator<T> implements AsyncDisposable {
  readonly #core: Core
  readonly #plan: IteratorPlan
  readonly #snapshot: Snapshot
  #scan: Scan | undefined
  /** Writes the scan has seen: the memtable cursor does not survive a change. */
  #scanSeq = 0
  #lastKey: Uint8Array | undefined
  #seekKey: Uint8Array | undefined
  #left: number
  #done = false
  #closed = false
  #chunk: T[] = []
  #chunkAt = 0
  #turnMs: number
  readonly #release = (): void => {
    this.#scan?.close()
    this.#scan = undefined
  }

  /** @internal Made by `db.iterator`, `db.keys` and `db.values`. */
  constructor(core: Core, plan: IteratorPlan) {
    this.#core = core
    this.#plan = plan
    this.#left = plan.limit
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
      if (this.#chunkAt >= this.#chunk.length) this.#refill(CHUNK_ENTRIES)
    }
    return this.#chunk[this.#chunkAt++]
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
    return this.#read(size, Infinity)
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
    this.#left += this.#chunk.length - this.#chunkAt
    this.#chunk = []
    this.#chunkAt = 0
    this.#seekKey = key
    this.#lastKey = undefined
    this.#done = isEmptyRange(range) || !isInside(key, range)
    this.#scanSeq = -1
  }

  async close(): Promise<void> {
    this.closeSync()
  }

  closeSync(): void {
    if (this.#closed) return
    this.#closed = true
    this.#release()
    this.#core.engine.idleScans.delete(this.#release)
    this.#snapshot.close()
    this.#core.iterators.delete(this)
    this.#chunk = []
  }

  async* [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    try {
      for (;;) {
        while (this.#chunkAt < this.#chunk.length) yield this.#chunk[this.#chunkAt++]!
        await this.#turn()
        this.#refill(CHUNK_ENTRIES)
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
        while (this.#chunkAt < this.#chunk.length) yield this.#chunk[this.#chunkAt++]!
        this.#refill(CHUNK_ENTRIES)
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
    let count = 0
    this.#walk(() => ++count < most)
    return count
  }

  /** @internal Where it stands, for splitting long work: true when nothing is left. */
  get ended(): boolean { return this.#done }

  #refill(entries: number): void {
    // What was yielded is not held while the next ones are read: there may be large values among them.
    this.#chunk = []
    this.#chunkAt = 0
    this.#chunk = this.#read(entries, CHUNK_BYTES)
  }

  #read(entries: number, bytes: number): T[] {
    const { keys, values } = this.#plan
    const chunk: unknown[] = []
    let read = 0
    const core = this.#core
    this.#walk(scan => {
      const key = keys?.decode(scan.key, 0, scan.keyLength)
      read += scan.keyLength
      if (values === undefined) {
        chunk.push(key)
      } else {
        const value = decodeValue(core, values, scan.kind, scan.value, scan.valueStart, scan.valueEnd)
        read += valueLength(scan.kind, scan.value, scan.valueStart, scan.valueEnd)
        chunk.push(keys === undefined ? value : [key, value])
      }
      return chunk.length < entries && read < bytes
    })
    return chunk as T[]
  }

  /**
   * Call `take` for one entry after the other until it says no or nothing is left. After an error the iterator stands where it
   * stood before the call.
   */
  #walk(take: (scan: Scan) => boolean): void {
    this.#check()
    if (this.#done) return
    if (this.#left <= 0) {
      this.#finish()
      return
    }
    const left = this.#left
    const lastKey = this.#lastKey
    try {
      this.#walkOn(take)
    } catch (error) {
      this.#left = left
      this.#lastKey = lastKey
      this.#release()
      throw readError(error)
    }
  }

  #walkOn(take: (scan: Scan) => boolean): void {
    const scan = this.#place()
    const { range, reverse } = this.#plan
    const bound = reverse ? range.start : range.end
    let more = true
    while (more && scan.valid && this.#left > 0) {
      if (bound !== undefined) {
        const order = compareBytes(scan.key, 0, scan.keyLength, bound, 0, bound.length)
        if (reverse ? order < 0 : order >= 0) break
      }
      this.#left--
      more = take(scan)
      if (!more) this.#lastKey = scan.key.slice(0, scan.keyLength)
      scan.advance()
    }
    if (more || this.#left <= 0) this.#finish()
    else this.#core.engine.idleScans.add(this.#release)
  }

  #finish(): void {
    this.#done = true
    this.#release()
    this.#core.engine.idleScans.delete(this.#release)
  }

  /** A scan that stands on the next entry. */
  #place(): Scan {
    const core = this.#core
    core.engine.idleScans.delete(this.#release)
    let scan = this.#scan
    if (scan !== undefined && scan.shape === core.shape && this.#scanSeq === core.lastSeq) return scan
    if (scan !== undefined && scan.shape !== core.shape) {
      this.#release()
      scan = undefined
    }
    const { reverse, snapshotSeq } = this.#plan
    scan ??= this.#scan = new Scan(core, snapshotSeq, reverse)
    this.#scanSeq = core.lastSeq
    scan.seek(this.#startKey())
    return scan
  }

  #startKey(): Uint8Array | undefined {
    const { range: { start, end }, reverse } = this.#plan
    if (this.#lastKey !== undefined) return reverse ? this.#lastKey : successor(this.#lastKey)
    // The target of a seek is inside the range.
    const target = this.#seekKey
    if (target === undefined) return reverse ? end : start
    return reverse ? successor(target) : target
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

function isInside(key: Uint8Array, { start, end }: ByteRange): boolean {
  return (start === undefined || compareKeys(start, key) <= 0) && (end === undefined || compareKeys(key, end) < 0)
}

function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}
