import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { KIND_PUT } from '../base/cursor.ts'
import { Arena } from './arena.ts'
import { leafKeyLength, leafKeyStart } from './art.ts'
import { LeafWalk } from './leaf-walk.ts'
import { Memtable } from './memtable.ts'

const SEED = 20250712
const key = fc.oneof(
  fc.uint8Array({ maxLength: 3 }), fc.uint8Array({ maxLength: 3, max: 2 }),
  fc.integer({ min: 0, max: 70 }).map(length => new Uint8Array(length).fill(7)),
)

test(`it gives every key once, in order, however many at a time (seed ${SEED})`, () => {
  const buffer = new SharedArrayBuffer(1 << 20)
  const memtable = new Memtable(buffer)
  fc.assert(fc.property(fc.array(key, { maxLength: 600 }), fc.integer({ min: 1, max: 70 }), (keys, room) => {
    memtable.reset()
    keys.forEach((bytes, i) => memtable.put(bytes, 0, bytes.length, i + 1, KIND_PUT, bytes, 0, 0, Number.MAX_SAFE_INTEGER))
    const arena = new Arena(buffer)
    const walk = new LeafWalk(arena)
    const leaves = new Int32Array(room)
    const found: string[] = []
    for (let count = walk.first(leaves); count > 0; count = walk.next(leaves)) {
      for (const leaf of leaves.subarray(0, count)) {
        found.push(Buffer.from(arena.bytes.slice(leafKeyStart(leaf), leafKeyStart(leaf) + leafKeyLength(arena.words, leaf))).toString('hex'))
      }
    }
    const expected: string[] = []
    const cursor = memtable.cursor()
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      const name = Buffer.from(cursor.key.slice(cursor.keyStart, cursor.keyEnd)).toString('hex')
      if (expected.at(-1) !== name) expected.push(name)
    }
    assert.deepEqual(found, expected)
    assert.equal(walk.next(leaves), 0)
  }), { seed: SEED, numRuns: 150 })
})
