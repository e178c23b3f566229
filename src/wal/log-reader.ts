/**
 * Reads a log segment back. Twin: `log-writer.ts`; bytes: `frame.ts`.
 *
 * What may be missing and what may not:
 * - after a process died, everything written is there: only the last frame can be cut short;
 * - after the machine died, anything not synced may be missing, in any order: reading ends at the first gap.
 * A bad frame is therefore an unfinished write when nothing good follows it, or when the machine was restarted
 * since and no later frame says that this place had been synced. Everything else is damage: a CorruptionError.
 *
 * Invariants
 * 1. What is delivered is a prefix of what was written, without holes, in sequence order.
 * 2. A batch is delivered whole or not at all.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../base/kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import {
  FLAG_CONTINUES, FRAME_HEADER_BYTES, FRAME_MAGIC, KIND_DELETE_RANGE, LOG_FORMAT, MAX_FRAME_BYTES, OPERATION_HEADER_BYTES,
  SEGMENT_HEADER_BYTES, SEGMENT_MAGIC, bootHash, checksum, paddedLength, readU32, readU64,
} from './frame.ts'

/** Called for each operation: views that hold during the call. */
export type LogVisitor = (
  seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
) => void

export interface LogContents {
  /** Sequence number of the first operation; undefined when there is none and none was expected. */
  firstSeq: number | undefined
  /** End of the last whole batch: the segment is to be cut here. */
  endOffset: number
  /** Sequence number after the last one delivered. */
  nextSeq: number | undefined
  operations: number
  /** Bytes after `endOffset` that were given up as unfinished. */
  droppedBytes: number
  /** Nothing was delivered because an earlier segment lost its end when the machine died. */
  gap: boolean
}

/** Reusable reading buffer: one per recovery. */
export const LOG_READ_BUFFER_BYTES: number = MAX_FRAME_BYTES

/**
 * Deliver every operation of a segment. `expectedSeq` is the sequence number its first frame must carry; undefined: any
 * (then `firstSeq` of the result says which). Throws CorruptionError.
 */
export function readLog(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, bootId: string,
  expectedSeq: number | undefined, visit: LogVisitor,
): LogContents {
  const size = file.size()
  const header = readSegmentHeader(file, fileNumber, size, buffer, kernels)
  if (header === undefined) return { firstSeq: expectedSeq, endOffset: 0, nextSeq: expectedSeq, operations: 0, droppedBytes: size, gap: false }
  const boot = bootHash(kernels, bootId)
  const sameBoot = bootId !== '' && boot.high === header.bootHigh && boot.low === header.bootLow

  // First pass: how far is it good, and where does the last whole batch end?
  let offset = SEGMENT_HEADER_BYTES
  let batchEnd = offset
  if (expectedSeq === undefined && readFrame(file, fileNumber, offset, size, buffer, kernels) > 0) expectedSeq = readU64(buffer, 16)
  let seq = expectedSeq ?? 0
  let batchSeq = seq
  while (offset < size) {
    const frameBytes = readFrame(file, fileNumber, offset, size, buffer, kernels)
    if (frameBytes === 0 || readU64(buffer, 16) !== seq) {
      if (frameBytes > 0 && offset === SEGMENT_HEADER_BYTES && !sameBoot && readU64(buffer, 16) > seq) {
        return { firstSeq: seq, endOffset: offset, nextSeq: seq, operations: 0, droppedBytes: size - offset, gap: true }
      }
      refuseDamage(file, fileNumber, offset, size, buffer, kernels, sameBoot, frameBytes !== 0, seq)
      break
    }
    seq += readU32(buffer, 32)
    offset += frameBytes
    if ((readU32(buffer, 36) & FLAG_CONTINUES) === 0) {
      batchEnd = offset
      batchSeq = seq
    }
  }

  // Second pass: deliver.
  let at = SEGMENT_HEADER_BYTES
  let next = expectedSeq ?? 0
  while (at < batchEnd) {
    const frameBytes = readFrame(file, fileNumber, at, size, buffer, kernels)
    if (frameBytes === 0) throw new CorruptionError(file.path, at, 'the log changed while it was read')
    next = visitFrame(file, at, buffer, next, visit)
    at += frameBytes
  }
  if (expectedSeq === undefined) return { firstSeq: undefined, endOffset: batchEnd, nextSeq: undefined, operations: 0, droppedBytes: size - batchEnd, gap: false }
  return { firstSeq: expectedSeq, endOffset: batchEnd, nextSeq: batchSeq, operations: batchSeq - expectedSeq, droppedBytes: size - batchEnd, gap: false }
}

function readSegmentHeader(file: HostFile, fileNumber: number, size: number, buffer: Uint8Array, kernels: Kernels):
{ bootHigh: number, bootLow: number } | undefined {
  const got = file.readSync(buffer, 0, Math.min(size, SEGMENT_HEADER_BYTES), 0)
  let bad = got < SEGMENT_HEADER_BYTES
  if (!bad) {
    checksum(kernels, buffer, 0, SEGMENT_HEADER_BYTES - 8, fileNumber, 0)
    bad = readU32(buffer, 32) !== kernels.hashLow || readU32(buffer, 36) !== kernels.hashHigh
      || SEGMENT_MAGIC.some((byte, i) => buffer[i] !== byte)
  }
  if (bad) {
    // A segment whose creation was cut short holds nothing yet.
    if (findFrame(file, fileNumber, 0, size, buffer, kernels) < 0) return undefined
    throw new CorruptionError(file.path, 0, 'the header of the log segment is damaged')
  }
  const format = readU32(buffer, 8)
  if (format !== LOG_FORMAT) {
    throw new SpillwayError('SPILLWAY_UNAVAILABLE', `${file.path} has log format ${format}, this version reads ${LOG_FORMAT}. Open it with a newer Spillway`)
  }
  return { bootLow: readU32(buffer, 24), bootHigh: readU32(buffer, 28) }
}

/** Read the frame at `offset` into the buffer; its whole length, or 0 when it is not a good frame. */
function readFrame(file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels): number {
  if (offset + FRAME_HEADER_BYTES > size) return 0
  if (file.readSync(buffer, 0, FRAME_HEADER_BYTES, offset) < FRAME_HEADER_BYTES) return 0
  if (readU32(buffer, 0) !== FRAME_MAGIC) return 0
  const frameBytes = paddedLength(readU32(buffer, 4))
  if (frameBytes > buffer.length || offset + frameBytes > size) return 0
  const rest = frameBytes - FRAME_HEADER_BYTES
  if (file.readSync(buffer, FRAME_HEADER_BYTES, rest, offset + FRAME_HEADER_BYTES) < rest) return 0
  checksum(kernels, buffer, 16, frameBytes, fileNumber, offset)
  if (readU32(buffer, 8) !== kernels.hashLow || readU32(buffer, 12) !== kernels.hashHigh) return 0
  return frameBytes
}

/** Offset of the first good frame after `offset`, leaving it in the buffer; -1 if there is none. Frames start at multiples of 8. */
function findFrame(file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels): number {
  const window = new Uint8Array(64 * 1024)
  for (let base = (offset + 8) & ~7; base + FRAME_HEADER_BYTES <= size; base += window.length) {
    const got = file.readSync(window, 0, Math.min(window.length, size - base), base)
    for (let at = 0; at + 4 <= got; at += 8) {
      if (readU32(window, at) !== FRAME_MAGIC) continue
      if (readFrame(file, fileNumber, base + at, size, buffer, kernels) > 0) return base + at
    }
  }
  return -1
}

function refuseDamage(
  file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels,
  sameBoot: boolean, frameIsGood: boolean, expectedSeq: number,
): void {
  if (frameIsGood) {
    const found = readU64(buffer, 16)
    throw new CorruptionError(file.path, offset, `this frame starts with sequence number ${found}, expected ${expectedSeq}: something before it is missing`)
  }
  for (let from = offset; ;) {
    const good = findFrame(file, fileNumber, from, size, buffer, kernels)
    if (good < 0) return
    if (sameBoot || readU64(buffer, 24) > offset) {
      throw new CorruptionError(file.path, offset, `a damaged frame, with a good one after it at offset ${good}`)
    }
    from = good
  }
}

function visitFrame(file: HostFile, offset: number, buffer: Uint8Array, firstSeq: number, visit: LogVisitor): number {
  const end = FRAME_HEADER_BYTES + readU32(buffer, 4)
  const operations = readU32(buffer, 32)
  let at = FRAME_HEADER_BYTES
  let seq = firstSeq
  for (let i = 0; i < operations; i++) {
    if (at + OPERATION_HEADER_BYTES > end) throw new CorruptionError(file.path, offset, 'a frame holds fewer operations than it says')
    const kind = buffer[at]!
    const keyStart = at + OPERATION_HEADER_BYTES
    const keyEnd = keyStart + (buffer[at + 1]! | (buffer[at + 2]! << 8))
    const valueEnd = keyEnd + readU32(buffer, at + 3)
    if (valueEnd > end || kind > KIND_DELETE_RANGE) throw new CorruptionError(file.path, offset, 'a frame holds a malformed operation')
    visit(seq++, kind, buffer, keyStart, keyEnd, keyEnd, valueEnd)
    at = valueEnd
  }
  return seq
}
