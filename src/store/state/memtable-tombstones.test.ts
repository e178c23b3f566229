import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../../base/bytes.ts'
import { MAX_SEQ } from '../../base/cursor.ts'
import type { RangeTombstone } from '../../base/cursor.ts'
import { Budget } from '../../memory/budget.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { MemtableTombstones } from './memtable-tombstones.ts'

const SEED = 20240611

function emptyTable(): Memtable {
  const table = new Memtable(new SharedArrayBuffer(1 << 20))
  table.reset()
  return table
}

/** The definition, one tombstone at a time. */
function modelCovering(tombstones: readonly RangeTombstone[], key: Uint8Array, snapshotSeq: number): number {
  let best = 0
  for (const { start, end, seq } of tombstones) {
    if (seq <= snapshotSeq && seq > best && compareKeys(start, key) <= 0 && compareKeys(key, end) < 0) best = seq
  }
  return best
}

const keys = fc.array(fc.constantFrom(0, 1, 2, 255), { maxLength: 3 }).map(list => Uint8Array.from(list))
const step = fc.record({
  start: keys, end: keys, probe: keys, back: fc.integer({ min: 0, max: 90 }), reads: fc.boolean(),
})

test(`between additions every key at every snapshot reads as by the definition (seed ${SEED})`, () => {
  fc.assert(fc.property(fc.array(step, { minLength: 1, maxLength: 250, size: 'max' }), steps => {
    const table = emptyTable()
    const ranges = new MemtableTombstones(table, new Budget('1 MiB').account('table metadata', 'a test'))
    const model: RangeTombstone[] = []
    for (const { start, end, probe, back, reads } of steps) {
      const seq = model.length + 1
      table.deleteRange(start, end, seq)
      model.push({ start, end, seq })
      assert.equal(ranges.size, model.length)
      if (!reads) continue
      const framed = Uint8Array.from([7, ...probe, 7, 7])
      for (const snapshot of [MAX_SEQ, seq, Math.max(0, seq - back)]) {
        assert.equal(ranges.coveringSeq(framed, 1, 1 + probe.length, snapshot), modelCovering(model, probe, snapshot))
        // And the newest of them alone, where they are.
        const newest = model.slice(Math.max(0, model.length - back))
        assert.equal(table.coveringSeq(back, framed, 1, 1 + probe.length, snapshot), modelCovering(newest, probe, snapshot))
      }
    }
  }), { seed: SEED, numRuns: 150 })
})

test('sequence numbers keep all 53 bits', () => {
  const table = emptyTable()
  const ranges = new MemtableTombstones(table, new Budget('1 MiB').account('table metadata', 'a test'))
  const seqs = [2 ** 31 + 5, 2 ** 32 - 1, 2 ** 40 + 2 ** 31, MAX_SEQ]
  const [b, c] = [Uint8Array.of(2), Uint8Array.of(3)]
  for (const seq of seqs) {
    table.deleteRange(b, c, seq)
    assert.equal(ranges.coveringSeq(b, 0, 1, MAX_SEQ), seq)
    assert.equal(ranges.coveringSeq(c, 0, 1, MAX_SEQ), 0)
  }
  assert.equal(ranges.coveringSeq(b, 0, 1, 2 ** 40), 2 ** 32 - 1)
})

test('with a read after every addition, each tombstone is copied a few times only', () => {
  const table = emptyTable()
  const readAll = table.ranges.bind(table)
  let copied = 0
  table.ranges = () => {
    const all = readAll()
    copied += all.length
    return all
  }
  const ranges = new MemtableTombstones(table, new Budget('1 MiB').account('table metadata', 'a test'))
  const key = new Uint8Array(4)
  const end = new Uint8Array(4)
  const numbers = new DataView(key.buffer)
  const count = 4000
  for (let i = 0; i < count; i++) {
    numbers.setUint32(0, 2 * i)
    new DataView(end.buffer).setUint32(0, 2 * i + 1)
    table.deleteRange(key, end, i + 1)
    assert.equal(ranges.coveringSeq(key, 0, 4, MAX_SEQ), i + 1)
    numbers.setUint32(0, i - i % 2)
    assert.equal(ranges.coveringSeq(key, 0, 4, MAX_SEQ), (i - i % 2) / 2 + 1)
  }
  assert.ok(copied > 0 && copied < 6 * count, `${copied} tombstones were copied for ${count}`)
})
