/** The process has no file descriptors left for a while: no write or sync counts as failed, and the store continues when they are back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DIRECTORY, checkFiles, closeEmpty, openSim, simHost, turns, within } from '../testing/sim.ts'

const LARGE = 'x'.repeat(40_000)
const REFUSAL = { code: 'SPILLWAY_UNAVAILABLE', message: /EMFILE.*Nothing was lost.*ulimit/ }

test('a write at disk that finds no descriptor fails, and later ones are durable', async () => {
  for (const sync of [true, false]) {
    let host = simHost({ seed: 2 })
    const { faults } = host.disk
    let db = await openSim(host)
    db.putSync('large', LARGE)
    for (let i = 0; i < 8; i++) {
      faults.isOutOfDescriptors = true
      if (sync) assert.throws(() => db.putSync(`refused ${i}`, '1', { durability: 'disk' }), REFUSAL)
      else await assert.rejects(within(host, db.put(`refused ${i}`, '1', { durability: 'disk' })), REFUSAL)
      host.advance(1000)
      db.putSync(`written ${i}`, '1')
      faults.isOutOfDescriptors = false
      await within(host, db.put(`durable ${i}`, '1', { durability: 'disk' }))
      // A large value that is not durable yet, and a segment whose name is not.
      db.putSync('large', LARGE)
      if (i % 2 === 1) await within(host, db.flush())
    }
    host = host.crash()
    db = await openSim(host)
    for (let i = 0; i < 8; i++) assert.deepEqual([db.getSync(`durable ${i}`), db.getSync(`written ${i}`)], ['1', '1'])
    assert.deepEqual((await within(host, db.verify())).errors, [])
    await closeEmpty(host, db)
  }
})

test('a flush that finds no descriptor is tried again for as long as it takes', async () => {
  const host = simHost({ seed: 4 })
  const { faults } = host.disk
  const db = await openSim(host)
  for (let i = 0; i < 200; i++) db.putSync(`key ${i}`, 'v'.repeat(500))
  db.putSync('large', LARGE)
  faults.isOutOfDescriptors = true
  for (let i = 0; i < 12; i++) {
    await assert.rejects(within(host, db.flush()), REFUSAL)
    host.advance(1000)
  }
  assert.equal(db.getSync('key 7'), 'v'.repeat(500))
  faults.isOutOfDescriptors = false
  await within(host, db.flush())
  db.putSync('more', '1')
  assert.deepEqual((await within(host, db.verify())).errors, [])
  await closeEmpty(host, db)
})

test('descriptors that are gone at any operation of a flush, and come back, cost nothing', async () => {
  for (let operation = 1; ; operation++) {
    const host = simHost({ seed: operation })
    const { faults } = host.disk
    let db = await openSim(host)
    for (let i = 0; i < 20; i++) db.putSync(`key ${i}`, 'v'.repeat(500))
    db.putSync('large', LARGE)
    const start = faults.operations
    host.disk.beforeOperation = () => { faults.isOutOfDescriptors = faults.operations >= start + operation && faults.operations < start + operation + 3 }
    await within(host, db.flush()).catch((error: unknown) => assert.match((error as Error).message, /EMFILE/))
    const isReached = faults.operations >= start + operation
    host.disk.beforeOperation = undefined
    faults.isOutOfDescriptors = false
    host.advance(20_000)
    await turns(50)
    db.putSync('more', '1', { durability: 'disk' })
    await within(host, db.flush())
    await host.idle()
    checkFiles(host, db)
    await closeEmpty(host, db)
    db = await openSim(host)
    assert.equal(await within(host, db.count()), 22, `operation ${operation} in ${DIRECTORY}`)
    await closeEmpty(host, db)
    if (!isReached) return
  }
})
