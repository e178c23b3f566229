/**
 * The format of a value file: one large value, in separately checked pieces.
 *
 *     magic u32, format u32, file number u64, value length u64, XXH64 of these (u64)
 *     pieces of 256 KiB, the last one shorter, each followed by its XXH64 (u64)
 *
 * Hashes are seeded with the file number and the piece's index, so that a misplaced piece is detected; the header's index is one no
 * piece can have. All numbers are little-endian.
 */
import { invalidArgument } from '../base/errors.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { MAX_FILE_NUMBER } from './format.ts'

/** "SPVF" */
export const VALUE_FILE_MAGIC = 0x46565053
export const VALUE_FILE_FORMAT = 1
export const VALUE_FILE_HEADER_BYTES = 32
/** Bytes before the header's hash. */
export const VALUE_FILE_HEADER_HASHED = 24
/** Value bytes per piece; kernel regions must be at least this large. */
export const VALUE_FILE_PIECE_BYTES = 256 * 1024
export const VALUE_FILE_HASH_BYTES = 8
/** In place of a piece index, in the header's hash. */
export const VALUE_FILE_HEADER_SEED = 0xffffffff

export function valueFileBytes(lengthBytes: number): number {
  return VALUE_FILE_HEADER_BYTES + lengthBytes + Math.ceil(lengthBytes / VALUE_FILE_PIECE_BYTES) * VALUE_FILE_HASH_BYTES
}

/** Throws INVALID_ARGUMENT. */
export function checkValueNumbers(fileNumber: number, lengthBytes: number): void {
  if (!(Number.isInteger(fileNumber) && fileNumber >= 0 && fileNumber <= MAX_FILE_NUMBER)) {
    throw invalidArgument(`a file number is a whole number from 0 to ${MAX_FILE_NUMBER}, not ${fileNumber}`)
  }
  if (!(Number.isSafeInteger(lengthBytes) && lengthBytes >= 0)) throw invalidArgument(`a value of ${lengthBytes} bytes`)
}

/** Throws RangeError when a piece does not fit in a region. */
export function checkKernels(kernels: Kernels): void {
  if (kernels.regionBytes < VALUE_FILE_PIECE_BYTES) {
    throw new RangeError(`kernel regions of ${kernels.regionBytes} bytes; value files need ${VALUE_FILE_PIECE_BYTES}`)
  }
}
