/** A range as the user gave it, as bytes: [start, end), either side open. */
import { compareBytes } from '../../base/bytes.ts'
import { invalidArgument } from '../../base/errors.ts'
import { takeCopy } from '../../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
import { encodeKey } from './operations.ts'
import type { RangeOptions } from './options.ts'

export const RANGE_OPTIONS = ['gt', 'gte', 'lt', 'lte'] as const

export interface ByteRange {
  /** First key inside; undefined = from the beginning. */
  start: Uint8Array | undefined
  /** First key behind; undefined = to the end. */
  end: Uint8Array | undefined
}

/**
 * The bytes of a range whose option names were checked. Throws INVALID_ARGUMENT for a bound that is there and undefined or null: it comes
 * from a variable that was never set, and would make everything of what was meant as a part.
 */
export function byteRange(range: RangeOptions<unknown>, keys: Transcoder, scratch: Scratch): ByteRange {
  const hasGt = 'gt' in range
  const hasGte = 'gte' in range
  const hasLt = 'lt' in range
  const hasLte = 'lte' in range
  if (hasGt && hasGte) throw invalidArgument('give either gt or gte, not both')
  if (hasLt && hasLte) throw invalidArgument('give either lt or lte, not both')
  const bytes = (name: keyof RangeOptions<unknown>, successor: boolean): Uint8Array => {
    const key = range[name]
    if (key === undefined || key === null) {
      throw invalidArgument(`${name} is ${key}; a bound must be a key. Leave ${name} out for a range without this bound`, { option: name })
    }
    encodeKey(key, keys, scratch)
    // The next possible key is the same one with a zero byte behind it.
    return takeCopy(scratch, successor ? 1 : 0)
  }
  return {
    start: hasGte ? bytes('gte', false) : hasGt ? bytes('gt', true) : undefined,
    end: hasLt ? bytes('lt', false) : hasLte ? bytes('lte', true) : undefined,
  }
}

/** Whether any bound is given, if only as undefined. */
export function hasBounds(range: object): boolean {
  return RANGE_OPTIONS.some(name => name in range)
}

export function isEmptyRange({ start, end }: ByteRange): boolean {
  return end !== undefined && (end.length === 0 || start !== undefined && compareBytes(start, 0, start.length, end, 0, end.length) >= 0)
}
