/**
 * Reads lists (layout: `list-writer.ts`) of range tombstones and value-file numbers.
 *
 *     range tombstone: sequence number u64, lengths of start and end u32 each, start, end
 *     value file:      number u48
 *
 * Invariant: the chain only goes to lower offsets, so it ends; every record is checked against its block.
 */
import { compareBytes } from '../base/bytes.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import { FragmentList } from '../base/fragment-list.ts'
import type { BlockFile, StoredBlockReader } from './block/stored-block-reader.ts'
import { BLOCK_RANGES, BLOCK_VALUE_FILES, MAX_KEY_BYTES } from './format.ts'
import { LIST_HEADER_BYTES } from './list-writer.ts'
import { readU32, readU48, readU64 } from './little-endian.ts'

export const RANGE_HEADER_BYTES = 16
export const VALUE_FILE_BYTES = 6

/** Parses a record at `at`; returns its end, -1: malformed. */
type RecordParser<T> = (bytes: Uint8Array, at: number, end: number, into: T[]) => number

/** In the order they were added. */
export function readRanges(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): RangeTombstone[] {
  return readList(table, loader, BLOCK_RANGES, offset, storedBytes, parseRange)
}

/** Ascending. */
export function readValueFiles(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): number[] {
  return readList(table, loader, BLOCK_VALUE_FILES, offset, storedBytes, parseValueFile)
}

/** The blocks of a list in write order, with totals. */
export interface ListBlocks {
  /** Offset and stored size of each. */
  handles: Uint32Array
  records: number
  /** Of all records, without their headers. */
  keyBytes: number
  /** Sorted by start, then by seq descending, and equal or disjoint. */
  isSorted: boolean
}

/** Find the blocks of a list of range tombstones and check every record. Memory: 8 bytes a block, and one record. */
export function rangeBlocks(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): ListBlocks {
  const handles: number[] = []
  let records = 0
  let keyBytes = 0
  let isSorted = true
  /** The first record of the next block. */
  let behind: Uint8Array | undefined
  while (storedBytes > 0) {
    handles.push(storedBytes, offset)
    const count = openListBlock(table, loader, BLOCK_RANGES, offset, storedBytes)
    const bytes = loader.kernels.memory
    const first = loader.start + LIST_HEADER_BYTES
    let at = first
    let before = first
    for (let i = 0; i < count; i++) {
      const to = rangeEnd(bytes, at, loader.end)
      if (to < 0) throw malformed(table, offset, i, count)
      if (i > 0 && isSorted) isSorted = follows(bytes, before, bytes, at)
      before = at
      at = to
    }
    if (count > 0) {
      if (behind !== undefined && isSorted) isSorted = follows(bytes, before, behind, 0)
      behind = bytes.slice(first, rangeEnd(bytes, first, loader.end))
    }
    records += count
    keyBytes += at - first - count * RANGE_HEADER_BYTES
    const next = blockBefore(table, loader, offset, at)
    offset = next.offset
    storedBytes = next.storedBytes
  }
  return { handles: Uint32Array.from(handles.reverse()), records, keyBytes, isSorted }
}

/** Whether record b[bAt...] follows a[aAt...] in a list of fragments. */
function follows(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  const aStart = aAt + RANGE_HEADER_BYTES
  const aSplit = aStart + readU32(a, aAt + 8)
  const aEnd = aSplit + readU32(a, aAt + 12)
  const bStart = bAt + RANGE_HEADER_BYTES
  const bSplit = bStart + readU32(b, bAt + 8)
  const bEnd = bSplit + readU32(b, bAt + 12)
  if (compareBytes(a, aSplit, aEnd, b, bStart, bSplit) <= 0) return true
  return compareBytes(a, aStart, aSplit, b, bStart, bSplit) === 0 && compareBytes(a, aSplit, aEnd, b, bSplit, bEnd) === 0 &&
    readU64(a, aAt) > readU64(b, bAt)
}

/** Pack the tombstones of sorted blocks. */
export function packRanges(table: BlockFile, loader: StoredBlockReader, { handles, records, keyBytes }: ListBlocks): FragmentList {
  const list = new FragmentList(records, keyBytes)
  for (let i = 0; i < handles.length; i += 2) {
    loader.load(table, handles[i]!, handles[i + 1]!)
    const bytes = loader.kernels.memory
    const count = readU32(bytes, loader.start + 12)
    let at = loader.start + LIST_HEADER_BYTES
    for (let record = 0; record < count; record++) {
      const from = at + RANGE_HEADER_BYTES
      const split = from + readU32(bytes, at + 8)
      const end = split + readU32(bytes, at + 12)
      list.add(bytes, from, split, end, readU64(bytes, at))
      at = end
    }
  }
  return list
}

/** Stored bytes of all blocks of a list, for `verify`. */
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

/** One block of a list and its records, in order. */
export interface ListPiece<T> {
  offset: number
  storedBytes: number
  records: T[]
}

/** The blocks of a list of range tombstones, last first. Throws at a damaged one, which hides all before it. */
export function rangePieces(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): Generator<ListPiece<RangeTombstone>, void> {
  return pieces(table, loader, BLOCK_RANGES, offset, storedBytes, parseRange)
}

/** The blocks of a list of value-file numbers, last first. Throws like `rangePieces`. */
export function valueFilePieces(table: BlockFile, loader: StoredBlockReader, offset: number, storedBytes: number): Generator<ListPiece<number>, void> {
  return pieces(table, loader, BLOCK_VALUE_FILES, offset, storedBytes, parseValueFile)
}

function readList<T>(
  table: BlockFile, loader: StoredBlockReader, type: number, offset: number, storedBytes: number, parse: RecordParser<T>,
): T[] {
  const lists: T[][] = []
  for (const { records } of pieces(table, loader, type, offset, storedBytes, parse)) lists.push(records)
  return lists.reverse().flat()
}

function *pieces<T>(
  table: BlockFile, loader: StoredBlockReader, type: number, offset: number, storedBytes: number, parse: RecordParser<T>,
): Generator<ListPiece<T>, void> {
  while (storedBytes > 0) {
    const count = openListBlock(table, loader, type, offset, storedBytes)
    const bytes = loader.kernels.memory
    const records: T[] = []
    let at = loader.start + LIST_HEADER_BYTES
    for (let i = 0; i < count; i++) {
      at = parse(bytes, at, loader.end, records)
      if (at < 0) throw malformed(table, offset, i, count)
    }
    const before = blockBefore(table, loader, offset, at)
    yield { offset, storedBytes, records }
    offset = before.offset
    storedBytes = before.storedBytes
  }
}

/** Load a block of a list; returns its number of records. */
function openListBlock(table: BlockFile, loader: StoredBlockReader, type: number, offset: number, storedBytes: number): number {
  loader.load(table, offset, storedBytes)
  const { start, end } = loader
  const bytes = loader.kernels.memory
  if (bytes[start] !== type || end - start < LIST_HEADER_BYTES) {
    throw new CorruptionError(table.file.path, offset, `a list block of type ${bytes[start]}, not ${type}`)
  }
  return readU32(bytes, start + 12)
}

/** The previous block of the chain; the current records end at `at`. */
function blockBefore(table: BlockFile, loader: StoredBlockReader, offset: number, at: number): { offset: number, storedBytes: number } {
  const { start, end } = loader
  const bytes = loader.kernels.memory
  if (at !== end) throw new CorruptionError(table.file.path, offset, `${end - at} bytes behind the last record of a list block`)
  const before = readU32(bytes, start + 4)
  const storedBytes = readU32(bytes, start + 8)
  if (storedBytes > 0 && before + storedBytes > offset) {
    throw new CorruptionError(table.file.path, offset, `a list block points forward, to ${before}`)
  }
  return { offset: before, storedBytes }
}

function malformed(table: BlockFile, offset: number, record: number, records: number): CorruptionError {
  return new CorruptionError(table.file.path, offset, `record ${record} of ${records} in a list block is malformed`)
}

/** End of the tombstone at `at`, -1: malformed. */
function rangeEnd(bytes: Uint8Array, at: number, end: number): number {
  if (at + RANGE_HEADER_BYTES > end) return -1
  const seq = readU64(bytes, at)
  const startLength = readU32(bytes, at + 8)
  const endLength = readU32(bytes, at + 12)
  const from = at + RANGE_HEADER_BYTES
  if (seq < 1 || !Number.isSafeInteger(seq) || startLength > MAX_KEY_BYTES || endLength > MAX_KEY_BYTES) return -1
  const split = from + startLength
  if (split + endLength > end || compareBytes(bytes, from, split, bytes, split, split + endLength) >= 0) return -1
  return split + endLength
}

function parseRange(bytes: Uint8Array, at: number, end: number, into: RangeTombstone[]): number {
  const to = rangeEnd(bytes, at, end)
  if (to < 0) return -1
  const from = at + RANGE_HEADER_BYTES
  const split = from + readU32(bytes, at + 8)
  into.push({ start: bytes.slice(from, split), end: bytes.slice(split, to), seq: readU64(bytes, at) })
  return to
}

function parseValueFile(bytes: Uint8Array, at: number, end: number, into: number[]): number {
  if (at + VALUE_FILE_BYTES > end) return -1
  const fileNumber = readU48(bytes, at)
  if (into.length > 0 && fileNumber <= into[into.length - 1]!) return -1
  into.push(fileNumber)
  return at + VALUE_FILE_BYTES
}
