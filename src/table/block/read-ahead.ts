/**
 * Read-ahead for sequential scans: one read of a table file for some 25 blocks.
 *
 * All scans of an engine share a few slots of one buffer, replaced in LRU order. With too many scans stretches are replaced unused,
 * and reading ahead pauses. Two-byte tags of recent stretches tell a second pass from a first.
 *
 * Invariants
 * 1. Buffer and tags are leased before they are allocated; without memory blocks are read one by one.
 * 2. A failed read is no error here: reading the block alone reports it.
 *
 * Account: `read ahead`. Cost: a comparison per slot and load; no allocation.
 */
import type { Account, Lease } from '../../memory/budget.ts'
import type { OpenTable } from '../open-table.ts'

const SLOTS = 8
const TAGS = 4096
const TAG_BYTES = 2
/** Minimum used share of a useful stretch. */
const MIN_USED = 0.25
/** Loads without read-ahead after a useless stretch or a denied lease. */
const PAUSE_LOADS = 64
const DENIED_LOADS = 4096

export class ReadAhead {
  /** Last loaded block, valid until the next `load`. */
  bytes: Uint8Array<ArrayBuffer> = NOTHING
  at = 0
  /** Its stretch had been read recently. */
  isAgain = false
  reads = 0

  readonly #account: Account
  readonly #stretchBytes: () => number
  readonly #stopReclaiming: () => void
  #lease: Lease | undefined
  #slotBytes = 0
  #tags: Uint16Array<ArrayBuffer> = NO_TAGS
  /** Per slot: table id, file range, bytes used, last use, read again. */
  readonly #tables = new Int32Array(SLOTS)
  readonly #from = new Float64Array(SLOTS)
  readonly #to = new Float64Array(SLOTS)
  readonly #used = new Float64Array(SLOTS)
  readonly #usedAt = new Float64Array(SLOTS)
  readonly #again = new Uint8Array(SLOTS)
  #clock = 0
  #pause = 0

  /** `stretchBytes`: a change makes new buffers. */
  constructor(account: Account, stretchBytes: () => number) {
    this.#account = account
    this.#stretchBytes = stretchBytes
    this.#stopReclaiming = account.budget.addReclaimer('readAhead', () => this.#letGo())
    account.measure = () => this.bytes.buffer.byteLength + this.#tags.byteLength
  }

  /** False: read the block alone. */
  load(table: OpenTable, offset: number, storedBytes: number, aheadBytes: number): boolean {
    const end = offset + storedBytes
    const { id } = table
    const slotBytes = this.#stretchBytes()
    const stretch = Math.floor(offset / slotBytes)
    /** Stretches overlap: the previous one is no other pass. */
    let isNext = false
    this.#clock++
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.#tables[slot] !== id) continue
      if (offset >= this.#from[slot]! && end <= this.#to[slot]!) return this.#use(slot, offset, storedBytes)
      if (Math.floor(this.#from[slot]! / slotBytes) === stretch) isNext = true
    }
    if (this.#pause > 0) {
      this.#pause--
      return false
    }
    const length = Math.min(aheadBytes, slotBytes, table.blockEnd - offset)
    // A handle beyond the file is reported by the block's reader.
    if (length < 2 * storedBytes || end > table.blockEnd || !this.#hasRoom(slotBytes)) return false
    const slot = this.#oldest()
    if (this.#used[slot]! < MIN_USED * (this.#to[slot]! - this.#from[slot]!)) this.#pause = PAUSE_LOADS
    this.#tables[slot] = 0
    this.#from[slot] = this.#to[slot] = 0
    let read = 0
    try {
      read = table.file.readSync(this.bytes, slot * this.#slotBytes, length, offset)
    } catch {
      // Reading the block alone reports an error.
    }
    this.reads++
    if (read < storedBytes) return false
    this.#tables[slot] = id
    this.#from[slot] = offset
    this.#to[slot] = offset + read
    this.#used[slot] = 0
    this.#again[slot] = this.#remember(id, stretch) && !isNext ? 1 : 0
    return this.#use(slot, offset, storedBytes)
  }

  /** The last result does not match the file. */
  forget(): void {
    const slot = Math.floor(this.at / this.#slotBytes)
    this.#tables[slot] = 0
    this.#from[slot] = this.#to[slot] = 0
  }

  close(): void {
    this.#stopReclaiming()
    this.#letGo()
    this.#account.measure = undefined
  }

  #use(slot: number, offset: number, storedBytes: number): boolean {
    this.#used[slot]! += storedBytes
    this.#usedAt[slot] = this.#clock
    this.isAgain = this.#again[slot] === 1
    this.at = slot * this.#slotBytes + offset - this.#from[slot]!
    return true
  }

  #oldest(): number {
    let oldest = 0
    for (let slot = 1; slot < SLOTS; slot++) if (this.#usedAt[slot]! < this.#usedAt[oldest]!) oldest = slot
    return oldest
  }

  /** Remembers a stretch; true if it was read recently. */
  #remember(table: number, stretch: number): boolean {
    const hash = Math.imul(Math.imul(table, 0x9e3779b1) ^ stretch, 0x85ebca6b)
    const i = hash & (TAGS - 1)
    const tag = (hash >>> 16) | 1
    if (this.#tags[i] === tag) return true
    this.#tags[i] = tag
    return false
  }

  #hasRoom(slotBytes: number): boolean {
    if (this.#lease !== undefined) {
      if (this.#slotBytes === slotBytes) return true
      this.#letGo()
    }
    const wanted = SLOTS * slotBytes + TAGS * TAG_BYTES
    // Leaves memory to more important uses.
    this.#lease = this.#account.tryLeaseLeaving(wanted, wanted)
    if (this.#lease === undefined) {
      this.#pause = DENIED_LOADS
      return false
    }
    try {
      const bytes = SLOTS * slotBytes
      // Resizable, because only resize(0) frees memory at once.
      this.bytes = new Uint8Array(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes)
      this.#tags = new Uint16Array(TAGS)
      this.#slotBytes = slotBytes
      return true
    } catch {
      // The system has less memory than the budget promises.
      this.#letGo()
      this.#pause = DENIED_LOADS
      return false
    }
  }

  #letGo(): number {
    if (this.#lease === undefined) return 0
    const { bytes } = this.#lease
    if (this.bytes !== NOTHING) this.bytes.buffer.resize(0)
    this.bytes = NOTHING
    this.#tags = NO_TAGS
    this.#tables.fill(0)
    this.#from.fill(0)
    this.#to.fill(0)
    this.#lease.release()
    this.#lease = undefined
    return bytes
  }
}

const NOTHING = new Uint8Array(new ArrayBuffer(0, { maxByteLength: 0 }))
const NO_TAGS = new Uint16Array(0)
