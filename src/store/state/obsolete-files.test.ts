import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { test } from 'node:test'
import type { SimHost } from '../../host/sim/sim-host.ts'
import type { ErrorEvent } from '../api/events.ts'
import { ObsoleteFiles } from './obsolete-files.ts'
import { closeEmpty, openSim, simHost, within } from '../testing/sim.ts'

const DIRECTORY = '/db'

function place(names: readonly string[]): { host: SimHost, removals: ObsoleteFiles, events: ErrorEvent[], end: () => void } {
  const host = simHost()
  host.files.makeDirectory(DIRECTORY)
  for (const name of names) host.files.create(`${DIRECTORY}/${name}`).close()
  const events: ErrorEvent[] = []
  const listen = (message: unknown): void => { events.push(message as ErrorEvent) }
  subscribe('spillway:error', listen)
  return { host, removals: new ObsoleteFiles(host.files, DIRECTORY), events, end: () => unsubscribe('spillway:error', listen) }
}

/** The next operation on the disk fails. */
function failNext(host: SimHost, code = 'EIO'): void {
  host.disk.faults.failAt(host.disk.faults.operations + 1, code)
}

test('a removal that fails is counted, told once, and tried again at the next one', () => {
  const { host, removals, events, end } = place(['a', 'b', 'c'])
  try {
    failNext(host, 'EACCES')
    removals.soon('/db/a')
    assert.deepEqual(removals.report(), { failed: 1, left: 1 })
    assert.deepEqual(host.files.list(DIRECTORY), ['a', 'b', 'c'])
    assert.equal(events.length, 1)
    const { directory, error, readOnly } = events[0]!
    assert.deepEqual([directory, (error as { code?: string }).code, readOnly], [DIRECTORY, 'SPILLWAY_UNAVAILABLE', false])
    assert.match(error.message, /removing \/db\/a/)

    // Once more it fails, and is neither counted nor told again.
    failNext(host, 'EACCES')
    removals.soon('/db/b')
    assert.deepEqual(removals.report(), { failed: 1, left: 1 })
    assert.equal(events.length, 1)
    assert.deepEqual(host.files.list(DIRECTORY), ['a', 'c'])

    removals.soon('/db/c')
    assert.deepEqual(removals.report(), { failed: 1, left: 0 })
    assert.deepEqual(host.files.list(DIRECTORY), [])
  } finally {
    end()
  }
})

test('a few are tried again at each removal, until none is left', () => {
  const names = Array.from({ length: 12 }, (_, i) => `file-${String(i).padStart(2, '0')}`)
  const { host, removals, events, end } = place([...names, 'x', 'y', 'z'])
  try {
    host.disk.faults.failAt(host.disk.faults.operations + 1, 'EIO', true)
    for (const name of names) removals.soon(`${DIRECTORY}/${name}`)
    assert.deepEqual(removals.report(), { failed: 12, left: 12 })
    assert.equal(events.length, 12)
    host.disk.faults.clear()
    removals.soon('/db/x')
    assert.deepEqual(removals.report(), { failed: 12, left: 8 })
    removals.now('/db/y')
    removals.now('/db/z')
    assert.deepEqual(removals.report(), { failed: 12, left: 0 })
    assert.deepEqual(host.files.list(DIRECTORY), [])
  } finally {
    end()
  }
})

test('one that was to go at once is counted and told, but its name is not tried again', () => {
  const { host, removals, events, end } = place(['a', 'b'])
  try {
    failNext(host)
    removals.now('/db/a')
    assert.deepEqual(removals.report(), { failed: 1, left: 0 })
    assert.equal(events.length, 1)
    removals.now('/db/b')
    assert.deepEqual(host.files.list(DIRECTORY), ['a'])
  } finally {
    end()
  }
})

test('a store tells of the files it could not remove, and removes them with the next ones', async () => {
  const host = simHost()
  const db = await openSim(host)
  let isRefused = true
  let refused = 0
  host.disk.beforeOperation = what => {
    if (!isRefused || what !== 'remove') return
    refused++
    throw Object.assign(new Error('EACCES: permission denied, unlink'), { code: 'EACCES', syscall: 'unlink' })
  }
  const round = async (): Promise<void> => {
    await within(host, db.put('key', 'value'))
    await within(host, db.flush())
  }
  await round()
  const { removals } = db.stats()
  assert.ok(removals.failed > 0, 'the log of what was flushed')
  assert.equal(removals.failed, removals.left)
  assert.ok(refused >= removals.failed)
  const logs = (): number => host.files.list(db.directory).filter(name => name.endsWith('.log')).length
  const before = logs()
  isRefused = false
  await round()
  assert.deepEqual(db.stats().removals, { failed: removals.failed, left: 0 })
  assert.ok(logs() < before)
  await closeEmpty(host, db)
})
