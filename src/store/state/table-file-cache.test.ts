import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileError } from '../../host/file-error.ts'
import type { HostFile } from '../../host/host.ts'
import { SimHost } from '../../host/sim/sim-host.ts'
import type { SimFiles } from '../../host/sim/sim-files.ts'
import { TableFile, TableFileCache } from './table-file-cache.ts'

const pathOf = (number: number): string => `/db/${number}`

interface Place {
  files: SimFiles
  /** Numbers of the files opened, in order. */
  opened: number[]
  /** How many are open now, by what was opened and closed. */
  open: Set<string>
}

function newPlace(count: number, most = Infinity): Place {
  const { files } = new SimHost()
  files.makeDirectory('/db')
  for (let i = 0; i < count; i++) files.publish(pathOf(i), Uint8Array.of(i))
  const place: Place = { files, opened: [], open: new Set() }
  const openRead = files.openRead.bind(files)
  files.openRead = (path: string): HostFile => {
    if (place.open.size >= most) throw fileError('EMFILE', 'open', path)
    const file = openRead(path)
    const close = file.close.bind(file)
    file.close = () => {
      place.open.delete(path)
      close()
    }
    place.opened.push(Number(path.slice(4)))
    place.open.add(path)
    return file
  }
  return place
}

function readOf(file: TableFile): number {
  const byte = new Uint8Array(1)
  assert.equal(file.readSync(byte, 0, 1, 0), 1)
  return byte[0]!
}

test('with any number of files, a bounded number is open, and all can be read', async () => {
  const place = newPlace(20)
  const pool = new TableFileCache(place.files, 5)
  const tables = Array.from({ length: 20 }, (_, i) => new TableFile(pool, i, pathOf))
  assert.equal(place.opened.length, 0, 'none before it is read')
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 20; i++) {
      assert.equal(readOf(tables[i * 7 % 20]!), i * 7 % 20)
      assert.equal(place.open.size, pool.openCount)
      assert.ok(place.open.size <= 5)
    }
  }
  const byte = new Uint8Array(1)
  assert.equal(await tables[3]!.read(byte, 0, 1, 0), 1)
  assert.equal(byte[0], 3)
  for (const table of tables) table.close()
  assert.equal(place.open.size, 0)
})

test('a file that is read again and again stays open while others come and go', () => {
  const place = newPlace(20)
  const pool = new TableFileCache(place.files, 4)
  const tables = Array.from({ length: 20 }, (_, i) => new TableFile(pool, i, pathOf))
  for (let i = 1; i < 20; i++) {
    readOf(tables[0]!)
    readOf(tables[i]!)
  }
  assert.ok(place.opened.filter(number => number === 0).length <= 1 + 19 / 3, `opened in this order: ${place.opened.join(' ')}`)
})

test('a file that was closed is never opened again', async () => {
  const place = newPlace(2)
  const pool = new TableFileCache(place.files, 4)
  const [read, unread] = [new TableFile(pool, 0, pathOf), new TableFile(pool, 1, pathOf)]
  readOf(read)
  for (const file of [read, unread]) {
    file.close()
    file.close()
    assert.throws(() => readOf(file), { code: 'EBADF' })
    assert.throws(() => file.size(), { code: 'EBADF' })
  }
  assert.deepEqual([place.opened, place.open.size, pool.openCount], [[0], 0, 0])
})

test('when the system gives no more descriptors, those that are open are made to do', () => {
  const place = newPlace(20, 9)
  const pool = new TableFileCache(place.files, 512)
  const tables = Array.from({ length: 20 }, (_, i) => new TableFile(pool, i, pathOf))
  for (let round = 0; round < 2; round++) for (let i = 0; i < 20; i++) assert.equal(readOf(tables[i]!), i)
  assert.equal(pool.openCount, 9)
  const none = newPlace(1, 0)
  assert.throws(() => readOf(new TableFile(new TableFileCache(none.files, 512), 0, pathOf)), { code: 'EMFILE' })
})

test('a missing table file is damage', () => {
  const place = newPlace(1)
  const file = new TableFile(new TableFileCache(place.files, 4), 7, pathOf)
  assert.throws(() => readOf(file), { code: 'SPILLWAY_CORRUPTION', message: /\/db\/7/ })
})
