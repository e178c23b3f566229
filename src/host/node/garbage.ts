/**
 * Collecting garbage on request. All of it: the only way to have dropped shared memory given back now and not at some later time; it costs
 * tens of milliseconds on a large heap, so it is asked for seldom. The young only: about a tenth of a millisecond, and what is alive of it.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The flag is one for the process: another thread that does the same at this moment may clear it between two lines here. */
const MOST_ATTEMPTS = 16
const YOUNG = { type: 'minor' }

let collect: ((options?: typeof YOUNG) => void) | undefined

export function collectGarbage(): void {
  find()
  collect?.()
}

export function collectYoungGarbage(): void {
  find()
  collect?.(YOUNG)
}

function find(): void {
  // Never found: it is asked for again, and the memory comes back at some later time.
  for (let attempt = 0; collect === undefined && attempt < MOST_ATTEMPTS; attempt++) {
    // The function exists only in contexts made while the flag is set; it is cleared again at once.
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('globalThis.gc') as typeof collect
    setFlagsFromString('--no-expose-gc')
  }
}
