/**
 * Reads a stored block: checksum, decompression, structure. Nothing is parsed before its checksum has passed.
 *
 * Invariant: `load` leaves a well-formed block in `kernels.memory[start, end)` until the next use of these kernels.
 *
 * Cost: one read (or copy), one hash, at most one decompression; no allocation.
 */
import { CorruptionError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { HostFile } from '../../host/host.ts'
import { filterProblem } from '../filter/filter.ts'
import {
  BLOCK_DATA, BLOCK_FILTER, BLOCK_INDEX, BLOCK_PROPERTIES, BLOCK_RANGES, BLOCK_VALUE_FILES,
  CODEC_LZ4, CODEC_NONE, RAW_LENGTH_BYTES, TRAILER_BYTES, seedOf,
} from '../format.ts'
import { indexNodeProblem } from '../index/index-node.ts'
import { readU32 } from '../little-endian.ts'
import { dataBlockProblem } from './data-block.ts'

export interface BlockFile {
  readonly file: HostFile
  readonly fileNumber: number
  /** Start of the footer. */
  readonly blockEnd: number
}

export class StoredBlockReader {
  start = 0
  end = 0
  readonly kernels: Kernels

  constructor(kernels: Kernels) {
    this.kernels = kernels
  }

  load(table: BlockFile, offset: number, storedBytes: number): void {
    this.checkHandle(table, offset, storedBytes)
    const read = table.file.readSync(this.kernels.memory, this.kernels.a, storedBytes, offset)
    if (read !== storedBytes) {
      throw new CorruptionError(table.file.path, offset, `the file ends ${storedBytes - read} bytes into a block of ${storedBytes}`)
    }
    this.#open(table, offset, storedBytes)
  }

  loadFrom(source: Uint8Array, at: number, table: BlockFile, offset: number, storedBytes: number): void {
    this.checkHandle(table, offset, storedBytes)
    this.kernels.memory.set(source.subarray(at, at + storedBytes), this.kernels.a)
    this.#open(table, offset, storedBytes)
  }

  checkHandle(table: BlockFile, offset: number, storedBytes: number): void {
    if (storedBytes <= TRAILER_BYTES || offset + storedBytes > table.blockEnd || storedBytes > this.kernels.regionBytes + TRAILER_BYTES) {
      throw new CorruptionError(table.file.path, offset, `a block of ${storedBytes} bytes cannot be here (blocks end at ${table.blockEnd})`)
    }
  }

  #open(table: BlockFile, offset: number, storedBytes: number): void {
    const kernels = this.kernels
    const memory = kernels.memory
    let start = kernels.a
    let end = start + storedBytes - TRAILER_BYTES
    kernels.hash(start, storedBytes - 8, seedOf(table.fileNumber), offset)
    if (readU32(memory, end + 1) !== kernels.hashLow || readU32(memory, end + 5) !== kernels.hashHigh) {
      throw new CorruptionError(table.file.path, offset, `the checksum of a block of ${storedBytes} bytes does not match`)
    }
    const codec = memory[end]!
    if (codec === CODEC_LZ4) {
      const rawBytes = storedBytes > TRAILER_BYTES + RAW_LENGTH_BYTES ? readU32(memory, start) : 0
      if (rawBytes === 0 || rawBytes > kernels.regionBytes) {
        throw new CorruptionError(table.file.path, offset, `a compressed block of ${rawBytes} bytes`)
      }
      const length = kernels.decompress(start + RAW_LENGTH_BYTES, end - start - RAW_LENGTH_BYTES, kernels.b, rawBytes)
      if (length !== rawBytes) {
        throw new CorruptionError(table.file.path, offset, `a block does not decompress to its ${rawBytes} bytes`)
      }
      start = kernels.b
      end = start + rawBytes
    } else if (codec !== CODEC_NONE) {
      throw new CorruptionError(table.file.path, offset, `codec ${codec} is unknown`)
    }
    const problem = blockProblem(kernels, start, end, offset)
    if (problem !== undefined) throw new CorruptionError(table.file.path, offset, problem)
    this.start = start
    this.end = end
  }
}

/** Lists and properties are checked where they are parsed. */
function blockProblem(kernels: Kernels, start: number, end: number, offset: number): string | undefined {
  const bytes = kernels.memory
  switch (bytes[start]) {
    case BLOCK_DATA: return kernels.isSoundBlock(start, end) ? undefined : dataBlockProblem(bytes, start, end) ?? 'a data block is damaged'
    case BLOCK_INDEX: return indexNodeProblem(bytes, start, end, offset)
    case BLOCK_FILTER: return filterProblem(bytes, start, end)
    case BLOCK_RANGES:
    case BLOCK_VALUE_FILES:
    case BLOCK_PROPERTIES: return undefined
    default: return `block type ${bytes[start]} is unknown`
  }
}
