/**
 * What an iterator is asked for, checked and encoded: it does not change while the iterator is open.
 *
 * Cost: a few objects an iterator.
 */
import { invalidArgument } from '../../base/errors.ts'
import { describe, takeCopy } from '../../encoding/encoding.ts'
import type { Scratch, Transcoder } from '../../encoding/encoding.ts'
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
  /** How `seek` targets are encoded, and where. */
  targets: Transcoder
  targetScratch: Scratch
  snapshotSeq: number
  /** Of a transaction: what it has written lies over the store. */
  overlay?: ScanOverlay
}

/** @internal */
export interface ScanOverlay {
  /** Change when a scan has to be made anew, and when it has to look up its place again. */
  readonly generation: number
  readonly lastSeq: number
  open(snapshotSeq: number, reverse: boolean): EntryScan
  /** The iterator is closed. */
  close(): void
}

/** Direction and limit as given, checked and completed. */
export function checkedOrder({ reverse = false, limit }: Pick<OrderOptions, 'reverse' | 'limit'>): Pick<IteratorPlan, 'reverse' | 'limit'> {
  if (typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
  if (limit !== undefined && limit !== Infinity && (!Number.isSafeInteger(limit) || limit < -1)) {
    throw invalidArgument(`limit must be a whole number, or -1 or Infinity for all, not ${describe(limit)}`)
  }
  return { reverse, limit: limit === undefined || limit === -1 ? Infinity : limit }
}

/** The bytes of a `seek` target. */
export function encodeTarget({ targets, targetScratch }: IteratorPlan, target: unknown): Uint8Array {
  encodeKey(target, targets, targetScratch)
  return takeCopy(targetScratch)
}

/** Whether many entries can be had at once: backward and under what a transaction has written it goes entry by entry. */
export function isPackable({ reverse, overlay }: IteratorPlan): boolean {
  return !reverse && overlay === undefined
}
