/** Refuses entries that the lines reader would not read back unchanged. */
import { describeBytes } from '../../base/bytes.ts'
import { CommandError } from '../errors.ts'
import { CR, LF, NO_BYTES } from './record.ts'
import type { ByteOutput, RecordWriter } from './record.ts'
import { SIGNATURE_BYTES, signatureOf } from './signature.ts'

export interface LinesWriterOptions {
  format: 'lines' | 'nul'
  separator?: Uint8Array
  /** Default false: a value needs a separator. */
  keysOnly?: boolean
}

const NEWLINE = Buffer.from('\n')
const ZERO = Buffer.from('\0')

export class LinesWriter implements RecordWriter {
  readonly #isText: boolean
  readonly #separator: Uint8Array | undefined
  readonly #keysOnly: boolean
  /** As many bytes as a signature needs. */
  #start: Uint8Array = NO_BYTES

  constructor(options: LinesWriterOptions) {
    this.#isText = options.format === 'lines'
    this.#keysOnly = options.keysOnly === true
    this.#separator = this.#keysOnly ? undefined : options.separator
  }

  begin(): void {}

  write(key: Uint8Array, value: Uint8Array, output: ByteOutput): void {
    const terminator = this.#isText ? LF : 0
    const separator = this.#separator
    if (separator === undefined) {
      if (value.length > 0 && !this.#keysOnly) refuse(key, "it has a value. Give --separator '\\t', or --keys-only to leave values out")
      if (this.#isText && key.length === 0) refuse(key, 'an empty line would be skipped')
    } else {
      // An earlier separator may form where key and separator meet.
      const joined = Buffer.concat([key, separator])
      if (joined.indexOf(separator) < key.length) refuse(key, 'the key contains the separator')
      if (value.includes(terminator)) refuse(key, `the value contains ${this.#isText ? 'a newline' : 'a zero byte'}`)
    }
    if (key.includes(terminator)) refuse(key, `the key contains ${this.#isText ? 'a newline' : 'a zero byte'}`)
    if (this.#isText) {
      const last = separator === undefined ? key : value.length > 0 ? value : separator
      if (last[last.length - 1] === CR) refuse(key, 'a carriage return at the end of a line would be dropped')
      if (key.includes(0) || (separator !== undefined && value.includes(0))) refuse(key, 'text has no zero bytes')
    }
    this.#begin(key, separator === undefined ? [] : [separator, value], terminator)
    output.add(key)
    if (separator !== undefined) {
      output.add(separator)
      output.add(value)
    }
    output.add(this.#isText ? NEWLINE : ZERO)
  }

  #begin(key: Uint8Array, more: Uint8Array[], terminator: number): void {
    if (this.#start.length === SIGNATURE_BYTES) return
    const parts = [this.#start, ...[key, ...more].map(part => part.subarray(0, SIGNATURE_BYTES)), Uint8Array.of(terminator)]
    this.#start = Buffer.concat(parts).subarray(0, SIGNATURE_BYTES)
    const signature = signatureOf(this.#start, this.#isText)
    if (signature !== undefined) refuse(key, `a file that begins like this would be read as ${signature.name}`)
  }
}

function refuse(key: Uint8Array, why: string): never {
  throw new CommandError('NOT_REPRESENTABLE', `the entry with key "${describeBytes(key)}" does not fit this format: ${why}. --format jsonl holds any entry`)
}
