import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'
import { Ghosts } from './ghosts.ts'
import { TwoLevelCache } from './two-level-cache.ts'

const MIB = 1024 * 1024
const BLOCK = 4096
const SEED = 7

interface Disk {
  /** Microseconds of a read, and of a load from the second level. */
  readUs: number
  loadUs: number
  /** Bytes of a block by bytes stored. */
  ratio: number
}

/** A reader of blocks that all have a name and a stored form, with a clock that only loads move. */
class Reader {
  readonly budget = new Budget(2 * MIB + 256 * 1024)
  readonly cache: TwoLevelCache
  us = 0
  reads = 0
  readonly #disk: Disk
  #state = SEED

  constructor(disk: Disk) {
    this.#disk = disk
    const first = new BlockCache(this.budget.account('first', ''), { slotBytes: 32 * 1024 })
    this.cache = new TwoLevelCache(first, this.budget.account('second', ''), () => this.us / 1000, 32 * 1024)
    this.cache.setGhosts(new Ghosts(64, MIB / 4))
  }

  get(block: number): void {
    const { cache } = this
    const offset = block * 8192
    if (cache.first.find(1, offset)) return
    const isFound = cache.findStored(1, offset)
    this.us += isFound ? this.#disk.loadUs : this.#disk.readUs
    const stored = storedOf(block, Math.round(BLOCK / this.#disk.ratio))
    if (isFound) assert.deepEqual(cache.bytes.subarray(cache.start, cache.end), stored)
    else this.reads++
    cache.loaded(1, offset, isFound, stored, 0, stored.length, BLOCK)
    cache.first.insert(1, offset, new Uint8Array(BLOCK).fill(block), 0, BLOCK)
    assert.ok(this.budget.usedBytes <= this.budget.totalBytes)
  }

  random(below: number): number {
    this.#state = Math.imul(this.#state, 1664525) + 1013904223 >>> 0
    return Math.floor(this.#state / 2 ** 32 * below)
  }
}

function storedOf(block: number, length: number): Uint8Array {
  return new Uint8Array(length).fill(block * 7 + 1)
}

const SLOW: Disk = { readUs: 100, loadUs: 4, ratio: 3.5 }
/** Blocks of three times the budget. */
const WORKING_SET = 3 * 2 * MIB / BLOCK

test('a working set of three times the memory that compresses well is read from the second level', () => {
  const reader = new Reader(SLOW)
  for (let i = 0; i < 60_000; i++) reader.get(reader.random(WORKING_SET))
  const { share, reads, hits } = reader.cache.secondStats()
  assert.ok(share >= 0.7, `share ${share}`)
  const [usBefore, readsBefore] = [reader.us, reader.reads]
  for (let i = 0; i < 20_000; i++) reader.get(reader.random(WORKING_SET))
  const us = (reader.us - usBefore) / 20_000
  assert.ok(us < 25, `${us} us a get, where it was ${(1 - 1 / 3) * SLOW.readUs}: ${reader.reads - readsBefore} reads; ${reads} of ${reads + hits}`)
})

test('what fits the first level leaves it all the memory', () => {
  const reader = new Reader(SLOW)
  for (let i = 0; i < 60_000; i++) reader.get(reader.random(400))
  assert.equal(reader.cache.secondStats().share, 0)
  assert.equal(reader.cache.secondStats().bytes, 0)
})

test('blocks that hardly compress, and reads that are as cheap as a decompression, make no second level', () => {
  for (const disk of [{ ...SLOW, ratio: 1.1 }, { readUs: 5, loadUs: 4, ratio: 2 }]) {
    const reader = new Reader(disk)
    for (let i = 0; i < 60_000; i++) reader.get(reader.random(WORKING_SET))
    assert.ok(reader.cache.secondStats().share <= 0.1, `${JSON.stringify(disk)}: ${reader.cache.secondStats().share}`)
  }
})

test('reads at random out of forty times the memory, of which a second level would save a fiftieth, make none', () => {
  const reader = new Reader({ ...SLOW, ratio: 2 })
  let trials = 0
  for (let i = 0; i < 600_000; i++) {
    const before = reader.cache.share
    reader.get(reader.random(40 * 2 * MIB / BLOCK))
    if (before === 0 && reader.cache.share > 0) trials++
  }
  assert.equal(trials, 0)
})

test('a device that becomes faster while a second level is tried is no reason to keep it', () => {
  // A level of which a read and a load cost the same is of no use, however slow reads were before it was there.
  const disk = { readUs: 400, loadUs: 100, ratio: 2 }
  const reader = new Reader(disk)
  for (let i = 0; i < 400_000; i++) {
    disk.readUs = reader.cache.share > 0 ? 100 : 400
    reader.get(reader.random(WORKING_SET))
    if (reader.cache.secondStats().hits > 40_000) break
  }
  assert.ok(reader.cache.secondStats().hits > 0, 'it was tried')
  assert.ok(reader.cache.secondStats().hits < 40_000, `${reader.cache.secondStats().hits} hits: it stayed`)
})

test('when the working set becomes small again the second level shrinks', () => {
  const reader = new Reader(SLOW)
  for (let i = 0; i < 60_000; i++) reader.get(reader.random(WORKING_SET))
  const before = reader.cache.secondStats().share
  // Slightly more than the first level has: all of it would fit if there were no second.
  for (let i = 0; i < 1_600_000; i++) reader.get(reader.random(480))
  assert.ok(reader.cache.secondStats().share < before / 2, `${before} -> ${reader.cache.secondStats().share}`)
})

test('memory that is asked for comes from the level that is over its share, down to nothing', () => {
  const reader = new Reader(SLOW)
  for (let i = 0; i < 60_000; i++) reader.get(reader.random(WORKING_SET))
  const { cache, budget } = reader
  while (cache.bytesHeld > 128 * 1024) {
    const second = cache.secondStats()
    const held = cache.bytesHeld
    assert.ok(cache.shrink(1) > 0)
    assert.ok(cache.bytesHeld < held)
    if (held > MIB) assert.ok(Math.abs(second.bytes / held - second.share) < 0.15, `${second.bytes} of ${held}, share ${second.share}`)
  }
  cache.shrink(Infinity)
  assert.equal(cache.bytesHeld, 0)
  assert.equal(budget.usedBytes, 0)
})

test('a damaged block is forgotten, a dropped table is gone from both levels, and without ghosts there is one level', () => {
  const reader = new Reader(SLOW)
  for (let i = 0; i < 60_000; i++) reader.get(reader.random(WORKING_SET))
  const { cache } = reader
  let found = -1
  for (let block = 0; block < WORKING_SET && found < 0; block++) if (!cache.first.find(1, block * 8192) && cache.findStored(1, block * 8192)) found = block
  assert.ok(found >= 0)
  cache.forgetStored(1, found * 8192)
  assert.equal(cache.findStored(1, found * 8192), false)
  cache.dropTable(1)
  for (let block = 0; block < WORKING_SET; block++) assert.equal(cache.first.find(1, block * 8192) || cache.findStored(1, block * 8192), false)
  cache.setGhosts(undefined)
  for (let i = 0; i < 20_000; i++) reader.get(reader.random(WORKING_SET))
  assert.deepEqual([cache.secondStats().share, cache.secondStats().bytes], [0, 0])
  cache.close()
  assert.equal(reader.budget.usedBytes, 0)
})
