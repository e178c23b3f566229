/**
 * Memory of decoded keys and values, as JavaScript values, by encoding.
 *
 * Invariant: prefetched entries, which are leased by these figures, take no more (JSON and users' codecs: usually).
 */
import type { Host } from '../../host/host.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import { isPackable } from './iterator-plan.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import type { RowShape } from './kernel-scan.ts'

/** An array for key and value, and its slot in the chunk. */
const ENTRY_BYTES = 64

/** A Buffer on V8's heap, without its bytes; measured 104 and more. */
const BUFFER_OBJECT_BYTES = 96

/** Bytes of a decoded entry. An undefined transcoder is not decoded. */
export function entryBytes(keys: Transcoder | undefined, keyBytes: number, values: Transcoder | undefined, valueBytes: number): number {
  return ENTRY_BYTES + (keys === undefined ? 0 : decodedBytes(keys, keyBytes)) + (values === undefined ? 0 : decodedBytes(values, valueBytes))
}

/** Memory of decoded rows for the kernel; undefined: this plan goes entry by entry. */
export function rowShape(plan: IteratorPlan): RowShape | undefined {
  const { keys, values } = plan
  if (!isPackable(plan) || keys !== undefined && keys.packed === undefined || values !== undefined && values.packed === undefined) return undefined
  const [keyBytes, keyEighths] = packedCost(keys)
  const [valueBytes, valueEighths] = packedCost(values)
  return {
    withKeys: keys !== undefined, withValues: values !== undefined, costBytes: ENTRY_BYTES + keyBytes + valueBytes, keyEighths, valueEighths,
  }
}

/** Report entries given to the caller, which lie outside the budget: the host limits how many wait as garbage. */
export function reportExternalBytes({ keys, values }: IteratorPlan, host: Host, rows: number, keyBytes: number, valueBytes: number): void {
  const hasKeys = isBuffer(keys)
  const hasValues = isBuffer(values)
  if (!hasKeys && !hasValues) return
  const objectBytes = rows * ((hasKeys ? BUFFER_OBJECT_BYTES : 0) + (hasValues ? BUFFER_OBJECT_BYTES : 0))
  host.handedOut((hasKeys ? keyBytes : 0) + (hasValues ? valueBytes : 0), objectBytes)
}

/** Maximum size of a decoded key or value; measured (JSON and users' codecs: usual maximum). */
function decodedBytes({ name }: Transcoder, bytes: number): number {
  switch (name) {
    // Short text is built character by character; long text may take two bytes for each.
    case 'utf8': return bytes <= 12 ? 32 : bytes <= 24 ? 32 * (bytes - 10) : 2 * bytes + 32
    case 'view':
    case 'buffer': return bytes + (bytes >>> 3) + 224
    default: return 8 * bytes + 64
  }
}

/** `decodedBytes` for packed rows: a fixed part and eighths of a byte for each byte. */
function packedCost(transcoder: Transcoder | undefined): readonly [number, number] {
  if (transcoder === undefined) return [0, 0]
  switch (transcoder.name) {
    case 'utf8': return [48, 16]
    case 'view':
    case 'buffer': return [224, 9]
    default: return [64, 64]
  }
}

/** Whether decoded bytes lie outside V8's heap. */
function isBuffer(transcoder: Transcoder | undefined): boolean {
  return transcoder !== undefined && (transcoder.name === 'buffer' || transcoder.name === 'view')
}
