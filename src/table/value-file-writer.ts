/**
 * Writing value files; `value-file-reader.ts` is its twin.
 *
 * A file that could not be written to its end is removed.
 *
 * Memory: none of its own; region a of the kernels is used for one piece at a time. Cost: one copy and one write per piece.
 */
import type { Kernels } from '../base/kernels/kernels.ts'
import type { HostFile, HostFiles } from '../host/host.ts'
import { seedOf } from './format.ts'
import { writeU32, writeU64 } from './little-endian.ts'
import {
  VALUE_FILE_FORMAT, VALUE_FILE_HASH_BYTES, VALUE_FILE_HEADER_BYTES, VALUE_FILE_HEADER_HASHED, VALUE_FILE_HEADER_SEED,
  VALUE_FILE_MAGIC, VALUE_FILE_PIECE_BYTES, checkKernels, checkValueNumbers,
} from './value-file-format.ts'

/**
 * Create the file of a value. With `durable` its content is synced; syncing the directory's entry is the caller's part.
 * Throws EEXIST, leaving what is there, and whatever writing throws, leaving no file.
 */
export function writeValueFile(
  files: HostFiles, path: string, fileNumber: number, value: Uint8Array, kernels: Kernels, durable: boolean,
): void {
  checkValueNumbers(fileNumber, value.length)
  checkKernels(kernels)
  const file = files.create(path)
  try {
    writePieces(file, fileNumber, value, kernels)
    if (durable) file.syncSync()
    file.close()
  } catch (error) {
    discard(files, file)
    throw error
  }
}

/** The header is written together with the first piece, a hash together with its piece. */
function writePieces(file: HostFile, fileNumber: number, value: Uint8Array, kernels: Kernels): void {
  const { memory, a } = kernels
  const seed = seedOf(fileNumber)
  writeU32(memory, a, VALUE_FILE_MAGIC)
  writeU32(memory, a + 4, VALUE_FILE_FORMAT)
  writeU64(memory, a + 8, fileNumber)
  writeU64(memory, a + 16, value.length)
  appendHash(kernels, a, VALUE_FILE_HEADER_HASHED, seed, VALUE_FILE_HEADER_SEED)

  const pieceAt = a + VALUE_FILE_HEADER_BYTES
  let from = a
  let position = 0
  let done = 0
  let piece = 0
  do {
    const length = Math.min(VALUE_FILE_PIECE_BYTES, value.length - done)
    let end = pieceAt
    if (length > 0) {
      memory.set(value.subarray(done, done + length), pieceAt)
      end = appendHash(kernels, pieceAt, length, seed, piece++)
    }
    file.writeSync(memory, from, end - from, position)
    position += end - from
    done += length
    from = pieceAt
  } while (done < value.length)
}

/** Put the hash of memory[start, start + length) behind it; returns the end of the hash. */
function appendHash(kernels: Kernels, start: number, length: number, seedHigh: number, seedLow: number): number {
  kernels.hash(start, length, seedHigh, seedLow)
  writeU32(kernels.memory, start + length, kernels.hashLow)
  writeU32(kernels.memory, start + length + 4, kernels.hashHigh)
  return start + length + VALUE_FILE_HASH_BYTES
}

/** After an error: what goes wrong now matters less than what did. */
function discard(files: HostFiles, file: HostFile): void {
  try {
    file.close()
  } catch {
    // Closed already, or the failure was closing it.
  }
  try {
    files.remove(file.path)
  } catch {
    // Recovery removes files that nothing refers to.
  }
}
