/**
 * Writes that wait for room, in the order of their calls.
 *
 * Invariants
 * 1. Nobody passes a waiter; one that is aborted leaves from wherever it stands, and was not written.
 * 2. Every waiter's promise is settled once, by whoever takes it off the queue, and then nothing listens to its signal any more.
 * 3. `bytes` is the sum of what the waiters hold.
 *
 * Account: `write queue`.
 */
import { SpillwayError } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'
import { deferred } from './deferred.ts'
import type { Deferred } from './deferred.ts'
import type { Operations } from './operations.ts'
import type { Durability } from './types.ts'

export interface QueuedWrite {
  readonly operations: Operations
  readonly durability: Durability
  readonly bytes: number
  readonly deferred: Deferred
  readonly signal: AbortSignal | undefined
  onAbort: (() => void) | undefined
}

export class WriteQueue {
  readonly #onAborted: () => void
  readonly #waiting: QueuedWrite[] = []
  #bytes = 0

  /** `onAborted`: a waiter has left; it may have been the first. */
  constructor(onAborted: () => void) {
    this.#onAborted = onAborted
  }

  get length(): number { return this.#waiting.length }
  get bytes(): number { return this.#bytes }
  get first(): QueuedWrite | undefined { return this.#waiting[0] }

  push(operations: Operations, durability: Durability, bytes: number, signal: AbortSignal | undefined): QueuedWrite {
    const write: QueuedWrite = { operations, durability, bytes, deferred: deferred(), signal, onAbort: undefined }
    if (signal !== undefined) {
      write.onAbort = () => this.#abort(write)
      signal.addEventListener('abort', write.onAbort, { once: true })
    }
    this.#waiting.push(write)
    this.#bytes += bytes
    return write
  }

  /** Take the first one off. */
  shift(): QueuedWrite {
    const write = this.#waiting.shift()!
    this.#left(write)
    return write
  }

  /** All that wait fail with this error. */
  fail(error: Error): void {
    while (this.#waiting.length > 0) this.shift().deferred.reject(error)
  }

  #abort(write: QueuedWrite): void {
    this.#waiting.splice(this.#waiting.indexOf(write), 1)
    this.#left(write)
    write.deferred.reject(abortedError(write.signal!, write.bytes))
    this.#onAborted()
  }

  #left(write: QueuedWrite): void {
    this.#bytes -= write.bytes
    if (write.onAbort !== undefined) write.signal!.removeEventListener('abort', write.onAbort)
  }
}

export function abortedError(signal: AbortSignal, bytes?: number): SpillwayError {
  const what = bytes === undefined ? 'a write was aborted before it began' : `a write of ${formatSize(bytes)} was aborted while it waited for room`
  return new SpillwayError('SPILLWAY_ABORTED', `${what}; nothing of it was written. Try again later, or allow it more time`, { cause: signal.reason })
}
