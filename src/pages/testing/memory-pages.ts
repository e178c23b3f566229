/** Page store for tests: keeps everything in memory and counts the calls. */
import type { PageStore, StoredPage, StoreOptions } from '../paged-store.ts'

class MemoryPage implements StoredPage {
  readonly length: number
  bytes: Uint8Array
  readonly options: StoreOptions
  freed = false
  constructor(bytes: Uint8Array, options: StoreOptions) {
    this.length = bytes.length
    this.bytes = bytes
    this.options = options
  }
}

export class MemoryPages implements PageStore {
  reads = 0
  admits = 0
  inserts = 0
  frees = 0
  liveBytes = 0
  highWaterBytes = 0
  readonly inserted: StoreOptions[] = []
  readonly admitted: StoredPage[] = []

  get livePages(): number { return this.inserts - this.frees }

  insert(source: Uint8Array, start: number, end: number, options: StoreOptions = {}): StoredPage {
    this.inserts++
    this.inserted.push(options)
    this.liveBytes += end - start
    if (this.liveBytes > this.highWaterBytes) this.highWaterBytes = this.liveBytes
    return new MemoryPage(source.slice(start, end), options)
  }

  read(page: StoredPage, target: Uint8Array, at: number, from = 0, to: number = page.length): void {
    target.set(live(page).bytes.subarray(from, to), at)
    this.reads++
  }

  admit(page: StoredPage): boolean {
    this.admitted.push(live(page))
    this.admits++
    return true
  }

  free(page: StoredPage): void {
    const own = live(page)
    own.freed = true
    own.bytes = new Uint8Array(0)
    this.liveBytes -= own.length
    this.frees++
  }
}

function live(page: StoredPage): MemoryPage {
  if (!(page instanceof MemoryPage) || page.freed) throw new Error('this page was freed')
  return page
}
