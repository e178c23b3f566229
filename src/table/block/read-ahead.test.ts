/** Stretches of tables that are read at once: what they serve, whom they make way for, and that memory comes back. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostFile } from '../../host/host.ts'
import { Budget } from '../../memory/budget.ts'
import type { TableReader } from '../table-reader.ts'
import { ReadAhead } from './read-ahead.ts'

const KIB = 1024
const STRETCH = 16 * KIB
const FILE_BYTES = 512 * KIB
const BLOCK = 1000

interface Read { table: number, offset: number, length: number }

function setUp(budgetBytes = 1024 * KIB) {
  const budget = new Budget(budgetBytes)
  const account = budget.account('read ahead', 'test')
  const reads: Read[] = []
  const state = { fails: false, shortBytes: 0, stretchBytes: STRETCH }
  const ahead = new ReadAhead(account, () => state.stretchBytes)
  const tableOf = (id: number): TableReader => {
    const file = {
      readSync(target: Uint8Array, at: number, length: number, offset: number) {
        if (state.fails) throw new Error('EIO')
        reads.push({ table: id, offset, length })
        for (let i = 0; i < length; i++) target[at + i] = byteOf(id, offset + i)
        return length - state.shortBytes
      },
    } as unknown as HostFile
    return { id, file, blockEnd: FILE_BYTES } as unknown as TableReader
  }
  const check = (table: TableReader, offset: number, aheadBytes = STRETCH, length = BLOCK): boolean => {
    if (!ahead.load(table, offset, length, aheadBytes)) return false
    for (let i = 0; i < length; i++) assert.equal(ahead.bytes[ahead.at + i], byteOf(table.id, offset + i))
    return true
  }
  return { budget, account, ahead, reads, state, tableOf, check }
}

function byteOf(table: number, at: number): number { return (table * 31 + at * 7 + (at >>> 8)) & 255 }

test('blocks that follow one another are served from one read a stretch', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const table = tableOf(3)
  for (let offset = 0; offset + BLOCK <= 160 * BLOCK; offset += BLOCK) assert.ok(check(table, offset))
  assert.equal(reads.length, 10)
  assert.equal(ahead.reads, 10)
  assert.deepEqual(reads[0], { table: 3, offset: 0, length: STRETCH })
  ahead.close()
})

test('no more is read than was asked for, than a slot takes, and than there are blocks', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const table = tableOf(1)
  assert.ok(check(table, 0, 4 * KIB))
  assert.ok(check(table, 64 * KIB, 1024 * KIB))
  assert.ok(check(table, FILE_BYTES - 3000))
  assert.deepEqual(reads.map(({ length }) => length), [4 * KIB, STRETCH, 3000])
  assert.equal(check(table, FILE_BYTES - BLOCK), true, 'it lies in what was read')
  assert.equal(check(table, FILE_BYTES - 500), false, 'it leads out of the blocks')
  assert.equal(ahead.load(table, 128 * KIB, STRETCH, STRETCH), false, 'a block as long as a stretch has nothing ahead of it')
  ahead.close()
})

test('eight runs are read side by side, and the same bytes of another table are not taken for them', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const tables = Array.from({ length: 8 }, (_, i) => tableOf(i + 1))
  for (let block = 0; block < 16; block++) for (const table of tables) assert.ok(check(table, block * BLOCK))
  assert.equal(reads.length, 8)
  ahead.close()
})

test('with more scans at once than stretches, useless reads soon stop', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const tables = Array.from({ length: 20 }, (_, i) => tableOf(i + 1))
  for (let block = 0; block < 50; block++) for (const table of tables) check(table, block * BLOCK)
  assert.ok(reads.length < 100, `${reads.length} stretches for 1000 blocks`)
  ahead.close()
})

test('a second pass is told from a first one', () => {
  const { ahead, tableOf, check } = setUp()
  const table = tableOf(5)
  for (const wanted of [false, true]) {
    for (let offset = 0; offset < 20 * STRETCH; offset += STRETCH) {
      assert.ok(check(table, offset, STRETCH, STRETCH / 4))
      assert.equal(ahead.isAgain, wanted)
    }
  }
  ahead.close()
})

test('stretches that begin where the one before them ends are no second pass', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const tables = [tableOf(1), tableOf(2), tableOf(3)]
  for (const wanted of [false, true]) {
    for (let offset = 0; offset + 3001 <= FILE_BYTES; offset += 3001) {
      for (const table of tables) {
        const before = reads.length
        assert.ok(check(table, offset, STRETCH, 3001) || offset > FILE_BYTES - 2 * 3001)
        if (reads.length > before && !wanted) assert.equal(ahead.isAgain, false, `at ${offset}`)
      }
    }
    if (wanted) assert.ok(ahead.isAgain)
  }
  ahead.close()
})

test('what was found to be damaged in memory is read again', () => {
  const { ahead, reads, tableOf, check } = setUp()
  const table = tableOf(4)
  assert.ok(check(table, 0))
  ahead.bytes[ahead.at] = ahead.bytes[ahead.at]! ^ 1
  ahead.forget()
  assert.ok(check(table, 0))
  assert.equal(reads.length, 2)
  ahead.close()
})

test('a block too long to be read ahead takes no memory, and another stretch length reallocates the buffers', () => {
  const { account, ahead, state, tableOf, check } = setUp()
  const table = tableOf(1)
  assert.equal(ahead.load(table, 0, STRETCH / 2 + 1, STRETCH), false)
  assert.equal(account.bytes, 0)
  assert.ok(check(table, 0))
  state.stretchBytes = 2 * STRETCH
  assert.ok(check(table, 100 * KIB, 64 * KIB))
  assert.equal(account.bytes, 16 * STRETCH + 8 * KIB)
  ahead.close()
})

test('a read that fails or ends early is left to the read of the block itself', () => {
  const { ahead, state, tableOf, check } = setUp()
  const table = tableOf(2)
  assert.ok(check(table, 0))
  state.fails = true
  assert.equal(check(table, 32 * KIB), false)
  assert.ok(check(table, BLOCK), 'what was read before is still there')
  state.fails = false
  state.shortBytes = STRETCH - 10
  assert.equal(check(table, 64 * KIB), false)
  state.shortBytes = 0
  assert.ok(check(table, 64 * KIB))
  ahead.close()
})

test('memory is leased before it is there, given back when asked and when closed', () => {
  const { budget, account, ahead, tableOf, check } = setUp(400 * KIB)
  const table = tableOf(1)
  assert.equal(account.bytes, 0)
  assert.ok(check(table, 0))
  assert.equal(account.bytes, 8 * STRETCH + 8 * KIB)
  assert.equal(account.measure!(), account.bytes)
  const other = budget.account('other', 'test').lease(300 * KIB)
  assert.equal(account.bytes, 0)
  assert.equal(account.measure!(), 0)
  assert.equal(check(table, 0), false, 'what others need is not for reading ahead')
  other.release()
  for (let n = 0; n < 5000 && !check(table, 0); n++) assert.ok(n < 4999, 'it comes back when there is room')
  ahead.close()
  assert.equal(account.bytes, 0)
  assert.equal(budget.usedBytes, 0)
})
