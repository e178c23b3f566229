/** Work done at open so that a first call is as fast as the next. */
import type { StoreState } from '../state/store-state.ts'
import { Scratch } from '../../encoding/encoding.ts'
import { SpillwayIterator } from '../scan/iterator.ts'
import { KernelScan } from '../scan/kernel-scan.ts'

/** Whether a scan has run in this process. */
let isWarm = false

/**
 * V8 compiles functions at their first call, which costs a first scan a millisecond. This scan is at sequence number 0, where
 * nothing is visible, so it reads nothing.
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
    // Other stores of the budget hold the memory.
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
