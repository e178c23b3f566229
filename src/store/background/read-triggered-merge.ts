/**
 * Read-triggered compaction: when a store is mostly read, merge all runs into one once the extra lookups that several runs cost
 * have taken as much CPU as the merge will. A store that is only read pays at most twice the minimum that way.
 *
 * Nearly new data pays only DUE_SHARE of the price: after about as much was flushed as there is to merge, these merges write each
 * byte only once more in all.
 */
import type { StoreState } from '../state/store-state.ts'
import { pickRange } from './merge-picks.ts'
import type { Merger } from './merger.ts'

/** Microseconds of one core: probing one more run, merging one byte. */
const RUN_READ_US = 0.3
const MERGE_BYTE_US = 0.01
/** Fewer probes are ignored. */
const MIN_RUN_READS = 50_000
const DUE_SHARE = 1 / 32
/** Share of flushed bytes in all bytes from which data counts as new. */
const MIN_NEW = 0.9
/** Beside writers: seconds they would need to write all tables, and the share that must be new. */
const MIN_SECONDS = 30
const MIN_NEW_BESIDE = 1 / 16
/** A longer merge would delay writers that come back. */
const MAX_BYTES = 512 * 1024 * 1024

/** Start the merge if it pays. `bytesPerSecond`: what writers write now; 0 = nothing. `onEnd`: a merge has ended. */
export function mergeForReaders(store: StoreState, merger: Merger, bytesPerSecond: number, isIdle: () => boolean, onEnd: () => void): void {
  const { engine, health, strategy, view: { tree, sealed } } = store
  const { runReads, tableBytes } = tree
  const { bytesSinceWhole } = merger
  // Without a worker the readers' own thread merges.
  const isDue = engine.plan.mode === 'worker' && bytesSinceWhole >= tableBytes * MIN_NEW
  if (bytesPerSecond > 0 && (bytesPerSecond * MIN_SECONDS > tableBytes || bytesSinceWhole < tableBytes * MIN_NEW_BESIDE)) return
  const priceUs = tableBytes * MERGE_BYTE_US * (isDue ? DUE_SHARE : 1)
  if (runReads < MIN_RUN_READS || runReads * RUN_READ_US < priceUs || tableBytes > MAX_BYTES) return
  if (tree.runs.length < 2 || merger.pauses > 0 || !isIdle() || sealed.length > 0 || health.closing || health.readOnlyReason !== undefined) return
  if (!merger.mayTryOptional) return
  // Whatever the outcome, the next one is due after as many probes again.
  tree.runReads = 0
  merger.markWhole()
  const pick = pickRange(tree, strategy, undefined, undefined)
  if (pick === undefined) return
  // While all runs go to the deepest level, no other merge may put tables into its gaps. Without levels, new flushes are merged beside it.
  const pauses = strategy.joinsRuns ? 1 : 0
  merger.pauses += pauses
  const isStarted = merger.start({ ...pick, isOptional: true, reason: 'readers probe several runs, and little is written' }, () => {
    merger.pauses -= pauses
    onEnd()
  })
  if (!isStarted) merger.pauses -= pauses
}
