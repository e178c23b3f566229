/**
 * Public iterators: a snapshot, a position in a range, and prefetched entries.
 *
 * Invariants
 * 1. An iterator sees the store as of its creation, whatever is written, flushed or merged meanwhile.
 * 2. Between two calls it needs only its position. Its scan (`range-scanner.ts`), then its prefetched entries
 *    (`iterator-prefetch.ts`), are released when others need the memory.
 * 3. Calls take effect in call order, awaited or not. A call that cannot be answered at once is queued (`iterator-calls.ts`), and
 *    so are all later ones.
 * 4. Its resources (`iterator-resources.ts`) do not reference it and are released when it is lost.
 *
 * Account: `iterators`, of the parts. Cost: one promise per chunk with `nextv`, one per entry with `next` and `for await`.
 */
import type { InspectOptions } from 'node:util'
import { invalidArgument } from '../../base/errors.ts'
import { IDENTITY, nextIdentity } from '../../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../../base/inspect.ts'
import type { Inspect } from '../../base/inspect.ts'
import type { StoreState } from '../state/store-state.ts'
import type { ReadAhead } from './iterator-prefetch.ts'
import { IteratorCalls, PAUSED } from './iterator-calls.ts'
import { IteratorResources } from './iterator-resources.ts'
import { IteratorLoop } from './iterator-loop.ts'
import { encodeTarget } from './iterator-plan.ts'
import type { IteratorPlan } from './iterator-plan.ts'
import { dueYield } from '../state/event-loop-yield.ts'

/** Entries `all` reads at a time. */
const ALL_CHUNK = 1000

/**
 * A cursor over a range of a store, made by `db.iterator`, `db.keys` and `db.values`. It sees the store as of its creation, however
 * long it stays open; open, it holds versions on disk, not memory. Close it, or use `for await` or `await using`, which do.
 *
 * `T` is the yielded type: `[key, value]`, keys or values; `K` the type of keys for `seek`.
 * @example
 * ```ts
 * await db.batch([{ type: 'put', key: 'a', value: '1' }, { type: 'put', key: 'b', value: '2' }])
 * for await (const [key, value] of db.iterator({ gte: 'a', limit: 10 })) console.log(key, value)
 * ```
 */
export class SpillwayIterator<T, K = unknown> implements AsyncDisposable {
  readonly #holding: IteratorResources<T>
  readonly #ahead: ReadAhead<T>
  /** Made for the first call that has to wait. */
  #calls: IteratorCalls | undefined
  /** A read runs, and with it user code (codecs). */
  #isReading = false
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()

  /** @internal Made by `db.iterator`, `db.keys` and `db.values`. */
  constructor(core: StoreState, plan: IteratorPlan) {
    this.#holding = new IteratorResources<T>(core, plan, this)
    this.#ahead = this.#holding.ahead
  }

  /**
   * The next entry; undefined after the last.
   * @throws SPILLWAY_CLOSED the iterator or its store is closed
   * @throws SPILLWAY_CORRUPTION a block is damaged
   */
  async next(): Promise<T | undefined> {
    if (!this.#ahead.isEmpty && this.#isIdle) return this.#ahead.take()
    return this.#call(() => this.#stepNext())
  }

  /**
   * Up to `size` entries (a positive integer); an empty array after the last. May return fewer than `size` although there are more.
   * @throws SPILLWAY_INVALID_ARGUMENT | SPILLWAY_CLOSED | SPILLWAY_CORRUPTION
   */
  async nextv(size: number): Promise<T[]> {
    checkSize(size)
    return this.#call(() => this.#stepSome(size))
  }

  /** `nextv` within this call. Throws as `nextv`. */
  nextvSync(size: number): T[] {
    checkSize(size)
    this.#settle()
    return this.#readSome(size, false)
  }

  /**
   * All remaining entries, in memory at once; then the iterator is closed.
   * @throws SPILLWAY_CLOSED | SPILLWAY_CORRUPTION
   */
  async all(): Promise<T[]> {
    const all: T[] = []
    return this.#call(() => this.#stepAll(all))
  }

  /**
   * Continue at the first key at or after `target` (reverse: at or before it). Outside the range the iterator is exhausted.
   * @throws SPILLWAY_INVALID_ARGUMENT `target` is no key
   * @throws SPILLWAY_CLOSED
   */
  seek(target: K): void {
    this.#settle()
    this.#ahead.walk.checkOpen()
    this.#ahead.seek(encodeTarget(this.#holding.plan, target))
  }

  /** Release the iterator, after all earlier calls have taken effect. May be called again. */
  async close(): Promise<void> {
    if (this.#isIdle) this.#holding.close()
    else await this.#call(() => { this.#holding.close() })
  }

  /** `close` within this call. */
  closeSync(): void {
    // A codec may close the iterator it decodes for.
    if (!this.#isReading) this.#calls?.drain()
    this.#holding.close()
  }

  /** The remaining entries, for `for await`; leaving the loop closes the iterator. */
  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return new IteratorLoop<T>(this)
  }

  /**
   * The remaining entries as a synchronous generator; ending the loop closes the iterator.
   * @throws SPILLWAY_CLOSED | SPILLWAY_CORRUPTION
   */
  * entriesSync(): Generator<T, void, undefined> {
    const ahead = this.#ahead
    try {
      for (;;) {
        if (this.#isReading || this.#calls !== undefined) this.#settle()
        if (ahead.isEmpty) this.#refill(false)
        if (ahead.isEmpty) return
        yield ahead.take()
      }
    } finally {
      // Refused in the middle of a read, it has not begun.
      if (!this.#isReading) this.closeSync()
    }
  }

  /** `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get [Symbol.toStringTag](): string { return 'SpillwayIterator' }

  /** @internal Shows nothing of its position. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#ahead in this)) return inspectPrototype('SpillwayIterator')
    return inspectFields(this, 'SpillwayIterator', { state: this.#ahead.place.isClosed ? 'closed' : 'open' }, { depth, options, inspect })
  }

  /** @internal Count the remaining entries without decoding them, up to `most`; fewer when `ended` is false. */
  countSync(most: number): number {
    const { walk } = this.#ahead
    walk.pauses = true
    try {
      return this.#ahead.count(most)
    } finally {
      walk.pauses = false
    }
  }

  /** @internal Whether the range is exhausted, for splitting long work. */
  get ended(): boolean { return this.#ahead.place.isDone }

  /** @internal */
  get holding(): IteratorResources<T> { return this.#holding }

  /** @internal For `for await`. */
  async loopNext(loop: IteratorLoop<T>): Promise<IteratorResult<T, void>> {
    if (!this.#ahead.isEmpty && this.#isIdle && !loop.isOver) return { done: false, value: this.#ahead.take() }
    return this.#call(() => this.#stepLoop(loop))
  }

  /** @internal */
  async loopEnd(loop: IteratorLoop<T>): Promise<void> {
    return this.#call(() => {
      loop.isOver = true
      this.#holding.close()
    })
  }

  // ---- calls in their order

  /** No earlier call is still queued. */
  get #isIdle(): boolean { return !this.#isReading && (this.#calls === undefined || this.#calls.isEmpty) }

  /** Run a call now, or queue it behind earlier ones. */
  #call<R>(step: () => R | typeof PAUSED): R | Promise<R> {
    let turn: Promise<void> | undefined
    if (this.#isIdle) {
      turn = dueYield(this.#holding.core)
      if (turn === undefined) {
        const result = step()
        if (result !== PAUSED) return result
      }
    }
    return (this.#calls ??= new IteratorCalls(this.#holding.core)).add(step, turn)
  }

  /** Before a synchronous call: run all earlier calls. */
  #settle(): void {
    if (this.#isReading) throw invalidArgument('a codec called the iterator that it decodes for. Let decode only decode')
    this.#calls?.drain()
  }

  // ---- what calls do, in steps that leave the event loop its turns

  #stepNext(): T | undefined | typeof PAUSED {
    const ahead = this.#ahead
    if (ahead.isEmpty) this.#refill(true)
    if (!ahead.isEmpty) return ahead.take()
    return ahead.place.isDone ? undefined : PAUSED
  }

  #stepSome(size: number): T[] | typeof PAUSED {
    const some = this.#readSome(size, true)
    return some.length > 0 || this.#ahead.place.isDone ? some : PAUSED
  }

  #stepAll(all: T[]): T[] | typeof PAUSED {
    try {
      const some = this.#readSome(ALL_CHUNK, true)
      for (const one of some) all.push(one)
      if (some.length > 0 || !this.#ahead.place.isDone) return PAUSED
    } catch (error) {
      this.#holding.close()
      throw error
    }
    this.#holding.close()
    return all
  }

  #stepLoop(loop: IteratorLoop<T>): IteratorResult<T, void> | typeof PAUSED {
    const ahead = this.#ahead
    if (!loop.isOver) {
      try {
        if (ahead.isEmpty) this.#refill(true)
        if (!ahead.isEmpty) return { done: false, value: ahead.take() }
        if (!ahead.place.isDone) return PAUSED
      } catch (error) {
        loop.isOver = true
        this.#holding.close()
        throw error
      }
      loop.isOver = true
      this.#holding.close()
    }
    return { done: true, value: undefined }
  }

  /** Prefetch. `pauses`: it may return nothing although there are more. */
  #refill(pauses: boolean): void {
    const { walk } = this.#ahead
    this.#isReading = true
    walk.pauses = pauses
    try {
      this.#ahead.refill()
    } finally {
      walk.pauses = false
      this.#isReading = false
    }
  }

  /** The prefetched entries, else up to `size` new ones. */
  #readSome(size: number, pauses: boolean): T[] {
    const ahead = this.#ahead
    if (!ahead.isEmpty) return ahead.takeSome(size)
    const { walk } = ahead
    this.#isReading = true
    walk.pauses = pauses
    try {
      return ahead.readSome(size)
    } finally {
      walk.pauses = false
      this.#isReading = false
    }
  }
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 1) throw invalidArgument(`nextv takes a whole number from 1, not ${size}`)
}
