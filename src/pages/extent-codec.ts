/**
 * Format of an extent: a page compressed in pieces that can be read one by one.
 *
 *   checksum u64 | page length u32 | pieces u32 | per piece: stored length u32, high bit = not compressed
 *   per piece: checksum u64 | stored bytes
 *
 * A checksum is XXH64 seeded with a serial used once: `serial` for the header, `serial + 1 + i` for piece i. Bytes of another
 * extent, or of an earlier one here, do not pass. A piece that LZ4 does not shrink is stored uncompressed.
 *
 * Uses the kernels' regions a and b. A page of several pieces allocates 4 bytes a piece during the call.
 */
import type { Kernels } from '../kernels/kernels.ts'

export const MAX_PIECE_BYTES = 65536
export const MIN_REGION_BYTES = 4096
const HEADER_BYTES = 16
const CHECKSUM_BYTES = 8
const RAW = 2 ** 31
const MIN_COMPRESSED_BYTES = 64

export interface ExtentSink {
  /** Called once, first. False without space. Must not use region b. */
  reserve(bytes: number): boolean
  put(bytes: Uint8Array, start: number, end: number, at: number): void
}

export interface ExtentSource {
  get(target: Uint8Array, at: number, length: number, from: number): boolean
}

export function pieceBytesOf(kernels: Kernels): number {
  return Math.min(MAX_PIECE_BYTES, kernels.regionBytes)
}

export function serialsOf(length: number, pieceBytes: number): number {
  return 1 + Math.ceil(length / pieceBytes)
}

export function extentBound(length: number, pieceBytes: number): number {
  return length + HEADER_BYTES + Math.ceil(length / pieceBytes) * (4 + CHECKSUM_BYTES)
}

export function maxPageBytes(kernels: Kernels): number {
  return Math.floor((kernels.regionBytes - HEADER_BYTES) / 4) * pieceBytesOf(kernels)
}

/** Returns the bytes of the extent, 0 without space. Throws errors of `sink`. */
export function encodeExtent(
  kernels: Kernels, pieceBytes: number, source: Uint8Array, start: number, length: number, serial: number, sink: ExtentSink,
  asIs = false,
): number {
  const { memory, a, b } = kernels
  const pieces = Math.ceil(length / pieceBytes)
  const headerBytes = HEADER_BYTES + 4 * pieces
  if (pieces === 1) {
    // So that the allocation is exact.
    const stored = encodePiece(kernels, source, start, length, b + headerBytes, serial + 1, asIs)
    setU32(memory, b + 8, length)
    setU32(memory, b + 12, 1)
    setU32(memory, b + 16, stored)
    setChecksum(kernels, b + 8, headerBytes - 8, serial, b)
    const bytes = headerBytes + CHECKSUM_BYTES + (stored % RAW)
    if (!sink.reserve(bytes)) return 0
    sink.put(memory, b, b + bytes, 0)
    return bytes
  }
  if (!sink.reserve(extentBound(length, pieceBytes))) return 0
  const header = new Uint8Array(headerBytes)
  setU32(header, 8, length)
  setU32(header, 12, pieces)
  let at = headerBytes
  for (let i = 0; i < pieces; i++) {
    const from = i * pieceBytes
    const stored = encodePiece(kernels, source, start + from, Math.min(pieceBytes, length - from), b, serial + 1 + i, asIs)
    const bytes = CHECKSUM_BYTES + (stored % RAW)
    sink.put(memory, b, b + bytes, at)
    setU32(header, HEADER_BYTES + 4 * i, stored)
    at += bytes
  }
  memory.set(header, a)
  setChecksum(kernels, a + 8, headerBytes - 8, serial, a)
  sink.put(memory, a, a + headerBytes, 0)
  return at
}

/** Read page bytes [from, to). False if a checksum or length is wrong. Throws errors of `source`. */
export function decodeExtent(
  kernels: Kernels, pieceBytes: number, source: ExtentSource, extentBytes: number, length: number, serial: number,
  target: Uint8Array, at: number, from: number, to: number,
): boolean {
  const { memory, a } = kernels
  const pieces = Math.ceil(length / pieceBytes)
  const headerBytes = HEADER_BYTES + 4 * pieces
  if (extentBytes < headerBytes) return false
  if (pieces === 1) {
    if (extentBytes > extentBound(length, pieceBytes) || !source.get(memory, a, extentBytes, 0)) return false
    if (!isHeader(kernels, headerBytes, length, pieces, serial)) return false
    const stored = u32(memory, a + HEADER_BYTES)
    if (extentBytes !== headerBytes + CHECKSUM_BYTES + (stored % RAW)) return false
    return decodePiece(kernels, a + headerBytes, stored, length, serial + 1, target, at, from, to)
  }
  if (!source.get(memory, a, headerBytes, 0) || !isHeader(kernels, headerBytes, length, pieces, serial)) return false
  const header = memory.slice(a, a + headerBytes)
  let offset = headerBytes
  for (let i = 0; i < pieces && i * pieceBytes < to; i++) {
    const stored = u32(header, HEADER_BYTES + 4 * i)
    const bytes = CHECKSUM_BYTES + (stored % RAW)
    const pieceFrom = i * pieceBytes
    const pieceLength = Math.min(pieceBytes, length - pieceFrom)
    if (stored % RAW > pieceLength) return false
    if (pieceFrom + pieceLength > from) {
      if (!source.get(memory, a, bytes, offset)) return false
      const first = Math.max(from, pieceFrom)
      const last = Math.min(to, pieceFrom + pieceLength)
      if (!decodePiece(kernels, a, stored, pieceLength, serial + 1 + i, target, at + first - from, first - pieceFrom, last - pieceFrom)) return false
    }
    offset += bytes
  }
  return true
}

function encodePiece(
  kernels: Kernels, source: Uint8Array, start: number, length: number, to: number, serial: number, asIs: boolean,
): number {
  const { memory, a } = kernels
  const body = to + CHECKSUM_BYTES
  const bytes = source.subarray(start, start + length)
  let stored = 0
  if (!asIs && length >= MIN_COMPRESSED_BYTES) {
    memory.set(bytes, a)
    stored = kernels.compress(a, length, body, length - 1)
  }
  const isRaw = stored === 0
  if (isRaw) {
    memory.set(bytes, body)
    stored = length
  }
  setChecksum(kernels, body, stored, serial, to)
  return isRaw ? stored + RAW : stored
}

/** The piece is outside region b. */
function decodePiece(
  kernels: Kernels, at: number, stored: number, length: number, serial: number, target: Uint8Array, to: number, from: number, end: number,
): boolean {
  const { memory, b } = kernels
  const body = at + CHECKSUM_BYTES
  const storedBytes = stored % RAW
  if (!isChecksum(kernels, body, storedBytes, serial, at)) return false
  if (stored >= RAW) {
    if (storedBytes !== length) return false
    target.set(memory.subarray(body + from, body + end), to)
    return true
  }
  if (kernels.decompress(body, storedBytes, b, length) !== length) return false
  target.set(memory.subarray(b + from, b + end), to)
  return true
}

function isHeader(kernels: Kernels, headerBytes: number, length: number, pieces: number, serial: number): boolean {
  const { memory, a } = kernels
  return isChecksum(kernels, a + 8, headerBytes - 8, serial, a) && u32(memory, a + 8) === length && u32(memory, a + 12) === pieces
}

function setChecksum(kernels: Kernels, start: number, length: number, serial: number, to: number): void {
  kernels.hash(start, length, Math.floor(serial / 2 ** 32), serial >>> 0)
  setU32(kernels.memory, to, kernels.hashLow)
  setU32(kernels.memory, to + 4, kernels.hashHigh)
}

function isChecksum(kernels: Kernels, start: number, length: number, serial: number, at: number): boolean {
  kernels.hash(start, length, Math.floor(serial / 2 ** 32), serial >>> 0)
  return u32(kernels.memory, at) === kernels.hashLow >>> 0 && u32(kernels.memory, at + 4) === kernels.hashHigh >>> 0
}

function setU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
}
