/**
 * The code of the worker as one text, so that it goes wherever this package goes: into a bundle, a single executable, an archive. A
 * file of its own would be left behind there.
 *
 * Cost: 70 KiB of text, and half a millisecond to unpack for each worker.
 */
import { inflateRawSync } from 'node:zlib'

/** Filled in by `scripts/build.mjs` after compiling. Empty when run uncompiled. */
const PACKED: string = ''

export const hasWorkerCode: boolean = PACKED !== ''

export function workerCode(): string {
  return inflateRawSync(Buffer.from(PACKED, 'base64')).toString('latin1')
}
