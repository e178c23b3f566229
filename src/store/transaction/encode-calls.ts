/**
 * Calls of a transaction as operations, checked and encoded into the store's scratch, valid until the next call. After a wait they
 * must be encoded again or copied.
 *
 * Cost: no copies except the reference to a large value, which is written to its file here.
 */
import { EMPTY, KIND_DELETE, KIND_PUT } from '../../base/cursor.ts'
import { invalidArgument } from '../../base/errors.ts'
import { checkOptions } from '../../base/option-names.ts'
import { checkLengths, encodeKey, encodeValue } from '../api/operations.ts'
import { RANGE_OPTIONS, byteRange } from '../api/key-range.ts'
import { removeRange } from '../write/range-delete.ts'
import { WRITE_OPTIONS, keyTranscoder, valueTranscoder } from './transaction-settings.ts'
import type { TransactionParts } from './transaction-settings.ts'
import { storedValue } from '../staged/staged-values.ts'
import type { StoredValue } from '../staged/staged-values.ts'
import type { AnyEncodings } from '../../encoding/encoding-types.ts'
import type { RangeOptions } from '../api/options.ts'

export interface EncodedCall {
  kind: number
  key: Uint8Array
  keyStart: number
  keyEnd: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  /** Nothing is written: the key was read for update. */
  isRead: boolean
  /** Of a put: its value, or a reference to its file. */
  stored: StoredValue | undefined
}

export function loadPut(parts: TransactionParts, key: unknown, value: unknown, options: AnyEncodings | undefined): EncodedCall {
  const { core, committer, keyScratch, valueScratch } = parts
  if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'put')
  encodeKey(key, keyTranscoder(core, options), keyScratch)
  encodeValue(key, value, valueTranscoder(core, options), valueScratch)
  const { start, end, longText } = valueScratch
  checkLengths(keyScratch.end - keyScratch.start, end - start)
  if (longText !== '' || end - start > core.engine.plan.inlineValueBytes) {
    core.health.checkWritable()
    committer.commitPending()
  }
  const stored = storedValue(core, { kind: KIND_PUT, value: valueScratch.bytes, valueStart: start, valueEnd: end, longText })
  return {
    kind: stored.kind, key: keyScratch.bytes, keyStart: keyScratch.start, keyEnd: keyScratch.end,
    value: stored.bytes, valueStart: stored.start, valueEnd: stored.end, isRead: false, stored,
  }
}

export function loadDel(parts: TransactionParts, key: unknown, options: AnyEncodings | undefined): EncodedCall {
  return loadKey(parts, key, options, 'del', false)
}

export function loadRead(parts: TransactionParts, key: unknown, options: AnyEncodings | undefined): EncodedCall {
  return loadKey(parts, key, options, 'getForUpdate', true)
}

function loadKey(parts: TransactionParts, key: unknown, options: AnyEncodings | undefined, where: string, isRead: boolean): EncodedCall {
  const { core, keyScratch } = parts
  if (options !== undefined) checkOptions(options, WRITE_OPTIONS, where)
  encodeKey(key, keyTranscoder(core, options), keyScratch)
  checkLengths(keyScratch.end - keyScratch.start, 0)
  return {
    kind: KIND_DELETE, key: keyScratch.bytes, keyStart: keyScratch.start, keyEnd: keyScratch.end,
    value: EMPTY, valueStart: 0, valueEnd: 0, isRead, stored: undefined,
  }
}

/**
 * Usually one operation with bytes of its own; see `range-delete.ts` for the longest possible key. `behindLastKey`: the first key
 * behind all visible ones, undefined if there are none.
 */
export function loadRange(
  parts: TransactionParts, range: RangeOptions<any>, options: AnyEncodings | undefined, behindLastKey: () => Uint8Array | undefined,
): EncodedCall[] {
  if (range === undefined || range === null) throw invalidArgument('deleteRange takes a range such as { gte, lt }; {} removes everything')
  if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'deleteRange')
  checkOptions(range, RANGE_OPTIONS, 'deleteRange')
  const bytes = byteRange(range, keyTranscoder(parts.core, options), parts.keyScratch)
  const start = bytes.start ?? EMPTY
  const loaded: EncodedCall[] = []
  removeRange(start, bytes.end ?? behindLastKey(), { add: (kind, key, value) => { loaded.push(operation(kind, key, value)) } })
  return loaded
}

function operation(kind: number, key: Uint8Array, value: Uint8Array): EncodedCall {
  return { kind, key, keyStart: 0, keyEnd: key.length, value, valueStart: 0, valueEnd: value.length, isRead: false, stored: undefined }
}
