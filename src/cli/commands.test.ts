import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { SpillwayError } from '../base/errors.ts'
import { run } from './run.ts'
import { FakeStore, fakeIo } from './testing/fake-store.ts'

const seed = 99
/** A directory that looks like a store's, for commands that do not make one. */
const root = mkdtempSync(join(tmpdir(), 'spillway-cli-'))
const directory = join(root, 'store')
mkdirSync(directory)
writeFileSync(join(directory, 'manifest-00000001'), '')
after(() => rmSync(root, { recursive: true, force: true }))

async function runWith(store: FakeStore, argv: string[], stdin: string | Uint8Array[] = '') {
  const io = fakeIo(store, stdin)
  const code = await run(argv, io)
  return { code, out: io.stdout.text, err: io.stderr.text, io }
}

async function filled(...texts: [string, string][]): Promise<FakeStore> {
  const store = new FakeStore()
  await store.batch(texts.map(([key, value]) => ({ type: 'put' as const, key: Buffer.from(key), value: Buffer.from(value) })))
  store.batches = []
  return store
}

test('import writes batches of bounded size, flushes and closes', async () => {
  const store = new FakeStore()
  const lines = Array.from({ length: 2500 }, (_, i) => `key${i}=${'v'.repeat(i % 7)}`)
  const { code, out } = await runWith(store, ['import', directory, '--separator', '=', '--durability', 'disk', '--compaction', 'leveled'], `${lines.join('\n')}\n`)
  assert.equal(code, 0)
  assert.equal(store.entries.length, 2500)
  assert.deepEqual(store.batches, [1000, 1000, 500])
  assert.deepEqual([store.flushed, store.closed], [1, 1])
  assert.deepEqual(store.options, { durability: 'disk', compaction: 'leveled', createIfMissing: true })
  assert.match(out, /^Imported 2,500 rows from .* Write amplification 2\.50, peak memory 512 KiB of 1\.0 MiB\.\n$/)
})

test('a key that is too long is a bad record: named with file and line, or skipped', async () => {
  const long = 'k'.repeat(65_536)
  const inputs = [
    ['lines', `a\n${long}\nb\n`, 2], ['jsonl', `{"key":"a","value":""}\n{"key":"${long}","value":""}\n{"key":"b","value":""}\n`, 2],
    ['csv', `key,value\na,\n${long},\nb,\n`, 3],
  ] as const
  for (const [format, input, line] of inputs) {
    const stopped = await runWith(new FakeStore(), ['import', directory, '--format', format], input)
    assert.equal(stopped.code, 1)
    assert.deepEqual(stopped.io.store.texts, [['a', '']])
    assert.match(stopped.err, new RegExp(`^spillway: stdin, line ${line}: the key has 65,536 bytes; keys have at most 65,535\\. --on-error skip`))
    const skipped = await runWith(new FakeStore(), ['import', directory, '--format', format, '--on-error', 'skip'], input)
    assert.equal(skipped.code, 0, skipped.err)
    assert.deepEqual(skipped.io.store.texts, [['a', ''], ['b', '']])
    assert.match(skipped.out, /\n1 record could not be read and was skipped:\n {2}stdin, line \d: the key has/)
  }
})

test('a directory as input is refused by its path before a store is made', async () => {
  const store = new FakeStore()
  const { code, err } = await runWith(store, ['import', join(root, 'not made'), root])
  assert.equal(code, 1)
  assert.ok(err.startsWith(`spillway: ${root} is a directory`), err)
  assert.deepEqual([store.options, store.closed], [{}, 0])
})

test('commands that only read take 64 MiB at most, unless told otherwise', async () => {
  for (const argv of [['get', directory, 'a'], ['scan', directory], ['count', directory], ['stats', directory], ['export', directory], ['verify', directory]]) {
    const store = await filled(['a', '1'])
    await runWith(store, argv)
    assert.ok(typeof store.options.budget === 'number' && store.options.budget > 0 && store.options.budget <= 64 * 2 ** 20, argv[0])
    await runWith(store, [...argv, '--budget', '128 MiB'])
    assert.equal(store.options.budget, 128 * 2 ** 20)
  }
})

test('large records make smaller batches', async () => {
  const store = new FakeStore()
  const lines = Array.from({ length: 10 }, (_, i) => `${i}=${'v'.repeat(100_000)}`)
  await runWith(store, ['import', directory, '--separator', '='], lines.join('\n'))
  assert.deepEqual(store.batches, [3, 3, 3, 1])
})

test('a bad record stops the import after everything before it is written', async () => {
  const store = new FakeStore()
  const { code, out, err } = await runWith(store, ['import', directory, '--format', 'jsonl'], '{"key":"a","value":"1"}\n{oops}\n{"key":"b","value":"2"}\n')
  assert.equal(code, 1)
  assert.deepEqual(store.texts, [['a', '1']])
  assert.match(out, /^Stopped: imported 1 row from /)
  assert.match(err, /^spillway: stdin, line 2: not JSON: .* \(BAD_RECORD\)\n$/)
  assert.equal(store.closed, 1)
})

test('--on-error skip counts bad records and says where they are', async () => {
  const store = new FakeStore()
  const { code, out } = await runWith(store, ['import', directory, '--format', 'jsonl', '--on-error', 'skip', '--json'], '{"key":"a","value":"1"}\n7\n{"key":"b","value":"2"}\n')
  assert.equal(code, 0)
  assert.deepEqual(store.texts, [['a', '1'], ['b', '2']])
  const report = JSON.parse(out) as Record<string, unknown>
  assert.equal(report['rows'], 2)
  assert.equal(report['badRecords'], 1)
  assert.deepEqual(report['firstBadRecords'], [{ file: 'stdin', line: 2, message: 'not an object or a [key, value] array' }])
})

test('an interrupted import keeps whole batches, closes the store and ends with 130', async () => {
  const store = new FakeStore()
  const chunks = [Buffer.from('a\nb\n'), Buffer.from('c\nd\ncut off')]
  const io = fakeIo(store, chunks)
  store.onBatch = () => io.stop.abort(130)
  const code = await run(['import', directory], io)
  assert.equal(code, 130)
  assert.deepEqual(store.texts.map(([key]) => key), ['a', 'b'])
  assert.equal(store.closed, 1)
  assert.match(io.stdout.text, /^Interrupted: imported 2 rows/)
})

test('several files are read in order, each in its own format', async () => {
  writeFileSync(join(root, 'a.csv'), 'id,name\n1,one\n')
  writeFileSync(join(root, 'b.tsv'), 'id\tname\n2\ttwo\n')
  const store = new FakeStore()
  const { code } = await runWith(store, ['import', directory, join(root, 'a.csv'), join(root, 'b.tsv'), '--value', 'name'])
  assert.equal(code, 0)
  assert.deepEqual(store.texts, [['1', 'one'], ['2', 'two']])
})

test(`export and import give an equal store (seed ${seed})`, async () => {
  const bytes = fc.uint8Array({ maxLength: 8 })
  await fc.assert(fc.asyncProperty(fc.array(fc.tuple(bytes, bytes), { maxLength: 20 }), fc.constantFrom('jsonl', 'csv', 'tsv'), async (entries, format) => {
    const from = new FakeStore()
    await from.batch(entries.map(([key, value]) => ({ type: 'put' as const, key, value })))
    const exported = await runWith(from, ['export', directory, '--format', format])
    assert.equal(exported.code, 0)
    const to = new FakeStore()
    const imported = await runWith(to, ['import', directory, '--format', format], exported.io.stdout.chunks)
    assert.equal(imported.code, 0, imported.err)
    assert.deepEqual(to.latin1, from.latin1)
  }), { seed, numRuns: 200 })
})

test('export obeys range, direction and limit', async () => {
  const store = await filled(['a', '1'], ['b', '2'], ['c', '3'], ['d', '4'])
  const { out } = await runWith(store, ['export', directory, '--gt', 'a', '--lte', 'd', '--reverse', '--limit', '2', '--format', 'lines', '--separator', '='])
  assert.equal(out, 'd=4\nc=3\n')
})

test('export to a closed pipe ends quietly', async () => {
  const store = await filled(...Array.from({ length: 3000 }, (_, i): [string, string] => [`key${i}`, 'v'.repeat(1000)]))
  const io = fakeIo(store)
  io.stdout.breaksAfter = 2
  assert.equal(await run(['export', directory], io), 0)
  assert.equal(io.stderr.text, '')
  assert.equal(store.closed, 1)
  assert.equal(io.stdout.chunks.length, 2)
})

test('export refuses to lose a value', async () => {
  const store = await filled(['a', '1'])
  const { code, err } = await runWith(store, ['export', directory, '--format', 'lines'])
  assert.equal(code, 1)
  assert.match(err, /NOT_REPRESENTABLE/)
  assert.equal((await runWith(store, ['export', directory, '--format', 'lines', '--keys-only'])).out, 'a\n')
})

test('get prints escaped text, raw bytes or JSON, and fails for a missing key', async () => {
  const store = await filled(['a', 'x\\y\n\u0001'])
  assert.equal((await runWith(store, ['get', directory, 'a'])).out, 'x\\\\y\n\\x01\n')
  assert.equal((await runWith(store, ['get', directory, '61', '--hex', '--raw'])).out, 'x\\y\n\u0001')
  assert.deepEqual(JSON.parse((await runWith(store, ['get', directory, 'a', '--json'])).out), { key: 'a', value: 'x\\y\n\u0001' })
  const missing = await runWith(store, ['get', directory, 'b'])
  assert.equal(missing.code, 1)
  assert.match(missing.err, /^spillway: no key "b" in .* \(NOT_FOUND\)\n$/)
  const json = await runWith(store, ['get', directory, 'b', '--json'])
  assert.equal((JSON.parse(json.err) as { error: { code: string } }).error.code, 'NOT_FOUND')
})

test('put takes a value from the command line or from stdin', async () => {
  const store = new FakeStore()
  await runWith(store, ['put', directory, 'a', '1'])
  await runWith(store, ['put', directory, 'b', '-'], [Uint8Array.of(0, 255), Uint8Array.of(1)])
  await runWith(store, ['put', directory, '--base64', 'AA==', '/w=='])
  assert.deepEqual(store.entries.map(([key, value]) => [[...key], [...value]]), [[[0], [255]], [[97], [49]], [[98], [0, 255, 1]]])
  const tooLong = await runWith(store, ['put', directory, 'c', '-', '--max-record', '3'], 'four')
  assert.equal(tooLong.code, 1)
  assert.match(tooLong.err, /TOO_LONG/)
})

test('del removes keys; a range only with a bound and --yes', async () => {
  const store = await filled(['a', '1'], ['b', '2'], ['ca', '3'], ['cb', '4'])
  assert.equal((await runWith(store, ['del', directory, 'a', 'nothing'])).code, 0)
  assert.equal((await runWith(store, ['del', directory, '--range'])).code, 2)
  assert.equal((await runWith(store, ['del', directory, '--prefix', 'c'])).code, 2)
  const asked = await runWith(store, ['del', directory, '--range', '--prefix', 'c'])
  assert.equal(asked.code, 2)
  assert.match(asked.err, /would delete 2 keys: add --yes/)
  assert.equal(store.entries.length, 3)
  assert.equal((await runWith(store, ['del', directory, '--range', '--prefix', 'c', '--yes'])).out, 'Deleted 2 keys.\n')
  assert.deepEqual(store.texts, [['b', '2']])
})

test('scan aligns, cuts to the width of a terminal and says that there is more', async () => {
  const store = await filled(['a', 'x'.repeat(100)], ['long-key', '\u001b[2J'], ['z', 'end'])
  const io = fakeIo(store)
  io.stdout.isTTY = true
  io.stdout.columns = 30
  assert.equal(await run(['scan', directory, '--limit', '2'], io), 0)
  assert.deepEqual(io.stdout.text.split('\n'), [`a  ${'x'.repeat(24)}...`, 'long-key  \\x1b[2J', '(more entries follow; --limit 0 shows all)', ''])
  const whole = await runWith(store, ['scan', directory, '--limit', '0'])
  assert.match(whole.out, /x{100}\n/)
  assert.doesNotMatch(whole.out, /more entries/)
  const json = JSON.parse((await runWith(store, ['scan', directory, '--limit', '2', '--json'])).out) as { entries: unknown[], more: boolean }
  assert.deepEqual([json.entries.length, json.more], [2, true])
})

test('count, compact, stats and verify report', async () => {
  const store = await filled(['a', '1'], ['b', '2'], ['c', '3'])
  assert.equal((await runWith(store, ['count', directory, '--gte', 'b'])).out, '2\n')
  assert.match((await runWith(store, ['compact', directory, '--gte', 'b'])).out, /^Compacted 1 table of 2\.0 KiB into 1/)
  assert.deepEqual(store.compacted, [{ gte: Buffer.from('b') }])
  const stats = await runWith(store, ['stats', directory])
  assert.match(stats.out, /amplification 2\.50/)
  assert.match(stats.out, /memtable {2}256 KiB {2}25\.0% {2}512 KiB {2}#{6}-{6}\.{12} {2}two memtables/)
  const memory = JSON.parse((await runWith(store, ['stats', directory, '--memory', '--json'])).out) as { budgetBytes: number }
  assert.equal(memory.budgetBytes, 1 << 20)
  assert.match((await runWith(store, ['verify', directory])).out, /^No damage found\. Checked 1 manifest, 2 log segments, 1 table, /)
  store.verifyReport.errors.push({ file: '00000007.table', offset: 4096, message: 'wrong checksum' })
  const damaged = await runWith(store, ['verify', directory])
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /^00000007\.table at offset 4096: wrong checksum\nDAMAGED: 1 file\. /)
  // Two places of one file; and no more notes than can be read.
  store.verifyReport.errors.push({ file: '00000007.table', offset: 8192, message: 'wrong checksum' })
  for (let i = 0; i < 25; i++) store.verifyReport.notes.push({ file: `0000010${i}.table`, message: 'left over' })
  const noted = await runWith(store, ['verify', directory])
  assert.match(noted.out, /Note: 0000010\d+\.table: left over\nNote: and 5 more; --json lists all\nDAMAGED: 1 file\. /)
  assert.equal((JSON.parse((await runWith(store, ['verify', directory, '--json'])).out) as { notes: unknown[] }).notes.length, 25)
})

test('wrong usage ends with 2 and opens nothing', async () => {
  for (const argv of [
    [], ['nonsense'], ['get', directory], ['get'], ['count', directory, 'extra'], ['count', directory, '--bogus'], ['count', directory, '--gte'],
    ['get', directory, 'abc', '--hex'], ['get', directory, 'a', '--hex', '--base64'], ['import', directory, '--format', 'xml'],
    ['import', directory, '--budget', 'much'], ['import', directory, '--durability', 'high'], ['scan', directory, '--limit', '-1'],
    ['import', directory, '--format', 'lines', '--key', 'a'], ['compact', directory, '--compaction', 'best'],
  ]) {
    const io = fakeIo(new FakeStore())
    io.open = async () => assert.fail('opened a store')
    assert.equal(await run(argv, io), 2, argv.join(' '))
    assert.notEqual(io.stderr.text, '')
  }
})

test('commands that read do not touch a directory without a store', async () => {
  const empty = join(root, 'empty')
  mkdirSync(empty, { recursive: true })
  for (const command of ['export', 'scan', 'count', 'stats', 'verify', 'compact']) {
    for (const path of [empty, join(root, 'missing'), join(directory, 'manifest-00000001')]) {
      const io = fakeIo(new FakeStore())
      io.open = async () => assert.fail('opened a store')
      assert.equal(await run([command, path], io), 1)
      assert.match(io.stderr.text, /NO_STORE/)
    }
  }
})

test('errors of the store choose the exit code, and come without a stack unless asked for', async () => {
  const codes = { SPILLWAY_LOCKED: 3, SPILLWAY_INVALID_ARGUMENT: 2, SPILLWAY_CORRUPTION: 1, SPILLWAY_BUDGET_TOO_SMALL: 1 } as const
  for (const [code, expected] of Object.entries(codes)) {
    const io = fakeIo(new FakeStore())
    io.open = async () => { throw new SpillwayError(code as keyof typeof codes, 'what\nhappened') }
    assert.equal(await run(['count', directory], io), expected)
    assert.equal(io.stderr.text, `spillway: what happened (${code})\n`)
    io.env['SPILLWAY_DEBUG'] = '1'
    await run(['count', directory], io)
    assert.match(io.stderr.text, /\n {4}at /)
  }
})

test('help is there for the program and for every command', async () => {
  const { out, code } = await runWith(new FakeStore(), ['help'])
  assert.equal(code, 0)
  for (const name of ['import', 'export', 'get', 'put', 'del', 'scan', 'count', 'stats', 'verify', 'compact']) {
    assert.match(out, new RegExp(`^ {2}${name} `, 'm'))
    const own = await runWith(new FakeStore(), [name, '--help'])
    assert.equal(own.code, 0)
    assert.equal(own.out, (await runWith(new FakeStore(), ['help', name])).out)
  }
  assert.match((await runWith(new FakeStore(), ['--version'])).out, /^\d+\.\d+\.\d+\n$/)
})
