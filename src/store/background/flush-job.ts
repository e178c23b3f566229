/**
 * One flush, of a memtable of the store or of staged tables: its job, then its installation, then its end.
 *
 * Account: `flush and merge`, through the job scheduler.
 */
import type { FlushArgs, JobOutput } from '../../compaction/jobs.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { StoreState } from '../state/store-state.ts'

/** What differs between the store and staged tables. One of `flushed`, `failed` and `abandoned` is called, last. */
export interface FlushOwner {
  /** Nothing may be installed any more. */
  readonly isOver: boolean
  /** Install the tables; call `done` once, now or later. */
  install(slot: MemtableSlot, output: JobOutput, done: (error: Error | undefined) => void): void
  /** The tables are part of the store: release the memtable. */
  flushed(slot: MemtableSlot, output: JobOutput): void
  failed(cause: Error): void
  /** The owner ended meanwhile: remove the tables. */
  abandoned(slot: MemtableSlot, output: JobOutput | undefined): void
}

export function startFlush(store: StoreState, owner: FlushOwner, slot: MemtableSlot, args: FlushArgs): void {
  store.engine.jobs.flush({
    args,
    install: (error, output, end) => {
      if (owner.isOver) {
        end(() => owner.abandoned(slot, output))
      } else if (error !== undefined) {
        end(() => owner.failed(error))
      } else {
        owner.install(slot, output, failure => end(() => {
          if (failure !== undefined) {
            owner.failed(failure)
            return
          }
          for (const number of slot.valueFiles) store.files.unsyncedValues.delete(number)
          store.counters.flushBytes += output.bytesWritten
          store.engine.governor.traffic.flushedBytes += output.bytesWritten
          owner.flushed(slot, output)
        }))
      }
    },
  })
}
