/**
 * Counts what jobs of a store failed with, and stops the store when it cannot go on.
 *
 * Invariants
 * 1. A full disk, denied memory or want of file descriptors never stops the store; an error that leaves durability unknown does at once.
 * 2. Other errors stop it after MAX_FAILURES in a row over at least MIN_FAILING_MS: waiting writers shorten the retry pauses.
 */
import { isNotDurable } from '../../compaction/sync-errors.ts'
import { isOutOfDescriptors } from '../../host/file-error.ts'
import { emitError } from '../api/events.ts'
import { ioError } from '../api/io-errors.ts'
import type { StoreState } from '../state/store-state.ts'

const MAX_FAILURES = 5
const MIN_FAILING_MS = 1500

export class JobFailures {
  readonly #store: StoreState
  #count = 0
  #sinceMs = 0

  constructor(store: StoreState) {
    this.#store = store
  }

  /** In a row. */
  get count(): number { return this.#count }

  succeeded(): void {
    this.#count = 0
  }

  /** The error to report. `isNeeded`: the store depends on the job in the long run; else it never stops the store and is not counted. */
  failed(cause: Error, doing: string, isNeeded = true): Error {
    const { health, counters, host, ownership, files } = this.#store
    const error = ioError(cause, doing)
    const nowMs = host.clock.nowMs()
    health.lastBackgroundError = error
    counters.backgroundErrors++
    const before = this.#count
    if (this.#count++ === 0) this.#sinceMs = nowMs
    const lasts = isNeeded && this.#count >= MAX_FAILURES && nowMs - this.#sinceMs >= MIN_FAILING_MS
    const { code } = error as { code?: unknown }
    if (code === 'SPILLWAY_FENCED') ownership.lose(error)
    else if (isNotDurable(error)) health.loseWrites(error)
    else if (lasts && code !== 'SPILLWAY_NO_SPACE' && code !== 'SPILLWAY_BUDGET_TOO_SMALL' && !isOutOfDescriptors(error)) health.failStop(error)
    if (!isNeeded) this.#count = before
    emitError({ directory: files.directory, error, readOnly: health.readOnlyReason !== undefined })
    return error
  }
}
