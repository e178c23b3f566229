/**
 * Collects garbage on request. A full collection frees dropped shared memory at once, but takes tens of milliseconds on a large
 * heap. A minor one takes about 0.1 ms plus the cost of the live objects.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** The flag is process-wide: another thread doing the same may clear it in between. */
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

/** Without it the memory comes back later. */
function find(): void {
  if (collect !== undefined || attempts >= MAX_ATTEMPTS) return
  // Keep a `gc` the program has exposed.
  const { gc } = globalThis as { gc?: unknown }
  if (typeof gc === 'function') {
    collect = gc as Collect
    return
  }
  try {
    while (collect === undefined && attempts++ < MAX_ATTEMPTS) {
      // The function exists only in contexts made while the flag is set.
      setFlagsFromString('--expose-gc')
      collect = runInNewContext('globalThis.gc') as Collect | undefined
      setFlagsFromString('--no-expose-gc')
    }
  } catch {
    // This runtime has no V8 flags or no contexts.
    attempts = MAX_ATTEMPTS
  }
}
