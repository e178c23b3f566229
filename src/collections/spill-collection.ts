/**
 * What maps and sets have in common: entries, iterators, an end.
 *
 * 1. Everything but `dispose` and `isDisposed` throws CLOSED once it was disposed of.
 * 2. Its parts are private: nobody who looks at a collection, or makes a class of it, sees them.
 */
import { closedError } from '../store/scratch-store.ts'
import type { MemoryReport } from '../memory/budget.ts'
import type { Transcoder } from '../store/encoding.ts'
import type { Entries } from './spill-map-entries.ts'
import { LiveIterator } from './spill-map-iterator.ts'
import type { Yields } from './spill-map-iterator.ts'
import { boundsOf, makeEntries } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'
import { ReadAhead } from './spill-map-read-ahead.ts'

export abstract class SpillCollection<K> implements Disposable {
  readonly #name: string
  readonly #tag: string
  readonly #entries: Entries
  readonly #ahead: ReadAhead
  readonly #checkOpen = (): void => { this.openEntries() }
  #isClosed = false

  /** @internal `values`: how values become bytes where the options may not say it. */
  constructor(name: string, options: SpillMapOptions<K, any>, values: Transcoder | undefined) {
    this.#name = name
    this.#tag = `${name} Iterator`
    this.#entries = makeEntries(name, options, values)
    this.#ahead = new ReadAhead(this.#entries)
  }

  get size(): number { return this.openEntries().size }

  has(key: K): boolean { return this.openEntries().has(key) }

  delete(key: K): boolean { return this.openEntries().delete(key) }

  /** Costs the same however many entries there were, but for removing their files. */
  clear(): void { this.openEntries().clear() }

  /** The ledger of its budget: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport { return this.openEntries().tree.memory() }

  get isDisposed(): boolean { return this.#isClosed }

  /** Give back its memory and remove its files. Doing so twice is fine; everything else then throws CLOSED. */
  dispose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ahead.close()
    this.#entries.close()
  }

  [Symbol.dispose](): void { this.dispose() }

  /** @internal The entries of a collection that is open. */
  protected openEntries(): Entries {
    if (this.#isClosed) throw closedError(this.#name)
    return this.#entries
  }

  /** @internal Begin with these; without them if one cannot be taken. */
  protected fill<T>(source: Iterable<T> | undefined, take: (item: T) => void): void {
    if (source === undefined) return
    try {
      for (const item of source) take(item)
    } catch (error) {
      this.dispose()
      throw error
    }
  }

  /** @internal What newer versions of Node have in the iterators of a Map, these inherit. */
  protected iterate<I>(yields: Yields, options: SpillRangeOptions<K> | undefined): I {
    const entries = this.openEntries()
    return new LiveIterator(entries, this.#ahead, yields, boundsOf(entries, options), this.#checkOpen, this.#tag) as I
  }
}

/** As `forEach` of a Map has it, whether or not there is anything to call it for. */
export function checkCallback(callback: unknown): void {
  if (typeof callback !== 'function') throw new TypeError(`${String(callback)} is not a function`)
}
