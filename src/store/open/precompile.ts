/** What is done while opening so that the first of something is as fast as the next. */
import type { StoreState } from '../state/store-state.ts'
import { Scratch } from '../../encoding/encoding.ts'
import { SpillwayIterator } from '../scan/iterator.ts'
import { KernelScan } from '../scan/kernel-scan.ts'

/** Whether a scan has run in this process. */
let isWarm = false

/**
 * V8 compiles a function when it is first called, and a scan takes a millisecond of that: better while opening than in the middle of the
 * first scan. This one is at the beginning of history, where nothing is visible, so it reads nothing; entry by entry it would look
 * through the memtable.
 */
export function precompile(core: StoreState): void {
  const { key, value } = core.settings
  if (isWarm || key.packed === undefined || value.packed === undefined) return
  const packed = KernelScan.open(core, 0)
  if (packed === undefined) return
  packed.close()
  isWarm = true
  try {
    scanNothing(core)
  } catch (error) {
    // Others of the budget have all of it: they come first.
    if ((error as { code?: unknown }).code !== 'SPILLWAY_BUDGET_TOO_SMALL') throw error
  }
}

function scanNothing(core: StoreState): void {
  const { key, value } = core.settings
  const iterator = new SpillwayIterator<unknown>(core, {
    range: { start: undefined, end: undefined }, reverse: false, limit: 1, keys: key, values: value, targets: key, targetScratch: new Scratch(0), snapshotSeq: 0,
  })
  try {
    iterator.nextvSync(1)
  } finally {
    iterator.closeSync()
  }
}
