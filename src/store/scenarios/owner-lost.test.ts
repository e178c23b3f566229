/** What becomes of an open store whose directory is renamed, removed, or replaced, on the real file system and in the simulator. */
import assert from 'node:assert/strict'
import diagnostics from 'node:diagnostics_channel'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { nodeHost } from '../../host/node/node-host.ts'
import { Spillway } from '../spillway.ts'
import { DIRECTORY, openSim, simHost, within } from '../testing/sim.ts'

const root = mkdtempSync(join(tmpdir(), 'spillway-owner-'))
after(() => rmSync(root, { recursive: true, force: true }))
let count = 0
const isLinux = process.platform === 'linux'

/** The real host, and one whose directories cannot be reached by their descriptors, as on other platforms. */
const HOSTS = {
  'by descriptor': nodeHost,
  'by comparison': () => {
    const host = nodeHost()
    const openDirectory = host.openDirectory.bind(host)
    host.openDirectory = path => {
      const directory = openDirectory(path)
      const reference = { ...directory.reference, root: '' }
      return { path, reference, files: host.files.within(reference), mountId: () => directory.mountId(), lock: () => directory.lock(), checkUnlocked: () => directory.checkUnlocked(), close: () => directory.close() }
    }
    return host
  },
}

function newDirectory(): string {
  return join(root, `store${count++}`)
}

for (const [way, makeHost] of Object.entries(HOSTS)) {
  for (const mode of ['16 MiB', '64 MiB']) {
    const options = { budget: mode, host: makeHost() }

    test(`a removed directory, ${way}, ${mode}: the store stops with a reason, and what stands at its path is not touched`, { skip: !isLinux }, async () => {
      const directory = newDirectory()
      const before = await Spillway.open(directory, options)
      for (let i = 0; i < 100; i++) await before.put(`old${i}`, 'o')
      rmSync(directory, { recursive: true })
      const db = await Spillway.open(directory, options)
      await assert.rejects(before.put('more', 'o', { durability: 'disk' }), { code: 'SPILLWAY_FENCED', message: /was removed while the store was open/ })
      for (let i = 0; i < 100; i++) await db.put(`new${i}`, 'n', { durability: 'disk' })
      await assert.rejects(before.flush(), { code: 'SPILLWAY_FENCED' })
      await assert.rejects(before.compact(), { code: 'SPILLWAY_FENCED' })
      assert.throws(() => before.putSync('more', 'o'), { code: 'SPILLWAY_FENCED' })
      assert.equal(await before.get('old1'), 'o')
      await db.flush()
      await db.close()
      await assert.rejects(before.close(), { code: 'SPILLWAY_FENCED' })
      const again = await Spillway.open(directory, options)
      assert.deepEqual([await again.count({ gte: 'new', lt: 'nex' }), await again.count({ gte: 'old', lt: 'ole' })], [100, 0])
      assert.deepEqual((await again.verify()).errors, [])
      await again.close()
    })

    test(`a renamed directory, ${way}, ${mode}`, { skip: !isLinux }, async () => {
      const directory = newDirectory()
      const moved = `${directory}-moved`
      const db = await Spillway.open(directory, options)
      await db.put('one', '1')
      renameSync(directory, moved)
      await assert.rejects(Spillway.open(moved, options), { code: 'SPILLWAY_LOCKED' })
      mkdirSync(directory)
      writeFileSync(join(directory, 'stranger'), 'x')
      await db.put('two', '2', { durability: 'disk' })
      if (way === 'by descriptor') {
        await db.flush()
        await db.compact()
        await db.close()
      } else {
        await assert.rejects(db.flush(), { code: 'SPILLWAY_FENCED', message: /was renamed, removed or replaced/ })
        await assert.rejects(db.close(), { code: 'SPILLWAY_FENCED' })
      }
      assert.deepEqual(readdirSync(directory), ['stranger'])
      const again = await Spillway.open(moved, options)
      assert.deepEqual(await again.iterator().all(), [['one', '1'], ['two', '2']])
      assert.deepEqual((await again.verify()).errors, [])
      await again.close()
    })
  }
}

test('a link that leads elsewhere now changes nothing for who is open', { skip: !isLinux }, async () => {
  const [one, two, link] = [newDirectory(), newDirectory(), newDirectory()]
  mkdirSync(one)
  mkdirSync(two)
  symlinkSync(one, link)
  const db = await Spillway.open(link, { budget: '16 MiB' })
  await db.put('k', 'one')
  unlinkSync(link)
  symlinkSync(two, link)
  await db.flush()
  const other = await Spillway.open(link, { budget: '16 MiB' })
  assert.equal(await other.get('k'), undefined)
  await other.put('k', 'two')
  await db.close()
  await other.close()
  for (const [directory, value] of [[one, 'one'], [two, 'two']] as const) {
    const again = await Spillway.open(directory, { budget: '16 MiB' })
    assert.equal(await again.get('k'), value)
    await again.close()
  }
})

test('a store that only writes to memory and the system hears of it within a second', async () => {
  const host = simHost({ seed: 3 })
  const db = await openSim(host)
  const told: string[] = []
  const listen = (message: unknown): void => { told.push((message as { error: Error }).error.message) }
  diagnostics.subscribe('spillway:error', listen)
  host.removeTree(DIRECTORY)
  await within(host, db.put('a', '1'))
  host.advance(1000)
  await assert.rejects(within(host, db.put('b', '1', { durability: 'none' })), { code: 'SPILLWAY_FENCED' })
  diagnostics.unsubscribe('spillway:error', listen)
  assert.equal(told.length, 1)
  assert.match(told[0]!, /^\/store was removed while the store was open/)
  await assert.rejects(within(host, db.close()), { code: 'SPILLWAY_FENCED' })
})

test('in the simulator a renamed directory is written on, under any name', async () => {
  const host = simHost({ seed: 4 })
  const db = await openSim(host)
  await within(host, db.put('a', '1'))
  host.disk.rename(DIRECTORY, '/elsewhere')
  await within(host, db.flush())
  await within(host, db.put('b', '2', { durability: 'disk' }))
  await within(host, db.close())
  host.disk.rename('/elsewhere', DIRECTORY)
  const again = await openSim(host)
  assert.deepEqual(await within(host, again.iterator().all()), [['a', '1'], ['b', '2']])
  await within(host, again.close())
})
