import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { open as openFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { SpillwayError } from '../../base/errors.ts'
import type { JobRunner } from '../host.ts'
import * as module from '../testing/jobs.ts'
import { run, runnerContract, sharedWords } from '../testing/runner-contract.ts'
import { nodeRunner } from './runner.ts'
import { WorkerRunner } from './worker-runner.ts'

const MIB = 2 ** 20
const make = (mode: 'worker' | 'inline', heapBytes = 32 * MIB): JobRunner => {
  return nodeRunner({ worker: module.workerUrl, module, mode, heapBytes })
}

runnerContract('worker', () => make('worker'), { isThreaded: true, isCopying: true })
runnerContract('inline', () => make('inline'), { isThreaded: false, isCopying: false })

test('inline jobs let the event loop turn', async () => {
  const runner = make('inline')
  const words = sharedWords(2)
  const waited = run(runner, 'waitFor', { words })
  setTimeout(() => { Atomics.store(words, 0, 1) }, 5)
  assert.equal((await waited).result, 'waited')
  await runner.close()
})

test('closing an inline runner runs the finally blocks of its jobs', async () => {
  const runner = make('inline')
  const words = sharedWords(1)
  const dropped = run(runner, 'cleanUp', { words })
  await new Promise(resolve => setImmediate(resolve))
  await runner.close()
  assert.equal((await dropped).error !== undefined, true)
  assert.equal(words[0], 1)
})

test('a worker that was prepared is the one that runs the first job, and one that never runs any is closed', async () => {
  const runner = make('worker')
  runner.prepare!()
  runner.prepare!()
  assert.equal(runner.pending, 0)
  const words = sharedWords(2)
  Atomics.store(words, 0, 1)
  assert.equal((await run(runner, 'waitFor', { words })).result, 'waited')
  await runner.close()
  runner.prepare!()
  const idle = make('worker')
  idle.prepare!()
  await idle.close()
})

test('a worker job reads and writes real files', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-runner-'))
  const runner = make('worker')
  const path = join(directory, 'a')
  assert.equal((await run(runner, 'writeFile', { path, text: 'of the worker' })).result, 13)
  assert.equal(readFileSync(path, 'utf8'), 'of the worker')
  assert.equal(((await run(runner, 'writeFile', { path, text: '' })).error as NodeJS.ErrnoException).code, 'EEXIST')
  await runner.close()
  rmSync(directory, { recursive: true })
})

for (const [job, reason] of [['exit', /exited with code 7/], ['exhaustMemory', /memory/]] as const) {
  test(`a worker that dies (${job}) fails its jobs, and the next job gets a new one`, { timeout: 60_000 }, async () => {
    const runner = make('worker', 16 * MIB)
    const other = run(runner, 'waitFor', { words: sharedWords(2) }, 9)
    const { error } = await run(runner, job)
    assert.equal((error as SpillwayError).code, 'SPILLWAY_UNAVAILABLE')
    assert.match(error!.message, /the worker died: /)
    const otherError = (await other).error as SpillwayError
    assert.equal(otherError.code, 'SPILLWAY_UNAVAILABLE')
    assert.match(otherError.message, reason)
    assert.equal(runner.pending, 0)
    assert.deepEqual((await run(runner, 'add', { a: 1, b: 1 })).result, { sum: 2 })
    await runner.close()
  })

  test(`a worker that dies (${job}) is noticed without the event loop`, { timeout: 60_000 }, async () => {
    const runner = make('worker', 16 * MIB)
    const codes: unknown[] = []
    runner.submit({ name: 'waitFor', args: { words: sharedWords(2) }, priority: 9 }, error => {
      codes.push((error as SpillwayError).code)
    })
    let isOver = false
    runner.submit({ name: job, args: {}, priority: 1 }, () => { isOver = true })
    while (runner.pump(true)) { /* until nothing is left */ }
    assert(isOver)
    assert.deepEqual(codes, ['SPILLWAY_UNAVAILABLE'])
    let result: unknown
    runner.submit({ name: 'add', args: { a: 1, b: 1 }, priority: 1 }, (_, value) => { result = value })
    assert.equal(runner.pump(true), true)
    assert.deepEqual(result, { sum: 2 })
    await runner.close()
  })
}

for (const wait of ['the event loop', 'pump'] as const) {
  test(`a worker that dies between two jobs loses at most the next one, and says so (${wait})`, { timeout: 60_000 }, async () => {
    const runner = make('worker')
    assert.equal((await run(runner, 'throwLater')).result, 'fine')
    for (let attempt = 0; ; attempt++) {
      assert(attempt < 2)
      const outcome = run(runner, 'add', { a: 1, b: 1 })
      if (wait === 'pump') runner.pump(true)
      const { error, result } = await outcome
      if (error === undefined) {
        assert.deepEqual(result, { sum: 2 })
        break
      }
      assert.equal((error as SpillwayError).code, 'SPILLWAY_UNAVAILABLE')
    }
    await runner.close()
  })
}

test('a worker makes files durable beside its thread while it has other jobs, and by itself otherwise', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-runner-'))
  const runner = make('worker')
  const words = sharedWords(2)
  try {
    assert.equal((await run(runner, 'syncFile', { path: join(directory, 'a') }, 0)).result, 'here')
    const others = run(runner, 'waitFor', { words })
    assert.equal((await run(runner, 'syncFile', { path: join(directory, 'b') }, 0)).result, 'beside')
    // Without the event loop of this thread too.
    const last = run(runner, 'syncFile', { path: join(directory, 'c') }, 0)
    while (runner.pending > 1) runner.pump(true)
    assert.equal((await last).error, undefined)
    Atomics.store(words, 0, 1)
    assert.equal((await others).result, 'waited')
  } finally {
    await runner.close()
    rmSync(directory, { recursive: true })
  }
})

test('a worker does not wait for a thread pool that the program keeps busy', { skip: process.platform === 'win32', timeout: 30_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-runner-'))
  const pipe = join(directory, 'pipe')
  execFileSync('mkfifo', [pipe])
  const runner = make('worker')
  const words = sharedWords(2)
  // Loading its modules is what it does need the pool for.
  await run(runner, 'add', { a: 1, b: 2 })
  // Each holds a thread of the pool until the pipe is written to.
  const readers = Array.from({ length: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) }, () => openFile(pipe, 'r'))
  let writer: number | undefined
  const free = setTimeout(() => { writer = openSync(pipe, 'r+') }, 10_000)
  try {
    const others = run(runner, 'waitFor', { words })
    assert.equal((await run(runner, 'syncFile', { path: join(directory, 'a') }, 0)).result, 'beside')
    assert.equal(writer, undefined, 'the pool was still busy')
    // The thread has not been told yet how that one ended: it begins no other.
    assert.equal((await run(runner, 'syncFile', { path: join(directory, 'b') }, 0)).result, 'here')
    Atomics.store(words, 0, 1)
    await others
  } finally {
    clearTimeout(free)
    writer ??= openSync(pipe, 'r+')
    for (const reader of await Promise.all(readers)) await reader.close()
    closeSync(writer)
    await runner.close()
    rmSync(directory, { recursive: true })
  }
})

test('a worker that makes no step for too long is given up, and what it says later is ignored', async () => {
  const runner = new WorkerRunner({ worker: module.workerUrl, heapBytes: 32 * MIB, silenceMs: 500 })
  const words = sharedWords(1)
  const errors: Error[] = []
  runner.submit({ name: 'hang', args: { words }, priority: 1 }, error => { errors.push(error!) })
  Atomics.wait(words, 0, 0)
  assert.equal(runner.pump(true), true)
  assert.match(errors[0]!.message, /the worker died: it made no step for/)
  assert.deepEqual((await run(runner, 'add', { a: 1, b: 1 })).result, { sum: 2 })
  await runner.close()
  assert.equal(errors.length, 1)
})

test('close stops a worker that never yields', async () => {
  const runner = make('worker')
  const words = sharedWords(1)
  const hanging = run(runner, 'hang', { words })
  Atomics.wait(words, 0, 0)
  await runner.close()
  assert.equal(((await hanging).error as SpillwayError).code, 'SPILLWAY_ABORTED')
})

for (const wait of ['the event loop', 'pump'] as const) {
  test(`a worker whose file is missing fails each job at once (${wait})`, async () => {
    const worker = new URL('./no-such-module.js', import.meta.url)
    const runner = new WorkerRunner({ worker, heapBytes: 32 * MIB })
    for (let i = 0; i < 2; i++) {
      const outcome = run(runner, 'add', { a: 1, b: 1 })
      if (wait === 'pump') assert.equal(runner.pump(true), true)
      const error = (await outcome).error as SpillwayError
      assert.equal(error.code, 'SPILLWAY_UNAVAILABLE')
      assert.match(error.message, /no worker could be started: there is no file .*no-such-module/)
    }
    await runner.close()
  })
}

test('a worker can be a text of code', async () => {
  const worker = (): string => `require('node:worker_threads'); import(${JSON.stringify(module.workerUrl.href)})`
  const runner = nodeRunner({ worker, module, mode: 'worker', heapBytes: 32 * MIB })
  assert.deepEqual((await run(runner, 'add', { a: 1, b: 1 })).result, { sum: 2 })
  await runner.close()
})

test('what the program loads first is not loaded by the worker', { timeout: 60_000 }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-runner-'))
  try {
    const first = join(directory, 'first.cjs')
    writeFileSync(first, "if (!require('node:worker_threads').isMainThread) throw new Error('not for workers')")
    const script = fileURLToPath(new URL('../testing/runner-child.js', import.meta.url))
    const env = { ...process.env, NODE_OPTIONS: `--require ${JSON.stringify(first)}` }
    assert.equal(execFileSync(process.execPath, [script, 'idle'], { env, encoding: 'utf8' }), 'end of script\n{"sum":3}\n')
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a thread that finds no file descriptors is told at once, and starts when there are some again', { skip: process.platform === 'win32', timeout: 30_000 }, () => {
  const script = fileURLToPath(new URL('../testing/descriptors-child.js', import.meta.url))
  const output = execFileSync('sh', ['-c', 'ulimit -n 100; exec "$0" "$1"', process.execPath, script], { encoding: 'utf8' })
  assert.equal(output, 'true\ntrue\ntrue\n{"sum":3}\n')
})

test('shared memory is shared with the worker, not copied', async () => {
  const runner = make('worker')
  const words = sharedWords(2)
  assert.equal((await run(runner, 'raise', { words })).result, 'raised')
  assert.equal(words[0], 1)
  await runner.close()
})

for (const mode of ['idle', 'unused', 'busy'] as const) {
  test(`a forgotten runner does not hold the process open (${mode})`, { timeout: 30_000 }, async () => {
    const script = fileURLToPath(new URL('../testing/runner-child.js', import.meta.url))
    const child = spawn(process.execPath, [script, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
    let output = ''
    child.stdout.on('data', chunk => { output += String(chunk) })
    const code = await new Promise(resolve => child.on('close', resolve))
    assert.equal(code, 0)
    // A job that is awaited does hold it.
    assert.equal(output, mode === 'unused' ? 'end of script\n' : 'end of script\n{"sum":3}\n')
  })
}

test('an idle worker uses no processor time', async () => {
  const runner = make('worker')
  await run(runner, 'add', { a: 1, b: 2 })
  const before = process.cpuUsage()
  await new Promise(resolve => setTimeout(resolve, 300))
  const { user, system } = process.cpuUsage(before)
  assert((user + system) / 1000 < 150, `${(user + system) / 1000} ms of processor time in 300 ms`)
  await runner.close()
})
