/** Which writes are acknowledged as durable after another caller was told that a write they depend on is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileError } from '../../host/file-error.ts'
import type { HostFile } from '../../host/host.ts'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { Spillway } from '../spillway.ts'
import { closeEmpty, closeInDoubt, openSim, simHost, within } from '../testing/sim.ts'

/** More than the largest inline value. */
const LARGE = 'x'.repeat(20_000)
const VALUE = 'v'.repeat(1000)

/** Exchange the files that are opened for writing. */
function watchOpenWrite(host: SimHost, exchange: (file: HostFile, path: string) => HostFile): void {
  let what = ''
  host.disk.beforeOperation = operation => { what = operation }
  host.disk.wrapFile = file => what === 'openWrite' ? exchange(file, file.path) : file
}

/** A store with a large value that is not durable yet. */
async function withLarge(): Promise<{ host: SimHost, db: Spillway }> {
  const host = simHost({ seed: 1 })
  const db = await openSim(host)
  db.putSync('large', LARGE)
  return { host, db }
}

test('a write whose own help to a flush found a large value not to be durable is not told that it is', async () => {
  const calm = await withLarge()
  let count = 0
  while (calm.db.stats().flushes === 0) calm.db.putSync(`key ${count++}`, VALUE)
  await closeEmpty(calm.host, calm.db)

  const { host, db } = await withLarge()
  let syncs = 0
  watchOpenWrite(host, (file, path) => {
    if (!path.endsWith('.value')) return file
    // Who opens it after the first was told of the failure is told that all is well.
    const isFirst = syncs++ === 0
    const syncSync = file.syncSync.bind(file)
    file.syncSync = () => {
      if (isFirst) throw fileError('EIO', 'fdatasync', path)
      syncSync()
    }
    return file
  })
  for (let i = 0; i < count - 1; i++) {
    assert.equal(db.stats().flushes, 0)
    db.putSync(`key ${i}`, VALUE)
  }
  assert.equal(syncs, 0)
  assert.throws(() => db.putSync('last', VALUE, { durability: 'disk' }), {
    code: 'SPILLWAY_UNAVAILABLE', message: /it is unknown whether this write is durable: .*large value/,
  })
  assert.equal(syncs, 2)
  assert.throws(() => db.putSync('another', VALUE), { code: 'SPILLWAY_READ_ONLY' })
  await closeInDoubt(host, db)
})

test('a large value being synced off the main thread is not opened again by a caller that cannot wait', async () => {
  const { host, db } = await withLarge()
  let opened = 0
  let end = (): void => {}
  watchOpenWrite(host, (file, path) => {
    if (!path.endsWith('.value')) return file
    opened++
    const isFirst = opened === 1
    const error = fileError('EIO', 'fdatasync', path)
    // It was reported already, but no caller received it.
    file.sync = () => new Promise((_, reject) => { end = () => reject(error) })
    file.syncSync = () => {
      if (isFirst) throw error
    }
    return file
  })
  const beside = assert.rejects(db.put('beside', 'v', { durability: 'disk' }), { code: 'SPILLWAY_UNAVAILABLE' })
  for (let i = 0; i < 10 && opened === 0; i++) await Promise.resolve()
  assert.equal(opened, 1)
  assert.throws(() => db.putSync('now', 'v', { durability: 'disk' }), { code: 'SPILLWAY_UNAVAILABLE', message: /making the log durable failed/ })
  assert.equal(opened, 1)
  end()
  await within(host, beside)
  watchOpenWrite(host, file => file)
  await closeInDoubt(host, db)
})
