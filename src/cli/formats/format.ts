import { UsageError } from '../errors.ts'
import type { FormatName } from '../names.ts'
import { CsvReader } from './csv-reader.ts'
import { CsvWriter } from './csv-writer.ts'
import { JsonlReader } from './jsonl-reader.ts'
import { JsonlWriter } from './jsonl-writer.ts'
import { LinesReader } from './lines-reader.ts'
import { LinesWriter } from './lines-writer.ts'
import type { RecordReader, RecordSink, RecordWriter } from './record.ts'

export interface FormatOptions {
  key?: string | undefined
  value?: string | undefined
  /** May have escapes such as "\t". */
  separator?: string | undefined
  header: boolean
  keysOnly: boolean
  maxRecordBytes?: number | undefined
}

/** Before .gz or .zst; undefined if unknown. */
export function formatOfName(fileName: string): FormatName | undefined {
  const ending = /\.([a-z]+)(?:\.(?:gz|zst))?$/i.exec(fileName)?.[1]?.toLowerCase()
  if (ending === 'jsonl' || ending === 'ndjson') return 'jsonl'
  if (ending === 'csv' || ending === 'tsv') return ending
  return undefined
}

export function makeReader(format: FormatName, options: FormatOptions, sink: RecordSink): RecordReader {
  const limit = options.maxRecordBytes === undefined ? {} : { maxRecordBytes: options.maxRecordBytes }
  const columns = {
    ...options.key === undefined ? {} : { key: options.key },
    ...options.value === undefined ? {} : { value: options.value },
  }
  const { keysOnly } = options
  if (format === 'jsonl') return new JsonlReader(sink, { ...columns, ...limit, keysOnly })
  if (format === 'csv' || format === 'tsv') {
    return new CsvReader(sink, { ...columns, ...limit, keysOnly, header: options.header, separator: fieldSeparator(format, options.separator) })
  }
  return new LinesReader(sink, { format, ...limit, ...lineSeparator(format, options.separator) })
}

export function makeWriter(format: FormatName, options: FormatOptions): RecordWriter {
  const { keysOnly } = options
  if (format === 'jsonl') return new JsonlWriter({ keysOnly })
  if (format === 'csv' || format === 'tsv') {
    return new CsvWriter({ keysOnly, header: options.header, separator: fieldSeparator(format, options.separator) })
  }
  return new LinesWriter({ format, keysOnly, ...lineSeparator(format, options.separator) })
}

/** Throws UsageError. */
export function checkFormat(format: FormatName, options: FormatOptions): void {
  const hasFields = format === 'csv' || format === 'tsv'
  if (hasFields) fieldSeparator(format, options.separator)
  else if (format === 'jsonl') {
    if (options.separator !== undefined) throw new UsageError('--separator is for --format csv, lines and nul')
  } else {
    lineSeparator(format, options.separator)
    if (options.key !== undefined || options.value !== undefined) throw new UsageError('--key and --value are for --format jsonl and csv')
  }
  if (!options.header && !hasFields) throw new UsageError('--no-header is for --format csv')
}

function fieldSeparator(format: 'csv' | 'tsv', given: string | undefined): number {
  const bytes = separatorBytes(given ?? (format === 'tsv' ? '\t' : ','))
  const byte = bytes[0]!
  if (bytes.length !== 1 || byte === 0x22 || byte === 0x0a || byte === 0x0d) {
    throw new UsageError('--separator of csv must be one byte, and not a quote or a newline')
  }
  return byte
}

function lineSeparator(format: 'lines' | 'nul', given: string | undefined): { separator?: Uint8Array } {
  if (given === undefined) return {}
  const separator = separatorBytes(given)
  if (separator.includes(format === 'lines' ? 0x0a : 0)) throw new UsageError('--separator must not contain the end of a record')
  return { separator }
}

/** Decodes "\t", "\n", "\r", "\0", "\xNN" and "\\". */
function separatorBytes(given: string): Buffer {
  const named: Record<string, string> = { t: '\t', n: '\n', r: '\r', 0: '\0', '\\': '\\' }
  const parts: Buffer[] = []
  for (const [piece] of given.matchAll(/\\x[0-9a-fA-F]{2}|\\[tnr0\\]|[^]/gu)) {
    if (piece.length === 4) parts.push(Buffer.from(piece.slice(2), 'hex'))
    else parts.push(Buffer.from(piece.length === 2 && piece[0] === '\\' ? named[piece[1]!]! : piece, 'utf8'))
  }
  const bytes = Buffer.concat(parts)
  if (bytes.length === 0) throw new UsageError('--separator must not be empty')
  return bytes
}
