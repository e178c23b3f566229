/**
 * One record a line ('lines', ended by a newline) or one ended by a zero byte ('nul'). Without a separator the record is a key
 * with an empty value; with one, the first separator ends the key.
 *
 * 'lines' is for text files: a carriage return before the newline and a byte order mark are dropped, empty lines skipped.
 * 'nul' takes every record as it is.
 */
import { asBuffer } from '../escape.ts'
import { LineSplitter } from './line-splitter.ts'
import { CR, hasByteOrderMark, LF, MAX_RECORD_BYTES, NO_BYTES, tooLong } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface LinesOptions {
  format: 'lines' | 'nul'
  /** Default none: keys alone. */
  separator?: Uint8Array
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

export class LinesReader implements RecordReader {
  readonly #splitter: LineSplitter

  constructor(sink: RecordSink, options: LinesOptions) {
    const { format, separator, maxRecordBytes = MAX_RECORD_BYTES } = options
    const isText = format === 'lines'
    this.#splitter = new LineSplitter(isText ? LF : 0, maxRecordBytes, {
      line(bytes, line) {
        let from = 0
        let to = bytes.length
        if (isText) {
          if (to > 0 && bytes[to - 1] === CR) to--
          if (line === 1 && hasByteOrderMark(bytes)) from = 3
          if (from === to) return
        }
        if (separator === undefined) {
          sink.put(bytes.subarray(from, to), NO_BYTES, line)
          return
        }
        const record = asBuffer(bytes).subarray(from, to)
        const at = record.indexOf(separator)
        if (at < 0) sink.bad(line, 'no separator between key and value')
        else sink.put(record.subarray(0, at), record.subarray(at + separator.length), line)
      },
      tooLong(line) { sink.bad(line, tooLong(maxRecordBytes)) },
    })
  }

  push(chunk: Uint8Array): void { this.#splitter.push(chunk) }
  end(): void { this.#splitter.end() }
}
