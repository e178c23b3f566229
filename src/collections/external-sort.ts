/**
 * Sorts values of any number within a budget.
 *
 * 1. Stable: values with equal keys keep their order, also in reverse.
 * 2. An item is encoded once when it comes in and decoded once when it goes out; in between there are only bytes.
 */
import { invalidArgument } from '../base/errors.ts'
import { SortSpace, checkSort } from './external-sort-space.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'
import type { SortEngine } from './external-sort-engine.ts'
import { ItemCodec } from './external-sort-items.ts'
import type { SortKey } from './key-order.ts'
import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import type { Turns } from './spill-turns.ts'

export interface ExternalSortOptions<T, K extends SortKey = SortKey> extends SortSpaceOptions {
  /** The key to sort by: a string, number, bigint, boolean, null, Date, Uint8Array, or an array of those. Default: the item itself. */
  by?: ((item: T) => K) | undefined
  /** Largest first; equal keys keep their order. */
  reverse?: boolean | undefined
  /** How items become bytes: 'utf8', 'buffer', 'view', 'json', or a codec. Default by the first item: 'utf8' for a string, 'buffer' for bytes, otherwise 'json'. */
  encoding?: ItemEncodingOf<T> | undefined
  /** Compares two keys, or two items without `by`, instead of the order by bytes. Much slower: each comparison decodes both. */
  compare?: ((a: any, b: any) => number) | undefined
  signal?: AbortSignal | undefined
  /** @internal For tests and measurements. */
  monitor?: SortMonitor | undefined
}

/** Items handed out at a time, and about how many bytes of them. */
const BATCH_ITEMS = 512
const BATCH_BYTES = 64 * 1024

/**
 * The items of `source`, sorted. Strings sort by their UTF-8 bytes, which is by code points. Memory stays within `budget`
 * (default 64 MiB), what does not fit goes to scratch files in `directory`, removed at the end, on early `return`, and on errors.
 * Throws INVALID_ARGUMENT for a key or item that cannot be encoded, BUDGET_TOO_SMALL for one that is too large, ABORTED, NO_SPACE.
 */
export async function* externalSort<T, K extends SortKey = SortKey>(
  source: Iterable<T> | AsyncIterable<T>, options: ExternalSortOptions<T, K> = {},
): AsyncGenerator<T, void, undefined> {
  for await (const batch of sorted(source, options, false)) yield* batch
}

/** The same in arrays, in and out: no promise per item. Arrays of about 64 KiB come out. */
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
    // An engine is made for the order, which a comparison of items knows only with the first item.
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
      turns.rested()
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
