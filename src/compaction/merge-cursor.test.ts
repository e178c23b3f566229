import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { entryAt, put, sortEntries, textOf } from '../table/testing/model.ts'
import type { Entry } from '../table/testing/model.ts'
import { MergeCursor } from './merge-cursor.ts'
import { ArrayCursor } from './testing/entries.ts'

const SEED = 20250628

function merged(lists: readonly (readonly Entry[])[]): MergeCursor {
  return new MergeCursor(lists.map(list => new ArrayCursor(list)))
}

function rest(cursor: MergeCursor, limit = Infinity): string[] {
  const texts: string[] = []
  for (; cursor.valid && texts.length < limit; cursor.advance()) texts.push(textOf(entryAt(cursor.current)))
  return texts
}

test('nothing, or only empty inputs, is a cursor that is never valid', () => {
  for (const cursor of [merged([]), merged([[]]), merged([[], [], []])]) {
    cursor.seekToFirst()
    assert.equal(cursor.valid, false)
    cursor.seekToLast()
    assert.equal(cursor.valid, false)
    cursor.seek(Uint8Array.of(1), 0, 1)
    assert.equal(cursor.valid, false)
    cursor.seekBefore(Uint8Array.of(1), 0, 1)
    assert.equal(cursor.valid, false)
  }
})

test('versions of one key from several inputs come newest first, and oldest first backward', () => {
  const cursor = merged([[put('b', 3), put('b', 1)], [put('b', 4)], [put('a', 2), put('b', 2)]])
  cursor.seekToFirst()
  const texts = ['a@2/1=v', 'b@4/1=v', 'b@3/1=v', 'b@2/1=v', 'b@1/1=v']
  assert.deepEqual(rest(cursor), texts)
  cursor.seekToLast()
  assert.deepEqual(rest(cursor), texts.reverse())
})

const key = fc.uint8Array({ maxLength: 2, max: 4 })
const lists = fc.array(fc.record({ key, list: fc.nat(5), kind: fc.constantFrom(0, 1, 2) }), { maxLength: 60 })
  .map(entries => entries.map((entry, i) => ({ ...entry, seq: i + 1, value: Uint8Array.of(i) })))
const moves = fc.array(fc.record({ to: fc.constantFrom('first', 'last', 'seek', 'before'), key, steps: fc.nat(30) }), { minLength: 1, maxLength: 12 })

test(`a merge of any inputs is their sorted union, from anywhere, in both directions, again and again (seed ${SEED})`, () => {
  fc.assert(fc.property(lists, moves, (entries, list) => {
    const cursor = merged([0, 1, 2, 3, 4, 5].map(number => sortEntries(entries.filter(entry => entry.list === number))))
    const sorted = sortEntries(entries)
    const texts = sorted.map(textOf)
    for (const { to, key, steps } of list) {
      const found = sorted.findIndex(entry => compareKeys(entry.key, key) >= 0)
      const bound = found < 0 ? sorted.length : found
      let expected: string[]
      if (to === 'first') {
        cursor.seekToFirst()
        expected = texts
      } else if (to === 'seek') {
        cursor.seek(key, 0, key.length)
        expected = texts.slice(bound)
      } else if (to === 'last') {
        cursor.seekToLast()
        expected = [...texts].reverse()
      } else {
        cursor.seekBefore(key, 0, key.length)
        expected = texts.slice(0, bound).reverse()
      }
      assert.deepEqual(rest(cursor, steps), expected.slice(0, steps))
      assert.equal(cursor.valid, expected.length > steps)
    }
  }), { seed: SEED, numRuns: 500 })
})

test('a merge of k inputs costs at most 2 log2 k comparisons an entry', () => {
  const inputs = 64
  const each = 50
  let reads = 0
  const cursor = new MergeCursor(Array.from({ length: inputs }, (_, list) => {
    const entries = Array.from({ length: each }, (_, i) => put(Uint8Array.of((i * 97 + list * 31) % 251, i, list), 1 + list))
    const counting = new ArrayCursor(sortEntries(entries))
    // Each comparison asks both cursors where their key starts.
    const start = { get: () => { reads++; return 1 }, set: () => {} }
    return Object.defineProperty(counting, 'keyStart', start)
  }))
  cursor.seekToFirst()
  let count = 0
  for (; cursor.valid; cursor.advance()) count++
  assert.equal(count, inputs * each)
  assert.ok(reads > 0)
  assert.ok(reads / 2 / count < 2 * Math.log2(inputs), `${reads / 2 / count} comparisons an entry`)
})
