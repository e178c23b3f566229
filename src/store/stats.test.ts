import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { SimHost } from '../host/sim/sim-host.ts'
import { parseName } from '../base/file-names.ts'
import type { Spillway } from './spillway.ts'
import { DIRECTORY, closeEmpty, openSim, simHost, within } from './testing/sim.ts'
import type { VerifyReport } from './api/reports.ts'

const LARGE = 'x'.repeat(300_000)

function pathOf(host: SimHost, kind: string): string {
  return `${DIRECTORY}/${host.files.list(DIRECTORY).filter(name => parseName(name).kind === kind).at(-1)!}`
}

/** A table, a value file, a manifest, a recovered segment and the one being written. */
async function openFull(host: SimHost): Promise<Spillway> {
  let db = await openSim(host)
  db.putSync('flushed', '1')
  db.putSync('large', LARGE)
  await within(host, db.flush())
  db.putSync('recovered', '2')
  await closeEmpty(host, db)
  db = await openSim(host)
  db.putSync('written', '3')
  db.putSync('also written', '4')
  return db
}

async function damage(kind: string, work: (host: SimHost, path: string) => void): Promise<VerifyReport['errors']> {
  const host = simHost()
  const db = await openFull(host)
  const path = pathOf(host, kind)
  work(host, path)
  const { errors } = await within(host, db.verify())
  for (const error of errors) assert.equal(error.file, path)
  return errors
}

test('verify counts what it read and finds nothing wrong; what is not written out yet is no error', async () => {
  const host = simHost()
  const db = await openFull(host)
  db.putSync('not written out', '5', { durability: 'none' })
  const before = db.memory().usedBytes
  const report = await within(host, db.verify())
  assert.deepEqual(report.errors, [])
  assert.deepEqual([report.manifests, report.logs, report.tables, report.valueFiles], [1, 2, 1, 1])
  const sizes = host.files.list(DIRECTORY).map(name => parseName(name).kind === 'lock' ? 0 : host.files.readAll(`${DIRECTORY}/${name}`).length)
  assert.equal(report.bytes, sizes.reduce((sum, size) => sum + size, 0))
  assert.equal(db.memory().usedBytes, before)
  await closeEmpty(host, db)
})

test('a file that is gone though the store is open is found', async () => {
  for (const kind of ['table', 'value', 'manifest', 'log']) {
    const errors = await damage(kind, (host, path) => host.files.remove(path))
    assert.equal(errors.length, 1, kind)
    assert.match(errors[0]!.message, /missing/)
  }
})

test('a flipped bit in any kind of file is found', async () => {
  for (const kind of ['table', 'value', 'manifest', 'log']) {
    const errors = await damage(kind, (host, path) => host.disk.corrupt(path, host.files.readAll(path).length - 11, 4))
    assert.equal(errors.length, 1, kind)
    assert.equal(typeof errors[0]!.offset, 'number')
  }
})

test('a file that was cut is found', async () => {
  for (const kind of ['table', 'value', 'log']) {
    for (const bytes of [0, 20, 48]) {
      const errors = await damage(kind, (host, path) => {
        const file = host.files.openWrite(path)
        file.truncate(bytes)
        file.close()
      })
      assert.equal(errors.length, 1, `${kind} cut at ${bytes}`)
    }
  }
})
