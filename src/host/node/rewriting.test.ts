import assert from 'node:assert/strict'
import fs, { constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Rewriting } from './rewriting.ts'

const directory = mkdtempSync(join(tmpdir(), 'spillway-rewriting-'))
after(() => rmSync(directory, { recursive: true }))

/** What one sync writes through descriptors that were opened with O_SYNC: [from, to). */
function synced(rewriting: Rewriting): number[][] {
  const real = { openSync: fs.openSync, writeSync: fs.writeSync }
  const pieces: number[][] = []
  const calls = fs as unknown as Record<string, unknown>
  calls['openSync'] = (path: string, flags: number) => {
    assert.equal(flags & constants.O_SYNC, constants.O_SYNC)
    return real.openSync(path, flags)
  }
  // Half of it at a time: a short write is gone on with.
  calls['writeSync'] = (fd: number, bytes: Uint8Array, offset: number, length: number, position: number) => {
    const count = real.writeSync(fd, bytes, offset, Math.ceil(length / 2), position)
    pieces.push([position, position + count])
    return count
  }
  syncBuiltinESMExports()
  try {
    rewriting.sync()
  } finally {
    Object.assign(calls, real)
    syncBuiltinESMExports()
  }
  const joined: number[][] = []
  for (const [from, to] of pieces) {
    if (joined.at(-1)?.[1] === from) joined.at(-1)![1] = to!
    else joined.push([from!, to!])
  }
  return joined
}

test('each sync writes once more what was written since the last one, and the file is as it was', () => {
  const path = join(directory, 'a')
  const content = Buffer.from(Array.from({ length: 700_000 }, (_, i) => i % 251))
  writeFileSync(path, content)
  const rewriting = new Rewriting(path)
  assert.deepEqual(synced(rewriting), [[0, 700_000]], 'what others wrote may not be durable')
  assert.deepEqual(synced(rewriting), [])
  rewriting.wrote(100, 50)
  rewriting.wrote(300_000, 10)
  assert.deepEqual(synced(rewriting), [[100, 300_010]])
  rewriting.truncated(700_000)
  assert.deepEqual(synced(rewriting), [[699_999, 700_000]], 'the last byte makes the length durable')
  rewriting.wrote(690_000, 50_000)
  assert.deepEqual(synced(rewriting), [[690_000, 700_000]], 'the file was cut meanwhile')
  rewriting.close()
  assert.deepEqual(readFileSync(path), content)
})

test('what could not be written is written by the next sync', () => {
  const path = join(directory, 'b')
  writeFileSync(path, 'abc')
  const rewriting = new Rewriting(path)
  const real = fs.writeSync
  fs.writeSync = () => { throw new Error('EIO') }
  syncBuiltinESMExports()
  try {
    assert.throws(() => rewriting.sync(), /EIO/)
  } finally {
    fs.writeSync = real
    syncBuiltinESMExports()
  }
  assert.deepEqual(synced(rewriting), [[0, 3]])
  rewriting.close()
})
