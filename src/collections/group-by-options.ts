import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import type { SortMonitor, SortSpaceOptions } from './external-sort-space.ts'
import type { SortKey } from './key-order.ts'

export interface GroupByOptions<T, K extends SortKey> extends SortSpaceOptions {
  /** The key to group by; see `externalSort`. */
  by: (item: T) => K
  /** Groups with the largest keys first. */
  reverse?: boolean | undefined
  /** How items become bytes, as in `externalSort`. */
  encoding?: ItemEncodingOf<T> | undefined
  signal?: AbortSignal | undefined
  /** @internal For tests and measurements. */
  monitor?: SortMonitor | undefined
}

export interface ReduceByOptions<T, K extends SortKey, A> extends GroupByOptions<T, K> {
  /** The accumulator of a key that comes for the first time. */
  init: (key: K) => A
  /** The accumulator after one more item: a new one, or the same one changed. What structuredClone can copy, as it may be spilled. */
  reduce: (accumulator: A, item: T) => A
  /** The accumulator of all items, of those of earlier and of later ones: lets accumulators be spilled instead of items. */
  combine?: ((earlier: A, later: A) => A) | undefined
}
