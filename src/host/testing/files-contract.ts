/** What every HostFiles must do: run over the real file system and the simulated one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HostFile, HostFiles } from '../host.ts'

export const SEED = 20240607

export interface FilesEnvironment {
  files: HostFiles
  /** An existing, empty directory. */
  directory: string
  close(): void
}

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

export function writeText(file: HostFile, text: string, position = 0): void {
  const bytes = bytesOf(text)
  file.writeSync(bytes, 0, bytes.length, position)
}

export function filesContract(name: string, make: () => FilesEnvironment): void {
  const withFiles = (title: string, body: (files: HostFiles, at: (name: string) => string, directory: string) => void | Promise<void>): void => {
    test(`${name}: ${title}`, async () => {
      const { files, directory, close } = make()
      try {
        await body(files, name => `${directory}/${name}`, directory)
      } finally {
        close()
      }
    })
  }

  withFiles('what was written is read back, by sync and async calls', async (files, at) => {
    const file = files.create(at('a'))
    writeText(file, 'hello world')
    assert.equal(file.size(), 11)
    assert.equal(file.path, at('a'))
    const target = new Uint8Array(20)
    assert.equal(file.readSync(target, 3, 5, 6), 5)
    assert.equal(textOf(target.subarray(3, 8)), 'world')
    assert.equal(await file.read(target, 0, 20, 6), 5)
    assert.equal(await file.read(target, 0, 20, 100), 0)
    assert.equal(file.readSync(target, 0, 20, 11), 0)
    assert.equal(file.readSync(target, 0, 0, 0), 0)
    file.syncSync()
    await file.sync()
    file.close()
    file.close()
    assert.equal(textOf(files.readAll(at('a'))), 'hello world')
  })

  withFiles('only a part of the source is written, at its place', (files, at) => {
    const file = files.create(at('a'))
    file.writeSync(bytesOf('xxabcxx'), 2, 3, 4)
    file.writeSync(bytesOf('z'), 0, 1, 0)
    file.writeSync(bytesOf('z'), 0, 0, 50)
    file.close()
    assert.deepEqual([...files.readAll(at('a'))], [122, 0, 0, 0, 97, 98, 99])
  })

  withFiles('shared memory can be read into and written from', async (files, at) => {
    const source = new Uint8Array(new SharedArrayBuffer(8)).fill(7)
    const target = new Uint8Array(new SharedArrayBuffer(16))
    const file = files.create(at('a'))
    file.writeSync(source, 0, 8, 0)
    assert.equal(file.readSync(target, 0, 8, 0), 8)
    assert.equal(await file.read(target, 8, 8, 0), 8)
    assert.deepEqual([...target], new Array(16).fill(7))
    file.close()
  })

  withFiles('opening needs the file, creating needs its absence', (files, at) => {
    assert.throws(() => files.openRead(at('a')), { code: 'ENOENT' })
    assert.throws(() => files.openWrite(at('a')), { code: 'ENOENT' })
    assert.throws(() => files.readAll(at('a')), { code: 'ENOENT' })
    assert.throws(() => files.create(at('no/a')), { code: 'ENOENT' })
    files.create(at('a')).close()
    assert.throws(() => files.create(at('a')), { code: 'EEXIST' })
    const file = files.openWrite(at('a'))
    writeText(file, 'abc')
    file.close()
    const reader = files.openRead(at('a'))
    assert.equal(reader.size(), 3)
    assert.throws(() => { writeText(reader, 'x') }, { code: 'EBADF' })
    reader.close()
  })

  withFiles('a closed file can do nothing', async (files, at) => {
    const file = files.create(at('a'))
    writeText(file, 'abc')
    const inFlight = file.read(new Uint8Array(3), 0, 3, 0)
    file.close()
    // Begun before the close, so it ends well and on the right file.
    assert.equal(await inFlight, 3)
    const buffer = new Uint8Array(3)
    for (const call of [() => file.size(), () => file.readSync(buffer, 0, 3, 0), () => { writeText(file, 'x') }, () => { file.syncSync() }, () => { file.truncate(0) }]) {
      assert.throws(call, { code: 'EBADF' })
    }
    await assert.rejects(file.read(buffer, 0, 3, 0), { code: 'EBADF' })
    await assert.rejects(file.sync(), { code: 'EBADF' })
  })

  withFiles('a range outside the buffer is refused', async (files, at) => {
    const file = files.create(at('a'))
    writeText(file, 'abcdef')
    const buffer = new Uint8Array(4)
    assert.throws(() => file.readSync(buffer, 2, 3, 0), RangeError)
    assert.throws(() => { file.writeSync(buffer, 2, 3, 0) }, RangeError)
    await assert.rejects(file.read(buffer, 2, 3, 0), RangeError)
    file.close()
  })

  withFiles('truncate cuts, and extends with zeros', (files, at) => {
    const file = files.create(at('a'))
    writeText(file, 'abcdef')
    file.truncate(2)
    assert.equal(file.size(), 2)
    file.truncate(4)
    file.close()
    assert.deepEqual([...files.readAll(at('a'))], [97, 98, 0, 0])
  })

  withFiles('publish is put-if-absent and leaves nothing else behind', (files, at, directory) => {
    files.publish(at('a'), bytesOf('first'))
    assert.throws(() => { files.publish(at('a'), bytesOf('second')) }, { code: 'EEXIST' })
    assert.equal(textOf(files.readAll(at('a'))), 'first')
    files.publish(at('empty'), new Uint8Array(0))
    assert.deepEqual(files.list(directory), ['a', 'empty'])
    assert.throws(() => { files.publish(at('no/a'), bytesOf('x')) }, { code: 'ENOENT' })
  })

  withFiles('publishing in steps, put down at any of them, leaves the whole file or nothing', (files, at, directory) => {
    const steps = [...files.publishInSteps(at('a'), bytesOf('whole'))].length
    assert.equal(textOf(files.readAll(at('a'))), 'whole')
    for (let step = 0; step <= steps; step++) {
      files.remove(at('a'))
      const job = files.publishInSteps(at('a'), bytesOf('whole'))
      for (let i = 0; i < step; i++) job.next()
      job.return()
      assert.ok(files.list(directory).every(name => name === 'a'), `${files.list(directory).join(', ')} after ${step} steps`)
      if (files.exists(at('a'))) assert.equal(textOf(files.readAll(at('a'))), 'whole')
    }
  })

  withFiles('directories are made with their parents and listed in order', (files, at, directory) => {
    files.makeDirectory(at('x/y/z'))
    files.makeDirectory(at('x/y/z'))
    for (const name of ['b', 'B', 'a', '10', '9']) files.create(at(name)).close()
    assert.deepEqual(files.list(directory), ['10', '9', 'B', 'a', 'b', 'x'])
    assert.deepEqual(files.list(at('x/y/z')), [])
    assert.throws(() => files.list(at('nowhere')), { code: 'ENOENT' })
    assert.equal(files.exists(at('x/y')), true)
    assert.equal(files.exists(at('a')), true)
    assert.equal(files.exists(at('c')), false)
    assert.equal(files.exists(at('a/b')), false)
    assert.throws(() => { files.makeDirectory(at('a')) }, { code: 'EEXIST' })
    files.syncDirectory(directory)
    assert.throws(() => { files.syncDirectory(at('nowhere')) }, { code: 'ENOENT' })
  })

  withFiles('remove is fine with nothing there, and an open file stays readable', (files, at, directory) => {
    files.remove(at('a'))
    files.publish(at('a'), bytesOf('abc'))
    const file = files.openRead(at('a'))
    files.remove(at('a'))
    assert.deepEqual(files.list(directory), [])
    const target = new Uint8Array(3)
    assert.equal(file.readSync(target, 0, 3, 0), 3)
    assert.equal(textOf(target), 'abc')
    file.close()
  })

  withFiles('rename takes the place of what has the name, which stays readable to who has it open', (files, at, directory) => {
    files.publish(at('a'), bytesOf('old'))
    const file = files.openRead(at('a'))
    files.publish(at('b'), bytesOf('new'))
    files.rename(at('b'), at('a'))
    files.syncDirectory(directory)
    assert.deepEqual(files.list(directory), ['a'])
    assert.equal(textOf(files.readAll(at('a'))), 'new')
    const target = new Uint8Array(3)
    assert.equal(file.readSync(target, 0, 3, 0), 3)
    assert.equal(textOf(target), 'old')
    file.close()
    files.rename(at('a'), at('c'))
    assert.deepEqual(files.list(directory), ['c'])
    assert.throws(() => files.rename(at('a'), at('c')), { code: 'ENOENT' })
  })

  withFiles('what cannot be removed soon is told, and what is not there is no failure', async (files, at, directory) => {
    const failures: Error[] = []
    files.makeDirectory(at('a'))
    files.publish(at('b'), bytesOf('abc'))
    for (const name of ['a', 'b', 'nowhere']) files.removeSoon(at(name), error => { failures.push(error) })
    await files.removed()
    assert.deepEqual(files.list(directory), ['a'])
    assert.equal(failures.length, 1)
    assert.ok(['EISDIR', 'EPERM'].includes((failures[0] as { code?: string }).code!), failures[0]!.message)
  })

  withFiles('random writes, truncates and reads agree with a plain array', (files, at) => {
    let round = 0
    const step = fc.record({ kind: fc.constantFrom('write', 'truncate', 'read'), position: fc.nat(3000), length: fc.nat(1500), fill: fc.nat(255) })
    fc.assert(fc.property(fc.array(step, { maxLength: 30 }), steps => {
      const file = files.create(at(`f${round++}`))
      let model: number[] = []
      for (const { kind, position, length, fill } of steps) {
        if (kind === 'write') {
          file.writeSync(new Uint8Array(length).fill(fill), 0, length, position)
          if (length > 0) {
            while (model.length < position) model.push(0)
            model.splice(position, length, ...new Array<number>(length).fill(fill))
          }
        } else if (kind === 'truncate') {
          file.truncate(position)
          model = Array.from({ length: position }, (_, i) => model[i] ?? 0)
        } else {
          const target = new Uint8Array(length)
          const count = file.readSync(target, 0, length, position)
          assert.deepEqual([...target.subarray(0, count)], model.slice(position, position + length))
        }
        assert.equal(file.size(), model.length)
      }
      file.close()
      assert.deepEqual([...files.readAll(file.path)], model)
    }), { seed: SEED, numRuns: 50 })
  })
}
