/**
 * The job of the spill queue: compress a page where it lies in shared memory. A runner that is given to a page pool must know it.
 *
 * The page lies at the end of its place and the extent is written from the beginning: it never catches up with what is still to read.
 * Account: kernels of `JOB_KERNEL_BYTES` once a thread, in the lease of the staging buffer.
 */
import { Kernels } from '../kernels/kernels.ts'
import type { Job, JobContext } from '../host/host.ts'
import { MAX_PIECE_BYTES, encodeExtent } from './extent-codec.ts'
import type { ExtentSink } from './extent-codec.ts'

export const COMPRESS_PAGE = 'compressPage'
export const JOB_KERNEL_BYTES = Kernels.bytesFor(MAX_PIECE_BYTES)

export interface CompressPageArgs {
  staging: SharedArrayBuffer
  /** Where the page is. */
  from: number
  length: number
  /** Where the extent goes, below it. */
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

/** Returns the extent's bytes. */
function* compressPage(_context: JobContext, args: CompressPageArgs): Generator<void, number, void> {
  kernels ??= new Kernels(MAX_PIECE_BYTES)
  const bytes = new Uint8Array(args.staging)
  return encodeExtent(kernels, args.pieceBytes, bytes, args.from, args.length, args.serial, new StagingSink(bytes, args.to))
}

export const jobs: Record<string, Job<any, unknown>> = { [COMPRESS_PAGE]: compressPage }
