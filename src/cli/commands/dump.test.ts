import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { KIND_DELETE, KIND_PUT, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { encodeVersion } from '../../manifest/codec.ts'
import { put, testKernels, writeTable } from '../../table/testing/model.ts'
import { MemoryFile } from '../../table/testing/memory-file.ts'
import { encodeValueReference, writeValueFile } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE, MAX_FRAME_BYTES } from '../../wal/frame.ts'
import { LogWriter } from '../../wal/log-writer.ts'
import { run } from '../run.ts'
import { FakeStore, fakeIo } from '../testing/fake-store.ts'

const program = fileURLToPath(new URL('../main.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'spillway-dump-'))
after(() => rmSync(root, { recursive: true, force: true }))

async function dump(path: string, ...options: string[]) {
  const io = fakeIo(new FakeStore())
  const code = await run(['dump', path, ...options], io)
  return { code, out: io.stdout.text, lines: io.stdout.text.trimEnd().split('\n'), err: io.stderr.text }
}

/** A file of that name and content; `damage` changes the content. */
function fileOf(name: string, bytes: Uint8Array, damage: (bytes: Uint8Array) => Uint8Array | void = () => {}): string {
  const copy = bytes.slice()
  const path = join(mkdtempSync(join(root, 'case-')), name)
  writeFileSync(path, damage(copy) ?? copy)
  return path
}

function flip(...places: number[]): (bytes: Uint8Array) => void {
  return bytes => { for (const at of places) bytes[at]! ^= 1 }
}

/** The golden segment of FORMAT.md: frames at 40, 96 and 152, in all 216 bytes. */
function logBytes(): Uint8Array {
  const file = new MemoryFile('/00000005.log')
  const log = new LogWriter(file, 5, new Uint8Array(4096), new Kernels(MAX_FRAME_BYTES), 'boot-1', 258)
  const append = (kind: number, key: string, value: string): boolean => log.append(kind, Buffer.from(key), 0, key.length, Buffer.from(value), 0, value.length)
  append(KIND_PUT, 'a', '1')
  log.commit(true, () => {})
  log.syncSync()
  append(KIND_PUT, 'key', 'value')
  log.spill()
  append(KIND_DELETE, 'gone', '')
  append(KIND_DELETE_RANGE, 'd', 'f')
  log.commit(true, () => {})
  return file.bytes
}

function reference(fileNumber: number, lengthBytes: number): Uint8Array {
  const bytes = new Uint8Array(14)
  encodeValueReference(bytes, 0, fileNumber, lengthBytes)
  return bytes
}

/** The golden table of FORMAT.md. */
function tableBytes(): Uint8Array {
  return writeTable([
    put('city:bonn', 3, 'Bonn'), put('city:paris', 5, 'Paris'), put('city:paris', 2, '', KIND_DELETE),
    put('city:rome', 4, reference(6, 1000), KIND_VALUE_FILE), put(Uint8Array.of(0x63, 0xff), 1, 'x'.repeat(80)),
  ], { compression: 'none' }, [{ start: Buffer.from('city:a'), end: Buffer.from('city:c'), seq: 258 }]).file.bytes
}

function manifestBytes(): Uint8Array {
  return encodeVersion({
    number: 7, epoch: 2, lastSeq: 258, logFloor: 5, nextFile: 9, nextRun: 3, strategy: { name: 'leveled', parameters: { multiplier: 10 } }, ahead: [[300, 304]],
    runs: [{ id: 2, level: 0, tables: [{ fileNumber: 8, fileBytes: 700, entries: 5, deletes: 1, seqOffset: 299 }] }],
  }, testKernels())
}

function valueBytes(): Uint8Array {
  const path = join(root, 'value')
  writeValueFile(nodeHost().files, path, 6, Buffer.alloc(300_000, 'spill'), testKernels(), true)
  const bytes = readFileSync(path)
  rmSync(path)
  return bytes
}

test('a log segment: header, frames, operations', async () => {
  const { code, lines } = await dump(fileOf('00000005.log', logBytes()))
  assert.deepEqual(lines, [
    'log segment 5, format 1, 216 bytes, mount hash 94f681a059aca200',
    'at 40: frame of 56 bytes, sequence 258, 1 operation, nothing synced',
    '  258  put  a  1 byte: 1',
    'at 96: frame of 56 bytes, sequence 259, 1 operation, 96 bytes synced, the batch goes on',
    '  259  put  key  5 bytes: value',
    'at 152: frame of 64 bytes, sequence 260 to 261, 2 operations, 96 bytes synced',
    '  260  delete  gone',
    '  261  delete range  d to f',
    'No damage found.',
  ])
  assert.equal(code, 0)
})

test('the same under another name, as JSON', async () => {
  const { code, lines } = await dump(fileOf('copy of a log', logBytes()), '--json')
  assert.equal(code, 0)
  const records = lines.map(line => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(records.map(({ type }) => type), ['log', 'frame', 'operation', 'frame', 'operation', 'frame', 'operation', 'operation', 'end'])
  assert.deepEqual(records[2], { type: 'operation', seq: 258, kind: 'put', key: 'a', valueBytes: 1, preview: '1' })
  assert.deepEqual(records[8], { type: 'end', damaged: 0 })
})

test('bad frames of a log are told with their offset, and what follows them is shown', async () => {
  const { code, lines } = await dump(fileOf('00000005.log', logBytes(), flip(20, 100, 140)))
  assert.equal(code, 1)
  assert.equal(lines[1], 'DAMAGED at offset 0: the header of the log segment is damaged, or not that of segment 5')
  assert.ok(lines.includes('DAMAGED at offset 96: the checksum of the frame does not match; 56 bytes, then a good frame at 152; no later frame says that this was durable, so the system may have lost it'), lines.join('\n'))
  assert.ok(lines.includes('  260  delete  gone'))
  assert.equal(lines.at(-1), 'DAMAGED: 2 places.')
})

test('the end of a log: cut off, filled with zeros, damaged', async () => {
  const cut = await dump(fileOf('00000005.log', logBytes(), bytes => bytes.subarray(0, 200)))
  assert.equal(cut.code, 0)
  assert.match(cut.out, /^Note at 152: the last 48 bytes are an unfinished write: .*\nNote: the last batch is incomplete/m)
  const ahead = await dump(fileOf('00000005.log', logBytes(), bytes => Buffer.concat([bytes, Buffer.alloc(100)])))
  assert.equal(ahead.code, 0)
  assert.match(ahead.out, /^Note at 216: 100 bytes of zeros/m)
  const damaged = await dump(fileOf('00000005.log', logBytes(), flip(200)))
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /^DAMAGED at offset 152: the checksum of the frame does not match; no good frame in the last 64 bytes/m)
})

test('a table: what its footer leads to, and its entries if wanted', async () => {
  const path = fileOf('00000007.table', tableBytes())
  const { code, lines } = await dump(path)
  assert.equal(code, 0)
  assert.match(lines[0]!, /^table 7, format 1, \d+ bytes$/)
  assert.match(lines[1]!, /^at \d+: properties of \d+ bytes: 5 entries in 1 block, 1 delete, sequence 1 to 258$/)
  assert.ok(lines.includes('  258  delete range  city:a to city:c'))
  assert.ok(lines.some(line => /^at \d+: value files of \d+ bytes: 6$/.test(line)))
  assert.ok(lines.some(line => /^at \d+: filter of 81 bytes: 6 bits a key, 1 line$/.test(line)))
  assert.deepEqual(lines.filter(line => line.includes('index node')).map(line => line.replace(/^.*: /, '')), ['level 1, 1 child', 'level 0, 1 child'])
  assert.match(lines.find(line => line.includes('data'))!, /^at 0: data of \d+ bytes: 5 entries, sequence 1 to 5, keys city:bonn to c\\xff$/)

  const entries = (await dump(path, '--entries')).lines.slice(lines.length - 1, -1)
  assert.deepEqual(entries, [
    '  3  put  city:bonn  4 bytes: Bonn', '  5  put  city:paris  5 bytes: Paris', '  2  delete  city:paris', '  4  put  city:rome  1000 bytes in value file 6',
    `  1  put  c\\xff  80 bytes: ${'x'.repeat(57)}...`,
  ])
  const json = (await dump(path, '--entries', '--json')).lines.map(line => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(json.filter(({ type }) => type === 'entry').slice(-2), [
    { type: 'entry', seq: 4, kind: 'put', key: 'city:rome', valueBytes: 1000, valueFile: 6 },
    { type: 'entry', seq: 1, kind: 'put', keyBase64: 'Y/8=', valueBytes: 80, preview: `${'x'.repeat(57)}...` },
  ])
})

test('a damaged table shows all that can be reached', async () => {
  const bytes = writeTable(Array.from({ length: 2000 }, (_, i) => put(`key ${String(i).padStart(5, '0')}`, i + 1, 'v'.repeat(20))), { compression: 'none' }).file.bytes
  const whole = await dump(fileOf('00000007.table', bytes))
  const blocks = (lines: string[]): string[] => lines.filter(line => line.includes(': data of'))
  assert.ok(blocks(whole.lines).length > 10)

  const block = await dump(fileOf('00000007.table', bytes, flip(10)))
  assert.equal(block.code, 1)
  assert.match(block.out, /^DAMAGED at offset 0: the checksum of a block of \d+ bytes does not match$/m)
  assert.deepEqual(blocks(block.lines), blocks(whole.lines).slice(1))

  const footer = await dump(fileOf('00000007.table', bytes, flip(bytes.length - 1)))
  assert.equal(footer.code, 1)
  assert.match(footer.lines[1]!, new RegExp(`^DAMAGED at offset ${bytes.length - 56}: the footer is damaged`))
  assert.deepEqual(blocks(footer.lines), blocks(whole.lines))

  const cut = await dump(fileOf('00000007.table', bytes, all => all.subarray(0, all.length >> 1)))
  assert.equal(cut.code, 1)
  assert.match(cut.lines[1]!, /no footer of a table/)
  const shown = blocks(cut.lines).length
  assert.ok(shown > 3)
  assert.deepEqual(blocks(cut.lines), blocks(whole.lines).slice(0, shown))
  assert.match(cut.out, /^DAMAGED at offset \d+: no whole block begins here/m)
})

test('a manifest: every field; a damaged one as text', async () => {
  const { code, lines } = await dump(fileOf('manifest-00000007', manifestBytes()))
  assert.equal(code, 0)
  assert.match(lines[0]!, /^manifest 7, format 3, \d+ bytes, checksum [0-9a-f]{16}$/)
  assert.deepEqual(lines.slice(1), [
    'epoch: 2', 'lastSeq: 258', 'logFloor: 5', 'nextFile: 9', 'nextRun: 3', 'strategy: {"name":"leveled","parameters":{"multiplier":10}}', 'ahead: [[300,304]]',
    'run 2: level 0, 1 table', '  table 8: 700 bytes, 5 entries, 1 delete, sequence offset 299', 'No damage found.',
  ])
  const damaged = await dump(fileOf('manifest-00000007', manifestBytes(), flip(60)))
  assert.equal(damaged.code, 1)
  assert.match(damaged.out, /^DAMAGED at offset \d+: the checksum of the manifest does not match its content\n {2}SPILLWAY MANIFEST 3$/m)
})

test('a value file: header, beginning, checksums of its pieces', async () => {
  const bytes = valueBytes()
  const { code, lines } = await dump(fileOf('moved', bytes))
  assert.equal(code, 0)
  assert.equal(lines[0], `value file 6, format 1, ${bytes.length} bytes: a value of 300000 bytes in 2 pieces: ${'spill'.repeat(12).slice(0, 57)}...`)
  const damaged = await dump(fileOf('00000006.value', bytes, flip(24, 290_000)))
  assert.equal(damaged.code, 1)
  assert.deepEqual(damaged.lines.slice(1).map(line => line.replace(/:.*/, '')), ['DAMAGED at offset 0', 'DAMAGED at offset 262184', 'DAMAGED'])
})

test('a name that the content contradicts is told', async () => {
  const moved = await dump(fileOf('00000099.table', tableBytes()))
  assert.equal(moved.code, 1)
  assert.equal(moved.lines[0], 'DAMAGED at offset 0: by its name this is table 99, by its content table 7')
  assert.equal(moved.lines.length, (await dump(fileOf('x', tableBytes()))).lines.length + 1)
  const other = await dump(fileOf('00000005.table', logBytes()))
  assert.match(other.out, /^DAMAGED at offset 0: by its name this is table 5, by its content a log segment\nlog segment 5/)
})

test('what is no file of a store is refused with a way out', async () => {
  const foreign = await dump(fileOf('notes.txt', Buffer.from('hello')))
  assert.equal(foreign.code, 1)
  assert.match(foreign.err, /is no manifest, log segment, table or value file: .* 00000012\.table \(UNREADABLE_INPUT\)\n$/)
  assert.match((await dump(root)).err, /is no file\. .*\(UNREADABLE_INPUT\)\n$/)
  assert.match((await dump(join(root, 'nowhere'))).err, /\(ENOENT\)\n$/)
  const missing = fakeIo(new FakeStore())
  assert.equal(await run(['dump'], missing), 2)
  assert.match(missing.stderr.text, /^spillway: missing: <file>\n/)
})

test('any one byte changed, and any cut: an exit code, never another error', async () => {
  for (const [name, bytes] of [['00000005.log', logBytes()], ['00000007.table', tableBytes()], ['manifest-00000007', manifestBytes()]] as const) {
    const path = fileOf(name, bytes)
    for (let at = 0; at < bytes.length; at += 5) {
      writeFileSync(path, bytes)
      const copy = bytes.slice()
      copy[at]! ^= 0x55
      writeFileSync(path, copy)
      const changed = await dump(path, '--entries')
      // The length of the last frame cannot be told from one that is cut off. A newer format is refused with an error.
      const looksCut = name.endsWith('.log') && at >= 156 && at < 160
      assert.ok((changed.code === 1 || looksCut) && (changed.err === '' || /SPILLWAY_UNAVAILABLE/.test(changed.err)), `${name}, byte ${at}: ${changed.code} ${changed.err}${changed.out}`)
      truncateSync(path, at)
      const cut = await dump(path)
      assert.ok(cut.err === '' && (cut.code === 1 || name.endsWith('.log')), `${name} cut to ${at}: ${cut.err}${cut.out}`)
    }
  }
})

test('without memory it says so', async () => {
  const { code, err } = await dump(fileOf('00000007.table', tableBytes()), '--budget', '512 KiB')
  assert.equal(code, 1)
  assert.match(err, /no room for .* of dump: .*\(SPILLWAY_BUDGET_TOO_SMALL\)\n$/)
})

test('a reader that leaves early ends it quietly, and the directory stays as it is', async () => {
  const entries = Array.from({ length: 50_000 }, (_, i) => put(`key ${String(i).padStart(5, '0')}`, i + 1, 'v'.repeat(100)))
  const path = fileOf('00000007.table', writeTable(entries).file.bytes)
  const child = spawn(process.execPath, [program, 'dump', path, '--entries'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let err = ''
  child.stderr.on('data', chunk => { err += String(chunk) })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  child.stdout.once('data', () => child.stdout.destroy())
  assert.equal(await ended, 0)
  assert.equal(err, '')
  assert.deepEqual(readdirSync(join(path, '..')), ['00000007.table'])
  const copy = join(root, 'elsewhere')
  copyFileSync(path, copy)
  assert.ok(existsSync(copy))
  assert.equal((await dump(copy)).code, 0)
})
