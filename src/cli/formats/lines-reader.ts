/**
 * One record per line ('lines') or per zero byte ('nul'); the first separator ends the key.
 *
 * 'lines' is for text: it drops a carriage return before the newline and a byte order mark, skips empty lines, and refuses zero
 * bytes and files whose lines all end in CR alone. 'nul' takes every record unchanged.
 */
import { asBuffer } from '../escape.ts'
import { LineSplitter } from './line-splitter.ts'
import { CR, hasByteOrderMark, LF, MAX_RECORD_BYTES, NO_BYTES, tooLong } from './record.ts'
import type { RecordReader, RecordSink } from './record.ts'

export interface LinesOptions {
  format: 'lines' | 'nul'
  /** Default none: keys only. */
  separator?: Uint8Array
  /** Default 16 MiB. */
  maxRecordBytes?: number
}

export class LinesReader implements RecordReader {
  readonly #sink: RecordSink
  readonly #isText: boolean
  readonly #separator: Uint8Array | undefined
  readonly #splitter: LineSplitter
  #hasZeros = false
  #atEnd = false

  constructor(sink: RecordSink, options: LinesOptions) {
    const { format, separator, maxRecordBytes = MAX_RECORD_BYTES } = options
    this.#sink = sink
    this.#isText = format === 'lines'
    this.#separator = separator
    this.#splitter = new LineSplitter(this.#isText ? LF : 0, maxRecordBytes, {
      line: (bytes, line) => this.#line(bytes, line),
      tooLong(line) { sink.bad(line, tooLong(maxRecordBytes)) },
    })
  }

  push(chunk: Uint8Array): void {
    this.#hasZeros ||= this.#isText && asBuffer(chunk).includes(0)
    this.#splitter.push(chunk)
  }

  end(): void {
    this.#atEnd = true
    this.#splitter.end()
  }

  #line(bytes: Uint8Array, line: number): void {
    let from = 0
    let to = bytes.length
    if (this.#isText) {
      if (to > 0 && bytes[to - 1] === CR) to--
      if (line === 1 && hasByteOrderMark(bytes)) from = 3
      if (from === to) return
      // CR as line ends.
      if (this.#atEnd && line === 1 && bytes.subarray(from, to).includes(CR)) {
        this.#sink.bad(line, 'carriage returns, but no newline: lines must end in a newline. Convert them, e.g. tr "\\r" "\\n"')
        return
      }
    }
    let key = from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
    let value = NO_BYTES
    const separator = this.#separator
    if (separator !== undefined) {
      const record = asBuffer(key)
      const at = record.indexOf(separator)
      if (at < 0) {
        this.#sink.bad(line, 'no separator between key and value')
        return
      }
      key = record.subarray(0, at)
      value = record.subarray(at + separator.length)
    }
    if (this.#hasZeros && (key.includes(0) || value.includes(0))) {
      this.#sink.bad(line, 'a zero byte, which text does not contain. Is this another kind of file, or UTF-16? --format nul reads records that end in a zero byte')
    } else this.#sink.put(key, value, line)
  }
}
