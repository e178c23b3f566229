import { compareKeys } from '../base/bytes.ts'
import type { Args } from './command.ts'
import { UsageError } from './errors.ts'

export interface ByteRange {
  gte?: Uint8Array
  lt?: Uint8Array
}

/** Intersection of all given bounds. Throws UsageError for an empty one. */
export function rangeOf(args: Args): ByteRange {
  const lower: Uint8Array[] = []
  const upper: Uint8Array[] = []
  const bound = (name: string): Buffer | undefined => {
    const text = args.text(name)
    if (text === undefined) return undefined
    // An unset shell variable would turn a part into everything.
    if (text === '') throw new UsageError(`--${name} is empty. Omit it for a range without this bound`)
    return args.bytes(text)
  }
  const gte = bound('gte')
  const gt = bound('gt')
  const lte = bound('lte')
  const lt = bound('lt')
  const prefix = bound('prefix')
  if (gte !== undefined) lower.push(gte)
  if (gt !== undefined) lower.push(justAfter(gt))
  if (lte !== undefined) upper.push(justAfter(lte))
  if (lt !== undefined) upper.push(lt)
  if (prefix !== undefined) {
    lower.push(prefix)
    const end = afterPrefix(prefix)
    if (end !== undefined) upper.push(end)
  }
  const range: ByteRange = {}
  if (lower.length > 0) range.gte = lower.reduce((a, b) => compareKeys(a, b) < 0 ? b : a)
  if (upper.length > 0) range.lt = upper.reduce((a, b) => compareKeys(a, b) < 0 ? a : b)
  return range
}

/** The smallest larger key. */
export function justAfter(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

/** The smallest key above all with this prefix; undefined if there is none. */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  if (length === 0) return undefined
  const next = new Uint8Array(prefix.subarray(0, length)) // a copy: slice() of a Buffer is a view
  next[length - 1]!++
  return next
}
