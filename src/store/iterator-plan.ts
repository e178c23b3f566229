/**
 * What an iterator is asked for, checked and encoded: it does not change while the iterator is open.
 *
 * Cost: a few objects an iterator.
 */
import { copyOf } from './encoding.ts'
import type { Scratch, Transcoder } from './encoding.ts'
import { encodeKey } from './operations.ts'
import type { ByteRange } from './range.ts'
import type { EntryScan } from './scan.ts'

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
  readonly shape: number
  readonly lastSeq: number
  open(snapshotSeq: number, reverse: boolean): EntryScan
  /** The iterator is closed. */
  close(): void
}

/** The bytes of a `seek` target. */
export function encodeTarget({ targets, targetScratch }: IteratorPlan, target: unknown): Uint8Array {
  encodeKey(target, targets, targetScratch)
  return copyOf(targetScratch.bytes, targetScratch.start, targetScratch.end)
}

/** Whether many entries can be had at once: backward and under what a transaction has written it goes entry by entry. */
export function isPackable({ reverse, overlay }: IteratorPlan): boolean {
  return !reverse && overlay === undefined
}
