/**
 * Reads lists (layout: `list-writer.ts`) of range tombstones and value-file numbers.
 *
 *     range tombstone: sequence number u64, lengths of start and end u32 each, start, end
 *     value file:      number u48
 *
 * Invariant: the chain only goes to lower offsets, so it ends; every record is checked against its block.
 */
import { compareKeys } from '../base/bytes.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import type { BlockFile, StoredBlockReader } from './block/stored-block-reader.ts'
import { BLOCK_RANGES, BLOCK_VALUE_FILES, MAX_KEY_BYTES } from './format.ts'
import { LIST_HEADER_BYTES } from './list-writer.ts'
import { readU32, readU48, readU64 } from './little-endian.ts'

export const RANGE_HEADER_BYTES = 16
export const VALUE_FILE_BYTES = 6

/** Parses one record at `at`; returns where it ends, or -1 when it is not one. */
type RecordParser<T> = (bytes: Uint8Array, at: number, end: number, into: T[]) => number

/** The tombstones in the order they were added. */
export function readRanges(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): RangeTombstone[] {
  return readList(table, loader, BLOCK_RANGES, offset, storedBytes, parseRange)
}

/** The numbers, ascending. */
export function readValueFiles(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): number[] {
  return readList(table, loader, BLOCK_VALUE_FILES, offset, storedBytes, parseValueFile)
}

/** Stored bytes of all blocks of a list: what `verify` accounts for. */
export function listStoredBytes(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): number {
  let sum = 0
  while (storedBytes > 0) {
    sum += storedBytes
    loader.load(table, offset, storedBytes)
    const memory = loader.kernels.memory
    const before = readU32(memory, loader.start + 4)
    storedBytes = readU32(memory, loader.start + 8)
    if (storedBytes > 0 && before >= offset) {
      throw new CorruptionError(table.file.path, offset, `a list block points forward, to ${before}`)
    }
    offset = before
  }
  return sum
}

function readList<T>(
  table: BlockFile, loader: StoredBlockReader, type: number, offset: number, storedBytes: number, parse: RecordParser<T>,
): T[] {
  const pieces: T[][] = []
  while (storedBytes > 0) {
    loader.load(table, offset, storedBytes)
    const bytes = loader.kernels.memory
    const { start, end } = loader
    if (bytes[start] !== type || end - start < LIST_HEADER_BYTES) {
      throw new CorruptionError(table.file.path, offset, `a list block of type ${bytes[start]}, not ${type}`)
    }
    const records = readU32(bytes, start + 12)
    const piece: T[] = []
    let at = start + LIST_HEADER_BYTES
    for (let i = 0; i < records; i++) {
      at = parse(bytes, at, end, piece)
      if (at < 0) throw new CorruptionError(table.file.path, offset, `record ${i} of ${records} in a list block is malformed`)
    }
    if (at !== end) throw new CorruptionError(table.file.path, offset, `${end - at} bytes behind the last record of a list block`)
    pieces.push(piece)
    const before = readU32(bytes, start + 4)
    storedBytes = readU32(bytes, start + 8)
    if (storedBytes > 0 && before + storedBytes > offset) {
      throw new CorruptionError(table.file.path, offset, `a list block points forward, to ${before}`)
    }
    offset = before
  }
  return pieces.reverse().flat()
}

function parseRange(bytes: Uint8Array, at: number, end: number, into: RangeTombstone[]): number {
  if (at + RANGE_HEADER_BYTES > end) return -1
  const seq = readU64(bytes, at)
  const startLength = readU32(bytes, at + 8)
  const endLength = readU32(bytes, at + 12)
  const from = at + RANGE_HEADER_BYTES
  if (seq < 1 || !Number.isSafeInteger(seq) || startLength > MAX_KEY_BYTES || endLength > MAX_KEY_BYTES) return -1
  if (from + startLength + endLength > end) return -1
  const split = from + startLength
  const tombstone = { start: bytes.slice(from, split), end: bytes.slice(split, split + endLength), seq }
  if (compareKeys(tombstone.start, tombstone.end) >= 0) return -1
  into.push(tombstone)
  return split + endLength
}

function parseValueFile(bytes: Uint8Array, at: number, end: number, into: number[]): number {
  if (at + VALUE_FILE_BYTES > end) return -1
  const fileNumber = readU48(bytes, at)
  if (into.length > 0 && fileNumber <= into[into.length - 1]!) return -1
  into.push(fileNumber)
  return at + VALUE_FILE_BYTES
}
