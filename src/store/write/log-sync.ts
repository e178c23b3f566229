/**
 * Durability of the log: one sync at a time, for all callers that asked before it began.
 *
 * A sync off the main thread costs two thread switches; on a fast disk a lone writer would lose a third of its rate. So quick syncs
 * run on this thread; a slow one is followed by many off it.
 *
 * Invariants
 * 1. After a failed sync the store takes no more writes: a later successful sync proves nothing. A sync that was not tried, without
 *    a file descriptor, only fails its callers.
 * 2. Then it acknowledges nothing as durable. The system reports a write-back error to files open at that time; a file opened later
 *    would seem fine.
 * 3. A sync on this thread is one system call: the last segment, whose directory entry is durable.
 */
import { SpillwayError } from '../../base/errors.ts'
import { isOutOfDescriptors } from '../../host/file-error.ts'
import type { StoreState } from '../state/store-state.ts'
import { emitError } from '../api/events.ts'
import { syncError } from '../api/io-errors.ts'
import type { LogSegments } from './log-segments.ts'

/** Average, including thread switches, below which syncs run on this thread. */
const QUICK_MS = 0.4
/** Weight of the latest sync in the average. */
const LATEST_SHARE = 0.1
/** At first, and after a slower sync, this many run off the main thread. */
const SLOW_MS = 4
const MAX_BESIDE = 32

/** A caller waiting for durability. */
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
  /** Syncs to come that run off the main thread. */
  #beside = MAX_BESIDE

  #failure: Error | undefined

  constructor(core: StoreState, logs: LogSegments) {
    this.#core = core
    this.#logs = logs
  }

  /** Settles when the present content of the log is durable, or known not to be. */
  add(waiter: SyncWaiter): void {
    this.#waiting.push(waiter)
    void this.#run()
  }

  /** Make the present content of the log durable, synchronously. */
  now(): void {
    try {
      this.#logs.syncNow()
    } catch (cause) {
      throw this.#failed(cause, [])
    }
    this.#checkKnown()
  }

  /** Sync before the log is closed. Throws when acknowledged writes may not be on disk. */
  async close(): Promise<void> {
    try {
      await this.#logs.sync()
    } catch (cause) {
      throw syncError(cause, 'making the log durable')
    }
    const { lossReason } = this.#core.health
    if (lossReason === undefined) return
    const { code = 'SPILLWAY_UNAVAILABLE' } = lossReason as Partial<SpillwayError>
    throw new SpillwayError(
      code, `the store is closed, and writes that it acknowledged may not be on the disk. Open it again before the machine restarts: data the system still holds is then written again. The cause: ${lossReason.message}`,
      { cause: lossReason },
    )
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
          // A sync or flush may have failed meanwhile.
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

  /** Throws when a successful sync proves nothing. */
  #checkKnown(): void {
    if (this.#failure !== undefined) throw this.#failure
    this.#core.ownership.check()
    const { readOnlyReason } = this.#core.health
    if (readOnlyReason === undefined) return
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `it is unknown whether this write is durable: ${readOnlyReason.message}. Close the store, fix the cause and open it again`,
      { cause: readOnlyReason },
    )
  }

  #failed(cause: unknown, waiting: SyncWaiter[]): Error {
    const core = this.#core
    const error = syncError(cause, 'making the log durable')
    if (isOutOfDescriptors(error)) {
      for (const { reject } of waiting) reject(error)
      return error
    }
    this.#failure ??= error
    if (error === core.ownership.lost) core.health.failStop(error)
    else core.health.loseWrites(error)
    if (error !== core.ownership.lost) emitError({ directory: core.files.directory, error, readOnly: true })
    for (const { reject } of [...waiting, ...this.#waiting.splice(0)]) reject(error)
    return error
  }
}
