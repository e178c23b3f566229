/**
 * Durability of the log: one sync at a time, for all who asked before it began.
 *
 * A sync goes on beside this thread, which costs two changes of threads: on a disk that is done sooner than those, a lone writer gets
 * a third fewer writes. So where syncs have been quick they are made in place, and one that was not has many follow it beside.
 *
 * Invariants
 * 1. After a sync that failed the store takes no more writes. Nobody knows what is on the disk then, and a later sync that
 *    succeeds proves nothing.
 * 2. Nobody is told that a write is durable by a store that takes no more writes: something before it may not be. The system tells a
 *    failure of writing back to who had the file open then, so that whoever opens it later is told that all is well.
 * 3. In place is made only what ends with one call: the log's last segment, of which the directory knows.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { StoreState } from '../state/store-state.ts'
import { emitError } from '../api/events.ts'
import { ioError } from '../api/io-errors.ts'
import type { LogSegments } from './log-segments.ts'

/** Syncs that take less on average, their way to another thread and back included, are made in place. */
const QUICK_MS = 0.4
/** Share of the latest sync in that average. */
const LATEST_SHARE = 0.1
/** After one that took longer, or at first, so many are made beside. */
const SLOW_MS = 4
const MAX_BESIDE = 32

/** Somebody who waits for durability. */
export interface SyncWaiter {
  resolve: () => void
  reject: (error: Error) => void
}

export class LogSync {
  readonly #core: StoreState
  readonly #logs: LogSegments
  readonly #waiting: SyncWaiter[] = []
  #isRunning = false
  #averageMs = 0
  /** So many syncs to come are made beside this thread, however quick. */
  #beside = MAX_BESIDE

  #failure: Error | undefined

  constructor(core: StoreState, logs: LogSegments) {
    this.#core = core
    this.#logs = logs
  }

  /** Settled when all that is in the log now is durable, or is known not to be. */
  add(waiter: SyncWaiter): void {
    this.#waiting.push(waiter)
    void this.#run()
  }

  /** The same, blocking. */
  now(): void {
    try {
      this.#logs.syncNow()
    } catch (cause) {
      throw this.#failed(cause, [])
    }
    this.#checkKnown()
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      while (this.#waiting.length > 0) {
        const waiting = this.#waiting.splice(0)
        try {
          const sinceMs = this.#core.host.clock.nowMs()
          if (this.#beside === 0 && this.#averageMs < QUICK_MS && this.#logs.isNearlySynced) this.#logs.syncNow()
          else await this.#logs.sync()
          // Whoever synced or flushed meanwhile may have been told.
          this.#checkKnown()
          this.#measured(this.#core.host.clock.nowMs() - sinceMs)
          for (const { resolve } of waiting) resolve()
        } catch (cause) {
          this.#failed(cause, waiting)
        }
      }
    } finally {
      this.#isRunning = false
    }
  }

  #measured(durationMs: number): void {
    this.#averageMs += (durationMs - this.#averageMs) * LATEST_SHARE
    if (durationMs > SLOW_MS) this.#beside = MAX_BESIDE
    else if (this.#beside > 0) this.#beside--
  }

  /** Throws when this sync went well and proves nothing. */
  #checkKnown(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#core.ownership.check()
    const { readOnlyReason } = this.#core.health
    if (readOnlyReason === undefined) return
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `nobody knows whether this write is durable: ${readOnlyReason.message}. Close the store, mend the cause and open it again`,
      { cause: readOnlyReason },
    )
  }

  #failed(cause: unknown, waiting: SyncWaiter[]): Error {
    const core = this.#core
    const error = ioError(cause, 'making the log durable')
    this.#failure ??= error
    core.health.failStop(error)
    if (error !== core.ownership.lost) emitError({ directory: core.files.directory, error, readOnly: true })
    for (const { reject } of [...waiting, ...this.#waiting.splice(0)]) reject(error)
    return error
  }
}
