import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, linkSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { SpillwayError } from '../../base/errors.ts'
import type { HostLock } from '../host.ts'
import { NodeFiles } from './files.ts'
import { claimName } from './lock-claims.ts'
import { listen } from './lock-endpoint.ts'
import { newNote, readNote, stateOf } from './lock-note.ts'
import type { LockNote } from './lock-note.ts'
import { lockDirectory } from './lock.ts'
import { OpenedDirectory } from './opened-directory.ts'
import { startOf } from './process.ts'

const isLinux = process.platform === 'linux'
const canUnshare = isLinux && spawnSync('unshare', ['-n', 'true']).status === 0
const canMount = isLinux && spawnSync('unshare', ['-m', 'true']).status === 0
/** Short, for holders whose process cannot be checked. */
const patienceMs = 300

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-lock-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** Lock a directory; releasing it closes it too. */
async function take(path: string): Promise<HostLock> {
  const directory = new OpenedDirectory(path, new NodeFiles())
  try {
    const lock = await lockDirectory(directory.reference, { patienceMs })
    let isClosed = false
    return {
      isTakeover: lock.isTakeover,
      check: () => lock.check(),
      async release() {
        await lock.release()
        if (!isClosed) directory.close()
        isClosed = true
      },
    }
  } catch (error) {
    directory.close()
    throw error
  }
}

async function refusal(locking: Promise<unknown>): Promise<SpillwayError> {
  try {
    await locking
  } catch (error) {
    assert(error instanceof SpillwayError, String(error))
    assert.equal(error.code, 'SPILLWAY_LOCKED', error.message)
    return error
  }
  assert.fail('the lock was given twice')
}

/** A process that holds a lock. */
class Holder {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>

  /** `prefix`: what starts it, such as `unshare`. */
  constructor(directory: string, prefix: string[] = []) {
    const [command, ...args] = [...prefix, process.execPath, fileURLToPath(new URL('../testing/lock-child.js', import.meta.url)), directory]
    this.#child = spawn(command!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
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

/** A claim that another process left. */
function leave(directory: string, note: Partial<LockNote>, number = 1): string {
  const path = join(directory, claimName(number))
  writeFileSync(path, JSON.stringify({ ...newNote('0123456789abcdef', undefined, 0), ...note }))
  return path
}

/** A pid that no process has. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ['-e', ''])
  await new Promise(resolve => child.once('exit', resolve))
  return child.pid!
}

test('a second lock in this process is refused and says so; after release it is free and nothing is left', () => withDirectory(async directory => {
  const lock = await take(directory)
  lock.check()
  assert.equal(lock.isTakeover, false)
  const error = await refusal(take(directory))
  assert.match(error.message, new RegExp(`already open in this process \\(pid ${process.pid} `))
  assert.equal(error.details.pid, process.pid)
  const note = readNote(join(directory, claimName(1)))!
  assert.equal(note.host, hostname())
  assert(!Number.isNaN(Date.parse(note.since)))
  await lock.release()
  await lock.release()
  assert.deepEqual(readdirSync(directory), [])
  const next = await take(directory)
  // A release that comes twice does not take the lock from the next holder.
  await lock.release()
  await refusal(take(directory))
  next.check()
  await next.release()
}))

test('of many at once exactly one gets the lock, again and again', () => withDirectory(async directory => {
  for (let round = 0; round < 5; round++) {
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => take(directory)))
    const given = outcomes.filter(outcome => outcome.status === 'fulfilled')
    assert.equal(given.length, 1, `round ${round}`)
    for (const outcome of outcomes) if (outcome.status === 'rejected') assert.equal((outcome.reason as SpillwayError).code, 'SPILLWAY_LOCKED')
    given[0]!.value.check()
    await given[0]!.value.release()
    assert.deepEqual(readdirSync(directory), [])
  }
}))

test('of many at once exactly one gets the lock of one that died', () => withDirectory(async directory => {
  const dead = leave(directory, { pid: await deadPid() })
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => take(directory)))
  const given = outcomes.filter(outcome => outcome.status === 'fulfilled')
  assert.equal(given.length, 1)
  assert.equal(existsSync(dead), false)
  assert.equal(given[0]!.value.isTakeover, false)
  await given[0]!.value.release()
}))

test('other ways to the same directory meet the same lock, another directory does not', () => withDirectory(async directory => {
  const link = `${directory}-link`
  const moved = `${directory}-moved`
  symlinkSync(directory, link)
  try {
    const lock = await take(directory)
    await refusal(take(link))
    await refusal(take(join(directory, '.')))
    await withDirectory(async other => { await (await take(other)).release() })
    renameSync(directory, moved)
    await refusal(take(moved))
    lock.check()
    await lock.release()
    await (await take(moved)).release()
    renameSync(moved, directory)
  } finally {
    rmSync(link, { force: true })
  }
}))

test('another directory in the place of one that was renamed is another one', () => withDirectory(async parent => {
  const directory = join(parent, 'a')
  mkdirSync(directory)
  const lock = await take(directory)
  renameSync(directory, join(parent, 'b'))
  mkdirSync(directory)
  const other = await take(directory)
  lock.check()
  other.check()
  await lock.release()
  other.check()
  await other.release()
}))

test('the holder of the lock of a removed directory learns of it', { skip: !isLinux }, () => withDirectory(async parent => {
  const directory = join(parent, 'a')
  mkdirSync(directory)
  const lock = await take(directory)
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
  const next = await take(directory)
  assert.throws(() => lock.check(), { code: 'SPILLWAY_FENCED', message: /was removed while the store was open/ })
  await lock.release()
  next.check()
  assert.equal(readdirSync(directory).filter(name => /^LOCK-\d+$/.test(name)).length, 1)
  await next.release()
}))

test('a lock that is deleted by hand is lost, and reported as lost', () => withDirectory(async directory => {
  const lock = await take(directory)
  rmSync(join(directory, claimName(1)))
  const next = await take(directory)
  assert.throws(() => lock.check(), { code: 'SPILLWAY_FENCED', message: new RegExp(`process ${process.pid} on .* has taken `) })
  await lock.release()
  next.check()
  await next.release()
}))

test('a second process is refused with the pid of the first, and killing that frees the lock at once', { timeout: 30_000 }, () => withDirectory(async directory => {
  const holder = new Holder(directory)
  assert.equal(await holder.line(), 'locked')
  const error = await refusal(take(directory))
  assert.match(error.message, new RegExp(`in process ${holder.pid} on \\S+ since \\d{4}-`))
  assert.match(error.message, /Close the store there/)
  assert.equal(error.details.host, hostname())
  await holder.end('SIGKILL')
  // The claim and the socket are still there, but no process listens.
  assert.equal(existsSync(join(directory, claimName(1))), true)
  const lock = await take(directory)
  assert.equal(lock.isTakeover, false)
  assert.equal(existsSync(join(directory, claimName(1))), false)
  const child = new Holder(directory)
  assert.match(await child.line(), new RegExp(`in process ${process.pid} `))
  await child.end()
  await lock.release()
  assert.deepEqual(readdirSync(directory), [])
}))

test('a lock released by another process is free', { timeout: 30_000 }, () => withDirectory(async directory => {
  const holder = new Holder(directory)
  assert.equal(await holder.line(), 'locked')
  holder.release()
  assert.equal(await holder.line(), 'released')
  await holder.end()
  assert.deepEqual(readdirSync(directory), [])
  await (await take(directory)).release()
}))

test('two network namespaces meet the same lock', { skip: !canUnshare, timeout: 30_000 }, () => withDirectory(async directory => {
  const holder = new Holder(directory, ['unshare', '-n'])
  assert.equal(await holder.line(), 'locked')
  await refusal(take(directory))
  await holder.end('SIGKILL')
  const lock = await take(directory)
  const second = new Holder(directory, ['unshare', '-n'])
  assert.match(await second.line(), /is open in process/)
  await second.end()
  await lock.release()
}))

test('two containers, of which none sees the other\'s processes, meet the same lock', { skip: !canMount, timeout: 30_000 }, () => withDirectory(async directory => {
  const container = ['unshare', '--net', '--pid', '--mount', '--uts', '--fork', '--kill-child', '--mount-proc']
  const holder = new Holder(directory, container)
  assert.equal(await holder.line(), 'locked')
  const second = new Holder(directory, container)
  assert.match(await second.line(), /is open in process/)
  await second.end()
  await refusal(take(directory))
  // With it goes all that runs in it.
  await holder.end('SIGKILL')
  const third = new Holder(directory, container)
  assert.equal(await third.line(), 'locked')
  await third.end('SIGKILL')
}))

test('a bind mount is another way to the same directory', { skip: !canMount, timeout: 30_000 }, () => withDirectory(async directory => {
  const lock = await take(directory)
  const mount = mkdtempSync(join(tmpdir(), 'spillway-bind-'))
  try {
    const script = `mount --bind ${directory} ${mount} && exec ${process.execPath} ${fileURLToPath(new URL('../testing/lock-child.js', import.meta.url))} ${mount}`
    const output = execFileSync('unshare', ['-m', 'sh', '-c', script], { encoding: 'utf8', input: 'release\n' })
    assert.match(output, new RegExp(`${mount} is open in process ${process.pid} `))
  } finally {
    rmSync(mount, { recursive: true, force: true })
    await lock.release()
  }
}))

test('a lock does not hold the process open, and ends with it', { timeout: 30_000 }, () => withDirectory(async directory => {
  const code = `import { nodeHost } from ${JSON.stringify(new URL('./node-host.js', import.meta.url).href)}
    await nodeHost().openDirectory(${JSON.stringify(directory)}).lock()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], { stdio: 'inherit' })
  assert.equal(await new Promise(resolve => child.once('exit', resolve)), 0)
  await (await take(directory)).release()
}))

test('another thread of this process is refused too', { timeout: 30_000 }, () => withDirectory(async directory => {
  const lock = await take(directory)
  const code = `const { parentPort } = require('node:worker_threads')
    import(${JSON.stringify(new URL('./node-host.js', import.meta.url).href)})
      .then(({ nodeHost }) => nodeHost().openDirectory(${JSON.stringify(directory)}).lock())
      .then(() => parentPort.postMessage('locked'), error => parentPort.postMessage(error.message))`
  const worker = new Worker(code, { eval: true })
  const message = await new Promise(resolve => worker.once('message', resolve))
  assert.match(String(message), /already open in this process/)
  await worker.terminate()
  await lock.release()
}))

test('workers of a cluster do not share a lock', { timeout: 30_000 }, () => withDirectory(async directory => {
  const code = `import cluster from 'node:cluster'
    import { nodeHost } from ${JSON.stringify(new URL('./node-host.js', import.meta.url).href)}
    if (cluster.isPrimary) {
      const all = [cluster.fork(), cluster.fork()]
      const said = []
      for (const worker of all) worker.on('message', message => {
        said.push(message)
        if (said.length === 2) { console.log(said.sort().join(' ')); for (const each of all) each.kill() }
      })
    } else {
      nodeHost().openDirectory(${JSON.stringify(directory)}).lock().then(() => 'locked', error => error.code).then(message => process.send(message))
    }`
  const file = join(directory, 'cluster.mjs')
  writeFileSync(file, code)
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', chunk => { output += String(chunk) })
  await new Promise(resolve => child.once('close', resolve))
  assert.equal(output.trim(), 'SPILLWAY_LOCKED locked')
}))

test('the clock decides nothing', t => withDirectory(async directory => {
  const lock = await take(directory)
  const real = Date.now
  for (const shiftMs of [6000, 3_600_000, -3_600_000]) {
    t.mock.method(Date, 'now', () => real() + shiftMs)
    assert.match((await refusal(take(directory))).message, /already open in this process/)
    t.mock.restoreAll()
  }
  await lock.release()
}))

test('a long path has its socket too', () => withDirectory(async parent => {
  const directory = join(parent, 'd'.repeat(120), 'e'.repeat(120))
  mkdirSync(directory, { recursive: true })
  const lock = await take(directory)
  if (isLinux) assert.notEqual(readNote(join(directory, claimName(1)))!.endpoint, undefined)
  await refusal(take(directory))
  await lock.release()
}))

// What follows has no socket to ask, as on file systems that hold none.

test('without a socket: a living process is refused, one that died or whose pid is another\'s now is not', { skip: !isLinux }, () => withDirectory(async directory => {
  leave(directory, { pid: process.ppid, start: startOf(process.ppid) })
  assert.match((await refusal(take(directory))).message, new RegExp(`in process ${process.ppid} `))
  leave(directory, { pid: process.ppid, start: '1' })
  await (await take(directory)).release()
  leave(directory, { pid: process.pid })
  assert.match((await refusal(take(directory))).message, /already open in this process/)
  leave(directory, { start: '1' })
  await (await take(directory)).release()
  leave(directory, { boot: 'an earlier one', pid: process.ppid, start: startOf(process.ppid) })
  const lock = await take(directory)
  assert.equal(lock.isTakeover, false)
  await lock.release()
}))

test('without a socket: where pids say nothing, who promised no sign of life is believed, and the message says what to do', () => withDirectory(async directory => {
  const path = leave(directory, { table: 'pid:[1]', host: 'elsewhere', pid: 77 })
  assert.match((await refusal(take(directory))).message, new RegExp(`in process 77 on elsewhere since .* delete ${path}$`))
  rmSync(path)
  await (await take(directory)).release()
}))

test('without a socket: a holder elsewhere is watched, and taken over only when it is silent', () => withDirectory(async directory => {
  const path = leave(directory, { table: 'pid:[1]', beatMs: 50 })
  let beats = 0
  const timer = setInterval(() => utimesSync(path, ++beats, beats), 50)
  await refusal(take(directory))
  clearInterval(timer)
  const lock = await take(directory)
  assert.equal(lock.isTakeover, true)
  assert.equal(existsSync(path), false)
  await lock.release()
}))

test('without a socket: of another machine\'s boot nothing is known', () => withDirectory(async directory => {
  const path = leave(directory, { boot: 'another one' })
  const note = readNote(path)!
  assert.equal(stateOf(note, true), isLinux ? 'ended' : 'running')
  assert.equal(stateOf(note, false), isLinux ? 'unknown' : 'running')
}))

test('a claim that cannot be read is watched: it may be about to be written', () => withDirectory(async directory => {
  const path = join(directory, claimName(7))
  writeFileSync(path, '')
  const timer = setTimeout(() => writeFileSync(path, JSON.stringify(newNote('abc', undefined, 0))), 100)
  await refusal(take(directory))
  clearTimeout(timer)
  writeFileSync(path, '{"pid":')
  const lock = await take(directory)
  assert.equal(lock.isTakeover, true)
  await lock.release()
}))

test('a socket that another file system shows is not asked', { skip: !isLinux }, () => withDirectory(async directory => {
  const listener = (await listen(directory, 'aa'))!
  const { endpoint } = listener
  // As its holder sees it, it is another one; no process listens on ours, which proves nothing.
  leave(directory, { endpoint: { ...endpoint, device: '1' }, pid: process.ppid, start: startOf(process.ppid) })
  await refusal(take(directory))
  await listener.close()
}))

test('sockets without a claim are removed once they are old', { skip: !isLinux }, () => withDirectory(async directory => {
  const listener = (await listen(directory, 'bb'))!
  linkSync(join(directory, 'LOCK-bb.sock'), join(directory, 'LOCK-cc.sock'))
  await listener.close()
  await (await take(directory)).release()
  assert.deepEqual(readdirSync(directory), ['LOCK-cc.sock'])
  utimesSync(join(directory, 'LOCK-cc.sock'), 1, 1)
  await (await take(directory)).release()
  assert.deepEqual(readdirSync(directory), [])
}))

test('the lock of earlier builds is seen: by its name in the kernel, or by its note', { skip: !isLinux, timeout: 30_000 }, () => withDirectory(async directory => {
  const note = { pid: process.ppid, host: hostname(), since: '2026-01-01T00:00:00.000Z', token: 'x', processStart: 1 }
  const path = join(directory, 'LOCK')
  writeFileSync(path, JSON.stringify(note))
  const { reference, close } = openedOf(directory)
  const { createHash } = await import('node:crypto')
  const { createServer } = await import('node:net')
  const name = createHash('sha256').update(`${directory}\0${reference.device}\0${reference.inode}`).digest('hex').slice(0, 32)
  const server = createServer().listen({ path: `\0spillway-${name}` })
  await new Promise(resolve => server.once('listening', resolve))
  assert.match((await refusal(take(directory))).message, new RegExp(`in process ${process.ppid} on .* since 2026-01-01`))
  await new Promise(resolve => server.close(resolve))
  close()
  // Its process began at another time: the note is stale.
  const lock = await take(directory)
  assert.equal(existsSync(path), false)
  await lock.release()
  // In another container it may live still.
  writeFileSync(path, JSON.stringify({ ...note, host: 'elsewhere' }))
  assert.match((await refusal(take(directory))).message, new RegExp(`on elsewhere since .* delete ${path}$`))
  // And here it does.
  const bootMs = Date.now() - Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000
  writeFileSync(path, JSON.stringify({ ...note, processStart: Math.round(bootMs + Number(startOf(process.ppid)) * 10) }))
  await refusal(take(directory))
}))

function openedOf(path: string): { reference: OpenedDirectory['reference'], close: () => void } {
  const directory = new OpenedDirectory(path, new NodeFiles())
  return { reference: directory.reference, close: () => directory.close() }
}
