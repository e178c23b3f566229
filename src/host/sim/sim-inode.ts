/**
 * The bytes of a simulated file, twice: as the program sees them, and as a power loss would leave them.
 *
 * Invariants
 * 1. A byte outside the dirty sectors is equal in both, unless a sync failed; beyond both lengths all is zero.
 * 2. A sync makes durable what was written before it began.
 * 3. A sector whose first write-back failed never becomes durable by writing and syncing it again, as on ext4, where its block may
 *    be allocated but counts as unwritten. Only a new file or truncation helps.
 *
 * A sector is 512 bytes: a power loss keeps all of it, a prefix, or nothing.
 */
import type { Random } from './random.ts'

export const SECTOR_BYTES = 512

/** Data a running sync will make durable. */
export interface SyncCapture {
  version: number
  length: number
  sectors: number[]
  bytes: Uint8Array
}

export class SimInode {
  /** Directory entries that name it. */
  links = 0
  #bytes = new Uint8Array(0)
  #length = 0
  #durable = new Uint8Array(0)
  #durableLength = 0
  /** Sectors written since the last sync, with the version of their last write. */
  #dirty = new Map<number, number>()
  /** Sectors that were never durable when their write-back failed. */
  readonly #lost = new Set<number>()
  #version = 0
  #durableVersion = 0

  get length(): number { return this.#length }
  get durableLength(): number { return this.#durableLength }

  read(target: Uint8Array, offset: number, length: number, position: number): number {
    const count = Math.max(0, Math.min(length, this.#length - position))
    if (count > 0) target.set(this.#bytes.subarray(position, position + count), offset)
    return count
  }

  content(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  write(source: Uint8Array, position: number): void {
    if (source.length === 0) return
    const end = position + source.length
    this.#bytes = withRoom(this.#bytes, end)
    this.#bytes.set(source, position)
    // The gap after the old end is zeros written now.
    this.#touch(Math.min(position, this.#length), end)
    if (end > this.#length) this.#length = end
  }

  truncate(length: number): void {
    const old = this.#length
    this.#bytes = withRoom(this.#bytes, length)
    if (length < old) this.#bytes.fill(0, length, old)
    this.#touch(Math.min(old, length), Math.max(old, length))
    this.#length = length
    for (const sector of this.#lost) if (sector * SECTOR_BYTES >= length) this.#lost.delete(sector)
  }

  /** A sync begins. */
  capture(): SyncCapture {
    const sectors = [...this.#dirty.keys()]
    const bytes = new Uint8Array(sectors.length * SECTOR_BYTES)
    for (let i = 0; i < sectors.length; i++) {
      const start = sectors[i]! * SECTOR_BYTES
      bytes.set(this.#bytes.subarray(start, start + SECTOR_BYTES), i * SECTOR_BYTES)
    }
    return { version: this.#version, length: this.#length, sectors, bytes }
  }

  /** The sync succeeds. */
  applySync({ version, length, sectors, bytes }: SyncCapture): void {
    // A later sync has ended before.
    if (version < this.#durableVersion) return
    this.#durableVersion = version
    for (let i = 0; i < sectors.length; i++) {
      const sector = sectors[i]!
      const start = sector * SECTOR_BYTES
      this.#durable = withRoom(this.#durable, start + SECTOR_BYTES)
      if (!this.#lost.has(sector)) this.#durable.set(bytes.subarray(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES), start)
      if (this.#dirty.get(sector)! <= version) this.#dirty.delete(sector)
    }
    this.#durableLength = length
  }

  /**
   * The sync fails. As on Linux dirty pages then count as clean: they can be read, a later sync succeeds, and a power loss takes
   * them.
   */
  loseSync({ version, sectors }: SyncCapture): void {
    for (const sector of sectors) {
      if (this.#dirty.get(sector)! > version) continue
      this.#dirty.delete(sector)
      if (sector * SECTOR_BYTES >= this.#durableLength) this.#lost.add(sector)
    }
  }

  /** Evict clean pages: lost sectors read as they are on disk. */
  evict(): void {
    for (const sector of this.#lost) {
      if (this.#dirty.has(sector)) continue
      const start = sector * SECTOR_BYTES
      this.#bytes.fill(0, start, start + SECTOR_BYTES)
    }
  }

  /** Power loss: unsynced sectors are kept, dropped or torn. */
  crash(random: Random): void {
    const low = Math.min(this.#durableLength, this.#length)
    const high = Math.max(this.#durableLength, this.#length)
    const fate = random.below(4)
    const length = fate === 0 ? this.#durableLength : fate === 1 ? this.#length : random.between(low, high)
    const after = new Uint8Array(roundUp(high))
    after.set(this.#durable.subarray(0, this.#durableLength))
    for (const sector of this.#dirty.keys()) {
      if (this.#lost.has(sector)) continue
      const start = sector * SECTOR_BYTES
      const sectorFate = random.below(5)
      const kept = sectorFate < 2 ? SECTOR_BYTES : sectorFate < 4 ? 0 : random.below(SECTOR_BYTES)
      const bytes = this.#bytes.subarray(start, start + kept)
      if (start < after.length) after.set(bytes.subarray(0, after.length - start), start)
    }
    after.fill(0, length)
    this.#become(after, length)
  }

  /** Only the process dies. */
  keepAll(): void {
    this.#become(this.#bytes, this.#length)
  }

  /** Corrupt stored bytes. */
  flip(offset: number, mask: number): void {
    if (offset >= this.#length) throw new RangeError(`offset ${offset} is beyond the file's ${this.#length} bytes`)
    this.#bytes[offset]! ^= mask
    if (offset < this.#durableLength && offset < this.#durable.length) this.#durable[offset]! ^= mask
  }

  #become(bytes: Uint8Array, length: number): void {
    this.#bytes = bytes.slice(0, roundUp(length))
    this.#durable = this.#bytes.slice()
    this.#length = length
    this.#durableLength = length
    this.#dirty.clear()
    this.#lost.clear()
    this.#durableVersion = this.#version
  }

  #touch(start: number, end: number): void {
    this.#version++
    const first = Math.floor(start / SECTOR_BYTES)
    for (let sector = first; sector * SECTOR_BYTES < end; sector++) this.#dirty.set(sector, this.#version)
  }
}

function roundUp(length: number): number {
  return Math.ceil(length / SECTOR_BYTES) * SECTOR_BYTES
}

/** Whole sectors, at least doubled in size; new bytes are zero. */
function withRoom(bytes: Uint8Array<ArrayBuffer>, length: number): Uint8Array<ArrayBuffer> {
  if (length <= bytes.length) return bytes
  const grown = new Uint8Array(roundUp(Math.max(length, bytes.length * 2)))
  grown.set(bytes)
  return grown
}
