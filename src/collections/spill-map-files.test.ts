import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { nodeHost } from '../host/node/node-host.ts'
import { removeLeftovers } from '../host/scratch-directory.ts'
import { SpillMap } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-map-files-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const timeout = 60_000

/** A directory per test. */
function place(name: string): string {
  const path = join(directory, name)
  mkdirSync(path)
  return path
}

function start(parent: string, ending: string, budget = '8 MiB'): { child: ChildProcess, ready: Promise<void>, closed: Promise<NodeJS.Signals | number | null> } {
  const child = spawn(process.execPath, [fileURLToPath(new URL('./testing/map-child.js', import.meta.url)), parent, ending, budget], { stdio: ['ignore', 'pipe', 'ignore'] })
  const closed = new Promise<NodeJS.Signals | number | null>(resolve => child.on('close', (code, signal) => resolve(signal ?? code)))
  const ready = new Promise<void>((resolve, reject) => {
    let text = ''
    child.stdout!.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes('ready')) resolve()
    })
    void closed.then(() => reject(new Error(`it ended before it was ready: ${text}`)))
  })
  // The test itself reports a child that fails.
  ready.catch(() => {})
  return { child, ready, closed }
}

for (const budget of ['8 MiB', '32 MiB']) {
  for (const [ending, code] of [['exit', 0], ['throw', 1]] as const) {
    test(`a process that ends (${ending}, ${budget}) without dispose leaves no files`, { timeout }, async () => {
      const parent = place(`${ending}-${budget.slice(0, 2).trim()}`)
      const { closed } = start(parent, ending, budget)
      assert.equal(await closed, code)
      assert.deepEqual(readdirSync(parent), [])
    })
  }
}

test('files of a killed process are removed by the next one, those of a running one stay', { timeout }, async () => {
  const parent = place('killed')
  const killed = start(parent, 'stay')
  await killed.ready
  const [left] = readdirSync(parent)
  killed.child.kill('SIGKILL')
  assert.equal(await killed.closed, 'SIGKILL')
  assert.deepEqual(readdirSync(parent).includes(left!), true)
  const living = start(parent, 'stay')
  await living.ready
  const names = readdirSync(parent)
  assert.ok(names.length > 0 && names.every(name => name.includes(`-${living.child.pid}-`)), String(names))
  // In another process: this one.
  using map = new SpillMap<number, number>({ budget: '8 MiB', directory: parent })
  map.set(1, 1)
  assert.equal(removeLeftovers(nodeHost(), parent), 0)
  assert.deepEqual(readdirSync(parent), names)
  living.child.kill('SIGKILL')
  await living.closed
  assert.equal(removeLeftovers(nodeHost(), parent), names.length)
  assert.deepEqual(readdirSync(parent), [])
})

test('only certain leftovers are removed', () => {
  const parent = place('others')
  const names = ['spillway-scratch-00000000-00000000-1-1-ab', 'spillway-scratch-x', 'something else']
  for (const name of names) mkdirSync(join(parent, name))
  writeFileSync(join(parent, 'a file'), '')
  assert.equal(removeLeftovers(nodeHost(), parent), 0)
  assert.deepEqual(readdirSync(parent), [...names, 'a file'].sort())
})

test('dispose during a flush or merge leaves no files and no thread', { timeout }, async () => {
  const parent = place('middle')
  for (const budget of ['8 MiB', '32 MiB']) {
    for (let round = 0; round < 4; round++) {
      const map = new SpillMap<number, string>({ budget, directory: parent })
      for (let i = 0; i < 30_000 + 9000 * round; i++) map.set(i * 7 % 50_000, 'x'.repeat(300))
      if (round % 2 === 1) {
        map.clear()
        assert.deepEqual([...map], [])
        for (let i = 0; i < 20_000; i++) map.set(i, 'after')
        assert.equal(map.get(19_999), 'after')
        assert.equal(map.size, 20_000)
      }
      map.dispose()
      assert.deepEqual(readdirSync(parent), [])
    }
  }
  // A thread still running would have created its files by now.
  await new Promise(resolve => setTimeout(resolve, 100))
  assert.deepEqual(readdirSync(parent), [])
})

test('a directory that cannot be created is an error when needed, and entries in memory stay usable', () => {
  const parent = place('bad')
  writeFileSync(join(parent, 'file'), '')
  using map = new SpillMap<number, string>({ budget: '8 MiB', directory: join(parent, 'file') })
  let done = 0
  assert.throws(() => {
    for (; done < 100_000; done++) map.set(done, 'x'.repeat(100))
  }, { code: 'SPILLWAY_UNAVAILABLE' })
  assert.equal(map.size, done)
  assert.equal(map.has(done), false)
  assert.equal(map.get(done - 1), 'x'.repeat(100))
  assert.equal([...map.keys()].length, done)
  rmSync(join(parent, 'file'))
  for (; done < 60_000; done++) map.set(done, 'x'.repeat(100))
  assert.equal(map.size, 60_000)
  assert.equal([...map.keys()].length, 60_000)
})
