/**
 * One JSON value per line: an object with key and value fields, or an array [key, value]. Lines end in LF, CRLF or CR.
 *
 * Text is stored as UTF-8, anything else as its JSON text without blanks. Without key and value fields, lines in the writer's form
 * (exactly a key and a value, or their Base64 forms) are taken apart.
 */
import { isUtf8 } from 'node:buffer'
import { asBuffer, decodeBase64 } from '../escape.ts'
import { MemberSearch, placeBelow, twice, wantedMember } from './json-fields.ts'
import type { Place, WantedMember } from './json-fields.ts'
import { isContainer, MAX_JSON_DEPTH, endOfValue, skipBlanks, textOf, TOO_DEEP, walkArray, withoutBlanks } from './json-scan.ts'
import { LineSplitter } from './line-splitter.ts'
import { CR, hasByteOrderMark, MAX_RECORD_BYTES, NO_BYTES, tooLong } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface JsonlOptions {
  /** Path, e.g. "user.id". Default "key". */
  key?: string
  /** Path. Default: the whole line. */
  value?: string
  /** Store empty values. Default false. */
  keysOnly?: boolean
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

type Found = Uint8Array | string

const OBJECT = 0x7b
const ARRAY = 0x5b
const QUOTE = 0x22
const BACKSLASH = 0x5c

export class JsonlReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #splitter: LineSplitter
  readonly #key: FieldPath
  /** Undefined: the whole line. */
  readonly #value: FieldPath | undefined
  readonly #exported: ExportedFields | undefined
  readonly #keysOnly: boolean
  readonly #search: MemberSearch

  constructor(sink: RecordSink, options: JsonlOptions = {}) {
    const { key, value, maxRecordBytes = MAX_RECORD_BYTES } = options
    this.#sink = sink
    this.#keysOnly = options.keysOnly === true
    const wanted: WantedMember[] = []
    this.#key = new FieldPath(key ?? 'key', wanted)
    this.#value = value === undefined ? undefined : new FieldPath(value, wanted)
    this.#exported = key === undefined && value === undefined ? new ExportedFields(wanted) : undefined
    this.#search = new MemberSearch(wanted)
    this.#splitter = new LineSplitter('newline', maxRecordBytes, {
      line: (bytes, line) => this.#line(bytes, line),
      tooLong(line) { sink.bad(line, tooLong(maxRecordBytes)) },
    })
  }

  push(chunk: Uint8Array): void { this.#splitter.push(chunk) }
  end(): void { this.#splitter.end() }

  #line(bytes: Uint8Array, line: number): void {
    const record = trimmed(bytes, line)
    if (record.length === 0) return
    if (!isUtf8(record)) {
      this.#sink.bad(line, 'not valid UTF-8')
      return
    }
    const [key, value] = record[0] === ARRAY ? fromArray(record) : this.#fromObject(record)
    if (typeof key === 'string') this.#sink.bad(line, key)
    else if (typeof value === 'string') this.#sink.bad(line, value)
    else this.#sink.put(key, this.#keysOnly ? NO_BYTES : value, line)
  }

  #fromObject(record: Uint8Array): [key: Found, value: Found] {
    const isObject = record[0] === OBJECT
    const end = isObject ? this.#search.search(record, 0, record.length) : endOfValue(record, 0, record.length)
    if (end !== record.length) return [notJson(record, end), NO_BYTES]
    if (!isObject) return ['not an object or a [key, value] array', NO_BYTES]
    const exported = this.#exported?.take(record, this.#search.members)
    if (exported !== undefined) return exported
    const key = this.#key.take(record, 'key', keyBytes)
    return [key, this.#value === undefined ? record : this.#value.take(record, 'value', valueBytes)]
  }
}

/** A name equal to the whole path has precedence over nested objects. */
class FieldPath {
  readonly #path: readonly string[]
  readonly #whole: WantedMember
  readonly #first: WantedMember

  constructor(path: string, wanted: WantedMember[]) {
    this.#path = path.split('.')
    this.#whole = wantedOnce(path, wanted)
    this.#first = wantedOnce(this.#path[0]!, wanted)
  }

  take(record: Uint8Array, role: 'key' | 'value', toBytes: (record: Uint8Array, place: Place) => Found): Found {
    const member = this.#whole.count > 0 ? this.#whole : this.#first
    if (member.count > 1) return twice(member.name)
    let place: Place | string | undefined = member.count === 0 ? undefined : member
    if (place !== undefined && member === this.#first && this.#path.length > 1) place = placeBelow(record, member, this.#path.slice(1))
    if (typeof place === 'string') return place
    return place === undefined ? `no field "${this.#whole.name}" for the ${role}` : toBytes(record, place)
  }
}

class ExportedFields {
  readonly #key: WantedMember
  readonly #keyBase64: WantedMember
  readonly #value: WantedMember
  readonly #valueBase64: WantedMember

  constructor(wanted: WantedMember[]) {
    this.#key = wantedOnce('key', wanted)
    this.#keyBase64 = wantedOnce('keyBase64', wanted)
    this.#value = wantedOnce('value', wanted)
    this.#valueBase64 = wantedOnce('valueBase64', wanted)
  }

  /** Undefined if the object has other members. */
  take(record: Uint8Array, members: number): [Found, Found] | undefined {
    const fields = [this.#key, this.#keyBase64, this.#value, this.#valueBase64]
    const hasOthers = fields.reduce((left, { count }) => left - count, members) > 0
    if (hasOthers) return undefined
    const repeated = fields.find(({ count }) => count > 1)
    if (repeated !== undefined) return [twice(repeated.name), NO_BYTES]
    if (members !== 2 || this.#key.count + this.#keyBase64.count !== 1) return undefined
    return [
      this.#key.count === 1 ? keyBytes(record, this.#key) : base64Bytes(record, this.#keyBase64),
      this.#value.count === 1 ? valueBytes(record, this.#value) : base64Bytes(record, this.#valueBase64),
    ]
  }
}

function wantedOnce(name: string, wanted: WantedMember[]): WantedMember {
  let member = wanted.find(other => other.name === name)
  if (member === undefined) {
    member = wantedMember(name)
    wanted.push(member)
  }
  return member
}

function fromArray(record: Uint8Array): [key: Found, value: Found] {
  const places: Place[] = []
  let count = 0
  const end = walkArray(record, 0, record.length, (_index, from, to) => {
    if (count++ < 2) places.push({ from, to })
  })
  if (end !== record.length) return [notJson(record, end), NO_BYTES]
  if (count !== 2) return [`an array must be [key, value]; this one has ${count} elements`, NO_BYTES]
  return [keyBytes(record, places[0]!), valueBytes(record, places[1]!)]
}

function trimmed(bytes: Uint8Array, line: number): Uint8Array {
  const from = skipBlanks(bytes, line === 1 && hasByteOrderMark(bytes) ? 3 : 0, bytes.length)
  let to = bytes.length
  while (from < to && isBlank(bytes[to - 1]!)) to--
  return bytes.subarray(from, to)
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09 || byte === CR
}

/** Uses the message of `JSON.parse`. */
function notJson(record: Uint8Array, end: number): string {
  if (end === TOO_DEEP) return `more than ${MAX_JSON_DEPTH} nested arrays and objects`
  try {
    JSON.parse(asBuffer(record).toString('utf8'))
    return 'not JSON'
  } catch (error) {
    return `not JSON: ${(error as Error).message}`
  }
}

function keyBytes(record: Uint8Array, { from, to }: Place): Found {
  const first = record[from]!
  if (first === QUOTE) return textBytes(record, from, to)
  if (isContainer(first) || first === 0x6e) { // null
    return `the key is ${first === ARRAY ? 'an array' : first === OBJECT ? 'an object' : 'null'}, not a text or number`
  }
  return record.subarray(from, to)
}

function valueBytes(record: Uint8Array, { from, to }: Place): Found {
  const first = record[from]!
  if (first === QUOTE) return textBytes(record, from, to)
  return isContainer(first) ? withoutBlanks(record, from, to) : record.subarray(from, to)
}

function textBytes(record: Uint8Array, from: number, to: number): Found {
  const written = record.subarray(from + 1, to - 1)
  if (!asBuffer(written).includes(BACKSLASH)) return written
  const text = textOf(record, from, to)
  // UTF-8 cannot encode lone surrogates.
  return text.isWellFormed() ? Buffer.from(text, 'utf8') : 'a text has half of a surrogate pair, which UTF-8 cannot encode'
}

function base64Bytes(record: Uint8Array, member: WantedMember): Found {
  const text = record[member.from] === QUOTE ? textBytes(record, member.from, member.to) : ''
  const isText = typeof text !== 'string'
  return (isText ? decodeBase64(asBuffer(text).toString('latin1')) : undefined) ?? `${member.name} is not base64`
}
