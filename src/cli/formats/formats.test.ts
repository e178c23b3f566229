import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CommandError, UsageError } from '../errors.ts'
import { formatNames } from '../names.ts'
import type { FormatName } from '../names.ts'
import { checkFormat, formatOfName, makeReader, makeWriter } from './format.ts'
import type { FormatOptions } from './format.ts'

const seed = 1180
const defaults: FormatOptions = { header: true, keysOnly: false }

interface Read {
  records: [string, string][]
  bad: [number, string][]
}

/** Latin-1 texts stand for bytes. Every chunk is overwritten once the next is due, as a reader of files may do. */
function read(format: FormatName, input: Uint8Array, options: Partial<FormatOptions> = {}, cuts: readonly number[] = []): Read {
  const result: Read = { records: [], bad: [] }
  let fresh: [Uint8Array, Uint8Array][] = []
  const settle = (): void => {
    for (const [key, value] of fresh) result.records.push([Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1')])
    fresh = []
  }
  const reader = makeReader(format, { ...defaults, ...options }, {
    put(key, value) { fresh.push([key, value]) },
    bad(line, message) {
      settle()
      result.bad.push([line, message])
    },
  })
  const edges = [0, ...cuts.map(cut => cut % (input.length + 1)).sort((a, b) => a - b), input.length]
  for (let i = 0; i + 1 < edges.length; i++) {
    const chunk = new Uint8Array(input.subarray(edges[i]!, edges[i + 1]!))
    reader.push(chunk)
    settle()
    chunk.fill(0x21)
  }
  reader.end()
  settle()
  return result
}

function readText(format: FormatName, text: string, options: Partial<FormatOptions> = {}): Read {
  return read(format, Buffer.from(text), options)
}

function written(format: FormatName, entries: readonly (readonly [Uint8Array, Uint8Array])[], options: Partial<FormatOptions> = {}): Buffer {
  const parts: Buffer[] = []
  const output = { add(data: Uint8Array | string) { parts.push(Buffer.from(data as string)) } }
  const writer = makeWriter(format, { ...defaults, ...options })
  writer.begin(output)
  for (const [key, value] of entries) writer.write(key, value, output)
  return Buffer.concat(parts)
}

function latin1(entries: readonly (readonly [Uint8Array, Uint8Array])[]): [string, string][] {
  return entries.map(([key, value]) => [Buffer.from(key).toString('latin1'), Buffer.from(value).toString('latin1')])
}

/** Bytes that matter to some parser, more often than others. */
const tricky = fc.array(fc.oneof(fc.constantFrom(...Buffer.from('",\n\r\t\0\\{}[]: ab\xef\xbb\xbf', 'latin1')), fc.nat(255)), { maxLength: 12 }).map(bytes => Uint8Array.from(bytes))
const entriesOf = fc.array(fc.tuple(tricky, tricky), { maxLength: 8 })
const cutsOf = fc.array(fc.nat(400), { maxLength: 12 })

/** Pieces that make input that is nearly right. */
const pieces: Record<FormatName, string[]> = {
  jsonl: ['{"key":"a","value":"b"}', '\n', '\r\n', '\r', '["k",1]', '{"key":1}', '{', '\xff', '""', '{"keyBase64":"/w","value":null}', ' '],
  csv: ['key,value', 'a', ',', '"', '""', '\n', '\r\n', '\r', '"x\ny"', ' ', '\xff'],
  tsv: ['key\tvalue', 'a', '\t', '"', '\n', '\r', ','],
  lines: ['a', '\n', '\r\n', '\r', '\t', '\0', '\xef\xbb\xbf'],
  nul: ['a', '\n', '\0', '\t'],
}

for (const format of formatNames) {
  test(`${format}: where chunks are cut makes no difference (seed ${seed})`, () => {
    const input = fc.array(fc.oneof(fc.constantFrom(...pieces[format]), fc.string({ maxLength: 3 })), { maxLength: 40 })
    const columns = format === 'csv' || format === 'tsv' ? fc.constantFrom({ key: '1', value: '1' }, { key: '1', header: false }) : fc.constant({})
    fc.assert(fc.property(input, cutsOf, columns, fc.constantFrom(undefined, 9), (parts, cuts, options, maxRecordBytes) => {
      const bytes = Buffer.from(parts.join(''), 'latin1')
      assert.deepEqual(read(format, bytes, { ...options, maxRecordBytes }, cuts), read(format, bytes, { ...options, maxRecordBytes }))
    }), { seed, numRuns: 1500 })
  })
}

for (const format of ['jsonl', 'csv', 'tsv'] as const) {
  test(`${format}: any bytes come back as they were (seed ${seed})`, () => {
    fc.assert(fc.property(entriesOf, cutsOf, (entries, cuts) => {
      assert.deepEqual(read(format, written(format, entries), {}, cuts), { records: latin1(entries), bad: [] })
    }), { seed, numRuns: 1500 })
  })
}

for (const format of ['lines', 'nul'] as const) {
  test(`${format}: an entry comes back as it was or is refused when written (seed ${seed})`, () => {
    fc.assert(fc.property(entriesOf, cutsOf, fc.constantFrom(undefined, '\\t', ': ', 'aa'), (entries, cuts, separator) => {
      const kept: typeof entries = []
      for (const entry of entries) {
        try {
          written(format, [entry], { separator })
          kept.push(entry)
        } catch (error) {
          assert.ok(error instanceof CommandError && error.code === 'NOT_REPRESENTABLE')
        }
      }
      assert.deepEqual(read(format, written(format, kept, { separator }), { separator }, cuts), { records: latin1(kept), bad: [] })
    }), { seed, numRuns: 1500 })
  })
}

test('jsonl takes fields by path, arrays, numbers and Base64', () => {
  const options = { key: 'user.id', value: 'user.name' }
  assert.deepEqual(readText('jsonl', '{"user":{"id":7,"name":"x"}}\n\n["k",{"a":1}]\n', options), { records: [['7', 'x'], ['k', '{"a":1}']], bad: [] })
  assert.deepEqual(readText('jsonl', '{"user.id":"whole","user":{"id":7,"name":1}}', options).records, [['whole', '1']])
  assert.deepEqual(readText('jsonl', '{"keyBase64":"/w==","valueBase64":"AA=="}').records, [['\xff', '\0']])
  assert.deepEqual(readText('jsonl', '{"key":"k","value":[1, 2]}').records, [['k', '[1,2]']])
})

test('jsonl without a value field keeps the line byte for byte', () => {
  assert.deepEqual(readText('jsonl', '  {"id": 1.0,  "b":2}\r\n', { key: 'id' }).records, [['1.0', '{"id": 1.0,  "b":2}']])
  assert.deepEqual(readText('jsonl', '{"key":"k","value":1,"more":2}').records, [['k', '{"key":"k","value":1,"more":2}']])
})

test('jsonl names what is wrong with a line, and its number', () => {
  const { records, bad } = readText('jsonl', '{"key":"a","value":1}\n{nope\n{"k":1}\n7\n[1]\n{"key":null}\n{"key":[1]}\n{"key":"\\ud800"}\n["b","c"]')
  assert.deepEqual(records, [['a', '1'], ['b', 'c']])
  assert.deepEqual(bad.map(([line]) => line), [2, 3, 4, 5, 6, 7, 8])
  assert.match(bad[0]![1], /not JSON/)
  assert.match(bad[1]![1], /no field "key"/)
  assert.match(bad[4]![1], /the key is null/)
  assert.match(bad[5]![1], /the key is an array/)
  assert.match(bad[6]![1], /surrogate/)
  assert.deepEqual(read('jsonl', Uint8Array.of(0x22, 0xff, 0x22)).bad, [[1, 'not valid UTF-8']])
})

test('csv keeps quoted separators, quotes and newlines, and stores rows as JSON', () => {
  const text = 'name,text\r\na,"x, ""y""\nz"\r\n\r\nb,\r\n'
  assert.deepEqual(readText('csv', text, { value: 'text' }).records, [['a', 'x, "y"\nz'], ['b', '']])
  assert.deepEqual(readText('csv', text, { key: '2', value: '1' }).records, [['x, "y"\nz', 'a'], ['', 'b']])
  assert.deepEqual(readText('csv', text).records, [['a', '{"name":"a","text":"x, \\"y\\"\\nz"}'], ['b', '{"name":"b","text":""}']])
  assert.deepEqual(readText('csv', 'a,b\n', { header: false }).records, [['a', '["a","b"]']])
  assert.deepEqual(readText('csv', '\ufeffid;v\n1;2', { separator: ';', key: 'id', value: 'v' }).records, [['1', '2']])
  assert.deepEqual(readText('tsv', 'key\tvalue\na\tb,c\n').records, [['a', 'b,c']])
})

test('csv names broken rows by the line they begin in, and goes on after them', () => {
  const { records, bad } = readText('csv', 'key,value\na,"1\n2"\nb\nc,"x"y\nd,4\ne,"open')
  assert.deepEqual(records, [['a', '1\n2'], ['d', '4']])
  assert.deepEqual(bad, [
    [4, '1 fields, but the header has 2'],
    [5, 'a closing quote must be followed by a separator or the end of the row'],
    [7, 'a quoted field has no closing quote'],
  ])
})

test('csv refuses columns that are not there and names that occur twice', () => {
  assert.throws(() => readText('csv', 'a,b\n1,2', { key: 'c' }), (error: Error) => error instanceof UsageError && /"a", "b"/.test(error.message))
  assert.throws(() => readText('csv', 'a,b\n1,2', { key: 'a', value: '3' }), UsageError)
  assert.throws(() => readText('csv', 'a,a\n1,2'), /two columns "a"/)
})

test('lines drop carriage returns, empty lines and a byte order mark; nul keeps everything', () => {
  assert.deepEqual(readText('lines', '\ufeffa\r\n\n\r\nb').records, [['a', ''], ['b', '']])
  assert.deepEqual(readText('lines', 'k=v=w\nnone', { separator: '=' }), { records: [['k', 'v=w']], bad: [[2, 'no separator between key and value']] })
  assert.deepEqual(readText('nul', 'a\r\n\0\0b').records, [['a\r\n', ''], ['', ''], ['b', '']])
})

test('a record over the limit is reported with its line and skipped, in bounded memory', () => {
  const long = 'x'.repeat(100)
  assert.deepEqual(readText('lines', `a\n${long}\nb`, { maxRecordBytes: 10 }).records, [['a', ''], ['b', '']])
  for (const format of ['jsonl', 'csv', 'tsv', 'lines'] as const) {
    const { bad } = readText(format, `key\n${long}\n`, { maxRecordBytes: 10, ...format === 'csv' || format === 'tsv' ? { key: '1', value: '1' } : {} })
    assert.equal(bad.at(-1)![0], 2)
    assert.match(bad.at(-1)![1], /longer than 10 bytes/)
  }
})

test('formats are guessed from file names, and options checked against them', () => {
  assert.deepEqual(['a.jsonl', 'a.NDJSON', 'a.csv', 'b.tsv', 'c.txt', 'd'].map(formatOfName), ['jsonl', 'jsonl', 'csv', 'tsv', undefined, undefined])
  assert.throws(() => checkFormat('jsonl', { ...defaults, separator: ',' }), UsageError)
  assert.throws(() => checkFormat('csv', { ...defaults, separator: 'ab' }), UsageError)
  assert.throws(() => checkFormat('csv', { ...defaults, separator: '"' }), UsageError)
  assert.throws(() => checkFormat('lines', { ...defaults, separator: '\\n' }), UsageError)
  assert.throws(() => checkFormat('lines', { ...defaults, separator: '' }), UsageError)
  assert.throws(() => checkFormat('nul', { ...defaults, key: 'a' }), UsageError)
  assert.throws(() => checkFormat('jsonl', { ...defaults, header: false }), UsageError)
  checkFormat('lines', { ...defaults, separator: '\\x1f' })
})
