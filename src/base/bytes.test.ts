import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareBytes, compareKeys, copyBytes, describeBytes } from './bytes.ts'

const SEED = 20250624
const PROPERTY = { seed: SEED, numRuns: 1000 }
// Few values, so that keys share prefixes and equal each other; 0x7f and 0x80 tell unsigned order from signed.
const keys = fc.array(fc.constantFrom(0, 1, 0x7f, 0x80, 255), { maxLength: 6 }).map(list => Uint8Array.from(list))

/** The bytes inside a longer array, so that offsets matter. */
function inside(bytes: Uint8Array, before: number): { array: Uint8Array, start: number, end: number } {
  const array = new Uint8Array(before + bytes.length + 3).fill(before * 37 + 11)
  array.set(bytes, before)
  return { array, start: before, end: before + bytes.length }
}

test(`ranges compare as Buffer.compare does, and prefixes come first (seed ${SEED})`, () => {
  fc.assert(fc.property(keys, keys, fc.nat(5), fc.nat(5), (left, right, leftAt, rightAt) => {
    const a = inside(left, leftAt)
    const b = inside(right, rightAt)
    const order = Buffer.compare(left, right)
    assert.equal(Math.sign(compareBytes(a.array, a.start, a.end, b.array, b.start, b.end)), order)
    assert.equal(Math.sign(compareKeys(left, right)), order)
  }), PROPERTY)
})

test('bytes above 127 are larger than those below, and a key is larger than its prefix', () => {
  assert.ok(compareKeys(Uint8Array.of(0x80), Uint8Array.of(0x7f)) > 0)
  assert.ok(compareKeys(Uint8Array.of(1), Uint8Array.of(1, 0)) < 0)
  assert.ok(compareKeys(Uint8Array.of(), Uint8Array.of(0)) < 0)
  assert.equal(compareKeys(Uint8Array.of(), Uint8Array.of()), 0)
})

test('copying copies the range and nothing beside it, short or long', () => {
  const from = Uint8Array.from({ length: 300 }, (_, i) => i)
  for (const length of [0, 1, 63, 64, 65, 66, 200]) {
    const to = new Uint8Array(300).fill(7)
    copyBytes(from, 50, 50 + length, to, 20)
    const expected = new Uint8Array(300).fill(7)
    expected.set(from.subarray(50, 50 + length), 20)
    assert.deepEqual(to, expected, `${length} bytes`)
  }
})

test('bytes are described so that a person can tell them apart', () => {
  assert.equal(describeBytes(Buffer.from('city:paris')), 'city:paris')
  assert.equal(describeBytes(Uint8Array.of(0, 0x1f, 0x20, 0x5c, 0x7e, 0x7f, 0xff)), '\\x00\\x1f \\\\~\\x7f\\xff')
  assert.equal(describeBytes(new Uint8Array(0)), '')
  assert.equal(describeBytes(Buffer.from('abcdef'), 6), 'abcdef')
  assert.equal(describeBytes(Buffer.from('abcdef'), 5), 'abcde... (6 bytes)')
})
