/**
 * Merges paged runs of any size with one page in memory per run.
 *
 * Invariants
 * 1. Equal keys keep the order of their runs, and within a run its order.
 * 2. A page is freed once it is in its window, so a short-lived page that never left memory is never written.
 * 3. The current entry is `bytes[entryStart, entryEnd)`, its key `bytes[keyStart, keyEnd)`, its value `bytes[valueStart,
 *    entryEnd)`, until the next call.
 *
 * A loser tree over eight key bytes after the common prefix: most comparisons are of integers.
 *
 * Account: the one given, for windows that are not lent. Cost: log2(runs) comparisons an entry, one copy a page.
 */
import { compareBytes } from '../base/bytes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { prefix32, entriesEnd } from './paged-entry.ts'
import type { PagedRun } from './paged-run.ts'

export type CompareRanges = (
  a: Uint8Array, aStart: number, aEnd: number, b: Uint8Array, bStart: number, bEnd: number,
) => number

export interface KeyOrder {
  /** Descending; equal keys keep their order. */
  reverse?: boolean
  /** Default: byte order. */
  compare?: CompareRanges
}

export interface PagedMergeOptions extends KeyOrder {
  /** `PagedMerge.windowBytes(runs)` bytes from `start`, lent by the caller. */
  memory?: { bytes: Uint8Array; start: number }
  /** Default false. */
  keepPages?: boolean
}

const FIELDS = 6
const ENTRY_START = 0
const KEY_START = 1
const KEY_END = 2
const ENTRY_END = 3
const WINDOW_END = 4
const NEXT_PAGE = 5

const SPENT = 0xffffffff

export class PagedMerge implements Disposable {
  static windowBytes(runs: readonly PagedRun[]): number {
    let bytes = 0
    for (const run of runs) bytes += run.largestPageBytes
    return bytes
  }

  readonly bytes: Uint8Array
  entryStart = 0
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  entryEnd = 0

  readonly #runs: readonly PagedRun[]
  readonly #lease: Lease | undefined
  readonly #windows: Float64Array
  readonly #keepPages: boolean
  readonly #compare: CompareRanges
  /** -1: descending. */
  readonly #sign: number
  /** Common prefix of all keys; -1: not in byte order. */
  readonly #shared: number
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  readonly #fields: Int32Array
  readonly #losers: Int32Array
  #winner = -1
  #started = false
  #closed = false

  constructor(runs: readonly PagedRun[], account: Account, options: PagedMergeOptions = {}) {
    this.#runs = runs
    this.#keepPages = options.keepPages ?? false
    this.#compare = options.compare ?? compareBytes
    this.#sign = options.reverse === true ? -1 : 1
    this.#shared = options.compare === undefined ? sharedPrefix(runs) : -1
    const bytes = PagedMerge.windowBytes(runs)
    if (options.memory === undefined) {
      this.#lease = account.lease(bytes)
      this.bytes = new Uint8Array(bytes)
    } else {
      this.bytes = options.memory.bytes
    }
    const k = runs.length
    this.#windows = new Float64Array(k)
    let start = options.memory?.start ?? 0
    for (let source = 0; source < k; source++) {
      this.#windows[source] = start
      start += runs[source]!.largestPageBytes
    }
    this.#high = new Uint32Array(k)
    this.#low = new Uint32Array(k)
    this.#fields = new Int32Array(k * FIELDS)
    this.#losers = new Int32Array(Math.max(k, 1)).fill(-1)
  }

  next(): boolean {
    const winner = this.#winner
    if (winner >= 0) {
      this.#advance(winner)
      this.#replay(winner)
    } else if (!this.#started) {
      this.#start()
    }
    const source = this.#winner
    if (source < 0) return false
    const fields = this.#fields
    const at = source * FIELDS
    if (fields[at + NEXT_PAGE]! < 0) {
      this.#winner = -1
      return false
    }
    this.entryStart = fields[at + ENTRY_START]!
    this.keyStart = fields[at + KEY_START]!
    this.valueStart = this.keyEnd = fields[at + KEY_END]!
    this.entryEnd = fields[at + ENTRY_END]!
    return true
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#winner = -1
    this.#lease?.release()
  }

  [Symbol.dispose](): void { this.close() }

  #start(): void {
    this.#started = true
    const k = this.#runs.length
    for (let source = 0; source < k; source++) this.#advance(source)
    // Each source plays upwards from its leaf and waits at the first node without an opponent.
    const losers = this.#losers
    for (let leaf = 0; leaf < k; leaf++) {
      let best = leaf
      let node = (leaf + k) >> 1
      for (; node > 0; node >>= 1) {
        const other = losers[node]!
        if (other < 0) break
        if (this.#before(other, best)) {
          losers[node] = best
          best = other
        }
      }
      if (node > 0) losers[node] = best
      else this.#winner = best
    }
  }

  #replay(source: number): void {
    const losers = this.#losers
    const high = this.#high
    let best = source
    let bestHigh = high[source]!
    for (let node = (source + losers.length) >> 1; node > 0; node >>= 1) {
      const other = losers[node]!
      const otherHigh = high[other]!
      if (otherHigh > bestHigh) continue
      if (otherHigh < bestHigh || this.#before(other, best)) {
        losers[node] = best
        best = other
        bestHigh = otherHigh
      }
    }
    this.#winner = best
  }

  #before(a: number, b: number): boolean {
    const aHigh = this.#high[a]!
    const bHigh = this.#high[b]!
    if (aHigh !== bHigh) return aHigh < bHigh
    const aLow = this.#low[a]!
    const bLow = this.#low[b]!
    if (aLow !== bLow) return aLow < bLow
    const fields = this.#fields
    const x = a * FIELDS
    const y = b * FIELDS
    const aSpent = fields[x + NEXT_PAGE]! < 0
    const bSpent = fields[y + NEXT_PAGE]! < 0
    if (aSpent || bSpent) return !aSpent
    // Skip the equal prefixes, where both keys have them.
    const bytes = this.bytes
    const aStart = fields[x + KEY_START]!
    const bStart = fields[y + KEY_START]!
    const aEnd = fields[x + KEY_END]!
    const bEnd = fields[y + KEY_END]!
    let skip = 0
    if (this.#shared >= 0) skip = Math.min(this.#shared + 8, aEnd - aStart, bEnd - bStart)
    const order = this.#compare(bytes, aStart + skip, aEnd, bytes, bStart + skip, bEnd) * this.#sign
    return order !== 0 ? order < 0 : a < b
  }

  #advance(source: number): void {
    const fields = this.#fields
    const bytes = this.bytes
    const f = source * FIELDS
    let at = fields[f + ENTRY_END]!
    if (at >= fields[f + WINDOW_END]!) {
      if (!this.#load(source)) return
      at = fields[f + ENTRY_END]!
    }
    fields[f + ENTRY_START] = at
    // `EntryReader.read` inline: an object would cost a store and a load more per field in the hottest loop.
    let head = bytes[at++]!
    if (head > 127) {
      head &= 127
      for (let shift = 7; ; shift += 7) {
        const byte = bytes[at++]!
        head |= (byte & 127) << shift
        if (byte < 128) break
      }
    }
    let valueLength = 0
    if ((head & 1) !== 0) {
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++]!
        valueLength |= (byte & 127) << shift
        if (byte < 128) break
      }
    }
    const keyEnd = at + (head >>> 1)
    fields[f + KEY_START] = at
    fields[f + KEY_END] = keyEnd
    fields[f + ENTRY_END] = keyEnd + valueLength
    if (this.#shared >= 0) {
      at += this.#shared
      const flip = this.#sign >> 1
      this.#high[source] = prefix32(bytes, at, keyEnd) ^ flip
      this.#low[source] = prefix32(bytes, at + 4, keyEnd) ^ flip
    }
  }

  #load(source: number): boolean {
    const fields = this.#fields
    const f = source * FIELDS
    const page = fields[f + NEXT_PAGE]!
    const run = this.#runs[source]!
    if (page < 0 || page >= run.pages) {
      fields[f + NEXT_PAGE] = -1
      this.#high[source] = SPENT
      this.#low[source] = SPENT
      return false
    }
    const window = this.#windows[source]!
    const length = run.pageBytes(page)
    run.read(page, this.bytes, window)
    if (!this.#keepPages) run.freePage(page)
    fields[f + NEXT_PAGE] = page + 1
    fields[f + ENTRY_END] = window
    fields[f + WINDOW_END] = entriesEnd(this.bytes, window, length)
    return true
  }
}

function sharedPrefix(runs: readonly PagedRun[]): number {
  let shared = -1
  let sample: Uint8Array | undefined
  for (const run of runs) {
    if (run.count === 0) continue
    for (const key of [run.firstKey, run.lastKey]) {
      sample ??= key
      if (shared < 0) shared = sample.length
      let i = 0
      while (i < shared && i < key.length && key[i] === sample[i]) i++
      shared = i
    }
  }
  return Math.max(shared, 0)
}
