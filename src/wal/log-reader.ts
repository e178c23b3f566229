/**
 * Reads a log segment. Twin: `log-writer.ts`; bytes: `frame.ts`.
 *
 * What may be missing:
 * - after a process died: only the end of the last frame;
 * - after the machine died or the volume was detached: any unsynced data, in any order; reading ends at the first gap;
 * - data that could not be written back reads as zeros once its pages were evicted, while the file system stays mounted.
 *
 * So a bad frame is an unfinished write when no good frame follows it, or when no later frame says that this place was synced and
 * either the file system was mounted again since or there are zeros in its place (`hasHole`). Everything else is damage: a
 * CorruptionError. Zeros, which a frequently syncing writer puts ahead, end the segment like an unfinished write. Segments become
 * durable in order, so a frame that knows part of its own segment to be synced vouches for all earlier segments.
 *
 * Invariants
 * 1. Delivered operations are a prefix of the written ones, without holes, in sequence order.
 * 2. A batch is delivered whole or not at all.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import { findFrame, hasHole, readFrame, visitFrame, walkFrames } from './frame-reader.ts'
import type { LogVisitor } from './frame-reader.ts'
import { FLAG_CONTINUES, LOG_FORMAT, MAX_FRAME_BYTES, SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, checksum, mountHash, readU32, readU64, writeU64 } from './frame.ts'

export type { LogVisitor } from './frame-reader.ts'

/** Whether the file an operation refers to is complete, so that the machine cannot have lost it. */
export type LogCheck = (seq: number, kind: number, bytes: Uint8Array, valueStart: number, valueEnd: number) => boolean

export interface LogContents {
  /** Of the first operation; undefined: none, and none was expected. */
  firstSeq: number | undefined
  /** End of the last whole batch: truncate the segment here. */
  endOffset: number
  /** After the last delivered operation. */
  nextSeq: number | undefined
  operations: number
  /** Length that was durable when the latest good frame was written. */
  syncedBytes: number
  /** Bytes after `endOffset` given up as unfinished, zeros not counted. */
  droppedBytes: number
  /** All bytes after `endOffset`. */
  tailBytes: number
  /** Nothing was delivered because an earlier segment lost its end when the machine died. */
  gap: boolean
  /** Writes after `endOffset` may be missing that were not written back: a later segment may begin beyond it. */
  isCut: boolean
}

export interface ScanOptions {
  /** Of the first frame. Undefined: any up to `latestFirstSeq`. */
  expectedSeq?: number | undefined
  latestFirstSeq?: number
  /** See `readLog`. */
  isWhole?: LogCheck
  /** `isWhole` under the same mount, for files that could not be written back. */
  isKept?: LogCheck
  /** An earlier segment was cut: see `LogContents.isCut`. */
  isBehindCut?: boolean
  /** Length of the history in this segment; what follows was written by a fenced owner. Default: all of it. */
  endBytes?: number
  /** The history continues in another segment from this sequence number on. */
  untilSeq?: number
}

/** Reusable read buffer, one per recovery. */
export const LOG_READ_BUFFER_BYTES: number = MAX_FRAME_BYTES

/**
 * Deliver every operation of a segment. `expectedSeq`: the sequence number of its first frame; undefined: any up to
 * `latestFirstSeq`. After a restart of the machine, reading ends before the first batch with an operation that `isWhole` denies and
 * no later frame vouches for. Throws CorruptionError, or UNAVAILABLE for another format.
 */
export function readLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, mountId: string,
  expectedSeq: number | undefined, visit: LogVisitor, latestFirstSeq = Infinity, isWhole: LogCheck = () => true,
): LogContents {
  const contents = scanLog(file, fileNumber, buffer, kernels, mountId, { expectedSeq, latestFirstSeq, isWhole })
  deliverLog(file, fileNumber, buffer, kernels, contents, visit)
  return contents
}

/** How far a segment is good, and where its last whole batch ends, without delivering. Throws as `readLog` does. */
export function scanLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, mountId: string,
  { expectedSeq, latestFirstSeq = Infinity, isWhole = () => true, isKept = () => true, isBehindCut = false, endBytes = Infinity, untilSeq }: ScanOptions = {},
): LogContents {
  const size = Math.min(file.size(), endBytes)
  const header = readSegmentHeader(file, fileNumber, size, buffer, kernels)
  if (header === undefined) return { firstSeq: expectedSeq, endOffset: 0, nextSeq: expectedSeq, operations: 0, syncedBytes: 0, droppedBytes: size, tailBytes: size, gap: false, isCut: size > 0 }
  const mount = mountHash(kernels, mountId)
  const isSameMount = mountId !== '' && mount.high === header.mountHigh && mount.low === header.mountLow

  let offset = SEGMENT_HEADER_BYTES
  let batchEnd = offset
  if (expectedSeq === undefined && readFrame(file, fileNumber, offset, size, buffer, kernels) > 0) {
    expectedSeq = Math.min(readU64(buffer, 16), latestFirstSeq)
  }
  let seq = expectedSeq ?? 0
  let batchSeq = seq
  let syncedBytes = 0
  let isCut = false
  while (offset < size) {
    const frameBytes = readFrame(file, fileNumber, offset, size, buffer, kernels)
    if (seq === untilSeq) break
    if (frameBytes === 0 || readU64(buffer, 16) !== seq) {
      if (frameBytes > 0 && offset === SEGMENT_HEADER_BYTES && (!isSameMount || isBehindCut) && readU64(buffer, 16) > seq) {
        refuseDurableGap(file, fileNumber, size, buffer, kernels, seq)
        return { firstSeq: seq, endOffset: offset, nextSeq: seq, operations: 0, syncedBytes: 0, droppedBytes: size - offset, tailBytes: size - offset, gap: true, isCut: true }
      }
      refuseDamage(file, fileNumber, offset, size, buffer, kernels, isSameMount, frameBytes !== 0, seq)
      break
    }
    if (!isFrameWhole(buffer, seq, isSameMount ? isKept : isWhole)) {
      isCut = findFrame(file, fileNumber, offset, size, buffer, kernels, offset) < 0
      if (isCut) break
      readFrame(file, fileNumber, offset, size, buffer, kernels)
    }
    const synced = readU64(buffer, 24)
    if (synced > syncedBytes) syncedBytes = synced
    seq += readU32(buffer, 32)
    offset += frameBytes
    if ((readU32(buffer, 36) & FLAG_CONTINUES) === 0) {
      batchEnd = offset
      batchSeq = seq
    }
  }
  return {
    firstSeq: expectedSeq,
    endOffset: batchEnd,
    nextSeq: expectedSeq === undefined ? undefined : batchSeq,
    operations: expectedSeq === undefined ? 0 : batchSeq - expectedSeq,
    syncedBytes,
    droppedBytes: isZero(file, batchEnd, size, buffer) ? 0 : size - batchEnd,
    tailBytes: size - batchEnd,
    gap: false,
    isCut: isCut || hasHole(file, batchEnd, size, buffer),
  }
}

/** Deliver the good part of a segment. */
export function deliverLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, { firstSeq, endOffset }: Pick<LogContents, 'firstSeq' | 'endOffset'>, visit: LogVisitor,
): void {
  let next = firstSeq ?? 0
  walkFrames(file, fileNumber, buffer, kernels, endOffset, () => { next = visitFrame(buffer, next, visit) })
}

/** Of a segment's first operation; undefined: its beginning is bad, or it holds none. */
export function firstSeqOf(file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels): number | undefined {
  return readFrame(file, fileNumber, SEGMENT_HEADER_BYTES, file.size(), buffer, kernels) > 0 ? readU64(buffer, 16) : undefined
}

/** Undefined: a crash interrupted writing it. Throws CorruptionError, or UNAVAILABLE for another format. */
export function readSegmentHeader(file: HostFile, fileNumber: number, size: number, buffer: Uint8Array, kernels: Kernels):
{ mountHigh: number, mountLow: number } | undefined {
  const got = file.readSync(buffer, 0, Math.min(size, SEGMENT_HEADER_BYTES), 0)
  let bad = got < SEGMENT_HEADER_BYTES
  if (!bad) {
    checksum(kernels, buffer, 0, SEGMENT_HEADER_BYTES - 8, fileNumber, 0)
    bad = readU32(buffer, 32) !== kernels.hashLow || readU32(buffer, 36) !== kernels.hashHigh
      || SEGMENT_MAGIC.some((byte, i) => buffer[i] !== byte) || readU64(buffer, 16) !== fileNumber
  }
  if (bad) {
    // A segment whose creation was interrupted holds nothing yet. After a power loss its beginning may be missing while later
    // frames exist; a frame that vouches for the beginning makes that damage.
    if (isUnfinishedHeader(buffer, got, fileNumber) && findFrame(file, fileNumber, 0, size, buffer, kernels, 0) < 0) return undefined
    throw new CorruptionError(file.path, 0, `the header of the log segment is damaged, or not that of segment ${fileNumber}`)
  }
  const format = readU32(buffer, 8)
  if (format !== LOG_FORMAT) {
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `${file.path} has log format ${format}, this version reads ${LOG_FORMAT}. Open it with a newer Spillway`,
      { details: { file: file.path, format, supported: LOG_FORMAT } },
    )
  }
  return { mountLow: readU32(buffer, 24), mountHigh: readU32(buffer, 28) }
}

/** Whether a bad header is what a crash leaves of a good one: its beginning, or nothing, and then zeros. */
function isUnfinishedHeader(header: Uint8Array, bytes: number, fileNumber: number): boolean {
  let end = bytes
  while (end > 0 && header[end - 1] === 0) end--
  if (end === SEGMENT_HEADER_BYTES) return false
  const known = new Uint8Array(24)
  known.set(SEGMENT_MAGIC)
  known[8] = LOG_FORMAT
  writeU64(known, 16, fileNumber)
  for (let i = 0; i < end && i < known.length; i++) if (header[i] !== known[i]) return false
  return true
}

/** Whether the bytes between two offsets are zero. */
export function isZero(file: HostFile, start: number, end: number, buffer: Uint8Array): boolean {
  while (start < end) {
    const got = file.readSync(buffer, 0, Math.min(end - start, buffer.length), start)
    for (let i = 0; i < got; i++) if (buffer[i] !== 0) return false
    if (got === 0) break
    start += got
  }
  return true
}

/** The bytes at `offset` are bad. Returns when that may be an unfinished write, throws when it is damage. */
function refuseDamage(
  file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels,
  isSameMount: boolean, frameIsGood: boolean, expectedSeq: number,
): void {
  if (frameIsGood) {
    const found = readU64(buffer, 16)
    throw new CorruptionError(
      file.path, offset, `this frame starts with sequence number ${found}, expected ${expectedSeq}: something before it is missing`,
    )
  }
  const good = findFrame(file, fileNumber, offset, size, buffer, kernels, isSameMount ? -1 : offset)
  if (good < 0) return
  const isLost = isSameMount && hasHole(file, offset, good, buffer) && findFrame(file, fileNumber, offset, size, buffer, kernels, offset) < 0
  if (!isLost) throw new CorruptionError(file.path, offset, `a damaged frame, with a good one after it at offset ${good}`)
}

/** Earlier segments lost their end with the machine; it must not have been durable. */
function refuseDurableGap(
  file: HostFile, fileNumber: number, size: number, buffer: Uint8Array, kernels: Kernels, expectedSeq: number,
): void {
  const found = readU64(buffer, 16)
  if (findFrame(file, fileNumber, SEGMENT_HEADER_BYTES - 8, size, buffer, kernels, 0) < 0) return
  throw new CorruptionError(
    file.path, SEGMENT_HEADER_BYTES,
    `the log goes on at sequence number ${found}, expected ${expectedSeq}: something before it is missing that had been made durable`,
  )
}

/** Whether all files the operations refer to are complete. The frame in the buffer is well-formed. */
function isFrameWhole(buffer: Uint8Array, firstSeq: number, isWhole: LogCheck): boolean {
  let whole = true
  visitFrame(buffer, firstSeq, (seq, kind, bytes, _keyStart, _keyEnd, valueStart, valueEnd) => {
    whole &&= isWhole(seq, kind, bytes, valueStart, valueEnd)
  })
  return whole
}

