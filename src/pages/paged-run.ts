/**
 * A paged run: a sealed, sorted run of entries as pages in a store of pages, and the keys at which pages begin and end.
 *
 * 1. Sealed is immutable: pages are only read and freed.
 * 2. A key is on the pages whose fences say so and on no other: looking for it reads those, or none in a gap.
 * 3. Every page is freed exactly once, one by one as it is consumed or all that are left by `free`.
 *
 * Account: the builder's, for the fences, until `free`.
 */
import { invalidArgument } from '../base/errors.ts'
import type { PagedFences } from './paged-fences.ts'
import type { PageStore, StoredPage } from './paged-store.ts'

export class PagedRun implements Disposable {
  readonly store: PageStore
  /** Entries. */
  readonly count: number
  /** Bytes of the largest page: what a window needs. */
  readonly largestPageBytes: number
  readonly seekable: boolean
  /** @internal */
  readonly fences: PagedFences
  /** What each page is stored in: neighbours may share it. */
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

  /** Pages, freed ones too. */
  get pages(): number { return this.#stored.length }

  /** The first key of all; a view. Empty for a run without entries. */
  get firstKey(): Uint8Array { return this.fences.key(0) }
  /** The last key of all. */
  get lastKey(): Uint8Array { return this.fences.key(2 * this.fences.length - 1) }

  pageBytes(page: number): number {
    const stored = this.#page(page)
    const isLast = this.#stored[page + 1] !== stored
    return (isLast ? stored.length : this.#offsets[page + 1]!) - this.#offsets[page]!
  }

  /** Copy a page, or [from, to) of it, to `target` at `at`. It is not brought into memory by that. */
  read(page: number, target: Uint8Array, at: number, from = 0, to: number = this.pageBytes(page)): void {
    const offset = this.#offsets[page]!
    this.store.read(this.#page(page), target, at, offset + from, offset + to)
  }

  /** Ask the store to have a page in memory; false when it has no room, or the page is gone. */
  admit(page: number): boolean {
    const stored = this.#stored[page]
    return stored !== undefined && this.store.admit(stored)
  }

  /** This page will not be read again. What it shares its storage with is freed with the last of them. */
  freePage(page: number): void {
    const stored = this.#page(page)
    this.#stored[page] = undefined
    let first = page
    while (this.#offsets[first]! > 0) first--
    for (let other = first; other === first || this.#offsets[other]! > 0; other++) if (this.#stored[other] === stored) return
    this.store.free(stored)
  }

  /** Free what is left. May be called again. */
  free(): void {
    if (this.#freed) return
    this.#freed = true
    for (let page = 0; page < this.#stored.length; page++) if (this.#stored[page] !== undefined) this.freePage(page)
    this.fences.free()
  }

  [Symbol.dispose](): void { this.free() }

  #page(page: number): StoredPage {
    const stored = this.#stored[page]
    if (stored === undefined) throw invalidArgument(`page ${page} of a run of ${this.#stored.length}: it was freed, or never there`)
    return stored
  }
}
