/**
 * Divides the memory of a sort: one large buffer, kernels, pages being written, and page lists.
 *
 * Invariants
 * 1. The parts never exceed the space's bytes.
 * 2. The pool keeps no pages in memory: the buffer makes better use of it.
 * 3. Page size grows with the budget, up to some 200 runs in one merge.
 */
import type { SpillOptions } from './spill-space.ts'
import { invalidArgument } from '../base/errors.ts'
import { isAbortSignal } from '../base/realms.ts'
import { checkOptions } from '../base/option-names.ts'
import { describe } from '../encoding/encoding.ts'
import { SPACE_OPTIONS, SpillSpace } from './spill-space.ts'
import { Turns } from './spill-turns.ts'
import { SpillPages } from './spill-pages.ts'
import type { SpillPagesStats } from './spill-pages.ts'
import { AdaptivePages } from './external-sort-pages.ts'
import { SortEngine } from './external-sort-engine.ts'
import type { SortReport } from './external-sort-engine.ts'
import type { KeyOrder } from '../pages/paged-merge.ts'

export type SortSpaceOptions = SpillOptions

const SORT_OPTIONS: readonly string[] = ['reverse', 'signal', ...SPACE_OPTIONS, 'monitor']

/** `more`: options beyond those of all sorts. Throws INVALID_ARGUMENT. */
export function checkSort(source: unknown, options: object, more: readonly string[], what: string): void {
  checkOptions(options, [...more, ...SORT_OPTIONS], what)
  const { reverse, signal } = options as { reverse?: unknown, signal?: unknown }
  if (reverse !== undefined && typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
  if (signal !== undefined && !isAbortSignal(signal)) throw invalidArgument(`signal must be an AbortSignal, not ${describe(signal)}`)
  const iterable = source as Partial<Iterable<unknown> & AsyncIterable<unknown>> | null | undefined
  if (typeof iterable?.[Symbol.asyncIterator] === 'function' || typeof iterable?.[Symbol.iterator] === 'function') return
  throw invalidArgument(`${what} takes an iterable, not ${describe(source)}`)
}

/** @internal Reported when the input has ended. */
export interface SortMonitorReport extends SortReport {
  highWaterBytes: number
  budgetBytes: number
  pages: SpillPagesStats | undefined
}

export type SortMonitor = (report: SortMonitorReport) => void

const MIN_PAGE_BYTES = 16 * 1024
const MAX_PAGE_BYTES = 256 * 1024
const ITEM_BYTES = 32 * 1024
const MAX_GROUP_BYTES = 2 * 1024 * 1024

export class SortSpace extends SpillSpace {
  readonly pageBytes: number
  readonly outputBytes: number
  readonly #groupPages: number
  #engine: SortEngine | undefined
  #store: AdaptivePages | undefined

  constructor(options: SortSpaceOptions) {
    super(options)
    this.pageBytes = Math.min(Math.max(2 ** Math.floor(Math.log2(this.bytes / 256)), MIN_PAGE_BYTES), MAX_PAGE_BYTES)
    this.outputBytes = Math.min(256 * 1024, Math.floor(this.bytes / 32))
    this.#groupPages = Math.max(1, Math.min(MAX_GROUP_BYTES, this.bytes / 16) / this.pageBytes | 0)
  }

  /** `reservedBytes`: for the caller. */
  engine(order: KeyOrder, reservedBytes = ITEM_BYTES): SortEngine {
    // Page lists, fences and the scratch file's map.
    const bookkeepingBytes = Math.floor(this.bytes / 12)
    this.#engine = new SortEngine({
      ...order,
      pages: () => this.#store ??= new AdaptivePages(this.pages(0).pool),
      account: this.account('sort'),
      runAccount: this.account('sorted runs'),
      memoryBytes: (this.bytes - SpillPages.fixedBytes - bookkeepingBytes - reservedBytes) & ~7,
      pageBytes: this.pageBytes,
      groupPages: this.#groupPages,
    })
    return this.#engine
  }

  turns(what: string, signal: AbortSignal | undefined): Turns {
    return new Turns(this.host, what, signal)
  }

  report(engine: SortEngine): SortMonitorReport {
    const { highWaterBytes, budgetBytes } = this.budget.report()
    return { ...engine.report, highWaterBytes, budgetBytes, pages: this.stats() }
  }

  override close(): void {
    try {
      this.#engine?.close()
    } finally {
      super.close()
    }
  }
}
