/**
 * Rows read more than once recently: key, value and sequence number, by the hash of the key. Where few rows of each block are
 * wanted, this holds some thirty times as many rows as their blocks would, and a hit needs no filter, index or block.
 *
 * Rows lie in slots like blocks (`block-cache.ts`), with a directory of 32 to 64 bytes a row. While much memory is free a row is
 * kept at once; later on its second read within about as many other reads as there are tags, so that one pass over much data leaves
 * nothing.
 *
 * A row carries the epoch of its tree. Whether it is still the newest is for the reader to decide (`store/state/tree.ts`).
 *
 * Invariants
 * 1. A found row has exactly the requested key, in the same lineage.
 * 2. Tags and scratch are leased before they are allocated; without memory for them no rows are kept.
 *
 * Account: `rows`. Cost: a find reads three or four cache lines; an offer writes two bytes, every second one of a row copies it.
 */
import { EMPTY } from '../base/cursor.ts'
import type { Hit } from '../base/cursor.ts'
import { copyBytes } from '../base/bytes.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'

/** Layout of a row: epoch, sequence number (low and high word), key length; then key and value. */
const SEQ = 4
const KEY_LENGTH = 12
const HEADER_BYTES = 14
/** Larger rows are served as well by their block. */
const MAX_ROW_BYTES = 4096
/** More would need too many kernel mappings. */
const MAX_SLOTS = 8192
const TAG_BYTES = 2
/** This many free slots count as much memory. */
const FREE_SLOTS = 16

export interface RowCacheStats {
  /** Point reads that looked here, and those answered here. */
  lookups: number
  hits: number
  rows: number
  /** Bytes leased. */
  bytes: number
}

export class RowCache {
  /** Result of the last successful find: a view into a slot, valid until the next offer or shrink. */
  bytes: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  /** Epoch of the found row. */
  epoch = 0
  lookups = 0
  hits = 0
  /** Offers since the start. */
  offers = 0

  readonly #account: Account
  readonly #rows: BlockCache
  readonly #mostBytes: number
  readonly #muchBytes: number
  #tags: Uint16Array<ArrayBuffer> | undefined
  #scratch: Uint8Array<ArrayBuffer> = EMPTY as Uint8Array<ArrayBuffer>
  #lease: Lease | undefined
  #start = 0

  /** `makeRoom`: asked to free bytes. */
  constructor(account: Account, slotBytes: number, makeRoom: (bytes: number) => void) {
    this.#account = account
    this.#rows = new BlockCache(account, { slotBytes, makeRoom })
    this.#mostBytes = slotBytes * MAX_SLOTS
    this.#muchBytes = slotBytes * FREE_SLOTS
    this.#rows.setLimit(0)
  }

  get bytesHeld(): number { return this.#rows.bytesHeld }

  /** The existing buffers, counted one by one. */
  measure(): number { return this.#rows.measure() + (this.#tags?.buffer.byteLength ?? 0) + this.#scratch.buffer.byteLength }

  /** Remember the latest `tags` rows (a power of two) that were read once; 0: keep no rows. */
  configure(tags: number): void {
    if (tags === (this.#tags?.length ?? 0)) return
    this.#lease?.release()
    this.#tags = undefined
    this.#lease = tags === 0 ? undefined : this.#account.tryLease(tags * TAG_BYTES + MAX_ROW_BYTES)
    if (this.#lease === undefined) {
      this.#rows.shrink(Infinity)
      this.#scratch = EMPTY as Uint8Array<ArrayBuffer>
      return
    }
    this.#tags = new Uint16Array(tags)
    if (this.#scratch.length === 0) this.#scratch = new Uint8Array(MAX_ROW_BYTES)
  }

  /** Maximum bytes of rows. */
  setLimit(limitBytes: number): void {
    this.#rows.setLimit(Math.min(limitBytes, this.#mostBytes))
  }

  /** Find the row of a key; `hash` = hashKey(key). */
  find(space: number, hash: number, key: Uint8Array, start: number, end: number): boolean {
    this.lookups++
    const rows = this.#rows
    if (!rows.find(space, hash)) return false
    const { bytes } = rows
    const at = rows.start
    const length = end - start
    if ((bytes[at + KEY_LENGTH]! | (bytes[at + KEY_LENGTH + 1]! << 8)) !== length) return false
    const keyAt = at + HEADER_BYTES - start
    for (let i = start; i < end; i++) if (bytes[keyAt + i] !== key[i]) return false
    this.bytes = bytes
    this.#start = at
    this.epoch = word(bytes, at)
    this.valueStart = keyAt + end
    this.valueEnd = rows.end
    return true
  }

  /** Of the row found last. */
  get seq(): number {
    const at = this.#start + SEQ
    return word(this.bytes, at) + word(this.bytes, at + 4) * 0x1_0000_0000
  }

  /** The row found last is still the newest of its tree. */
  renew(epoch: number): void {
    putWord(this.bytes, this.#start, epoch)
  }

  /**
   * A key was found in the tree of an epoch: keep the row if it is here already, was read before, or much memory is free. The value
   * may not be a view into this cache. Making space may evict the value's block, so the hit is redirected to a copy valid until the
   * next offer.
   */
  offer(space: number, hash: number, key: Uint8Array, start: number, end: number, epoch: number, hit: Hit): void {
    const tags = this.#tags
    const valueBytes = hit.valueEnd - hit.valueStart
    const bytes = HEADER_BYTES + end - start + valueBytes
    if (tags === undefined || bytes > MAX_ROW_BYTES) return
    this.offers++
    const rows = this.#rows
    if (rows.find(space, hash)) {
      if (rows.end - rows.start === bytes) {
        this.#write(rows.bytes, rows.start, key, start, end, epoch, hit)
        return
      }
    } else if (this.#account.budget.freeBytes < this.#muchBytes) {
      const tag = Math.imul(hash ^ space, 0x9e3779b1) >>> 16
      const i = hash & (tags.length - 1)
      if (tags[i] !== tag) {
        tags[i] = tag
        return
      }
    }
    this.#write(this.#scratch, 0, key, start, end, epoch, hit)
    hit.value = this.#scratch
    hit.valueStart = bytes - valueBytes
    hit.valueEnd = bytes
    rows.insert(space, hash, this.#scratch, 0, bytes)
  }

  /** Drop the rows of one lineage. */
  drop(space: number): void {
    this.#rows.dropTable(space)
  }

  /** Free at least `bytes` if possible. A reclaimer. */
  shrink(bytes: number): number {
    const given = this.#rows.shrink(bytes)
    this.bytes = EMPTY
    return given
  }

  stats(): RowCacheStats {
    return { lookups: this.lookups, hits: this.hits, rows: this.#rows.stats().blocks, bytes: this.bytesHeld }
  }

  close(): void {
    this.#rows.close()
    this.#lease?.release()
    this.#lease = undefined
    this.#tags = undefined
    this.#scratch = this.bytes = EMPTY as Uint8Array<ArrayBuffer>
  }

  #write(target: Uint8Array, at: number, key: Uint8Array, start: number, end: number, epoch: number, hit: Hit): void {
    putWord(target, at, epoch)
    putWord(target, at + SEQ, hit.seq)
    putWord(target, at + SEQ + 4, Math.floor(hit.seq / 0x1_0000_0000))
    target[at + KEY_LENGTH] = end - start
    target[at + KEY_LENGTH + 1] = (end - start) >>> 8
    copyBytes(key, start, end, target, at + HEADER_BYTES)
    copyBytes(hit.value, hit.valueStart, hit.valueEnd, target, at + HEADER_BYTES + end - start)
  }
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

function putWord(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}
