/**
 * An iterator as `for await` walks it. Not an async generator, which keeps calls of its own in a line of its own: with this one all calls of
 * the iterator, in a loop or not, are in the same.
 *
 * Invariant: the end, an error and `return` close the iterator, in their turn.
 */

/** What it needs of the iterator. */
export interface LoopSource<T> {
  loopNext(loop: IteratorLoop<T>): Promise<IteratorResult<T, void>>
  loopEnd(loop: IteratorLoop<T>): Promise<void>
}

const AsyncIteratorPrototype = Object.getPrototypeOf(Object.getPrototypeOf((async function* () {}).prototype)) as object

export class IteratorLoop<T> implements AsyncGenerator<T, void, undefined> {
  /** Its end has taken effect. */
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

// What newer versions of Node have for async iterators, this one has too.
Object.setPrototypeOf(IteratorLoop.prototype, AsyncIteratorPrototype)
