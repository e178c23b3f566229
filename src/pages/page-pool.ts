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
 * Account: slots, books (256 bytes a page), the staging buffer of jobs; the tier from its own. Cost: inserting 64 KiB a copy; evicting
 * it LZ4 and a copy or a write; reading it evicted the reverse.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Kernels } from '../base/kernels/kernels.ts'
import { formatSize } from '../base/sizes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { MIN_REGION_BYTES, maxPageBytes } from './extent-codec.ts'
import { ExtentStore } from './extent-store.ts'
import { PageQueues } from './page-queues.ts'
import type { PageOptions, PagePoolOptions, PagePoolStats } from './page-pool-options.ts'
import { BACKED, EVICTED, FREED, IN_FLIGHT, MAX_DEPTH, NOWHERE, Page, UNBACKED } from './page.ts'
import type { Reload } from './page.ts'
import type { ScratchFile } from './scratch-file.ts'
import { SlotPool, slotBytes } from './slot-pool.ts'
import type { Slot } from './slot-pool.ts'
import { SpillJobs } from './spill-jobs.ts'
import type { SpillJob } from './spill-jobs.ts'

export type { PageOptions, PagePoolOptions, PagePoolStats } from './page-pool-options.ts'

const PAGE_BYTES = 256
/** Books are leased for so many pages at a time. */
const BOOK_PAGES = 64
const MOST_WARM_BYTES = 2 ** 30
const DEFAULT_STAGING_BYTES = 2 ** 20
/** Inserts that fail on a full disk try it again at growing intervals, at least every so many. */
const MOST_BETWEEN_PROBES = 256
const JOB_PRIORITY = 3
/** Pages that a call of `maintain` evicts at most. */
const MAINTAIN_EVICTIONS = 16

export class PagePool {
  readonly #account: Account
  readonly #kernels: Kernels
  readonly #scratch: ScratchFile | undefined
  readonly #slots: SlotPool
  readonly #store: ExtentStore
  readonly #jobs: SpillJobs | undefined
  readonly #eagerBacking: boolean
  readonly #isTierShared: boolean
  readonly #targetRssBytes: number
  #limitBytes: number
  readonly #books: Lease
  /** Pages that can be evicted. */
  readonly #queues = new PageQueues()
  #bounceBytes = 0
  /** The longest page so far that can only be had again whole: what a read of a part of it must have room for. */
  #reloadReserve: Lease
  #reloadBytes = 0
  #pages = 0
  #residentPages = 0
  #pinnedPages = 0
  #failedInserts = 0
  #probeAfter = 1
  #closed = false
  #inserts = 0
  #frees = 0
  #writesElided = 0
  #evictionsCompressing = 0
  #evictionsCheap = 0
  #bornEvicted = 0
  #admissionsBudget = 0
  #admissionsSteal = 0
  #admissionsDenied = 0
  #spillsScheduled = 0
  #spillsCancelled = 0
  #eagerBacks = 0
  #eagerCancelled = 0
  #readFaults = 0

  constructor(account: Account, options: PagePoolOptions) {
    const { kernels, scratch, limitBytes = Infinity, targetRssBytes = 0, poison = false } = options
    if (kernels.regionBytes < MIN_REGION_BYTES) {
      throw invalidArgument(`a page pool needs kernels with regions of at least ${MIN_REGION_BYTES} bytes, not ${kernels.regionBytes}`)
    }
    this.#limitBytes = checkBytes(limitBytes, 'limitBytes')
    this.#targetRssBytes = checkBytes(targetRssBytes, 'targetRssBytes')
    this.#account = account
    this.#kernels = kernels
    this.#scratch = scratch
    this.#eagerBacking = options.eagerBacking === true
    this.#isTierShared = (options.tierAccount ?? account) === account
    this.#slots = new SlotPool(account, poison)
    const rss = (): number => this.#slots.usedBytes + this.#slots.warmBytes
    this.#store = new ExtentStore(kernels, scratch, options.tierAccount ?? account, targetRssBytes, rss, poison)
    this.#books = account.lease(0)
    this.#reloadReserve = account.lease(0)
    if (options.runner !== undefined) {
      const stagingBytes = Math.min(options.stagingBytes ?? DEFAULT_STAGING_BYTES, Math.floor(limitBytes / 8))
      this.#jobs = new SpillJobs(options.runner, account, this.#store.pieceBytes, stagingBytes, options.jobPriority ?? JOB_PRIORITY,
        (job, page, bytes, start, end) => { this.#jobEnded(job, page, bytes, start, end) })
    }
    this.#setWarmLimit()
  }

  /** Bytes of pages in memory. */
  get residentBytes(): number { return this.#slots.usedBytes - this.#bounceBytes }
  /** Bytes of memory: pages, warm slots and the compressed tier. */
  get rssBytes(): number { return this.#slots.usedBytes + this.#slots.warmBytes + this.#store.tierBytes }
  /** The disk is full, or writing has stopped: whoever adds pages should slow down. */
  get isSpillBlocked(): boolean { return this.#store.isBlocked }
  get limitBytes(): number { return this.#limitBytes }

  /**
   * Copy source[start, end) in, at least one byte; others are evicted for it. Without memory for it the page is compressed and stored
   * at once. Throws NO_SPACE when neither memory nor disk has room, UNAVAILABLE when writing has stopped: nothing was changed.
   */
  insert(source: Uint8Array, start: number, end: number, options: PageOptions = {}): Page {
    this.#checkRange(source, start, end)
    if (source.buffer === this.#kernels.memory.buffer) throw invalidArgument('a page may not come from the kernels\' own memory: copy it first')
    const page = this.#newPage(end - start, options, undefined)
    const slot = this.#takeSlot(page.length, false)
    if (slot !== undefined) {
      slot.set(source.subarray(start, end))
      this.#settle(page, slot, UNBACKED)
      this.#scheduleSpills()
    } else {
      this.#storeNew(page, source, start)
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
    const bytes = slotBytes(page.length)
    if (bytes > this.#reloadBytes && this.#reloadReserve.resize(bytes, !isKernels)) this.#reloadBytes = bytes
    const slot = this.#takeSlot(page.length, isKernels)
    if (slot === undefined) {
      page.state = EVICTED
      this.#bornEvicted++
    } else {
      slot.set(source.subarray(start, end))
      this.#settle(page, slot, BACKED)
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
    this.#readFaults++
    if (page.reload === undefined) this.#store.decode(page, target, at, from, to)
    else if (from === 0 && to === page.length) page.reload(target, at)
    else this.#reloadPart(page, page.reload, target, at, from, to)
  }

  /** Bring the page into memory if there is room, or if a page that is backed and was not read lately can go for it. False = it stays out. */
  admit(page: Page): boolean {
    this.#check(page)
    page.isTouched = true
    if (page.slot !== undefined) return true
    const bytes = slotBytes(page.length)
    let isSteal = false
    while (!this.#hasRoom(bytes)) {
      const victim = this.#queues.stealable()
      if (victim === undefined || bytes > this.#limitBytes) {
        this.#admissionsDenied++
        return false
      }
      this.#evict(victim)
      isSteal = true
    }
    const slot = this.#slots.take(page.length, false)
    if (slot === undefined) {
      this.#admissionsDenied++
      return false
    }
    this.#fill(page, slot)
    this.#settle(page, slot, BACKED)
    if (isSteal) this.#admissionsSteal++
    else this.#admissionsBudget++
    return true
  }

  /**
   * The page's bytes, in memory until as many calls of `unpin`: a view that must not be used after that, or written to. Throws
   * BUDGET_TOO_SMALL when there is no memory even for a copy of its own.
   */
  pin(page: Page): Uint8Array {
    this.#check(page)
    if (page.slot === undefined && page.bounce === undefined && !this.admit(page)) this.#bounce(page)
    page.isTouched = true
    if (page.pins++ === 0) {
      this.#pinnedPages++
      // It is wanted: what a job would do now is not. Eager backing may go on.
      if (page.job !== undefined && !(page.job as SpillJob).isEager) this.#cancelJob(page)
      this.#queues.remove(page)
    }
    return new Uint8Array((page.bounce ?? page.slot!).buffer, 0, page.length)
  }

  unpin(page: Page): void {
    this.#check(page)
    if (page.pins === 0) throw invalidArgument(`a page of ${page.length} bytes was unpinned more often than pinned`)
    if (--page.pins > 0) return
    this.#pinnedPages--
    this.#dropBounce(page)
    this.#queues.add(page)
    this.#enforceLimit()
  }

  /** Forget the page; whatever it took comes back. Throws when it is pinned or was freed. */
  free(page: Page): void {
    if (this.#closed && page.owner === this) return
    this.#check(page)
    if (page.pins > 0) throw invalidArgument(`a page of ${page.length} bytes was freed with ${page.pins} pins: unpin it first`)
    if (page.job !== undefined) this.#cancelJob(page)
    if (page.slot !== undefined && page.extentIn === NOWHERE && page.reload === undefined) this.#writesElided++
    this.#drop(page)
    this.#store.free(page)
    page.state = FREED
    this.#frees++
    this.#pages--
    const bookBytes = booksFor(this.#pages)
    if (this.#books.bytes >= bookBytes * 2) this.#books.resize(bookBytes)
  }

  /** Bytes of pages in memory from now on; what is beyond goes at once, unless the disk is full. */
  setLimit(bytes: number): void {
    this.#limitBytes = checkBytes(bytes, 'limitBytes')
    this.#setWarmLimit()
    this.#enforceLimit()
  }

  /**
   * Give back at least `bytes` if possible: warm slots, backed pages, the compressed tier, then pages that must be stored. Returns how
   * many it gave. Suits `Budget.addReclaimer`.
   */
  shrink(bytes: number): number {
    const before = this.rssBytes
    const missing = (): number => bytes - (before - this.rssBytes)
    this.#slots.releaseWarm(bytes)
    while (missing() > 0) {
      const page = this.#victim(false)
      if (page === undefined) break
      this.#evict(page)
      this.#slots.releaseWarm(missing())
    }
    if (missing() > 0) this.#store.shrinkTier(this.#store.tierBytes - missing())
    while (missing() > 0 && this.#evictOne(false)) this.#slots.releaseWarm(missing())
    return before - this.rssBytes
  }

  stats(): PagePoolStats {
    return {
      inserts: this.#inserts, frees: this.#frees, writesElided: this.#writesElided,
      evictionsCompressing: this.#evictionsCompressing, evictionsCheap: this.#evictionsCheap, bornEvicted: this.#bornEvicted,
      admissionsBudget: this.#admissionsBudget, admissionsSteal: this.#admissionsSteal, admissionsDenied: this.#admissionsDenied,
      spillsScheduled: this.#spillsScheduled, spillsCancelled: this.#spillsCancelled,
      eagerBacks: this.#eagerBacks, eagerCancelled: this.#eagerCancelled,
      pageOuts: this.#store.pageOuts, readFaults: this.#readFaults, warmReuses: this.#slots.reuses,
      extentsWritten: this.#store.writes, extentBytesWritten: this.#store.writtenBytes, probes: this.#store.probes,
      pages: this.#pages, pinnedPages: this.#pinnedPages, residentPages: this.#residentPages, residentBytes: this.residentBytes,
      warmBytes: this.#slots.warmBytes, oversizeBytes: this.#slots.oversizeBytes, bounceBytes: this.#bounceBytes,
      extentBytesResident: this.#store.tierBytes, extentPayloadBytesResident: this.#store.tierPayloadBytes,
      stagingBytes: this.#jobs?.stagingBytes ?? 0,
      scratchBytes: this.#scratch?.usedBytes ?? 0, scratchFileBytes: this.#scratch?.fileBytes ?? 0,
      isSpillBlocked: this.isSpillBlocked, spillError: this.#store.error?.message,
    }
  }

  /** A bounded step of what can be done ahead of need; call it now and then, more often while `isSpillBlocked`. */
  maintain(): void {
    if (this.#closed) return
    this.#jobs?.pump()
    if (this.#store.isBlocked && this.#store.error === undefined) this.#probe()
    this.#store.makeTierFit(this.#slots.usedBytes + this.#slots.warmBytes)
    for (let i = 0; i < MAINTAIN_EVICTIONS && this.residentBytes > this.#limitBytes; i++) if (!this.#evictOne(false)) break
    this.#scheduleSpills()
    if (this.#eagerBacking && (this.#jobs?.live ?? 0) === 0) this.#backOne()
  }

  /** Give all memory back. Pages are gone; the scratch file is its owner's to close. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#jobs?.close()
    this.#store.close()
    this.#slots.close()
    this.#books.release()
    this.#reloadReserve.release()
  }

  /** The buffers that are there, counted one by one, but for the tier's if that has an account of its own. */
  measure(): number {
    return this.#slots.measure() + this.#books.bytes + (this.#jobs?.stagingBytes ?? 0) + (this.#isTierShared ? this.#store.measure() : 0)
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
      if (this.#slots.releaseWarm(1) === 0 && !this.#evictOne(false)) throw this.#noSpace(BOOK_PAGES * PAGE_BYTES)
    }
    const depth = Math.min(Math.max(options.depth ?? 0, 0), MAX_DEPTH)
    return new Page(this, length, depth, options.shortLived === true, options.asIs === true, reload)
  }

  #count(page: Page): void {
    this.#inserts++
    this.#pages++
    if (page.state !== EVICTED) this.#failedInserts = 0
  }

  /** A slot within the limit, others evicted for it; undefined when that is not to be had. */
  #takeSlot(length: number, onlyCheap: boolean): Slot | undefined {
    const bytes = slotBytes(length)
    if (bytes > this.#limitBytes) return undefined
    while (this.residentBytes + bytes > this.#limitBytes) if (!this.#evictOne(onlyCheap)) return undefined
    if (this.#store.tierBytes > 0 && !this.#fitsTarget(bytes, onlyCheap)) return undefined
    let slot = this.#slots.take(length, !onlyCheap)
    while (slot === undefined) {
      if (!this.#evictOne(onlyCheap)) return undefined
      slot = this.#slots.take(length, false)
    }
    return slot
  }

  /** Extents make way for a slot. */
  #fitsTarget(bytes: number, onlyCheap: boolean): boolean {
    const others = this.#slots.usedBytes + this.#slots.warmBytes + bytes
    if (others + this.#store.tierBytes <= this.#targetRssBytes) return true
    return !onlyCheap && this.#store.makeTierFit(others)
  }

  /** Room for an admission without evicting anything. */
  #hasRoom(bytes: number): boolean {
    return this.residentBytes + bytes <= this.#limitBytes &&
      this.#account.budget.freeBytes + this.#slots.warmBytes >= bytes &&
      (this.#store.tierBytes === 0 || this.#fitsTarget(bytes, false))
  }

  /** The page has come into memory. */
  #settle(page: Page, slot: Slot, state: number): void {
    page.slot = slot
    page.state = state
    this.#residentPages++
    this.#queues.add(page)
  }

  /** Give back what the page has in memory. */
  #drop(page: Page): void {
    this.#queues.remove(page)
    if (page.slot !== undefined) {
      this.#slots.give(page.slot)
      page.slot = undefined
      this.#residentPages--
    }
    page.state = EVICTED
  }

  #storeNew(page: Page, source: Uint8Array, start: number): void {
    if (this.#store.isBlocked && ++this.#failedInserts >= this.#probeAfter) {
      this.#failedInserts = 0
      this.#probeAfter = Math.min(this.#probeAfter * 2, MOST_BETWEEN_PROBES)
      this.#store.allowProbe()
    }
    if (!this.#store.encode(page, source, start)) throw this.#noSpace(page.length)
    page.state = EVICTED
    this.#probeAfter = 1
    this.#failedInserts = 0
    this.#bornEvicted++
  }

  #noSpace(bytes: number): SpillwayError {
    const { residentBytes } = this
    const cause = this.#store.error
    const memory = `${formatSize(residentBytes)} of pages in memory, of at most ${Number.isFinite(this.#limitBytes) ? formatSize(this.#limitBytes) : 'what the budget gives'}`
    const details = { bytes, residentBytes, limitBytes: this.#limitBytes, scratchBytes: this.#scratch?.usedBytes ?? 0 }
    if (cause !== undefined) {
      return new SpillwayError('SPILLWAY_UNAVAILABLE',
        `no room for a page of ${formatSize(bytes)}: ${memory}, and writing scratch bytes has stopped after "${cause.message}". Close the pool and begin anew on a sound disk`,
        { cause, details })
    }
    const disk = this.#scratch === undefined ? 'there is no scratch file' : this.#store.isBlocked ? 'the disk is full' : 'nothing more can be stored'
    return new SpillwayError('SPILLWAY_NO_SPACE',
      `no room for a page of ${formatSize(bytes)}: ${memory}, and ${disk}. Free pages or disk space, or raise the budget; nothing was lost`, { details })
  }

  /** The next page to evict, a backed one only if `mayStore` is false. */
  #victim(mayStore: boolean): Page | undefined {
    const queued = this.#queues.victim(mayStore)
    if (queued !== undefined) return queued
    if (!mayStore || this.#jobs === undefined) return undefined
    const page = this.#jobs.takeOldest()
    if (page === undefined) return undefined
    this.#spillsCancelled++
    page.state = UNBACKED
    this.#queues.add(page)
    return page.list === undefined ? undefined : page
  }

  /** Evict one page; false when none can go. */
  #evictOne(onlyCheap: boolean): boolean {
    const mayStore = !onlyCheap && this.#store.mayStore
    const page = this.#victim(mayStore)
    if (page === undefined) return false
    if (this.#evict(page)) return true
    // It cannot be stored: neither can the others.
    const cheap = this.#victim(false)
    return cheap !== undefined && this.#evict(cheap)
  }

  #evict(page: Page): boolean {
    if (page.state === BACKED) {
      this.#evictionsCheap++
    } else {
      if (!this.#store.encode(page, page.slot!, 0)) return false
      this.#evictionsCompressing++
    }
    this.#drop(page)
    return true
  }

  #enforceLimit(): void {
    while (this.residentBytes > this.#limitBytes && this.#evictOne(false)) { /* until it fits */ }
  }

  #setWarmLimit(): void {
    const most = Math.min(this.#limitBytes, this.#account.budget.totalBytes)
    this.#slots.setWarmLimit(Math.min(Math.floor(most / 8), MOST_WARM_BYTES))
  }

  /** The bytes of an evicted page, to a slot that comes back if they cannot be had. */
  #fill(page: Page, slot: Slot): void {
    try {
      this.#readFaults++
      if (page.reload === undefined) this.#store.decode(page, slot, 0, 0, page.length)
      else page.reload(slot, 0)
    } catch (error) {
      this.#slots.give(slot)
      throw error
    }
  }

  #bounce(page: Page): void {
    const slot = this.#slots.take(page.length, true)
    if (slot === undefined) {
      throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
        `no room to pin a page of ${formatSize(page.length)}: unpin others, read it in parts, or raise the budget`,
        { details: { bytes: page.length, pinnedPages: this.#pinnedPages, residentBytes: this.residentBytes } })
    }
    this.#fill(page, slot)
    this.#bounceBytes += slot.byteLength
    page.bounce = slot
  }

  #dropBounce(page: Page): void {
    if (page.bounce === undefined) return
    this.#bounceBytes -= page.bounce.byteLength
    this.#slots.give(page.bounce)
    page.bounce = undefined
  }

  /** Have all of the page made again, for a part of it: in free memory, or in what is reserved for that. */
  #reloadPart(page: Page, reload: Reload, target: Uint8Array, at: number, from: number, to: number): void {
    let slot = this.#slots.take(page.length, false)
    const usesReserve = slot === undefined && slotBytes(page.length) <= this.#reloadReserve.bytes
    if (usesReserve) {
      this.#reloadReserve.resize(this.#reloadReserve.bytes - slotBytes(page.length))
      slot = this.#slots.take(page.length, false)
    }
    slot ??= this.#slots.take(page.length, true)
    if (slot === undefined) {
      throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL',
        `no room to read a part of a page of ${formatSize(page.length)} that can only be had whole: read all of it, or raise the budget`)
    }
    this.#bounceBytes += slot.byteLength
    try {
      reload(slot, 0)
      target.set(slot.subarray(from, to), at)
    } finally {
      this.#bounceBytes -= slot.byteLength
      this.#slots.give(slot)
      if (usesReserve) {
        this.#slots.releaseWarm(slotBytes(page.length))
        if (!this.#reloadReserve.resize(this.#reloadBytes, false)) this.#reloadBytes = this.#reloadReserve.bytes
      }
    }
  }

  /** One page of the kind that has to be stored shows whether the disk takes writes again. */
  #probe(): void {
    this.#store.allowProbe()
    const page = this.#queues.nextUnbacked()
    if (page === undefined) this.#store.probe()
    else this.#back(page)
  }

  /** Store the page and keep it in memory. */
  #back(page: Page): boolean {
    if (!this.#store.encode(page, page.slot!, 0)) return false
    this.#queues.remove(page)
    page.state = BACKED
    this.#queues.add(page)
    return true
  }

  #backOne(): void {
    const page = this.#queues.nextUnbacked()
    if (page === undefined || this.#store.isBlocked) return
    if (this.#jobs !== undefined && this.#schedule(page, true)) return
    if (this.#back(page)) this.#eagerBacks++
  }

  /** Queue what has to go soon: as much as is above seven eighths of the limit and not free to evict. */
  #scheduleSpills(): void {
    const jobs = this.#jobs
    if (jobs === undefined || this.#store.isBlocked || !Number.isFinite(this.#limitBytes)) return
    const most = this.#limitBytes - this.#limitBytes / 8
    while (this.residentBytes - this.#queues.cleanBytes - jobs.liveBytes > most) {
      const page = this.#queues.sweepUnbacked()
      if (page === undefined || !this.#schedule(page, false)) return
      this.#spillsScheduled++
    }
  }

  /** Hand a page to a job. One that is not compressed takes less time to write than to hand over. */
  #schedule(page: Page, isEager: boolean): boolean {
    const jobs = this.#jobs!
    if (page.isAsIs || !jobs.canSchedule(page)) return false
    this.#queues.remove(page)
    page.state = IN_FLIGHT
    jobs.schedule(page, isEager, this.#store.takeSerial(page.length))
    return page.job !== undefined
  }

  #cancelJob(page: Page): void {
    const { isEager } = this.#jobs!.cancel(page)
    if (isEager) this.#eagerCancelled++
    else this.#spillsCancelled++
    page.state = UNBACKED
  }

  #jobEnded(job: SpillJob, page: Page, bytes: Uint8Array, start: number, end: number): void {
    page.state = UNBACKED
    if (end > start && this.#store.store(page, job.serial, bytes, start, end)) {
      page.state = BACKED
      if (job.isEager) {
        this.#eagerBacks++
      } else if (!page.isTouched) {
        this.#evictionsCompressing++
        this.#drop(page)
        return
      }
    }
    this.#queues.add(page)
  }
}

/** For one page more than there are. */
function booksFor(pages: number): number {
  return Math.ceil((pages + 1) / BOOK_PAGES) * BOOK_PAGES * PAGE_BYTES
}

function checkBytes(bytes: number, name: string): number {
  if (!(bytes >= 0)) throw invalidArgument(`${name} must be a number of bytes, not ${bytes}`)
  return bytes
}
