import { test } from 'node:test'
import assert from 'node:assert/strict'
import fc from 'fast-check'
import { TEXT_SLACK_BYTES, TextDecoding, TextEncoding } from './value-file-text.ts'

const SEED = 20261121

/** Encode in pieces of these lengths, the last one again and again, at a place with bytes around it that must stay as they are. */
function encoded(text: string, lengths: readonly number[]): Uint8Array {
  const encoding = new TextEncoding(text)
  const pieces: Uint8Array[] = []
  for (let i = 0; ; i++) {
    const length = lengths[Math.min(i, lengths.length - 1)]!
    const memory = new Uint8Array(10 + length + TEXT_SLACK_BYTES + 4).fill(0xee)
    const got = encoding.fill(memory, 10, length)
    assert.ok(memory.subarray(0, 10).every(byte => byte === 0xee), 'nothing is written before the piece')
    assert.ok(memory.subarray(10 + length + TEXT_SLACK_BYTES).every(byte => byte === 0xee), 'nothing is written behind the slack')
    pieces.push(memory.slice(10, 10 + got))
    if (got < length) return Buffer.concat(pieces)
  }
}

function decoded(bytes: Uint8Array, lengths: readonly number[]): string {
  const decoding = new TextDecoding()
  const start = TEXT_SLACK_BYTES
  const memory = new Uint8Array(start + Math.max(...lengths))
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const piece = bytes.subarray(at, at + lengths[Math.min(i, lengths.length - 1)]!)
    at += piece.length
    memory.set(piece, start)
    decoding.take(memory, start, piece.length, at === bytes.length)
  }
  return decoding.text
}

/** Characters of every length, pairs and lone surrogates of both kinds. */
const units = fc.constantFrom('a', 'é', '€', '😀', '\ud83d', '\ude00', '\ufeff', '\u0000', '\uffff')
const texts = fc.array(units, { maxLength: 60 }).map(parts => parts.join(''))
const pieceLengths = fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 5 })
/** What begins, continues and breaks sequences. */
const byte = fc.constantFrom(0x41, 0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xe2, 0xed, 0xef, 0xbb, 0xf0, 0xf4, 0xf5, 0xff, 0x82, 0xac)
const byteArrays = fc.array(byte, { maxLength: 40 }).map(bytes => Uint8Array.from(bytes))

test('text encoded in pieces of any length is what Buffer makes of it at once', () => {
  fc.assert(fc.property(texts, pieceLengths, (text, lengths) => {
    assert.deepEqual(Buffer.from(encoded(text, lengths)), Buffer.from(text))
  }), { seed: SEED, numRuns: 3000 })
})

test('every place of a surrogate pair or a lone surrogate at the end of a piece gives the same bytes', () => {
  for (const unit of ['é', '€', '😀', '\ud83d', '\ude00', '\ud83d\ud83d\ude00']) {
    for (let before = 0; before < 10; before++) {
      const text = 'x'.repeat(before) + unit + unit + 'y'
      for (let length = 1; length < 12; length++) assert.deepEqual(Buffer.from(encoded(text, [length])), Buffer.from(text), `${text} by ${length}`)
    }
  }
})

test('bytes decoded in pieces of any length, valid or not, are what Buffer makes of them at once', () => {
  fc.assert(fc.property(byteArrays, pieceLengths, (bytes, lengths) => {
    assert.equal(decoded(bytes, lengths), Buffer.from(bytes).toString('utf8'))
  }), { seed: SEED, numRuns: 5000 })
  fc.assert(fc.property(texts, pieceLengths, (text, lengths) => {
    assert.equal(decoded(Buffer.from(text), lengths), Buffer.from(text).toString('utf8'))
  }), { seed: SEED, numRuns: 2000 })
})

test('a leading U+FEFF is a character like any other, at the beginning and in any piece', () => {
  assert.equal(decoded(Buffer.from('\ufeffa\ufeff'), [3]), '\ufeffa\ufeff')
  assert.equal(decoded(Buffer.from('abc\ufeffd'), [3]), 'abc\ufeffd')
})
