import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'
import type { SortKey } from './key-order.ts'

export interface GroupByOptions<T, K extends SortKey> extends SortSpaceOptions {
  /** Group key; see `SortKey`. */
  by: (item: T) => K
  /** Descending keys. Default false. */
  reverse?: boolean | undefined
  /** Encoding of items. Default: that of `externalSort`; with `reduce` items keep their types. */
  encoding?: ItemEncodingOf<T> | undefined
  /** Aborts the grouping. Default: none. */
  signal?: AbortSignal | undefined
  /** @internal */
  monitor?: SortMonitor | undefined
}

export interface ReduceByOptions<T, K extends SortKey, A> extends GroupByOptions<T, K> {
  /** Makes the accumulator of a new key. */
  init: (key: K) => A
  /** Returns the accumulator after one more item. It may be spilled, so structuredClone must be able to copy it. */
  reduce: (accumulator: A, item: T) => A
  /** Merges the accumulators of earlier and later items. With it accumulators are spilled instead of items. Default: none. */
  combine?: ((earlier: A, later: A) => A) | undefined
}
