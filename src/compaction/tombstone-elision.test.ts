import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { OutsideIndex, packOutside } from './tombstone-elision.ts'
import type { OutsideTable } from './tombstone-elision.ts'

const PROPERTY = { seed: 20250712, numRuns: 1000 }
const key = fc.uint8Array({ maxLength: 2, max: 3 })
const table = fc.record({ keys: fc.tuple(key, key), minSeq: fc.integer({ min: 1, max: 20 }) }).map(({ keys, minSeq }): OutsideTable => {
  const [firstKey, lastKey] = keys.sort(compareKeys) as [Uint8Array, Uint8Array]
  return { firstKey, lastKey, minSeq }
})

function smallest(tables: readonly OutsideTable[]): number {
  return Math.min(Infinity, ...tables.map(({ minSeq }) => minSeq))
}

test('of a key and of a range it knows the smallest sequence number of the tables that may hold any of it', () => {
  fc.assert(fc.property(fc.array(table, { maxLength: 12 }), key, key, (tables, a, b) => {
    const index = new OutsideIndex(packOutside(tables))
    const framed = Uint8Array.from([5, ...a, 5])
    const holds = (probe: Uint8Array, { firstKey, lastKey }: OutsideTable): boolean => compareKeys(firstKey, probe) <= 0 && compareKeys(probe, lastKey) <= 0
    assert.equal(index.minSeqAt(framed, 1, 1 + a.length), smallest(tables.filter(one => holds(a, one))))
    const [start, end] = [a, b].sort(compareKeys) as [Uint8Array, Uint8Array]
    if (compareKeys(start, end) === 0) return
    const touched = tables.filter(({ firstKey, lastKey }) => compareKeys(lastKey, start) >= 0 && compareKeys(firstKey, end) < 0)
    assert.equal(index.minSeqOver(start, end), smallest(touched))
  }), PROPERTY)
})
