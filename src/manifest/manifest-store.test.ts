import assert from 'node:assert/strict'
import { test } from 'node:test'
import { manifestName } from '../base/file-names.ts'
import { SimHost } from '../host/sim/sim-host.ts'
import { ManifestStore } from './manifest-store.ts'
import { Unlisted } from './unlisted.ts'
import { KERNELS, table, versionOf } from './testing/versions.ts'
import type { Version } from './version.ts'

function newHost(seed = 1): SimHost {
  const host = new SimHost({ seed })
  host.files.makeDirectory('/db')
  return host
}

function storeOf(host: SimHost): ManifestStore {
  return new ManifestStore(host, '/db', KERNELS)
}

function load(host: SimHost): Version | undefined {
  return storeOf(host).load(host.files.list('/db'))
}

function version(number: number, changes: Partial<Version> = {}): Version {
  return versionOf([{ id: 1, level: 0, tables: [table(number)] }], { number, ...changes })
}

test('a directory without manifests has no version', () => {
  const host = newHost()
  host.files.create('/db/00000003.table')
  host.files.create('/db/manifest-x')
  assert.equal(load(host), undefined)
})

test('the newest manifest is the version, and the one before it goes', () => {
  const host = newHost()
  const store = storeOf(host)
  for (const number of [1, 2, 3]) {
    store.commit(version(number))
    assert.deepEqual(load(host), version(number))
    assert.deepEqual(host.files.list('/db'), [manifestName(number)])
  }
  assert.equal(store.bytesWritten, [1, 2, 3].reduce((sum, number) => {
    const other = newHost()
    storeOf(other).commit(version(number))
    return sum + other.files.readAll(`/db/${manifestName(number)}`).length
  }, 0))
})

test('a store that was loaded goes on where the last one was', () => {
  const host = newHost()
  storeOf(host).commit(version(1))
  const store = storeOf(host)
  assert.deepEqual(store.load(host.files.list('/db')), version(1))
  store.commit(version(2))
  assert.deepEqual(host.files.list('/db'), [manifestName(2)])
})

test('of several manifests the one with the largest number counts, whatever the listing says first', () => {
  const host = newHost()
  const store = storeOf(host)
  store.commit(version(99_999_999))
  // Names do not sort as numbers do from here on.
  storeOf(host).commit(version(100_000_000))
  assert.equal(load(host)!.number, 100_000_000)
  assert.equal(storeOf(host).load(['manifest-100000000', 'manifest-99999999'])!.number, 100_000_000)
})

test('a second writer is fenced out, and nothing is changed by it', () => {
  const host = newHost()
  storeOf(host).commit(version(1, { epoch: 1 }))
  const first = storeOf(host)
  const second = storeOf(host)
  first.load(host.files.list('/db'))
  second.load(host.files.list('/db'))
  first.commit(version(2, { epoch: 2 }))
  const names = host.files.list('/db')
  const bytes = host.files.readAll(`/db/${names[0]!}`)
  assert.throws(() => second.commit(version(2, { epoch: 3 })), { code: 'SPILLWAY_FENCED', message: /epoch 3/ })
  assert.deepEqual(host.files.list('/db'), names)
  assert.deepEqual(host.files.readAll(`/db/${names[0]!}`), bytes)
  assert.equal(second.bytesWritten, 0)
  first.commit(version(3, { epoch: 2 }))
  assert.equal(load(host)!.epoch, 2)
})

test('a second writer that slept while the first went on and removed its number is fenced out as well', () => {
  for (const commits of [2, 3, 5]) {
    const host = newHost()
    storeOf(host).commit(version(1, { epoch: 1 }))
    const first = storeOf(host)
    const second = storeOf(host)
    first.load(host.files.list('/db'))
    second.load(host.files.list('/db'))
    for (let i = 0; i < commits; i++) first.commit(version(2 + i, { epoch: 2 }))
    assert.throws(() => second.commit(version(2, { epoch: 3 })), { code: 'SPILLWAY_FENCED' })
    assert.deepEqual(host.files.list('/db'), [manifestName(1 + commits)])
    first.commit(version(2 + commits, { epoch: 2 }))
  }
})

test('a manifest that is damaged is refused, not skipped for an older one', () => {
  const host = newHost()
  // Stores that were not loaded remove nothing.
  storeOf(host).commit(version(1))
  storeOf(host).commit(version(2))
  assert.equal(host.files.list('/db').length, 2)
  host.disk.corrupt(`/db/${manifestName(2)}`, 40, 1)
  assert.throws(() => load(host), { code: 'SPILLWAY_CORRUPTION' })
})

test('a commit counts once its manifest is there, even if the older one cannot be removed', () => {
  const host = newHost()
  const store = storeOf(host)
  store.commit(version(1))
  const before = host.disk.faults.operations
  store.commit(version(2))
  const operations = host.disk.faults.operations - before
  host.disk.faults.failAt(host.disk.faults.operations + operations, 'EIO')
  store.commit(version(3))
  assert.deepEqual(host.files.list('/db'), [manifestName(2), manifestName(3)])
  assert.deepEqual(load(host), version(3))
})

/** Disk operations of one commit that replaces a manifest. */
function operationsOfCommit(): number {
  const host = newHost()
  const store = storeOf(host)
  store.commit(version(1))
  const before = host.disk.faults.operations
  store.commit(version(2))
  return host.disk.faults.operations - before
}

/** Of a listing that fails after the manifest was published: the fault itself. */
function causeOf(error: unknown): { code: string } {
  return (error instanceof Unlisted ? error.cause : error) as { code: string }
}

test('a power loss at any point of a commit leaves the old version or the new one; the new one once it was acknowledged', () => {
  const operations = operationsOfCommit()
  assert.ok(operations >= 3)
  const seen = new Set<string>()
  for (let point = 1; point <= operations + 1; point++) {
    for (let seed = 1; seed <= 30; seed++) {
      const host = newHost(seed)
      const store = storeOf(host)
      store.commit(version(1))
      host.disk.faults.failAt(host.disk.faults.operations + point, 'EIO', true)
      let isAcknowledged = true
      try {
        store.commit(version(2))
      } catch (error) {
        assert.equal(causeOf(error).code, 'EIO')
        isAcknowledged = false
      }
      const after = load(host.crash())
      assert.ok(after !== undefined)
      assert.deepEqual(after, version(after.number))
      if (isAcknowledged) assert.equal(after.number, 2)
      seen.add(`${isAcknowledged} ${after.number}`)
    }
  }
  assert.deepEqual([...seen].sort(), ['false 1', 'false 2', 'true 2'])
})

test('a failure at any point of a commit leaves the old version or the new one, and a temporary file at most', () => {
  const operations = operationsOfCommit()
  for (let point = 1; point < operations; point++) {
    for (const code of ['EIO', 'ENOSPC']) {
      const host = newHost()
      const store = storeOf(host)
      store.commit(version(1))
      host.disk.faults.failAt(host.disk.faults.operations + point, code)
      assert.throws(() => store.commit(version(2)), error => causeOf(error).code === code)
      const after = load(host)!
      assert.deepEqual(after, version(after.number))
      assert.equal(host.files.exists(`/db/${manifestName(1)}`), true, 'the old one stays until the new one is sure')
      if (host.files.exists(`/db/${manifestName(2)}`)) continue
      store.commit(version(2))
      assert.deepEqual(load(host), version(2))
    }
  }
})

test('a manifest that a job published or lost ends like a committed one, whichever publishes first', () => {
  for (const published of ['by the job', 'not at all', 'too late']) {
    const host = newHost()
    const store = storeOf(host)
    store.commit(version(1))
    const manifest = store.encode(version(2))!
    assert.deepEqual(host.files.list('/db'), [manifestName(1)])
    if (published === 'by the job') host.files.publish(manifest.path, manifest.bytes)
    store.publishAgain(manifest)
    if (published === 'too late') assert.throws(() => host.files.publish(manifest.path, manifest.bytes), { code: 'EEXIST' })
    assert.deepEqual(host.files.list('/db'), [manifestName(2)])
    assert.deepEqual(load(host.crash()), version(2))
  }
})

test('publishing again fails at the manifest of another writer, and leaves it', () => {
  for (const other of [version(2, { epoch: 7 }), version(3, { epoch: 7 })]) {
    const host = newHost()
    const store = storeOf(host)
    store.commit(version(1))
    const manifest = store.encode(version(2))!
    storeOf(host).commit(other)
    assert.throws(() => store.publishAgain(manifest), { code: 'SPILLWAY_FENCED' })
    assert.deepEqual(load(host), other)
    assert.equal(host.files.exists(manifest.path), other.number === 2)
  }
})

test('publishing again what is there already does not trust bytes whose sync failed for who wrote them', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const host = newHost(seed)
    const store = storeOf(host)
    store.commit(version(1))
    const manifest = store.encode(version(2))!
    // Where there are no hard links it has its name before it is durable; its thread died before it could remove it.
    const file = host.files.create(manifest.path)
    file.writeSync(manifest.bytes, 0, manifest.bytes.length, 0)
    host.disk.faults.failAt(host.disk.faults.operations + 1)
    assert.throws(() => { file.syncSync() }, { code: 'EIO' })
    store.publishAgain(manifest)
    assert.deepEqual(load(host.crash()), version(2))
  }
})
