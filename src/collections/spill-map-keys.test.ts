import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Scratch } from '../encoding/encoding.ts'
import { anyKey } from './spill-map-keys.ts'

const scratch = new Scratch(66 * 1024)

function encode(value: unknown): Buffer {
  anyKey.encode(value, scratch)
  return Buffer.from(scratch.bytes.subarray(scratch.start, scratch.end))
}

function decode(bytes: Uint8Array): unknown {
  return anyKey.decode(bytes, 0, bytes.length)
}

const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 6 }).map(list => String.fromCharCode(...list))
const leaf = fc.oneof(
  fc.constantFrom(undefined, null, true, false), fc.double(), fc.integer(), fc.bigInt(), fc.string({ unit: 'binary' }), units,
  fc.constantFrom('', '\0', 'a\0b', '\0\0'), fc.date(), fc.uint8Array({ maxLength: 8 }).map(bytes => Buffer.from(bytes)),
)
const { value: tree } = fc.letrec(tie => ({
  value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(tie('value'), { maxLength: 4 }), fc.dictionary(fc.string(), tie('value'), { maxKeys: 4, noNullPrototype: true })),
}))

test('every key round-trips', () => {
  fc.assert(fc.property(tree, value => {
    // 0 and -0 are one key.
    assert.deepEqual(withoutMinusZero(decode(encode(value))), withoutMinusZero(value))
  }), { seed: 1, numRuns: 2000 })
})

function withoutMinusZero(value: unknown): unknown {
  if (typeof value === 'number') return value + 0
  if (Array.isArray(value)) return value.map(withoutMinusZero)
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, withoutMinusZero(one)]).sort())
  }
  return value
}

test('byte order equals value order, and different keys have different bytes', () => {
  const sorted: [fc.Arbitrary<unknown>, (a: never, b: never) => number][] = [
    [fc.oneof(fc.double({ noNaN: true }), fc.integer()), (a: number, b: number) => a - b],
    [fc.oneof(fc.bigInt(), fc.bigInt({ min: -(2n ** 2100n), max: 2n ** 2100n })), (a: bigint, b: bigint) => a < b ? -1 : Number(a > b)],
    [fc.date({ noInvalidDate: true }), (a: Date, b: Date) => a.getTime() - b.getTime()],
    [fc.string({ unit: 'grapheme' }), (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))],
    [fc.uint8Array(), (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b)],
    [fc.array(fc.integer({ min: -2, max: 2 })), (a: number[], b: number[]) => {
      for (let i = 0; i < Math.min(a.length, b.length); i++) if (a[i] !== b[i]) return a[i]! - b[i]!
      return a.length - b.length
    }],
    [fc.tuple(fc.constantFrom('', 'a', 'a\0', 'a\0b', 'b'), fc.integer({ min: -1, max: 1 })), (a: [string, number], b: [string, number]) =>
      Buffer.compare(Buffer.from(a[0]), Buffer.from(b[0])) || a[1] - b[1]],
  ]
  for (const [values, compare] of sorted) {
    fc.assert(fc.property(values, values, (a, b) => {
      assert.equal(Math.sign(Buffer.compare(encode(a), encode(b))), Math.sign(compare(a as never, b as never)) + 0)
    }), { seed: 2, numRuns: 500 })
  }
})

test('types are distinct and sort in order', () => {
  const list = [undefined, null, false, true, -Infinity, -1, 0, 1, Infinity, NaN, -(2n ** 64n), -1n, 0n, 1n, 2n ** 64n, new Date(0), '', '1', 'a', Buffer.from(''), Buffer.from('1'), [], [1], ['1'], {}, { a: 1 }]
  const encoded = list.map(encode)
  assert.deepEqual([...encoded].sort(Buffer.compare), encoded)
  assert.equal(new Set(encoded.map(bytes => bytes.toString('hex'))).size, list.length)
  assert.deepEqual(encode({ a: 1, b: 2 }), encode({ b: 2, a: 1 }))
  assert.deepEqual(encode(-0), encode(0))
})

test('other values are refused', () => {
  const circle: unknown[] = []
  circle.push(circle)
  for (const value of [Symbol('x'), () => 1, new Map(), circle, [Symbol('x')], 'x'.repeat(70_000), ['\0'.repeat(40_000)], Buffer.alloc(70_000), 1n << 600_000n]) {
    assert.throws(() => encode(value), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  }
})
