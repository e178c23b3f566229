/** Writes columns key and value for the CSV reader. */
import { SIGNATURE_BYTES, signatureOf } from './signature.ts'
import type { ByteOutput, RecordWriter } from './record.ts'

export interface CsvWriterOptions {
  /** Default a comma. */
  separator?: number
  /** Default true. */
  header?: boolean
  /** Only the key column. Default false. */
  keysOnly?: boolean
}

const QUOTE = 0x22
const QUOTE_BYTES = Buffer.from('"')
const QUOTES_BYTES = Buffer.from('""')
const NEWLINE = Buffer.from('\n')

export class CsvWriter implements RecordWriter {
  readonly #separator: number
  readonly #separatorBytes: Uint8Array
  readonly #header: boolean
  readonly #keysOnly: boolean
  /** The first bytes must not form a signature. */
  #first = true

  constructor(options: CsvWriterOptions = {}) {
    this.#separator = options.separator ?? 0x2c
    this.#separatorBytes = Uint8Array.of(this.#separator)
    this.#header = options.header !== false
    this.#keysOnly = options.keysOnly === true
  }

  begin(output: ByteOutput): void {
    if (this.#header) this.write(Buffer.from('key'), Buffer.from('value'), output)
  }

  write(key: Uint8Array, value: Uint8Array, output: ByteOutput): void {
    this.#field(key, output, this.#first && this.#looksLikeAnother(key, value))
    this.#first = false
    if (!this.#keysOnly) {
      output.add(this.#separatorBytes)
      this.#field(value, output)
    }
    output.add(NEWLINE)
  }

  /** Also if the signature extends into the value. */
  #looksLikeAnother(key: Uint8Array, value: Uint8Array): boolean {
    return signatureOf(Buffer.concat([key.subarray(0, SIGNATURE_BYTES), this.#separatorBytes, value.subarray(0, SIGNATURE_BYTES)])) !== undefined
  }

  #field(bytes: Uint8Array, output: ByteOutput, mustQuote = false): void {
    if (!mustQuote && !this.#needsQuotes(bytes)) {
      output.add(bytes)
      return
    }
    output.add(QUOTE_BYTES)
    let from = 0
    for (let at = bytes.indexOf(QUOTE); at >= 0; at = bytes.indexOf(QUOTE, from)) {
      output.add(bytes.subarray(from, at))
      output.add(QUOTES_BYTES)
      from = at + 1
    }
    output.add(bytes.subarray(from))
    output.add(QUOTE_BYTES)
  }

  #needsQuotes(bytes: Uint8Array): boolean {
    // A row of one empty field would be an empty line.
    if (bytes.length === 0) return this.#keysOnly
    const first = bytes[0]!
    if (first === 0x20 || bytes[bytes.length - 1] === 0x20) return true
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (byte < 0x20 || byte === QUOTE || byte === this.#separator) return true
    }
    return false
  }
}
