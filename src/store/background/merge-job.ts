/**
 * One merge, of runs of the store or of staged tables: memory for as many runs as fit, its job, and windows that grow when blocks
 * turn out not to fit them.
 *
 * Account: `flush and merge`, through the job scheduler.
 */
import type { JobOutput, MergeArgs, OutputOptions } from '../../compaction/jobs.ts'
import type { MergeMemory } from '../engine/job-scheduler.ts'
import type { StoreState } from '../state/store-state.ts'

/** Merges come after flushes, small ones before large ones. */
const MERGE_PRIORITY = 1
const MAX_WINDOW_FACTOR = 64

/** The part of the arguments that depends on what is merged. */
export type MergeInputs = Omit<MergeArgs, keyof OutputOptions | 'readAheadBytes' | 'windowBytes'>

export class MergeWindows {
  #factor = 1

  /** Grows when merges find their windows too small. */
  get factor(): number { return this.#factor }

  /** Whether a merge failed because its windows were too small; then the next one has larger ones. */
  grow(error: Error): boolean {
    const { code, details } = error as { code?: unknown, details?: { account?: unknown } }
    if (code !== 'SPILLWAY_BUDGET_TOO_SMALL' || details?.account !== 'windows' || this.#factor >= MAX_WINDOW_FACTOR) return false
    this.#factor *= 2
    return true
  }

  /** Memory for a merge of `runs` runs; undefined: not now. */
  admit({ engine, settings }: StoreState, runs: number): MergeMemory | undefined {
    return engine.jobs.admitMerge(runs, this.#factor, settings.blockBytes)
  }
}

/** `bytes`: of the inputs. `done` is called when the job has ended; its memory is still held. */
export function submitMerge(
  store: StoreState, output: OutputOptions, inputs: MergeInputs, { readAheadBytes, windowBytes }: MergeMemory, bytes: number,
  done: (error: Error | undefined, output: JobOutput | undefined) => void,
): void {
  const args: MergeArgs = { ...output, ...inputs, readAheadBytes, windowBytes }
  store.engine.jobs.runner.submit({ name: 'merge', args, priority: MERGE_PRIORITY + bytes }, (error, result) => done(error, result as JobOutput | undefined))
}
