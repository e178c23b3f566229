/**
 * Writes blocks back to back, compressed if that saves an eighth. Layout: FORMAT.md, Stored block.
 *
 * Invariant: `store` takes the payload from `kernels.memory[kernels.a, ...)`; regions a and b are scratch from then on.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { formatSize } from '../../base/sizes.ts'
import type { HostFile } from '../../host/host.ts'
import { CODEC_LZ4, CODEC_NONE, MAX_TABLE_BYTES, RAW_LENGTH_BYTES, seedOf } from '../format.ts'
import { writeU32 } from '../little-endian.ts'

export const WRITE_BUFFER_BYTES: number = 32 * 1024

export class StoredBlockWriter {
  /** Of the last block. */
  lastOffset = 0
  lastBytes = 0
  readonly kernels: Kernels
  readonly #file: HostFile
  readonly #fileNumber: number
  readonly #compress: boolean
  readonly #buffer: Uint8Array
  #buffered = 0
  #written = 0

  constructor(file: HostFile, fileNumber: number, kernels: Kernels, compress: boolean, buffer: Uint8Array) {
    this.#buffer = buffer
    this.kernels = kernels
    this.#file = file
    this.#fileNumber = fileNumber
    this.#compress = compress
  }

  static bytesFor(): number { return WRITE_BUFFER_BYTES }
  get bufferBytes(): number { return this.#buffer.length }

  get offset(): number { return this.#written + this.#buffered }

  /** `compressible: false` skips the attempt. */
  store(length: number, compressible = true): void {
    const kernels = this.kernels
    const memory = kernels.memory
    let start = kernels.a
    let end = start + length
    let codec = CODEC_NONE
    if (compressible && this.#compress) {
      const capacity = length - (length >>> 3) - RAW_LENGTH_BYTES
      const compressed = capacity > 0 ? kernels.compress(kernels.a, length, kernels.b + RAW_LENGTH_BYTES, capacity) : 0
      if (compressed > 0) {
        start = kernels.b
        end = start + RAW_LENGTH_BYTES + compressed
        writeU32(memory, start, length)
        codec = CODEC_LZ4
      }
    }
    memory[end++] = codec
    this.#seal(start, end)
    this.lastOffset = this.offset
    this.lastBytes = end + 8 - start
    this.#write(start, end + 8)
  }

  /** Store bytes of region a with their own checksum: the footer. */
  storeSealed(length: number): void {
    const start = this.kernels.a
    this.#seal(start, start + length)
    this.#write(start, start + length + 8)
  }

  flush(): void {
    if (this.#buffered === 0) return
    this.#file.writeSync(this.#buffer, 0, this.#buffered, this.#written)
    this.#written += this.#buffered
    this.#buffered = 0
  }

  #seal(start: number, end: number): void {
    const kernels = this.kernels
    kernels.hash(start, end - start, seedOf(this.#fileNumber), this.offset)
    writeU32(kernels.memory, end, kernels.hashLow)
    writeU32(kernels.memory, end + 4, kernels.hashHigh)
  }

  #write(start: number, end: number): void {
    const length = end - start
    if (this.offset + length > MAX_TABLE_BYTES) {
      throw new SpillwayError('SPILLWAY_INVALID_ARGUMENT',
        `${this.#file.path} would grow past ${formatSize(MAX_TABLE_BYTES)}, the most a table may have. Start a new table before`,
        { details: { file: this.#file.path, bytes: this.offset + length, limitBytes: MAX_TABLE_BYTES } })
    }
    const memory = this.kernels.memory
    if (this.#buffered + length > this.#buffer.length) this.flush()
    if (length > this.#buffer.length) {
      this.#file.writeSync(memory, start, length, this.#written)
      this.#written += length
      return
    }
    this.#buffer.set(memory.subarray(start, end), this.#buffered)
    this.#buffered += length
  }
}
