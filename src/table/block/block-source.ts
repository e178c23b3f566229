/**
 * Where a reader's blocks come from: the cache for lookups and iterators, a stream for merges.
 *
 * Invariant: after `load`, bytes[start, end) is an uncompressed, checked block, until the next load, other use of the kernels, or a
 * reclaim by the cache.
 */
import { EMPTY } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import type { BlockCache } from '../../cache/block-cache.ts'
import type { TwoLevelCache } from '../../cache/two-level-cache.ts'
import type { OpenTable } from '../open-table.ts'
import { BLOCK_DATA } from '../format.ts'
import type { ReadAhead } from './read-ahead.ts'
import { StoredBlockReader } from './stored-block-reader.ts'

export interface BlockSource {
  bytes: Uint8Array
  start: number
  end: number
  /** Point reads that looked into tables. */
  gets: number
  readonly retried?: MissedBlock | undefined
  onManyGets?: (() => void) | undefined
  /** Throws CorruptionError. */
  load(table: OpenTable, offset: number, storedBytes: number): void
  /** False where `load` throws BLOCK_MISSED: V8 does not compile functions that always throw. */
  tryLoad(table: OpenTable, offset: number, storedBytes: number): boolean
}

export interface MissedBlock {
  table: OpenTable
  offset: number
  storedBytes: number
}

/** In place of a sequence number: the data block is `missed`. */
export const SEQ_MISSED = -1

/** Thrown by a deferring source when a block must be read first. No stack. */
export const BLOCK_MISSED: unique symbol = Symbol('a block has to be read first')

/**
 * Blocks through the cache; a block it cannot take is read again next time. Allocates nothing.
 *
 * While it `defers`, a block in neither level is left in `missed`, and `tryLoad` returns false or `load` throws BLOCK_MISSED;
 * `keep` takes the bytes that were read.
 */
export class CachedBlocks implements BlockSource {
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  gets = 0
  onManyGets: (() => void) | undefined = undefined
  defers = false
  /** Of a resumed lookup: blocks before it are not counted and get no warmer. */
  retried: MissedBlock | undefined = undefined
  missed: MissedBlock | undefined
  /** Maximum since the owner reset it. */
  regionUse = 0
  /** Read-ahead during one load. */
  aheadBytes = 0
  readonly cache: BlockCache
  readonly #levels: TwoLevelCache | undefined
  readonly #ahead: ReadAhead | undefined
  readonly #loader: StoredBlockReader

  constructor(cache: BlockCache, kernels: Kernels, levels?: TwoLevelCache, ahead?: ReadAhead) {
    this.cache = cache
    this.#levels = levels
    this.#ahead = ahead
    this.#loader = new StoredBlockReader(kernels)
  }

  load(table: OpenTable, offset: number, storedBytes: number): void {
    if (!this.tryLoad(table, offset, storedBytes)) throw BLOCK_MISSED
  }

  tryLoad(table: OpenTable, offset: number, storedBytes: number): boolean {
    const cache = this.cache
    if (this.retried !== undefined && this.#findRetried(this.retried, table, offset) || cache.find(table.id, offset)) {
      this.bytes = cache.bytes
      this.start = cache.start
      this.end = cache.end
      return true
    }
    if (this.defers && this.#levels?.hasStored(table.id, offset) !== true) {
      this.missed = { table, offset, storedBytes }
      return false
    }
    this.#loadMissed(table, offset, storedBytes)
    return true
  }

  #findRetried(retried: MissedBlock, table: OpenTable, offset: number): boolean {
    if (retried.table === table && retried.offset === offset) this.retried = undefined
    return this.cache.findAgain(table.id, offset)
  }

  #loadMissed(table: OpenTable, offset: number, storedBytes: number): void {
    const cache = this.cache
    const loader = this.#loader
    if (this.#levels === undefined) this.#read(table, offset, storedBytes)
    else this.#loadThrough(this.#levels, table, offset, storedBytes)
    const memory = loader.kernels.memory
    this.regionUse = Math.max(this.regionUse, storedBytes, loader.end - loader.start)
    if (cache.insert(table.id, offset, memory, loader.start, loader.end, memory[loader.start] !== BLOCK_DATA)) {
      this.bytes = cache.bytes
      this.start = cache.start
      this.end = cache.end
    } else {
      this.bytes = memory
      this.start = loader.start
      this.end = loader.end
    }
  }

  /** Caches the block only at the second read, and if much memory is free. */
  loadOnce(table: OpenTable, offset: number, storedBytes: number): void {
    const cache = this.cache
    if (cache.findAgain(table.id, offset)) {
      this.bytes = cache.bytes
      this.start = cache.start
      this.end = cache.end
    } else if (this.#levels?.hasStored(table.id, offset) === true) {
      this.load(table, offset, storedBytes)
    } else {
      const loader = this.#loader
      const { memory } = loader.kernels
      const isAgain = this.#read(table, offset, storedBytes) && this.#ahead!.isAgain
      this.regionUse = Math.max(this.regionUse, storedBytes, loader.end - loader.start)
      if (isAgain) cache.insertIfMuchIsFree(table.id, offset, memory, loader.start, loader.end)
      this.bytes = memory
      this.start = loader.start
      this.end = loader.end
    }
  }

  /** Load into the cache ahead of use. False: it would evict others. */
  warm(table: OpenTable, offset: number, storedBytes: number, aheadBytes: number): boolean {
    const cache = this.cache
    if (cache.has(table.id, offset)) return true
    const loader = this.#loader
    this.aheadBytes = aheadBytes
    try {
      this.#read(table, offset, storedBytes)
    } finally {
      this.aheadBytes = 0
    }
    const { memory } = loader.kernels
    return cache.insertIfMuchIsFree(table.id, offset, memory, loader.start, loader.end, memory[loader.start] !== BLOCK_DATA)
  }

  loadIntoCache(table: OpenTable, offset: number, storedBytes: number): boolean {
    if (this.cache.findAgain(table.id, offset)) return true
    this.#loadMissed(table, offset, storedBytes)
    return this.bytes === this.cache.bytes
  }

  /** Check and cache a block read elsewhere. False: no memory. */
  keep(table: OpenTable, offset: number, stored: Uint8Array, readBytes: number, storedBytes: number): boolean {
    const cache = this.cache
    const loader = this.#loader
    if (readBytes !== storedBytes) {
      throw new CorruptionError(table.file.path, offset, `the file ends ${storedBytes - readBytes} bytes into a block of ${storedBytes}`)
    }
    loader.loadFrom(stored, 0, table, offset, storedBytes)
    const { memory } = loader.kernels
    const isCached = cache.insert(table.id, offset, memory, loader.start, loader.end, memory[loader.start] !== BLOCK_DATA)
    this.#levels?.readBeside(table.id, offset, memory, loader.kernels.a, loader.kernels.a + storedBytes, loader.end - loader.start)
    return isCached
  }

  /** Load without warming. */
  loadAgain(table: OpenTable, offset: number, storedBytes: number): void {
    const cache = this.cache
    if (!cache.findAgain(table.id, offset)) {
      this.load(table, offset, storedBytes)
      return
    }
    this.bytes = cache.bytes
    this.start = cache.start
    this.end = cache.end
  }

  /** Returns true if it went through the read-ahead. */
  #read(table: OpenTable, offset: number, storedBytes: number): boolean {
    const ahead = this.#ahead
    if (this.aheadBytes === 0 || ahead === undefined || !ahead.load(table, offset, storedBytes, this.aheadBytes)) {
      this.#loader.load(table, offset, storedBytes)
      return false
    }
    try {
      this.#loader.loadFrom(ahead.bytes, ahead.at, table, offset, storedBytes)
      return true
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      // Possibly damaged in memory: the table's bytes decide.
      ahead.forget()
      this.#loader.load(table, offset, storedBytes)
      return false
    }
  }

  #loadThrough(levels: TwoLevelCache, table: OpenTable, offset: number, storedBytes: number): void {
    const loader = this.#loader
    let isFound = levels.findStored(table.id, offset) && levels.end - levels.start === storedBytes
    if (isFound) {
      try {
        loader.loadFrom(levels.bytes, levels.start, table, offset, storedBytes)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
        // Damaged in memory: read from the table.
        levels.forgetStored(table.id, offset)
        isFound = false
      }
    }
    if (!isFound && this.#read(table, offset, storedBytes)) levels.dropTime()
    const { kernels, start, end } = loader
    levels.loaded(table.id, offset, isFound, kernels.memory, kernels.a, kernels.a + storedBytes, end - start)
  }
}

/** A larger gap (more than a filter or an index partition) ends a sequential run. */
const RUN_GAP_BYTES = 64 * 1024

/** Reads ahead in large pieces, without the cache. Only sequential loads move the read-ahead. Holds `readAheadBytes`. */
export class StreamedBlocks implements BlockSource {
  bytes: Uint8Array
  start = 0
  end = 0
  gets = 0
  readonly #loader: StoredBlockReader
  readonly #ahead: Uint8Array<ArrayBuffer>
  #table: OpenTable | undefined
  /** [from, to) of the file is in `ahead`. */
  #from = 0
  #to = 0
  #runEnd = 0
  /** A load that follows directly starts a run. */
  #lastEnd = 0

  constructor(kernels: Kernels, readAheadBytes: number) {
    this.#loader = new StoredBlockReader(kernels)
    // Resizable, because only resize(0) frees memory at once.
    this.#ahead = new Uint8Array(new ArrayBuffer(readAheadBytes, { maxByteLength: readAheadBytes }), 0, readAheadBytes)
    this.bytes = kernels.memory
  }

  /** Later loads read single blocks. */
  close(): void {
    this.#from = this.#to = 0
    this.#ahead.buffer.resize(0)
  }

  load(table: OpenTable, offset: number, storedBytes: number): void {
    const loader = this.#loader
    if (table !== this.#table) {
      this.#table = table
      this.#from = this.#to = this.#runEnd = this.#lastEnd = 0
    }
    const end = offset + storedBytes
    const inRun = offset === this.#lastEnd || (offset >= this.#runEnd && offset <= this.#runEnd + RUN_GAP_BYTES)
    if ((offset < this.#from || end > this.#to) && inRun && storedBytes <= this.#ahead.length) {
      this.#fill(table, offset, storedBytes)
    }
    if (offset >= this.#from && end <= this.#to) loader.loadFrom(this.#ahead, offset - this.#from, table, offset, storedBytes)
    else loader.load(table, offset, storedBytes)
    if (inRun || offset < this.#runEnd) this.#runEnd = end
    this.#lastEnd = end
    this.start = loader.start
    this.end = loader.end
  }

  tryLoad(table: OpenTable, offset: number, storedBytes: number): boolean {
    this.load(table, offset, storedBytes)
    return true
  }

  #fill(table: OpenTable, offset: number, storedBytes: number): void {
    this.#loader.checkHandle(table, offset, storedBytes)
    const length = Math.min(this.#ahead.length, table.blockEnd - offset)
    this.#from = this.#to = 0
    const read = table.file.readSync(this.#ahead, 0, length, offset)
    if (read < storedBytes) {
      throw new CorruptionError(table.file.path, offset, `the file ends ${storedBytes - read} bytes into a block of ${storedBytes}`)
    }
    this.#from = offset
    this.#to = offset + read
  }
}
