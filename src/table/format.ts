/** Block types, limits and checksum seed of table files. Layout: FORMAT.md, Table. */

export const BLOCK_DATA = 1
export const BLOCK_INDEX = 2
export const BLOCK_FILTER = 3
export const BLOCK_RANGES = 4
export const BLOCK_VALUE_FILES = 5
export const BLOCK_PROPERTIES = 6

export const CODEC_NONE = 0
export const CODEC_LZ4 = 1

/** Codec byte and checksum. */
export const TRAILER_BYTES = 9
/** Uncompressed length, before a compressed payload. */
export const RAW_LENGTH_BYTES = 4

export const MAX_KEY_BYTES = 64 * 1024
export const MAX_VALUE_BYTES = 192 * 1024
export const MAX_FILE_NUMBER = 2 ** 48 - 1
/** Offsets are u32; the writer stops well before. */
export const MAX_TABLE_BYTES = 3.5 * 2 ** 30
/** Fits any block: the largest key and value in one entry, or four largest keys in the properties. */
export const KERNEL_REGION_BYTES = 260 * 1024

export const DEFAULT_BLOCK_BYTES = 4096
export const MIN_BLOCK_BYTES = 256
export const MAX_BLOCK_BYTES = 128 * 1024
export const DEFAULT_FILTER_BITS_PER_KEY = 10

/** Per index partition; cursors keep the handles of one. */
export const MAX_PARTITION_BLOCKS = 128
/** Enough for a fan-out of two and 2^32 bytes. */
export const MAX_INDEX_LEVELS = 32

/** High half of a checksum's seed. The low half is the file offset, so a misplaced block is detected. */
export function seedOf(fileNumber: number): number {
  const high = Math.floor(fileNumber / 0x1_0000_0000)
  return ((fileNumber >>> 0) ^ Math.imul(high, 0x9e3779b1)) >>> 0
}
