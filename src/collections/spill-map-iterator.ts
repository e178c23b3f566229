/**
 * Iterators of maps and sets, live like those of a Map: entries added meanwhile are seen, deleted ones are not, values are current.
 *
 * Invariants
 * 1. Between calls an iterator owns nothing but its place, so it need not be closed.
 * 2. After a change, read-ahead is looked up again; in key order it is read again once a key was added.
 * 3. `return` releases the read-ahead; the iterator can be continued, as with a Map. Only its end and `[Symbol.dispose]` are final.
 */
import { readError } from '../store/api/io-errors.ts'
import type { Entries, Want } from './spill-map-entries.ts'
import { ELSEWHERE, MAX_ENTRIES, isInside, seek } from './spill-map-read-ahead.ts'
import type { Bounds, ReadAhead } from './spill-map-read-ahead.ts'

/** The first chunk has one entry, because many loops need no more. */
const GROWTH = 8
const NOTHING = Symbol('nothing')

const IteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())) as object

/** 'pair': each key twice. */
export type Yields = Want | 'pair'

export class LiveIterator<T> implements IterableIterator<T, undefined>, Disposable {
  readonly #entries: Entries
  readonly #ahead: ReadAhead
  readonly #bounds: Bounds
  readonly #want: Want
  readonly #isPaired: boolean
  readonly #checkOpen: () => void
  readonly #tag: string
  #place: Uint8Array | undefined
  #chunkEntries = 1
  #done = false

  constructor(entries: Entries, ahead: ReadAhead, yields: Yields, bounds: Bounds, checkOpen: () => void, tag: string) {
    this.#entries = entries
    this.#ahead = ahead
    this.#want = yields === 'pair' ? 'key' : yields
    this.#isPaired = yields === 'pair'
    this.#bounds = bounds
    this.#checkOpen = checkOpen
    this.#tag = tag
  }

  get [Symbol.toStringTag](): string { return #tag in this ? this.#tag : 'Spill Iterator' }

  next(): IteratorResult<T, undefined> {
    if (!this.#done) {
      this.#checkOpen()
      let value: unknown
      try {
        value = this.#advance()
      } catch (error) {
        throw readError(error)
      }
      if (value !== NOTHING) return { done: false, value: (this.#isPaired ? [value, value] : value) as T }
      this.#finish()
    }
    return { done: true, value: undefined }
  }

  return(value?: unknown): IteratorResult<T, undefined> {
    this.#ahead.releaseSlot(this)
    return { done: true, value: value as undefined }
  }

  [Symbol.dispose](): void { this.#finish() }

  declare [Symbol.iterator]: () => this

  #finish(): void {
    this.#done = true
    this.#ahead.releaseSlot(this)
  }

  #advance(): unknown {
    const entries = this.#entries
    for (;;) {
      let slot = this.#ahead.slotOf(this)
      if (slot !== undefined && entries.order === 'key' && slot.added !== entries.added) slot.at = slot.count
      if (slot === undefined || slot.at >= slot.count) {
        if (slot?.isLast === true && slot.added === entries.added) return NOTHING
        const isFirst = this.#place === undefined && entries.order === 'insertion' && !this.#bounds.reverse
        const { low } = entries
        const bounds = isFirst && low !== undefined ? { ...this.#bounds, start: low } : this.#bounds
        slot = this.#ahead.read(this, this.#place, bounds, this.#chunkEntries)
        if (slot === undefined) return this.#single(bounds)
        if (isFirst) entries.low = slot.count === 0 ? undefined : slot.bytes.slice(slot.placeStart(0), slot.placeEnd(0))
        if (slot.count === 0) return NOTHING
        this.#chunkEntries = Math.min(MAX_ENTRIES, this.#chunkEntries * GROWTH)
      }
      const i = slot.at++
      const placeStart = slot.placeStart(i)
      const placeEnd = slot.placeEnd(i)
      this.#setPlace(slot.bytes, placeStart, placeEnd)
      // Keep the slot while a user's codec runs.
      slot.isBusy = true
      try {
        if (slot.changed === entries.changed && slot.kind(i) !== ELSEWHERE) {
          return entries.decode(this.#want, slot.bytes, placeStart, placeEnd, slot.kind(i), slot.bytes, placeEnd, slot.valueEnd(i))
        }
        const hit = entries.tree.find(slot.bytes, placeStart, placeEnd)
        if (hit !== undefined) return entries.decode(this.#want, slot.bytes, placeStart, placeEnd, hit.kind, hit.value, hit.valueStart, hit.valueEnd)
      } finally {
        slot.isBusy = false
      }
    }
  }

  #single(bounds: Bounds): unknown {
    const entries = this.#entries
    const scan = entries.tree.scan(bounds.reverse)
    try {
      for (seek(scan, this.#place, bounds); isInside(scan, bounds); scan.advance()) {
        if (!entries.isEntry(scan.keyLength)) continue
        this.#setPlace(scan.key, 0, scan.keyLength)
        const place = this.#place!
        return entries.decode(this.#want, place, 0, place.length, scan.kind, scan.value, scan.valueStart, scan.valueEnd)
      }
      return NOTHING
    } finally {
      scan.close()
    }
  }

  #setPlace(bytes: Uint8Array, start: number, end: number): void {
    let place = this.#place
    if (place?.length !== end - start) place = this.#place = new Uint8Array(end - start)
    for (let i = start; i < end; i++) place[i - start] = bytes[i]!
  }
}

Object.setPrototypeOf(LiveIterator.prototype, IteratorPrototype)
