/** Encodes entries, in Cursor order, into a data block. Layout: FORMAT.md, Data block. Cost: one copy in, one copy out. */
import { KIND_PUT } from '../../base/cursor.ts'
import { copyBytes } from '../../base/bytes.ts'
import { BLOCK_DATA } from '../format.ts'
import { writeU16, writeU32, writeU64 } from '../little-endian.ts'
import { KeyColumn } from './key-column.ts'

export const DATA_HEADER_BYTES = 24
export const SLOT_EMPTY = 255
export const SLOT_SEVERAL = 254
/** Limit of one-byte hash slots. */
export const MAX_HASHED_ENTRIES = 254
export const MAX_HASH_SLOTS = 512
export const FLAG_WIDE = 1
export const FLAG_KINDS = 16
/** By width code. */
export const SEQ_WIDTHS: readonly number[] = [0, 1, 2, 4, 7]

/** Two offsets, two bytes each for sequence and hash. */
export const ENTRY_OVERHEAD_BYTES = 8

export interface BlockWriter {
  readonly bufferBytes: number
  readonly count: number
  readonly pendingBytes: number
  isOversize(keyLength: number, valueLength: number): boolean
  hasRoom(keyLength: number, valueLength: number, shared: number): boolean
  add(
    key: Uint8Array, keyStart: number, keyEnd: number, shared: number, isFirst: boolean, hash: number,
    seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): void
  encode(target: Uint8Array, at: number): number
  reset(): void
}

export class DataBlockWriter implements BlockWriter {
  readonly #blockBytes: number
  readonly #keys: KeyColumn
  readonly #values: Uint8Array
  readonly #valueEnds: Uint32Array
  readonly #seqs: Float64Array
  readonly #kinds: Uint8Array
  readonly #hashes: Uint32Array
  /** 1: first of its key here. */
  readonly #firsts: Uint8Array
  #valueBytes = 0
  #distinct = 0
  #minSeq = 0
  #maxSeq = 0
  #allPuts = true

  constructor(blockBytes: number) {
    const entries = DataBlockWriter.#maxEntries(blockBytes)
    this.#blockBytes = blockBytes
    this.#keys = new KeyColumn(entries, 2 * blockBytes)
    this.#values = new Uint8Array(blockBytes)
    this.#valueEnds = new Uint32Array(entries)
    this.#seqs = new Float64Array(entries)
    this.#kinds = new Uint8Array(entries)
    this.#hashes = new Uint32Array(entries)
    this.#firsts = new Uint8Array(entries)
  }

  static bytesFor(blockBytes: number): number {
    return blockBytes + DataBlockWriter.#maxEntries(blockBytes) * (4 + 8 + 1 + 4 + 1) +
      KeyColumn.bytesFor(DataBlockWriter.#maxEntries(blockBytes), 2 * blockBytes, 0)
  }

  static #maxEntries(blockBytes: number): number {
    return Math.ceil(blockBytes / ENTRY_OVERHEAD_BYTES)
  }

  get bufferBytes(): number {
    return this.#keys.bufferBytes + this.#values.length + this.#kinds.length + this.#firsts.length +
      this.#valueEnds.byteLength + this.#seqs.byteLength + this.#hashes.byteLength
  }

  get count(): number { return this.#keys.count }
  get pendingBytes(): number {
    return this.#keys.count === 0 ? 0
      : DATA_HEADER_BYTES + this.#keys.prefixLength + this.#keys.suffixBytes + this.#valueBytes + this.#keys.count * ENTRY_OVERHEAD_BYTES
  }

  /** The entry exceeds a block: use `encodeSingle`. */
  isOversize(keyLength: number, valueLength: number): boolean {
    return DATA_HEADER_BYTES + ENTRY_OVERHEAD_BYTES + keyLength + valueLength > this.#blockBytes
  }

  /** `shared`: bytes in common with the previous key. */
  hasRoom(keyLength: number, valueLength: number, shared: number): boolean {
    const keys = this.#keys
    const prefixLength = Math.min(keys.prefixLength, shared)
    return DATA_HEADER_BYTES + prefixLength + keys.suffixBytesWith(keyLength, prefixLength) +
      this.#valueBytes + valueLength + (keys.count + 1) * ENTRY_OVERHEAD_BYTES <= this.#blockBytes
  }

  /** Call when the block is empty, or after `hasRoom`. */
  add(
    key: Uint8Array, keyStart: number, keyEnd: number, shared: number, isFirst: boolean, hash: number,
    seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): void {
    const keys = this.#keys
    const i = keys.count
    keys.add(key, keyStart, keyEnd, i === 0 ? keyEnd - keyStart : Math.min(keys.prefixLength, shared))
    copyBytes(value, valueStart, valueEnd, this.#values, this.#valueBytes)
    this.#valueBytes += valueEnd - valueStart
    this.#valueEnds[i] = this.#valueBytes
    this.#seqs[i] = seq
    this.#kinds[i] = kind
    this.#hashes[i] = hash
    const first = isFirst || i === 0
    this.#firsts[i] = first ? 1 : 0
    if (first) this.#distinct++
    if (i === 0 || seq < this.#minSeq) this.#minSeq = seq
    if (i === 0 || seq > this.#maxSeq) this.#maxSeq = seq
    if (kind !== KIND_PUT) this.#allPuts = false
  }

  reset(): void {
    this.#keys.reset()
    this.#valueBytes = 0
    this.#distinct = 0
    this.#allPuts = true
  }

  /** Returns the end. */
  encode(target: Uint8Array, at: number): number {
    const keys = this.#keys
    const count = keys.count
    const suffixBytes = keys.suffixBytes
    const wide = suffixBytes > 0xffff || this.#valueBytes > 0xffff
    const width = wide ? 4 : 2
    const seqCode = seqWidthCode(this.#maxSeq - this.#minSeq)
    const seqWidth = SEQ_WIDTHS[seqCode]!
    const slots = hashSlots(count, this.#distinct)

    const keyEndsAt = at + DATA_HEADER_BYTES + keys.prefixLength
    const valueEndsAt = keyEndsAt + count * width
    const seqsAt = valueEndsAt + count * width
    const kindsAt = seqsAt + count * seqWidth
    const slotsAt = kindsAt + (this.#allPuts ? 0 : count)
    const suffixesAt = slotsAt + slots
    const valuesAt = suffixesAt + suffixBytes

    keys.copyPrefix(target, at + DATA_HEADER_BYTES)
    let longest = 0
    let end = suffixesAt
    for (let i = 0; i < count; i++) {
      const start = end
      end = keys.copySuffix(i, target, start)
      if (end - start > longest) longest = end - start
      if (wide) {
        writeU32(target, keyEndsAt + i * 4, end - suffixesAt)
        writeU32(target, valueEndsAt + i * 4, this.#valueEnds[i]!)
      } else {
        writeU16(target, keyEndsAt + i * 2, end - suffixesAt)
        writeU16(target, valueEndsAt + i * 2, this.#valueEnds[i]!)
      }
    }
    if (seqWidth > 0) {
      for (let i = 0; i < count; i++) writeDelta(target, seqsAt + i * seqWidth, this.#seqs[i]! - this.#minSeq, seqWidth)
    }
    if (!this.#allPuts) copyBytes(this.#kinds, 0, count, target, kindsAt)
    if (slots > 0) this.#writeSlots(target, slotsAt, slots)
    copyBytes(this.#values, 0, this.#valueBytes, target, valuesAt)
    writeHeader(target, at, (wide ? FLAG_WIDE : 0) | (seqCode << 1) | (this.#allPuts ? 0 : FLAG_KINDS),
      slots, count, keys.prefixLength, longest, this.#minSeq)
    return valuesAt + this.#valueBytes
  }

  #writeSlots(target: Uint8Array, slotsAt: number, slots: number): void {
    target.fill(SLOT_EMPTY, slotsAt, slotsAt + slots)
    const count = this.#keys.count
    for (let i = 0; i < count; i++) {
      if (this.#firsts[i] === 0) continue
      const slot = slotsAt + (this.#hashes[i]! & (slots - 1))
      target[slot] = target[slot] === SLOT_EMPTY ? i : SLOT_SEVERAL
    }
  }
}

/** A block of one entry, without a copy. Returns the end. */
export function encodeSingle(
  target: Uint8Array, at: number, key: Uint8Array, keyStart: number, keyEnd: number,
  seq: number, kind: number, value: Uint8Array, valueStart: number, valueEnd: number,
): number {
  const prefixLength = keyEnd - keyStart
  const valueLength = valueEnd - valueStart
  const wide = valueLength > 0xffff
  writeHeader(target, at, (wide ? FLAG_WIDE : 0) | (kind === KIND_PUT ? 0 : FLAG_KINDS), 0, 1, prefixLength, 0, seq)
  at += DATA_HEADER_BYTES
  copyBytes(key, keyStart, keyEnd, target, at)
  at += prefixLength
  if (wide) {
    writeU32(target, at, 0)
    writeU32(target, at + 4, valueLength)
    at += 8
  } else {
    writeU16(target, at, 0)
    writeU16(target, at + 2, valueLength)
    at += 4
  }
  if (kind !== KIND_PUT) target[at++] = kind
  copyBytes(value, valueStart, valueEnd, target, at)
  return at + valueLength
}

function writeHeader(
  target: Uint8Array, at: number, flags: number, slots: number, count: number,
  prefixLength: number, longestSuffix: number, minSeq: number,
): void {
  target[at] = BLOCK_DATA
  target[at + 1] = flags
  writeU16(target, at + 2, slots)
  writeU32(target, at + 4, count)
  writeU32(target, at + 8, prefixLength)
  writeU32(target, at + 12, longestSuffix)
  writeU64(target, at + 16, minSeq)
}

function seqWidthCode(range: number): number {
  if (range === 0) return 0
  if (range <= 0xff) return 1
  if (range <= 0xffff) return 2
  return range <= 0xffff_ffff ? 3 : 4
}

function writeDelta(target: Uint8Array, at: number, delta: number, width: number): void {
  if (width === 1) target[at] = delta
  else if (width === 2) writeU16(target, at, delta)
  else {
    writeU32(target, at, delta)
    if (width === 4) return
    const high = Math.floor(delta / 0x1_0000_0000)
    writeU16(target, at + 4, high)
    target[at + 6] = high >>> 16
  }
}

/** 1.5 slots a key: 64 bytes for a usual 4 KiB block. */
function hashSlots(count: number, distinct: number): number {
  if (count > MAX_HASHED_ENTRIES || distinct < 4) return 0
  let slots = 8
  while (slots < distinct * 1.5) slots *= 2
  return slots
}
