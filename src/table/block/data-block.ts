/**
 * Reads a data block. Layout: FORMAT.md, Data block.
 *
 * Invariant: after `dataBlockProblem` has passed the bytes, accesses are unchecked and cannot leave the block.
 *
 * Cost of `find`: one hash slot and one comparison for about 6 keys of 10, binary search for the rest. One object serves many
 * blocks, without allocation.
 */
import { compareBytes } from '../../base/bytes.ts'
import { KIND_PUT, KIND_VALUE_FILE, MAX_SEQ } from '../../base/cursor.ts'
import { MAX_KEY_BYTES } from '../format.ts'
import { readU16, readU32, readU64 } from '../little-endian.ts'
import {
  DATA_HEADER_BYTES, FLAG_KINDS, FLAG_WIDE, MAX_HASHED_ENTRIES, MAX_HASH_SLOTS, SEQ_WIDTHS, SLOT_EMPTY, SLOT_SEVERAL,
} from './data-block-writer.ts'

export class DataBlock {
  bytes: Uint8Array = new Uint8Array(0)
  count = 0
  prefixAt = 0
  prefixLength = 0
  /** Absolute positions in `bytes`. */
  suffixesAt = 0
  valuesAt = 0
  #wide = false
  #keyEndsAt = 0
  #valueEndsAt = 0
  #seqsAt = 0
  #seqWidth = 0
  #minSeq = 0
  #kindsAt = 0
  #hasKinds = false
  #slotsAt = 0
  #slots = 0

  open(bytes: Uint8Array, start: number): void {
    const flags = bytes[start + 1]!
    const count = readU32(bytes, start + 4)
    const prefixLength = readU32(bytes, start + 8)
    const wide = (flags & FLAG_WIDE) !== 0
    const ends = wide ? count * 4 : count * 2
    this.bytes = bytes
    this.count = count
    this.prefixAt = start + DATA_HEADER_BYTES
    this.prefixLength = prefixLength
    this.#wide = wide
    this.#keyEndsAt = this.prefixAt + prefixLength
    this.#valueEndsAt = this.#keyEndsAt + ends
    this.#seqsAt = this.#valueEndsAt + ends
    this.#seqWidth = SEQ_WIDTHS[(flags >>> 1) & 7]!
    this.#minSeq = readU64(bytes, start + 16)
    this.#kindsAt = this.#seqsAt + count * this.#seqWidth
    this.#hasKinds = (flags & FLAG_KINDS) !== 0
    this.#slotsAt = this.#kindsAt + (this.#hasKinds ? count : 0)
    this.#slots = readU16(bytes, start + 2)
    this.suffixesAt = this.#slotsAt + this.#slots
    this.valuesAt = this.suffixesAt + (wide ? readU32(bytes, this.#valueEndsAt - 4) : readU16(bytes, this.#valueEndsAt - 2))
  }

  static readonly PREFIX_AT: number = DATA_HEADER_BYTES

  static longestKey(bytes: Uint8Array, start: number): number {
    return readU32(bytes, start + 8) + readU32(bytes, start + 12)
  }

  suffixStart(i: number): number {
    if (i === 0) return this.suffixesAt
    return this.suffixEnd(i - 1)
  }

  suffixEnd(i: number): number {
    return this.suffixesAt + (this.#wide ? readU32(this.bytes, this.#keyEndsAt + i * 4) : readU16(this.bytes, this.#keyEndsAt + i * 2))
  }

  valueStart(i: number): number {
    if (i === 0) return this.valuesAt
    return this.valueEnd(i - 1)
  }

  valueEnd(i: number): number {
    return this.valuesAt + (this.#wide ? readU32(this.bytes, this.#valueEndsAt + i * 4) : readU16(this.bytes, this.#valueEndsAt + i * 2))
  }

  seq(i: number): number {
    const width = this.#seqWidth
    if (width === 0) return this.#minSeq
    return this.#minSeq + readDelta(this.bytes, this.#seqsAt + i * width, width)
  }

  kind(i: number): number {
    return this.#hasKinds ? this.bytes[this.#kindsAt + i]! : KIND_PUT
  }

  /** First entry of this key (its newest version here), or -1. */
  find(key: Uint8Array, start: number, end: number, hash: number): number {
    let i = SLOT_SEVERAL
    if (this.#slots > 0) {
      i = this.bytes[this.#slotsAt + (hash & (this.#slots - 1))]!
      if (i === SLOT_EMPTY) return -1
    }
    if (i === SLOT_SEVERAL) {
      i = this.lowerBound(key, start, end)
      if (i === this.count) return -1
    }
    return this.hasKey(i, key, start, end) ? i : -1
  }

  hasKey(i: number, key: Uint8Array, start: number, end: number): boolean {
    const bytes = this.bytes
    const from = this.suffixStart(i)
    const length = this.suffixEnd(i) - from
    const split = start + this.prefixLength
    if (end - split !== length) return false
    for (let at = split, stored = from; at < end; at++, stored++) if (key[at] !== bytes[stored]) return false
    for (let at = start, stored = this.prefixAt; at < split; at++, stored++) if (key[at] !== bytes[stored]) return false
    return true
  }

  /** First entry whose key is >= the given one, or `count`. */
  lowerBound(key: Uint8Array, start: number, end: number): number {
    const bytes = this.bytes
    const prefixLength = this.prefixLength
    for (let i = 0; i < prefixLength; i++) {
      if (start + i === end) return 0
      const difference = key[start + i]! - bytes[this.prefixAt + i]!
      if (difference !== 0) return difference < 0 ? 0 : this.count
    }
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareBytes(bytes, this.suffixStart(middle), this.suffixEnd(middle), key, start + prefixLength, end) < 0) {
        low = middle + 1
      }
      else high = middle
    }
    return low
  }
}

function readDelta(bytes: Uint8Array, at: number, width: number): number {
  if (width === 1) return bytes[at]!
  if (width === 2) return readU16(bytes, at)
  const low = readU32(bytes, at)
  return width === 4 ? low : low + (readU16(bytes, at + 4) | (bytes[at + 6]! << 16)) * 0x1_0000_0000
}

/** Undefined: the structure is sound. `verify` checks key order. */
export function dataBlockProblem(bytes: Uint8Array, start: number, end: number): string | undefined {
  const size = end - start
  if (size < DATA_HEADER_BYTES) return `a data block of ${size} bytes is shorter than its header`
  const flags = bytes[start + 1]!
  const slots = readU16(bytes, start + 2)
  const count = readU32(bytes, start + 4)
  const prefixLength = readU32(bytes, start + 8)
  const longest = readU32(bytes, start + 12)
  const minSeq = readU64(bytes, start + 16)
  const seqWidth = SEQ_WIDTHS[(flags >>> 1) & 7]
  if (flags >= 32 || seqWidth === undefined) return `data block flags ${flags} are unknown`
  if (count === 0) return 'a data block without entries'
  if (prefixLength + longest > MAX_KEY_BYTES) return `a key of ${prefixLength + longest} bytes in a data block`
  if (slots > MAX_HASH_SLOTS || (slots & (slots - 1)) !== 0 || (slots > 0 && count > MAX_HASHED_ENTRIES)) {
    return `${slots} hash slots for ${count} entries`
  }
  const width = (flags & FLAG_WIDE) !== 0 ? 4 : 2
  const kinds = (flags & FLAG_KINDS) !== 0 ? count : 0
  const fixed = DATA_HEADER_BYTES + prefixLength + count * (2 * width + seqWidth) + kinds + slots
  if (fixed > size) return `${count} entries do not fit a data block of ${size} bytes`

  const keyEndsAt = start + DATA_HEADER_BYTES + prefixLength
  const valueEndsAt = keyEndsAt + count * width
  let keyEnd = 0
  let valueEnd = 0
  let found = 0
  for (let i = 0; i < count; i++) {
    const nextKey = width === 4 ? readU32(bytes, keyEndsAt + i * 4) : readU16(bytes, keyEndsAt + i * 2)
    const nextValue = width === 4 ? readU32(bytes, valueEndsAt + i * 4) : readU16(bytes, valueEndsAt + i * 2)
    if (nextKey < keyEnd || nextValue < valueEnd) return `offsets of entry ${i} run backwards in a data block`
    if (nextKey - keyEnd > found) found = nextKey - keyEnd
    keyEnd = nextKey
    valueEnd = nextValue
  }
  if (found !== longest) return `the longest key suffix is ${found} bytes, not ${longest}`
  if (fixed + keyEnd + valueEnd !== size) return `a data block of ${size} bytes should have ${fixed + keyEnd + valueEnd}`

  const seqsAt = valueEndsAt + count * width
  if (minSeq < 1 || minSeq > MAX_SEQ) return `sequence number ${minSeq} in a data block`
  if (minSeq + 0xffff_ffff > MAX_SEQ || seqWidth === 7) {
    for (let i = 0; i < count && seqWidth > 0; i++) {
      if (minSeq + readDelta(bytes, seqsAt + i * seqWidth, seqWidth) > MAX_SEQ) {
        return `the sequence number of entry ${i} is too large`
      }
    }
  }
  const kindsAt = seqsAt + count * seqWidth
  for (let i = 0; i < kinds; i++) if (bytes[kindsAt + i]! > KIND_VALUE_FILE) return `entry ${i} is of unknown kind ${bytes[kindsAt + i]}`
  const slotsAt = kindsAt + kinds
  for (let i = 0; i < slots; i++) {
    const slot = bytes[slotsAt + i]!
    if (slot < SLOT_SEVERAL && slot >= count) return `hash slot ${i} names entry ${slot} of ${count}`
  }
  return undefined
}
