/**
 * A place in a table, of which no memory is kept but the way through its index: the block is loaded again when it is needed.
 *
 * Invariants
 * 1. `blockOffset` and `position` name an entry, from a true return of a move until the next move.
 * 2. A move leaves the block in the source.
 *
 * Cost: what `IndexPath` keeps, some 600 bytes.
 */
import { CorruptionError } from '../base/errors.ts'
import type { CachedBlocks } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { FEW_HANDLES, IndexPath } from './index/index-path.ts'
import type { TableReader } from './table-reader.ts'

/** One at a time is looked at. */
const block = new DataBlock()

/** How much is read ahead: of a seek, and of one that goes on. */
const FIRST_AHEAD_BYTES = 12 * 1024
const AHEAD_BYTES = 64 * 1024
/** Who has gone on for so many blocks is taken for one who passes. */
const FEW_BLOCKS = 4
const PASSING_BLOCKS = 32

export class TablePosition {
  readonly table: TableReader
  /** Number of the entry in its block. */
  position = 0
  readonly #path: IndexPath
  /** It goes by once: the cache is left as it is. */
  readonly #bypassesCache: boolean
  /** Loaded one after the other. */
  #blocks = 0

  constructor(table: TableReader, bypassesCache = false) {
    this.table = table
    this.#bypassesCache = bypassesCache
    this.#path = new IndexPath(table, FEW_HANDLES)
  }

  first(source: CachedBlocks): boolean {
    this.position = 0
    this.#blocks = 0
    if (!this.#path.first(source)) return false
    this.#load(source)
    return true
  }

  /** To the first entry whose key is >= the given one. */
  seek(source: CachedBlocks, key: Uint8Array, start: number, end: number): boolean {
    this.#blocks = 0
    if (!this.#path.seek(source, key, start, end)) return false
    this.#load(source)
    block.open(source.bytes, source.start)
    this.position = block.lowerBound(key, start, end)
    return this.position < block.count || this.nextBlock(source)
  }

  /** To the first entry of the next block. `passes`: nobody will come back to it. */
  nextBlock(source: CachedBlocks, passes = false): boolean {
    this.position = 0
    if (!this.#path.next(source)) return false
    this.#load(source, passes)
    return true
  }

  /** Have its block in the source once more. */
  loadAgain(source: CachedBlocks): void {
    // In the cache from now on, also when it passes: it may be needed many times more.
    source.aheadBytes = AHEAD_BYTES
    try {
      source.loadAgain(this.table, this.#path.blockOffset, this.#path.blockBytes)
    } finally {
      source.aheadBytes = 0
    }
    this.#check(source)
  }

  /** It has gone on for long, or is known to go by. */
  get passes(): boolean { return this.#bypassesCache || this.#blocks > PASSING_BLOCKS }

  #load(source: CachedBlocks, passes = false): void {
    this.#blocks++
    source.aheadBytes = this.#blocks <= FEW_BLOCKS ? FIRST_AHEAD_BYTES : AHEAD_BYTES
    try {
      if (passes || this.passes) source.loadOnce(this.table, this.#path.blockOffset, this.#path.blockBytes)
      else source.load(this.table, this.#path.blockOffset, this.#path.blockBytes)
    } finally {
      source.aheadBytes = 0
    }
    this.#check(source)
  }

  #check(source: CachedBlocks): void {
    if (source.bytes[source.start] !== BLOCK_DATA) {
      throw new CorruptionError(this.table.file.path, this.#path.blockOffset, 'no data block where the index says')
    }
  }
}
