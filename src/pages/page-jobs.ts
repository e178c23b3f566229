/**
 * The spill queue's job: compresses a page inside shared memory.
 *
 * The page lies at the end of its staging range, the extent at its start, so output never overtakes unread input.
 * Account: `JOB_KERNEL_BYTES` a thread, in the staging lease.
 */
import { Kernels } from '../kernels/kernels.ts'
import type { Job, JobContext } from '../host/host.ts'
import { MAX_PIECE_BYTES, encodeExtent } from './extent-codec.ts'
import type { ExtentSink } from './extent-codec.ts'

export const COMPRESS_PAGE = 'compressPage'
export const JOB_KERNEL_BYTES = Kernels.bytesFor(MAX_PIECE_BYTES)

export interface CompressPageArgs {
  staging: SharedArrayBuffer
  from: number
  length: number
  /** Offset of the extent, below `from`. */
  to: number
  pieceBytes: number
  serial: number
}

class StagingSink implements ExtentSink {
  readonly #bytes: Uint8Array
  readonly #to: number

  constructor(bytes: Uint8Array, to: number) {
    this.#bytes = bytes
    this.#to = to
  }

  reserve(): boolean { return true }

  put(bytes: Uint8Array, start: number, end: number, at: number): void {
    this.#bytes.set(bytes.subarray(start, end), this.#to + at)
  }
}

let kernels: Kernels | undefined

function* compressPage(_context: JobContext, args: CompressPageArgs): Generator<void, number, void> {
  kernels ??= new Kernels(MAX_PIECE_BYTES)
  const bytes = new Uint8Array(args.staging)
  return encodeExtent(kernels, args.pieceBytes, bytes, args.from, args.length, args.serial, new StagingSink(bytes, args.to))
}

export const jobs: Record<string, Job<any, unknown>> = { [COMPRESS_PAGE]: compressPage }
