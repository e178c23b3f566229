/**
 * Sorts encoded entries within a lease: fills an arena, sorts it, writes it as a run of pages, and merges the runs.
 *
 * Invariants
 * 1. One buffer serves all phases: arena on input, windows on output. Only the list of pages grows with the input.
 * 2. Stable: runs are written and merged in input order.
 * 3. Input that fits the arena is never stored. A merge frees each page it has read.
 * 4. Work runs in steps (generators), so that the caller can yield to the event loop.
 *
 * Account: `sort`. Cost: a spilled entry is copied four times.
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
  /** Called at the first spill. */
  pages: () => PageStore
  account: Account
  runAccount: Account
  /** Leased when the first MiB is full. */
  memoryBytes: number
  /** Also the size of a window. */
  pageBytes: number
  groupPages: number
}

export interface SortReport {
  entries: number
  runs: number
  merges: number
}

/** Small sorts stay cheap. */
const FIRST_BYTES = 1024 * 1024

const STEP_ENTRIES = 1024

export class SortEngine {
  readonly report: SortReport = { entries: 0, runs: 0, merges: 0 }
  readonly #options: SortEngineOptions
  readonly #order: KeyOrder
  readonly #lease: Lease
  /** Page assembly, in front of the arena. */
  readonly #stagingBytes: number
  #bytes: Uint8Array
  #arena: SortArena
  #runs: PagedRun[] = []
  #source: ArenaWalk | PagedMerge | undefined
  #isWhole: boolean
  #closed = false

  constructor(options: SortEngineOptions) {
    this.#options = options
    this.#order = {
      reverse: options.reverse ?? false, ...(options.compare === undefined ? {} : { compare: options.compare }),
    }
    this.#stagingBytes = options.pageBytes * options.groupPages
    // Too little to grow by.
    const first = FIRST_BYTES + this.#stagingBytes
    this.#isWhole = options.memoryBytes < 4 * first
    const bytes = (this.#isWhole ? options.memoryBytes : first) & ~3
    this.#lease = options.account.lease(bytes)
    this.#bytes = new Uint8Array(bytes)
    this.#arena = new SortArena(this.#bytes, this.#stagingBytes, this.#order)
  }

  /** False when the arena is full: run `spill`, then retry. */
  add(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number): boolean {
    return this.#arena.add(key, keyStart, keyEnd, value, valueStart, valueEnd)
  }

  addLines(chunk: Uint8Array, from: number, delimiter: number): boolean {
    return this.#arena.addLines(chunk, from, delimiter)
  }

  get rest(): number { return this.#arena.rest }

  get pending(): number { return this.#arena.count }

  get largestBytes(): number { return Math.floor(this.#options.memoryBytes / 8) }

  /** Grow the buffer, or write a run. */
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

  /** End the input; then call `next`. */
  *finish(): Generator<void> {
    const arena = this.#arena
    if (this.#runs.length === 0) {
      this.report.entries = arena.count
      this.#source = new ArenaWalk(this.#bytes, arena.sort())
      return
    }
    if (arena.count > 0) yield* this.spill()
    yield* this.#reduceRuns()
    this.#source = this.#merge(this.#runs, 0)
  }

  get bytes(): Uint8Array { return this.#source?.bytes ?? EMPTY }
  get keyStart(): number { return this.#source!.keyStart }
  get keyEnd(): number { return this.#source!.keyEnd }
  get valueStart(): number { return this.#source!.valueStart }
  get valueEnd(): number { return this.#source!.entryEnd }

  next(): boolean {
    return this.#source!.next()
  }

  /** Fill target[at, end) with keys and delimiters. Returns the end. Sets `waiting`. */
  fillLines(target: Uint8Array, at: number, end: number, delimiter: number): number {
    const source = this.#source!
    const from = new DataView(source.bytes.buffer, source.bytes.byteOffset, source.bytes.length)
    const to = new DataView(target.buffer, target.byteOffset, target.length)
    for (;;) {
      if (!this.#hasEntry) {
        if (!source.next()) {
          this.waiting = 0
          return at
        }
        this.#hasEntry = true
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
      this.#hasEntry = false
    }
  }

  /** Bytes of the line that did not fit; 0 at the end. */
  waiting = 0
  #hasEntry = false

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

  /** Take the whole buffer, or what a shared budget has left. */
  #grow(): boolean {
    if (this.#isWhole) return false
    this.#isWhole = true
    let { memoryBytes } = this.#options
    while (!this.#lease.resize(memoryBytes)) {
      memoryBytes /= 2
      if (memoryBytes < 2 * this.#bytes.length) return false
      memoryBytes &= ~7
    }
    // The first buffer stays leased: V8 may not have freed it.
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
      builder.abort()
    }
  }

  /** Merge neighbouring runs until one merge can take the rest. */
  *#reduceRuns(): Generator<void> {
    const runs = this.#runs
    const { pageBytes } = this.#options
    let at = 0
    for (;;) {
      const room = this.#bytes.length - this.#stagingBytes
      if (PagedMerge.windowBytes(runs) <= this.#bytes.length) return
      // As few as possible.
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
      `the sort needs ${formatSize(bytes)} of memory and has ${formatSize(this.#bytes.length)} of a budget of `
      + `${formatSize(budget.totalBytes)}. Raise the budget`,
      { details: { bytes, heldBytes: this.#bytes.length, freeBytes: budget.freeBytes, budgetBytes: budget.totalBytes } },
    )
  }
}

const NOTHING = new Uint8Array(0)
