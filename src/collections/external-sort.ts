/** External sort of items. Stable, also in reverse; an item is encoded once and decoded once. */
import { invalidArgument } from '../base/errors.ts'
import { SortSpace, checkSort } from './external-sort-space.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { ItemCodec } from './external-sort-items.ts'
import type { SortKey } from './key-order.ts'
import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import type { Turns } from './spill-turns.ts'

export interface ExternalSortOptions<T, K extends SortKey = SortKey> extends SortSpaceOptions {
  /** Sort key. Default: the item itself. An array sorts by its first part, then by the second. */
  by?: ((item: T) => K) | undefined
  /** Descending; equal keys keep their order. Default false. */
  reverse?: boolean | undefined
  /**
   * 'utf8', 'buffer', 'view', 'json' or a codec. Default by the first item: 'utf8' for a string, 'buffer' for bytes, 'json' for objects
   * and arrays.
   */
  encoding?: ItemEncodingOf<T> | undefined
  /** Compares two keys (items without `by`). Slow: each comparison decodes both. Default: byte order. */
  compare?: ((a: any, b: any) => number) | undefined
  /** Aborts the sort. Default: none. */
  signal?: AbortSignal | undefined
  /** @internal */
  monitor?: SortMonitor | undefined
}

const BATCH_ITEMS = 512
const BATCH_BYTES = 64 * 1024

/**
 * Sort `source`. Kinds sort as undefined, null, booleans, numbers, bigints, Dates, strings by code point, bytes, arrays. What exceeds
 * the budget goes to scratch files, removed at the end, on early `return` and on errors.
 * @throws SPILLWAY_INVALID_ARGUMENT  wrong option, or an item or key cannot be encoded
 * @throws SPILLWAY_BUDGET_TOO_SMALL  budget below 2 MiB, or an item above a sixteenth of it
 * @throws SPILLWAY_NO_SPACE | SPILLWAY_UNAVAILABLE | SPILLWAY_CORRUPTION  disk full, failing or corrupt
 * @throws SPILLWAY_ABORTED           `signal` fired
 * @example
 * ```ts
 * import { externalSort } from 'spillway/collections'
 *
 * const people = [{ name: 'Bo', age: 41 }, { name: 'Al', age: 30 }]
 * for await (const { name } of externalSort(people, { by: person => person.age })) console.log(name) // Al, Bo
 * ```
 */
export async function* externalSort<T, K extends SortKey = SortKey>(
  source: Iterable<T> | AsyncIterable<T>, options: ExternalSortOptions<T, K> = {},
): AsyncGenerator<T, void, undefined> {
  for await (const batch of sorted(source, options, false)) yield* batch
}

/**
 * Like `externalSort`, with arrays in and out (about 64 KiB each), so without a promise per item. Throws as `externalSort` does.
 * @example
 * ```ts
 * import { externalSortBatches } from 'spillway/collections'
 *
 * for await (const batch of externalSortBatches([[3, 1], [2]])) console.log(batch) // [ 1, 2, 3 ]
 * ```
 */
export async function* externalSortBatches<T, K extends SortKey = SortKey>(
  source: Iterable<readonly T[]> | AsyncIterable<readonly T[]>, options: ExternalSortOptions<T, K> = {},
): AsyncGenerator<T[], void, undefined> {
  yield* sorted(source, options, true)
}

async function* sorted<T, K extends SortKey>(
  source: Iterable<T | readonly T[]> | AsyncIterable<T | readonly T[]>, options: ExternalSortOptions<T, K>, batches: boolean,
): AsyncGenerator<T[], void, undefined> {
  checkSort(source, options, ['by', 'encoding', 'compare'], batches ? 'externalSortBatches' : 'externalSort')
  checkFunctions(options)
  const space = new SortSpace(options)
  try {
    const codec = new ItemCodec<T>(options, space)
    const turns = space.turns('externalSort', options.signal)
    turns.check()
    // The first item decides the order of a comparison.
    let engine: SortEngine | undefined
    const add = async (item: T): Promise<void> => {
      engine ??= space.engine(codec.order(item))
      while (!codec.add(engine, item)) await turns.run(engine.spill())
    }
    if (isAsync(source)) {
      for await (const given of source) {
        if (batches) await addBatch(given as readonly T[], codec, turns, item => engine ??= space.engine(codec.order(item)))
        else if (engine === undefined || !codec.add(engine, given as T)) await add(given as T)
        if (turns.due) await turns.pause()
      }
    } else {
      let count = 0
      for (const given of source) {
        if (batches) await addBatch(given as readonly T[], codec, turns, item => engine ??= space.engine(codec.order(item)))
        else if (engine === undefined || !codec.add(engine, given as T)) await add(given as T)
        if ((++count & 255) === 0 && turns.due) await turns.pause()
      }
    }
    if (engine === undefined) return

    await turns.run(engine.finish())
    options.monitor?.(space.report(engine))
    for (;;) {
      const batch = codec.batch(engine, BATCH_ITEMS, BATCH_BYTES)
      if (batch.length === 0) break
      turns.check()
      yield batch
      turns.startSlice()
    }
  } finally {
    space.close()
  }
}

async function addBatch<T>(
  batch: readonly T[], codec: ItemCodec<T>, turns: Turns, engineFor: (item: T) => SortEngine,
): Promise<void> {
  if (!Array.isArray(batch)) throw invalidArgument('externalSortBatches takes arrays of items')
  for (let i = 0; i < batch.length; i++) {
    const item = batch[i] as T
    const engine = engineFor(item)
    while (!codec.add(engine, item)) await turns.run(engine.spill())
  }
}

function checkFunctions(options: ExternalSortOptions<any, any>): void {
  for (const name of ['by', 'compare'] as const) {
    if (options[name] !== undefined && typeof options[name] !== 'function') throw invalidArgument(`${name} must be a function`)
  }
}

function isAsync<T>(source: Iterable<T> | AsyncIterable<T>): source is AsyncIterable<T> {
  return typeof (source as Partial<AsyncIterable<T>>)[Symbol.asyncIterator] === 'function'
}
