import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { KIND_DELETE } from '../base/cursor.ts'
import type { RangeTombstone } from '../base/cursor.ts'
import { RangeSet } from '../base/ranges.ts'
import { EntryCursor, bytesOf, put, textOf } from '../table/testing/model.ts'
import type { Entry } from '../table/testing/model.ts'
import { Retention } from './retention.ts'
import { packOutside } from './tombstone-elision.ts'
import type { OutsideTable } from './tombstone-elision.ts'
import { ListedFragments } from './range-sweep.ts'
import { LAST_KEY, covers, histories, isWithin, keyOf, mustKeep, outsideOf, readersOf, stripeOf, visibleIn } from './testing/entries.ts'

const SEED = 20250629
const PROPERTY = { seed: SEED, numRuns: 2000 }

/** Fed all range tombstones as one input, but those with an odd sequence number as another. */
class TestRetention extends Retention {
  readonly #kept: RangeTombstone[]

  constructor(snapshots: readonly number[], outside: readonly OutsideTable[] | undefined, ranges: readonly RangeTombstone[]) {
    const kept: RangeTombstone[] = []
    const sources = [0, 1].map(odd => new ListedFragments(RangeSet.compactFor(ranges.filter(({ seq }) => seq % 2 === odd), snapshots)))
    super(snapshots, outside === undefined ? undefined : packOutside(outside), sources, range => kept.push(range))
    this.#kept = kept
  }

  /** After the last entry. */
  ranges(): RangeTombstone[] {
    this.finish()
    return this.#kept
  }
}

function keptOf(retention: Retention, entries: readonly Entry[]): Entry[] {
  const cursor = new EntryCursor()
  return entries.filter(entry => retention.keep(cursor.at(entry)))
}

function del(key: string, seq: number): Entry {
  return put(key, seq, '', KIND_DELETE)
}

function outside(firstKey: string, lastKey: string, minSeq: number): OutsideTable {
  return { firstKey: bytesOf(firstKey), lastKey: bytesOf(lastKey), minSeq }
}

test('without snapshots only the newest version of a key stays', () => {
  const kept = keptOf(new TestRetention([], [], []), [put('a', 3), put('a', 2), put('a', 1), put('b', 5), put('b', 4)])
  assert.deepEqual(kept.map(textOf), ['a@3/1=v', 'b@5/1=v'])
})

test('each snapshot keeps the version it sees, and no other', () => {
  const versions = [9, 8, 7, 6, 5, 4, 3, 2, 1].map(seq => put('a', seq))
  const seqs = (snapshots: number[]): number[] => keptOf(new TestRetention(snapshots, [], []), versions).map(({ seq }) => seq)
  assert.deepEqual(seqs([5]), [9, 5])
  assert.deepEqual(seqs([2, 7, 8]), [9, 8, 7, 2])
  assert.deepEqual(seqs([0]), [9], 'a snapshot of nothing')
  assert.deepEqual(seqs([9, 100]), [9])
  assert.deepEqual(seqs([1, 2, 3, 4, 5, 6, 7, 8]), [9, 8, 7, 6, 5, 4, 3, 2, 1])
})

test('a tombstone goes with what it hides when nothing older can be elsewhere', () => {
  const entries = [del('a', 5), put('a', 2), put('b', 3)]
  const texts = (snapshots: number[], tables: OutsideTable[] | undefined): string[] =>
    keptOf(new TestRetention(snapshots, tables, []), entries).map(textOf)
  assert.deepEqual(texts([], []), ['b@3/1=v'])
  assert.deepEqual(texts([], undefined), ['a@5/0=', 'b@3/1=v'], 'nothing is known of other tables')
  assert.deepEqual(texts([], [outside('a', 'c', 4)]), ['a@5/0=', 'b@3/1=v'], 'an older table may hold the key')
  assert.deepEqual(texts([], [outside('a', 'c', 5)]), ['b@3/1=v'], 'a table that is newer throughout hides nothing')
  assert.deepEqual(texts([], [outside('b', 'c', 1)]), ['b@3/1=v'], 'a table of other keys')
  assert.deepEqual(texts([3], []), ['a@5/0=', 'a@2/1=v', 'b@3/1=v'], 'a snapshot still sees what it hides')
})

test('versions under a range tombstone go, those it does not reach stay', () => {
  const range = { start: bytesOf('b'), end: bytesOf('d'), seq: 5 }
  const entries = [put('a', 1), put('b', 9), put('b', 2), put('c', 4), put('d', 3)]
  const retention = new TestRetention([], [], [range])
  assert.deepEqual(keptOf(retention, entries).map(textOf), ['a@1/1=v', 'b@9/1=v', 'd@3/1=v'])
  assert.deepEqual(retention.ranges(), [], 'and then there is nothing left for it to hide')
  assert.equal(new TestRetention([], [outside('c', 'c', 1)], [range]).ranges().length, 1)
  assert.equal(new TestRetention([], [outside('d', 'e', 1)], [range]).ranges().length, 0, 'its end is not covered')
  assert.equal(new TestRetention([], [outside('a', 'b', 1)], [range]).ranges().length, 1, 'its start is')
  const seen = new TestRetention([4], [], [range])
  assert.deepEqual(keptOf(seen, entries).map(textOf), ['a@1/1=v', 'b@9/1=v', 'b@2/1=v', 'c@4/1=v', 'd@3/1=v'])
  assert.equal(seen.ranges().length, 1)
})

test('it says of every entry whether its key is new, until the caller has kept a version of it', () => {
  const retention = new TestRetention([], [], [])
  const long = bytesOf('k'.repeat(1000))
  const seen = [put('', 2), put('a', 3), put('a', 1), put(long, 4), put('l', 5)].map(entry => {
    retention.keep(new EntryCursor().at(entry))
    const { startsKey } = retention
    retention.startsKey = false
    return startsKey
  })
  assert.deepEqual(seen, [true, true, false, true, true])
})

test(`no reader sees a difference, at any snapshot or now (seed ${SEED})`, () => {
  fc.assert(fc.property(histories, fc.boolean(), (history, isKnown) => {
    const [inside, ...others] = history.tables
    const retention = new TestRetention(history.snapshots, isKnown ? outsideOf(history) : undefined, inside!.ranges)
    const kept = keptOf(retention, inside!.entries)
    const ranges = retention.ranges()
    const after = [{ entries: kept, ranges }, ...others]
    for (let i = 0; i <= LAST_KEY; i++) {
      for (const reader of readersOf(history)) {
        assert.equal(visibleIn(after, keyOf(i), reader), visibleIn(history.tables, keyOf(i), reader), `key ${i} at ${reader}`)
      }
    }
  }), PROPERTY)
})

test(`no more is kept than the rules say (seed ${SEED})`, () => {
  fc.assert(fc.property(histories, fc.boolean(), (history, isKnown) => {
    const inside = history.tables[0]!
    const tables = isKnown ? outsideOf(history) : undefined
    const kept = keptOf(new TestRetention(history.snapshots, tables, inside.ranges), inside.entries)
    const expected = inside.entries.filter(entry => mustKeep(entry, inside, history.snapshots, tables))
    assert.deepEqual(kept.map(textOf), expected.map(textOf))
  }), PROPERTY)
})

test(`range tombstones are kept piece by piece: of each stripe the newest, and of the oldest only over older tables (seed ${SEED})`, () => {
  fc.assert(fc.property(histories, fc.boolean(), (history, isKnown) => {
    const { snapshots } = history
    const inside = history.tables[0]!
    const tables = isKnown ? outsideOf(history) : undefined
    const ranges = new TestRetention(snapshots, tables, inside.ranges).ranges()
    for (let i = 0; i <= LAST_KEY; i++) {
      const key = keyOf(i)
      const covering = inside.ranges.filter(range => covers(range, key)).map(({ seq }) => seq)
      const newest = covering.filter(seq => !covering.some(other => other > seq && stripeOf(snapshots, other) === stripeOf(snapshots, seq)))
      const kept = ranges.filter(range => covers(range, key))
      for (const seq of newest) {
        const mayHide = tables === undefined || tables.some(table => table.minSeq < seq && isWithin(key, table))
        if (stripeOf(snapshots, seq) > 0 || mayHide) assert.ok(kept.some(range => range.seq === seq), `${seq} over ${i} is gone`)
      }
      for (const { seq } of kept) assert.ok(newest.includes(seq), `${seq} over ${i} is not needed`)
    }
    for (const range of ranges) {
      if (stripeOf(snapshots, range.seq) > 0 || tables === undefined) continue
      const overlapped = tables.some(({ minSeq, firstKey, lastKey }) =>
        minSeq < range.seq && compareKeys(range.start, lastKey) <= 0 && compareKeys(firstKey, range.end) < 0)
      assert.ok(overlapped, `${range.seq} has nothing left to hide`)
    }
  }), PROPERTY)
})
