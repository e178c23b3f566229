/**
 * Keys and values as bytes. Encodings are named as in Level: 'utf8' (default), 'buffer', 'view', 'json', or a codec of the
 * user's own. Keys sort by their bytes.
 *
 * Cost: text goes through one scratch buffer per store, so that a put or get of short text allocates nothing for it.
 */
import { invalidArgument } from '../base/errors.ts'

/** A codec of the user's own. `decode` is given bytes that are its to keep. */
export interface Codec<T> {
  name?: string
  encode(value: T): Uint8Array | string
  decode(bytes: Uint8Array): T
}

export type EncodingName = 'utf8' | 'buffer' | 'view' | 'json'
export type Encoding<T = unknown> = EncodingName | Codec<T>

/** Bytes of the last encoded text: bytes[start, end). Holds until the next `encode` on the same scratch. */
export class Scratch {
  bytes: Uint8Array
  start = 0
  end = 0
  /** A codec of the user's own is encoding into it right now. */
  busy = false
  readonly #own: Buffer

  constructor(sizeBytes: number) {
    this.#own = Buffer.allocUnsafeSlow(sizeBytes)
    this.bytes = this.#own
  }

  use(bytes: Uint8Array): void {
    this.bytes = bytes
    this.start = 0
    this.end = bytes.length
  }

  text(text: string): void {
    const own = this.#own
    const length = text.length
    this.start = 0
    if (length <= 48) {
      // Short ASCII by hand: a call into native code costs more than the copy.
      let i = 0
      for (; i < length; i++) {
        const code = text.charCodeAt(i)
        if (code > 127) break
        own[i] = code
      }
      if (i === length) {
        this.bytes = own
        this.end = length
        return
      }
    }
    if (length * 3 <= own.length) {
      this.bytes = own
      this.end = own.write(text, 0, 'utf8')
    } else {
      this.use(Buffer.from(text, 'utf8'))
    }
  }
}

/** A copy, whatever class the bytes have: the `slice` of a Buffer is a view. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end))
}

export interface Transcoder {
  readonly name: string
  /** Leave the bytes in the scratch. Throws INVALID_ARGUMENT for a value this encoding cannot take. */
  encode(value: unknown, scratch: Scratch): void
  /** A value that shares nothing with `bytes`. */
  decode(bytes: Uint8Array, start: number, end: number): unknown
}

const utf8: Transcoder = {
  name: 'utf8',
  encode(value, scratch) {
    if (typeof value === 'string') scratch.text(value)
    else if (value instanceof Uint8Array) scratch.use(value)
    else if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') scratch.text(String(value))
    else throw invalidArgument(`encoding 'utf8' takes a string, not ${describe(value)}. Use the encoding 'json' for objects, 'view' for bytes`)
  },
  decode(bytes, start, end) { return textOf(bytes, start, end) },
}

const view: Transcoder = {
  name: 'view',
  encode(value, scratch) { bytesOnly(value, scratch, 'view') },
  decode(bytes, start, end) { return bytes.slice(start, end) },
}

const buffer: Transcoder = {
  name: 'buffer',
  encode(value, scratch) { bytesOnly(value, scratch, 'buffer') },
  decode(bytes, start, end) { return copied(bytes, start, end) },
}

const json: Transcoder = {
  name: 'json',
  encode(value, scratch) {
    const text = JSON.stringify(value)
    if (text === undefined) throw invalidArgument(`encoding 'json' takes what JSON can hold, not ${describe(value)}`)
    scratch.text(text)
  },
  decode(bytes, start, end) { return JSON.parse(textOf(bytes, start, end)) },
}

const named: Record<string, Transcoder> = { utf8, view, buffer, json }

/** The transcoder of an encoding as the user gave it. Throws INVALID_ARGUMENT. */
export function transcoder(encoding: Encoding<any>, option: string): Transcoder {
  if (typeof encoding === 'string') {
    const found = Object.hasOwn(named, encoding) ? named[encoding] : undefined
    if (found !== undefined) return found
  } else if (typeof encoding?.encode === 'function' && typeof encoding.decode === 'function') {
    return {
      name: encoding.name ?? 'custom',
      encode(value, scratch) {
        scratch.busy = true
        let encoded: unknown
        try {
          encoded = encoding.encode(value)
        } finally {
          scratch.busy = false
        }
        if (typeof encoded === 'string') scratch.text(encoded)
        else bytesOnly(encoded, scratch, encoding.name ?? 'custom')
      },
      decode(bytes, start, end) { return encoding.decode(copied(bytes, start, end)) },
    }
  }
  throw invalidArgument(`${option} must be 'utf8', 'buffer', 'view', 'json' or an object with encode and decode, not ${describe(encoding)}`)
}

function bytesOnly(value: unknown, scratch: Scratch, name: string): void {
  if (value instanceof Uint8Array) scratch.use(value)
  else if (typeof value === 'string') scratch.text(value)
  else if (ArrayBuffer.isView(value)) scratch.use(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  else if (value instanceof ArrayBuffer) scratch.use(new Uint8Array(value))
  else throw invalidArgument(`encoding '${name}' takes bytes (a Uint8Array or Buffer) or a string, not ${describe(value)}`)
}

/** A Buffer of the caller's own with these bytes; small ones share one pooled allocation of Node's. */
function copied(bytes: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  copy.set(bytes.subarray(start, end))
  return copy
}

// A leading U+FEFF is a character like any other.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

function textOf(bytes: Uint8Array, start: number, end: number): string {
  const length = end - start
  if (length <= 24) {
    let text = ''
    let i = start
    for (; i < end; i++) {
      const code = bytes[i]!
      if (code > 127) break
      text += String.fromCharCode(code)
    }
    if (i === end) return text
  }
  // TextDecoder does not take shared memory; Buffer's own decoder does.
  if (bytes instanceof Buffer) return bytes.toString('utf8', start, end)
  if (bytes.buffer instanceof SharedArrayBuffer || length < 2048) {
    return Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset + start, length).toString('utf8')
  }
  return decoder.decode(bytes.subarray(start, end))
}

export function describe(value: unknown): string {
  if (value === null) return 'null'
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`
  if (typeof value === 'object') return `an object of ${value.constructor?.name ?? 'no class'}`
  return `${typeof value} ${String(value)}`.trim()
}
