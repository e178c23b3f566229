/**
 * The block cache: recently read blocks, in memory that can be given back at any time.
 *
 * Blocks are appended to slots, which form a queue. A new slot is taken while the budget has free memory; after that the oldest is
 * recycled: blocks found again since they came (most often found first, at most half a slot) stay at its front, the others go. So a
 * scan, which touches a block once, evicts only what is as cold as itself.
 *
 * Invariants
 * 1. Every byte held (slots, directory) is leased first and given back at once when freed.
 * 2. It takes only free budget, up to `limitBytes`; `shrink` returns it.
 * 3. A found block is the one last inserted under that table and offset.
 * 4. Every block of the directory lies in one live slot and in that slot's chain, in order of position.
 *
 * Cost: a find reads two cache lines; an insert copies the block, and carries over at most as many bytes; `dropTable` walks all
 * blocks. Memory: 32 to 64 bytes a block beside its bytes, and the unused ends of slots.
 */
import { EMPTY } from '../base/cursor.ts'
import { invalidArgument } from '../base/errors.ts'
import type { Account } from '../memory/budget.ts'
import { BlockDirectory, MAX_TOUCHES, MIN_CAPACITY, NONE } from './block-directory.ts'
import { SlotPool } from './cache-slots.ts'
import type { Slot } from './cache-slots.ts'
import type { Ghosts } from './ghosts.ts'

export interface BlockCacheOptions {
  /** Measure the worth of a larger cache. */
  ghosts?: Ghosts
  /** Size of a slot, and so of the largest block. Default 256 KiB. */
  slotBytes?: number
  /** Frees bytes before a slot is taken within the limit. */
  makeRoom?: (bytes: number) => void
}

export interface BlockCacheStats {
  hits: number
  misses: number
  /** Bytes of blocks read after a miss. */
  missBytes: number
  inserts: number
  evictions: number
  /** Inserts without memory. */
  refused: number
  blocks: number
  bytes: number
  slots: number
}

const DEFAULT_SLOT_BYTES = 256 * 1024
/** This many free slots count as much memory. */
const MUCH_FREE_SLOTS = 16
/** Scratch of `#recycle`: bytes by number of touches. */
const bytesByTouches = new Float64Array(MAX_TOUCHES + 1)

export class BlockCache {
  /** Result of the last successful find or insert: a view into a slot, valid until the next insert or shrink. */
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0

  readonly #pool: SlotPool
  /** By id: those of the pool. */
  readonly #slots: readonly Slot[]
  readonly #slotBytes: number
  readonly #roomMaker: ((bytes: number) => void) | undefined
  #ghosts: Ghosts | undefined
  #limitBytes = Infinity
  #missBytes = 0
  #directory: BlockDirectory
  #oldest: Slot | undefined
  /** The youngest slot, to which blocks are appended. */
  #current: Slot | undefined
  #closed = false
  #hits = 0
  #misses = 0
  #inserts = 0
  #evictions = 0
  #refused = 0

  constructor(account: Account, options: BlockCacheOptions = {}) {
    this.#slotBytes = options.slotBytes ?? DEFAULT_SLOT_BYTES
    if (!(Number.isInteger(this.#slotBytes) && this.#slotBytes >= 64 && this.#slotBytes <= 2 ** 30)) {
      throw invalidArgument(`slotBytes must be a whole number from 64 to ${2 ** 30}, not ${this.#slotBytes}`)
    }
    this.#pool = new SlotPool(account, this.#slotBytes)
    this.#slots = this.#pool.slots
    this.#ghosts = options.ghosts
    this.#roomMaker = options.makeRoom
    this.#directory = new BlockDirectory(account)
  }

  get bytesHeld(): number { return this.#pool.held * this.#slotBytes + this.#directory.bytes }

  setGhosts(ghosts: Ghosts | undefined): void {
    this.#ghosts = ghosts
  }

  /** The existing buffers, counted one by one. */
  measure(): number {
    return this.#directory.measure() + this.#pool.measure()
  }

  /** The excess goes at once. */
  setLimit(limitBytes: number): void {
    this.#limitBytes = limitBytes
    const excess = this.bytesHeld - limitBytes
    if (excess > 0) this.shrink(excess)
  }

  /** Find a block: `table` an int32, `offset` a uint32. */
  find(table: number, offset: number): boolean {
    const directory = this.#directory
    const entry = offset >>> 0 === offset ? directory.find(table, offset) : NONE
    if (entry === NONE) {
      this.#misses++
      this.#ghosts?.hit(table, offset)
      return false
    }
    this.#hits++
    directory.touch(entry)
    this.#point(entry)
    return true
  }

  /** Find a block this reader had before: neither counted nor touched. */
  findAgain(table: number, offset: number): boolean {
    const entry = offset >>> 0 === offset ? this.#directory.find(table, offset) : NONE
    if (entry !== NONE) this.#point(entry)
    return entry !== NONE
  }

  /**
   * Copy source[start, end) in, replacing a block of the same name; `source` may not be a view into this cache. False: no memory,
   * or larger than a slot. `isShared`: an index or filter block, kept longer.
   */
  insert(table: number, offset: number, source: Uint8Array, start: number, end: number, isShared = false): boolean {
    const length = end - start
    this.#missBytes += length
    if (this.#closed || length > this.#slotBytes || offset >>> 0 !== offset || (table | 0) !== table) return this.#refuse()
    if (!(start >= 0 && length >= 0 && end <= source.length)) {
      throw new RangeError(`bytes ${start} to ${end} of a block of ${source.length}`)
    }
    const known = this.#directory.find(table, offset)
    if (known !== NONE) this.#forget(known)
    if (!this.#makeEntryRoom() || !this.#makeRoom(length)) return this.#refuse()

    const slot = this.#current!
    const at = slot.usedBytes
    slot.bytes.set(start === 0 && end === source.length ? source : source.subarray(start, end), at)
    slot.usedBytes = at + length
    const entry = this.#directory.add(table, offset, slot.id, at, length, isShared ? MAX_TOUCHES : 0)
    this.#append(slot, entry)
    this.#inserts++
    this.#point(entry)
    return true
  }

  /** Insert a prefetched block, but only into spare capacity: never evicts. False if it would have to. Does not count as a miss. */
  insertIfMuchIsFree(table: number, offset: number, source: Uint8Array, start: number, end: number, isShared = false): boolean {
    if (this.roomBytes < this.muchBytes) return false
    const isInserted = this.insert(table, offset, source, start, end, isShared)
    this.#missBytes -= end - start
    return isInserted
  }

  get muchBytes(): number { return MUCH_FREE_SLOTS * this.#slotBytes }

  /** Bytes available without evicting: free budget, and slots whose blocks were all dropped. */
  get roomBytes(): number {
    let room = Math.max(0, Math.min(this.#pool.account.budget.freeBytes, this.#limitBytes - this.bytesHeld))
    for (let slot = this.#oldest; slot !== undefined && slot.usedBytes === 0; slot = slot.younger) room += this.#slotBytes
    return room
  }

  /** Counts nothing. */
  has(table: number, offset: number): boolean { return offset >>> 0 === offset && this.#directory.find(table, offset) !== NONE }

  forget(table: number, offset: number): void {
    const entry = offset >>> 0 === offset ? this.#directory.find(table, offset) : NONE
    if (entry === NONE) return
    this.#ghosts?.add(table, offset, this.#directory.length(entry))
    this.#forget(entry)
  }

  /** Drop all blocks of a deleted table; returns their bytes. Empty slots are reused first. */
  dropTable(table: number): number {
    this.#ghosts?.dropTable(table)
    let dropped = 0
    const directory = this.#directory
    let older: Slot | undefined
    let slot = this.#oldest
    while (slot !== undefined) {
      const { younger } = slot
      let last = NONE
      for (let entry = slot.first; entry !== NONE;) {
        const next = directory.next(entry)
        if (directory.table(entry) === table) {
          if (last === NONE) slot.first = next
          else directory.setNext(last, next)
          dropped += directory.length(entry)
          directory.remove(entry)
        } else {
          last = entry
        }
        entry = next
      }
      slot.last = last
      if (last === NONE) slot.usedBytes = 0
      if (last === NONE && older !== undefined && younger !== undefined) {
        older.younger = younger
        slot.younger = this.#oldest
        this.#oldest = slot
      } else {
        older = slot
      }
      slot = younger
    }
    return dropped
  }

  /** Free at least `bytes` if possible, oldest slots first. A reclaimer. */
  shrink(bytes: number): number {
    const before = this.bytesHeld
    while (this.#oldest !== undefined && before - this.bytesHeld < bytes) this.#releaseOldest()
    if (this.#oldest === undefined) this.#directory.free()
    else this.#repackDirectory()
    return before - this.bytesHeld
  }

  stats(): BlockCacheStats {
    return {
      hits: this.#hits, misses: this.#misses, missBytes: this.#missBytes, inserts: this.#inserts, evictions: this.#evictions, refused: this.#refused,
      blocks: this.#directory.count, bytes: this.bytesHeld, slots: this.#pool.held,
    }
  }

  /** Free everything. Later finds miss, later inserts are refused. */
  close(): void {
    this.#closed = true
    while (this.#oldest !== undefined) this.#releaseOldest()
    this.#directory.free()
    this.#pool.clear()
  }

  #refuse(): false {
    this.#refused++
    return false
  }

  #point(entry: number): void {
    const directory = this.#directory
    this.bytes = this.#slots[directory.slot(entry)]!.bytes
    this.start = directory.start(entry)
    this.end = this.start + directory.length(entry)
  }

  #append(slot: Slot, entry: number): void {
    if (slot.last === NONE) slot.first = entry
    else this.#directory.setNext(slot.last, entry)
    slot.last = entry
  }

  /** Space for one more entry: by growth, or by giving up old slots. */
  #makeEntryRoom(): boolean {
    const directory = this.#directory
    while (directory.count === directory.capacity) {
      const capacity = Math.max(MIN_CAPACITY, directory.capacity * 2)
      if (directory.reserve(capacity)) return true
      if (this.#roomMaker !== undefined && this.bytesHeld < this.#limitBytes) {
        this.#roomMaker(BlockDirectory.bytesFor(capacity))
        if (directory.reserve(capacity)) return true
      }
      if (this.#oldest === undefined) return false
      this.#releaseOldest()
    }
    return true
  }

  /** Space for `length` bytes in the current slot; one step always suffices. */
  #makeRoom(length: number): boolean {
    const current = this.#current
    if (current !== undefined && current.usedBytes + length <= this.#slotBytes) return true
    // A slot emptied by a dropped table costs nothing.
    const slot = this.#oldest?.usedBytes === 0 ? undefined : this.#takeSlot()
    if (slot !== undefined) {
      if (this.#current === undefined) this.#oldest = slot
      else this.#current.younger = slot
      this.#current = slot
      return true
    }
    const oldest = this.#oldest
    if (oldest === undefined) return false
    if (oldest.younger !== undefined) {
      this.#oldest = oldest.younger
      this.#current!.younger = oldest
      this.#current = oldest
      oldest.younger = undefined
    }
    this.#recycle(oldest, Math.min(this.#slotBytes >>> 1, this.#slotBytes - length))
    return true
  }

  /** Keep blocks that were found again, most often found first, up to `limit` bytes. */
  #recycle(slot: Slot, limit: number): void {
    const directory = this.#directory
    const sums = bytesByTouches.fill(0)
    for (let entry = slot.first; entry !== NONE; entry = directory.next(entry)) {
      sums[directory.touches(entry)]! += directory.length(entry)
    }
    // Blocks above the bar all fit; those at the bar stay while there is space.
    let bar = MAX_TOUCHES
    let above = 0
    while (bar > 1 && above + sums[bar]! <= limit) above += sums[bar--]!
    let room = limit - above

    let entry = slot.first
    slot.first = slot.last = NONE
    slot.usedBytes = 0
    while (entry !== NONE) {
      const next = directory.next(entry)
      const touches = directory.touches(entry)
      const length = directory.length(entry)
      if (touches > bar || (touches === bar && length <= room)) {
        if (touches === bar) room -= length
        const start = directory.start(entry)
        slot.bytes.copyWithin(slot.usedBytes, start, start + length)
        directory.move(entry, slot.id, slot.usedBytes)
        directory.setNext(entry, NONE)
        this.#append(slot, entry)
        slot.usedBytes += length
      } else {
        this.#evict(entry)
      }
      entry = next
    }
  }

  /** The caller repairs the chain. */
  #evict(entry: number): void {
    const directory = this.#directory
    this.#ghosts?.add(directory.table(entry), directory.offset(entry), directory.length(entry))
    directory.remove(entry)
    this.#evictions++
  }

  /** Remove one block from its chain and the directory; its bytes stay unused until the slot is recycled. */
  #forget(entry: number): void {
    const directory = this.#directory
    const slot = this.#slots[directory.slot(entry)]!
    let before = NONE
    for (let at = slot.first; at !== entry; at = directory.next(at)) before = at
    const next = directory.next(entry)
    if (before === NONE) slot.first = next
    else directory.setNext(before, next)
    if (next === NONE) slot.last = before
    directory.remove(entry)
  }

  #takeSlot(): Slot | undefined {
    if (this.bytesHeld + this.#slotBytes > this.#limitBytes) return undefined
    if (this.#pool.account.budget.freeBytes < this.#slotBytes) this.#roomMaker?.(this.#slotBytes)
    return this.#pool.take()
  }

  #releaseOldest(): void {
    const slot = this.#oldest!
    this.#oldest = slot.younger
    if (this.#oldest === undefined) this.#current = undefined
    const directory = this.#directory
    for (let entry = slot.first; entry !== NONE;) {
      const next = directory.next(entry)
      this.#evict(entry)
      entry = next
    }
    if (this.bytes === slot.bytes) this.bytes = EMPTY
    this.#pool.giveBack(slot)
  }

  /** Move the entries to a smaller directory when they use less than an eighth of it. */
  #repackDirectory(): void {
    const old = this.#directory
    let capacity = MIN_CAPACITY
    while (capacity < old.count * 2) capacity *= 2
    if (capacity * 4 > old.capacity) return
    const directory = new BlockDirectory(this.#pool.account)
    if (!directory.reserve(capacity)) return
    this.#directory = directory
    for (let slot = this.#oldest; slot !== undefined; slot = slot.younger) {
      let entry = slot.first
      slot.first = slot.last = NONE
      while (entry !== NONE) {
        this.#append(slot, directory.add(
          old.table(entry), old.offset(entry), slot.id, old.start(entry), old.length(entry), old.touches(entry),
        ))
        entry = old.next(entry)
      }
    }
    old.free()
  }
}
