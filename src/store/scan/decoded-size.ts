/**
 * What keys and values take as the caller's: as JavaScript values, by their encoding.
 *
 * Invariant: entries that are read ahead take no more than is said here (of JSON and users' codecs: usually), for they are leased by it.
 */
import type { Host } from '../../host/host.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import { isPackable } from './iterator-plan.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { RowShape } from './kernel-scan.ts'

/** An array for key and value, and its place in the chunk. */
const ENTRY_BYTES = 64

/** A Buffer on V8's heap, at least, without what it is a view of; measured 104 and more. */
const BUFFER_OBJECT_BYTES = 96

/** An entry with so many bytes of key and value; undefined: not decoded. */
export function entryBytes(keys: Transcoder | undefined, keyBytes: number, values: Transcoder | undefined, valueBytes: number): number {
  return ENTRY_BYTES + (keys === undefined ? 0 : decodedBytes(keys, keyBytes)) + (values === undefined ? 0 : decodedBytes(values, valueBytes))
}

/** What packed rows are to have; undefined: this plan goes entry by entry. */
export function rowShape(plan: IteratorPlan): RowShape | undefined {
  const { keys, values } = plan
  if (!isPackable(plan) || keys !== undefined && keys.packed === undefined || values !== undefined && values.packed === undefined) return undefined
  const [keyBytes, keyEighths] = packedCost(keys)
  const [valueBytes, valueEighths] = packedCost(values)
  return {
    withKeys: keys !== undefined, withValues: values !== undefined, costBytes: ENTRY_BYTES + keyBytes + valueBytes, keyEighths, valueEighths,
  }
}

/** What is the caller's from now on lies outside the budget: the host sees to it that not too much of it waits as garbage. */
export function reportExternalBytes({ keys, values }: IteratorPlan, host: Host, rows: number, keyBytes: number, valueBytes: number): void {
  const hasKeys = isBuffer(keys)
  const hasValues = isBuffer(values)
  if (!hasKeys && !hasValues) return
  const objectBytes = rows * ((hasKeys ? BUFFER_OBJECT_BYTES : 0) + (hasValues ? BUFFER_OBJECT_BYTES : 0))
  host.handedOut((hasKeys ? keyBytes : 0) + (hasValues ? valueBytes : 0), objectBytes)
}

/** Most that a decoded key or value takes, by its encoding; measured (of JSON and users' codecs: usually the most). */
function decodedBytes({ name }: Transcoder, bytes: number): number {
  switch (name) {
    // Short text is put together character by character, long text may take two bytes for each.
    case 'utf8': return bytes <= 12 ? 32 : bytes <= 24 ? 32 * (bytes - 10) : 2 * bytes + 32
    case 'view':
    case 'buffer': return bytes + (bytes >>> 3) + 224
    default: return 8 * bytes + 64
  }
}

/** As `decodedBytes`, of what comes from packed rows: so much, and so many eighths for each byte. */
function packedCost(transcoder: Transcoder | undefined): readonly [number, number] {
  if (transcoder === undefined) return [0, 0]
  switch (transcoder.name) {
    case 'utf8': return [48, 16]
    case 'view':
    case 'buffer': return [224, 9]
    default: return [64, 64]
  }
}

/** Whether the bytes of what it decodes lie outside V8's heap. */
function isBuffer(transcoder: Transcoder | undefined): boolean {
  return transcoder !== undefined && (transcoder.name === 'buffer' || transcoder.name === 'view')
}
