/** A range as bytes: [start, end), either side may be open. */
import { compareBytes } from '../../base/bytes.ts'
import { invalidArgument } from '../../base/errors.ts'
import { takeCopy } from '../../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
import { encodeKey } from './operations.ts'
import type { RangeOptions } from './options.ts'

export const RANGE_OPTIONS = ['gt', 'gte', 'lt', 'lte'] as const

export interface ByteRange {
  /** First key inside; undefined = open. */
  start: Uint8Array | undefined
  /** First key outside; undefined = open. */
  end: Uint8Array | undefined
}

/**
 * Bytes of a range with checked option names. Throws INVALID_ARGUMENT for a bound that is undefined or null: it comes from an unset
 * variable and would silently widen the range.
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
    // The successor of a key is the key with a zero byte appended.
    return takeCopy(scratch, successor ? 1 : 0)
  }
  return {
    start: hasGte ? bytes('gte', false) : hasGt ? bytes('gt', true) : undefined,
    end: hasLt ? bytes('lt', false) : hasLte ? bytes('lte', true) : undefined,
  }
}

/** Whether any bound is given, even as undefined. */
export function hasBounds(range: object): boolean {
  return RANGE_OPTIONS.some(name => name in range)
}

export function isEmptyRange({ start, end }: ByteRange): boolean {
  return end !== undefined && (end.length === 0 || start !== undefined && compareBytes(start, 0, start.length, end, 0, end.length) >= 0)
}
