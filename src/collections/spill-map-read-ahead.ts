/**
 * Read-ahead of a collection's iterators: a few shared slots. Iterators are often dropped unclosed, so they own none; the least
 * recently used slot is taken, and an iterator that lost its slot reads again from its place.
 *
 * Invariant: a slot's buffer is leased. Between calls the lease can be reclaimed, and so can its scan, which is reused only while
 * nothing was written.
 * Account: `iterators`. Cost: one copy of key and value; after a change a new scan per chunk of up to 256 entries.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import type { Lease } from '../memory/budget.ts'
import type { Scan } from '../store/scan/entry-scan.ts'
import type { Entries } from './spill-map-entries.ts'

const MAX_SLOTS = 4
export const MAX_ENTRIES = 256
const FIELDS = 4
/** A longer key overflows into the second half. */
const CHUNK_BYTES = 64 * 1024
const BUFFER_BYTES = 2 * CHUNK_BYTES
/** Larger values are looked up when due. */
const MAX_COPIED_BYTES = 16 * 1024
/** The value is not in the slot. */
export const ELSEWHERE = -1

export interface Bounds {
  /** First place; undefined = no bound. */
  start: Uint8Array | undefined
  /** Exclusive; undefined = no bound. */
  end: Uint8Array | undefined
  reverse: boolean
}

export class Slot {
  owner: object | undefined
  bytes: Uint8Array
  /** Per entry: start and end of the place, end of the value, kind. */
  readonly fields: Int32Array
  lease: Lease | undefined
  count = 0
  at = 0
  /** The range ends after this chunk. */
  isLast = false
  /** The map's counters at the read. */
  added = 0
  changed = 0
  usedAt = 0
  scan: Scan | undefined
  scanSeq = 0
  readonly onCalledBack = (): void => this.closeScan()
  readonly scanHolders: Set<() => void>
  isBusy = false

  constructor(lease: Lease, scanHolders: Set<() => void>) {
    this.scanHolders = scanHolders
    this.lease = lease
    this.bytes = new Uint8Array(BUFFER_BYTES)
    this.fields = new Int32Array(MAX_ENTRIES * FIELDS)
  }

  placeStart(i: number): number { return this.fields[i * FIELDS]! }
  placeEnd(i: number): number { return this.fields[i * FIELDS + 1]! }
  valueEnd(i: number): number { return this.fields[i * FIELDS + 2]! }
  kind(i: number): number { return this.fields[i * FIELDS + 3]! }

  closeScan(): void {
    this.scanHolders.delete(this.onCalledBack)
    this.scan?.close()
    this.scan = undefined
  }

  add(scan: Scan): boolean {
    const { fields, bytes, count } = this
    const valueBytes = scan.valueEnd - scan.valueStart
    const isCopied = valueBytes <= MAX_COPIED_BYTES
    const start = count === 0 ? 0 : fields[(count - 1) * FIELDS + 2]!
    const valueStart = start + scan.keyLength
    const end = isCopied ? valueStart + valueBytes : valueStart
    if (count >= MAX_ENTRIES || (count > 0 && end > CHUNK_BYTES)) return false
    copyBytes(scan.key, 0, scan.keyLength, bytes, start)
    if (isCopied) copyBytes(scan.value, scan.valueStart, scan.valueEnd, bytes, valueStart)
    fields[count * FIELDS] = start
    fields[count * FIELDS + 1] = valueStart
    fields[count * FIELDS + 2] = end
    fields[count * FIELDS + 3] = isCopied ? scan.kind : ELSEWHERE
    this.count++
    return true
  }
}

export class ReadAhead {
  readonly #entries: Entries
  readonly #slots: Slot[] = []
  readonly #removeReclaimer: () => void
  #clock = 0

  constructor(entries: Entries) {
    this.#entries = entries
    this.#removeReclaimer = entries.tree.addReclaimer(bytes => this.#release(bytes))
  }

  slotOf(owner: object): Slot | undefined {
    for (const slot of this.#slots) if (slot.owner === owner) return slot
    return undefined
  }

  /** Read up to `max` entries after `place`. Undefined without memory. */
  read(owner: object, place: Uint8Array | undefined, bounds: Bounds, max: number): Slot | undefined {
    const slot = this.slotOf(owner) ?? this.#take()
    if (slot === undefined) return undefined
    const entries = this.#entries
    if (slot.owner !== owner) slot.closeScan()
    slot.owner = owner
    slot.usedAt = ++this.#clock
    slot.count = 0
    slot.at = 0
    slot.isLast = true
    slot.added = entries.added
    slot.changed = entries.changed
    slot.isBusy = true
    const { tree } = entries
    // Its own lease must not reclaim its scan.
    tree.scanHolders.delete(slot.onCalledBack)
    try {
      let { scan } = slot
      if (scan === undefined || !tree.isCurrent(scan, slot.scanSeq)) {
        slot.closeScan()
        scan = slot.scan = tree.scan(bounds.reverse)
        slot.scanSeq = tree.lastSeq
        seek(scan, place, bounds)
      }
      for (; isInside(scan, bounds); scan.advance()) {
        if (!entries.isEntry(scan.keyLength)) continue
        if (slot.count < max && slot.add(scan)) continue
        slot.isLast = false
        break
      }
      if (slot.isLast || !tree.isCurrent(scan, slot.scanSeq)) slot.closeScan()
      else tree.scanHolders.add(slot.onCalledBack)
    } catch (error) {
      slot.owner = undefined
      slot.closeScan()
      throw error
    } finally {
      slot.isBusy = false
    }
    return slot
  }

  releaseSlot(owner: object): void {
    const slot = this.slotOf(owner)
    if (slot === undefined) return
    slot.owner = undefined
    slot.closeScan()
  }

  close(): void {
    this.#removeReclaimer()
    this.#release(Infinity)
  }

  #take(): Slot | undefined {
    let oldest: Slot | undefined
    for (const slot of this.#slots) {
      if (slot.isBusy) continue
      if (slot.owner === undefined) return slot
      if (oldest === undefined || slot.usedAt < oldest.usedAt) oldest = slot
    }
    if (this.#slots.length < MAX_SLOTS) {
      const lease = this.#entries.tree.leaseReading(BUFFER_BYTES + 4 * MAX_ENTRIES * FIELDS)
      if (lease !== undefined) {
        const slot = new Slot(lease, this.#entries.tree.scanHolders)
        this.#slots.push(slot)
        return slot
      }
    }
    // Leasing may have reclaimed it.
    return oldest?.lease === undefined ? undefined : oldest
  }

  #release(bytes: number): number {
    let released = 0
    for (let i = this.#slots.length - 1; i >= 0 && released < bytes; i--) {
      const slot = this.#slots[i]!
      if (slot.isBusy) continue
      this.#slots.splice(i, 1)
      slot.closeScan()
      released += slot.lease!.bytes
      slot.lease!.release()
      slot.lease = undefined
      slot.owner = undefined
    }
    return released
  }
}

export function seek(scan: Scan, place: Uint8Array | undefined, { start, end, reverse }: Bounds): void {
  if (reverse) scan.seek(place ?? end)
  else scan.seek(place === undefined ? start : successor(place))
}

export function isInside(scan: Scan, { start, end, reverse }: Bounds): boolean {
  if (!scan.valid) return false
  const bound = reverse ? start : end
  if (bound === undefined) return true
  const order = compareBytes(scan.key, 0, scan.keyLength, bound, 0, bound.length)
  return reverse ? order >= 0 : order < 0
}

function successor(place: Uint8Array): Uint8Array {
  const next = new Uint8Array(place.length + 1)
  next.set(place)
  return next
}
