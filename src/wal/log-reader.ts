/**
 * Reads a log segment. Twin: `log-writer.ts`; bytes: `frame.ts`.
 *
 * What may be missing:
 * - after a process died, everything written is there: only the last frame can be incomplete;
 * - after the machine died, anything not synced may be missing, in any order: reading ends at the first gap.
 *
 * So a bad frame is an unfinished write when no good frame follows it, or when the machine was restarted since and no later frame
 * says that this place was synced. Everything else is damage: a CorruptionError. Zeros, which a writer that syncs often puts ahead
 * of itself, end the segment like an unfinished write. Segments become durable in order, so a frame that knows part of its own
 * segment to be synced vouches for all earlier segments.
 *
 * Invariants
 * 1. Delivered operations are a prefix of the written ones, without holes, in sequence order.
 * 2. A batch is delivered whole or not at all.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import {
  FLAG_CONTINUES, FRAME_HEADER_BYTES, FRAME_MAGIC, KIND_DELETE_RANGE, LOG_FORMAT, MAX_FRAME_BYTES, OPERATION_HEADER_BYTES,
  SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, bootHash, checksum, paddedLength, readU32, readU64, writeU64,
} from './frame.ts'

/** Called for each operation, with views valid during the call. */
export type LogVisitor = (
  seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
) => void

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
  /** Bytes after `endOffset` given up as unfinished, zeros not counted. */
  droppedBytes: number
  /** All bytes after `endOffset`. */
  tailBytes: number
  /** Nothing was delivered because an earlier segment lost its end when the machine died. */
  gap: boolean
}

export interface ScanOptions {
  /** Of the first frame. Undefined: any up to `latestFirstSeq`. */
  expectedSeq?: number | undefined
  latestFirstSeq?: number
  /** See `readLog`. */
  isWhole?: LogCheck
  /** Length of the history in this segment; what follows was written by a fenced owner. Default: all of it. */
  endBytes?: number
  /** The history continues in another segment from this sequence number on. */
  untilSeq?: number
}

/** Reusable read buffer, one per recovery. */
export const LOG_READ_BUFFER_BYTES: number = MAX_FRAME_BYTES
/** Step of the search for frames in a damaged segment. */
const WINDOW_BYTES = 64 * 1024

/**
 * Deliver every operation of a segment. `expectedSeq`: the sequence number of its first frame; undefined: any up to
 * `latestFirstSeq`. After a restart of the machine, reading ends before the first batch with an operation that `isWhole` denies and
 * no later frame vouches for. Throws CorruptionError, or UNAVAILABLE for another format.
 */
export function readLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, bootId: string,
  expectedSeq: number | undefined, visit: LogVisitor, latestFirstSeq = Infinity, isWhole: LogCheck = () => true,
): LogContents {
  const contents = scanLog(file, fileNumber, buffer, kernels, bootId, { expectedSeq, latestFirstSeq, isWhole })
  deliverLog(file, fileNumber, buffer, kernels, contents, visit)
  return contents
}

/** How far a segment is good, and where its last whole batch ends, without delivering. Throws as `readLog` does. */
export function scanLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, bootId: string,
  { expectedSeq, latestFirstSeq = Infinity, isWhole = () => true, endBytes = Infinity, untilSeq }: ScanOptions = {},
): LogContents {
  const size = Math.min(file.size(), endBytes)
  const header = readSegmentHeader(file, fileNumber, size, buffer, kernels)
  if (header === undefined) return { firstSeq: expectedSeq, endOffset: 0, nextSeq: expectedSeq, operations: 0, droppedBytes: size, tailBytes: size, gap: false }
  const boot = bootHash(kernels, bootId)
  const sameBoot = bootId !== '' && boot.high === header.bootHigh && boot.low === header.bootLow

  let offset = SEGMENT_HEADER_BYTES
  let batchEnd = offset
  if (expectedSeq === undefined && readFrame(file, fileNumber, offset, size, buffer, kernels) > 0) {
    expectedSeq = Math.min(readU64(buffer, 16), latestFirstSeq)
  }
  let seq = expectedSeq ?? 0
  let batchSeq = seq
  while (offset < size) {
    const frameBytes = readFrame(file, fileNumber, offset, size, buffer, kernels)
    if (seq === untilSeq) break
    if (frameBytes === 0 || readU64(buffer, 16) !== seq) {
      if (frameBytes > 0 && offset === SEGMENT_HEADER_BYTES && !sameBoot && readU64(buffer, 16) > seq) {
        refuseDurableGap(file, fileNumber, size, buffer, kernels, seq)
        return { firstSeq: seq, endOffset: offset, nextSeq: seq, operations: 0, droppedBytes: size - offset, tailBytes: size - offset, gap: true }
      }
      refuseDamage(file, fileNumber, offset, size, buffer, kernels, sameBoot, frameBytes !== 0, seq)
      break
    }
    if (!sameBoot && !isFrameWhole(buffer, seq, isWhole)) {
      if (findFrame(file, fileNumber, offset, size, buffer, kernels, offset) < 0) break
      readFrame(file, fileNumber, offset, size, buffer, kernels)
    }
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
    droppedBytes: isZero(file, batchEnd, size, buffer) ? 0 : size - batchEnd,
    tailBytes: size - batchEnd,
    gap: false,
  }
}

/** Deliver the good part of a segment. */
export function deliverLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, { firstSeq, endOffset }: Pick<LogContents, 'firstSeq' | 'endOffset'>, visit: LogVisitor,
): void {
  let at = SEGMENT_HEADER_BYTES
  let next = firstSeq ?? 0
  while (at < endOffset) {
    const frameBytes = readFrame(file, fileNumber, at, endOffset, buffer, kernels)
    if (frameBytes === 0) throw new CorruptionError(file.path, at, 'the log changed while it was read')
    next = visitFrame(buffer, next, visit)
    at += frameBytes
  }
}

/** Of a segment's first operation; undefined: its beginning is bad, or it holds none. */
export function firstSeqOf(file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels): number | undefined {
  return readFrame(file, fileNumber, SEGMENT_HEADER_BYTES, file.size(), buffer, kernels) > 0 ? readU64(buffer, 16) : undefined
}

function readSegmentHeader(file: HostFile, fileNumber: number, size: number, buffer: Uint8Array, kernels: Kernels):
{ bootHigh: number, bootLow: number } | undefined {
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
  return { bootLow: readU32(buffer, 24), bootHigh: readU32(buffer, 28) }
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

function isZero(file: HostFile, start: number, end: number, buffer: Uint8Array): boolean {
  while (start < end) {
    const got = file.readSync(buffer, 0, Math.min(end - start, buffer.length), start)
    for (let i = 0; i < got; i++) if (buffer[i] !== 0) return false
    if (got === 0) break
    start += got
  }
  return true
}

/** Read the frame at `offset` into the buffer; returns its whole length, 0: not a good frame. */
function readFrame(file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels): number {
  if (offset + FRAME_HEADER_BYTES > size) return 0
  if (file.readSync(buffer, 0, FRAME_HEADER_BYTES, offset) < FRAME_HEADER_BYTES) return 0
  if (readU32(buffer, 0) !== FRAME_MAGIC) return 0
  const payloadLength = readU32(buffer, 4)
  if (payloadLength > MAX_FRAME_BYTES - FRAME_HEADER_BYTES) return 0
  const frameBytes = paddedLength(payloadLength)
  if (frameBytes > buffer.length || offset + frameBytes > size) return 0
  const rest = frameBytes - FRAME_HEADER_BYTES
  if (file.readSync(buffer, FRAME_HEADER_BYTES, rest, offset + FRAME_HEADER_BYTES) < rest) return 0
  checksum(kernels, buffer, 16, frameBytes, fileNumber, offset)
  if (readU32(buffer, 8) !== kernels.hashLow || readU32(buffer, 12) !== kernels.hashHigh) return 0
  return isWellFormed(buffer, FRAME_HEADER_BYTES + payloadLength) ? frameBytes : 0
}

/** Whether the operations match the header's count, have known kinds, and end with the payload. */
function isWellFormed(buffer: Uint8Array, end: number): boolean {
  const operations = readU32(buffer, 32)
  if (operations === 0 || readU32(buffer, 36) > FLAG_CONTINUES) return false
  let at = FRAME_HEADER_BYTES
  for (let i = 0; i < operations; i++) {
    if (at + OPERATION_HEADER_BYTES > end || buffer[at]! > KIND_DELETE_RANGE) return false
    at += OPERATION_HEADER_BYTES + (buffer[at + 1]! | (buffer[at + 2]! << 8)) + readU32(buffer, at + 3)
    if (at > end) return false
  }
  return at === end
}

/**
 * Offset of the first good frame after `offset` that vouches for more than `vouchedBytes` (-1: any), left in the buffer; -1: none.
 * Frames start at multiples of 8.
 */
function findFrame(
  file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels, vouchedBytes: number,
): number {
  const window = new Uint8Array(Math.min(WINDOW_BYTES, size))
  let base = offset + 8 - offset % 8
  while (base + FRAME_HEADER_BYTES <= size) {
    const got = file.readSync(window, 0, Math.min(window.length, size - base), base)
    if (got < 4) return -1
    let at = 0
    while (at + 4 <= got) {
      const frameBytes = readU32(window, at) === FRAME_MAGIC ? readFrame(file, fileNumber, base + at, size, buffer, kernels) : 0
      if (frameBytes > 0 && readU64(buffer, 24) > vouchedBytes) return base + at
      at += Math.max(8, frameBytes)
    }
    base += at
  }
  return -1
}

/** The bytes at `offset` are bad. Returns when that may be an unfinished write, throws when it is damage. */
function refuseDamage(
  file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels,
  sameBoot: boolean, frameIsGood: boolean, expectedSeq: number,
): void {
  if (frameIsGood) {
    const found = readU64(buffer, 16)
    throw new CorruptionError(
      file.path, offset, `this frame starts with sequence number ${found}, expected ${expectedSeq}: something before it is missing`,
    )
  }
  const good = findFrame(file, fileNumber, offset, size, buffer, kernels, sameBoot ? -1 : offset)
  if (good >= 0) throw new CorruptionError(file.path, offset, `a damaged frame, with a good one after it at offset ${good}`)
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

/** The frame in the buffer is well-formed. */
function visitFrame(buffer: Uint8Array, firstSeq: number, visit: LogVisitor): number {
  const operations = readU32(buffer, 32)
  let at = FRAME_HEADER_BYTES
  let seq = firstSeq
  for (let i = 0; i < operations; i++) {
    const keyStart = at + OPERATION_HEADER_BYTES
    const keyEnd = keyStart + (buffer[at + 1]! | (buffer[at + 2]! << 8))
    const valueEnd = keyEnd + readU32(buffer, at + 3)
    visit(seq++, buffer[at]!, buffer, keyStart, keyEnd, keyEnd, valueEnd)
    at = valueEnd
  }
  return seq
}
