/**
 * Default encoding of keys: by value, in byte order equal to value order.
 *
 * Invariants
 * 1. Different keys have different bytes: 1, '1', 1n and [1] are four keys. As in a Map, 0 and -0 are one key, and NaN is a key.
 * 2. Bytes sort by type, then by value: strings by code points; bytes and arrays by element, shorter first.
 * 3. Arrays and plain objects are keys by content; properties are in the order of their names.
 *
 *   tag      content
 *   01       undefined; 02 null; 03 false; 04 true: none
 *   10       number: 8 bytes, big-endian, sign flipped (negative ones: all bits)
 *   18       bigint: 80 + length (negative: 7f - length, rest inverted), 4 bytes of length from 7f bytes on, magnitude
 *   20       date: its milliseconds as a number
 *   30       string as UTF-8, lone surrogates as in `wide-text.ts`
 *   40       bytes
 *   50       array: elements, then 00; 60 plain object: names and values in turn, then 00
 *
 * Inside arrays and objects strings and bytes end with 00, and a 00 in them is 00 ff.
 */
import { types } from 'node:util'
import { invalidArgument } from '../base/errors.ts'
import { isBytes, isPlainObject } from '../base/realms.ts'
import { describe, textOf } from '../encoding/encoding.ts'
import type { LargeValue, Scratch, Transcoder } from '../encoding/encoding.ts'
import { maxTextBytes, readText, writeText as writeWide } from './wide-text.ts'

const UNDEFINED = 0x01
const NULL = 0x02
const FALSE = 0x03
const TRUE = 0x04
const NUMBER = 0x10
const BIGINT = 0x18
const DATE = 0x20
const STRING = 0x30
const BYTES = 0x40
const ARRAY = 0x50
const OBJECT = 0x60
const LONG = 0x7f
const MAX_DEPTH = 64

const float = new DataView(new ArrayBuffer(8))

export const anyKey: Transcoder = {
  name: 'any',
  encode(value, scratch) {
    scratch.release()
    scratch.end = write(value, scratch, 0, 0)
  },
  decode(bytes, start, end) { return new Decoder(bytes, start, end).read(0) },
  decodeLarge(value: LargeValue) {
    const bytes = value.bytes()
    return this.decode(bytes, 0, bytes.length)
  },
}

/** Returns the end. No terminator at `depth` 0. */
function write(value: unknown, scratch: Scratch, at: number, depth: number): number {
  const { bytes } = scratch
  if (at + 16 > bytes.length) throw tooLong()
  switch (typeof value) {
    case 'string': return writeText(value, scratch, at, depth)
    case 'number': return writeNumber(bytes, at, NUMBER, value)
    case 'boolean': bytes[at] = value ? TRUE : FALSE; return at + 1
    case 'undefined': bytes[at] = UNDEFINED; return at + 1
    case 'bigint': return writeBigint(bytes, at, value)
    case 'object': return writeObject(value, scratch, at, depth)
    default: throw unfit(value)
  }
}

function writeText(text: string, scratch: Scratch, at: number, depth: number): number {
  const { bytes } = scratch
  const { length } = text
  const start = ++at
  if (length <= 48 && at + 2 * length + 1 < bytes.length) {
    // Cheaper than a native call.
    let i = 0
    for (; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127 || code === 0) break
      bytes[at + i] = code
    }
    if (i === length) {
      bytes[start - 1] = STRING
      at += length
      if (depth > 0) bytes[at++] = 0
      return at
    }
  }
  // Lone surrogates take three bytes, as U+FFFD does.
  if (at + maxTextBytes(text) + 1 > bytes.length && at + Buffer.byteLength(text) + 1 > bytes.length) throw tooLong()
  bytes[start - 1] = STRING
  at = writeWide(text, bytes as Buffer, at)
  return depth === 0 ? at : escape(bytes, start, at)
}

/** Escape zeros and add the terminator. */
function escape(bytes: Uint8Array, start: number, end: number): number {
  let zeros = 0
  for (let i = start; i < end; i++) if (bytes[i] === 0) zeros++
  if (end + zeros + 1 > bytes.length) throw tooLong()
  for (let from = end - 1, to = end + zeros - 1; to > from; from--) {
    if (bytes[from] === 0) bytes[to--] = 0xff
    bytes[to--] = bytes[from]!
  }
  bytes[end + zeros] = 0
  return end + zeros + 1
}

function writeNumber(bytes: Uint8Array, at: number, tag: number, value: number): number {
  float.setFloat64(0, Number.isNaN(value) ? NaN : value + 0)
  const flip = float.getUint8(0) >= 0x80 ? 0xff : 0
  bytes[at] = tag
  bytes[at + 1] = float.getUint8(0) ^ (flip === 0 ? 0x80 : 0xff)
  for (let i = 1; i < 8; i++) bytes[at + 1 + i] = float.getUint8(i) ^ flip
  return at + 9
}

function writeBigint(bytes: Uint8Array, at: number, value: bigint): number {
  const isNegative = value < 0n
  const hex = value === 0n ? '' : (isNegative ? -value : value).toString(16)
  const length = (hex.length + 1) >>> 1
  if (at + length + 8 > bytes.length) throw tooLong()
  const flip = isNegative ? 0xff : 0
  bytes[at++] = BIGINT
  bytes[at++] = (0x80 + Math.min(length, LONG)) ^ flip
  if (length >= LONG) for (let shift = 24; shift >= 0; shift -= 8) bytes[at++] = (length >>> shift) ^ flip
  const digits = hex.padStart(2 * length, '0')
  for (let i = 0; i < length; i++) bytes[at++] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16) ^ flip
  return at
}

function writeObject(value: object | null, scratch: Scratch, at: number, depth: number): number {
  const { bytes } = scratch
  if (value === null) {
    bytes[at] = NULL
    return at + 1
  }
  if (types.isDate(value)) return writeNumber(bytes, at, DATE, value.getTime())
  if (isBytes(value)) {
    const start = at + 1
    const end = start + value.length
    if (end + 1 > bytes.length) throw tooLong()
    bytes[at] = BYTES
    bytes.set(value, start)
    return depth === 0 ? end : escape(bytes, start, end)
  }
  if (depth >= MAX_DEPTH) throw invalidArgument(`a key is nested more than ${MAX_DEPTH} deep, or contains itself. Use a string instead`)
  if (Array.isArray(value)) {
    bytes[at++] = ARRAY
    for (const element of value) at = write(element, scratch, at, depth + 1)
  } else {
    if (!isPlainObject(value)) throw unfit(value)
    bytes[at++] = OBJECT
    for (const name of Object.keys(value).sort()) {
      at = write(name, scratch, at, depth + 1)
      at = write((value as Record<string, unknown>)[name], scratch, at, depth + 1)
    }
  }
  if (at >= bytes.length) throw tooLong()
  bytes[at] = 0
  return at + 1
}

class Decoder {
  readonly #bytes: Uint8Array
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  read(depth: number): unknown {
    const tag = this.#bytes[this.#at++]!
    switch (tag) {
      case UNDEFINED: return undefined
      case NULL: return null
      case FALSE: return false
      case TRUE: return true
      case NUMBER: return this.#number()
      // oxlint-disable-next-line no-restricted-globals -- a stored time, not the clock.
      case DATE: return new Date(this.#number())
      case BIGINT: return this.#bigint()
      case STRING: return this.#text(depth)
      case BYTES: return this.#content(depth)
      case ARRAY: return this.#array(depth)
      default: return this.#object(depth)
    }
  }

  #number(): number {
    const bytes = this.#bytes
    const at = this.#at
    const flip = bytes[at]! >= 0x80 ? 0 : 0xff
    float.setUint8(0, bytes[at]! ^ (flip === 0 ? 0x80 : 0xff))
    for (let i = 1; i < 8; i++) float.setUint8(i, bytes[at + i]! ^ flip)
    this.#at = at + 8
    return float.getFloat64(0)
  }

  #bigint(): bigint {
    const bytes = this.#bytes
    const flip = bytes[this.#at]! >= 0x80 ? 0 : 0xff
    let length = (bytes[this.#at++]! ^ flip) - 0x80
    if (length === LONG) {
      length = 0
      for (let i = 0; i < 4; i++) length = length * 256 + (bytes[this.#at++]! ^ flip)
    }
    let hex = '0x0'
    for (let i = 0; i < length; i++) hex += (bytes[this.#at++]! ^ flip).toString(16).padStart(2, '0')
    return flip === 0 ? BigInt(hex) : -BigInt(hex)
  }

  #text(depth: number): string {
    if (depth > 0) {
      const content = this.#content(depth)
      return readText(content, 0, content.length, content.toString('utf8'))
    }
    const bytes = this.#bytes
    const start = this.#at
    this.#at = this.#end
    return readText(bytes, start, this.#end, textOf(bytes, start, this.#end))
  }

  #content(depth: number): Buffer {
    const bytes = this.#bytes
    const start = this.#at
    if (depth === 0) {
      this.#at = this.#end
      return Buffer.from(bytes.subarray(start, this.#end))
    }
    let at = start
    let zeros = 0
    for (;; at++) {
      if (bytes[at] !== 0) continue
      if (at + 1 >= this.#end || bytes[at + 1] !== 0xff) break
      zeros++
      at++
    }
    const content = Buffer.allocUnsafe(at - start - zeros)
    for (let from = start, to = 0; from < at; from++) {
      content[to++] = bytes[from]!
      if (bytes[from] === 0) from++
    }
    this.#at = at + 1
    return content
  }

  #array(depth: number): unknown[] {
    const elements: unknown[] = []
    while (this.#bytes[this.#at] !== 0) elements.push(this.read(depth + 1))
    this.#at++
    return elements
  }

  #object(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {}
    while (this.#bytes[this.#at] !== 0) {
      const name = this.read(depth + 1) as string
      const value = this.read(depth + 1)
      // The name may be __proto__.
      Object.defineProperty(object, name, { value, enumerable: true, configurable: true, writable: true })
    }
    this.#at++
    return object
  }
}

function unfit(value: unknown): Error {
  const what = typeof value === 'symbol' ? 'a symbol' : typeof value === 'function' ? 'a function' : describe(value)
  return invalidArgument(`a key cannot be ${what}: keys are strings, numbers, bigints, booleans, null, undefined, dates, bytes, and arrays and plain objects of these. Pass a keyEncoding for others`)
}

function tooLong(): Error {
  return invalidArgument('a key has more than 65535 bytes. Hash it, or move part of it into the value', { maxBytes: 65535 })
}
