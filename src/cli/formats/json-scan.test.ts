import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endOfString, endOfValue, MAX_JSON_DEPTH, NOT_JSON, skipBlanks, textOf, TOO_DEEP, walkArray, walkObject, withoutBlanks } from './json-scan.ts'

const seed = 4627

/** Whether the whole text is one JSON value. */
function accepts(text: string): boolean {
  const bytes = Buffer.from(text)
  const from = skipBlanks(bytes, 0, bytes.length)
  const to = endOfValue(bytes, from, bytes.length)
  return to >= 0 && skipBlanks(bytes, to, bytes.length) === bytes.length
}

function parses(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** Pieces of which JSON is made, and some of which it is not. */
const piece = fc.constantFrom(
  '{', '}', '[', ']', ',', ':', '"', '""', '"a"', '"a":', '"\\n"', '"\\u00e9"', '"\\u00g9"', '"\\x"', '"\\', '\\', '0', '-', '-0', '01', '1', '1.5', '1.', '.5',
  '1e5', '1E+5', '1e', '1e-', 'true', 'tru', 'false', 'null', 'nul', ' ', '\t', '\n', '\r', '\u00a0', '\u0001', 'NaN', 'Infinity', '+1', 'é', "'", '/', '\u2028',
)

test(`accepts what JSON.parse accepts, and nothing else (seed ${seed})`, () => {
  fc.assert(fc.property(fc.array(piece, { maxLength: 8 }).map(parts => parts.join('')), text => {
    assert.equal(accepts(text), parses(text), JSON.stringify(text))
  }), { seed, numRuns: 20_000 })
})

test(`accepts any JSON, and no JSON of which one byte is changed unless JSON.parse does (seed ${seed})`, () => {
  fc.assert(fc.property(fc.json({ maxDepth: 4 }), fc.nat(400), fc.constantFrom(...'{}[]",:0-e\\ \u0000x'), (text, at, character) => {
    assert.ok(accepts(text))
    const place = at % text.length
    const changed = text.slice(0, place) + character + text.slice(place + 1)
    assert.equal(accepts(changed), parses(changed), JSON.stringify(changed))
  }), { seed, numRuns: 3000 })
})

test(`every cut of a JSON text is refused as by JSON.parse, without reading behind it (seed ${seed})`, () => {
  const text = '{"a":[1.5e-3,"\\u00e9\\n",true,null],"b":{"":-0}}'
  for (let length = 0; length < text.length; length++) {
    const bytes = Buffer.from(text)
    assert.equal(endOfValue(bytes, 0, length), NOT_JSON, text.slice(0, length))
    assert.equal(walkObject(bytes, 0, length, () => {}), NOT_JSON)
  }
})

test(`members and elements are told as they stand (seed ${seed})`, () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 6 }), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
    const text = Buffer.from(JSON.stringify(object, undefined, indent))
    const members: [string, unknown][] = []
    const end = walkObject(text, 0, text.length, (nameFrom, nameTo, from, to) => {
      members.push([JSON.parse(text.toString('utf8', nameFrom - 1, nameTo + 1)), JSON.parse(text.toString('utf8', from, to))])
    })
    assert.equal(end, text.length)
    assert.deepEqual(members, Object.entries(JSON.parse(text.toString()) as object))
    assert.equal(Buffer.from(withoutBlanks(text, 0, text.length)).toString(), JSON.stringify(JSON.parse(text.toString())))

    const array = Buffer.from(JSON.stringify(Object.values(object), undefined, indent))
    const elements: unknown[] = []
    assert.equal(walkArray(array, 0, array.length, (index, from, to) => { elements[index] = JSON.parse(array.toString('utf8', from, to)) }), array.length)
    assert.deepEqual(elements, JSON.parse(array.toString()))
  }), { seed, numRuns: 1000 })
})

test('blanks go, all else stays as it was written', () => {
  const text = ' { "a b" : [ 1.0 , -0.0,\t1e400,12345678901234567890 ] ,\r\n"b\\" c":"x y" , "a b": null } '
  const bytes = Buffer.from(text.trim())
  assert.equal(Buffer.from(withoutBlanks(bytes, 0, bytes.length)).toString(), '{"a b":[1.0,-0.0,1e400,12345678901234567890],"b\\" c":"x y","a b":null}')
})

test(`long strings are accepted and refused as by JSON.parse, wherever they lie (seed ${seed})`, () => {
  const plain = fc.constantFrom('x'.repeat(50), 'é'.repeat(40), 'y'.repeat(200), 'z', '\u{1f600}')
  const special = fc.constantFrom('\\n', '\\"', '\\\\', '\\u12af', '\\ud800', '"', '\\', '\\x', '\\u12', '\t', '\u0001', '\u007f')
  const text = fc.array(fc.oneof({ weight: 3, arbitrary: plain }, special), { minLength: 4, maxLength: 30 }).map(parts => parts.join(''))
  fc.assert(fc.property(text, fc.nat(3), (inner, shift) => {
    const string = `"${inner}"`
    const padded = Buffer.from(`${' '.repeat(shift)}${string}"`)
    const bytes = new Uint8Array(padded).subarray(shift)
    const to = endOfString(bytes, 0, bytes.length - 1)
    assert.equal(to === bytes.length - 1, parses(string), JSON.stringify(string))
    if (to === bytes.length - 1) {
      assert.equal(textOf(bytes, 0, to), JSON.parse(string))
      assert.equal(textOf(bytes, 0, to), JSON.parse(string))
    }
  }), { seed, numRuns: 5000 })
})

test('depth has a limit, and needs no stack', () => {
  const nested = (levels: number): Buffer => Buffer.from(`${'['.repeat(levels)}${']'.repeat(levels)}`)
  const deepest = nested(MAX_JSON_DEPTH)
  assert.equal(endOfValue(deepest, 0, deepest.length), deepest.length)
  assert.equal(walkArray(deepest, 0, deepest.length, () => {}), deepest.length)
  for (const tooDeep of [nested(MAX_JSON_DEPTH + 1), Buffer.from('['.repeat(1_000_000)), Buffer.from('{"a":'.repeat(1_000_000))]) {
    assert.equal(endOfValue(tooDeep, 0, tooDeep.length), TOO_DEEP)
  }
  const inner = nested(MAX_JSON_DEPTH)
  const outer = Buffer.concat([Buffer.from('['), inner, Buffer.from(']')])
  assert.equal(walkArray(outer, 0, outer.length, () => {}), TOO_DEEP)
})
