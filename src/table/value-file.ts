/**
 * Large values in files of their own; the entry holds a reference: file number and length. The entry point for references and for
 * writing, reading and checking files.
 */
import { checkValueNumbers } from './value-file-format.ts'
import { readU48, readU64, writeU48, writeU64 } from './little-endian.ts'

export { copyValueFile, readValueFile, readValueHeader, readValueText, valueFileDamage, verifyValueFile } from './value-file-reader.ts'
export { writeValueFile, writeValueText } from './value-file-writer.ts'
export { VALUE_FILE_FORMAT, VALUE_FILE_HEADER_BYTES, VALUE_FILE_MAGIC, VALUE_FILE_PIECE_BYTES, valueFileBytes } from './value-file-format.ts'

/** File number u48, value length u64. */
export const VALUE_REFERENCE_BYTES = 14

/** Write a reference at target[at]; returns its end. */
export function encodeValueReference(target: Uint8Array, at: number, fileNumber: number, lengthBytes: number): number {
  checkValueNumbers(fileNumber, lengthBytes)
  writeU48(target, at, fileNumber)
  writeU64(target, at + 6, lengthBytes)
  return at + VALUE_REFERENCE_BYTES
}

/** Throws RangeError for malformed bytes: the caller knows their file. */
export function decodeValueReference(bytes: Uint8Array, start: number, end: number): { fileNumber: number; lengthBytes: number } {
  if (end - start !== VALUE_REFERENCE_BYTES || !(start >= 0 && end <= bytes.length)) {
    throw new RangeError(`a value reference of ${end - start} bytes, not ${VALUE_REFERENCE_BYTES}`)
  }
  const lengthBytes = readU64(bytes, start + 6)
  if (!Number.isSafeInteger(lengthBytes)) throw new RangeError(`a value reference with a length of ${lengthBytes} bytes`)
  return { fileNumber: readU48(bytes, start), lengthBytes }
}
