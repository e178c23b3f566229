/**
 * Contents of a SpillMap or SpillSet. A private field of each class, so methods of one class reject objects of the other, like
 * those of Map and Set.
 */
import { inspectEntries } from '../base/inspect.ts'
import type { InspectContext } from '../base/inspect.ts'
import { closedError } from '../store/scratch/scratch-store.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import type { Entries } from './spill-map-entries.ts'
import { LiveIterator } from './spill-map-iterator.ts'
import type { Yields } from './spill-map-iterator.ts'
import { boundsOf, makeEntries } from './spill-map-options.ts'
import type { SpillMapOptions, SpillRangeOptions } from './spill-map-options.ts'
import { ReadAhead } from './spill-map-read-ahead.ts'

export class SpillContents {
  readonly #name: string
  readonly #tag: string
  readonly #entries: Entries
  readonly #ahead: ReadAhead
  readonly #checkOpen = (): void => { this.open() }
  isClosed = false

  /** `values` replaces `valueEncoding`. */
  constructor(name: string, options: SpillMapOptions<any, any>, values: Transcoder | undefined) {
    this.#name = name
    this.#tag = `${name} Iterator`
    this.#entries = makeEntries(name, options, values)
    this.#ahead = new ReadAhead(this.#entries)
  }

  /** Throws CLOSED. */
  open(): Entries {
    if (this.isClosed) throw closedError(this.#name)
    return this.#entries
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.#ahead.close()
    this.#entries.close()
  }

  fill<T>(source: Iterable<T> | undefined, take: (item: T) => void): void {
    if (source === undefined) return
    try {
      for (const item of source) take(item)
    } catch (error) {
      this.close()
      throw error
    }
  }

  iterate<I>(yields: Yields, options: SpillRangeOptions<any> | undefined): I {
    const entries = this.open()
    return new LiveIterator(entries, this.#ahead, yields, boundsOf(entries, options), this.#checkOpen, this.#tag) as I
  }

  inspect(target: object, yields: Yields, collect: (first: unknown[]) => object, context: InspectContext): string {
    if (this.isClosed) return `${this.#name} { <disposed> }`
    return inspectEntries(target, this.#name, this.#entries.size, () => this.iterate<Iterable<unknown>>(yields, undefined), collect, context)
  }
}

/** Throws even without entries, like Map. */
export function checkCallback(callback: unknown): void {
  if (typeof callback !== 'function') throw new TypeError(`${String(callback)} is not a function`)
}

/** Aliases and tag, as on Map and Set. */
export function finishPrototype(prototype: object, tag: string, aliases: readonly (readonly [PropertyKey, PropertyKey])[]): void {
  for (const [alias, name] of aliases) {
    Object.defineProperty(prototype, alias, { value: prototype[name as never], writable: true, enumerable: false, configurable: true })
  }
  Object.defineProperty(prototype, Symbol.toStringTag, { value: tag, writable: false, enumerable: false, configurable: true })
}
