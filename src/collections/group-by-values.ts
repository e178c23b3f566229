/**
 * Encoding of spilled accumulators, and of items without `encoding`.
 *
 * JSON where it is lossless: a third of the time of a structured clone, and no memory outside the heap. Otherwise
 * `spill-map-values.ts`, whose tags no JSON begins with.
 */
import { isPlainObject } from '../base/realms.ts'
import { transcoder } from '../encoding/encoding.ts'
import type { LargeValue, Transcoder } from '../encoding/encoding.ts'
import { anyValue } from './spill-map-values.ts'

const json = transcoder('json', 'encoding')
const OBJECT = 0x7b
const ARRAY = 0x5b
/** Deeper values may be cyclic. */
const MAX_DEPTH = 16

export const groupValue: Transcoder = {
  name: 'any',
  encode(value, scratch) {
    if (typeof value === 'object' && value !== null && isJson(value, 0)) json.encode(value, scratch)
    else anyValue.encode(value, scratch)
  },
  decode(bytes, start, end) {
    const first = bytes[start]
    return (first === OBJECT || first === ARRAY ? json : anyValue).decode(bytes, start, end)
  },
  decodeLarge(value: LargeValue) {
    const bytes = value.bytes()
    return this.decode(bytes, 0, bytes.length)
  },
}

function isJson(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string': case 'boolean': return true
    case 'number': return Number.isFinite(value) && !Object.is(value, -0)
    case 'object': break
    default: return false
  }
  if (value === null) return true
  if (depth === MAX_DEPTH) return false
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (!isJson(value[i], depth + 1)) return false
    return true
  }
  if (!isPlainObject(value)) return false
  for (const name in value) if (!isJson((value as Record<string, unknown>)[name], depth + 1)) return false
  return true
}
