/**
 * One JSON value a line: an object with a field for the key and one for the value, or an array [key, value].
 *
 * A text is stored as its UTF-8 bytes, anything else as its JSON text. Without a value field the line itself is the value, byte
 * for byte. Without a key field and a value field, lines as the writer makes them (exactly a key and a value, or their Base64
 * forms) are taken as such, and the key is in `key`.
 */
import { isUtf8 } from 'node:buffer'
import { asBuffer, decodeBase64 } from '../escape.ts'
import { LineSplitter } from './line-splitter.ts'
import { CR, hasByteOrderMark, LF, MAX_RECORD_BYTES, tooLong } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface JsonlOptions {
  /** Path of the key's field, e.g. "user.id". Default "key". */
  key?: string
  /** Path of the value's field. Default: the whole line. */
  value?: string
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

type Found = Uint8Array | string

export class JsonlReader implements RecordReader {
  readonly #splitter: LineSplitter

  constructor(sink: RecordSink, options: JsonlOptions = {}) {
    const { key, value, maxRecordBytes = MAX_RECORD_BYTES } = options
    const asExported = key === undefined && value === undefined
    const keyPath = pathOf(key ?? 'key')
    const valuePath = value === undefined ? undefined : pathOf(value)
    this.#splitter = new LineSplitter(LF, maxRecordBytes, {
      line(bytes, line) {
        const record = trimmed(bytes, line)
        if (record.length === 0) return
        const parsed = parse(record)
        if (typeof parsed === 'string') return sink.bad(line, parsed)
        const json = parsed.json
        let foundKey: Found
        let foundValue: Found
        if (Array.isArray(json)) {
          if (json.length !== 2) return sink.bad(line, `an array must be [key, value], this has ${json.length} elements`)
          foundKey = keyBytes(json[0])
          foundValue = valueBytes(json[1])
        } else if (typeof json !== 'object' || json === null) {
          return sink.bad(line, 'not an object or a [key, value] array')
        } else if (asExported && isExported(json as Record<string, unknown>)) {
          const entry = json as Record<string, unknown>
          foundKey = 'key' in entry ? keyBytes(entry['key']) : base64Bytes(entry['keyBase64'], 'keyBase64')
          foundValue = 'value' in entry ? valueBytes(entry['value']) : base64Bytes(entry['valueBase64'], 'valueBase64')
        } else {
          const at = valueAt(json, keyPath)
          foundKey = at === undefined ? `no field "${keyPath.join('.')}" for the key` : keyBytes(at)
          if (valuePath === undefined) foundValue = record
          else {
            const held = valueAt(json, valuePath)
            foundValue = held === undefined ? `no field "${valuePath.join('.')}" for the value` : valueBytes(held)
          }
        }
        if (typeof foundKey === 'string') sink.bad(line, foundKey)
        else if (typeof foundValue === 'string') sink.bad(line, foundValue)
        else sink.put(foundKey, foundValue, line)
      },
      tooLong(line) { sink.bad(line, tooLong(maxRecordBytes)) },
    })
  }

  push(chunk: Uint8Array): void { this.#splitter.push(chunk) }
  end(): void { this.#splitter.end() }
}

function trimmed(bytes: Uint8Array, line: number): Uint8Array {
  let from = line === 1 && hasByteOrderMark(bytes) ? 3 : 0
  let to = bytes.length
  while (from < to && isBlank(bytes[from]!)) from++
  while (from < to && isBlank(bytes[to - 1]!)) to--
  return bytes.subarray(from, to)
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === CR
}

/** What is wrong, as a text, or the value. */
function parse(bytes: Uint8Array): string | { json: unknown } {
  if (!isUtf8(bytes)) return 'not valid UTF-8'
  try {
    return { json: JSON.parse(asBuffer(bytes).toString('utf8')) }
  } catch (error) {
    return `not JSON: ${(error as Error).message}`
  }
}

function isExported(entry: Record<string, unknown>): boolean {
  const names = Object.keys(entry)
  return names.length === 2
    && (names.includes('key') || names.includes('keyBase64'))
    && (names.includes('value') || names.includes('valueBase64'))
}

function keyBytes(key: unknown): Found {
  if (typeof key === 'string') return textBytes(key)
  if (typeof key === 'number') {
    if (Number.isInteger(key) && !Number.isSafeInteger(key)) return 'the key is a number too large to keep exactly. Write it as a text'
    return Buffer.from(String(key))
  }
  if (typeof key === 'boolean') return Buffer.from(String(key))
  return `the key is ${key === null ? 'null' : Array.isArray(key) ? 'an array' : 'an object'}, not a text or number`
}

function valueBytes(value: unknown): Found {
  return typeof value === 'string' ? textBytes(value) : Buffer.from(JSON.stringify(value))
}

function textBytes(text: string): Found {
  // UTF-8 has no form for these: the bytes would not be what was written.
  if (!text.isWellFormed()) return 'a text holds half of a surrogate pair, which UTF-8 cannot hold'
  return Buffer.from(text, 'utf8')
}

function base64Bytes(text: unknown, field: string): Found {
  return (typeof text === 'string' ? decodeBase64(text) : undefined) ?? `${field} is not base64`
}

function pathOf(path: string): string[] {
  return path.split('.')
}

/** The value at a path; a field whose name is the whole path comes first. */
function valueAt(json: object, path: readonly string[]): unknown {
  const whole = path.join('.')
  if (Object.hasOwn(json, whole)) return (json as Record<string, unknown>)[whole]
  let at: unknown = json
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Record<string, unknown>)[name]
  }
  return at
}
