/**
 * RFC 4180 as bytes: fields separated by one byte, in double quotes where they hold separators, quotes (doubled) or newlines.
 * Rows end in LF or CRLF. Lenient in one point: a quote inside an unquoted field is an ordinary byte. Empty lines are skipped.
 *
 * Invariants
 * 1. The rows do not depend on where the chunks were cut.
 * 2. Holds at most one row of `maxBytes`; a longer or broken one is reported and skipped up to its end.
 * 3. Any byte passes through unchanged.
 */
import { CR, LF, tooLong } from './record.ts'

export interface CsvSink {
  /** The fields stay as they are until the next chunk. `line` is where the row began, counted from 1. */
  row(fields: Uint8Array[], line: number): void
  bad(line: number, message: string): void
}

const QUOTE = 0x22
const SLAB_BYTES = 64 * 1024

/** Field begins; inside a plain field; CR in a plain field; inside quotes; after a quote in quotes; CR after a closing quote. */
const BEGIN = 0
const PLAIN = 1
const PLAIN_CR = 2
const QUOTED = 3
const QUOTE_SEEN = 4
const CLOSED_CR = 5

export class CsvParser {
  readonly #separator: number
  readonly #maxBytes: number
  readonly #sink: CsvSink
  #state = BEGIN
  #line = 1
  #rowLine = 1
  /** The row being read is bad or too long: nothing of it is kept. */
  #skipping = false
  /** A field of this row was quoted, so that it is not an empty line. */
  #sawQuotes = false
  /** The row so far: bytes [rowStart, used) of the slab, fields end at ends[]. */
  #slab: Uint8Array = new Uint8Array(SLAB_BYTES)
  #rowStart = 0
  #used = 0
  #ends: number[] = []

  constructor(separator: number, maxBytes: number, sink: CsvSink) {
    this.#separator = separator
    this.#maxBytes = maxBytes
    this.#sink = sink
  }

  push(chunk: Uint8Array): void {
    const separator = this.#separator
    const end = chunk.length
    let at = 0
    while (at < end) {
      const byte = chunk[at]!
      switch (this.#state) {
        case BEGIN:
          if (byte === QUOTE) {
            this.#state = QUOTED
            this.#sawQuotes = true
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
          this.#keep(chunk, at, to)
          at = to
          if (at === end) break
          const stop = chunk[at++]!
          if (stop === separator) this.#endField()
          else if (stop === LF) this.#endRow()
          else this.#state = PLAIN_CR
          break
        }
        case PLAIN_CR:
          if (byte === LF) {
            at++
            this.#endRow()
          } else {
            this.#keep(CR_BYTE, 0, 1)
            this.#state = PLAIN
          }
          break
        case QUOTED: {
          const quote = chunk.indexOf(QUOTE, at)
          const to = quote < 0 ? end : quote
          for (let i = at; i < to; i++) if (chunk[i] === LF) this.#line++
          this.#keep(chunk, at, to)
          at = to
          if (quote >= 0) {
            at++
            this.#state = QUOTE_SEEN
          }
          break
        }
        case QUOTE_SEEN:
          at++
          if (byte === QUOTE) {
            this.#keep(QUOTE_BYTE, 0, 1)
            this.#state = QUOTED
          } else if (byte === separator) this.#endField()
          else if (byte === LF) this.#endRow()
          else if (byte === CR) this.#state = CLOSED_CR
          else this.#afterQuotes()
          break
        default: // CLOSED_CR
          if (byte === LF) {
            at++
            this.#endRow()
          } else this.#afterQuotes()
      }
    }
  }

  end(): void {
    if (this.#state === QUOTED) {
      this.#bad('a quoted field has no closing quote')
      this.#skipping = false
      return
    }
    if (this.#state === PLAIN_CR) this.#keep(CR_BYTE, 0, 1)
    const hasContent = this.#used > this.#rowStart || this.#ends.length > 0 || this.#sawQuotes
    if (hasContent || this.#skipping) this.#endRow()
  }

  #keep(from: Uint8Array, start: number, end: number): void {
    if (this.#skipping || start === end) return
    const bytes = this.#used - this.#rowStart + end - start
    if (bytes > this.#maxBytes) {
      this.#bad(tooLong(this.#maxBytes))
      return
    }
    if (this.#used + end - start > this.#slab.length) {
      // Rows already handed out keep the old slab; this one moves.
      const larger = new Uint8Array(Math.max(SLAB_BYTES, bytes > SLAB_BYTES / 2 ? Math.min(bytes * 2, this.#maxBytes) : 0))
      larger.set(this.#slab.subarray(this.#rowStart, this.#used))
      for (let i = 0; i < this.#ends.length; i++) this.#ends[i]! -= this.#rowStart
      this.#used -= this.#rowStart
      this.#rowStart = 0
      this.#slab = larger
    }
    if (end - start === 1) this.#slab[this.#used] = from[start]!
    else this.#slab.set(from.subarray(start, end), this.#used)
    this.#used += end - start
  }

  #endField(): void {
    if (!this.#skipping) this.#ends.push(this.#used)
    this.#state = BEGIN
  }

  #endRow(): void {
    const line = this.#rowLine
    const isEmpty = this.#used === this.#rowStart && this.#ends.length === 0 && !this.#sawQuotes
    const skipped = this.#skipping
    const fields: Uint8Array[] = []
    if (!skipped && !isEmpty) {
      this.#ends.push(this.#used)
      let start = this.#rowStart
      for (const end of this.#ends) {
        fields.push(this.#slab.subarray(start, end))
        start = end
      }
    }
    this.#ends = []
    this.#rowStart = this.#used
    this.#state = BEGIN
    this.#skipping = false
    this.#sawQuotes = false
    this.#rowLine = ++this.#line
    if (!skipped && !isEmpty) this.#sink.row(fields, line)
  }

  #afterQuotes(): void {
    this.#bad('a closing quote must be followed by a separator or the end of the row')
    this.#state = PLAIN
  }

  #bad(message: string): void {
    if (this.#skipping) return
    this.#skipping = true
    this.#used = this.#rowStart
    this.#ends = []
    this.#sink.bad(this.#rowLine, message)
  }
}

const CR_BYTE = Uint8Array.of(CR)
const QUOTE_BYTE = Uint8Array.of(QUOTE)
