import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compareKeys } from '../base/bytes.ts'
import { KeyEncoder, decodeKey } from './key-order.ts'
import type { SortKey } from './key-order.ts'

const encoder = new KeyEncoder()
function encode(key: unknown): Uint8Array {
  encoder.encode(key)
  return new Uint8Array(encoder.bytes.subarray(0, encoder.length))
}

/** The promised order, computed from values instead of bytes. */
function rank(key: SortKey): number {
  if (key === undefined) return 1
  if (key === null) return 2
  if (key === false) return 3
  if (key === true) return 4
  if (typeof key === 'number') return 5
  if (typeof key === 'bigint') return 6
  if (key instanceof Date) return 7
  if (typeof key === 'string') return 8
  if (key instanceof Uint8Array) return 9
  return 10
}

function compareNumbers(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
  return a < b ? -1 : a > b ? 1 : 0
}

function expected(a: SortKey, b: SortKey): number {
  if (rank(a) !== rank(b)) return rank(a) - rank(b)
  if (typeof a === 'number') return compareNumbers(a, b as number)
  if (a instanceof Date) return compareNumbers(a.getTime(), (b as Date).getTime())
  if (typeof a === 'bigint') return a < (b as bigint) ? -1 : a > (b as bigint) ? 1 : 0
  if (typeof a === 'string') return compareKeys(Buffer.from(a), Buffer.from(b as string))
  if (a instanceof Uint8Array) return compareKeys(a, b as Uint8Array)
  if (Array.isArray(a)) {
    const [left, right] = [a as SortKey[], b as SortKey[]]
    for (let i = 0; i < Math.min(left.length, right.length); i++) {
      const order = expected(left[i], right[i])
      if (order !== 0) return order
    }
    return left.length - right.length
  }
  return 0
}

const leaf: fc.Arbitrary<SortKey> = fc.oneof(
  fc.constantFrom(undefined, null, false, true, '', 'a', 'a\0', 'a\0\0', 'a\x01', '\u{ffff}', '\u{10000}', 0, -0, 1n, -1n, 0n),
  fc.double(), fc.integer(), fc.bigInt(), fc.string({ unit: 'grapheme' }), fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 8 }), fc.array(fc.constantFrom(0, 1, 255), { maxLength: 4 }).map(bytes => Uint8Array.from(bytes)),
  fc.string({ unit: fc.constantFrom('\0', '\x01', 'a') }),
)
const key: fc.Arbitrary<SortKey> = fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }), fc.array(fc.array(leaf, { maxLength: 2 }), { maxLength: 2 }))

test('for keys of every kind, and arrays of them, byte order equals value order', () => {
  fc.assert(fc.property(key, key, (a, b) => {
    assert.equal(Math.sign(compareKeys(encode(a), encode(b))), Math.sign(expected(a, b)))
  }), { seed: 11, numRuns: 3000 })
})

test('keys round-trip, -0 as 0', () => {
  fc.assert(fc.property(key, a => {
    const bytes = encode(a)
    const back = decodeKey(bytes, 0, bytes.length)
    assert.equal(expected(a, back), 0)
  }), { seed: 12, numRuns: 2000 })
})

test('integers of very different sizes sort by value, and so do bigints', () => {
  const numbers = [-Infinity, -1e300, -256, -255, -1.5, -1, -1e-300, 0, 1e-300, 1, 255, 256, 2 ** 53, Infinity, NaN]
  const bigints = [-(2n ** 70n), -(2n ** 64n), -256n, -255n, -1n, 0n, 1n, 255n, 256n, 2n ** 64n, 2n ** 70n]
  for (const sorted of [numbers, bigints]) {
    for (let i = 1; i < sorted.length; i++) assert.ok(compareKeys(encode(sorted[i - 1]), encode(sorted[i])) < 0, String(sorted[i]))
  }
})

test('other values are refused with a remedy', () => {
  for (const bad of [{ a: 1 }, () => 1, Symbol('x'), new Map(), [1, {}]]) {
    assert.throws(() => encode(bad), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /cannot be a key. Return a string/ })
  }
  let deep: unknown = 1
  for (let i = 0; i < 100; i++) deep = [deep]
  assert.throws(() => encode(deep), { code: 'SPILLWAY_INVALID_ARGUMENT', message: /nested/ })
})
