/**
 * Rows of a CSV or TSV file as records: the key from one column, the value from another, or the whole row as JSON: an object
 * by the header's names, an array where there is no header. Every row must have as many fields as the header or the first row.
 */
import { isUtf8 } from 'node:buffer'
import { CommandError, UsageError } from '../errors.ts'
import { asBuffer } from '../escape.ts'
import { CsvParser } from './csv-parser.ts'
import { hasByteOrderMark, MAX_RECORD_BYTES } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface CsvOptions {
  /** One byte. Default a comma. */
  separator?: number
  /** The first row holds names. Default true. */
  header?: boolean
  /** Name or number (from 1) of the key's column. Default: the column "key", or the first. */
  key?: string
  /** Of the value's. Default: the column "value" beside a column "key" if there are just these two, else the whole row. */
  value?: string
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

export class CsvReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #options: CsvOptions
  readonly #parser: CsvParser
  #fields = 0
  #key = -1
  /** -1 = the whole row. */
  #value = -1
  /** "name": for each column, as JSON; empty without a header. */
  #names: string[] = []
  #start: Uint8Array | undefined = new Uint8Array(0)

  constructor(sink: RecordSink, options: CsvOptions = {}) {
    this.#sink = sink
    this.#options = options
    this.#parser = new CsvParser(options.separator ?? 0x2c, options.maxRecordBytes ?? MAX_RECORD_BYTES, {
      row: (fields, line) => this.#row(fields, line),
      bad: (line, message) => sink.bad(line, message),
    })
  }

  push(chunk: Uint8Array): void {
    if (this.#start === undefined) {
      this.#parser.push(chunk)
      return
    }
    // The first three bytes may be a byte order mark.
    const start = Buffer.concat([this.#start, chunk])
    if (start.length < 3) {
      this.#start = start
      return
    }
    this.#start = undefined
    this.#parser.push(hasByteOrderMark(start) ? start.subarray(3) : start)
  }

  end(): void {
    if (this.#start !== undefined) this.#parser.push(this.#start)
    this.#parser.end()
  }

  #row(fields: Uint8Array[], line: number): void {
    if (this.#fields === 0) {
      this.#fields = fields.length
      const hasHeader = this.#options.header !== false
      this.#choose(hasHeader ? fields.map(field => asBuffer(field).toString('utf8')) : undefined)
      if (hasHeader) return
    }
    if (fields.length !== this.#fields) {
      const of = this.#options.header === false ? 'the first row' : 'the header'
      this.#sink.bad(line, `${fields.length} fields, but ${of} has ${this.#fields}`)
      return
    }
    const key = fields[this.#key]!
    if (this.#value >= 0) {
      this.#sink.put(key, fields[this.#value]!, line)
      return
    }
    let json = this.#names.length > 0 ? '{' : '['
    for (let i = 0; i < fields.length; i++) {
      const field = fields[i]!
      if (!isUtf8(field)) {
        this.#sink.bad(line, `field ${i + 1} is not valid UTF-8, so the row cannot be stored as JSON`)
        return
      }
      if (i > 0) json += ','
      json += (this.#names[i] ?? '') + JSON.stringify(asBuffer(field).toString('utf8'))
    }
    this.#sink.put(key, Buffer.from(json + (this.#names.length > 0 ? '}' : ']')), line)
  }

  #choose(names: string[] | undefined): void {
    const { key, value } = this.#options
    const isExported = key === undefined && value === undefined
      && names?.length === 2 && names.includes('key') && names.includes('value')
    if (isExported) {
      this.#key = names.indexOf('key')
      this.#value = names.indexOf('value')
      return
    }
    this.#key = key === undefined ? Math.max(0, names?.indexOf('key') ?? 0) : this.#column(key, names, '--key')
    if (value !== undefined) {
      this.#value = this.#column(value, names, '--value')
      return
    }
    if (names === undefined) return
    const twice = names.find((name, i) => names.indexOf(name) !== i)
    if (twice !== undefined) {
      throw new CommandError('BAD_HEADER', `the header has two columns ${JSON.stringify(twice)}, so a row cannot be stored as a JSON object. Choose one column with --value`)
    }
    this.#names = names.map(name => `${JSON.stringify(name)}:`)
  }

  #column(wanted: string, names: string[] | undefined, option: string): number {
    const named = names?.indexOf(wanted) ?? -1
    if (named >= 0) return named
    const number = /^\d{1,6}$/.test(wanted) ? Number(wanted) : 0
    if (number >= 1 && number <= this.#fields) return number - 1
    const known = names === undefined ? `numbers 1 to ${this.#fields}` : names.slice(0, 20).map(name => JSON.stringify(name)).join(', ')
    throw new UsageError(`${option} ${JSON.stringify(wanted)}: no such column. There are ${known}`)
  }
}
