import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { HostDirectory } from '../host.ts'
import { nodeHost } from './node-host.ts'

async function withDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-look-'))
  try {
    await body(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function withOpened<T>(directory: string, use: (opened: HostDirectory) => Promise<T>): Promise<T> {
  const opened = nodeHost().openDirectory(directory)
  try {
    return await use(opened)
  } finally {
    opened.close()
  }
}

/** Looking leaves the directory as it is. */
async function look(directory: string): Promise<void> {
  const stateOf = (): unknown => [readdirSync(directory), statSync(directory).mtimeMs]
  const before = stateOf()
  try {
    await withOpened(directory, opened => opened.checkUnlocked())
  } finally {
    assert.deepEqual(stateOf(), before)
  }
}

test('a lock of this process is seen for as long as it is held, and by looking it is neither taken nor lost', () => withDirectory(async directory => {
  await look(directory)
  const opened = nodeHost().openDirectory(directory)
  const lock = await opened.lock()
  for (let i = 0; i < 3; i++) await assert.rejects(look(directory), { code: 'SPILLWAY_LOCKED', message: /already open in this process/ })
  await lock.release()
  await look(directory)
  await (await opened.lock()).release()
  opened.close()
}))

test('one of another process is seen, with its pid, until that dies, however it dies', { timeout: 30_000 }, () => withDirectory(async directory => {
  const script = fileURLToPath(new URL('../testing/lock-child.js', import.meta.url))
  const child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'inherit'] })
  assert.equal((await createInterface(child.stdout)[Symbol.asyncIterator]().next()).value, 'locked')
  await assert.rejects(look(directory), { code: 'SPILLWAY_LOCKED', message: new RegExp(`in process ${child.pid} on `) })
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
  await look(directory)
}))

test('a lone note that is stale, of another machine, or no note does not prevent reading', () => withDirectory(async directory => {
  const note = { pid: process.pid, host: 'another-machine', since: '2026-01-01T00:00:00.000Z' }
  for (const text of ['', 'no note', JSON.stringify(note), JSON.stringify({ ...note, host: hostname(), pid: 2 ** 30 })]) {
    writeFileSync(join(directory, 'LOCK'), text)
    await look(directory)
  }
}))
