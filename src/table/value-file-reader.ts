/**
 * Reads value files; `value-file-writer.ts` is its twin.
 *
 * Invariants
 * 1. Bytes are returned only after the hash of their piece was checked.
 * 2. The file's size is checked against the reference before anything is allocated, so a wrong length cannot request more memory
 *    than the file has bytes.
 *
 * Memory: the value, once; region a of the kernels holds one piece. Cost: one read and one copy or decoding per piece.
 */
import { CorruptionError, SpillwayError } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { errorCode } from '../host/file-error.ts'
import type { HostFile, HostFiles } from '../host/host.ts'
import { seedOf } from './format.ts'
import { readU32, readU64 } from './little-endian.ts'
import { TextDecoding } from './value-file-text.ts'
import {
  VALUE_FILE_FORMAT, VALUE_FILE_HASH_BYTES, VALUE_FILE_HEADER_BYTES, VALUE_FILE_HEADER_HASHED, VALUE_FILE_HEADER_SEED,
  VALUE_FILE_MAGIC, VALUE_FILE_PIECE_BYTES, checkKernels, valueFileBytes,
} from './value-file-format.ts'

/** Pieces are read to this offset in region a; before it is space for the rest of the previous piece's text. */
const PIECE_AT = 8

/** Called with one checked piece after the other. */
type PieceVisitor = (memory: Uint8Array, start: number, length: number, isLast: boolean) => void

/** The whole value, in a new buffer. Throws CorruptionError when the file is missing or damaged, UNAVAILABLE for a newer format. */
export function readValueFile(
  files: HostFiles, path: string, fileNumber: number, lengthBytes: number, kernels: Kernels,
): Uint8Array<ArrayBuffer> {
  checkKernels(kernels)
  const file = openExisting(files, path)
  try {
    checkFile(file, fileNumber, lengthBytes, kernels)
    const value = new Uint8Array(lengthBytes)
    let at = 0
    walkPieces(file, fileNumber, lengthBytes, kernels, (memory, start, length) => {
      value.set(memory.subarray(start, start + length), at)
      at += length
    })
    return value
  } finally {
    file.close()
  }
}

/** The value decoded as UTF-8; invalid bytes become U+FFFD. Throws as `readValueFile`. */
export function readValueText(
  files: HostFiles, path: string, fileNumber: number, lengthBytes: number, kernels: Kernels,
): string {
  checkKernels(kernels)
  const file = openExisting(files, path)
  try {
    checkFile(file, fileNumber, lengthBytes, kernels)
    const decoding = new TextDecoding()
    walkPieces(file, fileNumber, lengthBytes, kernels, (memory, start, length, isLast) => decoding.take(memory, start, length, isLast))
    return decoding.text
  } finally {
    file.close()
  }
}

/** Check the whole file; throws as `readValueFile`. `lengthBytes` undefined: as in the header. Returns the bytes of the file. */
export function verifyValueFile(
  files: HostFiles, path: string, fileNumber: number, lengthBytes: number | undefined, kernels: Kernels,
): number {
  checkKernels(kernels)
  const file = openExisting(files, path)
  try {
    lengthBytes ??= readValueHeader(file, fileNumber, undefined, kernels)
    checkFile(file, fileNumber, lengthBytes, kernels)
    walkPieces(file, fileNumber, lengthBytes, kernels, () => {})
    return valueFileBytes(lengthBytes)
  } finally {
    file.close()
  }
}

/** Copy a value file to an empty one, checking it as a read does. Throws as `readValueFile` does, and errors of the write. */
export function copyValueFile(files: HostFiles, path: string, fileNumber: number, lengthBytes: number, kernels: Kernels, copy: HostFile): void {
  checkKernels(kernels)
  const file = openExisting(files, path)
  try {
    checkFile(file, fileNumber, lengthBytes, kernels)
    copy.writeSync(kernels.memory, kernels.a, VALUE_FILE_HEADER_BYTES, 0)
    let position = VALUE_FILE_HEADER_BYTES
    walkPieces(file, fileNumber, lengthBytes, kernels, (memory, start, length) => {
      copy.writeSync(memory, start, length + VALUE_FILE_HASH_BYTES, position)
      position += length + VALUE_FILE_HASH_BYTES
    })
  } finally {
    file.close()
  }
}

/** Every damaged place of a value file in order, up to a limit. Throws errors of the file system. */
export function valueFileDamage(files: HostFiles, path: string, fileNumber: number, kernels: Kernels, most: number): CorruptionError[] {
  checkKernels(kernels)
  const errors: CorruptionError[] = []
  const attempt = (work: () => void): void => {
    try {
      if (errors.length < most) work()
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      errors.push(error)
    }
  }
  attempt(() => {
    const file = openExisting(files, path)
    try {
      let lengthBytes: number | undefined
      attempt(() => { lengthBytes = readValueHeader(file, fileNumber, undefined, kernels) })
      if (lengthBytes !== undefined) attempt(() => checkSize(file, lengthBytes!))
      // Without a header, the size tells the length.
      lengthBytes ??= lengthOf(file.size())
      for (let piece = 0; piece * VALUE_FILE_PIECE_BYTES < lengthBytes && errors.length < most; piece++) {
        const position = VALUE_FILE_HEADER_BYTES + piece * (VALUE_FILE_PIECE_BYTES + VALUE_FILE_HASH_BYTES)
        const length = Math.min(VALUE_FILE_PIECE_BYTES, lengthBytes - piece * VALUE_FILE_PIECE_BYTES)
        // The missing rest was reported with the size.
        if (position + length + VALUE_FILE_HASH_BYTES > file.size()) break
        attempt(() => readChecked(file, position, kernels.a + PIECE_AT, length, kernels, seedOf(fileNumber), piece, 'a piece of the value'))
      }
    } finally {
      file.close()
    }
  })
  return errors
}

/** Size and header. */
function checkFile(file: HostFile, fileNumber: number, lengthBytes: number, kernels: Kernels): void {
  checkSize(file, lengthBytes)
  readValueHeader(file, fileNumber, lengthBytes, kernels)
}

function checkSize(file: HostFile, lengthBytes: number): void {
  const expected = valueFileBytes(lengthBytes)
  const size = file.size()
  if (size !== expected) {
    throw new CorruptionError(file.path, Math.min(size, expected), `the file has ${size} bytes, its value needs ${expected}`)
  }
}

/** Value bytes in a file of that size. */
function lengthOf(fileBytes: number): number {
  const pieces = Math.ceil((fileBytes - VALUE_FILE_HEADER_BYTES) / (VALUE_FILE_PIECE_BYTES + VALUE_FILE_HASH_BYTES))
  return Math.max(0, fileBytes - VALUE_FILE_HEADER_BYTES - pieces * VALUE_FILE_HASH_BYTES)
}

function openExisting(files: HostFiles, path: string): HostFile {
  try {
    return files.openRead(path)
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw cause
    throw new CorruptionError(path, 0, 'the file of a value is missing', { cause })
  }
}

/** Returns the value's length, which must be `lengthBytes` if given. */
export function readValueHeader(file: HostFile, fileNumber: number, lengthBytes: number | undefined, kernels: Kernels): number {
  const { memory, a } = kernels
  readChecked(file, 0, a, VALUE_FILE_HEADER_HASHED, kernels, seedOf(fileNumber), VALUE_FILE_HEADER_SEED, 'the header')
  if (readU32(memory, a) !== VALUE_FILE_MAGIC) throw new CorruptionError(file.path, 0, 'this is not the file of a value')
  const format = readU32(memory, a + 4)
  if (format > VALUE_FILE_FORMAT) {
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE',
      `${file.path} has format ${format}, this version reads up to ${VALUE_FILE_FORMAT}. Open the store with a newer Spillway`,
      { details: { path: file.path, format, supported: VALUE_FILE_FORMAT } },
    )
  }
  const storedNumber = readU64(memory, a + 8)
  if (storedNumber !== fileNumber) throw new CorruptionError(file.path, 8, `this is file ${storedNumber}, not ${fileNumber}`)
  const storedLength = readU64(memory, a + 16)
  if (lengthBytes !== undefined && storedLength !== lengthBytes) {
    throw new CorruptionError(file.path, 16, `the file holds a value of ${storedLength} bytes, the entry says ${lengthBytes}`)
  }
  return storedLength
}

function walkPieces(
  file: HostFile, fileNumber: number, lengthBytes: number, kernels: Kernels, visit: PieceVisitor,
): void {
  const { memory } = kernels
  const start = kernels.a + PIECE_AT
  const seed = seedOf(fileNumber)
  let position = VALUE_FILE_HEADER_BYTES
  for (let done = 0, piece = 0; done < lengthBytes; piece++) {
    const length = Math.min(VALUE_FILE_PIECE_BYTES, lengthBytes - done)
    readChecked(file, position, start, length, kernels, seed, piece, 'a piece of the value')
    position += length + VALUE_FILE_HASH_BYTES
    done += length
    visit(memory, start, length, done === lengthBytes)
  }
}

/** Read `length` bytes and their hash to memory[start]; throws unless they match. */
function readChecked(
  file: HostFile, position: number, start: number, length: number, kernels: Kernels, seedHigh: number, seedLow: number, what: string,
): void {
  const { memory } = kernels
  const wanted = length + VALUE_FILE_HASH_BYTES
  const got = file.readSync(memory, start, wanted, position)
  if (got !== wanted) throw new CorruptionError(file.path, position, `${what} ends after ${got} of ${wanted} bytes`)
  kernels.hash(start, length, seedHigh, seedLow)
  if (readU32(memory, start + length) !== kernels.hashLow || readU32(memory, start + length + 4) !== kernels.hashHigh) {
    throw new CorruptionError(file.path, position, `the checksum of ${what} (${length} bytes) does not match`)
  }
}
