/**
 * The bytes of the write-ahead log: shared by `log-writer.ts` and `log-reader.ts`, drawn in FORMAT.md.
 *
 * A segment is a header and frames; a frame is one commit group, written with one write:
 *
 *   segment header (40)  magic 8 | format u32 | 0 u32 | file number u64 | boot hash u64 | checksum u64
 *   frame header (40)    magic u32 | payload length u32 | checksum u64 | first sequence u64 |
 *                        synced bytes u64 | operations u32 | flags u32
 *   payload              operations, padded with zeros to a multiple of 8
 *   operation            kind u8 | key length u16 | value length u32 | key | value
 *
 * Invariants
 * 1. A frame's checksum covers its header from `first sequence` on and its padded payload, seeded with (file number, offset), so a
 *    frame in another place or file does not pass. The operations must end exactly at the payload's length.
 * 2. Operation i of a frame has sequence number `first sequence + i`.
 * 3. `synced bytes`: how much of this segment was known to be durable when the frame was written. A hole below it is damage, not an
 *    unfinished write.
 * 4. A batch of several frames marks all but its last with FLAG_CONTINUES.
 */
import type { Kernels } from '../kernels/kernels.ts'

export const LOG_FORMAT = 1
export const SEGMENT_HEADER_BYTES = 40
export const FRAME_HEADER_BYTES = 40
export const OPERATION_HEADER_BYTES = 7
export const FRAME_MAGIC = 0x4c575053 // "SPWL"
export const SEGMENT_MAGIC: Uint8Array = new TextEncoder().encode('SPILLLOG')
export const FLAG_CONTINUES = 1

/** A range deletion, beside the entry kinds (base/cursor.ts): key = start, value = end. */
export const KIND_DELETE_RANGE = 3

/** The key's length is a u16. */
export const MAX_LOG_KEY_BYTES = 0xffff

/** Maximum frame length, and so the buffer of reader and writer. Fits the largest key and inline value. */
export const MAX_FRAME_BYTES: number = 384 * 1024

export function readU32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

/** Eight bytes as a safe integer; NaN beyond 2^53. */
export function readU64(bytes: Uint8Array, at: number): number {
  const high = readU32(bytes, at + 4)
  return high >= 0x200000 ? NaN : high * 0x100000000 + readU32(bytes, at)
}

export function writeU64(bytes: Uint8Array, at: number, value: number): void {
  writeU32(bytes, at, value % 0x100000000)
  writeU32(bytes, at + 4, Math.floor(value / 0x100000000))
}

/** Leaves the checksum of bytes[start, end) in the kernels' hashHigh and hashLow. */
export function checksum(kernels: Kernels, bytes: Uint8Array, start: number, end: number, fileNumber: number, offset: number): void {
  kernels.memory.set(bytes.subarray(start, end), kernels.a)
  kernels.hash(kernels.a, end - start, fileNumber >>> 0, offset >>> 0)
}

/** Bytes of a whole frame, for payload lengths up to MAX_FRAME_BYTES. */
export function paddedLength(payloadLength: number): number {
  return FRAME_HEADER_BYTES + ((payloadLength + 7) & ~7)
}

/** 64 bits that identify a mount of the file system. '' (unknown) is 0. */
export function mountHash(kernels: Kernels, mountId: string): { high: number, low: number } {
  if (mountId === '') return { high: 0, low: 0 }
  const bytes = new TextEncoder().encode(mountId)
  checksum(kernels, bytes, 0, bytes.length, 0, 0)
  return { high: kernels.hashHigh, low: kernels.hashLow }
}
