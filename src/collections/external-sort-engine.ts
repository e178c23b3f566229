/**
 * Sorts encoded entries within a lease: fills an arena, sorts it, writes it as a run of pages, and merges the runs.
 *
 * 1. One buffer serves all phases: arena while entries come in, windows while they go out. It starts small, is taken whole when
 *    that is full, and nothing else grows with the input but the list of pages.
 * 2. Stable: runs are made and merged in the order of the input.
 * 3. What fits in the arena is never handed to the store of pages. A page is freed when a merge has read it.
 * 4. Work is done in steps (generators), so that the caller can give the event loop its turns.
 *
 * Account: `sort`, the buffer; `pages`, by the store of pages. Cost: an entry is copied four times if it spills.
 */
import { SpillwayError } from '../base/errors.ts'
import { EMPTY } from '../base/cursor.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { PagedMerge } from '../pages/paged-merge.ts'
import type { KeyOrder } from '../pages/paged-merge.ts'
import { PagedRunBuilder } from '../pages/paged-run-builder.ts'
import type { PagedRun } from '../pages/paged-run.ts'
import type { PageStore } from '../pages/paged-store.ts'
import { ArenaWalk, SortArena } from './external-sort-arena.ts'

export interface SortEngineOptions extends KeyOrder {
  /** Asked for at the first spill. */
  pages: () => PageStore
  /** What the buffer is leased from. */
  account: Account
  /** What the fences of runs are leased from. */
  runAccount: Account
  /** The whole buffer; it is leased when the first MiB is full. */
  memoryBytes: number
  /** Payload of a page, the window of a run in a merge. */
  pageBytes: number
  /** Pages stored as one. */
  groupPages: number
}

export interface SortReport {
  entries: number
  /** Runs written, those of merges included. */
  runs: number
  /** Merges before the last one. */
  merges: number
}

/** Where a sort begins, so that a small one costs little. */
const FIRST_BYTES = 1024 * 1024

/** Entries between two steps of walking. */
const STEP_ENTRIES = 1024

export class SortEngine {
  readonly report: SortReport = { entries: 0, runs: 0, merges: 0 }
  readonly #options: SortEngineOptions
  readonly #order: KeyOrder
  readonly #lease: Lease
  /** Where pages are put together that are written; it lies in front of the arena. */
  readonly #stagingBytes: number
  #bytes: Uint8Array
  #arena: SortArena
  #runs: PagedRun[] = []
  #source: ArenaWalk | PagedMerge | undefined
  #whole: boolean
  #closed = false

  constructor(options: SortEngineOptions) {
    this.#options = options
    this.#order = {
      reverse: options.reverse ?? false, ...(options.compare === undefined ? {} : { compare: options.compare }),
    }
    this.#stagingBytes = options.pageBytes * options.groupPages
    // Without at least as much again to grow by, all of it at once.
    const first = FIRST_BYTES + this.#stagingBytes
    this.#whole = options.memoryBytes < 4 * first
    const bytes = (this.#whole ? options.memoryBytes : first) & ~3
    this.#lease = options.account.lease(bytes)
    this.#bytes = new Uint8Array(bytes)
    this.#arena = new SortArena(this.#bytes, this.#stagingBytes, this.#order)
  }

  /** False when the arena is full: run `spill` to its end, then add again. */
  add(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number): boolean {
    return this.#arena.add(key, keyStart, keyEnd, value, valueStart, valueEnd)
  }

  /** Lines as keys; see `SortArena.addLines`. Where it stopped is `rest`. */
  addLines(chunk: Uint8Array, from: number, delimiter: number): boolean {
    return this.#arena.addLines(chunk, from, delimiter)
  }

  get rest(): number { return this.#arena.rest }

  /** Entries in memory. */
  get pending(): number { return this.#arena.count }

  /** The longest entry that can be sorted. */
  get largestBytes(): number { return Math.floor(this.#options.memoryBytes / 8) }

  /** Make room: by taking the rest of the memory, or by writing what is there as a run. */
  *spill(): Generator<void> {
    if (this.#grow()) return
    const arena = this.#arena
    if (arena.count === 0) throw this.#tooLarge()
    this.report.entries += arena.count
    const places = arena.sort()
    yield
    const walk = new ArenaWalk(this.#bytes, places)
    this.#runs.push(yield* this.#write(walk, 0, false))
    arena.clear()
  }

  /** All is in: after this, `next` gives the entries in order. */
  *finish(): Generator<void> {
    const arena = this.#arena
    if (this.#runs.length === 0) {
      this.report.entries = arena.count
      this.#source = new ArenaWalk(this.#bytes, arena.sort())
      return
    }
    if (arena.count > 0) yield* this.spill()
    yield* this.#narrow()
    this.#source = this.#merge(this.#runs, 0)
  }

  get bytes(): Uint8Array { return this.#source?.bytes ?? EMPTY }
  get keyStart(): number { return this.#source!.keyStart }
  get keyEnd(): number { return this.#source!.keyEnd }
  get valueStart(): number { return this.#source!.valueStart }
  get valueEnd(): number { return this.#source!.entryEnd }

  /** Take the next entry; false at the end. */
  next(): boolean {
    return this.#source!.next()
  }

  /**
   * Fill target[at, end) with the keys that come next, each followed by the delimiter; returns where it ends. A key that does
   * not fit waits, and its length is `waiting`.
   */
  fillLines(target: Uint8Array, at: number, end: number, delimiter: number): number {
    const source = this.#source!
    const from = new DataView(source.bytes.buffer, source.bytes.byteOffset, source.bytes.length)
    const to = new DataView(target.buffer, target.byteOffset, target.length)
    for (;;) {
      if (!this.#holds) {
        if (!source.next()) {
          this.waiting = 0
          return at
        }
        this.#holds = true
      }
      let start = source.keyStart
      const keyEnd = source.keyEnd
      if (at + keyEnd - start + 1 > end) {
        this.waiting = keyEnd - start + 1
        return at
      }
      for (; start + 4 <= keyEnd; start += 4, at += 4) to.setInt32(at, from.getInt32(start, true), true)
      for (; start < keyEnd; start++, at++) target[at] = source.bytes[start]!
      target[at++] = delimiter
      this.#holds = false
    }
  }

  /** Bytes, delimiter included, of the line that `fillLines` found no room for; 0 at the end. */
  waiting = 0
  #holds = false

  /** Give everything back. May be called again. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const run of this.#runs) run.free()
    this.#runs = []
    this.#source = undefined
    this.#bytes = EMPTY
    this.#arena = new SortArena(NOTHING, 0, this.#order)
    this.#lease.release()
  }

  /** From the first buffer to the whole, or to what others leave of a shared budget; false when there is no more. */
  #grow(): boolean {
    if (this.#whole) return false
    this.#whole = true
    let { memoryBytes } = this.#options
    while (!this.#lease.resize(memoryBytes)) {
      memoryBytes /= 2
      if (memoryBytes < 2 * this.#bytes.length) return false
      memoryBytes &= ~7
    }
    // The first buffer stays leased: it is garbage, but nobody knows for how long.
    const bytes = new Uint8Array((memoryBytes - this.#bytes.length) & ~3)
    const arena = new SortArena(bytes, this.#stagingBytes, this.#order)
    arena.adopt(this.#arena)
    this.#bytes = bytes
    this.#arena = arena
    return true
  }

  *#write(source: ArenaWalk | PagedMerge, depth: number, shortLived: boolean): Generator<void, PagedRun> {
    const { runAccount, pageBytes, groupPages } = this.#options
    const builder = new PagedRunBuilder(this.#options.pages(), runAccount, {
      pageBytes, groupPages, depth, shortLived, seekable: false, staging: { bytes: this.#bytes, start: 0 },
    })
    try {
      const bytes = source.bytes
      while (source.next()) {
        builder.addEncoded(bytes, source.entryStart, source.entryEnd, source.keyStart, source.keyEnd)
        if (builder.count % STEP_ENTRIES === 0) yield
      }
      this.report.runs++
      return builder.finish()
    } finally {
      // Of no effect after `finish`.
      builder.abort()
    }
  }

  /** Merge runs that stand side by side until the windows of those that are left fit. */
  *#narrow(): Generator<void> {
    const runs = this.#runs
    const { pageBytes } = this.#options
    let at = 0
    for (;;) {
      const room = this.#bytes.length - this.#stagingBytes
      if (PagedMerge.windowBytes(runs) <= this.#bytes.length) return
      // As many as fit beside a page for what comes of them, but not more than it takes.
      const excess = Math.ceil((PagedMerge.windowBytes(runs) - this.#bytes.length) / pageBytes)
      if (at + 1 >= runs.length) at = 0
      let count = 0
      for (let windows = 0; at + count < runs.length && count <= excess; count++) {
        windows += runs[at + count]!.largestPageBytes
        if (windows > room) break
      }
      if (count < 2) {
        const windows = runs[at]!.largestPageBytes + runs[at + 1]!.largestPageBytes
        throw this.#tooSmall(windows + this.#stagingBytes)
      }
      const group = runs.slice(at, at + count)
      const pages = group.reduce((sum, run) => sum + run.pages, 0)
      const merge = this.#merge(group, this.#stagingBytes)
      const merged = yield* this.#write(merge, 1, pages < 4)
      runs.splice(at, count, merged)
      for (const run of group) run.free()
      this.report.merges++
      at++
    }
  }

  #merge(runs: readonly PagedRun[], start: number): PagedMerge {
    return new PagedMerge(runs, this.#options.account, { ...this.#order, memory: { bytes: this.#bytes, start } })
  }

  #tooLarge(): SpillwayError {
    return this.#tooSmall(this.#bytes.length * 2)
  }

  #tooSmall(bytes: number): SpillwayError {
    const { budget } = this.#options.account
    return new SpillwayError(
      'SPILLWAY_BUDGET_TOO_SMALL',
      `sorting needs ${formatSize(bytes)} of memory at once, and ${formatSize(this.#bytes.length)} are its part of a budget of `
      + `${formatSize(budget.totalBytes)}. Raise the budget`,
      { details: { bytes, heldBytes: this.#bytes.length, freeBytes: budget.freeBytes, budgetBytes: budget.totalBytes } },
    )
  }
}

const NOTHING = new Uint8Array(0)
