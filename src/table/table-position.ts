/**
 * A position in a table that keeps only its path through the index: the block is loaded again when needed.
 *
 * Invariants
 * 1. `blockOffset` and `position` name an entry, from a true result of a move until the next move.
 * 2. A move leaves the block in the source.
 *
 * Cost: that of `IndexPath`, some 600 bytes.
 */
import { CorruptionError } from '../base/errors.ts'
import type { CachedBlocks } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { FEW_HANDLES, IndexPath } from './index/index-path.ts'
import type { TableReader } from './table-reader.ts'

/** One is read at a time. */
const block = new DataBlock()

/** Read-ahead of a seek, and of a continuing scan. */
const FIRST_AHEAD_BYTES = 12 * 1024
const AHEAD_BYTES = 64 * 1024
/** Blocks after which a scan counts as long. */
const FEW_BLOCKS = 4
const PASSING_BLOCKS = 32

export class TablePosition {
  readonly table: TableReader
  /** Index of the entry in its block. */
  position = 0
  readonly #path: IndexPath
  /** Does not change the cache. */
  readonly #bypassesCache: boolean
  /** Loaded in sequence. */
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

  /** To the first entry of the next block. `passes`: do not cache it. */
  nextBlock(source: CachedBlocks, passes = false): boolean {
    this.position = 0
    if (!this.#path.next(source)) return false
    this.#load(source, passes)
    return true
  }

  /** Load its block into the source again. */
  loadAgain(source: CachedBlocks): void {
    // Cached from now on, even in a long scan: it may be needed many times more.
    source.aheadBytes = AHEAD_BYTES
    try {
      source.loadAgain(this.table, this.#path.blockOffset, this.#path.blockBytes)
    } finally {
      source.aheadBytes = 0
    }
    this.#check(source)
  }

  /** The scan is long, or known to read each block once. */
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
