/**
 * Fences of a paged run: the first (index 2 x page) and last (2 x page + 1) key of every page.
 *
 * Bytes are leased before they are copied; while arrays grow, old and new are both leased. Cost: the keys and 32 bytes a page.
 */
import { compareBytes } from '../base/bytes.ts'
import { EMPTY } from '../base/cursor.ts'
import type { Account, Lease } from '../memory/budget.ts'

const PAGE_OBJECT_BYTES = 24

export class PagedFences {
  readonly #lease: Lease
  #bytes: Uint8Array = EMPTY
  #offsets = new Uint32Array(0)
  #keys = 0
  #pages = 0
  #freed = false

  constructor(account: Account) {
    this.#lease = account.lease(0)
  }

  get length(): number { return this.#keys >>> 1 }
  get leasedBytes(): number { return this.#lease.bytes }

  add(bytes: Uint8Array, firstStart: number, firstEnd: number, lastStart: number, lastEnd: number): void {
    this.#append(bytes, firstStart, firstEnd)
    this.#append(bytes, lastStart, lastEnd)
  }

  replaceLast(bytes: Uint8Array, start: number, end: number): void {
    this.#keys--
    this.#append(bytes, start, end)
  }

  /** Lease a page's list entries. */
  addPage(): void {
    this.#grow(this.#bytes.length, this.#offsets.length, this.#pages + 1)
  }

  seal(): void {
    const used = this.#keys === 0 ? 0 : this.#offsets[this.#keys]!
    if (used < this.#bytes.length || this.#keys + 1 < this.#offsets.length) {
      // Without a lease for the trimmed copy the arrays stay.
      if (this.#lease.resize(this.#lease.bytes + used + 4 * (this.#keys + 1))) {
        this.#bytes = this.#bytes.slice(0, used)
        this.#offsets = this.#offsets.slice(0, this.#keys + 1)
        this.#lease.resize(this.#arrayBytes())
      }
    }
  }

  key(index: number): Uint8Array {
    return this.#bytes.subarray(this.#offsets[index]!, this.#offsets[index + 1]!)
  }

  /** The only page that can hold the key: the first whose last key is >= it. `length` if none. */
  pageFor(key: Uint8Array, start: number, end: number): number {
    let low = 0
    let high = this.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.compare(2 * middle + 1, key, start, end) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  compare(index: number, key: Uint8Array, start: number, end: number): number {
    return compareBytes(this.#bytes, this.#offsets[index]!, this.#offsets[index + 1]!, key, start, end)
  }

  free(): void {
    if (this.#freed) return
    this.#freed = true
    this.#bytes = EMPTY
    this.#offsets = new Uint32Array(0)
    this.#keys = 0
    this.#lease.release()
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const at = this.#keys === 0 ? 0 : this.#offsets[this.#keys]!
    const length = end - start
    if (at + length > this.#bytes.length || this.#keys + 2 > this.#offsets.length) {
      let capacity = Math.max(this.#bytes.length, 256)
      while (capacity < at + length) capacity *= 2
      let places = Math.max(this.#offsets.length, 32)
      while (places < this.#keys + 2) places *= 2
      this.#grow(capacity, places, this.#pages)
    }
    this.#bytes.set(bytes.subarray(start, end), at)
    this.#offsets[++this.#keys] = at + length
  }

  #arrayBytes(): number { return this.#bytes.length + 4 * this.#offsets.length + PAGE_OBJECT_BYTES * this.#pages }

  #grow(capacity: number, places: number, pages: number): void {
    this.#pages = pages
    const grows = capacity > this.#bytes.length || places > this.#offsets.length
    const wanted = (grows ? capacity + 4 * places : 0) + this.#arrayBytes()
    if (!this.#lease.resize(wanted)) this.#lease.account.lease(wanted - this.#lease.bytes).release()
    if (!grows) return
    const bytes = new Uint8Array(capacity)
    bytes.set(this.#bytes)
    const offsets = new Uint32Array(places)
    offsets.set(this.#offsets)
    this.#bytes = bytes
    this.#offsets = offsets
    this.#lease.resize(this.#arrayBytes())
  }
}
