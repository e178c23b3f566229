/**
 * An immutable, sorted run of entries as pages in a page store, with fences in memory.
 *
 * Invariants
 * 1. A key is on the pages whose fences enclose it, and on no other.
 * 2. Every page is freed exactly once, by `freePage` or `free`.
 *
 * Account: the builder's, for the fences, until `free`.
 */
import { invalidArgument } from '../base/errors.ts'
import type { PagedFences } from './paged-fences.ts'
import type { PageStore, StoredPage } from './paged-store.ts'

export class PagedRun implements Disposable {
  readonly store: PageStore
  readonly count: number
  readonly largestPageBytes: number
  readonly seekable: boolean
  readonly fences: PagedFences
  /** Neighbours may share one. */
  readonly #stored: (StoredPage | undefined)[]
  readonly #offsets: readonly number[]
  #freed = false

  constructor(
    store: PageStore, stored: StoredPage[], offsets: readonly number[], fences: PagedFences, count: number, largestPageBytes: number,
    seekable: boolean,
  ) {
    this.store = store
    this.#stored = stored
    this.#offsets = offsets
    this.fences = fences
    this.count = count
    this.largestPageBytes = largestPageBytes
    this.seekable = seekable
  }

  /** Freed ones included. */
  get pages(): number { return this.#stored.length }

  /** A view; empty without entries. */
  get firstKey(): Uint8Array { return this.fences.key(0) }
  get lastKey(): Uint8Array { return this.fences.key(2 * this.fences.length - 1) }

  pageBytes(page: number): number {
    const stored = this.#page(page)
    const isLast = this.#stored[page + 1] !== stored
    return (isLast ? stored.length : this.#offsets[page + 1]!) - this.#offsets[page]!
  }

  read(page: number, target: Uint8Array, at: number, from = 0, to: number = this.pageBytes(page)): void {
    const offset = this.#offsets[page]!
    this.store.read(this.#page(page), target, at, offset + from, offset + to)
  }

  /** False without memory, or if the page was freed. */
  admit(page: number): boolean {
    const stored = this.#stored[page]
    return stored !== undefined && this.store.admit(stored)
  }

  /** Storage that pages share is freed with the last of them. */
  freePage(page: number): void {
    const stored = this.#page(page)
    this.#stored[page] = undefined
    let first = page
    while (this.#offsets[first]! > 0) first--
    for (let other = first; other === first || this.#offsets[other]! > 0; other++) if (this.#stored[other] === stored) return
    this.store.free(stored)
  }

  /** Idempotent. */
  free(): void {
    if (this.#freed) return
    this.#freed = true
    for (let page = 0; page < this.#stored.length; page++) if (this.#stored[page] !== undefined) this.freePage(page)
    this.fences.free()
  }

  [Symbol.dispose](): void { this.free() }

  #page(page: number): StoredPage {
    const stored = this.#stored[page]
    if (stored === undefined) throw invalidArgument(`page ${page} of a run of ${this.#stored.length} pages was freed or does not exist`)
    return stored
  }
}
