/** `compact`: merge everything that overlaps a range of keys into its final place. */
import { SpillwayError } from '../../base/errors.ts'
import type { Pick } from '../../compaction/strategy.ts'
import { isDenied } from '../api/denied.ts'
import { deferred } from '../api/deferred.ts'
import type { StoreState } from '../state/store-state.ts'
import { pickRange } from './merge-picks.ts'
import type { Merger } from './merger.ts'

/** Merges in a row that were denied memory before the call fails. */
const MAX_DENIALS = 24

interface Outcome { error: Error | undefined, isWhole: boolean }

/** Bounds are inclusive; undefined = open. `changed`: resolves when a job has ended. */
export async function compactRange(
  store: StoreState, merger: Merger, first: Uint8Array | undefined, last: Uint8Array | undefined, changed: () => Promise<void>,
): Promise<void> {
  const { engine, health, ownership } = store
  let denials = 0
  for (;;) {
    while (merger.running > 0 || !engine.jobs.hasMergePlace) {
      await changed()
      health.checkWritable()
    }
    const pick = pickRange(store.view.tree, store.strategy, first, last)
    if (pick === undefined) return
    ownership.check()
    const { factor } = merger.windows
    const merged = start(merger, pick)
    // Memtables may hold the memory it needs.
    if (merged === undefined && !engine.jobs.isBusy) engine.memory.makeRoom()
    if (merged === undefined && engine.jobs.isBusy) {
      await changed()
      health.checkWritable()
      continue
    }
    if (merged === undefined) throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `no room to merge even two runs. ${engine.budget.advice()}`)
    const { error, isWhole } = await merged
    if (error === undefined && isWhole) return
    // Larger windows, or memory for the new tables' metadata, may help.
    const isHopeful = merger.windows.factor !== factor || (isDenied(error) && ++denials <= MAX_DENIALS)
    if (error !== undefined && !isHopeful) throw error
  }
}

/** Undefined: there is no memory now, and nothing was started. */
function start(merger: Merger, pick: Pick): Promise<Outcome> | undefined {
  const { promise, resolve } = deferred<Outcome>()
  return merger.start(pick, (error, isWhole) => resolve({ error, isWhole })) ? promise : undefined
}
