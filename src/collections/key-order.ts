/**
 * Sort keys as bytes in key order. The first byte is the kind; kinds sort in this order:
 *
 *   undefined 01, null 02, false 03, true 04, number 05, bigint 06, Date 07, text 08, bytes 09, array 0a
 *   number, Date   eight bytes big-endian; negative ones inverted, others with the sign bit set; -0 is 0, NaN last
 *   bigint         00-7f or 80-ff by sign and length of the length, the length, the magnitude; inverted when negative
 *   text           UTF-8, lone surrogates as in `wide-text.ts`
 *   array          its parts, then 00. Text and bytes inside end with 00 01, and a 00 of theirs is 00 ff
 *
 * Invariant: encode(a) < encode(b) as unsigned bytes exactly when a sorts before b.
 */
import { types } from 'node:util'
import { invalidArgument } from '../base/errors.ts'
import { isBytes } from '../base/realms.ts'
import type { CompareRanges } from '../pages/paged-merge.ts'
import { maxTextBytes, readText, writeText } from './wide-text.ts'

/** Key to sort or group by. */
export type SortKey = string | number | bigint | boolean | null | undefined | Date | Uint8Array | readonly SortKey[]

const KIND = { undefined: 1, null: 2, false: 3, true: 4, number: 5, bigint: 6, date: 7, text: 8, bytes: 9, array: 10 } as const
const END = 0
/** After a 00 inside an array. */
const PART_ENDS = 1
const PART_GOES_ON = 0xff
const MAX_DEPTH = 64

export class KeyEncoder {
  /** The last key is bytes[0, length). */
  bytes: Buffer = Buffer.allocUnsafeSlow(256)
  length = 0
  #view = new DataView(this.bytes.buffer)

  /** Throws INVALID_ARGUMENT for other values. */
  encode(key: unknown): void {
    this.length = 0
    this.#write(key, 0)
  }

  #write(key: unknown, depth: number): void {
    switch (typeof key) {
      case 'string': return this.#text(key, depth)
      case 'number': return this.#number(KIND.number, key)
      case 'boolean': return this.#byte(key ? KIND.true : KIND.false)
      case 'undefined': return this.#byte(KIND.undefined)
      case 'bigint': return this.#bigint(key)
      case 'object':
        if (key === null) return this.#byte(KIND.null)
        if (types.isDate(key)) return this.#number(KIND.date, key.getTime())
        if (isBytes(key)) return this.#bytes(key, depth)
        if (Array.isArray(key)) return this.#array(key, depth)
    }
    throw invalidArgument(
      `${describe(key)} cannot be a key. Return a string, number, bigint, boolean, null, Date, Uint8Array or an array of those`,
    )
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.bytes[this.length++] = byte
  }

  #number(kind: number, value: number): void {
    this.#reserve(9)
    const view = this.#view
    const at = this.length
    this.bytes[at] = kind
    // One NaN, one zero.
    view.setFloat64(at + 1, value === 0 ? 0 : value)
    if (Number.isNaN(value)) view.setBigUint64(at + 1, 0x7ff8000000000000n)
    const high = view.getInt32(at + 1)
    if (high < 0) {
      view.setInt32(at + 1, ~high)
      view.setInt32(at + 5, ~view.getInt32(at + 5))
    } else {
      view.setInt32(at + 1, high ^ -0x80000000)
    }
    this.length = at + 9
  }

  #bigint(value: bigint): void {
    const negative = value < 0n
    let digits = (negative ? -value : value).toString(16)
    if (digits.length % 2 === 1) digits = `0${digits}`
    const magnitude = Buffer.from(digits, 'hex')
    this.#reserve(6 + magnitude.length)
    const start = this.length + 1
    this.bytes[this.length] = KIND.bigint
    this.bytes[start] = 0x80
    this.bytes.writeUInt32BE(magnitude.length, start + 1)
    this.bytes.set(magnitude, start + 5)
    this.length = start + 5 + magnitude.length
    // Below all others: the sign byte becomes 7f, larger magnitudes come first.
    if (negative) for (let i = start; i < this.length; i++) this.bytes[i] = ~this.bytes[i]!
  }

  #text(text: string, depth: number): void {
    this.#reserve(1 + maxTextBytes(text))
    this.bytes[this.length++] = KIND.text
    const start = this.length
    this.length = writeText(text, this.bytes, start)
    if (depth > 0) this.#terminate(start)
  }

  #bytes(bytes: Uint8Array, depth: number): void {
    this.#reserve(1 + bytes.length)
    this.bytes[this.length++] = KIND.bytes
    const start = this.length
    this.bytes.set(bytes, start)
    this.length += bytes.length
    if (depth > 0) this.#terminate(start)
  }

  #array(parts: readonly unknown[], depth: number): void {
    if (depth === MAX_DEPTH) throw invalidArgument(`a key has arrays nested more than ${MAX_DEPTH} deep. Use a flatter key`)
    this.#byte(KIND.array)
    for (const part of parts) this.#write(part, depth + 1)
    this.#byte(END)
  }

  #terminate(start: number): void {
    let zeros = 0
    for (let i = start; i < this.length; i++) if (this.bytes[i] === 0) zeros++
    this.#reserve(zeros + 2)
    const { bytes } = this
    if (zeros > 0) {
      let to = this.length + zeros
      for (let from = this.length - 1; from >= start; from--) {
        if (bytes[from] === 0) bytes[--to] = PART_GOES_ON
        bytes[--to] = bytes[from]!
      }
      this.length += zeros
    }
    bytes[this.length++] = END
    bytes[this.length++] = PART_ENDS
  }

  #reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return
    const grown = Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(this.length + more)))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.#view = new DataView(grown.buffer)
  }
}

/** -0 comes back as 0. */
export function decodeKey(bytes: Uint8Array, start: number, end: number): SortKey {
  return new KeyDecoder(bytes, start, end).read(false)
}

class KeyDecoder {
  readonly #bytes: Buffer
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#at = start
    this.#end = end
  }

  read(inside: boolean): SortKey {
    const kind = this.#bytes[this.#at++]
    switch (kind) {
      case KIND.undefined: return undefined
      case KIND.null: return null
      case KIND.false: return false
      case KIND.true: return true
      case KIND.number: return this.#number()
      // oxlint-disable-next-line no-restricted-globals -- a key that is a date, not the time of day.
      case KIND.date: return new Date(this.#number())
      case KIND.bigint: return this.#bigint()
      case KIND.text: {
        const part = this.#part(inside)
        return readText(part, 0, part.length, part.toString('utf8'))
      }
      case KIND.bytes: return Buffer.from(this.#part(inside))
      case KIND.array: {
        const parts: SortKey[] = []
        while (this.#bytes[this.#at] !== END) parts.push(this.read(true))
        this.#at++
        return parts
      }
    }
    throw invalidArgument(`not an encoded key: kind ${kind} at offset ${this.#at - 1}`)
  }

  #number(): number {
    const copy = Buffer.from(this.#bytes.subarray(this.#at, this.#at + 8))
    this.#at += 8
    if (copy[0]! >= 0x80) copy[0]! ^= 0x80
    else for (let i = 0; i < 8; i++) copy[i] = ~copy[i]!
    return copy.readDoubleBE(0)
  }

  #bigint(): bigint {
    const bytes = this.#bytes
    const negative = bytes[this.#at]! < 0x80
    const length = (negative ? ~bytes.readInt32BE(this.#at + 1) : bytes.readInt32BE(this.#at + 1)) >>> 0
    const magnitude = Buffer.from(bytes.subarray(this.#at + 5, this.#at + 5 + length))
    this.#at += 5 + length
    if (negative) for (let i = 0; i < length; i++) magnitude[i] = ~magnitude[i]!
    const value = BigInt(`0x${magnitude.toString('hex')}`)
    return negative ? -value : value
  }

  /** Without escapes. */
  #part(inside: boolean): Buffer {
    const bytes = this.#bytes
    if (!inside) return bytes.subarray(this.#at, this.#end)
    const pieces: Buffer[] = []
    for (;;) {
      const zero = bytes.indexOf(0, this.#at)
      const ends = bytes[zero + 1] === PART_ENDS
      pieces.push(bytes.subarray(this.#at, ends ? zero : zero + 1))
      this.#at = zero + 2
      if (ends) return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    }
  }
}

export function compareDecoded(compare: (a: never, b: never) => number): CompareRanges {
  return (a, aStart, aEnd, b, bStart, bEnd) => {
    const order = compare(decodeKey(a, aStart, aEnd) as never, decodeKey(b, bStart, bEnd) as never)
    if (typeof order !== 'number' || Number.isNaN(order)) {
      throw invalidArgument(`compare must return a number, not ${describe(order)}`)
    }
    return order
  }
}

function describe(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  if (typeof value === 'object' && value !== null) return `an object (${value.constructor?.name ?? 'without prototype'})`
  return String(value)
}
