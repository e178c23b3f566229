import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HostFiles } from '../host.ts'
import { SEED, bytesOf, filesContract, textOf, writeText } from '../testing/files-contract.ts'
import { Random } from './random.ts'
import { SimDisk } from './sim-disk.ts'
import { SimHost } from './sim-host.ts'

filesContract('simulated files', () => {
  const host = new SimHost()
  host.files.makeDirectory('/db')
  return { files: host.files, directory: '/db', close: () => {} }
})

function newHost(seed = 1): SimHost {
  const host = new SimHost({ seed })
  host.files.makeDirectory('/db')
  return host
}

function isAllOf(bytes: Uint8Array, fill: number): boolean {
  return bytes.every(byte => byte === fill)
}

test('what was synced survives a power loss, what was not may be lost, kept or torn, sector by sector', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 200; seed++) {
    const host = newHost(seed)
    const file = host.files.create('/db/a')
    file.writeSync(new Uint8Array(1024).fill(1), 0, 1024, 0)
    file.syncSync()
    host.files.syncDirectory('/db')
    file.writeSync(new Uint8Array(512).fill(2), 0, 512, 512)
    file.writeSync(new Uint8Array(1024).fill(3), 0, 1024, 1024)
    const after = host.crash().files.readAll('/db/a')
    assert(after.length >= 1024 && after.length <= 2048)
    assert(isAllOf(after.subarray(0, 512), 1), 'synced bytes were lost')
    const middle = after.subarray(512, 1024)
    const twos = middle.filter(byte => byte === 2).length
    assert(isAllOf(middle.subarray(0, twos), 2) && isAllOf(middle.subarray(twos), 1), 'a torn sector is a prefix of the new bytes')
    seen.add(twos === 512 ? 'kept' : twos === 0 ? 'dropped' : 'torn')
    const tail = after.subarray(1024)
    assert(tail.every(byte => byte === 3 || byte === 0))
    seen.add(after.length === 2048 ? 'long' : after.length === 1024 ? 'short' : 'between')
    if (tail.includes(0) && tail.includes(3)) seen.add('hole')
  }
  assert.deepEqual([...seen].sort(), ['between', 'dropped', 'hole', 'kept', 'long', 'short', 'torn'])
})

test('a new file is there after a power loss only for sure when its directory was synced', () => {
  const kept = new Set<number>()
  for (let seed = 1; seed <= 100; seed++) {
    const host = newHost(seed)
    for (const name of ['a', 'b', 'c']) {
      const file = host.files.create(`/db/${name}`)
      file.syncSync()
      if (name === 'a') host.files.syncDirectory('/db')
    }
    host.files.remove('/db/a')
    const names = host.crash().files.list('/db')
    // The changes since the sync were: +b +c -a. A prefix of them survives.
    assert(['a', 'a,b', 'a,b,c', 'b,c'].includes(names.join()), names.join())
    kept.add(names.length)
  }
  assert.deepEqual([...kept].sort(), [1, 2, 3])
})

test('without a power loss a dying process loses nothing of what it wrote', () => {
  const host = newHost()
  writeText(host.files.create('/db/a'), 'abc')
  const next = host.crash({ lossless: true })
  assert.equal(textOf(next.files.readAll('/db/a')), 'abc')
  // Still not synced: a later power loss may take it.
  const seen = new Set<boolean>()
  for (let seed = 1; seed <= 50; seed++) {
    const again = newHost(seed)
    writeText(again.files.create('/db/a'), 'abc')
    seen.add(again.crash({ lossless: true }).crash().files.exists('/db/a'))
  }
  assert.equal(seen.size, 2)
})

test('a published file survives a power loss whole, whatever happened before it', () => {
  for (let seed = 1; seed <= 100; seed++) {
    const host = newHost(seed)
    host.files.create('/db/unsynced').close()
    host.files.publish('/db/m', bytesOf('old'))
    host.files.remove('/db/m')
    host.files.publish('/db/m', bytesOf('manifest'))
    const next = host.crash().files
    assert.equal(textOf(next.readAll('/db/m')), 'manifest')
  }
})

test('a crash inside publish leaves the file whole or not at all', () => {
  const seen = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    for (let step = 1; step <= 3; step++) {
      const host = newHost(seed)
      host.disk.faults.failAt(host.disk.faults.operations + step, 'EIO', true)
      assert.throws(() => { host.files.publish('/db/m', new Uint8Array(5000).fill(9)) }, { code: 'EIO' })
      const next = host.crash().files
      if (next.exists('/db/m')) {
        const bytes = next.readAll('/db/m')
        assert(bytes.length === 5000 && isAllOf(bytes, 9))
      }
      seen.add(`${step}: ${next.list('/db').map(name => name.replace(/-.*/, '-*')).join()}`)
    }
  }
  // Only the last step may leave the file, and a temporary one may stay behind.
  assert.deepEqual([...seen].sort(), ['1: ', '2: ', '2: tmp-*', '3: ', '3: m', '3: m,tmp-*', '3: tmp-*'])
})

test('after a crash the old files can do nothing, and a sync in flight was not done', async () => {
  let lost = 0
  for (let seed = 1; seed <= 40; seed++) {
    const host = newHost(seed)
    const file = host.files.create('/db/a')
    host.files.syncDirectory('/db')
    writeText(file, 'abc')
    const sync = file.sync()
    const next = host.crash()
    await assert.rejects(sync, { code: 'EIO' })
    assert.throws(() => { writeText(file, 'x') }, { code: 'EIO' })
    assert.throws(() => host.files.create('/db/b'), { code: 'EIO' })
    assert.throws(() => host.files.exists('/db/a'), { code: 'EIO' })
    assert.throws(() => host.crash(), /already crashed/)
    if (textOf(next.files.readAll('/db/a')) !== 'abc') lost++
  }
  assert(lost > 5)
})

test('an asynchronous sync covers what was written before it began, not after', async () => {
  const survivors = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    const host = newHost(seed)
    const file = host.files.create('/db/a')
    host.files.syncDirectory('/db')
    writeText(file, 'aaaa')
    const first = file.sync()
    writeText(file, 'bbbb')
    await first
    const text = textOf(host.crash().files.readAll('/db/a'))
    assert.equal(text.length, 4)
    survivors.add(text)
  }
  assert(survivors.has('aaaa') && survivors.has('bbbb'))
})

test('syncs that overlap never take back what one of them made durable', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const host = newHost(seed)
    const file = host.files.create('/db/a')
    host.files.syncDirectory('/db')
    writeText(file, 'aaaa')
    const first = file.sync()
    writeText(file, 'bbbb')
    const second = file.sync()
    writeText(file, 'cccc')
    if (seed % 2 === 0) {
      file.syncSync()
      await first
    } else {
      await second
    }
    const text = textOf(host.crash().files.readAll('/db/a'))
    assert.match(text, seed % 2 === 0 ? /^cccc$/ : /^[bc]{4}$/)
    await Promise.allSettled([first, second])
  }
})

test('a sync that failed has lost what it covered, even when the next one succeeds', () => {
  const host = newHost()
  const file = host.files.create('/db/a')
  host.files.syncDirectory('/db')
  writeText(file, 'abc')
  host.disk.faults.failAt(host.disk.faults.operations + 1)
  assert.throws(() => { file.syncSync() }, { code: 'EIO' })
  file.syncSync()
  assert.equal(textOf(host.files.readAll('/db/a')), 'abc')
  assert.deepEqual([...host.crash().files.readAll('/db/a')], [0, 0, 0])
})

test('what was not written back is not durable however often it is written again, but in a new file that takes the name', () => {
  for (const way of ['failing sync', 'failing write-back', 'new file', 'cut off first']) {
    const host = newHost()
    let file = host.files.create('/db/a')
    host.files.syncDirectory('/db')
    writeText(file, 'abc')
    if (way === 'failing sync') {
      host.disk.faults.failAt(host.disk.faults.operations + 1)
      assert.throws(() => { file.syncSync() }, { code: 'EIO' })
    } else {
      host.disk.failWriteBack('/db/a')
    }
    if (way === 'cut off first') file.truncate(0)
    if (way === 'new file') file = host.files.create('/db/b')
    writeText(file, 'abc')
    file.syncSync()
    if (way === 'new file') {
      host.files.rename('/db/b', '/db/a')
      host.files.syncDirectory('/db')
    }
    const { files } = host.crash()
    assert.deepEqual(files.list('/db'), ['a'])
    assert.equal(textOf(files.readAll('/db/a')), way.startsWith('failing') ? '\0\0\0' : 'abc', way)
  }
})

test('a crash in the middle of a rename leaves the one file or the other', () => {
  const texts = new Set<string>()
  for (let seed = 1; seed <= 40; seed++) {
    const host = newHost(seed)
    host.files.publish('/db/a', bytesOf('old'))
    host.files.publish('/db/b', bytesOf('new'))
    host.files.rename('/db/b', '/db/a')
    texts.add(textOf(host.crash().files.readAll('/db/a')))
  }
  assert.deepEqual([...texts].sort(), ['new', 'old'])
})

test('operation N fails with the code asked for, once, or from then on', () => {
  const work = (files: HostFiles): void => {
    const file = files.create('/db/a')
    writeText(file, 'abc')
    file.syncSync()
    files.syncDirectory('/db')
    files.readAll('/db/a')
    files.list('/db')
    files.remove('/db/a')
  }
  const count = newHost()
  const before = count.disk.faults.operations
  work(count.files)
  const total = count.disk.faults.operations - before
  assert.equal(total, 7)
  for (let n = 1; n <= total; n++) {
    const host = newHost()
    host.disk.faults.failAt(before + n, 'EACCES')
    assert.throws(() => { work(host.files) }, { code: 'EACCES' })
    assert.equal(host.disk.faults.operations, before + n)
    host.files.list('/db')
    host.disk.faults.failAt(1, 'EROFS', true)
    assert.throws(() => host.files.list('/db'), { code: 'EROFS' })
    assert.throws(() => host.files.list('/db'), { code: 'EROFS' })
    host.disk.faults.clear()
    host.files.list('/db')
  }
})

test('a full disk takes what fits and says ENOSPC; room comes back with removal and truncation', () => {
  const host = newHost()
  host.disk.faults.capacityBytes = 1000
  const file = host.files.create('/db/a')
  file.writeSync(new Uint8Array(600), 0, 600, 0)
  assert.throws(() => { file.writeSync(new Uint8Array(600), 0, 600, 600) }, { code: 'ENOSPC' })
  assert.equal(file.size(), 1000)
  file.writeSync(new Uint8Array(600), 0, 600, 0)
  assert.throws(() => { host.files.publish('/db/m', bytesOf('x')) }, { code: 'ENOSPC' })
  assert.deepEqual(host.files.list('/db'), ['a'])
  assert.throws(() => { file.truncate(1001) }, { code: 'ENOSPC' })
  file.truncate(500)
  host.files.publish('/db/m', new Uint8Array(500))
  host.files.remove('/db/a')
  assert.equal(host.disk.usedBytes, 500)
  host.files.publish('/db/n', new Uint8Array(500))
})

test('corrupt flips stored bits; unreadable files fail their reads', async () => {
  const host = newHost()
  host.files.publish('/db/a', new Uint8Array([1, 2, 3]))
  host.disk.corrupt('/db/a', 1, 0x80)
  assert.deepEqual([...host.files.readAll('/db/a')], [1, 0x82, 3])
  assert.deepEqual([...host.crash().files.readAll('/db/a')], [1, 0x82, 3])
  assert.throws(() => { host.disk.corrupt('/db/a', 3, 1) }, RangeError)
  const next = new SimHost({ disk: host.disk })
  const file = next.files.openRead('/db/a')
  next.disk.faults.failReads('/db/a')
  assert.throws(() => file.readSync(new Uint8Array(3), 0, 3, 0), { code: 'EIO' })
  await assert.rejects(file.read(new Uint8Array(3), 0, 3, 0), { code: 'EIO' })
  assert.throws(() => next.files.readAll('/db/a'), { code: 'EIO' })
})

test('random histories: what a finished sync covered survives every crash', () => {
  const step = fc.record({
    kind: fc.constantFrom('append', 'append', 'sync', 'crash', 'publish'),
    length: fc.integer({ min: 1, max: 2000 }),
  })
  fc.assert(fc.property(fc.array(step, { maxLength: 25 }), fc.nat(), (steps, seed) => {
    let host = newHost(seed)
    let file = host.files.create('/db/log')
    file.syncSync()
    host.files.syncDirectory('/db')
    let written = 0
    let synced = 0
    const published = new Map<string, number>()
    for (const { kind, length } of steps) {
      if (kind === 'append') {
        const bytes = Uint8Array.from({ length }, (_, i) => (written + i) % 251)
        file.writeSync(bytes, 0, length, written)
        written += length
      } else if (kind === 'sync') {
        file.syncSync()
        synced = written
      } else if (kind === 'publish') {
        const name = `/db/m${published.size}`
        host.files.publish(name, new Uint8Array(length).fill(5))
        published.set(name, length)
      } else {
        host = host.crash()
        file = host.files.openWrite('/db/log')
        assert(file.size() >= synced && file.size() <= Math.max(written, synced), `${synced} <= ${file.size()} <= ${written}`)
        const bytes = host.files.readAll('/db/log')
        for (let i = 0; i < synced; i++) assert.equal(bytes[i], i % 251)
        for (const [name, size] of published) assert.equal(host.files.readAll(name).length, size)
        // As recovery does: cut what is not known to be whole.
        file.truncate(synced)
        file.syncSync()
        written = synced
      }
    }
  }), { seed: SEED, numRuns: 300 })
})

test('the generator gives the same numbers for a seed, others for the next, within bounds', () => {
  const first = Array.from({ length: 5 }, ((random: Random) => () => random.next32())(new Random(7)))
  const again = new Random(7)
  assert.deepEqual(first, Array.from({ length: 5 }, () => again.next32()))
  assert.notDeepEqual(first, Array.from({ length: 5 }, ((random: Random) => () => random.next32())(new Random(8))))
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 10_000; i++) counts[again.below(10)]!++
  assert(counts.every(count => count > 800 && count < 1200), counts.join())
})

test('in a directory that is only read everything that would change it is refused, and told', async () => {
  const host = newHost()
  const { files, disk: { faults } } = host
  const open = files.create('/db/a')
  writeText(open, 'text')
  files.makeDirectory('/other')
  faults.readOnlyDirectory = '/db'
  const calls = [
    () => files.create('/db/b'), () => files.openWrite('/db/a'), () => files.publish('/db/b', new Uint8Array(1)), () => files.remove('/db/a'),
    () => files.makeDirectory('/db'), () => files.makeDirectory('/db/b'), () => files.syncDirectory('/db'), () => host.removeTree('/db'),
    () => open.writeSync(new Uint8Array(1), 0, 1, 0), () => open.truncate(0), () => open.syncSync(),
  ]
  for (const call of calls) assert.throws(call, { code: 'EROFS' })
  await assert.rejects(host.openDirectory('/db').lock(), { code: 'EROFS' })
  assert.equal(faults.refusals.length, calls.length + 1)
  assert.deepEqual(files.list('/db'), ['a'])
  assert.equal(textOf(files.readAll('/db/a')), 'text')
  files.create('/other/a').close()
  faults.readOnlyDirectory = '/'
  assert.throws(() => files.create('/other/b'), { code: 'EROFS' })
  faults.clear()
  files.create('/db/b').close()
})

test('paths are one whatever their spelling', () => {
  assert.equal(SimDisk.normalize('db//x/../a/'), '/db/a')
  const host = newHost()
  host.files.create('/db/./a').close()
  assert.equal(host.files.exists('db/a'), true)
})
