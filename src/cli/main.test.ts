/** Every command in a process of its own, on a real store. */
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

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
  assert.match(ok(['verify', store, ...BUDGET]), /^All is well/)

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

test('a store open elsewhere is exit code 3, with the holder named', async () => {
  const store = join(root, 'locked')
  ok(['put', store, 'a', '1', ...BUDGET])
  const holder = spawn(process.execPath, [program, 'import', store, '--progress', ...BUDGET], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise(resolve => holder.on('exit', resolve))
  // Until the holder has opened the store, trying would only keep it from doing so.
  const deadline = performance.now() + 30_000
  const holds = (): boolean => {
    try {
      return readFileSync(join(store, 'LOCK'), 'utf8').includes(`"pid":${holder.pid},`)
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
