/**
 * The `for await` view of an iterator. Not an async generator, which has a call queue of its own: here all calls of the iterator
 * share one queue.
 *
 * Invariant: the end, an error and `return` close the iterator, in call order.
 */

/** The part of an iterator it uses. */
export interface LoopSource<T> {
  loopNext(loop: IteratorLoop<T>): Promise<IteratorResult<T, void>>
  loopEnd(loop: IteratorLoop<T>): Promise<void>
}

const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf((async function* () {}).prototype)) as object

export class IteratorLoop<T> implements AsyncGenerator<T, void, undefined> {
  /** The end has taken effect. */
  isOver = false
  readonly #source: LoopSource<T>

  constructor(source: LoopSource<T>) {
    this.#source = source
  }

  next(): Promise<IteratorResult<T, void>> { return this.#source.loopNext(this) }

  async return(): Promise<IteratorResult<T, void>> {
    await this.#source.loopEnd(this)
    return { done: true, value: undefined }
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    await this.#source.loopEnd(this)
    throw error
  }

  async [Symbol.asyncDispose](): Promise<void> { await this.#source.loopEnd(this) }

  [Symbol.asyncIterator](): this { return this }

  get [Symbol.toStringTag](): string { return 'SpillwayIterator Loop' }
}

// Inherit the helpers that newer versions of Node give async iterators.
Object.setPrototypeOf(IteratorLoop.prototype, AsyncIteratorPrototype)
