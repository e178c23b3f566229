/** Splits chunks into lines, wherever the chunks are cut. Memory: one line of `maxBytes`; a longer one is reported and skipped. */
import { asBuffer } from '../escape.ts'
import { CR, LF } from './record.ts'

export interface LineSink {
  /** `line` counts from 1. The bytes stay valid until the next chunk. */
  line(bytes: Uint8Array, line: number): void
  tooLong(line: number): void
}

export class LineSplitter {
  readonly #delimiter: number
  readonly #crEnds: boolean
  readonly #maxBytes: number
  readonly #sink: LineSink
  #line = 1
  #held: Uint8Array = new Uint8Array(0)
  #heldBytes = 0
  #skipping = false
  /** The last byte was a CR: a LF belongs to it. */
  #afterCr = false

  /** A byte, or 'newline' for LF, CRLF and CR. */
  constructor(delimiter: number | 'newline', maxBytes: number, sink: LineSink) {
    this.#crEnds = delimiter === 'newline'
    this.#delimiter = delimiter === 'newline' ? LF : delimiter
    this.#maxBytes = maxBytes
    this.#sink = sink
  }

  get ended(): number { return this.#line - 1 }

  push(input: Uint8Array): void {
    const chunk = asBuffer(input)
    const end = chunk.length
    if (end === 0) return
    let from = 0
    if (this.#afterCr && chunk[0] === LF) from = 1
    this.#afterCr = false
    let cr = this.#crEnds ? chunk.indexOf(CR, from) : -1
    let at = chunk.indexOf(this.#delimiter, from)
    while (at >= 0 || cr >= 0) {
      if (cr < 0 || (at >= 0 && at < cr)) {
        this.#finish(chunk, from, at)
        from = at + 1
      } else {
        this.#finish(chunk, from, cr)
        from = cr + 1
        if (from === end) this.#afterCr = true
        else if (chunk[from] === LF) from++
        cr = chunk.indexOf(CR, from)
      }
      if (at >= 0 && at < from) at = chunk.indexOf(this.#delimiter, from)
    }
    if (from < end) this.#hold(chunk, from)
  }

  /** A last line needs no delimiter. */
  end(): void {
    if (this.#heldBytes > 0) this.#finish(this.#held, 0, 0)
    this.#skipping = false
  }

  #finish(chunk: Uint8Array, from: number, to: number): void {
    const line = this.#line++
    if (this.#skipping) {
      this.#skipping = false
      return
    }
    if (this.#heldBytes + to - from > this.#maxBytes) {
      this.#heldBytes = 0
      this.#sink.tooLong(line)
      return
    }
    if (this.#heldBytes === 0) {
      this.#sink.line(chunk.subarray(from, to), line)
      return
    }
    if (to > from) this.#append(chunk, from, to)
    const bytes = this.#held.subarray(0, this.#heldBytes)
    // The sink owns the line's memory now.
    this.#held = new Uint8Array(0)
    this.#heldBytes = 0
    this.#sink.line(bytes, line)
  }

  #hold(chunk: Uint8Array, from: number): void {
    if (this.#skipping) return
    if (this.#heldBytes + chunk.length - from <= this.#maxBytes) {
      this.#append(chunk, from, chunk.length)
      return
    }
    this.#skipping = true
    this.#held = new Uint8Array(0)
    this.#heldBytes = 0
    this.#sink.tooLong(this.#line)
  }

  #append(chunk: Uint8Array, from: number, to: number): void {
    const bytes = this.#heldBytes + to - from
    if (bytes > this.#held.length) {
      const larger = new Uint8Array(Math.max(bytes, Math.min(this.#held.length * 2, this.#maxBytes)))
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(chunk.subarray(from, to), this.#heldBytes)
    this.#heldBytes = bytes
  }
}
