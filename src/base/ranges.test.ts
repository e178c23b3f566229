import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from './bytes.ts'
import { MAX_SEQ } from './cursor.ts'
import type { RangeTombstone } from './cursor.ts'
import { RangeSet } from './ranges.ts'

/** A fixed seed, so that a failure can be repeated; fast-check prints it with the counterexample. */
const PROPERTY = { seed: 20240611, numRuns: 500 }

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, letter => letter.charCodeAt(0))
}

function text(key: Uint8Array): string {
  return String.fromCharCode(...key)
}

function tombstone(start: string, end: string, seq: number): RangeTombstone {
  return { start: bytes(start), end: bytes(end), seq }
}

function plain(tombstones: readonly RangeTombstone[]): string[] {
  return tombstones.map(({ start, end, seq }) => `${text(start)}-${text(end)}@${seq}`)
}

function covering(set: RangeSet, key: Uint8Array, snapshot = MAX_SEQ): number {
  return set.coveringSeq(key, 0, key.length, snapshot)
}

/** The definition, one tombstone at a time. */
function modelCovering(tombstones: readonly RangeTombstone[], key: Uint8Array, snapshot: number): number {
  let best = 0
  for (const { start, end, seq } of tombstones) {
    if (seq <= snapshot && seq > best && compareKeys(start, key) <= 0 && compareKeys(key, end) < 0) best = seq
  }
  return best
}

// Few letters and short keys, so that ranges meet, nest, touch and repeat; the empty key is one of them.
const keys = fc.array(fc.constantFrom(0, 1, 2, 255), { maxLength: 3 }).map(list => Uint8Array.from(list))
const lists = fc.array(fc.record({ start: keys, end: keys, seq: fc.integer({ min: 1, max: 12 }) }), { maxLength: 14 })

test('a key is covered from the start of a range up to, not including, its end', () => {
  const set = RangeSet.of([tombstone('b', 'd', 7)])
  const expected = { a: 0, ['a\xff']: 0, b: 7, ['b\0']: 7, c: 7, ['c\xff']: 7, d: 0, e: 0, '': 0 }
  for (const [key, seq] of Object.entries(expected)) assert.equal(covering(set, bytes(key)), seq, JSON.stringify(key))
  assert.equal(set.coveringSeq(bytes('xxcyy'), 2, 3, MAX_SEQ), 7, 'a key inside a longer buffer')
})

test('a reader sees the newest deletion at or below its snapshot', () => {
  const set = RangeSet.of([tombstone('a', 'm', 5), tombstone('c', 'e', 9), tombstone('a', 'z', 2)])
  const seen = (key: string, snapshots: number[]): number[] => snapshots.map(snapshot => covering(set, bytes(key), snapshot))
  assert.deepEqual(seen('d', [1, 2, 4, 5, 8, 9, MAX_SEQ]), [0, 2, 2, 5, 5, 9, 9])
  assert.deepEqual(seen('p', [1, 2, MAX_SEQ]), [0, 2, 2])
})

test('empty and reversed ranges are ignored, and nothing at all is the shared empty set', () => {
  assert.equal(RangeSet.of([]), RangeSet.EMPTY)
  assert.equal(RangeSet.of([tombstone('b', 'b', 3), tombstone('c', 'a', 4)]), RangeSet.EMPTY)
  assert.deepEqual([RangeSet.EMPTY.size, RangeSet.EMPTY.bytes, covering(RangeSet.EMPTY, bytes('b'))], [0, 0, 0])
  assert.deepEqual(RangeSet.EMPTY.fragments(), [])
  assert.equal(RangeSet.of([tombstone('b', 'b', 3), tombstone('c', 'd', 4)]).size, 1)
})

test('the set holds copies: changing the keys it was made of changes nothing', () => {
  const given = tombstone('b', 'd', 7)
  const set = RangeSet.of([given])
  given.start[0] = 0
  given.seq = 1
  assert.equal(covering(set, bytes('a')), 0)
  set.fragments()[0]!.start[0] = 0
  assert.equal(covering(set, bytes('a')), 0)
  assert.equal(covering(set, bytes('b')), 7)
})

test('every key at every snapshot reads as by the definition', () => {
  fc.assert(fc.property(lists, fc.array(keys, { minLength: 1, maxLength: 10 }), (tombstones, probes) => {
    const set = RangeSet.of(tombstones)
    for (const key of [...probes, ...tombstones.flatMap(({ start, end }) => [start, end])]) {
      for (let snapshot = 0; snapshot <= 13; snapshot++) {
        assert.equal(covering(set, key, snapshot), modelCovering(tombstones, key, snapshot))
      }
      assert.equal(covering(set, key), modelCovering(tombstones, key, MAX_SEQ))
    }
  }), PROPERTY)
})

test('fragments are sorted, disjoint, counted by size, and list each covering seq once, descending', () => {
  fc.assert(fc.property(lists, keys, (tombstones, probe) => {
    const set = RangeSet.of(tombstones)
    const fragments = set.fragments()
    assert.equal(fragments.length, set.size)
    for (let i = 0; i < fragments.length; i++) {
      const { start, end, seqs } = fragments[i]!
      assert.ok(compareKeys(start, end) < 0)
      if (i > 0) assert.ok(compareKeys(fragments[i - 1]!.end, start) <= 0)
      const covers = tombstones.filter(other => compareKeys(other.start, start) <= 0 && compareKeys(end, other.end) <= 0)
      assert.deepEqual(seqs, [...new Set(covers.map(({ seq }) => seq))].sort((a, b) => b - a))
    }
    const inside = fragments.some(({ start, end }) => compareKeys(start, probe) <= 0 && compareKeys(probe, end) < 0)
    assert.equal(inside, modelCovering(tombstones, probe, MAX_SEQ) > 0)
  }), PROPERTY)
})

test('compacting keeps the newest of each fragment and the newest of each snapshot', () => {
  const tombstones = [tombstone('a', 'm', 5), tombstone('c', 'e', 9), tombstone('a', 'z', 2)]
  assert.deepEqual(plain(RangeSet.compactFor(tombstones, [])), ['a-c@5', 'c-e@9', 'e-m@5', 'm-z@2'])
  assert.deepEqual(plain(RangeSet.compactFor(tombstones, [8, 6])), ['a-c@5', 'c-e@9', 'c-e@5', 'e-m@5', 'm-z@2'])
  assert.deepEqual(plain(RangeSet.compactFor(tombstones, [3, 1])), ['a-c@5', 'a-c@2', 'c-e@9', 'c-e@2', 'e-m@5', 'e-m@2', 'm-z@2'])
})

test('compacting joins neighbouring fragments that keep the same, and never across a gap', () => {
  assert.deepEqual(plain(RangeSet.compactFor([tombstone('a', 'c', 5), tombstone('c', 'e', 5)], [])), ['a-e@5'])
  assert.deepEqual(plain(RangeSet.compactFor([tombstone('a', 'e', 5), tombstone('b', 'c', 4)], [])), ['a-e@5'])
  assert.deepEqual(plain(RangeSet.compactFor([tombstone('a', 'b', 5), tombstone('c', 'e', 5)], [])), ['a-b@5', 'c-e@5'])
  assert.deepEqual(plain(RangeSet.compactFor([tombstone('b', 'a', 5)], [])), [])
})

test('compacting changes nothing for any reader it was told of, keeps no more than they need, and is done in one pass', () => {
  const snapshotLists = fc.array(fc.integer({ min: 0, max: 13 }), { maxLength: 4 })
  fc.assert(fc.property(lists, snapshotLists, fc.array(keys, { maxLength: 10 }), (tombstones, snapshots, probes) => {
    const compacted = RangeSet.compactFor(tombstones, snapshots)
    const before = RangeSet.of(tombstones)
    const after = RangeSet.of(compacted)
    const readers = [...snapshots, MAX_SEQ]
    for (const key of [...probes, ...tombstones.flatMap(({ start, end }) => [start, end])]) {
      for (const reader of readers) assert.equal(covering(after, key, reader), covering(before, key, reader))
    }
    const fragments = after.fragments()
    for (const [i, { start, end, seqs }] of fragments.entries()) {
      const needed = new Set(readers.map(reader => covering(before, start, reader)))
      needed.delete(0)
      assert.deepEqual(seqs, [...needed].sort((a, b) => b - a))
      const next = fragments[i + 1]
      if (next && compareKeys(end, next.start) === 0) assert.notDeepEqual(seqs, next.seqs)
    }
    assert.deepEqual(
      plain(compacted),
      fragments.flatMap(({ start, end, seqs }) => plain(seqs.map(seq => ({ start, end, seq })))),
      'ranges are equal or disjoint, sorted by key, then newest first',
    )
    assert.deepEqual(plain(RangeSet.compactFor(compacted, snapshots)), plain(compacted))
  }), PROPERTY)
})

test('a queue trimmed from the front thousands of times stays small and quick to read', () => {
  const count = 5000
  const tombstones: RangeTombstone[] = []
  const boundary = (i: number): Uint8Array => Uint8Array.of(i >> 16, i >> 8, i)
  for (let i = 1; i <= count; i++) tombstones.push({ start: boundary(0), end: boundary(i), seq: i })
  const set = RangeSet.of(tombstones)
  assert.equal(set.size, count)
  // One list per fragment would hold count * (count + 1) / 2 numbers: 100 MB.
  assert.ok(set.bytes < count * 200, `${set.bytes} bytes`)
  for (const i of [0, 1, 2500, 4998, 4999]) {
    assert.equal(covering(set, boundary(i)), count)
    assert.equal(covering(set, boundary(i), i), 0)
    assert.equal(covering(set, boundary(i), i + 1), i + 1)
  }
  assert.equal(covering(set, boundary(count)), 0)
  assert.deepEqual(plain(RangeSet.compactFor(tombstones, [])), plain([{ start: boundary(0), end: boundary(count), seq: count }]))
})
