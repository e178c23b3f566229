/**
 * Collecting garbage on request: the only way to have dropped shared memory given back now and not at some later time.
 * Costs tens of milliseconds on a large heap, so it is asked for seldom.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The flag is one for the process: another thread that does the same at this moment may clear it between two lines here. */
const MOST_ATTEMPTS = 16

let collect: (() => void) | undefined

export function collectGarbage(): void {
  // Never found: it is asked for again, and the memory comes back at some later time.
  for (let attempt = 0; collect === undefined && attempt < MOST_ATTEMPTS; attempt++) {
    // The function exists only in contexts made while the flag is set; it is cleared again at once.
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('globalThis.gc') as (() => void) | undefined
    setFlagsFromString('--no-expose-gc')
  }
  collect?.()
}
