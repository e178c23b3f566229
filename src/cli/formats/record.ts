/**
 * What all record formats share. A reader is given chunks of any size and hands records to its sink; a writer appends one entry
 * to an output. Both hold one record at most.
 *
 * Bytes given to the sink are not changed afterwards, but may share memory with the chunk: use them before the next one comes.
 */

export interface RecordSink {
  /** `line` is where the record begins, counted from 1. */
  put(key: Uint8Array, value: Uint8Array, line: number): void
  /**
   * The record that begins in this line cannot be read. May throw, which ends the reading. `isLast`: what follows cannot be told
   * apart into records, so reading cannot continue behind it.
   */
  bad(line: number, message: string, isLast?: boolean): void
  /** A bad record that began in `line` ended in a later one: what stands between them was not read. */
  skipped?(line: number, lastLine: number): void
}

export interface RecordReader {
  push(chunk: Uint8Array): void
  /** The input is over: deal with what is left. */
  end(): void
}

/** Where writers put their bytes. */
export interface ByteOutput {
  add(data: Uint8Array | string): void
}

export interface RecordWriter {
  /** Once, before the first entry. */
  begin(output: ByteOutput): void
  /** Throws CommandError where the format cannot hold this entry so that it can be read back. */
  write(key: Uint8Array, value: Uint8Array, output: ByteOutput): void
}

export const NO_BYTES: Uint8Array = new Uint8Array(0)
export const LF = 0x0a
export const CR = 0x0d

/** Most bytes of one record, unless told otherwise. */
export const MAX_RECORD_BYTES: number = 16 * 1024 * 1024

/** The mark some programs put before UTF-8 text. */
export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
}

export function tooLong(maxBytes: number): string {
  return `longer than ${maxBytes} bytes, the most one record may have. Is the format right? --max-record raises the limit`
}
