/**
 * Whether this store still owns its directory: the lock is its own, and the directory is there.
 *
 * A lock that the kernel holds cannot be lost. But a network file system has no kernel that all its users share: there somebody may take
 * over while this process is cut off. And any directory can be removed. Then this store is fenced: it makes, publishes and removes no
 * file any more, and acknowledges nothing at 'disk'.
 *
 * Invariants
 * 1. What is acknowledged as durable was written before the directory had another owner: `check` comes after the sync and before the
 *    acknowledgement, and a new owner takes the lock before it reads.
 * 2. While there are writes or jobs, it is found out within half a second.
 *
 * Cost: one system call for each sync of the log, segment, flush and removal.
 */
import type { Host, HostLock } from '../../host/host.ts'
import { emitError } from '../api/events.ts'
import { ioError } from '../api/io-errors.ts'

const WATCH_MS = 500

/** What owning a directory needs of its store. */
interface OwningStore {
  readonly host: Pick<Host, 'scheduler'>
  readonly directory: string
  /** Not 0: jobs stop. */
  readonly stop: Int32Array
  readonly engine: { readonly isBusy: boolean }
  readonly closing: boolean
  readOnlyReason: Error | undefined
}

export class Ownership {
  readonly #core: OwningStore
  /** Undefined: of a store without a lock, whose directory nobody else knows. */
  #lock: HostLock | undefined
  #lost: Error | undefined
  #cancelWatch: (() => void) | undefined
  /** A look comes within half a second. */
  isWatched = false

  constructor(core: OwningStore) {
    this.#core = core
  }

  /** Before anything else is done in the directory. */
  hold(lock: HostLock): void {
    this.#lock = lock
  }

  /** The error of having lost it, once that is known. */
  get lost(): Error | undefined { return this.#lost }

  /** Throws FENCED when it is lost; then the store takes no more writes and its jobs end. */
  check(): void {
    if (this.#lost !== undefined) throw this.#lost
    try {
      this.#lock?.check()
    } catch (cause) {
      const error = ioError(cause, 'looking at the lock')
      if ((error as { code?: unknown }).code === 'SPILLWAY_FENCED') this.lose(error)
      throw error
    }
  }

  /** The same as an answer. What cannot be known is no. */
  get isOurs(): boolean {
    try {
      this.check()
      return true
    } catch {
      return false
    }
  }

  /** Have a look soon, whoever else looks. */
  watch(): void {
    if (this.isWatched || this.#lock === undefined || this.#lost !== undefined) return
    const core = this.#core
    this.isWatched = true
    this.#cancelWatch = core.host.scheduler.later(WATCH_MS, () => {
      this.isWatched = false
      if (!core.closing && this.isOurs && core.engine.isBusy) this.watch()
    }, true)
  }

  close(): void {
    this.#cancelWatch?.()
  }

  /** Somebody else's manifest says so, or the lock. */
  lose(error: Error): void {
    if (this.#lost !== undefined) return
    const core = this.#core
    this.#lost = error
    core.readOnlyReason ??= error
    Atomics.store(core.stop, 0, 1)
    emitError({ directory: core.directory, error, readOnly: true })
  }
}
