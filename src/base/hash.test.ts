import assert from 'node:assert/strict'
import { Buffer } from 'node:buffer'
import { test } from 'node:test'
import fc from 'fast-check'
import { hashKey } from './hash.ts'

const SEED = 20250625

function hash(text: string): number {
  const bytes = Buffer.from(text, 'latin1')
  return hashKey(bytes, 0, bytes.length)
}

test('the hash of a key is part of the format: these values never change', () => {
  const vectors: [string, number][] = [
    ['', 0xebb6c228],
    ['\0', 0x2933bea8],
    ['a', 0x7fa09ea6],
    ['ab', 0x74875592],
    ['abc', 0xc84a62dd],
    ['abcd', 0x95a46ea9],
    ['abcde', 0x5d0c2dcd],
    ['city:paris', 0x57db0137],
    ['The quick brown fox jumps over the lazy dog', 0xeae2a82f],
    ['\xff\xff\xff\xff', 0xd53f6ec0],
    ['\x80\0\0\0\xfe', 0x5661535f],
  ]
  for (const [key, expected] of vectors) assert.equal(hash(key), expected, JSON.stringify(key))
})

/** The definition in FORMAT.md, in arithmetic that cannot overflow. */
function definition(bytes: Uint8Array): number {
  const mask = 0xffff_ffffn
  const times = (a: bigint, b: bigint): bigint => (a * b) & mask
  const rotate = (a: bigint, by: bigint): bigint => ((a << by) | (a >> (32n - by))) & mask
  const mixed = (word: bigint): bigint => times(rotate(times(word, 0xcc9e2d51n), 15n), 0x1b873593n)
  let state = BigInt(bytes.length) ^ 0x9747b28cn
  let at = 0
  for (; at + 4 <= bytes.length; at += 4) {
    const word = BigInt(Buffer.from(bytes.buffer, bytes.byteOffset + at, 4).readUInt32LE())
    state = (times(rotate(state ^ mixed(word), 13n), 5n) + 0xe6546b64n) & mask
  }
  if (at < bytes.length) {
    let word = 0n
    for (let i = bytes.length - 1; i >= at; i--) word = (word << 8n) | BigInt(bytes[i]!)
    state ^= mixed(word)
  }
  state = times(state ^ (state >> 16n), 0x85ebca6bn)
  state = times(state ^ (state >> 13n), 0xc2b2ae35n)
  return Number(state ^ (state >> 16n))
}

test(`the hash is what its definition says, wherever the key lies (seed ${SEED})`, () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(5), (key, before) => {
    const array = new Uint8Array(before + key.length + 4).fill(0xee)
    array.set(key, before)
    const expected = definition(key)
    assert.equal(hashKey(array, before, before + key.length), expected)
    assert.equal(hashKey(key, 0, key.length), expected)
  }), { seed: SEED, numRuns: 500 })
})

test('numbered keys spread evenly over the high and over the low bits', () => {
  const count = 64 * 1024
  const high = new Uint32Array(64)
  const low = new Uint32Array(64)
  for (let i = 0; i < count; i++) {
    const value = hash(`key:${String(i).padStart(10, '0')}`)
    high[value >>> 26]!++
    low[value & 63]!++
  }
  // 1024 each; eight standard deviations are 256.
  for (const cells of [high, low]) for (const cell of cells) assert.ok(Math.abs(cell - 1024) < 256, `${cell}`)
})
