/**
 * Finds blocks of a table without a footer: they lie back to back from the first byte on, and end where a checksum matches.
 *
 * Cost: one hash, over everything before it, for each byte that may be a codec: about one byte in a hundred.
 */
import type { Kernels } from '../kernels/kernels.ts'
import type { BlockFile } from './block/stored-block-reader.ts'
import { CODEC_LZ4, TRAILER_BYTES, seedOf } from './format.ts'
import { readU32 } from './little-endian.ts'

/** Limit per block: about half a second. */
const MAX_HASHED_BYTES = 2 ** 31

/** 0: no whole block begins there. */
export function findBlock({ file, fileNumber, blockEnd }: BlockFile, offset: number, kernels: Kernels): number {
  const { memory, a } = kernels
  const got = file.readSync(memory, a, Math.min(kernels.regionBytes + TRAILER_BYTES, blockEnd - offset), offset)
  const seed = seedOf(fileNumber)
  let hashedBytes = 0
  for (let size = TRAILER_BYTES + 1; size <= got && hashedBytes < MAX_HASHED_BYTES; size++) {
    const checksumAt = a + size - 8
    if (memory[checksumAt - 1]! > CODEC_LZ4) continue
    kernels.hash(a, size - 8, seed, offset)
    hashedBytes += size
    if (readU32(memory, checksumAt) === kernels.hashLow && readU32(memory, checksumAt + 4) === kernels.hashHigh) return size
  }
  return 0
}
