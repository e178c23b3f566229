/** Storage of paged runs: the page pool, or a substitute in tests. */
export interface StoredPage {
  readonly length: number
}

export interface StoreOptions {
  depth?: number
  shortLived?: boolean
  asIs?: boolean
}

export interface PageStore {
  insert(source: Uint8Array, start: number, end: number, options?: StoreOptions): StoredPage
  /** Works for evicted pages. */
  read(page: StoredPage, target: Uint8Array, at: number, from?: number, to?: number): void
  /** False if denied; `read` still works. */
  admit(page: StoredPage): boolean
  free(page: StoredPage): void
}
