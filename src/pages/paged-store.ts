/** Where paged runs keep their pages: the page pool, or a substitute in tests. */
export interface StoredPage {
  readonly length: number
}

export interface StoreOptions {
  depth?: number
  /** Freed soon: evict it last. */
  shortLived?: boolean
  asIs?: boolean
}

export interface PageStore {
  insert(source: Uint8Array, start: number, end: number, options?: StoreOptions): StoredPage
  /** Copy page[from, to), by default all. Works for evicted pages. */
  read(page: StoredPage, target: Uint8Array, at: number, from?: number, to?: number): void
  /** Bring a page into memory. False if denied; `read` still works. */
  admit(page: StoredPage): boolean
  free(page: StoredPage): void
}
