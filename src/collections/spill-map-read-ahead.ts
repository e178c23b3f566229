/**
 * What the iterators of one collection have read ahead: a few slots, whoever they belong to. Iterators of a Map are often left
 * behind without a word, so they own nothing: a slot is taken from whoever used it longest ago.
 *
 * Invariants
 * 1. A slot's buffer is leased while it is there; between two calls it is given back whenever somebody needs the memory, and so
 *    is its scan, which is used again only while nothing has been written.
 * 2. Whoever lost its slot reads again from its place.
 *
 * Account: `iterators`. Cost: one copy of key and value; after a change a new scan for each chunk of up to 256 entries.
 */
import { compareBytes, copyBytes } from '../base/bytes.ts'
import type { Lease } from '../memory/budget.ts'
import type { Scan } from '../store/scan/entry-scan.ts'
import type { Entries } from './spill-map-entries.ts'

const MAX_SLOTS = 4
export const MAX_ENTRIES = 256
const FIELDS = 4
/** Of a chunk; a key that is longer than what is left of it finds room behind. */
const CHUNK_BYTES = 64 * 1024
const BUFFER_BYTES = 2 * CHUNK_BYTES
/** A larger value is looked up when it is its turn. */
const MAX_COPIED_BYTES = 16 * 1024
/** Kind of an entry whose value is not here. */
export const ELSEWHERE = -1

export interface Bounds {
  /** First place inside; undefined: from the first. */
  start: Uint8Array | undefined
  /** First place behind; undefined: to the last. */
  end: Uint8Array | undefined
  reverse: boolean
}

export class Slot {
  owner: object | undefined
  bytes: Uint8Array
  /** Of each entry: where its place begins, where that ends and the value begins, where this ends; kind. */
  readonly fields: Int32Array
  lease: Lease | undefined
  count = 0
  at = 0
  /** Nothing comes behind what is here. */
  isLast = false
  /** As of reading. */
  added = 0
  changed = 0
  usedAt = 0
  /** Stands on what comes next. */
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

  /** The slot of this owner, if it has one still. */
  slotOf(owner: object): Slot | undefined {
    for (const slot of this.#slots) if (slot.owner === owner) return slot
    return undefined
  }

  /**
   * Read up to `most` entries behind `place` (undefined: from the beginning of the bounds) for this owner. Undefined: there is no
   * memory to read ahead.
   */
  read(owner: object, place: Uint8Array | undefined, bounds: Bounds, most: number): Slot | undefined {
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
    // Its own need of room must not close the scan that is about to be used.
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
        if (slot.count < most && slot.add(scan)) continue
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

  /** Somebody has come to its end. */
  leave(owner: object): void {
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
    // Making room may have taken it.
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
