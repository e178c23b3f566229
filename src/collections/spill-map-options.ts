/** Options of maps and sets. */
import { invalidArgument } from '../base/errors.ts'
import { checkOptions } from '../base/option-names.ts'
import type { Host } from '../host/host.ts'
import { Budget } from '../memory/budget.ts'
import { describe, transcoder } from '../encoding/encoding.ts'
import type { Transcoder } from '../encoding/encoding.ts'
import type { ItemEncodingOf } from '../encoding/encoding-types.ts'
import { RANGE_OPTIONS, hasBounds } from '../store/api/key-range.ts'
import type { RangeOptions } from '../store/api/options.ts'
import type { Entries, EntriesOptions } from './spill-map-entries.ts'
import { InsertionOrderEntries } from './spill-map-insertion-order.ts'
import { KeyOrderEntries } from './spill-map-key-order.ts'
import { anyKey } from './spill-map-keys.ts'
import type { Bounds } from './spill-map-read-ahead.ts'
import { anyValue } from './spill-map-values.ts'

export interface SpillSetOptions<K> {
  /** Bytes, '64 MiB' (default), or a shared `Budget`. Minimum about 8 MiB. */
  budget?: number | string | Budget | undefined
  /** Directory of scratch files, made when needed. Default: `os.tmpdir()`. */
  directory?: string | undefined
  /** 'insertion' (default), or 'key': by the bytes of encoded keys. */
  order?: 'insertion' | 'key' | undefined
  /**
   * 'any' (default): strings, numbers, bigints, booleans, null, undefined, dates, bytes, arrays and plain objects, by value. Or 'utf8',
   * 'buffer', 'view', 'json' or a codec.
   */
  keyEncoding?: ItemEncodingOf<K> | 'any' | undefined
  /** @internal For tests. */
  host?: Host | undefined
}

export interface SpillMapOptions<K, V> extends SpillSetOptions<K> {
  /** 'any' (default): what structuredClone copies. Or 'utf8', 'buffer', 'view', 'json' or a codec. */
  valueEncoding?: ItemEncodingOf<V> | 'any' | undefined
}

/** Range and direction. Bounds (`gt`, `gte`, `lt`, `lte`; default: none) need `order: 'key'`. */
export interface SpillRangeOptions<K> extends RangeOptions<K> {
  /** Last to first. Default false. */
  reverse?: boolean | undefined
}

const SET_OPTIONS = ['budget', 'directory', 'order', 'keyEncoding', 'host']
const DEFAULT_BUDGET = '64 MiB'

/** `values` replaces `valueEncoding`. */
export function makeEntries(what: string, options: SpillMapOptions<any, any>, values: Transcoder | undefined): Entries {
  checkOptions(options, values === undefined ? [...SET_OPTIONS, 'valueEncoding'] : SET_OPTIONS, what)
  const { budget = DEFAULT_BUDGET, directory, order = 'insertion', keyEncoding = 'any', valueEncoding = 'any', host } = options
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw invalidArgument(`directory must be the path of a directory, not ${describe(directory)}`)
  }
  if (order !== 'insertion' && order !== 'key') throw invalidArgument(`order must be 'insertion' or 'key', not ${describe(order)}`)
  const entries: EntriesOptions = {
    budget: budget instanceof Budget ? budget : new Budget(budget),
    directory,
    host,
    keys: keyEncoding === 'any' ? anyKey : transcoder(keyEncoding, 'keyEncoding'),
    values: values ?? (valueEncoding === 'any' ? anyValue : transcoder(valueEncoding, 'valueEncoding')),
    hasForeignKeys: typeof keyEncoding !== 'string',
  }
  return order === 'key' ? new KeyOrderEntries(entries) : new InsertionOrderEntries(entries)
}

export function boundsOf(entries: Entries, options: SpillRangeOptions<any> | undefined): Bounds {
  if (options === undefined) return { start: undefined, end: undefined, reverse: false }
  checkOptions(options, [...RANGE_OPTIONS, 'reverse'], 'entries')
  const { reverse = false } = options
  if (typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
  if (!hasBounds(options)) return { start: undefined, end: undefined, reverse }
  if (entries.order !== 'key') throw invalidArgument("a range of keys needs order: 'key'; this collection is in insertion order")
  return { ...entries.rangeOf(options), reverse }
}

export function splitArguments<T, O extends object>(first: Iterable<T> | O | null | undefined, second: O | undefined): { source: Iterable<T> | undefined, options: O } {
  if (first === null || first === undefined) return { source: undefined, options: second ?? {} as O }
  if (typeof (first as Iterable<T>)[Symbol.iterator] === 'function') return { source: first as Iterable<T>, options: second ?? {} as O }
  return { source: undefined, options: first as O }
}
