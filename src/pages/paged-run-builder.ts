/**
 * Builds a paged run from sorted entries. An entry larger than a page gets its own. Pages can be stored as groups: fewer objects,
 * larger writes, still read one by one.
 *
 * Account: the one given, for fences and staging (one group, unless lent).
 */
import { SpillwayError } from '../base/errors.ts'
import { copyBytes } from '../base/bytes.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { RESTART_INTERVAL, TAIL_BYTES, headerBytes, writeHeader, writeUint32 } from './paged-entry.ts'
import { PagedFences } from './paged-fences.ts'
import { PagedRun } from './paged-run.ts'
import type { PageStore, StoredPage, StoreOptions } from './paged-store.ts'

export interface PagedRunOptions {
  /** Default 64 KiB. */
  pageBytes?: number
  /** Deeper pages are evicted first. Default 0. */
  depth?: number
  /** Evict last; for runs of less than four pages. Default false. */
  shortLived?: boolean
  /** False: only prefixes of first and last key are kept, for merges. Default true. */
  seekable?: boolean
  /** Pages stored as one. Default 1. */
  groupPages?: number
  /** Memory for a group, lent. Entries of the same array are copied without a view. */
  staging?: { bytes: Uint8Array; start: number }
}

export const DEFAULT_PAGE_BYTES: number = 64 * 1024

/** Key bytes kept without `seekable`; bounds a merge's common prefix. */
const PREFIX_BYTES = 64

export class PagedRunBuilder {
  readonly #store: PageStore
  readonly #account: Account
  readonly #options: StoreOptions
  readonly #seekable: boolean
  readonly #pageBytes: number
  readonly #ownLease: Lease | undefined
  readonly #bytes: Uint8Array
  readonly #start: number
  readonly #page = { start: 0, at: 0, entries: 0, firstStart: 0, firstEnd: 0, lastStart: 0, lastEnd: 0 }
  readonly #groupPages: number
  readonly #restarts: number[] = []
  readonly #pages: StoredPage[] = []
  readonly #offsets: number[] = []
  readonly #fences: PagedFences
  #count = 0
  #largestPageBytes = 0
  #ended = false

  constructor(store: PageStore, account: Account, options: PagedRunOptions = {}) {
    this.#store = store
    this.#account = account
    this.#pageBytes = options.pageBytes ?? DEFAULT_PAGE_BYTES
    this.#options = { depth: options.depth ?? 0, shortLived: options.shortLived ?? false }
    this.#seekable = options.seekable ?? true
    this.#groupPages = options.groupPages ?? 1
    this.#fences = new PagedFences(account)
    if (options.staging === undefined) {
      const bytes = this.#pageBytes * this.#groupPages
      this.#ownLease = account.lease(bytes)
      this.#bytes = new Uint8Array(bytes)
      this.#start = 0
    } else {
      this.#bytes = options.staging.bytes
      this.#start = options.staging.start
    }
    this.#page.at = this.#page.start = this.#start
  }

  get count(): number { return this.#count }

  add(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number): void {
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    const length = headerBytes(keyLength, valueLength) + keyLength + valueLength
    if (!this.#makeRoom(length)) {
      this.#addLarge(length, (bytes, at) => {
        const start = writeHeader(bytes, at, keyLength, valueLength)
        copyBytes(key, keyStart, keyEnd, bytes, start)
        copyBytes(value, valueStart, valueEnd, bytes, start + keyLength)
      }, keyLength, valueLength)
      return
    }
    const at = writeHeader(this.#bytes, this.#page.at, keyLength, valueLength)
    copyBytes(key, keyStart, keyEnd, this.#bytes, at)
    copyBytes(value, valueStart, valueEnd, this.#bytes, at + keyLength)
    this.#added(length, at, at + keyLength)
  }

  addEncoded(bytes: Uint8Array, start: number, end: number, keyStart: number, keyEnd: number): void {
    const length = end - start
    if (!this.#makeRoom(length)) {
      this.#addLarge(length, (target, at) => target.set(bytes.subarray(start, end), at), keyEnd - keyStart, end - keyEnd)
      return
    }
    if (bytes === this.#bytes) bytes.copyWithin(this.#page.at, start, end)
    else copyBytes(bytes, start, end, this.#bytes, this.#page.at)
    const at = this.#page.at + keyStart - start
    this.#added(length, at, at + keyEnd - keyStart)
  }

  finish(): PagedRun {
    try {
      if (this.#page.entries > 0) this.#endPage()
      this.#storeGroup()
      this.#fences.seal()
    } catch (error) {
      this.abort()
      throw error
    }
    this.#end()
    return new PagedRun(this.#store, this.#pages, this.#offsets, this.#fences, this.#count, this.#largestPageBytes, this.#seekable)
  }

  abort(): void {
    if (this.#ended) return
    this.#end()
    let last: StoredPage | undefined
    for (const page of this.#pages) {
      if (page !== last) this.#store.free(page)
      last = page
    }
    this.#fences.free()
  }

  #end(): void {
    this.#ended = true
    this.#ownLease?.release()
  }

  /** End the page if `length` bytes do not fit. False if they fit no page. */
  #makeRoom(length: number): boolean {
    const tail = TAIL_BYTES + 4 * (this.#restarts.length + 1)
    if (this.#page.at + length + tail <= this.#page.start + this.#pageBytes) return true
    if (this.#page.entries > 0) this.#endPage()
    return length + TAIL_BYTES + 4 <= this.#pageBytes
  }

  #added(length: number, keyStart: number, keyEnd: number): void {
    const page = this.#page
    if (this.#seekable && page.entries % RESTART_INTERVAL === 0) this.#restarts.push(page.at - page.start)
    if (page.entries === 0) {
      page.firstStart = keyStart
      page.firstEnd = keyEnd
    }
    page.lastStart = keyStart
    page.lastEnd = keyEnd
    page.entries++
    this.#count++
    page.at += length
  }

  #endPage(): void {
    const bytes = this.#bytes
    const page = this.#page
    const { start, at } = page
    // Pages of a group begin at multiples of `pageBytes`.
    const tail = TAIL_BYTES + 4 * this.#restarts.length
    const end = this.#groupPages === 1 ? at + tail : start + this.#pageBytes
    if (this.#groupPages > 1) bytes.fill(0, at, end - tail)
    writeTail(bytes, end - tail, this.#restarts, at - start, page.entries)
    this.#fence(bytes, page.firstStart, page.firstEnd, page.lastStart, page.lastEnd)
    page.entries = 0
    this.#restarts.length = 0
    page.at = page.start = end
    if (end - start > this.#largestPageBytes) this.#largestPageBytes = end - start
    if (this.#groupPages === 1 || end === this.#start + this.#groupPages * this.#pageBytes) this.#storeGroup()
  }

  #storeGroup(): void {
    const end = this.#page.start
    if (end === this.#start) return
    const stored = this.#store.insert(this.#bytes, this.#start, end, this.#options)
    for (let at = this.#start; at < end; at += this.#pageBytes) {
      this.#pages.push(stored)
      this.#offsets.push(at - this.#start)
    }
    this.#page.at = this.#page.start = this.#start
  }

  #fence(bytes: Uint8Array, firstStart: number, firstEnd: number, lastStart: number, lastEnd: number): void {
    if (!this.#seekable) {
      firstEnd = Math.min(firstEnd, firstStart + PREFIX_BYTES)
      lastEnd = Math.min(lastEnd, lastStart + PREFIX_BYTES)
    }
    if (this.#seekable || this.#fences.length === 0) this.#fences.add(bytes, firstStart, firstEnd, lastStart, lastEnd)
    else this.#fences.replaceLast(bytes, lastStart, lastEnd)
    this.#fences.addPage()
  }

  /** A page of its own, assembled in the staging if it fits there. */
  #addLarge(length: number, fill: (bytes: Uint8Array, at: number) => void, keyLength: number, valueLength: number): void {
    this.#storeGroup()
    const total = length + TAIL_BYTES + 4
    if (total <= this.#pageBytes * this.#groupPages) {
      fill(this.#bytes, this.#start)
      this.#storeLarge(this.#bytes, this.#start, length, keyLength, valueLength)
      return
    }
    const lease = this.#account.tryLease(total)
    if (lease === undefined) {
      throw new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL',
        `no memory for an entry of ${formatSize(length)} in a budget of ${formatSize(this.#account.budget.totalBytes)}. Raise the budget`,
        { details: { keyLength, valueLength, freeBytes: this.#account.budget.freeBytes } },
      )
    }
    try {
      const bytes = new Uint8Array(total)
      fill(bytes, 0)
      this.#storeLarge(bytes, 0, length, keyLength, valueLength)
    } finally {
      lease.release()
    }
  }

  #storeLarge(bytes: Uint8Array, start: number, length: number, keyLength: number, valueLength: number): void {
    const end = writeTail(bytes, start + length, this.#seekable ? [0] : [], length, 1)
    const keyStart = start + length - keyLength - valueLength
    this.#fence(bytes, keyStart, keyStart + keyLength, keyStart, keyStart + keyLength)
    this.#pages.push(this.#store.insert(bytes, start, end, this.#options))
    this.#offsets.push(0)
    if (end - start > this.#largestPageBytes) this.#largestPageBytes = end - start
    this.#count++
  }
}

function writeTail(bytes: Uint8Array, at: number, restarts: readonly number[], entriesBytes: number, entries: number): number {
  for (let i = 0; i < restarts.length; i++, at += 4) writeUint32(bytes, at, restarts[i]!)
  writeUint32(bytes, at, entriesBytes)
  writeUint32(bytes, at + 4, restarts.length)
  writeUint32(bytes, at + 8, entries)
  return at + TAIL_BYTES
}
