/**
 * Whether this store still owns its directory: it holds the lock, and the directory exists.
 *
 * A kernel lock cannot be lost, but on a network file system another process may take over while this one is cut off, and any
 * directory can be removed. The store is fenced then: it makes, publishes and removes no file and acknowledges nothing at 'disk'.
 *
 * Invariants
 * 1. A durable acknowledgement was written before the directory changed owner: `check` runs after the sync and before the
 *    acknowledgement, and a new owner takes the lock before it reads.
 * 2. While there are writes or jobs, a loss is noticed within half a second.
 *
 * Cost: one system call for each log sync, segment, flush and removal.
 */
import type { Host, HostLock } from '../../host/host.ts'
import { emitError } from '../api/events.ts'
import { ioError } from '../api/io-errors.ts'
import type { StoreHealth } from './store-health.ts'

const WATCH_MS = 500

export class Ownership {
  readonly #host: Pick<Host, 'scheduler'>
  readonly #directory: string
  readonly #health: StoreHealth
  readonly #isBusy: () => boolean
  /** Undefined: a store without a lock, in a directory of its own. */
  #lock: HostLock | undefined
  #cancelWatch: (() => void) | undefined
  /** A check is due within half a second. */
  isWatched = false

  /** `isBusy`: whether jobs run. */
  constructor(host: Pick<Host, 'scheduler'>, directory: string, health: StoreHealth, isBusy: () => boolean) {
    this.#host = host
    this.#directory = directory
    this.#health = health
    this.#isBusy = isBusy
  }

  /** Call before anything else is done in the directory. */
  hold(lock: HostLock): void {
    this.#lock = lock
  }

  /** The error of having lost it, once known. */
  get lost(): Error | undefined { return this.#health.fenced }

  /** Throws FENCED when it is lost; the store is fenced from then on. */
  check(): void {
    const { lost } = this
    if (lost !== undefined) throw lost
    try {
      this.#lock?.check()
    } catch (cause) {
      const error = ioError(cause, 'looking at the lock')
      if ((error as { code?: unknown }).code === 'SPILLWAY_FENCED') this.lose(error)
      throw error
    }
  }

  /** `check` as a boolean. False when it cannot be known. */
  get isOurs(): boolean {
    try {
      this.check()
      return true
    } catch {
      return false
    }
  }

  /** Check within half a second, and again while jobs run. */
  watch(): void {
    if (this.isWatched || this.#lock === undefined || this.lost !== undefined) return
    this.isWatched = true
    this.#cancelWatch = this.#host.scheduler.later(WATCH_MS, () => {
      this.isWatched = false
      if (!this.#health.closing && this.isOurs && this.#isBusy()) this.watch()
    }, true)
  }

  close(): void {
    this.#cancelWatch?.()
  }

  /** The lock, or another owner's manifest, says that it is lost. */
  lose(error: Error): void {
    if (this.lost !== undefined) return
    this.#health.fence(error)
    emitError({ directory: this.#directory, error, readOnly: true })
  }
}
