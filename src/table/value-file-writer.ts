/**
 * Writes value files; `value-file-reader.ts` is its twin.
 *
 * Invariants
 * 1. An incomplete file is removed.
 * 2. Bytes and text go from the caller's memory to the file piece by piece; the header holds the length actually written.
 *
 * Memory: none of its own; region a of the kernels holds one piece. Cost: one copy or encoding and one write per piece.
 */
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile, HostFiles } from '../host/host.ts'
import { seedOf } from './format.ts'
import { writeU32, writeU64 } from './little-endian.ts'
import { TextEncoding } from './value-file-text.ts'
import {
  VALUE_FILE_FORMAT, VALUE_FILE_HASH_BYTES, VALUE_FILE_HEADER_BYTES, VALUE_FILE_HEADER_HASHED, VALUE_FILE_HEADER_SEED,
  VALUE_FILE_MAGIC, VALUE_FILE_PIECE_BYTES, checkKernels, checkValueNumbers,
} from './value-file-format.ts'

/** Source of a value's bytes. */
interface PieceSource {
  /** Put the next `length` bytes at memory[start], fewer only at the end; returns their number. */
  fill(memory: Uint8Array, start: number, length: number): number
}

class Bytes implements PieceSource {
  readonly #bytes: Uint8Array
  #at: number
  readonly #end: number

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  fill(memory: Uint8Array, start: number, length: number): number {
    const from = this.#at
    this.#at = Math.min(this.#end, from + length)
    memory.set(this.#bytes.subarray(from, this.#at), start)
    return this.#at - from
  }
}

/**
 * Create a value file. With `durable` its content is synced; the directory entry is the caller's. Throws EEXIST, and leaves that
 * file, or a write error, and leaves none.
 */
export function writeValueFile(
  files: HostFiles, path: string, fileNumber: number, value: Uint8Array, kernels: Kernels, durable: boolean,
  start = 0, end: number = value.length,
): void {
  writeSource(files, path, fileNumber, new Bytes(value, start, end), end - start, kernels, durable)
}

/** Create a value file of text, as UTF-8. `lengthBytes`: the expected length. Returns the actual one. */
export function writeValueText(
  files: HostFiles, path: string, fileNumber: number, text: string, lengthBytes: number, kernels: Kernels, durable: boolean,
): number {
  return writeSource(files, path, fileNumber, new TextEncoding(text), lengthBytes, kernels, durable)
}

function writeSource(
  files: HostFiles, path: string, fileNumber: number, source: PieceSource, lengthBytes: number, kernels: Kernels, durable: boolean,
): number {
  checkValueNumbers(fileNumber, lengthBytes)
  checkKernels(kernels)
  const file = files.create(path)
  try {
    const written = writePieces(file, fileNumber, source, lengthBytes, kernels)
    if (durable) file.syncSync()
    file.close()
    return written
  } catch (error) {
    discard(files, file)
    throw error
  }
}

/** The header is written with the first piece, a hash with its piece. Returns the length of the value. */
function writePieces(file: HostFile, fileNumber: number, source: PieceSource, lengthBytes: number, kernels: Kernels): number {
  const { memory, a } = kernels
  const seed = seedOf(fileNumber)
  putHeader(kernels, fileNumber, lengthBytes)
  const pieceAt = a + VALUE_FILE_HEADER_BYTES
  let from = a
  let position = 0
  let done = 0
  let length: number
  do {
    length = source.fill(memory, pieceAt, VALUE_FILE_PIECE_BYTES)
    const end = length > 0 ? appendHash(kernels, pieceAt, length, seed, done / VALUE_FILE_PIECE_BYTES) : pieceAt
    if (end > from) file.writeSync(memory, from, end - from, position)
    position += end - from
    done += length
    from = pieceAt
  } while (length === VALUE_FILE_PIECE_BYTES)
  if (done !== lengthBytes) {
    putHeader(kernels, fileNumber, done)
    file.writeSync(memory, a, VALUE_FILE_HEADER_BYTES, 0)
  }
  return done
}

/** The header, in region a. */
function putHeader(kernels: Kernels, fileNumber: number, lengthBytes: number): void {
  const { memory, a } = kernels
  writeU32(memory, a, VALUE_FILE_MAGIC)
  writeU32(memory, a + 4, VALUE_FILE_FORMAT)
  writeU64(memory, a + 8, fileNumber)
  writeU64(memory, a + 16, lengthBytes)
  appendHash(kernels, a, VALUE_FILE_HEADER_HASHED, seedOf(fileNumber), VALUE_FILE_HEADER_SEED)
}

/** Put the hash of memory[start, start + length) after it; returns the end of the hash. */
function appendHash(kernels: Kernels, start: number, length: number, seedHigh: number, seedLow: number): number {
  kernels.hash(start, length, seedHigh, seedLow)
  writeU32(kernels.memory, start + length, kernels.hashLow)
  writeU32(kernels.memory, start + length + 4, kernels.hashHigh)
  return start + length + VALUE_FILE_HASH_BYTES
}

/** After an error, which matters more than a second one. */
function discard(files: HostFiles, file: HostFile): void {
  try {
    file.close()
  } catch {
    // Closed already, or closing was the failure.
  }
  try {
    files.remove(file.path)
  } catch {
    // Recovery removes unreferenced files.
  }
}
