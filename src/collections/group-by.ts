/**
 * Groups items of any number by a key, within a budget.
 *
 * 1. Groups come in the order of their keys; items of a group in the order in which they came.
 * 2. With `reduce`, one accumulator a key is held while there is room. When there is none, accumulators are spilled if `combine` can
 *    put two of a key together; otherwise items of further keys are spilled and folded at the end. Either way each accumulator is a
 *    fold over the items of its key in their order.
 *
 * Accounts: those of a sort; `groups`, an estimate of the accumulators: 200 bytes a key, twice the key, and four times what they
 * take when spilled, measured again whenever an accumulator has been changed twice as often.
 */
import { invalidArgument } from '../base/errors.ts'
import { SpillwayError } from '../base/errors.ts'
import { GroupTable } from './group-by-table.ts'
import { SortSpace, checkSort } from './external-sort-space.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { ItemCodec } from './external-sort-items.ts'
import { compareBytes } from '../base/bytes.ts'
import { decodeKey } from './key-order.ts'
import type { SortKey } from './key-order.ts'
import type { GroupByOptions, ReduceByOptions } from './group-by-options.ts'

/** The items of a group: take them before the next group. What is not taken is skipped. */
export interface GroupValues<T> extends Iterable<T>, AsyncIterable<T> {}

/** [key, values] of every group, in key order; with `init` and `reduce`, [key, accumulator]. Memory stays within `budget`. */
export function groupBy<T, K extends SortKey, A>(
  source: Iterable<T> | AsyncIterable<T>, options: ReduceByOptions<T, K, A>,
): AsyncGenerator<[K, A], void, undefined>
export function groupBy<T, K extends SortKey>(
  source: Iterable<T> | AsyncIterable<T>, options: GroupByOptions<T, K>,
): AsyncGenerator<[K, GroupValues<T>], void, undefined>
export function groupBy(
  source: Iterable<unknown> | AsyncIterable<unknown>, options: GroupByOptions<any, any> | ReduceByOptions<any, any, any>,
): AsyncGenerator<[any, any], void, undefined> {
  checkSort(source, options, ['by', 'encoding', 'init', 'reduce', 'combine'], 'groupBy')
  if (typeof options?.by !== 'function') throw invalidArgument('groupBy needs by, a function from an item to its key')
  const { reduce, init, combine } = options as Partial<ReduceByOptions<any, any, any>>
  if (reduce === undefined && init === undefined && combine === undefined) return groups(source, options)
  if (typeof reduce !== 'function' || typeof init !== 'function') throw invalidArgument('reduce and init go together: both are functions')
  if (combine !== undefined && typeof combine !== 'function') throw invalidArgument('combine must be a function')
  return reduced(source, { ...options, reduce, init })
}

async function* groups<T, K extends SortKey>(
  source: Iterable<T> | AsyncIterable<T>, options: GroupByOptions<T, K>,
): AsyncGenerator<[K, GroupValues<T>], void, undefined> {
  const space = new SortSpace(options)
  let current: Group<T> | undefined
  try {
    const codec = new ItemCodec<T>(options, space)
    const turns = space.turns('groupBy', options.signal)
    turns.check()
    let engine: SortEngine | undefined
    for await (const item of source) {
      engine ??= space.engine(codec.order(item))
      while (!codec.add(engine, item)) await turns.run(engine.spill())
      if (turns.due) await turns.pause()
    }
    if (engine === undefined) return
    await turns.run(engine.finish())
    options.monitor?.(space.report(engine))
    for (let more = engine.next(); more;) {
      const group = current = new Group<T>(engine, codec)
      turns.check()
      yield [decodeKey(group.key, 0, group.key.length) as K, group]
      turns.rested()
      more = group.end()
    }
  } finally {
    current?.close()
    space.close()
  }
}

/** The entries of one key. The engine stands at the first of them. */
class Group<T> implements GroupValues<T> {
  readonly key: Uint8Array
  readonly #engine: SortEngine
  readonly #codec: ItemCodec<T>
  /** 'here': the engine stands at an entry of this group; 'beyond': at one of the next. */
  #place: 'here' | 'beyond' | 'end' = 'here'
  #isOver = false

  constructor(engine: SortEngine, codec: ItemCodec<T>) {
    this.#engine = engine
    this.#codec = codec
    this.key = engine.bytes.slice(engine.keyStart, engine.keyEnd)
  }

  * [Symbol.iterator](): Generator<T, void, undefined> {
    for (;;) {
      if (this.#isOver) throw new SpillwayError('SPILLWAY_CLOSED', 'the values of a group are gone when the next group was asked for: take them before')
      if (this.#place !== 'here') return
      const item = this.#codec.item(this.#engine)
      this.#step()
      yield item
    }
  }

  async* [Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> { yield* this[Symbol.iterator]() }

  /** What it reads from is gone. */
  close(): void { this.#isOver = true }

  /** Skip what was not taken; whether there is another group. */
  end(): boolean {
    this.close()
    while (this.#place === 'here') this.#step()
    return this.#place === 'beyond'
  }

  #step(): void {
    const engine = this.#engine
    if (!engine.next()) this.#place = 'end'
    else if (compareBytes(engine.bytes, engine.keyStart, engine.keyEnd, this.key, 0, this.key.length) !== 0) this.#place = 'beyond'
  }
}

async function* reduced<T, K extends SortKey, A>(
  source: Iterable<T> | AsyncIterable<T>, options: ReduceByOptions<T, K, A>,
): AsyncGenerator<[K, A], void, undefined> {
  const space = new SortSpace(options)
  let table: GroupTable<T, K, A> | undefined
  try {
    const turns = space.turns('groupBy', options.signal)
    turns.check()
    const groups = table = new GroupTable<T, K, A>(options, space)
    for await (const item of source) {
      while (!groups.add(item)) await turns.run(groups.makeRoom())
      if (turns.due) await turns.pause()
    }
    await turns.run(groups.finish())
    options.monitor?.(space.report(groups.engine))
    for (;;) {
      const group = groups.next()
      if (group === undefined) return
      turns.check()
      yield group
      turns.rested()
    }
  } finally {
    table?.close()
    space.close()
  }
}
