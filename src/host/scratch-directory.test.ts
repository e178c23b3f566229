import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { nodeHost } from './node/node-host.ts'
import { SimHost } from './sim/sim-host.ts'
import { ScratchDirectory, removeLeftovers } from './scratch-directory.ts'

const child = new URL(import.meta.url.endsWith('.ts') ? './testing/scratch-child.ts' : './testing/scratch-child.js', import.meta.url)

test('who never spills leaves no trace; the first file makes the directory and close removes it with all files', () => {
  const host = new SimHost()
  const directory = new ScratchDirectory(host, '/tmp/x')
  assert.equal(host.files.exists('/tmp/x'), false)
  const path = directory.newFile('pages')
  host.files.create(path).close()
  host.files.create(directory.newFile('pages')).close()
  assert.equal(host.files.list(directory.path!).length, 2)
  directory.close()
  directory.close()
  assert.deepEqual(host.files.list('/tmp/x'), [])
  assert.throws(() => directory.newFile('pages'), { code: 'SPILLWAY_CLOSED' })
})

test('two directories of one process in one place do not meet', () => {
  const host = new SimHost()
  const first = new ScratchDirectory(host, '/tmp')
  const second = new ScratchDirectory(host, '/tmp')
  first.newFile('a')
  host.files.create(second.newFile('a')).close()
  assert.notEqual(first.path, second.path)
  first.close()
  assert.equal(host.files.list(second.path!).length, 1)
  second.close()
})

test('a process that ends by itself removes its directory', () => {
  const host = new SimHost()
  const directory = new ScratchDirectory(host, '/tmp')
  host.files.create(directory.newFile('pages')).close()
  host.exit()
  assert.deepEqual(host.files.list('/tmp'), [])
})

test('what a crashed process left is removed by the next one, what a living one has is not', () => {
  const host = new SimHost()
  const crashed = new ScratchDirectory(host, '/tmp')
  host.files.create(crashed.newFile('pages')).close()
  const next = host.crash({ lossless: true })
  const living = new SimHost({ disk: next.disk })
  const other = new ScratchDirectory(living, '/tmp')
  host.disk.isLogging = false
  living.files.create(other.newFile('pages')).close()
  next.files.makeDirectory('/tmp/spillway-other')
  assert.equal(removeLeftovers(next, '/tmp'), 0, 'the other one has done so')
  assert.deepEqual(next.files.list('/tmp').length, 2)
  assert.equal(next.files.list(other.path!).length, 1)
})

test('real processes: exit removes the directory, a kill leaves it to the next, and a living process keeps its own', () => {
  const parent = mkdtempSync(join(tmpdir(), 'spillway-test-'))
  try {
    const own = new ScratchDirectory(nodeHost(), parent)
    writeFileSync(own.newFile('pages'), 'mine')
    const ended = spawnSync(process.execPath, [child.pathname, parent, 'exit'], { encoding: 'utf8' })
    assert.equal(ended.stdout, 'made\n', ended.stderr)
    assert.deepEqual(readdirSync(parent).map(name => join(parent, name)), [own.path])
    spawnSync(process.execPath, [child.pathname, parent, 'kill'])
    assert.equal(readdirSync(parent).length, 2)
    // Of another machine, and of something else: not ours to judge.
    const foreign = join(parent, `spillway-scratch-00000000-00000000-${process.pid}-1-00000`)
    mkdirSync(foreign)
    mkdirSync(join(parent, 'spillway-scratch-notes'))
    assert.equal(removeLeftovers(nodeHost(), parent), 1)
    assert.ok(existsSync(own.path!) && existsSync(foreign))
    own.close()
    assert.equal(readdirSync(parent).length, 2)
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
})

test('a pid that was used again is not taken for the process that had it', { skip: process.platform !== 'linux' }, () => {
  const { process: here } = nodeHost()
  assert.equal(here.isRunning(here.name), true)
  const parts = here.name.split('-')
  parts[3] = String(Number(parts[3]) + 1)
  assert.equal(here.isRunning(parts.join('-')), false)
  assert.equal(here.isRunning('something else'), true)
})

test('tasks of the end can be taken back', () => {
  const host = new SimHost()
  let ran = 0
  const back = host.process.onExit(() => { ran++ })
  host.process.onExit(() => { ran += 10 })
  back()
  host.exit()
  assert.equal(ran, 10)
})
