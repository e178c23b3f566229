import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SimHost } from '../host/sim/sim-host.ts'
import { Budget } from '../memory/budget.ts'
import { ScratchFile } from './scratch-file.ts'
import { KIB, MIB, noise } from './testing/pools.ts'

function newScratch(poison = false): { scratch: ScratchFile; host: SimHost; budget: Budget } {
  const host = new SimHost()
  host.files.makeDirectory('/s')
  const budget = new Budget(MIB)
  return { scratch: new ScratchFile(host.files, '/s/pages', budget.account('pages', 'test'), { poison }), host, budget }
}

test('the file is created at the first write, never synced, and removed by close', () => {
  const { scratch, host, budget } = newScratch()
  const position = scratch.alloc(10_000)
  assert.deepEqual(host.files.list('/s'), [])
  scratch.write(noise(1, 10_000), 0, 10_000, position)
  assert.deepEqual(host.files.list('/s'), ['pages'])
  const target = new Uint8Array(10_000)
  assert.equal(scratch.read(target, 0, 10_000, position), true)
  assert.deepEqual(target, noise(1, 10_000))
  assert.equal(scratch.read(target, 0, 10, 20_000), false, 'beyond the end')
  assert.deepEqual([scratch.usedBytes, scratch.fileBytes], [12 * KIB, 10_000])
  assert.ok(host.disk.log.every(line => !line.startsWith('sync')))
  scratch.close()
  scratch.close()
  assert.deepEqual([host.files.list('/s'), budget.usedBytes], [[], 0])
})

test('a file without extents is empty on disk', () => {
  const { scratch, host } = newScratch()
  const places = [1, 2, 3].map(seed => {
    const position = scratch.alloc(100 * KIB)
    scratch.write(noise(seed, 100 * KIB), 0, 100 * KIB, position)
    return position
  })
  for (const position of places) scratch.free(position, 100 * KIB)
  assert.deepEqual([host.files.openRead('/s/pages').size(), scratch.fileBytes, scratch.usedBytes], [0, 0, 0])
  scratch.write(noise(9, 10), 0, 10, scratch.alloc(10))
  assert.equal(host.files.openRead('/s/pages').size(), 10)
  scratch.close()
})

test('a free end is truncated, and a failed truncation does no harm', () => {
  const { scratch, host } = newScratch()
  const length = 5 * MIB
  const places = [1, 2, 3, 4, 5].map(() => scratch.alloc(length))
  for (const position of places) scratch.write(noise(1, 10), 0, 10, position)
  scratch.free(places[4]!, length)
  const full = host.files.openRead('/s/pages').size()
  scratch.free(places[3]!, length)
  assert.equal(host.files.openRead('/s/pages').size(), full)
  host.disk.faults.failAt(host.disk.faults.operations + 1)
  scratch.free(places[2]!, length)
  scratch.free(places[1]!, length)
  assert.ok(host.files.openRead('/s/pages').size() <= 8 * MIB)
  scratch.close()
})

test('trim frees the end of an extent', () => {
  const { scratch } = newScratch()
  const position = scratch.alloc(100 * KIB)
  scratch.trim(position, 100 * KIB, 9 * KIB)
  assert.equal(scratch.usedBytes, 12 * KIB)
  assert.equal(scratch.alloc(4 * KIB), position + 12 * KIB)
  scratch.trim(position, 12 * KIB, 12 * KIB)
  scratch.close()
})

test('poison: freed extents are overwritten', () => {
  const { scratch, host } = newScratch(true)
  const [first, second] = [scratch.alloc(6000), scratch.alloc(6000)] as [number, number]
  scratch.write(noise(1, 6000), 0, 6000, first)
  scratch.write(noise(2, 6000), 0, 6000, second)
  scratch.free(first, 6000)
  const bytes = host.files.readAll('/s/pages')
  assert.ok(bytes.subarray(0, 8192).every(byte => byte === 0xdb))
  assert.deepEqual(bytes.slice(8192, 8192 + 6000), noise(2, 6000))
  scratch.close()
})

test('a path function is called at the first write', () => {
  const { host } = newScratch()
  const account = new Budget(MIB).account('pages', 'test')
  let made = 0
  const scratch = new ScratchFile(host.files, () => `/s/file-${++made}`, account)
  assert.deepEqual([made, scratch.path], [0, ''])
  scratch.write(noise(1, 10), 0, 10, scratch.alloc(10))
  assert.deepEqual([made, scratch.path, host.files.list('/s')], [1, '/s/file-1', ['file-1']])
  scratch.close()
  assert.deepEqual(host.files.list('/s'), [])
})
