import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { SpillwayError } from '../../base/errors.ts'
import { run } from '../run.ts'
import { FakeStore, fakeIo } from '../testing/fake-store.ts'

const seed = 7710
const root = mkdtempSync(join(tmpdir(), 'spillway-import-command-'))
const directory = join(root, 'store')
mkdirSync(directory)
writeFileSync(join(directory, 'manifest-00000001'), '')
after(() => rmSync(root, { recursive: true, force: true }))

async function runWith(argv: string[], stdin: string | Uint8Array | Uint8Array[] = '', store = new FakeStore()) {
  const io = fakeIo(store, typeof stdin === 'string' || Array.isArray(stdin) ? stdin : [stdin])
  const code = await run(argv, io)
  return { code, out: io.stdout.text, err: io.stderr.text, chunks: io.stdout.chunks, store, texts: store.texts }
}

function importing(input: string | Uint8Array | Uint8Array[], ...options: string[]) {
  return runWith(['import', directory, ...options], input)
}

/** Bytes that mean something to some reader, also at the beginning of a file. */
const bytes = fc.array(fc.oneof(
  fc.constantFrom(...['",\n\r\t\0 {}[]:\\', '\xef\xbb\xbf', '\xff\xfe', '\xfe\xff', '\x1f\x8b\x08', '\x28\xb5\x2f\xfd', 'PK\x03\x04', '\xfd7zXZ\0', 'BZh91AY&SY', 'key', 'a', 'é', '\xef', '\xbb\xbf', '\r\n']
    .map(text => Buffer.from(text, 'latin1'))),
  fc.uint8Array({ maxLength: 2 }).map(piece => Buffer.from(piece)),
), { maxLength: 4 }).map(pieces => Buffer.concat(pieces))

const exports = fc.record({
  format: fc.constantFrom('jsonl', 'csv', 'tsv', 'lines', 'nul'),
  separator: fc.constantFrom(undefined, ';', '\\t', 'k', '\\xef', '\\x1f', '\\0', ' ', '::', 'aa', '\\xbb\\xbf', '\\r'),
  header: fc.boolean(),
  keysOnly: fc.boolean(),
  reverse: fc.boolean(),
})

test(`whatever export writes, with whatever options, import reads back to the same bytes (seed ${seed})`, async () => {
  let compared = 0
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(bytes, bytes), { maxLength: 5 }), exports, async (entries, { format, separator, header, keysOnly, reverse }) => {
    const from = new FakeStore()
    await from.batch(entries.map(([key, value]) => ({ type: 'put' as const, key, value })))
    const common = ['--format', format, ...separator === undefined ? [] : ['--separator', separator], ...header ? [] : ['--no-header']]
    const exported = await runWith(['export', directory, ...common, ...keysOnly ? ['--keys-only'] : [], ...reverse ? ['--reverse'] : []], '', from)
    if (exported.code !== 0) {
      // Options that the format does not have, or an entry that it cannot hold: said, and not written as something else.
      assert.match(exported.err, exported.code === 2 ? /^spillway: / : /NOT_REPRESENTABLE/)
      return
    }
    const isTable = format === 'csv' || format === 'tsv'
    const isLines = format === 'lines' || format === 'nul'
    const options = [
      // Lines without values have no separator either.
      ...isLines && keysOnly ? ['--format', format] : common,
      ...isTable && !header ? ['--key', '1', ...keysOnly ? [] : ['--value', '2']] : [],
      ...keysOnly && !isLines ? ['--keys-only'] : [],
    ]
    const imported = await importing(exported.chunks, ...options)
    assert.equal(imported.code, 0, imported.err)
    assert.deepEqual(imported.store.latin1, from.latin1.map(([key, value]) => [key, keysOnly ? '' : value]))
    compared++
  }), { seed, numRuns: 1000 })
  assert.ok(compared > 300, `only ${compared} compared`)
})

test('keys alone need no option where a header or a field says that there is nothing else', async () => {
  for (const format of ['jsonl', 'csv', 'tsv', 'lines', 'nul']) {
    const from = new FakeStore()
    await from.batch([['a', '1'], ['b', '2']].map(([key, value]) => ({ type: 'put', key: Buffer.from(key!), value: Buffer.from(value!) })))
    const exported = await runWith(['export', directory, '--format', format, '--keys-only'], '', from)
    assert.deepEqual((await importing(exported.chunks, '--format', format)).texts, [['a', ''], ['b', '']], format)
  }
})

test('what nothing said the format of, and looks like another one, is not taken for lines', async () => {
  for (const [input, format] of [
    ['{"key":"a","value":"1"}\n', 'jsonl'], ['\ufeff {"id":1}\r\n{"id":2}', 'jsonl'], ['["a",1]', 'jsonl'], ['key,value\na,1\n', 'csv'], ['key\tvalue\na\t1\n', 'tsv'],
  ]) {
    for (const chunks of [[Buffer.from(input!)], [...Buffer.from(input!)].map(byte => Buffer.of(byte))]) {
      const { code, err, texts } = await importing(chunks)
      assert.deepEqual([code, texts], [1, []])
      assert.match(err, new RegExp(`^spillway: stdin looks like ${format}: give --format ${format}, or --format lines .*FORMAT_UNKNOWN`))
    }
    assert.equal((await importing(input!, '--format', 'lines')).code, 0)
  }
  assert.deepEqual((await importing('{a\n[b\nkey,values\n')).texts.length, 3)
})

test('compressed files and UTF-16 are read as what they hold, by their content and the name before .gz', async () => {
  const file = join(root, 'rows.csv.gz')
  writeFileSync(file, gzipSync('id,v\n1,one\n'))
  assert.deepEqual((await runWith(['import', directory, file, '--value', 'v'])).texts, [['1', 'one']])
  writeFileSync(file, 'id,v\n1,plain\n')
  assert.deepEqual((await runWith(['import', directory, file, '--value', 'v'])).texts, [['1', 'plain']])
  assert.deepEqual((await importing(gzipSync('a\nb\n'))).texts, [['a', ''], ['b', '']])
  assert.deepEqual((await importing(Buffer.from('\ufeffid,v\n1,é\n', 'utf16le'), '--format', 'csv', '--value', 'v')).texts, [['1', 'é']])
  const cut = await importing(gzipSync('a\nb\n').subarray(0, 20))
  assert.equal(cut.code, 1)
  assert.match(cut.err, /^spillway: stdin: the gzip file is damaged or truncated/)
  assert.equal((await runWith(['export', directory, '-o', join(root, 'out.jsonl.gz')])).code, 2)
})

test('other files are refused, in every format that is text', async () => {
  const junk = [
    Buffer.concat([Buffer.from('\x7fELF\x02\x01\x01'), Buffer.alloc(100), Buffer.from('\nabc\n')]), Buffer.from('id,v\n1,one\n', 'utf16le'), Buffer.from('PK\x03\x04zip'),
    Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\rIHDR', 'latin1'),
  ]
  for (const input of junk) {
    for (const format of ['lines', 'csv', 'tsv', 'jsonl']) {
      for (const more of [[], ['--no-header']]) {
        const { code, err } = await importing(input, '--format', format, ...format === 'csv' || format === 'tsv' ? more : [])
        assert.equal(code, 1, `${format} ${input.toString('latin1')}`)
        assert.match(err, /BAD_RECORD|BAD_HEADER|UNREADABLE_INPUT/)
      }
    }
  }
})

test('lines that end in CR alone are rows of CSV and JSON, and refused as lines', async () => {
  const { texts } = await importing('id,name\r1,Ann\r2,"B\rob"\r', '--format', 'csv', '--key', 'id', '--value', 'name')
  assert.deepEqual(texts, [['1', 'Ann'], ['2', 'B\rob']])
  assert.deepEqual((await importing('key,value\r\na,1\r\nb,2\r', '--format', 'csv')).texts, [['a', '1'], ['b', '2']])
  assert.deepEqual((await importing('{"key":"a","value":"1"}\r["b","2"]\r', '--format', 'jsonl')).texts, [['a', '1'], ['b', '2']])
  const lines = await importing('a\rb\rc\r')
  assert.deepEqual([lines.code, lines.texts], [1, []])
  assert.match(lines.err, /carriage returns, but no newline/)
  assert.deepEqual((await importing('a\r')).texts, [['a', '']])
  assert.deepEqual((await importing('a\rb\n')).texts, [['a\rb', '']])
})

test('a quote that is never closed ends the import, whatever is done with other bad records', async () => {
  const rows = Array.from({ length: 100 }, (_, i) => `k${i},v\n`).join('')
  for (const options of [[], ['--on-error', 'skip'], ['--on-error', 'skip', '--max-record', '64']]) {
    const { code, err, texts, out } = await importing(`id,v\nfirst,1\na,"x\n${rows}`, '--format', 'csv', '--key', 'id', '--value', 'v', ...options)
    assert.equal(code, 1)
    assert.deepEqual(texts, [['first', '1']])
    assert.match(out, /^Stopped: imported 1 row /)
    if (options.length < 4) assert.match(err, /stdin, line 3: a quoted field has no closing quote\. The rest cannot be split into records, so the import ends here/)
  }
  // Closed by the next quote, by accident: what lies between is said.
  const closed = await importing(`id,v\na,"x\nb,2\nc,"3"\nd,4\n`, '--format', 'csv', '--key', 'id', '--value', 'v', '--on-error', 'skip')
  assert.deepEqual(closed.texts, [['d', '4']])
  assert.match(closed.out, /lines 2 to 4: a closing quote must be followed .*\. It is in line 4, the field begins in line 2/)
  const long = await importing(`id,v\na,"${'x\n'.repeat(50)}"\nb,2\n`, '--format', 'csv', '--key', 'id', '--value', 'v', '--on-error', 'skip', '--max-record', '64', '--json')
  assert.deepEqual(long.texts, [['b', '2']])
  const { firstBadRecords } = JSON.parse(long.out) as { firstBadRecords: { line: number, lastLine: number }[] }
  assert.deepEqual([firstBadRecords[0]!.line, firstBadRecords[0]!.lastLine], [2, 52])
})

test('without its header a table is not read on', async () => {
  for (const header of ['"id"x,v', 'i\0d,v', `${'x'.repeat(100)},v`]) {
    const { code, err, texts } = await importing(`${header}\n1,one\n2,two\n`, '--format', 'csv', '--on-error', 'skip', '--max-record', '64')
    assert.deepEqual([code, texts], [1, []])
    assert.match(err, /line 1: .*the import ends here/)
  }
})

test('a header that is not UTF-8 or ambiguous is refused, unless columns are chosen by number', async () => {
  const latin1 = Buffer.from('pr\xe9nom,ville\nZo\xe9,Paris\n', 'latin1')
  for (const options of [[], ['--key', 'ville'], ['--key', '1'], ['--key', '1', '--value', 'ville']]) {
    const { code, err } = await importing(latin1, '--format', 'csv', ...options)
    assert.equal(code, 1)
    assert.match(err, /^spillway: stdin: name 1 of the header is not valid UTF-8.*BAD_HEADER/)
  }
  assert.deepEqual((await importing(latin1, '--format', 'csv', '--key', '2', '--value', '1')).store.latin1, [['Paris', 'Zo\xe9']])

  for (const [text, options] of [
    ['id,v,id\n1,2,3\n', ['--key', 'id', '--value', 'v']], ['id,v,v\n1,2,3\n', ['--key', 'id', '--value', 'v']], ['key,v,key\n1,2,3\n', ['--value', 'v']], ['key,key\n1,2\n', []],
    ['a,b,b\n1,2,3\n', ['--key', 'a']],
  ] as const) {
    const { code, err, texts } = await importing(text, '--format', 'csv', ...options)
    assert.deepEqual([code, texts], [1, []], text)
    assert.match(err, /BAD_HEADER/)
  }
  assert.deepEqual((await importing('id,v,id\n1,2,3\n', '--format', 'csv', '--key', '3', '--value', 'v')).texts, [['3', '2']])
})

test('a table has a million columns at most, and needs memory for those of its header only', async () => {
  const commas = ','.repeat(1_000_000)
  const header = await importing(`${commas}\n`, '--format', 'csv')
  assert.equal(header.code, 1)
  assert.match(header.err, /the first row has 1000001 columns/)
  const row = await importing(`key,value\n${commas.repeat(5)}\na,1\n`, '--format', 'csv', '--on-error', 'skip')
  assert.deepEqual(row.texts, [['a', '1']])
  assert.match(row.out, /line 2: 5000001 fields, but the header has 2/)
})

test('when nothing can be read, skipping is no success', async () => {
  const { code, err, out } = await importing('nope\nno\n', '--format', 'jsonl', '--on-error', 'skip')
  assert.equal(code, 1)
  assert.match(err, /no record could be read: all 2 records are bad.*NOTHING_READ/)
  assert.match(out, /^Stopped: imported 0 rows/)
  for (const format of ['jsonl', 'csv', 'tsv', 'lines', 'nul']) {
    for (const empty of ['', '\ufeff', '\n', '\r\n']) {
      if (format !== 'nul' || empty === '') assert.deepEqual((({ code: exit, texts }) => [exit, texts])(await importing(empty, '--format', format)), [0, []])
    }
  }
})

test('a batch that waits for room ends with the import', async () => {
  const store = new FakeStore()
  const io = fakeIo(store, 'a\nb\n')
  store.batch = async (_operations, options?: { signal?: AbortSignal }) => {
    assert.ok(options?.signal)
    queueMicrotask(() => io.stop.abort(143))
    await new Promise(resolve => options!.signal!.addEventListener('abort', resolve))
    throw new SpillwayError('SPILLWAY_ABORTED', 'aborted')
  }
  assert.equal(await run(['import', directory], io), 143)
  assert.match(io.stdout.text, /^Interrupted: imported 0 rows/)
  assert.deepEqual([store.flushed, store.closed], [0, 1])
})

test('an error does not wait for an input that says nothing more', async () => {
  const io = fakeIo(new FakeStore())
  let destroyed = (): void => {}
  const over = new Promise<void>(resolve => { destroyed = resolve })
  io.stdin = { async *[Symbol.asyncIterator]() { yield Buffer.from('{nope}\n'); await over }, destroy: destroyed }
  assert.equal(await run(['import', directory, '--format', 'jsonl'], io), 1)
  await over
})

test('options that exclude each other are wrong usage', async () => {
  assert.equal((await importing('', '--format', 'csv', '--keys-only', '--value', 'v')).code, 2)
  assert.equal((await importing('', '--keys-only')).code, 2)
})
