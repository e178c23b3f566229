/**
 * Durability of the log: one sync at a time, for all who asked before it began.
 *
 * Invariant: after a sync that failed the store takes no more writes. Nobody knows what is on the disk then, and a later sync that
 * succeeds proves nothing.
 */
import type { Core } from './core.ts'
import { tellError } from './events.ts'
import { ioError } from './io-error.ts'
import type { LogSegments } from './log-segments.ts'

/** Somebody who waits for durability. */
export interface SyncWaiter {
  resolve: () => void
  reject: (error: Error) => void
}

export class LogSync {
  readonly #core: Core
  readonly #logs: LogSegments
  readonly #waiting: SyncWaiter[] = []
  #isRunning = false

  constructor(core: Core, logs: LogSegments) {
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
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return
    this.#isRunning = true
    try {
      while (this.#waiting.length > 0) {
        const waiting = this.#waiting.splice(0)
        try {
          await this.#logs.sync()
          for (const { resolve } of waiting) resolve()
        } catch (cause) {
          this.#failed(cause, waiting)
        }
      }
    } finally {
      this.#isRunning = false
    }
  }

  #failed(cause: unknown, waiting: SyncWaiter[]): Error {
    const core = this.#core
    const error = ioError(cause, 'making the log durable')
    core.readOnlyReason ??= error
    tellError({ directory: core.directory, error, readOnly: true })
    for (const { reject } of [...waiting, ...this.#waiting.splice(0)]) reject(error)
    return error
  }
}
