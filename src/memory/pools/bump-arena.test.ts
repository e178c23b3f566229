import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Budget } from '../budget.ts'
import { ArenaPool } from './bump-arena.ts'

const INVALID = { code: 'SPILLWAY_INVALID_ARGUMENT' }

test('pieces follow each other, aligned to 8, and hold what was written', () => {
  const budget = new Budget('1 MiB')
  using arena = new ArenaPool({ budget, chunkBytes: 4096 })
  const pieces = Array.from({ length: 500 }, (_, i) => ({ piece: arena.alloc(1 + i % 100)!, bytes: 1 + i % 100, fill: i % 256 }))
  for (const { piece, bytes, fill } of pieces) arena.view(piece, bytes).fill(fill)
  for (const { piece, bytes, fill } of pieces) assert.ok(arena.view(piece, bytes).every(byte => byte === fill))
  assert.ok(pieces.every(({ piece, bytes }) => arena.view(piece, bytes).byteOffset % 8 === 0))
  assert.equal(budget.usedBytes, arena.stats().reservedBytes)
})

test('after a reset nothing of before can be read, and the memory is used again', () => {
  const budget = new Budget('1 MiB')
  const arena = new ArenaPool({ budget, chunkBytes: 4096 })
  const old = Array.from({ length: 40 }, () => arena.alloc(1000)!)
  const { reservedBytes } = arena.stats()
  arena.reset()
  assert.deepEqual([arena.stats().blocks, arena.stats().usedBytes, arena.stats().frees], [0, 0, 40])
  for (const piece of old) assert.throws(() => arena.view(piece, 1000), { ...INVALID, message: /its pool was reset/ })
  arena.alloc(1000)
  assert.throws(() => arena.view(old[0]!, 1000), INVALID)
  assert.equal(arena.stats().reservedBytes, reservedBytes)
  assert.equal(arena.defragment(), reservedBytes - 4096)
  assert.equal(budget.usedBytes, 4096)
  arena.close()
  assert.equal(budget.usedBytes, 0)
})

test('sizes that are no sizes, pieces of another arena, and bytes beyond what was allocated are refused', () => {
  using arena = new ArenaPool({ budget: '1 MiB', chunkBytes: 4096 })
  using other = new ArenaPool({ budget: '1 MiB', chunkBytes: 4096 })
  for (const bytes of [0, -1, 1.5, NaN, 4097]) assert.throws(() => arena.alloc(bytes), INVALID)
  const piece = arena.alloc(16)!
  assert.throws(() => other.view(piece, 16), { ...INVALID, message: /belongs to pool/ })
  assert.throws(() => arena.view(piece, 17), INVALID)
  assert.throws(() => arena.view(piece, -1), INVALID)
})

test('capacity bounds what is reserved; a denied lease denies the piece', () => {
  const budget = new Budget('64 KiB')
  const arena = new ArenaPool({ budget, chunkBytes: 4096, capacity: 10_000 })
  while (arena.alloc(4096) !== undefined);
  assert.equal(budget.usedBytes, 8192)
  arena.close()
  const all = new ArenaPool({ budget, chunkBytes: 4096 })
  while (all.alloc(4096) !== undefined);
  assert.equal(budget.usedBytes, 64 * 1024)
  all.close()
})
