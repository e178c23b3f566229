import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from './bytes.ts'
import { MAX_SEQ } from './cursor.ts'
import { FragmentList } from './fragment-list.ts'
import { RangeSet } from './ranges.ts'

const PROPERTY = { seed: 20250711, numRuns: 500 }

const key = fc.uint8Array({ maxLength: 3, max: 3 })
const tombstones = fc.array(fc.record({ start: key, end: key, seq: fc.integer({ min: 1, max: 30 }) }), { maxLength: 20 })

test('fragments packed answer like the tombstones they were cut from', () => {
  fc.assert(fc.property(tombstones, fc.uniqueArray(fc.nat(30)), fc.array(key), (list, snapshots, probes) => {
    const cut = RangeSet.compactFor(list, snapshots)
    const keyBytes = cut.reduce((sum, { start, end }) => sum + start.length + end.length, 0)
    const packed = new FragmentList(cut.length, keyBytes)
    for (const { start, end, seq } of cut) {
      const framed = Uint8Array.from([9, ...start, ...end, 9])
      packed.add(framed, 1, 1 + start.length, framed.length - 1, seq)
    }
    assert.ok(packed.size <= cut.length)
    for (const probe of [...probes, ...cut.flatMap(({ start, end }) => [start, end])]) {
      const framed = Uint8Array.from([7, ...probe, 7])
      for (const snapshot of [MAX_SEQ, ...snapshots]) {
        const covering = list.filter(({ start, end, seq }) => seq <= snapshot && compareKeys(start, probe) <= 0 && compareKeys(probe, end) < 0)
        const newest = covering.reduce((most, { seq }) => Math.max(most, seq), 0)
        assert.equal(packed.coveringSeq(framed, 1, 1 + probe.length, snapshot), newest)
      }
    }
  }), PROPERTY)
})

test('an empty list covers nothing', () => {
  const list = new FragmentList(0, 0)
  assert.equal(list.size, 0)
  assert.equal(list.coveringSeq(Uint8Array.of(1), 0, 1, MAX_SEQ), 0)
})
