/** Byte ranges are half open: [start, end). */

/** Unsigned lexicographic order, a prefix before its extensions. */
export function compareBytes(
  a: Uint8Array, aStart: number, aEnd: number,
  b: Uint8Array, bStart: number, bEnd: number,
): number {
  const aLength = aEnd - aStart
  const bLength = bEnd - bStart
  const shared = aLength < bLength ? aLength : bLength
  for (let i = 0; i < shared; i++) {
    const difference = a[aStart + i]! - b[bStart + i]!
    if (difference !== 0) return difference
  }
  return aLength - bLength
}

/** For `Array.prototype.sort`. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(a, 0, a.length, b, 0, b.length)
}

/** `set(subarray())` costs about 50 ns at any length, a byte by hand about 1. */
const SHORT_BYTES = 48

/** No overlap. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start > SHORT_BYTES) {
    // Only the view costs: a whole array needs none.
    if (start === 0 && end === from.length) to.set(from, at)
    else to.set(from.subarray(start, end), at)
    return
  }
  for (; start + 4 <= end; start += 4, at += 4) {
    to[at] = from[start]!
    to[at + 1] = from[start + 1]!
    to[at + 2] = from[start + 2]!
    to[at + 3] = from[start + 3]!
  }
  for (; start < end; start++, at++) to[at] = from[start]!
}

/** Printable ASCII, else \xNN, cut at `limit` bytes. */
export function describeBytes(bytes: Uint8Array, limit = 64): string {
  let text = ''
  const shown = Math.min(bytes.length, limit)
  for (let i = 0; i < shown; i++) {
    const byte = bytes[i]!
    if (byte === 0x5c) text += '\\\\'
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte)
    else text += '\\x' + byte.toString(16).padStart(2, '0')
  }
  return shown < bytes.length ? `${text}... (${bytes.length} bytes)` : text
}
