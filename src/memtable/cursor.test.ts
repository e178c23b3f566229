import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KIND_PUT, MAX_SEQ } from '../base/cursor.ts'
import { Memtable } from './memtable.ts'
import { Model, assertAt, assertSame, dirtyBuffer, framed, putFramed, text } from './testing/model.ts'

const SEED = 20240611

function emptyTable(bytes: number): Memtable {
  const table = new Memtable(dirtyBuffer(bytes, 3))
  table.reset()
  return table
}

test('a cursor over nothing is never valid and every move is harmless', () => {
  const cursor = emptyTable(1 << 16).cursor()
  const key = text('k')
  for (const move of [
    () => cursor.next(), () => cursor.prev(), () => cursor.seekToFirst(), () => cursor.seekToLast(),
    () => cursor.seek(key, 0, 1), () => cursor.seek(key, 0, 0), () => cursor.seekBefore(key, 0, 1), () => cursor.seekBefore(key, 0, 0),
  ]) {
    move()
    assert.equal(cursor.valid, false)
    cursor.next()
    cursor.prev()
    assert.equal(cursor.valid, false)
  }
})

test('a thousand keys that are prefixes of one another walk both ways, deeper than the first stack', () => {
  const table = emptyTable(8 << 20)
  const model = new Model()
  const probes: Uint8Array[] = []
  for (let length = 0; length <= 1000; length++) {
    // Both orders: every other key above, every other below what is there.
    const n = length % 2 === 0 ? length : 1001 - length
    const key = new Uint8Array(n).fill(0xff)
    putFramed(table, key, length + 1, KIND_PUT, text(String(n)), 0)
    model.put(key, length + 1, KIND_PUT, text(String(n)), 0)
    if (n % 50 === 0) probes.push(key, Uint8Array.of(...key, 0), Uint8Array.of(...key, 0xff, 0xff, 1))
    if (n % 50 === 7) probes.push(key.with(n >> 1, 0xfe))
  }
  assertSame(table, model, probes)
})

test('a key with hundreds of versions runs newest first forwards, oldest first backwards, and turns anywhere', () => {
  const table = emptyTable(1 << 18)
  const model = new Model()
  let seq = 0
  for (const name of ['a', 'b', 'c']) {
    for (let i = 0; i < 300; i++) {
      seq++
      const value = text(String(seq))
      putFramed(table, text(name), seq, KIND_PUT, value, seq - 1)
      model.put(text(name), seq, KIND_PUT, value, seq - 1)
    }
  }
  assertSame(table, model, [text(''), text('a'), text('b'), text('bb'), text('c'), text('d')])
  assert.equal(table.entryCount, 900)
})

const step = fc.oneof(
  { weight: 5, arbitrary: fc.constant('next' as const) },
  { weight: 5, arbitrary: fc.constant('prev' as const) },
  { weight: 1, arbitrary: fc.constantFrom('first' as const, 'last' as const) },
  { weight: 2, arbitrary: fc.record({ seek: fc.uint8Array({ maxLength: 4, min: 96, max: 100 }) }) },
  { weight: 2, arbitrary: fc.record({ before: fc.uint8Array({ maxLength: 4, min: 96, max: 100 }) }) },
)

test(`a random walk agrees with walking a sorted array (seed ${SEED})`, () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 4, min: 97, max: 99 }), fc.boolean()), { minLength: 1, maxLength: 60 }),
      fc.array(step, { maxLength: 80 }),
      (writes, steps) => {
        const table = emptyTable(1 << 17)
        const model = new Model()
        writes.forEach(([key, keep], i) => {
          const value = text(`v${i}`)
          putFramed(table, key, i + 1, KIND_PUT, value, keep ? MAX_SEQ : 0)
          model.put(key, i + 1, KIND_PUT, value, keep ? MAX_SEQ : 0)
        })
        const cursor = table.cursor()
        let at = -1
        const size = model.versions.length
        for (const move of steps) {
          const inside = at >= 0 && at < size
          if (move === 'next') {
            cursor.next()
            if (inside) at++
          } else if (move === 'prev') {
            cursor.prev()
            if (inside) at--
          } else if (move === 'first') {
            cursor.seekToFirst()
            at = 0
          } else if (move === 'last') {
            cursor.seekToLast()
            at = size - 1
          } else if ('seek' in move) {
            const k = framed(move.seek)
            cursor.seek(k.bytes, k.start, k.end)
            at = model.lowerBound(move.seek)
          } else {
            const k = framed(move.before)
            cursor.seekBefore(k.bytes, k.start, k.end)
            at = model.lowerBound(move.before) - 1
          }
          assertAt(cursor, model.versions[at])
        }
      },
    ),
    { seed: SEED, numRuns: 400 },
  )
})
