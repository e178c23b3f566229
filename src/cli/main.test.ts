/** Every command in a process of its own, on a real store. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const program = fileURLToPath(new URL('./main.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'spillway-main-'))
after(() => rmSync(root, { recursive: true, force: true }))

const BUDGET = ['--budget', '16 MiB']

function spillway(argv: string[], input: string | Uint8Array = '') {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...argv], { input, maxBuffer: 1 << 26, timeout: 60_000 })
  return { code: status, out: stdout.toString(), err: stderr.toString(), bytes: stdout }
}

function ok(argv: string[], input: string | Uint8Array = ''): string {
  const { code, out, err } = spillway(argv, input)
  assert.equal(code, 0, `${argv.join(' ')}: ${err}`)
  return out
}

test('put, get, scan, count and del work on one store from process to process', () => {
  const store = join(root, 'small')
  ok(['put', store, 'city:paris', 'Paris', ...BUDGET])
  ok(['put', store, 'city:rome', '-', ...BUDGET], Uint8Array.of(0xff, 0x0a))
  assert.equal(ok(['get', store, 'city:paris', ...BUDGET]), 'Paris\n')
  assert.deepEqual([...spillway(['get', store, 'city:rome', '--raw', ...BUDGET]).bytes], [0xff, 0x0a])
  assert.equal(ok(['scan', store, ...BUDGET]), 'city:paris  Paris\ncity:rome   \\xff\\x0a\n')
  assert.equal(ok(['count', store, '--prefix', 'city:', ...BUDGET]), '2\n')
  ok(['del', store, 'city:paris', ...BUDGET])
  assert.equal(spillway(['get', store, 'city:paris', ...BUDGET]).code, 1)
  ok(['del', store, '--range', '--gte', 'city:', '--lt', 'city;', '--yes', ...BUDGET])
  assert.equal(ok(['count', store, ...BUDGET]), '0\n')
})

test('what is imported can be counted, compacted, verified, exported and imported again', () => {
  const store = join(root, 'imported')
  const file = join(root, 'rows.jsonl')
  const rows = 60_000
  writeFileSync(file, Array.from({ length: rows }, (_, i) => `{"key":"row ${i * 7919 % rows}","value":"value ${i} ${'#'.repeat(i % 50)}"}\n`).join(''))
  const report = JSON.parse(ok(['import', store, file, '--json', '--durability', 'none', ...BUDGET])) as Record<string, unknown>
  assert.equal(report['rows'], rows)
  assert.equal(ok(['count', store, ...BUDGET]), `${rows}\n`)
  assert.match(ok(['stats', store, ...BUDGET]), /60,000 entries/)
  assert.match(ok(['compact', store, ...BUDGET]), /^Compacted /)
  assert.match(ok(['verify', store, ...BUDGET]), /^No damage found/)

  const copy = join(root, 'copy')
  const exported = join(root, 'exported.csv')
  ok(['export', store, '-o', exported, ...BUDGET])
  ok(['import', copy, exported, ...BUDGET])
  assert.equal(ok(['export', copy, ...BUDGET]), ok(['export', store, ...BUDGET]))
})

test('verify finds a changed byte and names the file', () => {
  const store = join(root, 'damaged')
  ok(['import', store, ...BUDGET], Array.from({ length: 5000 }, (_, i) => `key ${i}\n`).join(''))
  const table = readdirSync(store).find(name => name.endsWith('.table'))!
  const bytes = readFileSync(join(store, table))
  bytes[100]! ^= 1
  writeFileSync(join(store, table), bytes)
  const { code, out } = spillway(['verify', store, ...BUDGET])
  assert.equal(code, 1)
  assert.match(out, new RegExp(`${table}.*\n.*DAMAGED`))
})

test('verify names each damaged file of a store that cannot be opened', () => {
  const store = join(root, 'unopenable')
  ok(['import', store, ...BUDGET], Array.from({ length: 5000 }, (_, i) => `key ${i}\n`).join(''))
  ok(['put', store, 'logged', '1', ...BUDGET])
  const [table, manifest, log] = ['.table', 'manifest-', '.log'].map(part => readdirSync(store).filter(name => name.includes(part)).at(-1)!) as [string, string, string]
  for (const name of [table, manifest]) {
    const bytes = readFileSync(join(store, name))
    bytes[bytes.length >> 1]! ^= 1
    writeFileSync(join(store, name), bytes)
  }
  assert.equal(spillway(['count', store, ...BUDGET]).code, 1)
  const { code, out } = spillway(['verify', store])
  assert.equal(code, 1)
  for (const name of [table, manifest]) assert.match(out, new RegExp(`${name} at offset \\d+: `))
  assert.doesNotMatch(out, new RegExp(`${log} at offset`))
  assert.match(out, /DAMAGED: 2 files\. Checked 1 manifest, 1 log segment, 1 table, /)
  rmSync(join(store, manifest))
  assert.match(spillway(['verify', store]).out, /its manifest is missing/)
})

/** Another user, where this one can be any; this one keeps its own directories from itself otherwise. */
const stranger = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}
const canBeStranger = process.platform !== 'win32' && (() => {
  chmodSync(root, 0o755)
  const { status } = spawnSync(process.execPath, ['-e', 'const fs = require("fs"); process.argv.slice(1).forEach(path => fs.accessSync(path))', program, root], stranger)
  return status === 0
})()

test('commands that read need no right to write, on a closed store and on one whose process died', { skip: !canBeStranger }, async () => {
  const closed = join(root, 'foreign')
  const crashed = join(root, 'foreign crashed')
  for (const store of [closed, crashed]) {
    ok(['import', store, ...BUDGET], Array.from({ length: 3000 }, (_, i) => `key ${i}\n`).join(''))
    ok(['put', store, 'logged', 'in the log', ...BUDGET])
  }
  const child = spawn(process.execPath, [program, 'import', crashed, ...BUDGET], { stdio: ['pipe', 'ignore', 'inherit'] })
  child.stdin.on('error', () => {})
  child.stdin.write('killed\n')
  const deadline = performance.now() + 30_000
  while (!readdirSync(crashed).some(name => name.endsWith('.log') && readFileSync(join(crashed, name)).includes('killed')) && performance.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const ended = new Promise(resolve => child.on('close', resolve))
  child.kill('SIGKILL')
  await ended

  for (const store of [closed, crashed]) {
    for (const name of readdirSync(store)) chmodSync(join(store, name), 0o444)
    chmodSync(store, 0o555)
    const stateOf = (): unknown => [statSync(store).mtimeMs, readdirSync(store).map(name => [name, statSync(join(store, name)).mtimeMs, statSync(join(store, name)).size])]
    const before = stateOf()
    const count = store === closed ? 3001 : 3002
    const read = (argv: string[]): { status: number | null, out: string } => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...argv, ...BUDGET], { ...stranger, timeout: 60_000 })
      assert.equal(stderr.toString(), '', argv.join(' '))
      return { status, out: stdout.toString() }
    }
    assert.deepEqual(read(['get', store, 'logged']), { status: 0, out: 'in the log\n' })
    assert.deepEqual(read(['count', store]), { status: 0, out: `${count}\n` })
    assert.match(read(['verify', store]).out, /^No damage found/m)
    assert.deepEqual(stateOf(), before)
    if (store === crashed) {
      chmodSync(store, 0o755)
      continue
    }
    assert.match(read(['scan', store, '--limit', '1']).out, /^key 0/)
    assert.equal(read(['export', store, '--no-progress']).out.split('\n').length, count + 1)
    assert.match(read(['stats', store]).out, /1 operation from/)
    assert.deepEqual(stateOf(), before)
    chmodSync(store, 0o755)
  }
})

test('a store open elsewhere is exit code 3, with the holder named', async () => {
  const store = join(root, 'locked')
  ok(['put', store, 'a', '1', ...BUDGET])
  const holder = spawn(process.execPath, [program, 'import', store, '--progress', ...BUDGET], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise(resolve => holder.on('exit', resolve))
  // Until the holder has opened the store, trying would only keep it from doing so.
  const deadline = performance.now() + 30_000
  const holds = (): boolean => {
    try {
      const claim = readdirSync(store).find(name => /^LOCK-\d+$/.test(name))
      return claim !== undefined && readFileSync(join(store, claim), 'utf8').includes(`"pid":${holder.pid},`)
    } catch {
      return false
    }
  }
  while (!holds() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
  const { code, err } = spillway(['count', store, ...BUDGET])
  holder.stdin.end()
  await ended
  assert.equal(code, 3)
  assert.match(err, /^spillway: .*SPILLWAY_LOCKED\)\n$/)
  assert.ok(err.includes(String(holder.pid)), err)
})

test('Ctrl-C ends an import with 130 and keeps what was written', async () => {
  const store = join(root, 'interrupted')
  const child = spawn(process.execPath, [program, 'import', store, ...BUDGET], { stdio: ['pipe', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', chunk => { out += String(chunk) })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  child.stdin.on('error', () => {})
  child.stdin.write('first key\nsecond key\nhalf a rec')
  // Once the first batch is in the log.
  const deadline = performance.now() + 30_000
  const written = (): boolean => {
    try {
      return readdirSync(store).some(name => name.endsWith('.log') && readFileSync(join(store, name)).includes('second key'))
    } catch {
      return false
    }
  }
  while (!written() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
  assert.ok(written(), 'the first batch did not come into the log within 30 seconds')
  child.kill('SIGINT')
  assert.equal(await ended, 130)
  assert.match(out, /^Interrupted: imported 2 rows/)
  assert.equal(ok(['export', store, '--format', 'lines', ...BUDGET]), 'first key\nsecond key\n')
})

test('an import ends when it is told to, inside a record and whatever it waits for', async () => {
  const row = Buffer.from(`key,value\na,"${'x'.repeat(100_000)}`)
  const fifo = join(root, 'fifo')
  const hasFifo = spawnSync('mkfifo', [fifo]).status === 0
  const waiting: { input?: Uint8Array, argv: string[] }[] = [
    { input: row, argv: ['--format', 'csv'] }, { input: gzipSync(row), argv: ['--format', 'csv'] }, { input: Buffer.from('{"key":"a","value":"'), argv: ['--format', 'jsonl'] },
    // A pipe that is not yet open for writing.
    ...hasFifo ? [{ argv: [fifo] }] : [],
  ]
  for (const [i, { input, argv }] of waiting.entries()) {
    const store = join(root, `ended-${i}`)
    const child = spawn(process.execPath, [program, 'import', store, ...argv, '--progress', ...BUDGET], { stdio: ['pipe', 'pipe', 'inherit'] })
    const ended = new Promise<number | null>(resolve => child.on('close', resolve))
    child.stdin.on('error', () => {})
    if (input !== undefined) child.stdin.write(input)
    const deadline = performance.now() + 30_000
    const isOpen = (): boolean => {
      try {
        return readdirSync(store).some(name => name.endsWith('.log'))
      } catch {
        return false
      }
    }
    while (!isOpen() && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, 20))
    child.kill(i % 2 === 0 ? 'SIGTERM' : 'SIGINT')
    const kill = setTimeout(() => child.kill('SIGKILL'), 30_000)
    assert.equal(await ended, i % 2 === 0 ? 143 : 130, argv.join(' '))
    clearTimeout(kill)
    assert.equal(ok(['count', store, ...BUDGET]), '0\n')
  }
})

test('a pipe in place of a file is read to its end, also if opened late', { skip: process.platform === 'win32' }, async () => {
  const store = join(root, 'late')
  const fifo = join(root, 'late.csv')
  assert.equal(spawnSync('mkfifo', [fifo]).status, 0)
  const child = spawn(process.execPath, [program, 'import', store, fifo, '--json', ...BUDGET], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  let out = ''
  child.stdout.on('data', chunk => { out += String(chunk) })
  // The shell waits in open() until there is a reader.
  assert.equal(spawnSync('sh', ['-c', 'exec >"$0"; printf "key,value\\na,1\\n"; printf "b,2\\n"', fifo], { timeout: 30_000 }).status, 0)
  assert.equal(await ended, 0)
  assert.equal((JSON.parse(out) as { rows: number }).rows, 2)
})

test('a header of 300,000 columns, and padding without end, take time that grows with them', () => {
  const header = Array.from({ length: 300_000 }, (_, i) => `c${i}`).join(',')
  const wide = JSON.parse(ok(['import', join(root, 'wide'), '--format', 'csv', '--key', 'c7', '--json', ...BUDGET], `${header}\n${header}\n`)) as { rows: number }
  assert.equal(wide.rows, 1)
  const padding = '='.repeat(5_000_000)
  const { code, err } = spillway(['import', join(root, 'padding'), '--format', 'jsonl', ...BUDGET], `{"keyBase64":"${padding}x","value":""}\n`)
  assert.equal(code, 1)
  assert.match(err, /keyBase64 is not base64/)
  const blanks = ' '.repeat(5_000_000)
  assert.equal(spillway(['import', join(root, 'blanks'), '--format', 'csv', '--key', 'k', ...BUDGET], `a${blanks}b,c\n`).code, 2)
})

test('a reader that leaves early ends an export quietly', async () => {
  const store = join(root, 'pipe')
  ok(['import', store, ...BUDGET], Array.from({ length: 100_000 }, (_, i) => `key number ${i}\n`).join(''))
  const child = spawn(process.execPath, [program, 'export', store, ...BUDGET], { stdio: ['ignore', 'pipe', 'pipe'] })
  let err = ''
  child.stderr.on('data', chunk => { err += String(chunk) })
  const ended = new Promise<number | null>(resolve => child.on('close', resolve))
  child.stdout.once('data', () => child.stdout.destroy())
  assert.equal(await ended, 0)
  assert.equal(err, '')
})

test('a reading command leaves a directory without a store as it is', () => {
  const empty = mkdtempSync(join(root, 'empty-'))
  const { code, err } = spillway(['count', empty])
  assert.equal(code, 1)
  assert.match(err, /has no Spillway store.*\(NO_STORE\)/)
  assert.deepEqual(readdirSync(empty), [])
})
