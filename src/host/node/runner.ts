/** The job runner of the real host: a worker thread, or slices of at most 2 ms on the main thread. */
import { InlineRunner } from '../inline-runner.ts'
import type { Slice } from '../inline-runner.ts'
import type { JobRunner, RunnerOptions } from '../host.ts'
import { nodeClock } from './clock.ts'
import { NodeFiles } from './files.ts'
import { beginSync, lateSyncError } from './sync-wait.ts'
import { nodeScheduler } from './scheduler.ts'
import { WorkerRunner } from './worker-runner.ts'

const SLICE_MS = 2

export function nodeRunner(options: RunnerOptions): JobRunner {
  if (options.mode === 'worker') return new WorkerRunner({ worker: options.worker, heapBytes: options.heapBytes })
  return new InlineRunner({
    module: options.module,
    context: { files: new NodeFiles(), clock: nodeClock, beginSync, lateSyncError },
    slice: new TimeSlice(),
    soon: nodeScheduler.soon,
  })
}

class TimeSlice implements Slice {
  #endMs = 0

  begin(): void {
    this.#endMs = performance.now() + SLICE_MS
  }

  more(): boolean {
    return performance.now() < this.#endMs
  }
}
