/**
 * Page store of a sort: compresses pages only while they shrink by a quarter.
 *
 * Compressing costs about a second a GiB and saves the I/O of the bytes it saves. Every 16th page is a sample.
 */
import type { PagePool } from '../pages/page-pool.ts'
import type { PageStore, StoreOptions, StoredPage } from '../pages/paged-store.ts'

const TRY_EVERY = 16
const MAX_STORED_SHARE = 0.75

export class AdaptivePages implements PageStore {
  readonly #pool: PagePool
  #inserts = 0
  #compressionPays = true

  constructor(pool: PagePool) {
    this.#pool = pool
  }

  insert(source: Uint8Array, start: number, end: number, options: StoreOptions = {}): StoredPage {
    if (this.#inserts++ % TRY_EVERY !== 0) return this.#pool.insert(source, start, end, { ...options, asIs: !this.#compressionPays })
    const before = this.#pool.stats()
    const page = this.#pool.insert(source, start, end, options)
    const after = this.#pool.stats()
    // A page that stayed in memory is no sample.
    if (after.extentsWritten === before.extentsWritten + 1) {
      this.#compressionPays = after.extentBytesWritten - before.extentBytesWritten < MAX_STORED_SHARE * (end - start)
    }
    return page
  }

  read(page: StoredPage, target: Uint8Array, at: number, from?: number, to?: number): void {
    this.#pool.read(page as never, target, at, from, to)
  }

  admit(page: StoredPage): boolean { return this.#pool.admit(page as never) }
  free(page: StoredPage): void { this.#pool.free(page as never) }
}
