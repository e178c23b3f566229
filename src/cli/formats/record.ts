/**
 * Interfaces of record formats. A reader takes chunks of any size and passes records to its sink; a writer appends one entry to an
 * output. Both hold one record at most.
 */

export interface RecordSink {
  /** `line`: its first, from 1. The bytes may share memory with the chunk: use them before the next one. */
  put(key: Uint8Array, value: Uint8Array, line: number): void
  /** May throw, which ends the reading. `isLast`: the rest cannot be split into records. */
  bad(line: number, message: string, isLast?: boolean): void
  /** A bad record that began in `line` ended in `lastLine`. */
  skipped?(line: number, lastLine: number): void
}

export interface RecordReader {
  push(chunk: Uint8Array): void
  end(): void
}

export interface ByteOutput {
  add(data: Uint8Array | string): void
}

export interface RecordWriter {
  /** Before the first entry. */
  begin(output: ByteOutput): void
  /** Throws CommandError if the entry could not be read back. */
  write(key: Uint8Array, value: Uint8Array, output: ByteOutput): void
}

export const NO_BYTES: Uint8Array = new Uint8Array(0)
export const LF = 0x0a
export const CR = 0x0d

/** Default. */
export const MAX_RECORD_BYTES: number = 16 * 1024 * 1024

export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

export function tooLong(maxBytes: number): string {
  return `longer than ${maxBytes} bytes, the limit of a record. Is the format right? --max-record raises it`
}
