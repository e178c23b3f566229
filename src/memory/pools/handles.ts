/**
 * Numbers that stand for blocks of a pool. A handle holds the pool's number (12 bits), the block's index (32 bits) and its generation
 * (8 bits), so that a block freed twice, used after it was freed, or given to another pool is detected.
 *
 * Generations are odd while a block is in use. They wrap after 128 uses of the same place: a handle that old may pass for a new one.
 */
import { invalidArgument } from '../../base/errors.ts'
import type { SpillwayError } from '../../base/errors.ts'

const GENERATIONS = 256
const INDEXES = 2 ** 32
const POOLS = 4096

let pools = 0

export function nextPoolNumber(): number {
  pools = pools % (POOLS - 1) + 1
  return pools
}

export function makeHandle(pool: number, index: number, generation: number): number {
  return (pool * INDEXES + index) * GENERATIONS + generation
}

export function generationOf(handle: number): number {
  return handle % GENERATIONS
}

/** Index of a handle of this pool; throws for those of another pool and for other numbers. */
export function indexOf(pool: number, handle: number): number {
  const place = Math.floor(handle / GENERATIONS)
  const index = place - pool * INDEXES
  if (index >= 0 && index < INDEXES && Number.isSafeInteger(handle)) return index
  throw foreignBlock(pool, handle)
}

function foreignBlock(pool: number, handle: number): SpillwayError {
  if (!Number.isSafeInteger(handle) || handle < 0) return invalidArgument(`${String(handle)} is no block. Pass what alloc returned`)
  const owner = Math.floor(handle / GENERATIONS / INDEXES)
  return invalidArgument(`the block belongs to pool ${owner}, not to pool ${pool}. Give a block to the pool it was allocated from`, { pool, owner })
}

/** A block that is not in use: freed twice, or used after it was freed or the pool was reset. */
export function staleBlock(handle: number, doing: string): SpillwayError {
  return invalidArgument(`block ${handle} cannot be ${doing}: it was freed before, or its pool was reset. Free each block once and drop its number`, { block: handle })
}
