/** A range as the user gave it, as bytes: [start, end), either side open. */
import { compareBytes } from '../base/bytes.ts'
import { invalidArgument } from '../base/errors.ts'
import { takeCopy } from './encoding.ts'
import type { Scratch, Transcoder } from './encoding.ts'
import { encodeKey } from './operations.ts'
import type { RangeOptions } from './types.ts'

export const RANGE_OPTIONS = ['gt', 'gte', 'lt', 'lte']

export interface ByteRange {
  /** First key inside; undefined = from the beginning. */
  start: Uint8Array | undefined
  /** First key behind; undefined = to the end. */
  end: Uint8Array | undefined
}

export function byteRange(range: RangeOptions<unknown>, keys: Transcoder, scratch: Scratch): ByteRange {
  if (range.gt !== undefined && range.gte !== undefined) throw invalidArgument('give either gt or gte, not both')
  if (range.lt !== undefined && range.lte !== undefined) throw invalidArgument('give either lt or lte, not both')
  const bytes = (key: unknown, successor: boolean): Uint8Array => {
    encodeKey(key, keys, scratch)
    // The next possible key is the same one with a zero byte behind it.
    return takeCopy(scratch, successor ? 1 : 0)
  }
  return {
    start: range.gte !== undefined ? bytes(range.gte, false) : range.gt !== undefined ? bytes(range.gt, true) : undefined,
    end: range.lt !== undefined ? bytes(range.lt, false) : range.lte !== undefined ? bytes(range.lte, true) : undefined,
  }
}

export function isEmptyRange({ start, end }: ByteRange): boolean {
  return end !== undefined && (end.length === 0 || start !== undefined && compareBytes(start, 0, start.length, end, 0, end.length) >= 0)
}
