/**
 * The code of the store's worker, all in one text, so that it goes wherever this package goes: into a bundle, a single executable, an
 * archive. A file beside this one would be left behind there.
 *
 * Cost: 70 KiB of text, and half a millisecond to unpack for each worker.
 */
import { inflateRawSync } from 'node:zlib'

/** `scripts/build.mjs` puts it in after compiling. Empty where this runs uncompiled. */
const PACKED: string = ''

export const hasWorkerCode: boolean = PACKED !== ''

export function workerCode(): string {
  return inflateRawSync(Buffer.from(PACKED, 'base64')).toString('latin1')
}
