/** Random scripts for a store: few keys, so that overwrites, deletions and ranges of them meet; values of all sizes. */
import fc from 'fast-check'
import type { Durability } from '../api/options.ts'
import { compare } from './model.ts'
import type { ModelRange } from './model.ts'

/** `size` is the length of the value; its text comes from `label`, so that no two puts write the same. */
export type Write =
  | { kind: 'put', key: string, label: number, size: number }
  | { kind: 'del', key: string }
  | { kind: 'deleteRange', range: ModelRange }
  | { kind: 'batch', operations: ({ type: 'put', key: string, label: number, size: number } | { type: 'del', key: string })[] }
  /** Keys n00, n01 and so on in one batch. */
  | { kind: 'fill', from: number, count: number, label: number, size: number }

/** `at` picks one of the open snapshots or iterators; -1 = none, the present state. */
export type Command =
  | { kind: 'write', write: Write, sync: boolean, durability: Durability }
  | { kind: 'burst', writes: { write: Write, sync: boolean, durability: Durability }[] }
  | { kind: 'snapshot' }
  | { kind: 'closeSnapshot', at: number }
  | { kind: 'get', key: string, at: number, sync: boolean }
  | { kind: 'has', key: string, at: number, sync: boolean }
  | { kind: 'getMany', keys: string[], at: number, sync: boolean }
  | { kind: 'read', range: ModelRange, at: number, how: 'all' | 'forAwait' | 'entriesSync' | 'keys' | 'values' | 'next' }
  | { kind: 'count', range: ModelRange, at: number }
  | { kind: 'iterator', range: ModelRange, at: number }
  | { kind: 'nextv', at: number, size: number, sync: boolean }
  | { kind: 'next', at: number }
  | { kind: 'seek', at: number, key: string }
  | { kind: 'closeIterator', at: number }
  | { kind: 'flush', wait: boolean }
  | { kind: 'compact', range: ModelRange, wait: boolean }
  | { kind: 'turns', count: number }
  | { kind: 'reopen' }

/** In the order of their bytes, which for the last three is not the order of JavaScript strings. */
const KEYS = [
  '', '\0', 'a', 'a\0', 'aa', 'ab', 'abc', 'b', 'ba', 'bb', 'c', 'ca', 'd', 'dd', 'e', 'f', 'g', 'h', 'k'.repeat(300), 'z', 'é', '\u{ff5e}', '\u{1d4b3}',
].sort(compare)

const key = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 60 }).map(numberedKey) },
)
const label = fc.integer({ min: 1, max: 1_000_000 })
const size = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }) },
  { weight: 6, arbitrary: fc.integer({ min: 200, max: 3000 }) },
  { weight: 1, arbitrary: fc.constantFrom(16_384, 16_385, 65_536, 65_537, 90_000) },
)
/** Many of them fill a memtable. */
const largeSize = fc.integer({ min: 8_000, max: 16_384 })
const durability = fc.constantFrom<Durability>('none', 'os', 'os', 'disk')
const lower = fc.oneof(fc.constant({}), key.map(gt => ({ gt })), key.map(gte => ({ gte })))
const upper = fc.oneof(fc.constant({}), key.map(lt => ({ lt })), key.map(lte => ({ lte })))
const range = fc.tuple(lower, upper).map(([from, to]): ModelRange => ({ ...from, ...to }))
const readRange = fc.tuple(range, fc.boolean(), fc.option(fc.integer({ min: -1, max: 12 }))).map(
  ([bounds, reverse, limit]): ModelRange => ({ ...bounds, reverse, ...(limit === null ? {} : { limit }) }))
const at = fc.integer({ min: -1, max: 2 })
const sync = fc.boolean()

const put = (of: fc.Arbitrary<number>): fc.Arbitrary<Write> => fc.record({ kind: fc.constant('put'), key, label, size: of })
const del: fc.Arbitrary<Write> = fc.record({ kind: fc.constant('del'), key })
const deleteRange: fc.Arbitrary<Write> = fc.record({ kind: fc.constant('deleteRange'), range })
const batch: fc.Arbitrary<Write> = fc.record({
  kind: fc.constant('batch'),
  operations: fc.array(fc.oneof(
    fc.record({ type: fc.constant('put'), key, label, size }),
    fc.record({ type: fc.constant('del'), key }),
  ), { maxLength: 12 }),
})
/** Enough for several tables of a small target size. */
const fill: fc.Arbitrary<Write> = fc.record({
  kind: fc.constant('fill'),
  from: fc.integer({ min: 0, max: 50 }), count: fc.integer({ min: 1, max: 50 }), label, size: fc.integer({ min: 50, max: 600 }),
})
const write = fc.oneof(
  { weight: 6, arbitrary: put(size) }, { weight: 2, arbitrary: del }, { weight: 2, arbitrary: deleteRange }, { weight: 3, arbitrary: batch },
  { weight: 2, arbitrary: fill },
)
/** Enough bytes for several memtables, so that writers wait for flushes. */
const burstWrite = fc.oneof(
  { weight: 12, arbitrary: put(largeSize) }, { weight: 1, arbitrary: put(size) }, { weight: 1, arbitrary: del },
  { weight: 1, arbitrary: deleteRange }, { weight: 1, arbitrary: batch },
)

const command: fc.Arbitrary<Command> = fc.oneof<fc.WeightedArbitrary<Command>[]>(
  { weight: 14, arbitrary: fc.record({ kind: fc.constant('write'), write, sync, durability }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('burst'),
      writes: fc.array(
        fc.record({ write: burstWrite, sync: fc.integer({ min: 0, max: 9 }).map(n => n === 0), durability }),
        { minLength: 5, maxLength: 130, size: 'max' },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('snapshot') }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeSnapshot'), at }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('get'), key, at, sync }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('has'), key, at, sync }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('getMany'), keys: fc.array(key, { maxLength: 8 }), at, sync }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('read'), range: readRange, at,
      how: fc.constantFrom('all', 'forAwait', 'entriesSync', 'keys', 'values', 'next'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('count'), range, at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('iterator'), range: readRange, at }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('nextv'), at, size: fc.integer({ min: 1, max: 6 }), sync }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('next'), at }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('seek'), at, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('closeIterator'), at }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('flush'), wait: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact'), range, wait: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('turns'), count: fc.integer({ min: 1, max: 20 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen') }) },
)

/** Without bias: most scripts are long. */
export const commands: fc.Arbitrary<Command[]> = fc.noBias(fc.array(command, { minLength: 1, maxLength: 100, size: 'max' }))

export function numberedKey(number: number): string {
  return `n${String(number).padStart(2, '0')}`
}
