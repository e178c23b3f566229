/**
 * What paged runs ask of whoever keeps their pages: the page pool, or a stand-in in tests.
 * Pages are opaque; only their length is known.
 */
export interface StoredPage {
  readonly length: number
}

export interface StoreOptions {
  /** Age in the tree: deeper pages are evicted first. Default 0. */
  depth?: number
  /** The page will soon be freed: evict it last. */
  shortLived?: boolean
  /** Not worth compressing. */
  asIs?: boolean
}

export interface PageStore {
  /** Keep a copy of source[start, end). */
  insert(source: Uint8Array, start: number, end: number, options?: StoreOptions): StoredPage
  /** Copy page[from, to) to `target` at `at`, wherever the page is; default all of it. */
  read(page: StoredPage, target: Uint8Array, at: number, from?: number, to?: number): void
  /** Bring a page into memory if there is room; false = denied, `read` still works. */
  admit(page: StoredPage): boolean
  free(page: StoredPage): void
}
