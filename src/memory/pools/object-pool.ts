/**
 * JavaScript objects that are used again instead of being collected: parsers, buffers, requests.
 *
 * Invariants
 * 1. An object is handed out once, and taken back once: a second release, or one of a foreign object, is refused.
 * 2. Objects, in use or idle, take `objectBytes` each from the budget, as estimated by the caller; `capacity` bounds them.
 *
 * Account: `pools`. Cost: an entry in a set per object in use.
 */
import { nodeClock } from '../../host/node/clock.ts'
import { invalidArgument } from '../../base/errors.ts'
import type { Account } from '../budget.ts'
import { poolMemory } from './pool-options.ts'
import type { PoolOptions } from './pool-options.ts'
import { PoolCounters } from './pool-stats.ts'
import type { PoolStats } from './pool-stats.ts'

export interface ObjectPoolOptions<T extends object> extends PoolOptions {
  create: () => T
  /** Called with an object that is released, before it can be handed out again. */
  reset?: (object: T) => void
  /** Estimated bytes of an object. Default 256. */
  objectBytes?: number
}

/** Bytes of an object's place in the pool. */
const ENTRY_BYTES = 48

/** An object that `using` gives back. */
export interface PooledObject<T> extends Disposable {
  readonly object: T
}

/**
 * A pool of objects.
 * @example
 * ```ts
 * using pool = new ObjectPool({ budget: '1 MiB', create: () => ({ rows: [] as string[] }), reset: batch => { batch.rows.length = 0 } })
 * const batch = pool.acquire()!
 * batch.rows.push('a row')
 * pool.release(batch)
 * ```
 */
export class ObjectPool<T extends object> implements Disposable {
  readonly #account: Account
  readonly #capacityBytes: number
  readonly #bytesEach: number
  readonly #create: () => T
  readonly #reset: ((object: T) => void) | undefined
  readonly #counters: PoolCounters
  readonly #idle: T[] = []
  readonly #inUse = new Set<T>()

  /** @throws SPILLWAY_INVALID_ARGUMENT a size that is none, no budget, or no `create` */
  constructor(options: ObjectPoolOptions<T>) {
    const { account, capacityBytes } = poolMemory(options)
    const { create, reset, objectBytes = 256 } = options
    if (typeof create !== 'function') throw invalidArgument('an object pool needs create, a function that makes an object')
    if (!Number.isInteger(objectBytes) || objectBytes <= 0) throw invalidArgument(`objectBytes must be a whole number above 0, not ${String(objectBytes)}`)
    this.#account = account
    this.#capacityBytes = capacityBytes
    this.#bytesEach = objectBytes + ENTRY_BYTES
    this.#create = create
    this.#reset = reset
    this.#counters = new PoolCounters(options.nowMs ?? nodeClock.nowMs)
  }

  /** An object, idle or new. Undefined when the budget or the capacity is full. */
  acquire(): T | undefined {
    const counters = this.#counters
    const object = counters.isSampled ? counters.time(() => this.#acquire()) : this.#acquire()
    counters.allocations++
    if (object === undefined) counters.denied++
    return object
  }

  /**
   * An object that is released by `using`.
   * @throws SPILLWAY_BUDGET_TOO_SMALL the budget or the capacity is full
   */
  take(): PooledObject<T> {
    const object = this.acquire()
    if (object === undefined) throw this.#account.denied(this.#bytesEach)
    return { object, [Symbol.dispose]: () => { if (this.#inUse.has(object)) this.release(object) } }
  }

  /** @throws SPILLWAY_INVALID_ARGUMENT it was released before, or is of another pool */
  release(object: T): void {
    if (!this.#inUse.delete(object)) throw invalidArgument('the object is not in use: it was released before, or is of another pool. Release each object once')
    const counters = this.#counters
    counters.frees++
    counters.blocks--
    counters.usedBytes -= this.#bytesEach
    counters.allocatedBytes -= this.#bytesEach
    this.#reset?.(object)
    this.#idle.push(object)
  }

  /** Drop idle objects for the garbage collector; returns their estimated bytes. */
  defragment(): number {
    const bytes = this.#idle.length * this.#bytesEach
    this.#idle.length = 0
    this.#account.shrink(bytes)
    return bytes
  }

  stats(): PoolStats {
    const objects = this.#idle.length + this.#inUse.size
    return this.#counters.stats(objects * this.#bytesEach, objects * ENTRY_BYTES)
  }

  /** Drop everything. Objects in use stay the caller's, and are not taken back. */
  close(): void {
    this.#account.shrink(this.#inUse.size * this.#bytesEach)
    this.#inUse.clear()
    this.defragment()
    this.#counters.blocks = this.#counters.usedBytes = this.#counters.allocatedBytes = 0
  }

  [Symbol.dispose](): void { this.close() }

  #acquire(): T | undefined {
    const object = this.#idle.pop() ?? this.#make()
    if (object === undefined) return undefined
    this.#inUse.add(object)
    const counters = this.#counters
    counters.blocks++
    counters.usedBytes += this.#bytesEach
    counters.allocatedBytes += this.#bytesEach
    return object
  }

  #make(): T | undefined {
    if ((this.#inUse.size + 1) * this.#bytesEach > this.#capacityBytes || !this.#account.grow(this.#bytesEach, true)) return undefined
    this.#counters.misses++
    try {
      return this.#create()
    } catch (error) {
      this.#account.shrink(this.#bytesEach)
      throw error
    }
  }
}
