/**
 * RFC 4180 as bytes: fields separated by one byte, in double quotes where they hold separators, quotes (doubled) or newlines. Rows
 * end in LF, CRLF or CR. A quote inside an unquoted field is an ordinary byte. Empty lines are skipped.
 *
 * Invariants
 * 1. The rows do not depend on where the chunks are cut.
 * 2. Memory: one row of `maxBytes`, of which `keptFields` are kept. A longer or broken row is reported and skipped.
 * 3. Outside quotes a zero byte is refused: text has none, other files do.
 */
import { asBuffer } from '../escape.ts'
import { CR, LF, NO_BYTES, tooLong } from './record.ts'

export interface CsvSink {
  /** Fields stay valid until the next chunk, the row until this returns. */
  row(row: CsvRow, line: number): void
  /** `isLast`: the rest cannot be split into rows. */
  bad(line: number, message: string, isLast?: boolean): void
  /** A bad row that began in `line` ended in `lastLine`. */
  skipped?(line: number, lastLine: number): void
}

export class CsvRow {
  count = 0
  /** Ends of the first fields; the first begins at `start`. */
  ends: Float64Array = new Float64Array(16)
  bytes: Uint8Array = NO_BYTES
  start = 0

  field(index: number): Uint8Array {
    return this.bytes.subarray(index === 0 ? this.start : this.ends[index - 1]!, this.ends[index]!)
  }
}

/** In a header. */
export const MAX_COLUMNS = 1_000_000

const QUOTE = 0x22
const SLAB_BYTES = 64 * 1024
/** Copies of this size are faster than views. */
const SHORT_BYTES = 32

/** Field begins; row begins after a CR; in a plain field; in quotes; after a quote in quotes. */
const BEGIN = 0
const AFTER_CR = 1
const PLAIN = 2
const QUOTED = 3
const QUOTE_SEEN = 4

export class CsvParser {
  keptFields: number = MAX_COLUMNS
  readonly #separator: number
  readonly #maxBytes: number
  readonly #sink: CsvSink
  #state = BEGIN
  #line = 1
  #rowLine = 1
  /** First line of the last quoted field. */
  #quoteLine = 1
  #skipping = false
  /** The row is not an empty line. */
  #sawQuotes = false
  /** The last byte in quotes was a CR: a LF belongs to it. */
  #quotedCr = false
  /** Its bytes are [row.start, used) of the slab, row.bytes. */
  readonly #row = new CsvRow()
  #used = 0

  constructor(separator: number, maxBytes: number, sink: CsvSink) {
    this.#separator = separator
    this.#maxBytes = maxBytes
    this.#sink = sink
    this.#row.bytes = new Uint8Array(SLAB_BYTES)
  }

  push(input: Uint8Array): void {
    const separator = this.#separator
    const chunk = asBuffer(input)
    const end = chunk.length
    const hasZeros = separator !== 0 && chunk.includes(0)
    let at = 0
    while (at < end) {
      const byte = chunk[at]!
      switch (this.#state) {
        case AFTER_CR:
          if (byte === LF) at++
          this.#state = BEGIN
          break
        case BEGIN:
          if (byte === QUOTE) {
            this.#state = QUOTED
            this.#sawQuotes = true
            this.#quotedCr = false
            this.#quoteLine = this.#line
            at++
            break
          }
          this.#state = PLAIN
          break
        case PLAIN: {
          let to = at
          while (to < end) {
            const next = chunk[to]!
            if (next === separator || next === LF || next === CR) break
            to++
          }
          if (hasZeros && chunk.subarray(at, to).includes(0)) this.#bad('a zero byte, which text does not contain. Is this another kind of file, or UTF-16?')
          this.#keep(chunk, at, to)
          at = to
          if (at === end) break
          this.#endPlain(chunk[at++]!)
          break
        }
        case QUOTED: {
          const quote = chunk.indexOf(QUOTE, at)
          const to = quote < 0 ? end : quote
          this.#countLines(chunk, at, to)
          this.#keep(chunk, at, to)
          at = to
          if (quote >= 0) {
            at++
            this.#state = QUOTE_SEEN
          }
          break
        }
        default: // QUOTE_SEEN
          at++
          if (byte === QUOTE) {
            this.#keep(QUOTE_BYTE, 0, 1)
            this.#quotedCr = false
            this.#state = QUOTED
          } else if (byte === separator || byte === LF || byte === CR) this.#endPlain(byte)
          else {
            const opened = this.#quoteLine < this.#line ? `. It is in line ${this.#line}, the field begins in line ${this.#quoteLine}` : ''
            this.#bad(`a closing quote must be followed by a separator or the end of the row${opened}`)
            this.#state = PLAIN
          }
      }
    }
  }

  end(): void {
    if (this.#state === QUOTED) {
      const opened = this.#quoteLine > this.#rowLine ? `. It begins in line ${this.#quoteLine}` : ''
      this.#sink.bad(this.#rowLine, `a quoted field has no closing quote${opened}`, true)
      this.#skipping = false
      return
    }
    const hasContent = this.#used > this.#row.start || this.#row.count > 0 || this.#sawQuotes
    if (hasContent || this.#skipping) this.#endRow()
  }

  #keep(from: Uint8Array, start: number, end: number): void {
    if (this.#skipping || start === end) return
    const row = this.#row
    const bytes = this.#used - row.start + end - start
    if (bytes > this.#maxBytes) {
      this.#bad(tooLong(this.#maxBytes))
      return
    }
    if (this.#used + end - start > row.bytes.length) {
      // Emitted rows keep the old slab.
      const larger = new Uint8Array(Math.max(SLAB_BYTES, bytes > SLAB_BYTES / 2 ? Math.min(bytes * 2, this.#maxBytes) : 0))
      larger.set(row.bytes.subarray(row.start, this.#used))
      const kept = Math.min(row.count, this.keptFields)
      for (let i = 0; i < kept; i++) row.ends[i]! -= row.start
      this.#used -= row.start
      row.start = 0
      row.bytes = larger
    }
    if (end - start > SHORT_BYTES) {
      row.bytes.set(from.subarray(start, end), this.#used)
      this.#used += end - start
      return
    }
    const slab = row.bytes
    let used = this.#used
    for (let at = start; at < end; at++) slab[used++] = from[at]!
    this.#used = used
  }

  #countLines(chunk: Uint8Array, from: number, to: number): void {
    if (from === to) return
    for (let at = from; at < to; at++) {
      const byte = chunk[at]!
      if (byte > CR) continue
      if (byte === CR || (byte === LF && !(at === from ? this.#quotedCr : chunk[at - 1] === CR))) this.#line++
    }
    this.#quotedCr = chunk[to - 1] === CR
  }

  #endPlain(stop: number): void {
    if (stop === this.#separator) {
      if (!this.#skipping) this.#endField()
      this.#state = BEGIN
      return
    }
    this.#endRow()
    if (stop === CR) this.#state = AFTER_CR
  }

  #endField(): void {
    const row = this.#row
    if (row.count < this.keptFields) {
      if (row.count === row.ends.length) {
        const larger = new Float64Array(row.count * 2)
        larger.set(row.ends)
        row.ends = larger
      }
      row.ends[row.count] = this.#used
    }
    row.count++
  }

  #endRow(): void {
    const row = this.#row
    const line = this.#rowLine
    const isEmpty = this.#used === row.start && row.count === 0 && !this.#sawQuotes
    if (this.#skipping) {
      if (this.#line > line) this.#sink.skipped?.(line, this.#line)
    } else if (!isEmpty) {
      this.#endField()
      this.#sink.row(row, line)
    }
    row.count = 0
    row.start = this.#used
    this.#state = BEGIN
    this.#skipping = false
    this.#sawQuotes = false
    this.#rowLine = ++this.#line
  }

  #bad(message: string): void {
    if (this.#skipping) return
    this.#skipping = true
    this.#used = this.#row.start
    this.#row.count = 0
    this.#sink.bad(this.#rowLine, message)
  }
}

const QUOTE_BYTE = Uint8Array.of(QUOTE)
