/**
 * The options of an iterator, checked and encoded. Immutable while the iterator is open.
 *
 * Cost: a few objects per iterator.
 */
import { invalidArgument } from '../../base/errors.ts'
import { describe, takeCopy } from '../../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
import type { OpenHandle } from '../../memory/open-handles.ts'
import { encodeKey } from '../api/operations.ts'
import type { ByteRange } from '../api/key-range.ts'
import type { EntryScan } from './entry-scan.ts'
import type { OrderOptions } from '../api/options.ts'

/** @internal */
export interface IteratorPlan {
  range: ByteRange
  reverse: boolean
  limit: number
  keys: Transcoder | undefined
  values: Transcoder | undefined
  /** Encoding of `seek` targets, and a buffer for one. */
  targets: Transcoder
  targetScratch: Scratch
  snapshotSeq: number
  /** In a transaction: its writes, laid over the store. */
  overlay?: ScanOverlay
  /** The snapshot or transaction it reads at, while handles are watched. */
  parent?: OpenHandle | undefined
}

/** @internal */
export interface ScanOverlay {
  /** A change of the first needs a new scan, of the second a new seek. */
  readonly generation: number
  readonly lastSeq: number
  open(snapshotSeq: number, reverse: boolean): EntryScan
  /** Called when the iterator is closed. */
  close(): void
}

/** Direction and limit, checked and completed. */
export function checkedOrder({ reverse = false, limit }: Pick<OrderOptions, 'reverse' | 'limit'>): Pick<IteratorPlan, 'reverse' | 'limit'> {
  if (typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
  if (limit !== undefined && limit !== Infinity && (!Number.isSafeInteger(limit) || limit < -1)) {
    throw invalidArgument(`limit must be a whole number, or -1 or Infinity for all, not ${describe(limit)}`)
  }
  return { reverse, limit: limit === undefined || limit === -1 ? Infinity : limit }
}

/** Encode a `seek` target. */
export function encodeTarget({ targets, targetScratch }: IteratorPlan, target: unknown): Uint8Array {
  encodeKey(target, targets, targetScratch)
  return takeCopy(targetScratch)
}

/** Whether the kernel can produce many rows at once; backward and under an overlay the scan goes entry by entry. */
export function isPackable({ reverse, overlay }: IteratorPlan): boolean {
  return !reverse && overlay === undefined
}
