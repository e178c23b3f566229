/**
 * Byte credits: bound the bytes accepted but not yet flushed. A write takes credits, a flush returns them.
 *
 * Invariants
 * 1. used = credits taken - released, never below 0. It exceeds the budget only by one oversize request, granted while nothing is
 *    held, or after the budget was lowered or disabled.
 * 2. First come, first served: while one waits no other gets credits, so large requests cannot starve.
 * 3. Between two calls the first waiter never fits. So none waits while nothing is held.
 * 4. Every change that leaves waiters calls `onStarved`.
 * 5. A wait ends: with credits, by its signal (ABORTED) or by `close` (CLOSED).
 *
 * Cost: a comparison and an addition; a wait allocates one record and one promise and leaves in O(1).
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { formatSize } from '../base/sizes.ts'

export interface CreditsOptions {
  /** Called when more is released than held; `used` is 0 then. Default: that `release` throws at its end. */
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
   * Called inside the call that began a wait or left waiters. It may release credits, not acquire. If it throws at the start of a
   * wait, that wait fails.
   */
  onStarved: () => void = () => {}

  readonly #onAccountingError: ((error: SpillwayError) => void) | undefined
  #budgetBytes: number
  /** Maximum held; when disabled, maximum that can be counted. */
  #limitBytes: number
  #used = 0
  #oldest: Waiter | undefined
  #newest: Waiter | undefined
  #waiting = 0
  #closed = false
  #isTelling = false
  #tellAgain = false

  /** `budgetBytes`: maximum held at once; 0 or less disables the limit. Throws INVALID_ARGUMENT. */
  constructor(budgetBytes: number, options: CreditsOptions = {}) {
    this.#onAccountingError = options.onAccountingError
    this.#budgetBytes = checkBudget(budgetBytes)
    this.#limitBytes = limitOf(budgetBytes)
  }

  /** Bytes held. */
  get used(): number { return this.#used }
  get budgetBytes(): number { return this.#budgetBytes }
  /** Bytes one request may take now without waiting, unless oversize. */
  get freeBytes(): number { return this.#oldest !== undefined ? 0 : Math.max(0, this.#limitBytes - this.#used) }
  /** Waiting requests. */
  get waiting(): number { return this.#waiting }

  /**
   * Take credits if they fit and none waits. 0 bytes is always true. Throws INVALID_ARGUMENT unless a whole number >= 0, and CLOSED
   * after `close`.
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
   * Take credits, waiting in line. Rejects with INVALID_ARGUMENT, ABORTED (`signal`) or CLOSED, and then holds nothing. Once
   * granted, the caller releases them, whatever the signal does.
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
   * Wait in line without a promise: `granted` or `failed` is called once, inside the call that frees credits or closes. Returns a
   * function that leaves the line: false if the credits were already granted. Throws as `tryAcquire`.
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
   * Return credits; waiters get them inside this call. Throws INVALID_ARGUMENT unless a whole number >= 0. More than held is an
   * accounting error. Ignored after `close`.
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

  /** Change the budget at once; waiters that now fit are granted. 0 or less disables the limit. Throws INVALID_ARGUMENT. */
  setBudget(budgetBytes: number): void {
    this.#budgetBytes = checkBudget(budgetBytes)
    this.#limitBytes = limitOf(budgetBytes)
    this.#serve()
  }

  /** Fail all waits with CLOSED. May be called again. */
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
        // No event may come that would end this wait.
        this.#unlink(waiter)
        waiter.reject(error as Error)
      }
    }
  }

  #abort(waiter: Waiter, signal: AbortSignal): void {
    this.#unlink(waiter)
    waiter.reject(this.#abortedError(waiter.bytes, signal))
    // It may have blocked smaller requests.
    this.#serve()
  }

  /** Grant to those that fit, in order; then see to the rest. */
  #serve(): void {
    for (let waiter = this.#oldest; waiter !== undefined && this.#fits(waiter.bytes); waiter = this.#oldest) {
      this.#unlink(waiter)
      this.#used += waiter.bytes
      waiter.resolve()
    }
    this.#tell()
  }

  /** A release inside `onStarved` causes another round, not recursion. */
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
