/**
 * Byte ranges of the parts of a JSON text. Parts are stored as their bytes, because `JSON.parse` loses digits of numbers, the order
 * of members and the first of two equal names.
 *
 * Invariants
 * 1. Accepts what `JSON.parse` accepts, up to MAX_JSON_DEPTH. The caller checks UTF-8.
 * 2. No recursion, and no memory per member. Linear time.
 */

import { asBuffer } from '../escape.ts'

/** Most programs could not read deeper JSON. */
export const MAX_JSON_DEPTH = 10_000

export const NOT_JSON = -1
export const TOO_DEEP = -2

const QUOTE = 0x22
const COMMA = 0x2c
const MINUS = 0x2d
const DOT = 0x2e
const ZERO = 0x30
const COLON = 0x3a
const OPEN_ARRAY = 0x5b
const BACKSLASH = 0x5c
const LETTER_U = 0x75
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const LITERALS: readonly (readonly number[])[] = ['true', 'false', 'null'].map(text => [...text].map(character => character.charCodeAt(0)))

/** Allowed after a backslash, except u. */
const IS_ESCAPE = new Uint8Array(256)
for (const letter of Buffer.from('"\\/bfnrt')) IS_ESCAPE[letter] = 1

/** Ends a run of plain bytes in a string. */
const SPECIAL = new Uint8Array(256).fill(1, 0, 0x20)
SPECIAL[QUOTE] = 1
SPECIAL[BACKSLASH] = 1

/** Longer strings use native code. */
const LONG_BYTES = 256
const NEAR_BYTES = 512

/** Closing byte of each open level. Shared: calls do not nest. */
const open = new Uint8Array(MAX_JSON_DEPTH)

export function isContainer(byte: number | undefined): boolean {
  return byte === OPEN_OBJECT || byte === OPEN_ARRAY
}

export function skipBlanks(bytes: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const byte = bytes[at]!
    if (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d) break
    at++
  }
  return at
}

/** Or NOT_JSON or TOO_DEEP. `depth`: levels around it. */
export function endOfValue(bytes: Uint8Array, at: number, end: number, depth = 0): number {
  const floor = depth
  for (;;) {
    const first = at < end ? bytes[at]! : 0
    if (first === OPEN_OBJECT || first === OPEN_ARRAY) {
      if (depth === MAX_JSON_DEPTH) return TOO_DEEP
      const close = first === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY
      at = skipBlanks(bytes, at + 1, end)
      if (at < end && bytes[at] === close) at++
      else {
        open[depth++] = close
        if (close === CLOSE_OBJECT) at = endOfName(bytes, at, end)
        if (at < 0) return NOT_JSON
        continue
      }
    } else at = first === QUOTE ? endOfString(bytes, at, end) : endOfWord(bytes, at, end)
    if (at < 0) return NOT_JSON
    // After a value: closing bytes, or a comma and the next value.
    for (;;) {
      if (depth === floor) return at
      at = skipBlanks(bytes, at, end)
      if (at === end) return NOT_JSON
      const byte = bytes[at++]!
      const close = open[depth - 1]!
      if (byte === close) {
        depth--
        continue
      }
      if (byte !== COMMA) return NOT_JSON
      at = skipBlanks(bytes, at, end)
      if (close === CLOSE_OBJECT) at = endOfName(bytes, at, end)
      if (at < 0) return NOT_JSON
      break
    }
  }
}

/**
 * Calls `member` for each member, with the places of its name (without quotes) and its value. Returns the end of the object, or
 * NOT_JSON or TOO_DEEP, possibly after some calls.
 */
export function walkObject(
  bytes: Uint8Array, at: number, end: number, member: (nameFrom: number, nameTo: number, from: number, to: number) => void,
): number {
  at = skipBlanks(bytes, at + 1, end)
  if (at < end && bytes[at] === CLOSE_OBJECT) return at + 1
  for (;;) {
    const name = at
    const nameEnd = at < end && bytes[at] === QUOTE ? endOfString(bytes, at, end) : NOT_JSON
    if (nameEnd < 0) return NOT_JSON
    at = skipBlanks(bytes, nameEnd, end)
    if (at === end || bytes[at] !== COLON) return NOT_JSON
    const from = skipBlanks(bytes, at + 1, end)
    const to = endOfValue(bytes, from, end, 1)
    if (to < 0) return to
    member(name + 1, nameEnd - 1, from, to)
    at = skipBlanks(bytes, to, end)
    if (at === end) return NOT_JSON
    const byte = bytes[at++]!
    if (byte === CLOSE_OBJECT) return at
    if (byte !== COMMA) return NOT_JSON
    at = skipBlanks(bytes, at, end)
  }
}

export function walkArray(bytes: Uint8Array, at: number, end: number, element: (index: number, from: number, to: number) => void): number {
  at = skipBlanks(bytes, at + 1, end)
  if (at < end && bytes[at] === CLOSE_ARRAY) return at + 1
  for (let index = 0; ; index++) {
    const to = endOfValue(bytes, at, end, 1)
    if (to < 0) return to
    element(index, at, to)
    at = skipBlanks(bytes, to, end)
    if (at === end) return NOT_JSON
    const byte = bytes[at++]!
    if (byte === CLOSE_ARRAY) return at
    if (byte !== COMMA) return NOT_JSON
    at = skipBlanks(bytes, at, end)
  }
}

/** Keeps every part as it is written. */
export function withoutBlanks(bytes: Uint8Array, from: number, to: number): Uint8Array {
  let at = from
  for (;;) {
    if (at === to) return bytes.subarray(from, to)
    const byte = bytes[at]!
    if (byte <= 0x20) break
    at = byte === QUOTE ? endOfString(bytes, at, to) : at + 1
  }
  const kept = new Uint8Array(to - from)
  kept.set(bytes.subarray(from, at))
  let used = at - from
  while (at < to) {
    const byte = bytes[at]!
    const next = byte === QUOTE ? endOfString(bytes, at, to) : at + 1
    if (byte > 0x20) while (at < next) kept[used++] = bytes[at++]!
    at = next
  }
  return kept.subarray(0, used)
}

/** Quotes included. */
export function endOfString(bytes: Uint8Array, at: number, end: number): number {
  const start = at++
  for (const long = Math.min(end, start + LONG_BYTES); ;) {
    while (at < long && SPECIAL[bytes[at]!] === 0) at++
    if (at >= long) return at < end ? endOfLongString(bytes, start, at, end) : NOT_JSON
    const byte = bytes[at]!
    if (byte === QUOTE) return at + 1
    if (byte !== BACKSLASH || at + 1 === end) return NOT_JSON
    const escape = bytes[at + 1]!
    at += 2
    if (IS_ESCAPE[escape] === 1) continue
    if (escape !== LETTER_U || at + 4 > end) return NOT_JSON
    for (const digits = at + 4; at < digits; at++) if (!isHexDigit(bytes[at]!)) return NOT_JSON
  }
}

export function textOf(bytes: Uint8Array, from: number, to: number): string {
  const known = lastLong
  lastLong = undefined
  if (known?.bytes === bytes && known.from === from && known.to === to) return known.text
  return JSON.parse(asBuffer(bytes).toString('utf8', from, to)) as string
}

/** Avoids a second parse. */
let lastLong: { bytes: Uint8Array, from: number, to: number, text: string } | undefined

function endOfLongString(bytes: Uint8Array, start: number, at: number, end: number): number {
  const quote = closingQuote(bytes, at, end)
  if (quote < 0) return NOT_JSON
  if (at <= quote && endOfPlain(bytes, at, quote) === quote) return quote + 1
  try {
    const text = JSON.parse(asBuffer(bytes).toString('utf8', start, quote + 1)) as string
    lastLong = { bytes, from: start, to: quote + 1, text }
    return quote + 1
  } catch {
    return NOT_JSON
  }
}

/** `at` is not in an escape. */
function closingQuote(bytes: Uint8Array, at: number, end: number): number {
  for (;;) {
    // Byte by byte first: native calls cost more where quotes are frequent.
    const near = Math.min(end, at + NEAR_BYTES)
    while (at < near) {
      const byte = bytes[at]!
      if (byte === QUOTE) return at
      at += byte === BACKSLASH ? 2 : 1
    }
    if (at >= end) return NOT_JSON
    const quote = asBuffer(bytes).indexOf(QUOTE, at)
    if (quote < 0 || quote >= end) return NOT_JSON
    let slashes = quote
    while (slashes > at && bytes[slashes - 1] === BACKSLASH) slashes--
    if ((quote - slashes) % 2 === 0) return quote
    at = quote + 1
  }
}

/** Ends at a quote, a backslash or a control character. Four bytes at a time. */
function endOfPlain(bytes: Uint8Array, at: number, end: number): number {
  for (; ((bytes.byteOffset + at) & 3) !== 0; at++) if (at === end || SPECIAL[bytes[at]!] === 1) return at
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + at, (end - at) >> 2)
  let i = 0
  for (; i < words.length; i++) {
    const word = words[i]!
    // Subtracting n sets the high bit of a byte below n; xor makes equal bytes zero.
    const below = (word - 0x20202020) | ((word ^ 0x22222222) - 0x01010101) | ((word ^ 0x5c5c5c5c) - 0x01010101)
    if ((below & ~word & 0x80808080) !== 0) break
  }
  at += i * 4
  while (at < end && SPECIAL[bytes[at]!] === 0) at++
  return at
}

/** Returns the start of the value. */
function endOfName(bytes: Uint8Array, at: number, end: number): number {
  const to = at < end && bytes[at] === QUOTE ? endOfString(bytes, at, end) : NOT_JSON
  if (to < 0) return NOT_JSON
  at = skipBlanks(bytes, to, end)
  return at < end && bytes[at] === COLON ? skipBlanks(bytes, at + 1, end) : NOT_JSON
}

/** A number, true, false or null. */
function endOfWord(bytes: Uint8Array, at: number, end: number): number {
  const first = at < end ? bytes[at]! : 0
  if (first === MINUS || isDigit(first)) return endOfNumber(bytes, at, end)
  for (const literal of LITERALS) {
    if (first !== literal[0] || at + literal.length > end) continue
    for (let i = 1; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return NOT_JSON
    return at + literal.length
  }
  return NOT_JSON
}

function endOfNumber(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === MINUS) at++
  if (at < end && bytes[at] === ZERO) at++
  else at = endOfDigits(bytes, at, end)
  if (at > 0 && at < end && bytes[at] === DOT) at = endOfDigits(bytes, at + 1, end)
  if (at > 0 && at < end && (bytes[at]! | 0x20) === 0x65) { // e
    at++
    if (at < end && (bytes[at] === MINUS || bytes[at] === 0x2b)) at++
    at = endOfDigits(bytes, at, end)
  }
  return at
}

function endOfDigits(bytes: Uint8Array, at: number, end: number): number {
  if (at >= end || !isDigit(bytes[at]!)) return NOT_JSON
  while (at < end && isDigit(bytes[at]!)) at++
  return at
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66)
}
