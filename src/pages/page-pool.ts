/**
 * The page pool: sealed bytes that may exceed memory. A page is uncompressed in memory, or evicted: compressed in the tier or the
 * scratch file, or known to someone who can make it again.
 *
 *   unbacked -> in flight -> backed -> evicted -> freed
 *
 * 1. Pages in memory take at most the limit, but for pins that could not be had otherwise; warm slots at most an eighth of it. Pages,
 *    warm slots and the compressed tier together take at most the RSS target, or pages and warm slots alone if they are more.
 * 2. A page is compressed only when it is evicted (or by eager backing); one that is freed before costs no work (`writesElided`).
 * 3. Evicting a backed page does no work. An admitted page keeps its extent, so it is backed.
 * 4. A page that is pinned is not evicted. One read since the last sweep survives one sweep. Deeper pages go first, then those that
 *    cost nothing, then the oldest; short-lived ones last.
 * 5. A read needs no memory, and its bytes passed their checksums or are from memory.
 * 6. The pool uses the kernels' regions in any call: what the caller has there is gone.
 *
 * The parts: which pages are in memory (`page-residency.ts`), storing them ahead of need (`page-backing.ts`), bytes of those that are
 * not in memory (`page-read-back.ts`), their extents (`extent-store.ts`).
 *
 * Account: slots, books (256 bytes a page), the staging buffer of jobs; the tier from its own. Cost: inserting 64 KiB a copy; evicting
 * it LZ4 and a copy or a write; reading it evicted the reverse.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { MIN_REGION_BYTES, maxPageBytes } from './extent-codec.ts'
import { ExtentStore } from './extent-store.ts'
import { PageBacking } from './page-backing.ts'
import { PageCounters } from './page-counters.ts'
import type { PageOptions, PagePoolOptions, PagePoolStats } from './page-pool-options.ts'
import type { PageQueues } from './page-queues.ts'
import { PageReadBack } from './page-read-back.ts'
import { PageResidency } from './page-residency.ts'
import { BACKED, EVICTED, FREED, MAX_DEPTH, NOWHERE, Page, UNBACKED } from './page.ts'
import type { Reload } from './page.ts'
import type { ScratchFile } from './scratch-file.ts'
import { SlotPool } from './slot-pool.ts'

export type { PageOptions, PagePoolOptions, PagePoolStats } from './page-pool-options.ts'

const PAGE_BYTES = 256
/** Books are leased for so many pages at a time. */
const BOOK_PAGES = 64
/** Pages that a call of `maintain` evicts at most. */
const MAINTAIN_EVICTIONS = 16

export class PagePool {
  readonly #kernels: Kernels
  readonly #scratch: ScratchFile | undefined
  readonly #slots: SlotPool
  readonly #store: ExtentStore
  readonly #residency: PageResidency
  /** The residency's: pins go straight to them. */
  readonly #queues: PageQueues
  readonly #backing: PageBacking
  readonly #readBack: PageReadBack
  readonly #counters = new PageCounters()
  readonly #isTierShared: boolean
  readonly #books: Lease
  #pages = 0
  #pinnedPages = 0
  #closed = false

  constructor(account: Account, options: PagePoolOptions) {
    const { kernels, scratch, limitBytes = Infinity, targetRssBytes = 0, poison = false } = options
    if (kernels.regionBytes < MIN_REGION_BYTES) {
      throw invalidArgument(`a page pool needs kernels with regions of at least ${MIN_REGION_BYTES} bytes, not ${kernels.regionBytes}`)
    }
    checkBytes(limitBytes, 'limitBytes')
    checkBytes(targetRssBytes, 'targetRssBytes')
    this.#kernels = kernels
    this.#scratch = scratch
    this.#isTierShared = (options.tierAccount ?? account) === account
    const slots = this.#slots = new SlotPool(account, poison)
    const rss = (): number => slots.usedBytes + slots.warmBytes
    this.#store = new ExtentStore(kernels, scratch, options.tierAccount ?? account, targetRssBytes, rss, poison)
    this.#books = account.lease(0)
    this.#residency = new PageResidency(account, slots, this.#store, this.#counters, targetRssBytes, limitBytes)
    this.#queues = this.#residency.queues
    this.#readBack = new PageReadBack(account, slots, this.#store, this.#residency, this.#counters)
    this.#backing = new PageBacking(account, this.#residency, this.#store, this.#counters, options)
  }

  /** Bytes of pages in memory. */
  get residentBytes(): number { return this.#residency.bytes }
  /** Bytes of memory: pages, warm slots and the compressed tier. */
  get rssBytes(): number { return this.#slots.usedBytes + this.#slots.warmBytes + this.#store.tierBytes }
  /** The disk is full, or writing has stopped: whoever adds pages should slow down. */
  get isSpillBlocked(): boolean { return this.#store.isBlocked }
  get limitBytes(): number { return this.#residency.limitBytes }

  /**
   * Copy source[start, end) in, at least one byte; others are evicted for it. Without memory for it the page is compressed and stored
   * at once. Throws NO_SPACE when neither memory nor disk has room, UNAVAILABLE when writing has stopped: nothing was changed.
   */
  insert(source: Uint8Array, start: number, end: number, options: PageOptions = {}): Page {
    this.#checkRange(source, start, end)
    if (source.buffer === this.#kernels.memory.buffer) throw invalidArgument('a page may not come from the kernels\' own memory: copy it first')
    const page = this.#newPage(end - start, options, undefined)
    const slot = this.#residency.takeSlot(page.length, false)
    if (slot !== undefined) {
      slot.set(source.subarray(start, end))
      this.#residency.settle(page, slot, UNBACKED)
      this.#backing.scheduleSpills()
    } else if (!this.#backing.storeNew(page, source, start)) {
      throw this.#noSpace(page.length)
    }
    this.#count(page)
    return page
  }

  /**
   * The same for a page that can be had again: evicting it is free, reading it then calls `reload(target, at)`, which writes all of
   * it. Without room the page is born evicted. `source` may be the kernels' memory; then only pages that cost nothing are evicted.
   */
  insertBacked(source: Uint8Array, start: number, end: number, reload: Reload, options: PageOptions = {}): Page {
    this.#checkRange(source, start, end)
    const page = this.#newPage(end - start, options, reload)
    const isKernels = source.buffer === this.#kernels.memory.buffer
    this.#readBack.reserve(page.length, !isKernels)
    const slot = this.#residency.takeSlot(page.length, isKernels)
    if (slot === undefined) {
      page.state = EVICTED
      this.#counters.bornEvicted++
    } else {
      slot.set(source.subarray(start, end))
      this.#residency.settle(page, slot, BACKED)
    }
    this.#count(page)
    return page
  }

  /**
   * Copy the page's bytes [from, to) to `target` at `at`, wherever they are; an evicted page stays evicted. `target` may not be the
   * kernels' memory. Throws CorruptionError when stored bytes are not what was written, UNAVAILABLE when they cannot be read.
   */
  read(page: Page, target: Uint8Array, at: number, from = 0, to: number = page.length): void {
    this.#check(page)
    if (!(from >= 0 && from <= to && to <= page.length && at >= 0 && at + (to - from) <= target.length)) {
      throw new RangeError(`bytes ${from} to ${to} of a page of ${page.length} to ${at} of ${target.length}`)
    }
    page.isTouched = true
    const slot = page.slot ?? page.bounce
    if (slot !== undefined) {
      target.set(slot.subarray(from, to), at)
      return
    }
    this.#readBack.read(page, target, at, from, to)
  }

  /** Bring the page into memory if there is room, or if a page that is backed and was not read lately can go for it. False = it stays out. */
  admit(page: Page): boolean {
    this.#check(page)
    page.isTouched = true
    if (page.slot !== undefined) return true
    const slot = this.#residency.takeSlotGently(page.length)
    if (slot === undefined) {
      this.#counters.admissionsDenied++
      return false
    }
    // What reads it may be its owner, who can do anything.
    const isSteal = this.#residency.stole
    this.#readBack.fill(page, slot)
    this.#residency.settle(page, slot, BACKED)
    if (isSteal) this.#counters.admissionsSteal++
    else this.#counters.admissionsBudget++
    return true
  }

  /**
   * The page's bytes, in memory until as many calls of `unpin`: a view that must not be used after that, or written to. Throws
   * BUDGET_TOO_SMALL when there is no memory even for a copy of its own.
   */
  pin(page: Page): Uint8Array {
    this.#check(page)
    if (page.slot === undefined && page.bounce === undefined && !this.admit(page)) this.#readBack.bounce(page, this.#pinnedPages)
    page.isTouched = true
    if (page.pins++ === 0) {
      this.#pinnedPages++
      if (page.job !== undefined) this.#backing.cancelUnlessEager(page)
      this.#queues.remove(page)
    }
    return new Uint8Array((page.bounce ?? page.slot!).buffer, 0, page.length)
  }

  unpin(page: Page): void {
    this.#check(page)
    if (page.pins === 0) throw invalidArgument(`a page of ${page.length} bytes was unpinned more often than pinned`)
    if (--page.pins > 0) return
    this.#pinnedPages--
    this.#readBack.dropBounce(page)
    this.#queues.add(page)
    this.#residency.enforceLimit()
  }

  /** Forget the page; whatever it took comes back. Throws when it is pinned or was freed. */
  free(page: Page): void {
    if (this.#closed && page.owner === this) return
    this.#check(page)
    if (page.pins > 0) throw invalidArgument(`a page of ${page.length} bytes was freed with ${page.pins} pins: unpin it first`)
    if (page.job !== undefined) this.#backing.cancel(page)
    if (page.slot !== undefined && page.extentIn === NOWHERE && page.reload === undefined) this.#counters.writesElided++
    this.#residency.drop(page)
    this.#store.free(page)
    page.state = FREED
    this.#counters.frees++
    this.#pages--
    const bookBytes = booksFor(this.#pages)
    if (this.#books.bytes >= bookBytes * 2) this.#books.resize(bookBytes)
  }

  /** Bytes of pages in memory from now on; what is beyond goes at once, unless the disk is full. */
  setLimit(bytes: number): void {
    checkBytes(bytes, 'limitBytes')
    this.#residency.setLimit(bytes)
  }

  /**
   * Give back at least `bytes` if possible: warm slots, backed pages, the compressed tier, then pages that must be stored. Returns how
   * many it gave. Suits `Budget.addReclaimer`.
   */
  shrink(bytes: number): number { return this.#residency.shrink(bytes) }

  stats(): PagePoolStats {
    return {
      ...this.#counters,
      pageOuts: this.#store.pageOuts, warmReuses: this.#slots.reuses,
      extentsWritten: this.#store.writes, extentBytesWritten: this.#store.writtenBytes, probes: this.#store.probes,
      pages: this.#pages, pinnedPages: this.#pinnedPages, residentPages: this.#residency.pages, residentBytes: this.residentBytes,
      warmBytes: this.#slots.warmBytes, oversizeBytes: this.#slots.oversizeBytes, bounceBytes: this.#residency.bounceBytes,
      extentBytesResident: this.#store.tierBytes, extentPayloadBytesResident: this.#store.tierPayloadBytes,
      stagingBytes: this.#backing.stagingBytes,
      scratchBytes: this.#scratch?.usedBytes ?? 0, scratchFileBytes: this.#scratch?.fileBytes ?? 0,
      isSpillBlocked: this.isSpillBlocked, spillError: this.#store.error?.message,
    }
  }

  /** A bounded step of what can be done ahead of need; call it now and then, more often while `isSpillBlocked`. */
  maintain(): void {
    if (this.#closed) return
    this.#backing.collect()
    this.#store.makeTierFit(this.#slots.usedBytes + this.#slots.warmBytes)
    const residency = this.#residency
    for (let i = 0; i < MAINTAIN_EVICTIONS && residency.isAboveLimit; i++) if (!residency.evictOne(false)) break
    this.#backing.scheduleSpills()
    this.#backing.backAhead()
  }

  /** Give all memory back. Pages are gone; the scratch file is its owner's to close. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#backing.close()
    this.#store.close()
    this.#slots.close()
    this.#books.release()
    this.#readBack.close()
  }

  /** The buffers that are there, counted one by one, but for the tier's if that has an account of its own. */
  measure(): number {
    return this.#slots.measure() + this.#books.bytes + this.#backing.stagingBytes + (this.#isTierShared ? this.#store.measure() : 0)
  }

  #check(page: Page): void {
    if (page.owner !== this) throw invalidArgument('a page was given to a pool that did not make it')
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the page pool is closed')
    if (page.state === FREED) throw invalidArgument(`a page of ${page.length} bytes was used after it was freed`)
  }

  #checkRange(source: Uint8Array, start: number, end: number): void {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the page pool is closed')
    if (!(start >= 0 && end > start && end <= source.length)) throw new RangeError(`bytes ${start} to ${end} of ${source.length} as a page`)
    const most = maxPageBytes(this.#kernels)
    if (end - start > most) throw invalidArgument(`a page of ${formatSize(end - start)}: at most ${formatSize(most)}, so make several`)
  }

  #newPage(length: number, options: PageOptions, reload: Reload | undefined): Page {
    const bookBytes = booksFor(this.#pages)
    while (bookBytes > this.#books.bytes && !this.#books.resize(bookBytes)) {
      if (this.#slots.releaseWarm(1) === 0 && !this.#residency.evictOne(false)) throw this.#noSpace(BOOK_PAGES * PAGE_BYTES)
    }
    const depth = Math.min(Math.max(options.depth ?? 0, 0), MAX_DEPTH)
    return new Page(this, length, depth, options.shortLived === true, options.asIs === true, reload)
  }

  #count(page: Page): void {
    this.#counters.inserts++
    this.#pages++
    if (page.state !== EVICTED) this.#backing.foundRoom()
  }

  #noSpace(bytes: number): SpillwayError {
    const { residentBytes, limitBytes } = this
    const cause = this.#store.error
    const memory = `${formatSize(residentBytes)} of pages in memory, of at most ${Number.isFinite(limitBytes) ? formatSize(limitBytes) : 'what the budget gives'}`
    const details = { bytes, residentBytes, limitBytes, scratchBytes: this.#scratch?.usedBytes ?? 0 }
    if (cause !== undefined) {
      return new SpillwayError('SPILLWAY_UNAVAILABLE',
        `no room for a page of ${formatSize(bytes)}: ${memory}, and writing scratch bytes has stopped after "${cause.message}". Close the pool and begin anew on a sound disk`,
        { cause, details })
    }
    const disk = this.#scratch === undefined ? 'there is no scratch file' : this.#store.isBlocked ? 'the disk is full' : 'nothing more can be stored'
    return new SpillwayError('SPILLWAY_NO_SPACE',
      `no room for a page of ${formatSize(bytes)}: ${memory}, and ${disk}. Free pages or disk space, or raise the budget; nothing was lost`, { details })
  }
}

/** For one page more than there are. */
function booksFor(pages: number): number {
  return Math.ceil((pages + 1) / BOOK_PAGES) * BOOK_PAGES * PAGE_BYTES
}

function checkBytes(bytes: number, name: string): void {
  if (!(bytes >= 0)) throw invalidArgument(`${name} must be a number of bytes, not ${bytes}`)
}
