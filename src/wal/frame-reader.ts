/**
 * Single frames of a log segment: reading, checking, finding them. `log-reader.ts` decides what they add up to. Bytes: `frame.ts`.
 *
 * Account: none; the caller's buffer holds one frame, and a search of a damaged segment a window of 64 KiB.
 */
import { CorruptionError } from '../base/errors.ts'
import type { HostFile } from '../host/host.ts'
import type { Kernels } from '../kernels/kernels.ts'
import {
  FLAG_CONTINUES, FRAME_HEADER_BYTES, FRAME_MAGIC, KIND_DELETE_RANGE, MAX_FRAME_BYTES, OPERATION_HEADER_BYTES, SEGMENT_HEADER_BYTES, checksum, paddedLength,
  readU32, readU64,
} from './frame.ts'

/** Called for each operation, with views valid during the call. */
export type LogVisitor = (
  seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
) => void

/** Step of the search for frames in a damaged segment. */
const WINDOW_BYTES = 64 * 1024
/** The smallest unit of write-back. */
const SECTOR_BYTES = 512
/** The fault of a frame whose end is missing. */
export const FAULT_CUT = 'the segment ends before the frame does'

/** Read the frame at `offset` into the buffer; returns its whole length, 0: not a good frame. */
export function readFrame(file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels): number {
  return frameFault(file, fileNumber, offset, size, buffer, kernels) === '' ? paddedLength(readU32(buffer, 4)) : 0
}

/** Read the frame at `offset` into the buffer; returns what is wrong with it, '': nothing. */
export function frameFault(file: HostFile, fileNumber: number, offset: number, size: number, buffer: Uint8Array, kernels: Kernels): string {
  if (offset + FRAME_HEADER_BYTES > size) return FAULT_CUT
  if (file.readSync(buffer, 0, FRAME_HEADER_BYTES, offset) < FRAME_HEADER_BYTES) return FAULT_CUT
  if (readU32(buffer, 0) !== FRAME_MAGIC) return 'no frame begins here'
  const payloadLength = readU32(buffer, 4)
  const frameBytes = paddedLength(payloadLength)
  if (payloadLength > MAX_FRAME_BYTES - FRAME_HEADER_BYTES || frameBytes > buffer.length) return 'the frame is too long'
  if (offset + frameBytes > size) return FAULT_CUT
  const rest = frameBytes - FRAME_HEADER_BYTES
  if (file.readSync(buffer, FRAME_HEADER_BYTES, rest, offset + FRAME_HEADER_BYTES) < rest) return FAULT_CUT
  checksum(kernels, buffer, 16, frameBytes, fileNumber, offset)
  if (readU32(buffer, 8) !== kernels.hashLow || readU32(buffer, 12) !== kernels.hashHigh) return 'the checksum of the frame does not match'
  return isWellFormed(buffer, FRAME_HEADER_BYTES + payloadLength) ? '' : 'the operations of the frame are malformed'
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
export function findFrame(
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

/** Call `visit` for each frame up to `endOffset`, all found good before, with the frame in the buffer. */
export function walkFrames(
  file: HostFile, fileNumber: number, buffer: Uint8Array, kernels: Kernels, endOffset: number, visit: (offset: number, frameBytes: number) => void,
): void {
  for (let at = SEGMENT_HEADER_BYTES; at < endOffset;) {
    const frameBytes = readFrame(file, fileNumber, at, endOffset, buffer, kernels)
    if (frameBytes === 0) throw new CorruptionError(file.path, at, 'the log changed while it was read')
    visit(at, frameBytes)
    at += frameBytes
  }
}

/** Call `visit` for each operation of the well-formed frame in the buffer. Returns the sequence number after them. */
export function visitFrame(buffer: Uint8Array, firstSeq: number, visit: LogVisitor): number {
  const operations = readU32(buffer, 32)
  let at = FRAME_HEADER_BYTES
  for (let i = 0; i < operations; i++) at = visitOperation(buffer, at, firstSeq + i, visit)
  return firstSeq + operations
}

/** Call `visit` for the operation at `at` of a well-formed frame. Returns where it ends. */
export function visitOperation(buffer: Uint8Array, at: number, seq: number, visit: LogVisitor): number {
  const keyStart = at + OPERATION_HEADER_BYTES
  const keyEnd = keyStart + (buffer[at + 1]! | (buffer[at + 2]! << 8))
  const valueEnd = keyEnd + readU32(buffer, at + 3)
  visit(seq, buffer[at]!, buffer, keyStart, keyEnd, keyEnd, valueEnd)
  return valueEnd
}

/**
 * Whether a whole sector between two offsets is zero. New blocks that could not be written back read so once their pages were evicted.
 * Damage looks different, except in a value with as many zeros.
 */
export function hasHole(file: HostFile, start: number, end: number, buffer: Uint8Array): boolean {
  for (let at = Math.ceil(start / SECTOR_BYTES) * SECTOR_BYTES; at + SECTOR_BYTES <= end;) {
    const got = file.readSync(buffer, 0, Math.min(buffer.length, end - at), at)
    for (let sector = 0; sector + SECTOR_BYTES <= got; sector += SECTOR_BYTES) {
      let i = sector
      while (i < sector + SECTOR_BYTES && buffer[i] === 0) i++
      if (i === sector + SECTOR_BYTES) return true
    }
    if (got < SECTOR_BYTES) break
    at += got - got % SECTOR_BYTES
  }
  return false
}
