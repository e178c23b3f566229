/**
 * Reads an index node: sorted separators and the handles of their children. Layout: FORMAT.md, Index node.
 *
 * Most of a search compares the first eight bytes of suffixes as two numbers. If versions of one key straddle children, the search
 * finds the first of them.
 *
 * Invariant: after `indexNodeProblem` has passed the bytes, accesses are unchecked.
 */
import { compareBytes } from '../../base/bytes.ts'
import { MAX_INDEX_LEVELS, MAX_KEY_BYTES, MAX_PARTITION_BLOCKS, TRAILER_BYTES } from '../format.ts'
import { readU16, readU32 } from '../little-endian.ts'

export const INDEX_HEADER_BYTES = 12
export const WORD_BYTES = 8
export const FLAG_WIDE = 1

export function nodeLevel(bytes: Uint8Array, start: number): number {
  return bytes[start + 1]!
}

export function nodeCount(bytes: Uint8Array, start: number): number {
  return readU32(bytes, start + 4)
}

export function handleAt(bytes: Uint8Array, start: number, i: number): number {
  return start + INDEX_HEADER_BYTES + readU32(bytes, start + 8) + readU32(bytes, start + 4) * WORD_BYTES + i * handleBytes(bytes[start + 1]!)
}

export function handleBytes(level: number): number {
  return level === 1 ? 16 : 8
}

/** First child whose separator is >= the key, or the count. */
export function searchIndexNode(bytes: Uint8Array, start: number, key: Uint8Array, keyStart: number, keyEnd: number): number {
  const count = readU32(bytes, start + 4)
  const prefixLength = readU32(bytes, start + 8)
  const prefixAt = start + INDEX_HEADER_BYTES
  for (let i = 0; i < prefixLength; i++) {
    if (keyStart + i === keyEnd) return 0
    const difference = key[keyStart + i]! - bytes[prefixAt + i]!
    if (difference !== 0) return difference < 0 ? 0 : count
  }
  const from = keyStart + prefixLength
  const first = wordOf(key, from, keyEnd)
  const second = wordOf(key, from + 4, keyEnd)
  const wordsAt = prefixAt + prefixLength
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    const at = wordsAt + middle * WORD_BYTES
    let difference = readU32(bytes, at) - first
    if (difference === 0) {
      difference = readU32(bytes, at + 4) - second
      if (difference === 0) difference = compareSuffix(bytes, start, middle, key, from, keyEnd)
    }
    if (difference < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Up to four bytes from `at`, big-endian, zeros past `end`. */
export function wordOf(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  let word = 0
  for (let i = 0; i < 4; i++) word = (word << 8) | (at + i < end ? bytes[at + i]! : 0)
  return word >>> 0
}

export function compareSeparator(bytes: Uint8Array, start: number, i: number, key: Uint8Array, keyStart: number, keyEnd: number): number {
  const prefixAt = start + INDEX_HEADER_BYTES
  const prefixLength = readU32(bytes, start + 8)
  const split = Math.min(keyStart + prefixLength, keyEnd)
  const difference = compareBytes(bytes, prefixAt, prefixAt + prefixLength, key, keyStart, split)
  return difference !== 0 ? difference : compareSuffix(bytes, start, i, key, split, keyEnd)
}

function compareSuffix(bytes: Uint8Array, start: number, i: number, key: Uint8Array, keyStart: number, keyEnd: number): number {
  const count = readU32(bytes, start + 4)
  const wide = (bytes[start + 2]! & FLAG_WIDE) !== 0
  const endsAt = handleAt(bytes, start, count)
  const suffixesAt = endsAt + count * (wide ? 4 : 2)
  const from = i === 0 ? 0 : wide ? readU32(bytes, endsAt + i * 4 - 4) : readU16(bytes, endsAt + i * 2 - 2)
  const to = wide ? readU32(bytes, endsAt + i * 4) : readU16(bytes, endsAt + i * 2)
  return compareBytes(bytes, suffixesAt + from, suffixesAt + to, key, keyStart, keyEnd)
}

/** Undefined: the structure is sound. */
export function indexNodeProblem(bytes: Uint8Array, start: number, end: number, offset: number): string | undefined {
  const size = end - start
  if (size < INDEX_HEADER_BYTES) return `an index node of ${size} bytes is shorter than its header`
  const level = bytes[start + 1]!
  const flags = bytes[start + 2]!
  const count = readU32(bytes, start + 4)
  const prefixLength = readU32(bytes, start + 8)
  if (level >= MAX_INDEX_LEVELS || flags > FLAG_WIDE) return `index level ${level}, flags ${flags} are unknown`
  if (count === 0 || (level === 0 && count > MAX_PARTITION_BLOCKS)) return `an index node of ${count} children`
  const width = flags === FLAG_WIDE ? 4 : 2
  const fixed = INDEX_HEADER_BYTES + prefixLength + count * (WORD_BYTES + handleBytes(level) + width)
  if (fixed > size) return `${count} children do not fit an index node of ${size} bytes`

  const wordsAt = start + INDEX_HEADER_BYTES + prefixLength
  const handlesAt = wordsAt + count * WORD_BYTES
  const endsAt = handlesAt + count * handleBytes(level)
  const suffixesAt = endsAt + count * width
  let suffixEnd = 0
  let childEnd = 0
  for (let i = 0; i < count; i++) {
    const next = width === 4 ? readU32(bytes, endsAt + i * 4) : readU16(bytes, endsAt + i * 2)
    if (next < suffixEnd || fixed + next > size) return `separator ${i} leaves its index node`
    if (prefixLength + next - suffixEnd > MAX_KEY_BYTES) return `a separator of ${prefixLength + next - suffixEnd} bytes`
    const from = suffixesAt + suffixEnd
    const to = suffixesAt + next
    const first = wordOf(bytes, from, to)
    const second = wordOf(bytes, from + 4, to)
    const at = wordsAt + i * WORD_BYTES
    if (readU32(bytes, at) !== first || readU32(bytes, at + 4) !== second) {
      return `the words of separator ${i} are not those of its bytes`
    }
    if (i > 0) {
      const rise = first - readU32(bytes, at - 8)
      if (rise < 0 || (rise === 0 && second < readU32(bytes, at - 4))) return `separator ${i} is out of order`
    }
    const handle = handlesAt + i * handleBytes(level)
    const child = readU32(bytes, handle)
    const childBytes = readU32(bytes, handle + 4)
    if (child < childEnd || childBytes <= TRAILER_BYTES || child + childBytes > offset) {
      return `child ${i} of an index node is at ${child}, ${childBytes} bytes`
    }
    if (level === 1 && readU32(bytes, handle + 12) !== 0 && readU32(bytes, handle + 8) + readU32(bytes, handle + 12) > child) {
      return `the filter of partition ${i} is not before it`
    }
    childEnd = child + childBytes
    suffixEnd = next
  }
  if (fixed + suffixEnd !== size) return `an index node of ${size} bytes should have ${fixed + suffixEnd}`
  return undefined
}
