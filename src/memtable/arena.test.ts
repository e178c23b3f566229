import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Arena, HEADER_WORDS, H_FREED, MAX_ARENA_BYTES, blockWords } from './arena.ts'
import { randomSource } from './testing/model.ts'

test('a block is exact up to 128 words and at most a sixteenth larger above', () => {
  let previous = 0
  for (let words = 1; words < 300_000; words++) {
    const block = blockWords(words)
    assert.ok(block >= words && block >= previous)
    if (words <= 128) assert.equal(block, words)
    assert.ok(block - words <= words / 16)
    assert.equal(blockWords(block), block, 'a block is its own size')
    previous = block
  }
  for (let exponent = 18; exponent <= 28; exponent++) assert.equal(blockWords(2 ** exponent), 2 ** exponent)
})

test('released blocks are reused for requests of the same size only', () => {
  const arena = new Arena(new ArrayBuffer(4 << 20))
  arena.reset()
  const random = randomSource(11)
  const live = new Map<number, number>()
  const owner = new Int32Array(arena.capacityWords)
  for (let step = 0; step < 20_000; step++) {
    if (live.size > 40 || (live.size > 0 && random(2) === 0)) {
      const [at, block] = [...live][random(live.size)]!
      live.delete(at)
      owner.fill(0, at, at + block)
      arena.release(at, block)
    } else {
      const block = blockWords(2 + (random(3) === 0 ? random(3000) : random(20)))
      const at = arena.allocate(block)
      assert.ok(at >= HEADER_WORDS && at + block <= arena.capacityWords)
      for (let i = at; i < at + block; i++) assert.equal(owner[i], 0, 'two blocks overlap')
      owner.fill(1, at, at + block)
      arena.words.fill(-1, at, at + block)
      live.set(at, block)
    }
  }
  let liveWords = 0
  for (const block of live.values()) liveWords += block
  assert.equal(arena.capacityWords - HEADER_WORDS - arena.freeWords, liveWords + arena.words[H_FREED]!)
})

test('the largest blocks have a free list inside the header', () => {
  const arena = new Arena(new ArrayBuffer(HEADER_WORDS * 4 + 64))
  arena.reset()
  for (let exponent = 7; exponent <= 28; exponent++) {
    for (const words of [2 ** exponent, 2 ** exponent + 1]) {
      arena.reset()
      arena.release(HEADER_WORDS, blockWords(words))
      assert.equal(arena.words[H_FREED], blockWords(words))
      assert.equal(arena.allocate(blockWords(words)), HEADER_WORDS)
    }
  }
})

test('a full arena refuses with numbers and changes nothing', () => {
  const arena = new Arena(new ArrayBuffer(HEADER_WORDS * 4 + 40))
  arena.reset()
  arena.allocateForever(8)
  const before = arena.words.slice()
  for (const attempt of [() => arena.allocate(3), () => arena.allocateForever(3), () => arena.require(3)]) {
    const details = { neededBytes: 12, freeBytes: 8, capacityBytes: HEADER_WORDS * 4 + 40 }
    assert.throws(attempt, { code: 'SPILLWAY_INVALID_ARGUMENT', details })
  }
  assert.deepEqual(arena.words, before)
  arena.require(2)
  arena.allocate(2)
  assert.equal(arena.freeWords, 0)
})

test('a buffer too small for the header or too large for the indices is refused', () => {
  assert.throws(() => new Arena(new ArrayBuffer(HEADER_WORDS * 4 - 1)), { code: 'SPILLWAY_INVALID_ARGUMENT' })
  const huge = { byteLength: MAX_ARENA_BYTES + 1 } as ArrayBuffer
  assert.throws(() => new Arena(huge), { code: 'SPILLWAY_INVALID_ARGUMENT' })
})
