/**
 * CSV or TSV rows as records: the key from one column, the value from another, or the whole row as JSON: an object by the header's
 * names, an array without a header. All rows must have the same number of fields.
 */
import { isUtf8 } from 'node:buffer'
import { asBuffer } from '../escape.ts'
import { chooseColumns } from './csv-columns.ts'
import type { Columns } from './csv-columns.ts'
import { CsvParser } from './csv-parser.ts'
import type { CsvRow } from './csv-parser.ts'
import { hasByteOrderMark, MAX_RECORD_BYTES, NO_BYTES } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface CsvOptions {
  /** One byte. Default a comma. */
  separator?: number
  /** The first row holds names. Default true. */
  header?: boolean
  /** Column name, else number (from 1). Default: "key", or the first. */
  key?: string
  /** Column. Default: "value" beside just "key"; nothing if there is only "key"; else the whole row. */
  value?: string
  /** Store empty values. Default false. */
  keysOnly?: boolean
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

/** One more would exceed any value of a store. */
const MAX_JSON_LENGTH = 256 * 1024 * 1024

export class CsvReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #options: CsvOptions
  readonly #hasHeader: boolean
  readonly #parser: CsvParser
  #columns: Columns | undefined
  #start: Uint8Array | undefined = new Uint8Array(0)

  constructor(sink: RecordSink, options: CsvOptions = {}) {
    this.#sink = sink
    this.#options = options
    this.#hasHeader = options.header !== false
    this.#parser = new CsvParser(options.separator ?? 0x2c, options.maxRecordBytes ?? MAX_RECORD_BYTES, {
      row: (row, line) => this.#row(row, line),
      // Without its header the file cannot be read.
      bad: (line, message, isLast = false) => sink.bad(line, message, isLast || (this.#hasHeader && this.#columns === undefined)),
      skipped: (line, lastLine) => sink.skipped?.(line, lastLine),
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

  #row(row: CsvRow, line: number): void {
    let columns = this.#columns
    if (columns === undefined) {
      columns = this.#columns = chooseColumns(row, this.#hasHeader, this.#options)
      this.#parser.keptFields = columns.count
      if (this.#hasHeader) return
    }
    if (row.count !== columns.count) {
      const of = this.#hasHeader ? 'the header' : 'the first row'
      this.#sink.bad(line, `${row.count} fields, but ${of} has ${columns.count}`)
      return
    }
    const value = columns.value === 'none' ? NO_BYTES : columns.value === 'row' ? this.#rowAsJson(row, line, columns.names) : row.field(columns.value)
    if (value !== undefined) this.#sink.put(row.field(columns.key), value, line)
  }

  #rowAsJson(row: CsvRow, line: number, names: readonly string[]): Uint8Array | undefined {
    const isObject = names.length > 0
    let json = isObject ? '{' : '['
    for (let i = 0; i < row.count; i++) {
      const field = row.field(i)
      if (!isUtf8(field)) {
        this.#sink.bad(line, `field ${i + 1} is not valid UTF-8, so the row cannot be stored as JSON`)
        return undefined
      }
      if (i > 0) json += ','
      if (isObject) json += names[i]
      const text = jsonOf(field)
      if (text === undefined || json.length + text.length > MAX_JSON_LENGTH) {
        this.#sink.bad(line, `as JSON the row is longer than ${MAX_JSON_LENGTH} bytes, the maximum of a value. Choose one column with --value`)
        return undefined
      }
      json += text
    }
    return Buffer.from(json + (isObject ? '}' : ']'))
  }
}

/** Undefined: longer than any string. */
function jsonOf(field: Uint8Array): string | undefined {
  try {
    return JSON.stringify(asBuffer(field).toString('utf8'))
  } catch {
    return undefined
  }
}
