/**
 * FIFO queue of any length within a budget.
 *
 * Both ends are in memory: a page being filled and a page being emptied. Pages between them are in the pool; the next one is
 * admitted ahead. A page is freed when it is taken, so one that never left memory is never written.
 *
 * Accounts: `queue ends` (two pages, larger for large items, and 8 bytes a page), `pages`, `spill kernels`.
 */
import type { InspectOptions } from 'node:util'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { Uncloneable } from '../base/identity.ts'
import { INSPECT, inspectEntries, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import { checkOptions } from '../base/option-names.ts'
import { copyBytes } from '../base/bytes.ts'
import { formatSize } from '../base/sizes.ts'
import type { Lease } from '../memory/budget.ts'
import { EntryReader, headerBytes, writeHeader } from '../pages/paged-entry.ts'
import type { Page } from '../pages/page.ts'
import type { PagePool } from '../pages/page-pool.ts'
import { Scratch, transcoder } from '../encoding/encoding.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import { SPACE_OPTIONS, SpillSpace } from './spill-space.ts'
import type { SpillOptions } from './spill-space.ts'
import { SpillPages } from './spill-pages.ts'
import type { SpillPagesStats } from './spill-pages.ts'

export interface SpillQueueOptions<T> extends SpillOptions {
  /** 'json' (default), 'utf8', 'buffer', 'view' or a codec. */
  encoding?: ItemEncodingOf<T> | undefined
}

/** Report of a queue. */
export interface SpillQueueStats {
  /** Number of items. */
  size: number
  /** Bytes used of the budget, by all its users. */
  usedBytes: number
  /** Counters of the page pool; undefined until a page was filled. */
  pages: SpillPagesStats | undefined
}

const MAX_PAGE_BYTES = 64 * 1024
const SCRATCH_BYTES = 16 * 1024
const FIRST_PLACES = 64
const MAX_DEPTH = 31

/**
 * A synchronous FIFO queue that keeps what exceeds its budget on disk.
 * @throws SPILLWAY_CLOSED       any call after `dispose`, except `size`, `stats` and `drain` (empty)
 * @throws SPILLWAY_DECODING     a codec's `decode` failed
 * @throws SPILLWAY_UNAVAILABLE  the scratch file cannot be read or written
 * @throws SPILLWAY_CORRUPTION   the scratch file is damaged
 * @example
 * ```ts
 * import { SpillQueue } from 'spillway/collections'
 *
 * const jobs = new SpillQueue<{ id: number }>({ budget: '4 MiB' })
 * jobs.push({ id: 1 })
 * jobs.push({ id: 2 })
 * console.log(jobs.shift()?.id, jobs.size) // 1 1
 * jobs.dispose()
 * ```
 */
export class SpillQueue<T = unknown> extends Uncloneable implements Iterable<T>, Disposable {
  readonly #space: SpillSpace
  readonly #transcoder: Transcoder
  readonly #scratch = new Scratch(SCRATCH_BYTES)
  readonly #entry = new EntryReader()
  readonly #pageBytes: number
  readonly #limitBytes: number
  readonly #lease: Lease
  #removeReclaimer: (() => void) | undefined
  /** head[headAt, headEnd). */
  #head: Uint8Array
  #headAt = 0
  #headEnd = 0
  /** tail[0, tailAt). */
  #tail: Uint8Array
  #tailAt = 0
  #ring: (Page | undefined)[] = new Array<Page | undefined>(FIRST_PLACES)
  #first = 0
  #pages = 0
  #size = 0
  /** Changes when items are taken. */
  #version = 0
  #closed = false

  /**
   * Touches no disk until memory is full.
   * @throws SPILLWAY_INVALID_ARGUMENT  wrong option
   * @throws SPILLWAY_BUDGET_TOO_SMALL  budget below 2 MiB
   */
  constructor(options: SpillQueueOptions<T> = {}) {
    super()
    checkOptions(options, ['encoding', ...SPACE_OPTIONS], 'SpillQueue')
    this.#transcoder = transcoder(options.encoding ?? 'json', 'encoding')
    this.#space = new SpillSpace(options)
    const { bytes } = this.#space
    this.#pageBytes = Math.min(MAX_PAGE_BYTES, 2 ** Math.floor(Math.log2(bytes / 64)))
    this.#lease = this.#space.account('queue ends').lease(0)
    this.#head = new Uint8Array(this.#leased(this.#pageBytes, FIRST_PLACES))
    this.#tail = new Uint8Array(this.#pageBytes)
    this.#limitBytes = bytes - SpillPages.fixedBytes - this.#lease.bytes - Math.floor(bytes / 8)
  }

  /** Number of items. */
  get size(): number { return this.#size }

  /**
   * Append an item. Returns the new size. Nothing is added on errors.
   * @throws SPILLWAY_INVALID_ARGUMENT  the item cannot be encoded
   * @throws SPILLWAY_NO_SPACE          memory and disk are full
   * @throws SPILLWAY_BUDGET_TOO_SMALL  the item is above a quarter of the budget
   */
  push(item: T): number {
    this.#check()
    const scratch = this.#scratch
    this.#transcoder.encode(item, scratch)
    const { bytes, start, end } = scratch
    const length = end - start
    const total = headerBytes(length, 0) + length
    if (this.#tailAt + total > this.#tail.length) {
      if (this.#tailAt > 0) this.#sealTail()
      if (total > this.#tail.length) {
        this.#pushLarge(bytes, start, end, total)
        return ++this.#size
      }
    }
    const at = writeHeader(this.#tail, this.#tailAt, length, 0)
    copyBytes(bytes, start, end, this.#tail, at)
    this.#tailAt = at + length
    return ++this.#size
  }

  /** Take the first item; undefined if empty. */
  shift(): T | undefined {
    this.#check()
    if (!this.#toFirst()) return undefined
    const version = this.#version
    const item = this.#decode(this.#head)
    if (this.#version !== version) throw invalidArgument('decode took items from its own queue. decode() must not call the queue')
    this.#headAt = this.#entry.valueEnd
    this.#size--
    this.#version++
    return item
  }

  /** The first item, not taken; undefined if empty. */
  peek(): T | undefined {
    this.#check()
    return this.#toFirst() ? this.#decode(this.#head) : undefined
  }

  /** Take all items one by one, those pushed meanwhile included. */
  * drain(): Generator<T, void, undefined> {
    while (this.#size > 0) yield this.shift() as T
  }

  /** Remove all items. */
  clear(): void {
    this.#check()
    while (this.#pages > 0) this.#pool().free(this.#takePage())
    this.#headAt = this.#headEnd = this.#tailAt = this.#size = 0
    this.#version++
  }

  /**
   * Iterate without taking items.
   * @throws SPILLWAY_INVALID_ARGUMENT  items were taken meanwhile, or pushes filled a page
   */
  * [Symbol.iterator](): Generator<T, void, undefined> {
    this.#check()
    const version = this.#version
    const entry = this.#entry
    // The consumer may push.
    for (let at = this.#headAt; at < this.#headEnd;) {
      const item = this.#decodeAt(this.#head, at)
      at = entry.valueEnd
      yield item
      this.#checkVersion(version)
    }
    for (let page = 0; page < this.#pages; page++) {
      const stored = this.#ring[(this.#first + page) % this.#ring.length]!
      const lease = this.#space.account('queue iterators').lease(stored.length)
      try {
        const bytes = new Uint8Array(stored.length)
        this.#pool().read(stored, bytes, 0)
        for (let at = 0; at < bytes.length;) {
          const item = this.#decodeAt(bytes, at)
          at = entry.valueEnd
          yield item
          this.#checkVersion(version)
        }
      } finally {
        lease.release()
      }
    }
    // If the tail becomes a page meanwhile, its items are there.
    const sealed = this.#pages
    for (let at = 0; at < this.#tailAt;) {
      const item = this.#decodeAt(this.#tail, at)
      at = entry.valueEnd
      yield item
      this.#checkVersion(version)
      if (this.#pages !== sealed) throw invalidArgument('the queue grew by a page while its end was iterated. Use drain, or push after the loop')
    }
  }

  /** Sizes and counters. */
  stats(): SpillQueueStats {
    return { size: this.#size, usedBytes: this.#space.budget.usedBytes, pages: this.#space.stats() }
  }

  /** Release memory and remove the scratch file. Idempotent. */
  dispose(): void {
    if (this.#closed) return
    this.#closed = true
    this.#version++
    this.#removeReclaimer?.()
    this.#ring = []
    this.#head = this.#tail = NOTHING
    this.#size = this.#pages = 0
    this.#space.close()
    this.#lease.release()
  }

  /** Calls `dispose`. */
  [Symbol.dispose](): void { this.dispose() }
  /** 'SpillQueue'. */
  get [Symbol.toStringTag](): string { return 'SpillQueue' }

  /** @internal */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#closed in this)) return inspectPrototype('SpillQueue')
    if (this.#closed) return 'SpillQueue { <disposed> }'
    return inspectEntries(this, 'SpillQueue', this.#size, () => this, first => first, { depth, options, inspect })
  }

  #check(): void {
    if (this.#closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the queue was disposed of. Make a new one')
  }

  #checkVersion(version: number): void {
    this.#check()
    if (this.#version !== version) throw invalidArgument('items were taken while the queue was iterated. Use drain instead')
  }

  #pool(): PagePool {
    const { pool } = this.#space.pages(this.#limitBytes)
    this.#removeReclaimer ??= this.#space.budget.addReclaimer('collections', bytes => pool.shrink(bytes))
    return pool
  }

  /** False if the queue is empty. */
  #toFirst(): boolean {
    if (this.#headAt < this.#headEnd) return true
    if (this.#pages > 0) {
      const pool = this.#pool()
      const page = this.#ring[this.#first]!
      this.#fitHead(page.length)
      pool.read(page, this.#head, 0)
      pool.free(this.#takePage())
      this.#headAt = 0
      this.#headEnd = page.length
      const next = this.#ring[this.#first]
      if (this.#pages > 0 && next !== undefined) pool.admit(next)
      return true
    }
    if (this.#tailAt === 0) return false
    // A head enlarged for an item does not become the tail.
    this.#fitHead(this.#pageBytes)
    const head = this.#head
    this.#head = this.#tail
    this.#tail = head
    this.#headAt = 0
    this.#headEnd = this.#tailAt
    this.#tailAt = 0
    return true
  }

  #fitHead(bytes: number): void {
    const wanted = Math.max(bytes, this.#pageBytes)
    if (wanted === this.#head.length) return
    this.#head = NOTHING
    this.#headAt = this.#headEnd = 0
    this.#head = new Uint8Array(this.#leased(wanted, this.#ring.length))
  }

  #sealTail(): void {
    this.#addPage(this.#tail, this.#tailAt)
    this.#tailAt = 0
  }

  #pushLarge(bytes: Uint8Array, start: number, end: number, total: number): void {
    const { bytes: budgetBytes } = this.#space
    const lease = total > budgetBytes / 4 ? undefined : this.#lease.account.tryLease(total)
    if (lease === undefined) {
      throw new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL',
        `an item of ${formatSize(end - start)} is too large for a queue of ${formatSize(budgetBytes)}: the maximum is a quarter. Raise the budget`,
        { details: { itemBytes: end - start, budgetBytes } },
      )
    }
    try {
      const entry = new Uint8Array(total)
      entry.set(bytes.subarray(start, end), writeHeader(entry, 0, end - start, 0))
      this.#addPage(entry, total)
    } finally {
      lease.release()
    }
  }

  #addPage(bytes: Uint8Array, length: number): void {
    if (this.#pages === this.#ring.length) this.#growRing()
    const pool = this.#pool()
    // Far from the head: evicted first.
    const depth = Math.min(MAX_DEPTH, Math.floor((this.#pages * this.#pageBytes * (MAX_DEPTH + 1)) / (2 * this.#limitBytes)))
    this.#ring[(this.#first + this.#pages) % this.#ring.length] = pool.insert(bytes, 0, length, { depth })
    this.#pages++
  }

  #takePage(): Page {
    const page = this.#ring[this.#first]!
    this.#ring[this.#first] = undefined
    this.#first = (this.#first + 1) % this.#ring.length
    this.#pages--
    return page
  }

  #growRing(): void {
    const old = this.#ring
    this.#leased(this.#head.length, old.length * 2)
    const ring = new Array<Page | undefined>(old.length * 2)
    for (let i = 0; i < this.#pages; i++) ring[i] = old[(this.#first + i) % old.length]
    this.#ring = ring
    this.#first = 0
  }

  /** Lease both ends and the list of pages. Returns `headBytes`. */
  #leased(headBytes: number, places: number): number {
    const bytes = headBytes + this.#pageBytes + SCRATCH_BYTES + 8 * places
    if (!this.#lease.resize(bytes)) this.#lease.account.lease(bytes - this.#lease.bytes).release()
    return headBytes
  }

  #decode(bytes: Uint8Array): T { return this.#decodeAt(bytes, this.#headAt) }

  #decodeAt(bytes: Uint8Array, at: number): T {
    const entry = this.#entry
    entry.read(bytes, at)
    const { keyStart, keyEnd, valueEnd } = entry
    const item = this.#transcoder.decode(bytes, keyStart, keyEnd) as T
    // A user's codec may use this queue.
    entry.valueEnd = valueEnd
    return item
  }
}

const NOTHING = new Uint8Array(0)
