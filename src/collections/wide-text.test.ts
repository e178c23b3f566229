import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { maxTextBytes, readText, writeText } from './wide-text.ts'

function written(text: string): Buffer {
  // Not at offset 0, and with bytes after it.
  const bytes = Buffer.alloc(maxTextBytes(text) + 6, 0xaa)
  const end = writeText(text, bytes, 3)
  assert.ok(end <= 3 + maxTextBytes(text))
  return bytes.subarray(3, end)
}

function read(bytes: Buffer): string {
  const padded = Buffer.concat([Buffer.from([0xed, 0xa0]), bytes, Buffer.from([0x80, 0x80])])
  return readText(padded, 2, 2 + bytes.length, bytes.toString('utf8'))
}

const unit = fc.constantFrom(0x00, 0x61, 0x7f, 0x80, 0xe9, 0x7ff, 0x800, 0x20ac, 0xd7ff, 0xd800, 0xd83d, 0xdbff, 0xdc00, 0xde00, 0xdfff, 0xe000, 0xfeff, 0xfffd, 0xffff)
const text = fc.array(unit, { maxLength: 8 }).map(list => String.fromCharCode(...list))

test('every text round-trips, and well-formed text is UTF-8', () => {
  fc.assert(fc.property(text, one => {
    const bytes = written(one)
    assert.equal(read(bytes), one)
    if (one.isWellFormed()) assert.deepEqual(bytes, Buffer.from(one))
    assert.equal(bytes.length, Buffer.byteLength(one), 'a lone surrogate takes the bytes of a U+FFFD')
  }), { seed: 11, numRuns: 5000 })
})

test('bytes are in code point order, and different texts have different bytes', () => {
  const byCodePoints = (a: string, b: string): number => {
    const [left, right] = [[...a], [...b]].map(list => list.map(one => one.codePointAt(0)!))
    for (let i = 0; i < Math.min(left!.length, right!.length); i++) if (left![i] !== right![i]) return left![i]! - right![i]!
    return left!.length - right!.length
  }
  fc.assert(fc.property(text, text, (a, b) => {
    assert.equal(Math.sign(Buffer.compare(written(a), written(b))), Math.sign(byCodePoints(a, b)))
  }), { seed: 12, numRuns: 5000 })
})
