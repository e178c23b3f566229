/**
 * Byte credits: bounds the bytes that are accepted but not yet flushed. A write takes credits before it enters, a flush gives
 * them back.
 *
 * Invariants
 * 1. used = credits taken - credits released, never below 0. It exceeds the budget only by one oversize request, which enters
 *    when nothing is held, or because the budget was lowered or disabled meanwhile.
 * 2. First come, first served: while somebody waits nobody else enters, so a large request cannot starve.
 * 3. The first waiter does not fit at any instant between two calls. So nobody waits while nothing is held.
 * 4. Every change that leaves waiters calls `onStarved`, so that what will free bytes can be armed again.
 * 5. A wait ends: with credits, with its signal (ABORTED) or with `close` (CLOSED).
 *
 * Cost: a comparison and an addition where there is room; a wait allocates one record and one promise and leaves in O(1).
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'

export interface CreditsOptions {
  /** Told when more is released than is held; `used` is 0 then. Without it that `release` throws, after all else is done. */
  onAccountingError?: (error: SpillwayError) => void
}

class Waiter {
  readonly bytes: number
  readonly signal: AbortSignal | undefined
  resolve!: () => void
  reject!: (error: Error) => void
  onAbort: (() => void) | undefined
  isQueued = true
  older: Waiter | undefined
  newer: Waiter | undefined

  constructor(bytes: number, signal: AbortSignal | undefined) {
    this.bytes = bytes
    this.signal = signal
  }
}

const DONE = Promise.resolve()

export class Credits {
  /**
   * Called, inside the call that caused it, whenever a wait has begun or something changed and waiters remain. It may release
   * credits, but not acquire. If it throws when a wait begins, that wait fails with its error.
   */
  onStarved: () => void = () => {}

  readonly #onAccountingError: ((error: SpillwayError) => void) | undefined
  #budgetBytes: number
  /** Most that may be held; when disabled, most that can be counted. */
  #limitBytes: number
  #used = 0
  #oldest: Waiter | undefined
  #newest: Waiter | undefined
  #waiting = 0
  #closed = false
  #isTelling = false
  #tellAgain = false

  /** `budgetBytes`: most bytes held at once; 0 or less disables the pool, which then only counts. Throws INVALID_ARGUMENT. */
  constructor(budgetBytes: number, options: CreditsOptions = {}) {
    this.#onAccountingError = options.onAccountingError
    this.#budgetBytes = checkBudget(budgetBytes)
    this.#limitBytes = limitOf(budgetBytes)
  }

  /** Bytes held. */
  get used(): number { return this.#used }
  get budgetBytes(): number { return this.#budgetBytes }
  /** What one request may take now without waiting, were it not oversize. */
  get freeBytes(): number { return this.#oldest !== undefined ? 0 : Math.max(0, this.#limitBytes - this.#used) }
  /** Requests that wait. */
  get waiting(): number { return this.#waiting }

  /**
   * Take credits if they fit and nobody waits. 0 bytes is always true.
   * Throws INVALID_ARGUMENT for anything but a whole number of bytes >= 0, and CLOSED after `close`; nothing has changed then.
   */
  tryAcquire(bytes: number): boolean {
    checkBytes(bytes, 'taken')
    if (bytes === 0) return true
    if (this.#closed) throw closedError(bytes)
    if (this.#oldest !== undefined || !this.#fits(bytes)) return false
    this.#used += bytes
    return true
  }

  /**
   * Take credits, waiting in line for them. Rejects with INVALID_ARGUMENT, with ABORTED when `signal` fires (or had fired)
   * before they are granted, with CLOSED on `close`; the caller holds nothing then. Once granted they are the caller's to
   * release, whatever the signal does later.
   */
  acquire(bytes: number, signal?: AbortSignal): Promise<void> {
    try {
      if (bytes !== 0 && signal?.aborted === true) {
        checkBytes(bytes, 'taken')
        throw this.#abortedError(bytes, signal)
      }
      if (this.tryAcquire(bytes)) return DONE
    } catch (error) {
      return Promise.reject(error as Error)
    }
    return this.#wait(bytes, signal)
  }

  /**
   * Wait in line without a promise, for a caller that may be inside a call that blocks: exactly one of the two is called,
   * inside the call that made room or closed the pool, unless the line is left before. Returns how to leave it: false when it
   * was too late for that, because the credits are the caller's already. Throws what `tryAcquire` throws.
   */
  join(bytes: number, granted: () => void, failed: (error: Error) => void): () => boolean {
    checkBytes(bytes, 'taken')
    if (this.#closed) throw closedError(bytes)
    const waiter = new Waiter(bytes, undefined)
    waiter.resolve = granted
    waiter.reject = failed
    this.#enqueue(waiter)
    return () => {
      if (!waiter.isQueued) return false
      this.#unlink(waiter)
      this.#serve()
      return true
    }
  }

  /**
   * Give credits back; those who waited for them have them when this returns. Throws INVALID_ARGUMENT for anything but a
   * whole number of bytes >= 0. More than is held is an accounting error: `used` is 0 and it is reported. After `close`
   * nothing is held, and what comes back is ignored.
   */
  release(bytes: number): void {
    checkBytes(bytes, 'released')
    if (bytes === 0 || this.#closed) return
    const held = this.#used
    this.#used = Math.max(0, held - bytes)
    try {
      this.#serve()
    } finally {
      if (bytes > held) this.#reportExcess(bytes, held)
    }
  }

  /** Change the budget, in effect at once: waiters that fit now enter. 0 or less disables the pool. Throws INVALID_ARGUMENT. */
  setBudget(budgetBytes: number): void {
    this.#budgetBytes = checkBudget(budgetBytes)
    this.#limitBytes = limitOf(budgetBytes)
    this.#serve()
  }

  /** All waits fail with CLOSED, nothing is held, and nobody waits any more. A second call does nothing. */
  close(): void {
    this.#closed = true
    this.#used = 0
    for (let waiter = this.#oldest; waiter !== undefined; waiter = this.#oldest) {
      this.#unlink(waiter)
      waiter.reject(closedError(waiter.bytes))
    }
  }

  #fits(bytes: number): boolean {
    return this.#used === 0 || bytes <= this.#limitBytes - this.#used
  }

  #wait(bytes: number, signal: AbortSignal | undefined): Promise<void> {
    const waiter = new Waiter(bytes, signal)
    const promise = new Promise<void>((resolve, reject) => {
      waiter.resolve = resolve
      waiter.reject = reject
    })
    if (signal !== undefined) {
      waiter.onAbort = () => this.#abort(waiter, signal)
      signal.addEventListener('abort', waiter.onAbort, { once: true })
    }
    this.#enqueue(waiter)
    return promise
  }

  #enqueue(waiter: Waiter): void {
    waiter.older = this.#newest
    if (this.#newest === undefined) this.#oldest = waiter
    else this.#newest.newer = waiter
    this.#newest = waiter
    this.#waiting++
    try {
      this.#serve()
    } catch (error) {
      if (waiter.isQueued) {
        // Nothing may be on its way that would end this wait.
        this.#unlink(waiter)
        waiter.reject(error as Error)
      }
    }
  }

  #abort(waiter: Waiter, signal: AbortSignal): void {
    this.#unlink(waiter)
    waiter.reject(this.#abortedError(waiter.bytes, signal))
    // It may have been the one that kept smaller requests waiting.
    this.#serve()
  }

  /** Let in who fits, in order; then see to those who remain. */
  #serve(): void {
    for (let waiter = this.#oldest; waiter !== undefined && this.#fits(waiter.bytes); waiter = this.#oldest) {
      this.#unlink(waiter)
      this.#used += waiter.bytes
      waiter.resolve()
    }
    this.#tell()
  }

  /** A release inside `onStarved` leads to another round, not to a deeper stack. */
  #tell(): void {
    if (this.#isTelling) {
      this.#tellAgain = true
      return
    }
    this.#isTelling = true
    try {
      do {
        this.#tellAgain = false
        if (this.#oldest !== undefined) this.onStarved()
      } while (this.#tellAgain)
    } finally {
      this.#isTelling = false
    }
  }

  #unlink(waiter: Waiter): void {
    if (waiter.older === undefined) this.#oldest = waiter.newer
    else waiter.older.newer = waiter.newer
    if (waiter.newer === undefined) this.#newest = waiter.older
    else waiter.newer.older = waiter.older
    waiter.older = waiter.newer = undefined
    waiter.isQueued = false
    this.#waiting--
    if (waiter.onAbort !== undefined) waiter.signal!.removeEventListener('abort', waiter.onAbort)
  }

  #reportExcess(bytes: number, held: number): void {
    const error = new SpillwayError(
      'SPILLWAY_INVALID_ARGUMENT',
      `accounting error in write credits: ${bytes} bytes released, ${held} held. This is a bug in Spillway; please report it`,
      { details: { bytes, heldBytes: held } },
    )
    if (this.#onAccountingError === undefined) throw error
    this.#onAccountingError(error)
  }

  #abortedError(bytes: number, signal: AbortSignal): SpillwayError {
    return new SpillwayError(
      'SPILLWAY_ABORTED',
      `a write of ${formatSize(bytes)} was aborted before there was room for it (${formatSize(this.#used)} of ` +
      `${formatSize(this.#budgetBytes)} unflushed); nothing was written. Try again later, or allow it more time`,
      { cause: signal.reason, details: { bytes, usedBytes: this.#used, budgetBytes: this.#budgetBytes } },
    )
  }
}

function limitOf(budgetBytes: number): number {
  return budgetBytes <= 0 ? Number.MAX_SAFE_INTEGER : Math.min(budgetBytes, Number.MAX_SAFE_INTEGER)
}

function checkBudget(budgetBytes: number): number {
  if (typeof budgetBytes === 'number' && !Number.isNaN(budgetBytes)) return budgetBytes
  throw invalidArgument(`the budget of write credits must be a number of bytes (0 or less = no limit), not ${String(budgetBytes)}`)
}

function checkBytes(bytes: number, what: string): void {
  if (Number.isSafeInteger(bytes) && bytes >= 0) return
  throw invalidArgument(`write credits are ${what} in whole bytes from 0 to 2^53 - 1, not ${String(bytes)}. Nothing was changed`)
}

function closedError(bytes: number): SpillwayError {
  return new SpillwayError(
    'SPILLWAY_CLOSED',
    `the store was closed before there was room for a write of ${formatSize(bytes)}; it was not written. ` +
    'Open it again with Spillway.open',
    { details: { bytes } },
  )
}
