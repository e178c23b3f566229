/**
 * Iterators as their users see them: a snapshot, a place in a range, and what was read ahead from there.
 *
 * Invariants
 * 1. An iterator sees the store as of its creation, whatever is written, flushed or merged meanwhile.
 * 2. Between two calls it needs only its place: its scan (`range-scanner.ts`), then what it has read ahead (`iterator-prefetch.ts`), is
 *    given back when somebody else needs the memory.
 * 3. Calls take effect in the order in which they were made, awaited or not. One that can be answered at once is; others wait in line
 *    (`iterator-calls.ts`), and all that are made meanwhile behind them.
 * 4. What it holds (`iterator-resources.ts`) does not lead to it, and is given back when it is lost.
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

/** How many entries `all` asks for at a time. */
const ALL_CHUNK = 1000

/** T: what it yields: [key, value], keys or values. K: the keys that `seek` takes. */
export class SpillwayIterator<T, K = unknown> implements AsyncDisposable {
  readonly #holding: IteratorResources<T>
  readonly #ahead: ReadAhead<T>
  /** Made for the first call that has to wait. */
  #calls: IteratorCalls | undefined
  /** Entries are being read, and code of the user's own may run. */
  #isReading = false
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()

  /** @internal Made by `db.iterator`, `db.keys` and `db.values`. */
  constructor(core: StoreState, plan: IteratorPlan) {
    this.#holding = new IteratorResources<T>(core, plan, this)
    this.#ahead = this.#holding.ahead
  }

  /** The next one, or undefined after the last. */
  async next(): Promise<T | undefined> {
    if (!this.#ahead.isEmpty && this.#isIdle) return this.#ahead.take()
    return this.#call(() => this.#stepNext())
  }

  /** Up to `size` of the next ones; an empty array after the last. */
  async nextv(size: number): Promise<T[]> {
    checkSize(size)
    return this.#call(() => this.#stepSome(size))
  }

  nextvSync(size: number): T[] {
    checkSize(size)
    this.#settle()
    return this.#readSome(size, false)
  }

  /** All that are left, then close. */
  async all(): Promise<T[]> {
    const all: T[] = []
    return this.#call(() => this.#stepAll(all))
  }

  /** Go on at the first key at or after `target` (reverse: at or before it). Outside the range: nothing is left. */
  seek(target: K): void {
    this.#settle()
    this.#ahead.walk.checkOpen()
    this.#ahead.seek(encodeTarget(this.#holding.plan, target))
  }

  /** Give back what it holds, once the calls made before have taken effect. Closing twice is fine. */
  async close(): Promise<void> {
    if (this.#isIdle) this.#holding.close()
    else await this.#call(() => { this.#holding.close() })
  }

  closeSync(): void {
    // A codec may close the iterator that it decodes for.
    if (!this.#isReading) this.#calls?.drain()
    this.#holding.close()
  }

  [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    return new IteratorLoop<T>(this)
  }

  /** The same without promises. */
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  get [Symbol.toStringTag](): string { return 'SpillwayIterator' }

  /** @internal Nothing of where it stands. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#ahead in this)) return inspectPrototype('SpillwayIterator')
    return inspectFields(this, 'SpillwayIterator', { state: this.#ahead.place.isClosed ? 'closed' : 'open' }, { depth, options, inspect })
  }

  /** @internal Count what is left without decoding it: up to so many, or fewer when `ended` says that there are more. */
  countSync(most: number): number {
    const { walk } = this.#ahead
    walk.pauses = true
    try {
      return this.#ahead.count(most)
    } finally {
      walk.pauses = false
    }
  }

  /** @internal Where it stands, for splitting long work: true when nothing is left. */
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

  /** Nothing that was called before is still to take effect. */
  get #isIdle(): boolean { return !this.#isReading && (this.#calls === undefined || this.#calls.isEmpty) }

  /** The result of a call that is made now: at once, or behind those that wait. */
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

  /** Before a synchronous call: those made before take effect. */
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

  /** Read ahead. `pauses`: it may end with nothing though there are more. */
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

  /** What was read ahead, or else up to so many. */
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
