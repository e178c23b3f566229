/**
 * Page pool: immutable pages that may exceed memory. A page is in memory, or evicted: compressed in the tier or the scratch file,
 * or reloadable by its owner.
 *
 *   unbacked -> in flight -> backed -> evicted -> freed
 *
 * Invariants
 * 1. Memory stays within the limit and the RSS target (`page-residency.ts`).
 * 2. Only eviction and eager backing compress. Freeing a page earlier costs nothing.
 * 3. Evicting a backed page does no work. An admitted page keeps its extent, so it is backed.
 * 4. Deeper pages are evicted first, then those free to evict, then the oldest; short-lived ones last, pinned ones never.
 * 5. A read needs no memory.
 * 6. Any call may overwrite the kernels' regions.
 *
 * Account: slots, 256 bytes a page, job staging; the tier has its own. Cost: an insert copies; an eviction compresses and writes.
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
import { AS_IS, BACKED, EVICTED, FREED, MAX_DEPTH, NOWHERE, Page, SHORT_LIVED, UNBACKED } from './page.ts'
import type { Reload } from './page.ts'
import type { ScratchFile } from './scratch-file.ts'
import { SlotPool } from './slot-pool.ts'

export type { PageOptions, PagePoolOptions, PagePoolStats } from './page-pool-options.ts'

const PAGE_BYTES = 256
const BOOKKEEPING_PAGES = 64
const MAINTAIN_EVICTIONS = 16

export class PagePool {
  readonly #kernels: Kernels
  readonly #scratch: ScratchFile | undefined
  readonly #slots: SlotPool
  readonly #store: ExtentStore
  readonly #residency: PageResidency
  readonly #queues: PageQueues
  readonly #backing: PageBacking
  readonly #readBack: PageReadBack
  readonly #counters = new PageCounters()
  readonly #isTierShared: boolean
  readonly #bookkeeping: Lease
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
    this.#bookkeeping = account.lease(0)
    this.#residency = new PageResidency(account, slots, this.#store, this.#counters, targetRssBytes, limitBytes)
    this.#queues = this.#residency.queues
    this.#readBack = new PageReadBack(account, slots, this.#store, this.#residency, this.#counters)
    this.#backing = new PageBacking(account, this.#residency, this.#store, this.#counters, options)
  }

  get residentBytes(): number { return this.#residency.bytes }
  get rssBytes(): number { return this.#slots.usedBytes + this.#slots.warmBytes + this.#store.tierBytes }
  /** Disk full or writing stopped: add fewer pages. */
  get isSpillBlocked(): boolean { return this.#store.isBlocked }
  get limitBytes(): number { return this.#residency.limitBytes }

  /**
   * Copies source[start, end). Without memory the page is stored at once. Throws NO_SPACE without memory and disk, UNAVAILABLE if
   * writing has stopped; nothing changed then.
   */
  insert(source: Uint8Array, start: number, end: number, options: PageOptions = {}): Page {
    this.#checkRange(source, start, end)
    if (source.buffer === this.#kernels.memory.buffer) throw invalidArgument('a page cannot be inserted from kernel memory: copy it first')
    const page = this.#newPage(end - start, options, undefined)
    const slot = this.#residency.takeSlot(page.length, false)
    if (slot !== undefined) {
      slot.set(source.subarray(start, end))
      this.#residency.makeResident(page, slot, UNBACKED)
      this.#backing.scheduleSpills()
    } else if (!this.#backing.storeNew(page, source, start)) {
      throw this.#noSpace(page.length)
    }
    this.#count(page)
    return page
  }

  /**
   * Insert a page that is free to evict: `reload(target, at)` writes it whole when it is read. Without memory it starts evicted. If
   * `source` is kernel memory, only backed pages are evicted.
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
      this.#residency.makeResident(page, slot, BACKED)
    }
    this.#count(page)
    return page
  }

  /** An evicted page stays evicted. `target` must not be kernel memory. Throws CorruptionError, or UNAVAILABLE if the read fails. */
  read(page: Page, target: Uint8Array, at: number, from = 0, to: number = page.length): void {
    this.#check(page)
    if (!(from >= 0 && from <= to && to <= page.length && at >= 0 && at + (to - from) <= target.length)) {
      throw new RangeError(`bytes ${from} to ${to} of a page of ${page.length} do not fit at ${at} of a target of ${target.length}`)
    }
    page.isTouched = true
    const slot = page.slot ?? page.bounce
    if (slot !== undefined) {
      target.set(slot.subarray(from, to), at)
      return
    }
    this.#readBack.read(page, target, at, from, to)
  }

  /** Bring the page into free memory, or in place of a backed page not read recently. False: denied. */
  admit(page: Page): boolean {
    this.#check(page)
    page.isTouched = true
    if (page.slot !== undefined) return true
    const slot = this.#residency.takeSlotGently(page.length)
    if (slot === undefined) {
      this.#counters.admissionsDenied++
      return false
    }
    // `fill` may call `reload`, which may call the pool.
    const isSteal = this.#residency.didSteal
    this.#readBack.fill(page, slot)
    this.#residency.makeResident(page, slot, BACKED)
    if (isSteal) this.#counters.admissionsSteal++
    else this.#counters.admissionsBudget++
    return true
  }

  /** A view, valid until `unpin` was called as often. Throws BUDGET_TOO_SMALL without memory for a copy. */
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
    if (page.pins === 0) throw invalidArgument(`a page of ${page.length} bytes was unpinned without a pin`)
    if (--page.pins > 0) return
    this.#pinnedPages--
    this.#readBack.dropBounce(page)
    this.#queues.add(page)
    this.#residency.enforceLimit()
  }

  /** Throws if the page is pinned or already freed. */
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
    const bookkeepingBytes = bookkeepingBytesFor(this.#pages)
    if (this.#bookkeeping.bytes >= bookkeepingBytes * 2) this.#bookkeeping.resize(bookkeepingBytes)
  }

  /** Evicts the excess at once, unless the disk is full. */
  setLimit(bytes: number): void {
    checkBytes(bytes, 'limitBytes')
    this.#residency.setLimit(bytes)
  }

  /** Release warm slots, backed pages, the tier, then unbacked pages. Returns the bytes released. */
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

  /** A bounded step of background work. Call it regularly. */
  maintain(): void {
    if (this.#closed) return
    this.#backing.collect()
    this.#store.makeTierFit(this.#slots.usedBytes + this.#slots.warmBytes)
    const residency = this.#residency
    for (let i = 0; i < MAINTAIN_EVICTIONS && residency.isAboveLimit; i++) if (!residency.evictOne(false)) break
    this.#backing.scheduleSpills()
    this.#backing.backAhead()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#backing.close()
    this.#store.close()
    this.#slots.close()
    this.#bookkeeping.release()
    this.#readBack.close()
  }

  measure(): number {
    return this.#slots.measure() + this.#bookkeeping.bytes + this.#backing.stagingBytes + (this.#isTierShared ? this.#store.measure() : 0)
  }

  #check(page: Page): void {
    if (page.owner !== this) throw invalidArgument('the page belongs to another pool')
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the page pool is closed')
    if (page.state === FREED) throw invalidArgument(`a page of ${page.length} bytes was used after it was freed`)
  }

  #checkRange(source: Uint8Array, start: number, end: number): void {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the page pool is closed')
    if (!(start >= 0 && end > start && end <= source.length)) throw new RangeError(`bytes ${start} to ${end} are not a page within a source of ${source.length}`)
    const maxBytes = maxPageBytes(this.#kernels)
    if (end - start > maxBytes) throw invalidArgument(`a page of ${formatSize(end - start)} is above the maximum of ${formatSize(maxBytes)}: split it`)
  }

  #newPage(length: number, options: PageOptions, reload: Reload | undefined): Page {
    const bookkeepingBytes = bookkeepingBytesFor(this.#pages)
    while (bookkeepingBytes > this.#bookkeeping.bytes && !this.#bookkeeping.resize(bookkeepingBytes)) {
      if (this.#slots.releaseWarm(1) === 0 && !this.#residency.evictOne(false)) throw this.#noSpace(BOOKKEEPING_PAGES * PAGE_BYTES)
    }
    const depth = Math.min(Math.max(options.depth ?? 0, 0), MAX_DEPTH)
    return new Page(this, length, depth, (options.shortLived === true ? SHORT_LIVED : 0) | (options.asIs === true ? AS_IS : 0), reload)
  }

  #count(page: Page): void {
    this.#counters.inserts++
    this.#pages++
    if (page.state !== EVICTED) this.#backing.insertSucceeded()
  }

  #noSpace(bytes: number): SpillwayError {
    const { residentBytes, limitBytes } = this
    const cause = this.#store.error
    const memory = `${formatSize(residentBytes)} of pages in memory, limit ${Number.isFinite(limitBytes) ? formatSize(limitBytes) : 'the budget'}`
    const details = { bytes, residentBytes, limitBytes, scratchBytes: this.#scratch?.usedBytes ?? 0 }
    if (cause !== undefined) {
      return new SpillwayError('SPILLWAY_UNAVAILABLE',
        `cannot store a page of ${formatSize(bytes)}: ${memory}, and writing scratch files stopped after "${cause.message}". Close the pool and start again on a sound disk`,
        { cause, details })
    }
    const disk = this.#scratch === undefined ? 'there is no scratch file' : this.#store.isBlocked ? 'the disk is full' : 'the budget has no memory to track more scratch units'
    return new SpillwayError('SPILLWAY_NO_SPACE',
      `cannot store a page of ${formatSize(bytes)}: ${memory}, and ${disk}. No page was lost. Free pages or disk space, or raise the budget`, { details })
  }
}

function bookkeepingBytesFor(pages: number): number {
  return Math.ceil((pages + 1) / BOOKKEEPING_PAGES) * BOOKKEEPING_PAGES * PAGE_BYTES
}

function checkBytes(bytes: number, name: string): void {
  if (!(bytes >= 0)) throw invalidArgument(`${name} must be a number of bytes, not ${bytes}`)
}
