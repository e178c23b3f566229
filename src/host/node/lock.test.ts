import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { SpillwayError } from '../../base/errors.ts'
import { lockFile } from './lock-file.ts'
import { newNote } from './lock-note.ts'
import { kernelName, lockDirectory } from './lock.ts'

const hasKernelNames = kernelName(tmpdir()) !== undefined

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-lock-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function refusal(locking: Promise<unknown>): Promise<SpillwayError> {
  try {
    await locking
  } catch (error) {
    assert(error instanceof SpillwayError, String(error))
    assert.equal(error.code, 'SPILLWAY_LOCKED')
    return error
  }
  assert.fail('the lock was given twice')
}

class Holder {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  constructor(directory: string) {
    const script = fileURLToPath(new URL('../testing/lock-child.js', import.meta.url))
    this.#child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface(this.#child.stdout!)[Symbol.asyncIterator]()
  }

  get pid(): number { return this.#child.pid! }

  async line(): Promise<string> {
    return String((await this.#lines.next()).value)
  }

  release(): void {
    this.#child.stdin!.write('release\n')
  }

  async end(signal?: NodeJS.Signals): Promise<void> {
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    if (signal !== undefined) this.#child.kill(signal)
    await ended
  }
}

test('names of abstract sockets are short enough', { skip: process.platform !== 'linux' }, () => {
  const name = kernelName(tmpdir())!
  assert.equal(name[0], '\0')
  assert(Buffer.byteLength(name) <= 107)
})

test('a second lock in this process is refused and says so; after release it is free', () => withDirectory(async directory => {
  const lock = await lockDirectory(directory)
  const error = await refusal(lockDirectory(directory))
  assert.match(error.message, new RegExp(`already open in this process \\(pid ${process.pid} `))
  assert.equal(error.details.pid, process.pid)
  const note = JSON.parse(readFileSync(join(directory, 'LOCK'), 'utf8')) as { pid: number; host: string; since: string }
  assert.equal(note.pid, process.pid)
  assert.equal(note.host, hostname())
  assert(!Number.isNaN(Date.parse(note.since)))
  await lock.release()
  await lock.release()
  assert.equal(existsSync(join(directory, 'LOCK')), false)
  const next = await lockDirectory(directory)
  // A release that comes twice does not take the lock from the next holder.
  await lock.release()
  await refusal(lockDirectory(directory))
  await next.release()
}))

test('of many at once exactly one gets the lock', () => withDirectory(async directory => {
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockDirectory(directory)))
  const given = outcomes.filter(outcome => outcome.status === 'fulfilled')
  assert.equal(given.length, 1)
  await given[0]!.value.release()
}))

test('another way to the same directory meets the same lock, another directory does not', { skip: !hasKernelNames }, () => withDirectory(async directory => {
  const link = `${directory}-link`
  symlinkSync(directory, link)
  try {
    const lock = await lockDirectory(directory)
    await refusal(lockDirectory(link))
    await refusal(lockDirectory(join(directory, '.')))
    await withDirectory(async other => { await (await lockDirectory(other)).release() })
    await lock.release()
  } finally {
    rmSync(link)
  }
}))

test('a missing directory is ENOENT', { skip: !hasKernelNames }, async () => {
  await assert.rejects(lockDirectory(join(tmpdir(), 'spillway-not-there')), { code: 'ENOENT' })
})

test('a second process is refused with the pid of the first, and killing that frees the lock at once', { timeout: 30_000 }, () => withDirectory(async directory => {
  const holder = new Holder(directory)
  assert.equal(await holder.line(), 'locked')
  const error = await refusal(lockDirectory(directory))
  assert.match(error.message, new RegExp(`in process ${holder.pid} on \\S+ since \\d{4}-`))
  assert.match(error.message, /Close the store there/)
  assert.equal(error.details.host, hostname())
  await holder.end('SIGKILL')
  // The note is still there, and stale: it does not lock.
  assert.equal(existsSync(join(directory, 'LOCK')), true)
  const lock = await lockDirectory(directory)
  const child = new Holder(directory)
  assert.match(await child.line(), new RegExp(`in process ${process.pid} `))
  await child.end()
  await lock.release()
}))

test('a lock released by another process is free, and its note is gone', { timeout: 30_000 }, () => withDirectory(async directory => {
  const holder = new Holder(directory)
  assert.equal(await holder.line(), 'locked')
  holder.release()
  assert.equal(await holder.line(), 'released')
  await holder.end()
  assert.equal(existsSync(join(directory, 'LOCK')), false)
  await (await lockDirectory(directory)).release()
}))

test('a lock does not hold the process open, and ends with it', { timeout: 30_000 }, () => withDirectory(async directory => {
  const code = `import { lockDirectory } from ${JSON.stringify(new URL('./lock.js', import.meta.url).href)}
    await lockDirectory(${JSON.stringify(directory)})`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
  assert.equal(await new Promise(resolve => child.once('exit', resolve)), 0)
  await (await lockDirectory(directory)).release()
}))

test('another thread of this process is refused too', { timeout: 30_000 }, () => withDirectory(async directory => {
  const lock = await lockDirectory(directory)
  const code = `const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(new URL('./lock.js', import.meta.url).href)})
      .then(({ lockDirectory }) => lockDirectory(${JSON.stringify(directory)}))
      .then(() => parentPort.postMessage('locked'), error => parentPort.postMessage(error.message))`
  const worker = new Worker(code, { eval: true })
  const message = await new Promise(resolve => worker.once('message', resolve))
  assert.match(String(message), /already open in this process/)
  await worker.terminate()
  await lock.release()
}))

test('workers of a cluster do not share a lock', { timeout: 30_000 }, () => withDirectory(async directory => {
  const code = `import cluster from 'node:cluster'
    import { lockDirectory } from ${JSON.stringify(new URL('./lock.js', import.meta.url).href)}
    if (cluster.isPrimary) {
      const all = [cluster.fork(), cluster.fork()]
      const said = []
      for (const worker of all) worker.on('message', message => {
        said.push(message)
        if (said.length === 2) { console.log(said.sort().join(' ')); for (const each of all) each.kill() }
      })
    } else {
      lockDirectory(${JSON.stringify(directory)}).then(() => 'locked', error => error.code).then(message => process.send(message))
    }`
  const file = join(directory, 'cluster.mjs')
  writeFileSync(file, code)
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  await new Promise(resolve => child.once('close', resolve))
  assert.equal(output.trim(), 'SPILLWAY_LOCKED locked')
}))

test('an unreadable note does not hide the refusal', { timeout: 30_000 }, () => withDirectory(async directory => {
  const lock = await lockDirectory(directory)
  writeFileSync(join(directory, 'LOCK'), '{"pid":')
  assert.match((await refusal(lockDirectory(directory))).message, /is open in another process/)
  await lock.release()
}))

test('lock file: the second is refused, release frees it', () => withDirectory(async directory => {
  const lock = await lockFile(directory)
  assert.match((await refusal(lockFile(directory))).message, /already open in this process/)
  await lock.release()
  const next = await lockFile(directory)
  await lock.release()
  await refusal(lockFile(directory))
  await next.release()
}))

test('lock file: of many at once exactly one gets a stale lock', () => withDirectory(async directory => {
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise(resolve => child.once('exit', resolve))
  writeFileSync(join(directory, 'LOCK'), JSON.stringify({ ...newNote(), pid: child.pid }))
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFile(directory)))
  assert.equal(outcomes.filter(outcome => outcome.status === 'fulfilled').length, 1)
}))

test('lock file: a living process, one on another machine and one that cannot be read are not broken', () => withDirectory(async directory => {
  const path = join(directory, 'LOCK')
  writeFileSync(path, JSON.stringify({ ...newNote(), pid: process.ppid }))
  assert.match((await refusal(lockFile(directory))).message, new RegExp(`in process ${process.ppid} .* delete `))
  writeFileSync(path, JSON.stringify({ ...newNote(), pid: 999_999_999, host: 'elsewhere' }))
  assert.match((await refusal(lockFile(directory))).message, /on elsewhere since .* delete /)
  writeFileSync(path, '')
  assert.match((await refusal(lockFile(directory))).message, /delete /)
  renameSync(path, `${path}-old`)
  await (await lockFile(directory)).release()
}))

test('lock file: the note of an earlier process with our pid is stale', () => withDirectory(async directory => {
  writeFileSync(join(directory, 'LOCK'), JSON.stringify({ ...newNote(), processStart: 1 }))
  await (await lockFile(directory)).release()
}))
