/**
 * Writes waiting for memory, in call order.
 *
 * Invariants
 * 1. No write overtakes another. An aborted one leaves the queue and was not written.
 * 2. Each promise settles once, when its write leaves the queue; its signal is no longer listened to.
 * 3. `bytes` is the sum of the queued writes.
 *
 * Account: `write queue`.
 */
import { SpillwayError } from '../../base/errors.ts'
import { formatSize } from '../../base/sizes.ts'
import { deferred } from '../api/deferred.ts'
import type { Deferred } from '../api/deferred.ts'
import type { Operations } from '../api/operation.ts'
import type { Durability } from '../api/options.ts'

export interface QueuedWrite {
  readonly operations: Operations
  readonly durability: Durability
  readonly bytes: number
  readonly deferred: Deferred
  readonly signal: AbortSignal | undefined
}

export class WriteQueue {
  readonly #onAborted: () => void
  readonly #onBytes: (bytes: number) => void
  /** One listener per signal, shared by all its writes. */
  readonly #signals = new Map<AbortSignal, { writes: Set<QueuedWrite>, listener: () => void }>()
  readonly #waiting: QueuedWrite[] = []
  #bytes = 0

  /** `onAborted`: writes have left, perhaps the first. `onBytes`: change of the held bytes. */
  constructor(onAborted: () => void, onBytes: (bytes: number) => void) {
    this.#onAborted = onAborted
    this.#onBytes = onBytes
  }

  get length(): number { return this.#waiting.length }
  get bytes(): number { return this.#bytes }
  get first(): QueuedWrite | undefined { return this.#waiting[0] }

  push(operations: Operations, durability: Durability, bytes: number, signal: AbortSignal | undefined): QueuedWrite {
    const write: QueuedWrite = { operations, durability, bytes, deferred: deferred(), signal }
    if (signal !== undefined) this.#listen(write, signal)
    this.#waiting.push(write)
    this.#bytes += bytes
    this.#onBytes(bytes)
    return write
  }

  /** Remove the first. */
  shift(): QueuedWrite {
    const write = this.#waiting.shift()!
    this.#left(write)
    return write
  }

  /** Fail all queued writes. */
  fail(error: Error): void {
    while (this.#waiting.length > 0) this.shift().deferred.reject(error)
  }

  #listen(write: QueuedWrite, signal: AbortSignal): void {
    const known = this.#signals.get(signal)
    if (known !== undefined) {
      known.writes.add(write)
      return
    }
    const writes = new Set([write])
    const listener = (): void => {
      for (const aborted of [...writes]) {
        this.#waiting.splice(this.#waiting.indexOf(aborted), 1)
        this.#left(aborted)
        aborted.deferred.reject(abortedError(signal, aborted.bytes))
      }
      this.#onAborted()
    }
    this.#signals.set(signal, { writes, listener })
    signal.addEventListener('abort', listener, { once: true })
  }

  #left(write: QueuedWrite): void {
    this.#bytes -= write.bytes
    this.#onBytes(-write.bytes)
    const { signal } = write
    const known = signal === undefined ? undefined : this.#signals.get(signal)
    if (known === undefined) return
    known.writes.delete(write)
    if (known.writes.size > 0) return
    this.#signals.delete(signal!)
    signal!.removeEventListener('abort', known.listener)
  }
}

export function abortedError(signal: AbortSignal, bytes?: number): SpillwayError {
  const what = bytes === undefined ? 'a write was aborted before it began' : `a write of ${formatSize(bytes)} was aborted while it waited for room`
  return new SpillwayError('SPILLWAY_ABORTED', `${what}; nothing of it was written. Try again later, or allow it more time`, { cause: signal.reason })
}
