/**
 * Turns of the event loop for calls that are awaited and answered at once: a loop of them would leave it none, so one of them waits
 * for its turn when there has been none for a while. All such calls of a store count together, whichever iterator they belong to.
 *
 * Cost: one look at the clock for a call; a turn of the event loop every 5 ms.
 */
import type { StoreState } from './store-state.ts'

/** After so long without giving it a turn, a call lets the event loop run. */
const TURN_MS = 5

/** A turn, if the event loop has had none for so long; undefined: go on. */
export function dueYield(core: StoreState): Promise<void> | undefined {
  return core.host.clock.nowMs() - core.turnMs < TURN_MS ? undefined : nextYield(core)
}

/** Resolves when the event loop has had its turn. */
export function nextYield(core: StoreState): Promise<void> {
  const { scheduler, clock } = core.host
  return new Promise(resolve => scheduler.soon(() => {
    core.turnMs = clock.nowMs()
    resolve()
  }))
}
