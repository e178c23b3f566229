/** `spillway run` in a process of its own, with a program that says how it was started. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findPreload } from '../../host/node/allocator.ts'
import { memoryIn } from '../../host/node/run-program.ts'

const main = fileURLToPath(new URL('../main.js', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'spillway-run-'))
after(() => rmSync(root, { recursive: true, force: true }))
const program = join(root, 'program.mjs')
writeFileSync(program, `
  console.log(JSON.stringify({ args: process.argv.slice(2), flags: process.execArgv, arenas: process.env.MALLOC_ARENA_MAX }))
  await new Promise(resolve => setTimeout(resolve, 100))
  process.exitCode = 7
`)

function spillway(...argv: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...argv], { encoding: 'utf8', timeout: 60_000 })
  return { status, out: stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as { args: string[], flags: string[], arenas?: string }), err: stderr }
}

test('the program gets its own options, its exit code is kept, and its memory is printed', () => {
  const { status, out, err } = spillway('run', '--tuned', program, '--tuned', '-h', 'x', '--', '--json')
  assert.equal(status, 7)
  assert.deepEqual(out[0]!.args, ['--tuned', '-h', 'x', '--', '--json'])
  assert.ok(out[0]!.flags.includes('--max-semi-space-size=1'))
  if (process.platform === 'linux') assert.match(err, /memory \(RSS\) +start +end +peak[^]*--max-semi-space-size=1.* MiB .* MiB .* MiB/)
})

test('--compare runs the program as it is first', () => {
  const { status, out, err } = spillway('run', '--compare', '--tuned', '--json', program)
  assert.equal(status, 7)
  assert.deepEqual(out.map(({ flags }) => flags.length > 0), [false, true])
  const ends = JSON.parse(err) as { name: string, memory?: { peakRssBytes: number } }[]
  assert.equal(ends[0]!.name, 'as it is')
  if (process.platform === 'linux') for (const { memory } of ends) assert.ok(memory!.peakRssBytes > 10e6)
})

test('an allocator is loaded or refused with its package, and then the program does not run', () => {
  const installed = findPreload('jemalloc').file !== undefined
  const { status, out, err } = spillway('run', '--allocator', 'jemalloc', program)
  if (installed) assert.equal(status, 7, err)
  else {
    assert.deepEqual([status, out], [1, []])
    assert.match(err, /libjemalloc2.*\(SPILLWAY_UNAVAILABLE\)/)
  }
  assert.equal(spillway('run', '--allocator', 'other', program).status, 2)
  assert.equal(spillway('run').status, 2)
  assert.match(spawnSync(process.execPath, [main, 'run', '--help'], { encoding: 'utf8' }).stdout, /--compare/)
})

test('memory of a process is read from its status', () => {
  assert.deepEqual(memoryIn('Name:\tnode\nVmHWM:\t   2000 kB\nVmRSS:\t   1000 kB\n'), { rssBytes: 1_024_000, peakBytes: 2_048_000 })
  assert.equal(memoryIn('Name:\tnode\nState:\tZ (zombie)\n'), undefined)
  assert.equal(memoryIn(undefined), undefined)
})
