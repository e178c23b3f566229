import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { DirectoryReference, HostFiles } from '../host.ts'
import { NodeFiles } from './files.ts'
import { OpenedDirectory } from './opened-directory.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-place-'))
after(() => rmSync(root, { recursive: true, force: true }))
let count = 0

const bytes = Uint8Array.of(1, 2, 3)

/** An open directory, reached by way of its descriptor where there is one, and by comparing what stands at its path. */
function forEachWay(test: (path: string, files: HostFiles, isReached: boolean) => void): void {
  const all = new NodeFiles()
  for (const way of ['descriptor', 'comparison']) {
    const path = join(root, `d${count++}`)
    mkdirSync(path)
    const directory = new OpenedDirectory(path, all)
    const reference: DirectoryReference = way === 'descriptor' ? directory.reference : { ...directory.reference, root: '' }
    try {
      test(path, all.within(reference), reference.root !== '')
    } finally {
      directory.close()
    }
  }
}

/** All calls that make or remove a file. */
function changes(path: string, files: HostFiles): (() => void)[] {
  return [
    () => files.create(join(path, 'made')).close(),
    () => files.publish(join(path, 'published'), bytes),
    () => files.remove(join(path, 'there')),
  ]
}

test('an open directory is read and written by its paths', () => forEachWay((path, files) => {
  writeFileSync(join(path, 'there'), bytes)
  assert.deepEqual(files.readAll(join(path, 'there')), bytes)
  assert.equal(files.exists(join(path, 'there')), true)
  for (const change of changes(path, files)) change()
  files.syncDirectory(path)
  files.syncDirectory(`${path}/`)
  assert.deepEqual(files.list(path), ['made', 'published'])
  const file = files.openWrite(join(path, 'made'))
  assert.equal(file.path, join(path, 'made'))
  file.close()
  // Other directories are what they always are.
  assert.equal(files.exists(root), true)
}))

test('errors name the path that the user knows', () => forEachWay((path, files) => {
  const name = join(path, 'missing')
  for (const call of [() => files.openRead(name), () => files.openWrite(name), () => files.readAll(name)]) {
    assert.throws(call, (error: NodeJS.ErrnoException) => error.code === 'ENOENT' && error.path === name && error.message.includes(`'${name}'`) && !error.message.includes('/proc/'))
  }
  files.publish(name, bytes)
  assert.throws(() => files.publish(name, bytes), (error: NodeJS.ErrnoException & { dest?: string }) =>
    error.code === 'EEXIST' && error.dest === name && !error.message.includes('/proc/'))
  assert.throws(() => files.create(name), { code: 'EEXIST', path: name })
}))

test('a directory that was renamed is reached still, or nothing is done; what stands at its path is not touched', () => forEachWay((path, files, isReached) => {
  writeFileSync(join(path, 'there'), bytes)
  renameSync(path, `${path}-moved`)
  mkdirSync(path)
  writeFileSync(join(path, 'there'), 'a stranger')
  for (const change of changes(path, files)) {
    if (isReached) change()
    else assert.throws(change, { code: 'SPILLWAY_FENCED', message: /was renamed, removed or replaced while the store was open/ })
  }
  assert.deepEqual(readdirSync(path), ['there'])
  assert.equal(readFileSync(join(path, 'there'), 'utf8'), 'a stranger')
  assert.deepEqual(readdirSync(`${path}-moved`), isReached ? ['made', 'published'] : ['there'])
}))

test('in place of a directory that was removed nothing is done, though another one has its path and would have its inode', () => forEachWay((path, files, isReached) => {
  rmSync(path, { recursive: true })
  mkdirSync(path)
  writeFileSync(join(path, 'there'), 'a stranger')
  const [create, publish, remove] = changes(path, files)
  assert.throws(create!, { code: 'SPILLWAY_FENCED', message: /was removed while the store was open/ })
  assert.throws(publish!, { code: 'SPILLWAY_FENCED' })
  // There is nothing to remove in a directory that is gone.
  if (isReached) remove!()
  else assert.throws(remove!, { code: 'SPILLWAY_FENCED' })
  let failure: Error | undefined
  files.removeSoon(join(path, 'there'), error => { failure = error })
  if (!isReached) assert.match(String(failure), /was removed/)
  assert.equal(readFileSync(join(path, 'there'), 'utf8'), 'a stranger')
  assert.deepEqual(readdirSync(path), ['there'])
}))

test('a descriptor that came to mean another directory is not used', () => {
  const path = join(root, `d${count++}`)
  mkdirSync(path)
  const all = new NodeFiles()
  const directory = new OpenedDirectory(path, all)
  const { reference } = directory
  directory.close()
  if (reference.root !== '') assert.throws(() => all.within(reference), { code: 'SPILLWAY_FENCED' })
  assert.equal(existsSync(path), true)
})
