/**
 * Collecting garbage on request: the only way to have dropped shared memory given back now and not at some later time.
 * Costs tens of milliseconds on a large heap, so it is asked for seldom.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

let collect: (() => void) | undefined

export function collectGarbage(): void {
  if (collect === undefined) {
    // The function exists only in contexts made while the flag is set; it is cleared again at once.
    setFlagsFromString('--expose-gc')
    collect = runInNewContext('gc') as () => void
    setFlagsFromString('--no-expose-gc')
  }
  collect()
}
