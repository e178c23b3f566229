/**
 * Cursor over a paged run.
 *
 * Invariants
 * 1. One page is held. The current entry is `bytes[keyStart, keyEnd)` and `bytes[valueStart, valueEnd)` until the next call.
 * 2. A seek reads only pages that hold the key: none in a gap between pages or past the end.
 * 3. `next` admits the page after the one it enters.
 *
 * Account: the one given, for a window of the largest page.
 */
import { compareBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { EntryReader, RESTART_INTERVAL, entriesEnd, readUint32, restartsCount, restartsStart } from './paged-entry.ts'
import type { PagedRun } from './paged-run.ts'

const NO_PAGE = -1

export class PagedCursor implements Disposable {
  readonly bytes: Uint8Array
  readonly #run: PagedRun
  readonly #lease: Lease
  readonly #entry = new EntryReader()
  #loaded = NO_PAGE
  #entriesEnd = 0
  /** Position of `next`; the offset counts if that page is loaded. */
  #page = 0
  #at = 0
  #closed = false

  constructor(run: PagedRun, account: Account) {
    this.#run = run
    this.#lease = account.lease(run.largestPageBytes)
    this.bytes = new Uint8Array(run.largestPageBytes)
  }

  get keyStart(): number { return this.#entry.keyStart }
  get keyEnd(): number { return this.#entry.keyEnd }
  get valueStart(): number { return this.#entry.valueStart }
  get valueEnd(): number { return this.#entry.valueEnd }

  seekToFirst(): void {
    this.#page = 0
    this.#at = 0
  }

  /** To before the first entry with a key >= the given one. True if they are equal. */
  seek(key: Uint8Array, start = 0, end: number = key.length): boolean {
    const run = this.#run
    if (!run.seekable) throw invalidArgument('this run has no fences: it can be merged, but not sought in')
    const page = run.fences.pageFor(key, start, end)
    this.#page = page
    this.#at = 0
    if (page === run.pages) return false
    const first = run.fences.compare(2 * page, key, start, end)
    if (first > 0) return false
    if (first === 0) return true
    this.#load(page)
    return this.#seekWithin(key, start, end)
  }

  next(): boolean {
    if (this.#loaded !== this.#page || this.#at >= this.#entriesEnd) {
      if (this.#loaded === this.#page) {
        this.#page++
        this.#at = 0
      }
      if (this.#page >= this.#run.pages) return false
      this.#load(this.#page)
      this.#run.admit(this.#page + 1)
    }
    this.#entry.read(this.bytes, this.#at)
    this.#at = this.#entry.valueEnd
    return true
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#lease.release()
  }

  [Symbol.dispose](): void { this.close() }

  #load(page: number): void {
    if (this.#loaded === page) return
    this.#loaded = NO_PAGE
    const length = this.#run.pageBytes(page)
    this.#run.read(page, this.bytes, 0)
    this.#entriesEnd = entriesEnd(this.bytes, 0, length)
    this.#loaded = page
  }

  /** Binary search of the restarts, then a scan. */
  #seekWithin(key: Uint8Array, start: number, end: number): boolean {
    const bytes = this.bytes
    const entry = this.#entry
    const length = this.#run.pageBytes(this.#loaded)
    const restarts = restartsStart(bytes, 0, length)
    let low = 0
    let high = restartsCount(bytes, 0, length) - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      entry.read(bytes, readUint32(bytes, restarts + 4 * middle))
      if (compareBytes(bytes, entry.keyStart, entry.keyEnd, key, start, end) < 0) low = middle
      else high = middle - 1
    }
    let at = readUint32(bytes, restarts + 4 * low)
    for (let i = 0; i <= RESTART_INTERVAL && at < this.#entriesEnd; i++) {
      entry.read(bytes, at)
      const order = compareBytes(bytes, entry.keyStart, entry.keyEnd, key, start, end)
      if (order >= 0) {
        this.#at = at
        return order === 0
      }
      at = entry.valueEnd
    }
    this.#at = at
    return false
  }
}
