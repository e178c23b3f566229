import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { JsonlReader } from './jsonl-reader.ts'
import type { JsonlOptions } from './jsonl-reader.ts'

const seed = 5291

function read(text: string, options: JsonlOptions = {}): { records: [string, string][], bad: [number, string][] } {
  const records: [string, string][] = []
  const bad: [number, string][] = []
  const reader = new JsonlReader({
    put(key, value) { records.push([Buffer.from(key).toString(), Buffer.from(value).toString()]) },
    bad(line, message) { bad.push([line, message]) },
  }, options)
  reader.push(Buffer.from(text))
  reader.end()
  return { records, bad }
}

test('numbers keep the text they were written with, as values, as keys and inside of both', () => {
  for (const number of ['12345678901234567890', '1e400', '-1E+400', '-0.0', '-0', '1.0', '0.1000', '9007199254740993', '123456789012345678901234567890.5', '1e-400', '2E2']) {
    const expected = [['k', number]]
    assert.deepEqual(read(`{"key":"k","value":${number}}`).records, expected)
    assert.deepEqual(read(`["k",${number}]`).records, expected)
    assert.deepEqual(read(`{"a":{"b":[0,${number}]},"k":"k"}`, { key: 'k', value: 'a.b.1' }).records, expected)
    assert.deepEqual(read(`{"key":"k","value":{"n":[${number}]}}`).records, [['k', `{"n":[${number}]}`]])
    assert.deepEqual(read(`{"key":${number},"value":"v"}`).records, [[number, 'v']])
    assert.deepEqual(read(`[${number},"v"]`).records, [[number, 'v']])
    assert.deepEqual(read(`{"id":${number}}`, { key: 'id' }).records, [[number, `{"id":${number}}`]])
  }
  for (const number of ['01', '+1', '.5', '1.', '1e', '0x10', 'NaN', '-Infinity']) assert.match(read(`{"key":"k","value":${number}}`).bad[0]![1], /^not JSON/)
})

test('an object is stored with the members that were written, in their order', () => {
  const written = '{"b":1,"1":2,"b":3,"__proto__":{"x":1},"constructor":null,"\\u0061":"\\ud800"}'
  assert.deepEqual(read(`{"key":"k","value":${written}}`).records, [['k', written]])
  assert.deepEqual(read(`{"__proto__":"k","constructor":"v"}`, { key: '__proto__', value: 'constructor' }).records, [['k', 'v']])
  assert.match(read('{"a":1}', { key: 'toString' }).bad[0]![1], /no field "toString"/)
  assert.match(read('{"key":"k","a":[1]}', { value: 'a.length' }).bad[0]![1], /no field "a.length"/)
})

test('a field that is asked for and stands twice is refused', () => {
  for (const [text, options, name] of [
    ['{"key":"a","value":1,"key":"b"}', {}, 'key'], ['{"key":"a","value":1,"value":2}', {}, 'value'], ['{"key":"a","k\\u0065y":"b","value":1}', {}, 'key'],
    ['{"id":1,"id":1}', { key: 'id' }, 'id'], ['{"id":1,"v":1,"v":2}', { key: 'id', value: 'v' }, 'v'],
    ['{"a":{"id":1},"a":{"id":2}}', { key: 'a.id' }, 'a'], ['{"a":{"id":1,"id":2}}', { key: 'a.id' }, 'id'], ['{"a.id":1,"a.id":2,"a":{"id":3}}', { key: 'a.id' }, 'a.id'],
  ] as [string, JsonlOptions, string][]) {
    assert.deepEqual(read(text, options), { records: [], bad: [[1, `the field "${name}" occurs twice, so it is ambiguous`]] }, text)
  }
  // It is not asked for.
  assert.deepEqual(read('{"id":1,"x":1,"x":2}', { key: 'id' }).records, [['1', '{"id":1,"x":1,"x":2}']])
})

test('names are the same however they are written', () => {
  assert.deepEqual(read('{"\\u006bey":"a","valu\\u0065":"b"}').records, [['a', 'b']])
  assert.deepEqual(read('{"\\/":1,"é":2}', { key: '/', value: 'é' }).records, [['1', '2']])
  assert.deepEqual(read('{"\\u00e9":1}', { key: 'é' }).records, [['1', '{"\\u00e9":1}']])
  assert.match(read('{"\\ud800":1}', { key: '\ufffd' }).bad[0]![1], /no field/)
  assert.match(read('{"ke":1,"keyy":2,"kéy":3}').bad[0]![1], /no field "key"/)
})

test('lines end in LF, CRLF or CR, and each is counted once', () => {
  assert.deepEqual(read('{"key":1,"value":1}\r{"key":2,"value":2}\r'), { records: [['1', '1'], ['2', '2']], bad: [] })
  assert.deepEqual(read('\ufeff{"key":1,"value":1}\r\n\r\n["2"\r["3",3]\n\r[4,4]').records, [['1', '1'], ['3', '3'], ['4', '4']])
  assert.deepEqual(read('["1",1]\r\n\r\n["2"\r["3",3]').bad.map(([line]) => line), [3])
})

test('with keysOnly values are empty', () => {
  assert.deepEqual(read('{"key":"a","value":1}\n["b",2]\n{"key":"c","x":3}', { keysOnly: true }).records, [['a', ''], ['b', ''], ['c', '']])
})

test('a text with escapes is stored as what it says, and a broken one refused', () => {
  assert.deepEqual(read('{"key":"a\\u0000\\n","value":"\\ud83d\\ude00\\/"}').records, [['a\0\n', '\u{1f600}/']])
  assert.match(read('{"key":"a","value":"\\ude00"}').bad[0]![1], /surrogate/)
})

test('a value that is nested without end is refused in words', () => {
  const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`
  assert.deepEqual(read(`{"key":"k","value":${deep}}\n["k",${deep}]\n${deep}\n["a",1]`), {
    records: [['a', '1']], bad: [1, 2, 3].map(line => [line, 'more than 10000 nested arrays and objects']),
  })
})

test(`the value is always JSON for the same value (seed ${seed})`, () => {
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 4 }), fc.constantFrom(undefined, 1), (value, indent) => {
    const line = `{"key":"k","value":${JSON.stringify(value, undefined, indent).replaceAll('\n', '\t')}}`
    const { records, bad } = read(line)
    const isBroken = typeof value === 'string' && !value.isWellFormed()
    assert.deepEqual(isBroken ? [] : bad, [])
    if (!isBroken) assert.equal(records[0]![1], typeof value === 'string' ? value : JSON.stringify(value))
  }), { seed, numRuns: 1000 })
})
