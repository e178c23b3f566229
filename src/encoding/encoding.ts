/**
 * Keys and values as bytes, in encodings named as in Level: 'utf8' (default), 'buffer', 'view', 'json', or a codec. Keys sort by
 * their bytes.
 *
 * Invariant: different text has different bytes. Text that is not well-formed Unicode is refused.
 *
 * Cost: text goes through one scratch buffer per store, without allocation for short text. Long text is encoded on its way to its
 * file.
 */
import { invalidArgument } from '../base/errors.ts'
import { isArrayBuffer, isBytes } from '../base/realms.ts'
import { cannotTake, decodeFailed, encodeFailed, illFormed } from './encoding-error.ts'
import type { Codec, Encoding } from './encoding-types.ts'

export type { Codec, Encoding, EncodingName } from './encoding-types.ts'

/** The last encoded text: bytes[start, end), valid until the next `encode`. */
export class Scratch {
  bytes: Uint8Array
  start = 0
  end = 0
  /** Not empty: this text did not fit; `bytes` has nothing of it, `end` is its length in bytes. */
  longText = ''
  /** User code (a codec, `toJSON`) is encoding into it. */
  busy = false
  readonly #own: Buffer
  readonly #leavesLongText: boolean

  /** `leavesLongText`: long text is left as it is; else it is encoded into a buffer of its own. */
  constructor(sizeBytes: number, leavesLongText = false) {
    this.#own = Buffer.allocUnsafeSlow(sizeBytes)
    this.#leavesLongText = leavesLongText
    this.bytes = this.#own
  }

  use(bytes: Uint8Array): void {
    this.longText = ''
    this.bytes = bytes
    this.start = 0
    this.end = bytes.length
  }

  text(text: string): void {
    const own = this.#own
    const length = text.length
    this.longText = ''
    this.start = 0
    if (length <= 48) {
      // Short ASCII by hand: a native call costs more.
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
    } else if (this.#leavesLongText) {
      this.bytes = own
      this.end = Buffer.byteLength(text, 'utf8')
      this.longText = text
    } else {
      this.use(Buffer.from(text, 'utf8'))
    }
    // As many bytes as units: all of it is ASCII.
    if (this.end !== length && !text.isWellFormed()) {
      this.release()
      throw illFormed(text)
    }
  }

  /** The last result is the caller's memory. */
  get holdsForeign(): boolean { return this.bytes !== this.#own || this.longText !== '' }

  /** Drop references to the caller's memory. */
  release(): void {
    this.longText = ''
    this.bytes = this.#own
    this.start = 0
    this.end = 0
  }
}

/** A copy of the last result, followed by `extraBytes` zeros. */
export function takeCopy(scratch: Scratch, extraBytes = 0): Uint8Array {
  const { bytes, start, end } = scratch
  const copy = new Uint8Array(end - start + extraBytes)
  copy.set(bytes.subarray(start, end))
  if (scratch.holdsForeign) scratch.release()
  return copy
}

/** A copy, also of a Buffer, whose `slice` is a view. */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Uint8Array(bytes.subarray(start, end))
}

/** A large value to be read from its file; each call reads all of it. */
export interface LargeValue {
  bytes(): Uint8Array<ArrayBuffer>
  text(): string
}

export interface Transcoder {
  readonly name: string
  /**
   * How packed rows are decoded: many at once, or one by one with `decode`. Undefined: not at all, because user code may read the
   * store.
   */
  readonly packed?: 'buffer' | 'text' | 'each'
  /** Encode into the scratch. Throws INVALID_ARGUMENT. */
  encode(value: unknown, scratch: Scratch): void
  /** A value that shares nothing with `bytes`. */
  decode(bytes: Uint8Array, start: number, end: number): unknown
  /** Decode without a second copy of a large value. */
  decodeLarge(value: LargeValue): unknown
}

const utf8: Transcoder = {
  name: 'utf8',
  packed: 'text',
  encode(value, scratch) {
    if (typeof value === 'string') scratch.text(value)
    else if (isBytes(value)) scratch.use(value)
    else if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') scratch.text(String(value))
    else throw cannotTake('utf8', `encoding 'utf8' takes a string, not ${describe(value)}. Use the encoding 'json' for objects, 'view' for bytes`)
  },
  decode(bytes, start, end) { return textOf(bytes, start, end) },
  decodeLarge(value) { return value.text() },
}

const view: Transcoder = {
  name: 'view',
  packed: 'each',
  encode(value, scratch) { bytesOnly(value, scratch, 'view') },
  decode(bytes, start, end) { return bytes.slice(start, end) },
  decodeLarge(value) { return value.bytes() },
}

const buffer: Transcoder = {
  name: 'buffer',
  packed: 'buffer',
  encode(value, scratch) { bytesOnly(value, scratch, 'buffer') },
  decode(bytes, start, end) { return copied(bytes, start, end) },
  decodeLarge(value) { return bufferOf(value) },
}

const json: Transcoder = {
  name: 'json',
  packed: 'each',
  encode(value, scratch) {
    scratch.busy = true
    let text: string | undefined
    try {
      text = JSON.stringify(value)
    } catch (cause) {
      throw encodeFailed('json', cause, 'Give what JSON can hold, or another encoding')
    } finally {
      scratch.busy = false
    }
    if (text === undefined) throw cannotTake('json', `encoding 'json' takes what JSON can hold, not ${describe(value)}. Give null for nothing`)
    scratch.text(text)
  },
  decode(bytes, start, end) { return parsed(textOf(bytes, start, end)) },
  decodeLarge(value) { return parsed(value.text()) },
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw decodeFailed('json', cause)
  }
}

const named: Record<string, Transcoder> = { utf8, view, buffer, json }

/** The transcoder of an encoding. Throws INVALID_ARGUMENT. */
export function transcoder(encoding: Encoding<any>, option: string): Transcoder {
  if (typeof encoding === 'string') {
    const found = Object.hasOwn(named, encoding) ? named[encoding] : undefined
    if (found !== undefined) return found
  } else if (typeof encoding?.encode === 'function' && typeof encoding.decode === 'function') {
    return transcoderOf(encoding)
  }
  throw invalidArgument(`${option} must be 'utf8', 'buffer', 'view', 'json' or an object with encode and decode, not ${describe(encoding)}`)
}

function transcoderOf(codec: Codec<any>): Transcoder {
  const name = typeof codec.name === 'string' ? codec.name : 'custom'
  const decode = (bytes: Buffer): unknown => {
    try {
      return codec.decode(bytes)
    } catch (cause) {
      throw decodeFailed(name, cause)
    }
  }
  return {
    name,
    encode(value, scratch) {
      scratch.busy = true
      let encoded: unknown
      try {
        encoded = codec.encode(value)
      } catch (cause) {
        throw encodeFailed(name, cause, 'Give what the codec takes')
      } finally {
        scratch.busy = false
      }
      if (typeof encoded === 'string') scratch.text(encoded)
      else bytesOnly(encoded, scratch, name, true)
    },
    decode(bytes, start, end) { return decode(copied(bytes, start, end)) },
    decodeLarge(value) { return decode(bufferOf(value)) },
  }
}

function bytesOnly(value: unknown, scratch: Scratch, name: string, isCodec = false): void {
  if (value instanceof Uint8Array) scratch.use(value)
  else if (typeof value === 'string') scratch.text(value)
  else if (ArrayBuffer.isView(value)) scratch.use(new Uint8Array(value.buffer, value.byteOffset, value.byteLength))
  else if (isArrayBuffer(value)) scratch.use(new Uint8Array(value))
  else {
    const bytes = `bytes (a Uint8Array or Buffer) or a string, not ${describe(value)}`
    throw cannotTake(name, isCodec
      ? `encode of the codec '${name}' must return ${bytes}. What takes a promise has to be done before`
      : `encoding '${name}' takes ${bytes}. Use the encoding 'json' for objects`)
  }
}

/** A Buffer with a copy of these bytes; small ones share an allocation of Node's pool. */
function copied(bytes: Uint8Array, start: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - start)
  copy.set(bytes.subarray(start, end))
  return copy
}

function bufferOf(value: LargeValue): Buffer {
  return Buffer.from(value.bytes().buffer)
}

// A leading U+FEFF is an ordinary character.
const decoder = new TextDecoder('utf-8', { ignoreBOM: true })

/** UTF-8 as text; short ASCII by hand, since a native call costs more. */
export function textOf(bytes: Uint8Array, start: number, end: number): string {
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
  // TextDecoder does not take shared memory; Buffer's decoder does.
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
