import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs, { mkdtempSync, rmSync, statSync, truncateSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileError } from '../file-error.ts'
import { bytesOf, filesContract, textOf } from '../testing/files-contract.ts'
import type { JobWait, Syncable } from '../host.ts'
import type { FilesEnvironment } from '../testing/files-contract.ts'
import { NodeFiles } from './files.ts'
import { beginSync, lateSyncError } from './sync-wait.ts'

function environment(files: NodeFiles): FilesEnvironment {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-files-'))
  return { files, directory, close: () => { rmSync(directory, { recursive: true }) } }
}

filesContract('node files', () => environment(new NodeFiles()))

filesContract('node files without hard links', () => environment(new NodeFiles((from, to) => {
  statSync(from)
  throw fileError('EPERM', 'link', to)
})))

test('positions beyond 2^32 are read and written', async () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    const far = 2 ** 32 + 12_345
    const file = files.create(join(directory, 'sparse'))
    file.writeSync(bytesOf('far'), 0, 3, far)
    assert.equal(file.size(), far + 3)
    const target = new Uint8Array(3)
    assert.equal(file.readSync(target, 0, 3, far), 3)
    assert.equal(textOf(target), 'far')
    target.fill(0)
    assert.equal(await file.read(target, 0, 3, far), 3)
    assert.equal(textOf(target), 'far')
    file.truncate(2 ** 31 + 1)
    assert.equal(file.size(), 2 ** 31 + 1)
    file.close()
  } finally {
    close()
  }
})

test('readAll gives bytes of their own, at offset 0 of their buffer', () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    files.publish(join(directory, 'a'), bytesOf('abc'))
    const bytes = files.readAll(join(directory, 'a'))
    assert.equal(Object.getPrototypeOf(bytes), Uint8Array.prototype)
    assert.equal(bytes.byteOffset, 0)
    assert.equal(bytes.buffer.byteLength, 3)
  } finally {
    close()
  }
})

test('a file cut by someone else reads short, without an error', () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    const path = join(directory, 'a')
    files.publish(path, new Uint8Array(10_000).fill(1))
    const file = files.openRead(path)
    truncateSync(path, 100)
    assert.equal(file.readSync(new Uint8Array(10_000), 0, 10_000, 0), 100)
    file.close()
  } finally {
    close()
  }
})

test('a link that fails for a real reason is an error, and no temporary file stays', () => {
  const { files, directory, close } = environment(new NodeFiles((_, to) => { throw fileError('ENOSPC', 'link', to) }))
  try {
    assert.throws(() => { files.publish(join(directory, 'a'), bytesOf('abc')) }, { code: 'ENOSPC' })
    assert.deepEqual(files.list(directory), [])
  } finally {
    close()
  }
})

/** An operation off the main thread, which the test ends. */
class Beside implements JobWait {
  isOver = false
  onOver = (): void => {}
  readonly path: string
  readonly #error: Error | undefined
  constructor(file: Syncable, error?: Error) {
    this.path = file.path
    this.#error = error
  }

  end(): void { this.isOver = true }
  check(): void { if (this.#error !== undefined) throw this.#error }
}

for (const [name, link] of [['', undefined], [' without hard links', () => { throw fileError('EPERM', 'link', 'b') }]] as const) {
  test(`publishing in steps${name} makes all durable off the main thread: no name before its content, no success before the name is durable`, () => {
    const { files, directory, close } = environment(new NodeFiles(link))
    try {
      const path = join(directory, 'a')
      const waits: Beside[] = []
      const job = files.publishInSteps(path, bytesOf('whole'), file => {
        waits.push(new Beside(file))
        return waits.at(-1)
      })
      let last = ''
      for (let step = job.next(); step.done !== true; step = job.next()) {
        const wait = step.value as Beside
        assert.equal(wait, waits.at(-1), 'nothing goes on before what it waits for is over')
        last = wait.path
        if (waits.length === 1) assert.equal(files.exists(path), false)
        assert.equal(job.next().value, wait)
        wait.end()
      }
      assert.equal(waits.length, link === undefined ? 2 : 3)
      // The last one is that of the directory.
      assert.equal(dirname(last), directory)
      assert.deepEqual([files.list(directory), textOf(files.readAll(path))], [['a'], 'whole'])
    } finally {
      close()
    }
  })
}

test('a file whose content could not be made durable off the main thread is not published', () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    const job = files.publishInSteps(join(directory, 'a'), bytesOf('whole'), file => new Beside(file, fileError('EIO', 'fdatasync', file.path)))
    ;(job.next().value as Beside).end()
    assert.throws(() => job.next(), { code: 'EIO' })
    assert.deepEqual(files.list(directory), [])
  } finally {
    close()
  }
})

/**
 * A device that cannot write back what `fails` says: each descriptor is told once, by the sync that is first there, as Linux does.
 * Syncs off the main thread come first, and their end is not reported before `settle`.
 */
async function withFailingSyncs(fails: 'content' | 'entries', work: (settle: () => Promise<void>) => void | Promise<void>): Promise<void> {
  const { fdatasync, fdatasyncSync, fsync, fsyncSync } = fs
  const told = new Set<number>()
  const ends: (() => void)[] = []
  const fault = (fd: number, what: string): Error | null => {
    if (what !== fails || told.has(fd)) return null
    told.add(fd)
    return fileError('EIO', 'fsync', what)
  }
  const beside = (what: string) => (fd: number, callback: (error: Error | null) => void): void => {
    const error = fault(fd, what)
    ends.push(() => callback(error))
  }
  const atOnce = (what: string) => (fd: number): void => {
    const error = fault(fd, what)
    if (error !== null) throw error
  }
  Object.assign(fs, { fdatasync: beside('content'), fdatasyncSync: atOnce('content'), fsync: beside('entries'), fsyncSync: atOnce('entries') })
  syncBuiltinESMExports()
  const settle = async (): Promise<void> => {
    for (const end of ends.splice(0)) end()
    await new Promise(resolve => { setImmediate(resolve) })
  }
  try {
    await work(settle)
  } finally {
    await settle()
    Object.assign(fs, { fdatasync, fdatasyncSync, fsync, fsyncSync })
    syncBuiltinESMExports()
  }
}

for (const fails of ['content', 'entries'] as const) {
  test(`a caller that cannot wait for an asynchronous sync gets its failure, although that sync was informed first: ${fails}`, async () => {
    const { files, directory, close } = environment(new NodeFiles())
    try {
      await withFailingSyncs(fails, async settle => {
        const job = files.publishInSteps(join(directory, 'a'), bytesOf('whole'), beginSync)
        let wait = job.next().value as JobWait
        if (fails === 'entries') {
          await settle()
          assert.equal(wait.isOver, true)
          wait = job.next().value as JobWait
        }
        wait.end()
        assert.throws(() => job.next(), { code: 'EIO' })
        await settle()
        // No other caller has gone on without it.
        assert.equal(lateSyncError(directory), undefined)
      })
    } finally {
      close()
    }
  })
}

test('a table whose asynchronous sync was overtaken does not count as durable', async () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    await withFailingSyncs('content', () => {
      const file = files.create(join(directory, 'table'))
      file.writeSync(bytesOf('rows'), 0, 4, 0)
      const wait = beginSync(file)!
      wait.end()
      assert.throws(() => { wait.check() }, { code: 'EIO' })
      file.close()
    })
  } finally {
    close()
  }
})

test('a caller that cannot wait for the sync of a file opened for writing gets its failure, although another sync was informed first', async () => {
  const { files, directory, close } = environment(new NodeFiles())
  try {
    await withFailingSyncs('content', async settle => {
      const path = join(directory, 'value')
      files.create(path).close()
      const file = files.openWrite(path)
      const beside = assert.rejects(file.sync(), { code: 'EIO' })
      assert.throws(() => { file.syncSync() }, { code: 'EIO' })
      await settle()
      await beside
      file.close()
    })
  } finally {
    close()
  }
})

test('a file or directory whose second descriptor cannot be closed well does not keep the first one', async () => {
  const { files, directory, close } = environment(new NodeFiles())
  const { closeSync } = fs
  const open = new Set<number>()
  const { openSync } = fs
  let isFirst = true
  Object.assign(fs, {
    openSync: (...args: Parameters<typeof openSync>) => {
      const fd = openSync(...args)
      open.add(fd)
      return fd
    },
    // The descriptor is gone nevertheless, as on Linux.
    closeSync: (fd: number) => {
      open.delete(fd)
      closeSync(fd)
      if (!isFirst) return
      isFirst = false
      throw fileError('EIO', 'close', directory)
    },
  })
  syncBuiltinESMExports()
  try {
    const file = files.create(join(directory, 'a'))
    assert.equal(open.size, 2)
    assert.throws(() => { file.close() }, { code: 'EIO' })
    assert.equal(open.size, 0)
    isFirst = true
    const steps = files.syncDirectoryInSteps(directory, beginSync)
    const wait = steps.next().value as JobWait
    await new Promise<void>(resolve => { wait.onOver = resolve })
    assert.equal(open.size, 2)
    assert.throws(() => steps.next(), { code: 'EIO' })
    assert.equal(open.size, 0)
  } finally {
    Object.assign(fs, { openSync, closeSync })
    syncBuiltinESMExports()
    close()
  }
})

test('a directory that cannot be made says why, also where the answer is ENOENT though its parent is there', { skip: process.platform !== 'linux' }, () => {
  const code = `import { NodeFiles } from ${JSON.stringify(new URL('./files.js', import.meta.url).href)}
    try { new NodeFiles().makeDirectory('/proc/spillway/x') } catch (error) { console.log(error.code) }`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 20_000 })
  assert.equal(stdout.toString(), 'ENOENT\n')
})

test('calls that succeed may call back with null, with undefined or with nothing', async () => {
  const { files, directory, close } = environment(new NodeFiles())
  const real = { unlink: fs.unlink, fsync: fs.fsync, fdatasync: fs.fdatasync, read: fs.read }
  const calls = fs as unknown as Record<string, unknown>
  const path = join(directory, 'a')
  try {
    for (const success of [[null], [undefined], []]) {
      calls['unlink'] = (path: string, done: (...error: unknown[]) => void) => { real.unlink(path, error => { done(...(error ? [error] : success)) }) }
      for (const name of ['fsync', 'fdatasync'] as const) {
        calls[name] = (fd: number, done: (...error: unknown[]) => void) => { real[name](fd, error => { done(...(error ? [error] : success)) }) }
      }
      calls['read'] = (fd: number, buffer: Uint8Array, offset: number, length: number, position: number, done: (error: unknown, count: number) => void) => {
        real.read(fd, buffer, offset, length, position, (error, count) => { done(error ? error : success[0], count) })
      }
      syncBuiltinESMExports()
      const file = files.create(path)
      file.writeSync(bytesOf('abc'), 0, 3, 0)
      await file.sync()
      const target = new Uint8Array(3)
      assert.equal(await file.read(target, 0, 3, 0), 3)
      assert.equal(textOf(target), 'abc')
      file.close()
      for (const wait of files.syncDirectoryInSteps(directory, beginSync)) await new Promise<void>(resolve => { (wait as JobWait).onOver = resolve })
      const failures: Error[] = []
      files.removeSoon(path, error => { failures.push(error) })
      await files.removed()
      assert.deepEqual(failures, [])
      assert(!files.exists(path))
    }
  } finally {
    Object.assign(calls, real)
    syncBuiltinESMExports()
    close()
  }
})
