import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Hit, KIND_PUT } from '../base/cursor.ts'
import { Random } from '../host/sim/random.ts'
import { Budget } from '../memory/budget.ts'
import { BlockCache } from './block-cache.ts'
import { Ghosts } from './ghosts.ts'
import { ReadCache } from './read-cache.ts'
import { TwoLevelCache } from './two-level-cache.ts'

const MIB = 1024 * 1024
const BLOCK = new Uint8Array(4096)
const KEY = new Uint8Array(4)

/** Blocks and rows of a reader, all of them in `blocks` blocks or in `rows` rows, asked for in turn. */
class Reads {
  readonly budget = new Budget(2 * MIB)
  readonly cache: ReadCache
  readonly #hit = new Hit()

  constructor(rowSlotBytes = 32 * 1024) {
    const levels = new TwoLevelCache(new BlockCache(this.budget.account('blocks', ''), { slotBytes: 32 * 1024 }), this.budget.account('stored', ''), () => 0, 32 * 1024)
    this.cache = new ReadCache(levels, this.budget.account('rows', ''), rowSlotBytes)
    this.cache.setGhosts(new Ghosts(1024, MIB))
    this.cache.rows.configure(4096)
    this.#hit.kind = KIND_PUT
    this.#hit.seq = 1
    this.#hit.value = new Uint8Array(100)
    this.#hit.valueEnd = 100
  }

  block(i: number): void {
    const { first } = this.cache.blocks
    if (!first.find(1, i)) first.insert(1, i, BLOCK, 0, BLOCK.length)
  }

  row(i: number): void {
    const { rows } = this.cache
    KEY[0] = i
    KEY[1] = i >>> 8
    KEY[2] = i >>> 16
    if (rows.find(1, i * 7919, KEY, 0, 4)) {
      rows.hits++
      return
    }
    this.cache.beforeOffer()
    rows.offer(1, i * 7919, KEY, 0, 4, 1, this.#hit)
    assert.ok(this.budget.usedBytes <= this.budget.totalBytes)
  }
}

test('rows that are found often get up to half of the memory', () => {
  const reads = new Reads()
  for (let i = 0; i < 1000; i++) reads.block(i)
  // Rows of 2 MiB, of which a part fits.
  for (let i = 0; i < 300_000; i++) reads.row(Math.floor((i * 0.618034 % 1) ** 3 * 16_000))
  const { share, bytes, hits } = reads.cache.rowStats()
  assert.equal(share, 0.5)
  assert.ok(hits > 50_000, `${hits} hits`)
  assert.ok(bytes > 0.4 * reads.cache.bytesHeld && bytes <= 0.55 * reads.cache.bytesHeld, `${bytes} of ${reads.cache.bytesHeld}`)
})

test('where blocks that were dropped are missed all the time, and rows hardly found, rows keep next to nothing', () => {
  const reads = new Reads()
  for (let i = 0; i < 60_000; i++) {
    // Blocks of 2.1 MiB in turn: with all the memory most would be found.
    reads.block(i % 530)
    // Each row twice, and never again.
    reads.row(i >> 1)
  }
  assert.ok(reads.cache.rowStats().share <= 1 / 32, `share ${reads.cache.rowStats().share}`)
})

test('rows that were found often give way to scans, and misses of dropped blocks', () => {
  const reads = new Reads()
  for (let i = 0; i < 100_000; i++) reads.row(i % 3000)
  const { bytes } = reads.cache.rowStats()
  assert.ok(bytes > 300_000, `${bytes} bytes of rows`)
  for (let i = 0; i < 40_000; i++) {
    reads.block(i % 530)
    if (i % 1000 === 0) reads.cache.look()
  }
  assert.ok(reads.cache.rowStats().bytes <= bytes / 4, `${reads.cache.rowStats().bytes} of ${bytes} bytes of rows are left`)
})

test('a share that has shrunk to less than two slots grows again when rows are found', () => {
  const reads = new Reads(20 * 1024)
  for (let i = 0; i < 60_000; i++) {
    reads.block(i % 530)
    reads.row(i >> 1)
  }
  assert.equal(reads.cache.rowStats().share, 1 / 64)
  const random = new Random(9)
  for (let i = 0; i < 300_000; i++) reads.row(30_000 + Math.floor((random.below(1e6) / 1e6) ** 3 * 16_000))
  const { share, rows } = reads.cache.rowStats()
  assert.ok(share > 0.25 && rows > 1000, `share ${share}, ${rows} rows`)
})

test('memory that is asked for comes from what is over its share, down to nothing', () => {
  const reads = new Reads()
  for (let i = 0; i < 1000; i++) reads.block(i)
  for (let i = 0; i < 50_000; i++) reads.row(i % 2500)
  const { cache, budget } = reads
  assert.ok(cache.rows.bytesHeld > 0)
  while (cache.bytesHeld > 256 * 1024) {
    const held = cache.bytesHeld
    assert.ok(cache.shrink(1) > 0)
    assert.ok(cache.bytesHeld < held)
    assert.ok(cache.rows.bytesHeld <= cache.rowStats().share * cache.bytesHeld + 128 * 1024)
  }
  cache.shrink(Infinity)
  assert.equal(cache.bytesHeld, 0)
  cache.close()
  assert.equal(budget.usedBytes, 0)
})

test('what is held stays within the limit, whatever is read and offered and however much is free', () => {
  const reads = new Reads()
  for (let i = 0; i < 1000; i++) reads.block(i)
  for (let i = 0; i < 50_000; i++) reads.row(i % 2500)
  const { cache } = reads
  cache.setLimit(0)
  for (let i = 0; i < 20_000; i++) {
    reads.row(i % 100)
    reads.block(i % 50)
  }
  // Of the directory a little is there as long as anything is asked for.
  assert.ok(cache.bytesHeld <= 8192, `${cache.bytesHeld}`)
  cache.setLimit(256 * 1024)
  for (let i = 0; i < 20_000; i++) {
    reads.row(i % 2500)
    reads.block(i % 500)
  }
  assert.ok(cache.bytesHeld > 0 && cache.bytesHeld <= 256 * 1024 + 64 * 1024, `${cache.bytesHeld}`)
  cache.setLimit(Infinity)
  for (let i = 0; i < 500; i++) reads.block(i)
  assert.ok(cache.bytesHeld > 512 * 1024)
})
