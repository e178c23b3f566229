/**
 * The page pool as a sort uses it: compresses only what gets clearly smaller.
 *
 * Compressing costs about a second a GiB, more for what does not compress, and saves writing and reading what it saves in bytes.
 * Every 16th page is compressed in any case and tells whether its neighbours are worth it.
 */
import type { PagePool } from '../pages/page-pool.ts'
import type { PageStore, StoreOptions, StoredPage } from '../pages/paged-store.ts'

const TRY_EVERY = 16
/** Stored bytes per byte from which on compressing does not pay. */
const NOT_WORTH = 0.75

export class AdaptivePages implements PageStore {
  readonly #pool: PagePool
  #inserts = 0
  #isWorth = true

  constructor(pool: PagePool) {
    this.#pool = pool
  }

  insert(source: Uint8Array, start: number, end: number, options: StoreOptions = {}): StoredPage {
    if (this.#inserts++ % TRY_EVERY !== 0) return this.#pool.insert(source, start, end, { ...options, asIs: !this.#isWorth })
    const before = this.#pool.stats()
    const page = this.#pool.insert(source, start, end, options)
    const after = this.#pool.stats()
    // A page that stayed in memory tells nothing.
    if (after.extentsWritten === before.extentsWritten + 1) {
      this.#isWorth = after.extentBytesWritten - before.extentBytesWritten < NOT_WORTH * (end - start)
    }
    return page
  }

  read(page: StoredPage, target: Uint8Array, at: number, from?: number, to?: number): void {
    this.#pool.read(page as never, target, at, from, to)
  }

  admit(page: StoredPage): boolean { return this.#pool.admit(page as never) }
  free(page: StoredPage): void { this.#pool.free(page as never) }
}
