/** Range bounds of maps and sets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SpillMap } from './spill-map.ts'
import { SpillSet } from './spill-set.ts'

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const

test('maps and sets refuse a bound that is undefined, in either order', () => {
  for (const order of ['key', 'insertion'] as const) {
    using map = new SpillMap<string, number>([['a', 1], ['b', 2]], { budget: '8 MiB', order })
    using set = new SpillSet<string>(['a', 'b'], { budget: '8 MiB', order })
    for (const bound of BOUNDS) {
      const range = { [bound]: undefined } as never
      for (const call of [() => map.entries(range), () => map.keys(range), () => map.values(range), () => set.values(range), () => set.keys(range), () => set.entries(range)]) {
        assert.throws(call, { code: 'SPILLWAY_INVALID_ARGUMENT', message: order === 'key' ? new RegExp(`${bound} is undefined`) : /a range of keys needs order: 'key'/ })
      }
    }
    assert.throws(() => map.keys({ revrese: true } as never), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /Did you mean "reverse"\?/ })
    assert.deepEqual([...map.keys({})], ['a', 'b'])
  }
})
