/**
 * Gives the event loop turns during loops of awaited calls that are answered at once: one call now and then waits for a turn. All
 * calls of a store count together.
 *
 * Cost: one clock read per call; one turn of the event loop every 5 ms.
 */
import type { StoreState } from './store-state.ts'

/** Time without a turn after which a call yields. */
const TURN_MS = 5

/** A promise for the next turn if one is due; else undefined. */
export function dueYield(core: StoreState): Promise<void> | undefined {
  return core.host.clock.nowMs() - core.turnMs < TURN_MS ? undefined : nextYield(core)
}

/** Resolves after the event loop has had a turn. */
export function nextYield(core: StoreState): Promise<void> {
  const { scheduler, clock } = core.host
  return new Promise(resolve => scheduler.soon(() => {
    core.turnMs = clock.nowMs()
    resolve()
  }))
}
