/**
 * The worker's code as text, so that it goes into a bundle, single executable or archive with the package. Cost: 70 KiB, and half a
 * millisecond to unpack for each worker.
 */
import { inflateRawSync } from 'node:zlib'

/** Filled in by `scripts/build.mjs` after compiling. Empty when run uncompiled. */
const PACKED: string = ''

export const hasWorkerCode: boolean = PACKED !== ''

export function workerCode(): string {
  return inflateRawSync(Buffer.from(PACKED, 'base64')).toString('latin1')
}
