import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Args } from './command.ts'
import { UsageError } from './errors.ts'
import { decodeBase64, escapeBytes, shorten, textWidth, unescapeBytes } from './escape.ts'

const seed = 20240607
const bytes = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 20 }).map(text => Buffer.from(text)))

test(`escaping and unescaping gives the same bytes (seed ${seed})`, () => {
  fc.assert(fc.property(bytes, fc.boolean(), (original, keepLines) => {
    assert.deepEqual([...unescapeBytes(escapeBytes(original, { keepLines }))], [...original])
  }), { seed, numRuns: 2000 })
})

test(`what is escaped cannot steer a terminal (seed ${seed})`, () => {
  fc.assert(fc.property(bytes, original => {
    assert.doesNotMatch(escapeBytes(original), /[\p{Cc}\p{Cf}]/u)
  }), { seed, numRuns: 2000 })
})

test('printable text stays as it is, a backslash is doubled, other bytes become \\xNN', () => {
  assert.equal(escapeBytes(Buffer.from('Zürich 東京')), 'Zürich 東京')
  assert.equal(escapeBytes(Buffer.from('a\\b\n')), 'a\\\\b\\x0a')
  assert.equal(escapeBytes(Buffer.from('a\\b\n'), { keepLines: true }), 'a\\\\b\n')
  assert.equal(escapeBytes(Uint8Array.of(0xff, 0x41, 0xc3, 0xa9, 0xc3)), '\\xffAé\\xc3')
  assert.equal(escapeBytes(Buffer.from('\u001b[2J\u009b\u202e')), '\\x1b[2J\\xc2\\x9b\\xe2\\x80\\xae')
})

test('a backslash that begins no escape is refused', () => {
  assert.throws(() => unescapeBytes('a\\n'), UsageError)
  assert.throws(() => unescapeBytes('a\\'), UsageError)
  assert.throws(() => unescapeBytes('\\x4'), UsageError)
})

test(`a shortened text fits, begins as the whole does, and cuts no escape (seed ${seed})`, () => {
  fc.assert(fc.property(bytes, fc.integer({ min: 3, max: 60 }), (original, width) => {
    const escaped = escapeBytes(original)
    const short = shorten(escaped, width)
    assert.ok(textWidth(short) <= width, `${textWidth(short)} columns in ${width}`)
    if (short === escaped) return
    assert.ok(short.endsWith('...'))
    const kept = short.slice(0, -3)
    assert.ok(escaped.startsWith(kept))
    assert.ok(textWidth(escaped) > width)
    unescapeBytes(kept)
  }), { seed, numRuns: 2000 })
})

test('base64 is read with or without padding, in both alphabets, and nothing else is', () => {
  assert.deepEqual(decodeBase64('+/8='), Buffer.from([0xfb, 0xff]))
  assert.deepEqual(decodeBase64('-_8'), Buffer.from([0xfb, 0xff]))
  assert.equal(decodeBase64('a'), undefined)
  assert.equal(decodeBase64('ab c'), undefined)
})

test('an argument that may stand for other bytes is refused, and what is printed of U+FFFD can be given back', () => {
  const args = (options: Record<string, boolean>): Args => new Args(['dir'], options)
  for (const text of ['\ufffd', 'key \ufffd', '\ud800', 'a\udfff']) {
    for (const options of [{}, { escaped: true }]) assert.throws(() => args(options).bytes(text), UsageError, text)
    assert.throws(() => args({}).bytes(text), /bytes that are no UTF-8.* --escaped/)
  }
  assert.equal(escapeBytes(Buffer.from('a\ufffdb')), 'a\\xef\\xbf\\xbdb')
  assert.deepEqual(args({ escaped: true }).bytes('a\\xef\\xbf\\xbdb\\xff'), Buffer.from([0x61, 0xef, 0xbf, 0xbd, 0x62, 0xff]))
  assert.deepEqual(args({ hex: true }).bytes('efbfbd'), Buffer.from('\ufffd'))
})
