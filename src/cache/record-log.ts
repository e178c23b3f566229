/**
 * Records in memory, appended to segments. Space of removed records comes back when a segment is cleaned: its live records are
 * appended again, and the segment is empty.
 *
 *   record   entry u32 | key and value bytes u32 | key | value | up to a multiple of 8
 *
 * Invariants
 * 1. A segment is leased before it is allocated; one is kept for cleaning, so cleaning needs no memory.
 * 2. Live bytes of a segment are the records whose entry still points at them.
 *
 * Account: the cache's. Cost: a copy an append; cleaning copies the live part of the emptiest segment.
 */
import { copyBytes } from '../base/bytes.ts'
import type { Account } from '../memory/budget.ts'
import { Slabs } from '../memory/pools/slabs.ts'
import type { SlabBytes } from '../memory/pools/slabs.ts'

const HEADER_BYTES = 8
export const UNIT_BYTES = 8
/** A segment with more live bytes than this share is not worth cleaning. */
const MAX_LIVE_SHARE = 0.95
const COMFORTABLE_SHARE = 0.9

/** The owner of the records. */
export interface RecordOwner {
  /** Whether the entry's record is the one at this place. */
  isAt(entry: number, place: number): boolean
  moved(entry: number, place: number): void
}

interface Segment {
  readonly bytes: SlabBytes
  readonly words: Uint32Array
  used: number
  live: number
}

export class RecordLog {
  readonly segmentBytes: number
  readonly #owner: RecordOwner
  readonly #slabs: Slabs
  readonly #segments: (Segment | undefined)[] = []
  readonly #unitsPerSegment: number
  #maxSegments: number
  #current = -1
  #live = 0

  constructor(account: Account, segmentBytes: number, maxSegments: number, owner: RecordOwner) {
    this.segmentBytes = segmentBytes
    this.#slabs = new Slabs(account, segmentBytes)
    this.#maxSegments = maxSegments
    this.#unitsPerSegment = segmentBytes / UNIT_BYTES
    this.#owner = owner
  }

  /** Bytes of a record with this much payload. */
  static recordBytes(payloadBytes: number): number { return (HEADER_BYTES + payloadBytes + UNIT_BYTES - 1) & -UNIT_BYTES }

  get liveBytes(): number { return this.#live }
  get reservedBytes(): number { return this.#slabs.leasedBytes }
  /** Live bytes that leave space for cleaning. */
  get comfortableBytes(): number { return this.comfortableIn(this.#maxSegments) }
  comfortableIn(segments: number): number { return Math.floor((segments - 1) * this.segmentBytes * COMFORTABLE_SHARE) }

  segmentOf(place: number): SlabBytes { return this.#segments[Math.floor(place / this.#unitsPerSegment)]!.bytes }
  /** Start of the key in the segment. */
  startOf(place: number): number { return (place % this.#unitsPerSegment) * UNIT_BYTES + HEADER_BYTES }

  /** Take the first segment, so that there is always one. False: no memory. */
  reserve(): boolean { return this.#begin(this.#maxSegments) !== undefined }

  /** Append a record; returns its place, in units of 8 bytes, or -1: evict or clean first. */
  append(
    entry: number, key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): number {
    return this.#append(entry, key, keyStart, keyEnd, value, valueStart, valueEnd, this.#maxSegments - 1)
  }

  /** The record at this place is dead. */
  free(place: number, payloadBytes: number): void {
    const number = Math.floor(place / this.#unitsPerSegment)
    const segment = this.#segments[number]!
    const bytes = RecordLog.recordBytes(payloadBytes)
    segment.live -= bytes
    this.#live -= bytes
    if (segment.live === 0 && number !== this.#current) this.#drop(number)
  }

  /** Empty the segment with the fewest live bytes. False: none is worth it. */
  clean(): boolean {
    let least = -1
    for (let i = 0; i < this.#segments.length; i++) {
      const segment = this.#segments[i]
      if (segment === undefined || i === this.#current) continue
      if (least < 0 || segment.live < this.#segments[least]!.live) least = i
    }
    if (least < 0) return false
    const segment = this.#segments[least]!
    if (segment.live > MAX_LIVE_SHARE * this.segmentBytes) return false
    const first = least * this.#unitsPerSegment
    for (let at = 0; at < segment.used;) {
      const entry = segment.words[at >>> 2]!
      const payload = segment.words[(at >>> 2) + 1]!
      const bytes = RecordLog.recordBytes(payload)
      if (this.#owner.isAt(entry, first + at / UNIT_BYTES)) {
        const start = at + HEADER_BYTES
        const place = this.#append(entry, segment.bytes, start, start + payload, segment.bytes, 0, 0, this.#maxSegments)
        // Another account has taken the memory of the spare segment: the rest stays.
        if (place < 0) return false
        segment.live -= bytes
        this.#live -= bytes
        this.#owner.moved(entry, place)
      }
      at += bytes
    }
    this.#drop(least)
    return true
  }

  /** Change the number of segments; the caller evicts until the live bytes fit. */
  setMaxSegments(count: number): void {
    this.#maxSegments = count
  }

  close(): void {
    for (let i = 0; i < this.#segments.length; i++) if (this.#segments[i] !== undefined) this.#drop(i)
    this.#current = -1
    this.#live = 0
    this.#slabs.clear()
  }

  #append(
    entry: number, key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number, maxSegments: number,
  ): number {
    const keyLength = keyEnd - keyStart
    const payload = keyLength + valueEnd - valueStart
    const bytes = RecordLog.recordBytes(payload)
    let segment = this.#segments[this.#current]
    if (segment?.live === 0) segment.used = 0
    if (segment === undefined || segment.used + bytes > this.segmentBytes) {
      segment = this.#begin(maxSegments)
      if (segment === undefined) return -1
    }
    const at = segment.used
    segment.words[at >>> 2] = entry
    segment.words[(at >>> 2) + 1] = payload
    copyBytes(key, keyStart, keyEnd, segment.bytes, at + HEADER_BYTES)
    copyBytes(value, valueStart, valueEnd, segment.bytes, at + HEADER_BYTES + keyLength)
    segment.used = at + bytes
    segment.live += bytes
    this.#live += bytes
    return this.#current * this.#unitsPerSegment + at / UNIT_BYTES
  }

  #begin(maxSegments: number): Segment | undefined {
    if (this.#slabs.count >= maxSegments) return undefined
    const bytes = this.#slabs.take(true)
    if (bytes === undefined) return undefined
    const old = this.#current
    let number = 0
    while (this.#segments[number] !== undefined) number++
    const segment = { bytes, words: new Uint32Array(bytes.buffer, 0, bytes.length >>> 2), used: 0, live: 0 }
    this.#segments[number] = segment
    this.#current = number
    if (this.#segments[old]?.live === 0) this.#drop(old)
    return segment
  }

  #drop(number: number): void {
    this.#slabs.giveBack(this.#segments[number]!.bytes)
    this.#segments[number] = undefined
  }
}
