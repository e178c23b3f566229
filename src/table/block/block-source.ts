/**
 * Where a reader's blocks come from: the cache for lookups and iterators, a stream of its own for merges.
 *
 * Invariant: after `load`, bytes[start, end) is an uncompressed block whose checksum and structure were checked when it came
 * from the file. It is valid until the next load, and until anything else uses the same kernels or makes the cache give memory back.
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
  /** Point reads that looked into tables: each pays for every run there is. */
  gets: number
  /** Set while a read is made again that was counted before. */
  readonly retried?: MissedBlock | undefined
  /** Called now and then when there were many. */
  onManyGets?: (() => void) | undefined
  /** Throws CorruptionError. */
  load(table: OpenTable, offset: number, storedBytes: number): void
  /** As `load`; false: the source defers and the block is `missed`. A read that always throws was seen to stay uncompiled. */
  tryLoad(table: OpenTable, offset: number, storedBytes: number): boolean
}

/** What a source that defers leaves when it throws BLOCK_MISSED. */
export interface MissedBlock {
  table: OpenTable
  offset: number
  storedBytes: number
}

/** Instead of a sequence number: the data block that would tell is `missed`. */
export const SEQ_MISSED = -1

/** Thrown by a source that defers: not an error, but a way out of a read that has to wait for a block. It has no stack of its own. */
export const BLOCK_MISSED: unique symbol = Symbol('a block has to be read first')

/**
 * Blocks through the cache; what it cannot take is read again next time. Allocates nothing.
 *
 * A block is never loaded twice at once: reading, checking and caching it is one synchronous step, so of any number of gets and
 * iterators of one turn the first reads the file and the others find the block. A source that `defers` reads nothing: a block that
 * is in neither level is left in `missed`, and `tryLoad` says so, or BLOCK_MISSED is thrown. Whoever learns of it has it read (`keep` takes
 * what was read).
 */
export class CachedBlocks implements BlockSource {
  bytes: Uint8Array = EMPTY
  start = 0
  end = 0
  gets = 0
  onManyGets: (() => void) | undefined = undefined
  defers = false
  /**
   * A read that was given up for want of this block is made again: what it had found before is not counted and gets no warmer, until it
   * comes to that block.
   */
  retried: MissedBlock | undefined = undefined
  missed: MissedBlock | undefined
  /** The most that a load has used of a region of the kernels since this was set. */
  regionUse = 0
  /** What is not in memory is read with up to so much behind it, for one who goes on there. Only for as long as one load takes. */
  aheadBytes = 0
  readonly cache: BlockCache
  readonly #levels: TwoLevelCache | undefined
  readonly #ahead: ReadAhead | undefined
  readonly #loader: StoredBlockReader

  /** `levels`: of which `cache` is the first. */
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

  /** What `find` has missed. */
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

  /**
   * As `load`, for who will hardly come back: what is in neither level is not put there, unless it is read for the second time and much
   * memory is free.
   */
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

  /** Have a block in the cache before anybody asks for it, with what is behind it read ahead; false: it would cost others their place. */
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

  /** As `load`, of a block that was `missed` before; false: the cache did not take it. */
  loadIntoCache(table: OpenTable, offset: number, storedBytes: number): boolean {
    if (this.cache.findAgain(table.id, offset)) return true
    this.#loadMissed(table, offset, storedBytes)
    return this.bytes === this.cache.bytes
  }

  /** A block as it was read from its table, `readBytes` of it: check it, and leave it in the cache. False: that has no room. */
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

  /** The same for a block that this reader had before: going on with it makes it no warmer. */
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

  /** From the file; true: it had been read ahead, or was with what is behind it. */
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
      // Damaged in memory perhaps: what the table has counts.
      ahead.forget()
      this.#loader.load(table, offset, storedBytes)
      return false
    }
  }

  /** From the second level if it is there, else from the file. */
  #loadThrough(levels: TwoLevelCache, table: OpenTable, offset: number, storedBytes: number): void {
    const loader = this.#loader
    let isFound = levels.findStored(table.id, offset) && levels.end - levels.start === storedBytes
    if (isFound) {
      try {
        loader.loadFrom(levels.bytes, levels.start, table, offset, storedBytes)
      } catch (error) {
        if (!(error instanceof CorruptionError)) throw error
        // Damaged in memory: the table has it whole.
        levels.forgetStored(table.id, offset)
        isFound = false
      }
    }
    if (!isFound && this.#read(table, offset, storedBytes)) levels.dropTime()
    const { kernels, start, end } = loader
    levels.loaded(table.id, offset, isFound, kernels.memory, kernels.a, kernels.a + storedBytes, end - start)
  }
}

/** Filters and index partitions between two data blocks: a gap up to this does not end a sequential run. */
const RUN_GAP_BYTES = 64 * 1024

/**
 * Blocks read ahead in large pieces, without the cache. Only a load that goes on where a run or the last load ended
 * moves the read-ahead; the jumps to index partitions (which lie behind their data) are read by themselves.
 * Holds `readAheadBytes` besides the kernels, given back to the system at once by `close`.
 */
export class StreamedBlocks implements BlockSource {
  bytes: Uint8Array
  start = 0
  end = 0
  gets = 0
  readonly #loader: StoredBlockReader
  readonly #ahead: Uint8Array<ArrayBuffer>
  #table: OpenTable | undefined
  /** What `ahead` holds: [from, to) of the table's file. */
  #from = 0
  #to = 0
  /** Where the run of data blocks has got to. */
  #runEnd = 0
  /** Where the last load ended: one that follows directly starts a run. */
  #lastEnd = 0

  constructor(kernels: Kernels, readAheadBytes: number) {
    this.#loader = new StoredBlockReader(kernels)
    // Resizable, because only resize(0) gives memory back at once.
    this.#ahead = new Uint8Array(new ArrayBuffer(readAheadBytes, { maxByteLength: readAheadBytes }), 0, readAheadBytes)
    this.bytes = kernels.memory
  }

  /** Nothing is read ahead any more: what is loaded after this comes by itself. */
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
