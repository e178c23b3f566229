/**
 * Layout of an entry in a page of a run and in the arena of a sort.
 *
 *   entry = varint(2 x key length + has value) [varint(value length)] key [value]
 *   page  = entries, padding, restarts (u32 offset of every 16th entry), u32 bytes of entries, u32 restarts, u32 entries; little-endian
 *
 * Lengths come first, so walking entries touches no key or value. An empty value is stored as no value.
 */

export const MAX_HEADER_BYTES = 10
export const RESTART_INTERVAL = 16
/** Without restarts. */
export const TAIL_BYTES = 12
/** Lengths have 29 bits. */
export const MAX_PART_BYTES: number = 2 ** 29 - 1

export function headerBytes(keyLength: number, valueLength: number): number {
  return varintBytes(keyLength * 2) + (valueLength > 0 ? varintBytes(valueLength) : 0)
}

export function writeHeader(bytes: Uint8Array, at: number, keyLength: number, valueLength: number): number {
  if (valueLength === 0) return writeVarint(bytes, at, keyLength << 1)
  return writeVarint(bytes, writeVarint(bytes, at, (keyLength << 1) | 1), valueLength)
}

export class EntryReader {
  keyStart = 0
  keyEnd = 0
  valueStart = 0
  /** Also the end of the entry. */
  valueEnd = 0

  /** Duplicated in `PagedMerge.#advance`: change both. */
  read(bytes: Uint8Array, at: number): void {
    let head = bytes[at++]!
    if (head > 127) {
      head &= 127
      for (let shift = 7; ; shift += 7) {
        const byte = bytes[at++]!
        head |= (byte & 127) << shift
        if (byte < 128) break
      }
    }
    let valueLength = 0
    if ((head & 1) !== 0) {
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++]!
        valueLength |= (byte & 127) << shift
        if (byte < 128) break
      }
    }
    this.keyStart = at
    this.keyEnd = this.valueStart = at + (head >>> 1)
    this.valueEnd = this.valueStart + valueLength
  }
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Of the page at `start`. */
export function entriesEnd(bytes: Uint8Array, start: number, length: number): number {
  return start + readUint32(bytes, start + length - TAIL_BYTES)
}

export function restartsCount(bytes: Uint8Array, start: number, length: number): number {
  return readUint32(bytes, start + length - 8)
}

export function restartsStart(bytes: Uint8Array, start: number, length: number): number {
  return start + length - TAIL_BYTES - 4 * restartsCount(bytes, start, length)
}

/** Four bytes as a big-endian number, zero-padded after `end`. */
export function prefix32(bytes: Uint8Array, start: number, end: number): number {
  if (start + 4 <= end) {
    return ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) >>> 0
  }
  let value = 0
  for (let i = 0; i < 4; i++) value = (value << 8) | (start + i < end ? bytes[start + i]! : 0)
  return value >>> 0
}

function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}

function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  while (value > 127) {
    bytes[at++] = (value & 127) | 128
    value >>>= 7
  }
  bytes[at++] = value
  return at
}
