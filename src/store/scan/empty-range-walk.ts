/**
 * Extends a store's known empty range (`state/empty-range.ts`) over keys deleted since, so that the next scan skips their tombstones.
 * Bounded in time and blocks, at the newest state. Best effort: on a denied lease or a read error it stops; the next real read
 * reports the error.
 */
import type { StoreState } from '../state/store-state.ts'
import { WALK_DELETIONS } from '../state/empty-range.ts'
import { KernelScan } from './kernel-scan.ts'

const WALK_MS = 2
const MAX_WALK_BLOCKS = 1024
/** A walk over fewer blocks was useless. */
const MIN_USEFUL_BLOCKS = 8
/** Deletions before a walk that ran out of time is continued. */
const CUT_DELETIONS = 512

/** Call where no read is under way, when `isDue`. */
export function extendEmptyRange(core: StoreState): void {
  const { emptyRange } = core
  const { end, deleted } = emptyRange.takeDeletions()
  if (core.health.closing || core.health.closed) return
  let next = end === undefined ? 0 : walk(core, end)
  if (next === 0 && deleted !== undefined) next = walk(core, deleted)
  emptyRange.walked(next)
}

/** Returns the deletions before the next walk; 0 = useless. */
function walk(core: StoreState, from: Uint8Array): number {
  const scan = KernelScan.open(core, core.lastSeq, true)
  if (scan === undefined) return 0
  try {
    const end = scan.walk(from, MAX_WALK_BLOCKS, core.host.clock.nowMs() + WALK_MS)
    if (end !== undefined) core.emptyRange.note(from, end)
    return scan.isCut ? CUT_DELETIONS : scan.blocksInVain >= MIN_USEFUL_BLOCKS ? WALK_DELETIONS : 0
  } catch {
    return 0
  } finally {
    scan.close()
  }
}
