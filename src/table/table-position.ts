/**
 * A position in a table that keeps only its path through the index, some 600 bytes: the block is loaded again when needed. After a
 * move the block is in the source.
 */
import { CorruptionError } from '../base/errors.ts'
import type { CachedBlocks } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { BLOCK_DATA } from './format.ts'
import { FEW_HANDLES, IndexPath } from './index/index-path.ts'
import type { TableReader } from './table-reader.ts'

/** Shared: only one is read at a time. */
const block = new DataBlock()

/** After a seek, and in a continuing scan. */
const FIRST_AHEAD_BYTES = 12 * 1024
const AHEAD_BYTES = 64 * 1024
/** Minimum blocks of a longer scan, and of one that is not cached. */
const FEW_BLOCKS = 4
const PASSING_BLOCKS = 32

export class TablePosition {
  readonly table: TableReader
  position = 0
  readonly #path: IndexPath
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

  /** `passes`: do not cache the block. */
  nextBlock(source: CachedBlocks, passes = false): boolean {
    this.position = 0
    if (!this.#path.next(source)) return false
    this.#load(source, passes)
    return true
  }

  loadAgain(source: CachedBlocks): void {
    // It may be needed many more times.
    source.aheadBytes = AHEAD_BYTES
    try {
      source.loadAgain(this.table, this.#path.blockOffset, this.#path.blockBytes)
    } finally {
      source.aheadBytes = 0
    }
    this.#check(source)
  }

  /** The scan is long, or reads each block once. */
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
