/**
 * Whether a store accepts calls and writes. The only part that stops it.
 *
 * Invariants
 * 1. Once set, `readOnlyReason` stays until the store is opened again.
 * 2. `closing` is set before anything is given back, `closed` after the last write.
 */
import { SpillwayError } from '../../base/errors.ts'

export class StoreHealth {
  /** Not 0: this store's jobs stop at their next step. Shared with the worker. */
  readonly stop = new Int32Array(new SharedArrayBuffer(4))
  lastBackgroundError: Error | undefined
  /** Calls are refused. */
  closing = false
  closed = false
  readonly #isReadOnlyOpen: boolean
  #readOnlyReason: Error | undefined
  #lossReason: Error | undefined
  #fenced: Error | undefined

  /** `isReadOnlyOpen`: opened for reading, so that the reason is the error itself. */
  constructor(isReadOnlyOpen: boolean) {
    this.#isReadOnlyOpen = isReadOnlyOpen
  }

  get readOnlyReason(): Error | undefined { return this.#readOnlyReason }
  /** Why acknowledged writes may not be on the disk. */
  get lossReason(): Error | undefined { return this.#lossReason }
  /** Why another process may own the directory. */
  get fenced(): Error | undefined { return this.#fenced }
  get takesCalls(): boolean { return !this.closing && !this.closed }

  /** Stop writes for good. The first reason counts. */
  failStop(error: Error): void {
    this.#readOnlyReason ??= error
  }

  /** Acknowledged writes may not be on disk: stop writes; closing reports it. */
  loseWrites(error: Error): void {
    this.failStop(error)
    this.#lossReason ??= error
  }

  /** The directory is no longer this store's: stop writes and jobs. */
  fence(error: Error): void {
    this.#fenced = error
    this.failStop(error)
    this.stopJobs()
  }

  stopJobs(): void {
    Atomics.store(this.stop, 0, 1)
  }

  /** A scratch store starts over after `clear`. */
  reset(): void {
    Atomics.store(this.stop, 0, 0)
    this.closed = false
    this.#readOnlyReason = undefined
  }

  /** Throws CLOSED. */
  checkOpen(): void {
    if (this.closing || this.closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the store is closed. Open it again with Spillway.open')
  }

  /** Throws CLOSED, FENCED, READ_ONLY. */
  checkWritable(): void {
    this.checkOpen()
    if (this.#fenced !== undefined) throw this.#fenced
    const reason = this.#readOnlyReason
    if (reason === undefined) return
    if (this.#isReadOnlyOpen) throw reason
    throw new SpillwayError(
      'SPILLWAY_READ_ONLY',
      `the store takes no more writes: ${reason.message}. Reads go on; close it, fix the cause and open it again`,
      { cause: reason },
    )
  }
}
