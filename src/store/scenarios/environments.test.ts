import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { OpenOptions } from '../api/options.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-environment-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const dist = fileURLToPath(new URL('../..', import.meta.url))
const CHILD = fileURLToPath(new URL('../testing/environment-child.js', import.meta.url))
const WORKER: OpenOptions = { budget: '24 MiB' }

interface Outcome {
  background?: string
  backgroundReason?: string
  flushes?: number
  code?: string
  message?: string
  stderr: string
}

let stores = 0

/** The smoke in a process of its own: `before` is what stands before node's own path. */
function outcome(flags: string[], options: OpenOptions, { script = CHILD, before = [] as string[], dir = join(directory, `s${stores++}`) } = {}): Outcome {
  const [command, ...args] = [...before, process.execPath, ...flags, script, dir, JSON.stringify(options)]
  const { stdout, stderr, error } = spawnSync(command!, args, { encoding: 'utf8', timeout: 120_000, cwd: directory })
  if (error !== undefined) throw error
  assert.notEqual(stdout, '', stderr)
  return { ...JSON.parse(stdout) as object, stderr }
}

function assertWorks({ background, flushes, code, message }: Outcome, expected: string): void {
  assert.equal(code, undefined, message)
  assert.equal(message, undefined)
  assert.equal(background, expected)
  assert(flushes! > 0)
}

// ---- Node's permission model

const model = process.allowedNodeEnvironmentFlags.has('--permission') ? '--permission' : '--experimental-permission'
const grants = [model, `--allow-fs-read=${dist}`, `--allow-fs-read=${directory}`, `--allow-fs-write=${directory}`]
if (process.allowedNodeEnvironmentFlags.has('--allow-net')) grants.push('--allow-net')

test('under the permission model a store works, with a worker where that is granted', () => {
  assertWorks(outcome([...grants, '--allow-worker'], WORKER), 'worker')
})

test('under the permission model without --allow-worker jobs run on the main thread; stats and one warning say why', () => {
  const found = outcome(grants, WORKER)
  assertWorks(found, 'inline')
  assert.match(found.backgroundReason!, /--allow-worker/)
  assert.equal(found.stderr.match(/SPILLWAY_INLINE/g)?.length, 1, found.stderr)
})

test('what would run on the main thread anyway needs no warning', () => {
  const found = outcome(grants, { budget: '8 MiB' })
  assertWorks(found, 'inline')
  assert.match(found.backgroundReason!, /below 24/)
  assert.doesNotMatch(found.stderr, /SPILLWAY/)
})

test('durability that the permission model does not allow is refused at open', () => {
  const { code, message } = outcome(grants, { ...WORKER, durability: 'disk' })
  assert.equal(code, 'SPILLWAY_UNAVAILABLE')
  assert.match(message!, /durability 'disk' cannot be had, because .* refuses fsync.* Use durability 'os', or run without --permission$/)
})

// ---- WebAssembly

test('without WebAssembly a store is refused at open, in one sentence', () => {
  const { code, message } = outcome(['--jitless'], WORKER)
  assert.equal(code, 'SPILLWAY_UNAVAILABLE')
  assert.match(message!, /need WebAssembly.* Run it without --jitless$/)
})

// The first does not suffice for one memory in some versions of Node, the second for those of two threads.
for (const gibibytes of [4, 14]) {
  test(`a process with ${gibibytes} GiB of addresses has a store or is told what it lacks`, { skip: process.platform !== 'linux' }, () => {
    const before = ['/bin/sh', '-c', `ulimit -v ${gibibytes * 2 ** 20} && exec "$@"`, 'sh']
    const found = outcome([], WORKER, { before })
    if (found.code === undefined) {
      assertWorks(found, 'worker')
      return
    }
    assert.equal(found.code, 'SPILLWAY_UNAVAILABLE', found.message)
    assert.match(found.message!, /ulimit -v.*--disable-wasm-trap-handler/)
    assertWorks(outcome(['--disable-wasm-trap-handler'], WORKER, { before }), 'worker')
  })
}

// ---- bundles

const esbuild = createRequire(import.meta.url)('esbuild') as { buildSync(options: object): void }

for (const format of ['esm', 'cjs'] as const) {
  test(`a bundle of one file, ${format}, has its worker with it`, () => {
    const script = join(directory, format === 'esm' ? 'bundle.mjs' : 'bundle.cjs')
    const entry = join(directory, `entry-${format}.js`)
    // CommonJS knows no await outside of functions.
    writeFileSync(entry, `
      import { Spillway } from ${JSON.stringify(join(dist, 'index.js'))}
      import { smoke } from ${JSON.stringify(join(dist, 'store/testing/smoke.js'))}
      smoke(Spillway, process.argv[2], JSON.parse(process.argv[3])).then(
        found => console.log(JSON.stringify(found)), ({ code, message }) => console.log(JSON.stringify({ code, message })))`)
    esbuild.buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format, outfile: script, logLevel: 'warning', minify: true })
    assertWorks(outcome([], WORKER, { script }), 'worker')
  })
}
