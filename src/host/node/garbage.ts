/**
 * Collecting garbage on request. All of it: the only way to have dropped shared memory given back now and not at some later time; it costs
 * tens of milliseconds on a large heap, so it is asked for seldom. The young only: about a tenth of a millisecond, and what is alive of it.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The flag is one for the process: another thread that does the same at this moment may clear it between two lines here. */
const MAX_ATTEMPTS = 16
const YOUNG = { type: 'minor' }

type Collect = (options?: typeof YOUNG) => void

let collect: Collect | undefined
let attempts = 0

export function collectGarbage(): void {
  find()
  collect?.()
}

export function collectYoungGarbage(): void {
  find()
  collect?.(YOUNG)
}

/** Where it cannot be had, the memory comes back at some later time. */
function find(): void {
  if (collect !== undefined || attempts >= MAX_ATTEMPTS) return
  // A program that has it is to keep it.
  const { gc } = globalThis as { gc?: unknown }
  if (typeof gc === 'function') {
    collect = gc as Collect
    return
  }
  try {
    while (collect === undefined && attempts++ < MAX_ATTEMPTS) {
      // The function exists only in contexts made while the flag is set; it is cleared again at once.
      setFlagsFromString('--expose-gc')
      collect = runInNewContext('globalThis.gc') as Collect | undefined
      setFlagsFromString('--no-expose-gc')
    }
  } catch {
    // No host of V8's flags or of contexts.
    attempts = MAX_ATTEMPTS
  }
}
