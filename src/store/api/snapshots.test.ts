import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HostClock } from '../../host/host.ts'
import { SnapshotList } from './snapshots.ts'
import type { SnapshotPin } from './snapshots.ts'

const SEED = 20250811
const clock = { nowMs: () => 0 } as HostClock

test(`the list is that of a sorted array, whatever is opened and closed in whatever order (seed ${SEED})`, () => {
  const step = fc.oneof(fc.record({ add: fc.nat(8) }), fc.record({ close: fc.nat(30) }))
  fc.assert(fc.property(fc.array(step, { maxLength: 80 }), steps => {
    const list = new SnapshotList(clock)
    const open: SnapshotPin[] = []
    for (const step of steps) {
      if ('add' in step) {
        open.push(list.add(step.add + 1))
      } else {
        const [closed] = open.splice(step.close % Math.max(1, open.length), 1)
        closed?.close()
        closed?.close()
      }
      const sorted = open.toSorted((a, b) => a.seq - b.seq)
      assert.equal(list.size, sorted.length)
      assert.equal(list.oldest, sorted[0])
      assert.equal(list.newestSeq, sorted.at(-1)?.seq ?? 0)
      assert.deepEqual(list.seqs(), [...new Set(sorted.map(({ seq }) => seq))])
    }
    list.closeAll()
    assert.deepEqual([list.size, list.oldest, list.newestSeq, list.seqs()], [0, undefined, 0, []])
    assert.ok(open.every(snapshot => snapshot.isClosed))
  }), { seed: SEED, numRuns: 300 })
})

test('200 000 snapshots at two sequence numbers each open and close in turn, and the jobs are told each number once', () => {
  const list = new SnapshotList(clock)
  const open: SnapshotPin[] = []
  for (let i = 0; i < 200_000; i++) open.push(list.add(1 + i % 1000), list.add(5000))
  assert.equal(list.seqs().length, 1001)
  // Every second from the front, then the rest from the back: neither end of a plain list would be near.
  for (let i = 0; i < open.length; i += 2) open[i]!.close()
  assert.deepEqual(list.seqs(), [5000])
  for (let i = open.length - 1; i > 0; i -= 2) open[i]!.close()
  assert.equal(list.size, 0)
})
