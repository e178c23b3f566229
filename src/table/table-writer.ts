/**
 * Writes one immutable table from entries in Cursor order.
 *
 * Invariants
 * 1. Entries ascend by key, and within a key descend by sequence number; anything else throws.
 * 2. A block is written when the next entry would make it larger than `blockBytes`; a larger entry gets its own.
 * 3. No allocation per entry. Buffers stay within `workingBytes`; the numbers of value files come on top.
 * 4. The kernels' regions are scratch between calls: entries must not be views of them.
 *
 * After an error the caller removes the unfinished file. Cost: per entry two copies and a hash; per block LZ4 and a checksum.
 */
import { compareBytes, compareKeys, copyBytes } from '../base/bytes.ts'
import { KIND_DELETE, KIND_VALUE_FILE, MAX_SEQ, type Cursor, type RangeTombstone } from '../base/cursor.ts'
import { invalidArgument } from '../base/errors.ts'
import { hashKey } from '../base/hash.ts'
import type { Kernels } from '../kernels/kernels.ts'
import type { HostFile } from '../host/host.ts'
import { DataBlockWriter, encodeSingle } from './block/data-block-writer.ts'
import type { BlockWriter } from './block/data-block-writer.ts'
import type { KernelBlockWriter } from './block/kernel-block-writer.ts'
import { StoredBlockWriter } from './block/stored-block-writer.ts'
import { FilterWriter } from './filter/filter-writer.ts'
import { FOOTER_BODY_BYTES, FOOTER_BYTES, encodeFooter } from './footer.ts'
import {
  BLOCK_RANGES, BLOCK_VALUE_FILES, DEFAULT_BLOCK_BYTES, DEFAULT_FILTER_BITS_PER_KEY, KERNEL_REGION_BYTES,
  MAX_BLOCK_BYTES, MAX_FILE_NUMBER, MAX_KEY_BYTES, MAX_VALUE_BYTES, MIN_BLOCK_BYTES,
} from './format.ts'
import { IndexWriter, maxPartitionKeys } from './index/index-writer.ts'
import { RANGE_HEADER_BYTES, VALUE_FILE_BYTES } from './list-reader.ts'
import { ListWriter } from './list-writer.ts'
import { readU48, writeU32, writeU48, writeU64 } from './little-endian.ts'
import { encodeProperties } from './properties.ts'
import type { TableProperties } from './properties.ts'
import { TableFigures } from './table-figures.ts'
import { WriterBuffers } from './writer-buffers.ts'

export interface TableWriterOptions {
  /** 0 to 2^48 - 1; part of every checksum. */
  fileNumber: number
  /** With regions of at least 384 KiB. */
  kernels: Kernels
  compression: 'none' | 'lz4'
  /** Target size, uncompressed. Default 4096. */
  blockBytes?: number
  /** Default 10; 0 = no filters. */
  filterBitsPerKey?: number
  /** In use until `finish`; made for the same blockBytes and filterBitsPerKey. Default: its own. */
  buffers?: WriterBuffers
  /** Made for the same blockBytes. Default: in `buffers`. */
  kernelBlock?: KernelBlockWriter
}

export type Entry = Pick<Cursor, 'key' | 'keyStart' | 'keyEnd' | 'seq' | 'kind' | 'value' | 'valueStart' | 'valueEnd'>

export interface WorkingBytesOptions {
  blockBytes?: number
  /** Default 64 KiB, the maximum of a table. */
  longestKeyBytes?: number
  /** Default 2: enough for about a gigabyte, unless keys of kilobytes share no prefix. */
  indexLevels?: number
}

export class TableWriter {
  readonly #file: HostFile
  readonly #fileNumber: number
  readonly #kernels: Kernels
  readonly #stored: StoredBlockWriter
  readonly #block: BlockWriter
  readonly #kernelBlock: KernelBlockWriter | undefined
  readonly #filter: FilterWriter
  readonly #index: IndexWriter
  readonly #ranges: ListWriter
  readonly #valueFiles = new Set<number>()

  #lastKey: Uint8Array = new Uint8Array(256)
  #lastKeyLength = 0
  #lastSeq = 0
  #firstKey: Uint8Array | undefined

  /** The last data block's separator needs the next key. */
  #unindexed = false
  #unindexedOffset = 0
  #unindexedBytes = 0

  readonly #figures = new TableFigures()
  #finished = false

  constructor(file: HostFile, options: TableWriterOptions) {
    const { fileNumber, kernels, compression, blockBytes = DEFAULT_BLOCK_BYTES, filterBitsPerKey = DEFAULT_FILTER_BITS_PER_KEY } = options
    if (!Number.isInteger(fileNumber) || fileNumber < 0 || fileNumber > MAX_FILE_NUMBER) {
      throw invalidArgument(`file number ${fileNumber} is not an integer of 0 to ${MAX_FILE_NUMBER}`)
    }
    if (kernels.regionBytes < KERNEL_REGION_BYTES) {
      throw invalidArgument(`a table writer needs kernels with regions of ${KERNEL_REGION_BYTES} bytes, not ${kernels.regionBytes}`)
    }
    if (!Number.isInteger(blockBytes) || blockBytes < MIN_BLOCK_BYTES || blockBytes > MAX_BLOCK_BYTES) {
      throw invalidArgument(`blockBytes must be an integer of ${MIN_BLOCK_BYTES} to ${MAX_BLOCK_BYTES}, not ${blockBytes}`)
    }
    if (!(filterBitsPerKey >= 0 && filterBitsPerKey <= 32)) {
      throw invalidArgument(`filterBitsPerKey must be 0 to 32, not ${filterBitsPerKey}`)
    }
    if (compression !== 'none' && compression !== 'lz4') {
      throw invalidArgument(`compression must be 'none' or 'lz4', not ${JSON.stringify(compression)}`)
    }
    this.#file = file
    this.#fileNumber = fileNumber
    this.#kernels = kernels
    const { buffers = new WriterBuffers(blockBytes, filterBitsPerKey) } = options
    if (buffers.blockBytes !== blockBytes || buffers.filterBitsPerKey !== filterBitsPerKey) throw invalidArgument('buffers of a writer with other options')
    buffers.reset()
    this.#stored = new StoredBlockWriter(file, fileNumber, kernels, compression === 'lz4', buffers.written)
    this.#kernelBlock = options.kernelBlock
    this.#kernelBlock?.reset()
    this.#block = this.#kernelBlock ?? buffers.block
    this.#filter = buffers.filter
    this.#index = new IndexWriter(this.#stored, this.#filter, buffers.nodes)
    this.#ranges = new ListWriter(this.#stored, BLOCK_RANGES)
  }

  /** Upper bound of the buffers besides the kernels. */
  static workingBytes(options: WorkingBytesOptions = {}): number {
    const { blockBytes = DEFAULT_BLOCK_BYTES, longestKeyBytes = MAX_KEY_BYTES, indexLevels = 2 } = options
    // Last and first key, and the hull of the ranges.
    const keys = Math.max(256, 2 * longestKeyBytes) + 3 * longestKeyBytes
    return keys + DataBlockWriter.bytesFor(blockBytes) + FilterWriter.bytesFor(maxPartitionKeys(blockBytes)) +
      StoredBlockWriter.bytesFor() + IndexWriter.bytesFor(longestKeyBytes, indexLevels) +
      ListWriter.bytesFor(RANGE_HEADER_BYTES + 2 * longestKeyBytes) + ListWriter.bytesFor(VALUE_FILE_BYTES)
  }

  /** @internal */
  get bufferBytes(): number {
    return this.#lastKey.length + (this.#firstKey?.length ?? 0) + this.#figures.hullBytes +
      this.#stored.bufferBytes + this.#block.bufferBytes + this.#filter.bufferBytes + this.#index.bufferBytes + this.#ranges.bufferBytes
  }

  /** @internal So far. */
  get indexLevels(): number { return this.#index.levels }

  /** If finished now. */
  get estimatedBytes(): number {
    return this.#stored.offset + this.#block.pendingBytes + this.#index.pendingBytes + this.#ranges.pendingBytes + FOOTER_BYTES
  }

  get entries(): number { return this.#figures.entries }

  /** Throws INVALID_ARGUMENT when the entry is out of order or too large. */
  add(cursor: Entry): void {
    const { key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd } = cursor
    const keyLength = keyEnd - keyStart
    const valueLength = valueEnd - valueStart
    if (
      keyLength > MAX_KEY_BYTES || valueLength > MAX_VALUE_BYTES ||
      !(seq >= 1 && seq <= MAX_SEQ) || kind < KIND_DELETE || kind > KIND_VALUE_FILE
    ) {
      throw this.#refusal(cursor)
    }
    if (this.#finished) throw invalidArgument(`${this.#file.path} is finished; nothing can be added`)

    const figures = this.#figures
    const last = this.#lastKey
    const limit = keyLength < this.#lastKeyLength ? keyLength : this.#lastKeyLength
    let shared = 0
    while (shared < limit && last[shared] === key[keyStart + shared]) shared++
    let isFirst = true
    if (figures.entries > 0 && shared === limit) {
      isFirst = keyLength !== this.#lastKeyLength
      if (isFirst ? keyLength < this.#lastKeyLength : seq >= this.#lastSeq) throw this.#disorder(cursor)
    } else if (figures.entries > 0 && key[keyStart + shared]! < last[shared]!) {
      throw this.#disorder(cursor)
    }

    const block = this.#block
    const oversize = block.isOversize(keyLength, valueLength)
    if (block.count > 0 && (oversize || !block.hasRoom(keyLength, valueLength, shared))) this.#writeBlock()
    if (this.#unindexed) this.#indexBlock(key, keyStart, keyEnd, shared)

    const hash = isFirst || block.count === 0 ? hashKey(key, keyStart, keyEnd) : 0
    if (isFirst) this.#filter.add(hash)
    if (kind === KIND_VALUE_FILE) this.#noteValueFile(value, valueStart, valueEnd)
    if (oversize) {
      const { memory, a } = this.#kernels
      this.#storeBlock(encodeSingle(memory, a, key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd) - a)
    } else {
      block.add(key, keyStart, keyEnd, shared, isFirst, hash, seq, kind, value, valueStart, valueEnd)
    }

    if (figures.entries === 0) this.#firstKey = key.slice(keyStart, keyEnd)
    if (keyLength > last.length) this.#growLastKey(keyLength, shared)
    copyBytes(key, keyStart + shared, keyEnd, this.#lastKey, shared)
    this.#lastKeyLength = keyLength
    this.#lastSeq = seq
    figures.add(keyLength, valueLength, seq, kind)
  }

  /** Count entries that a kernel merge added to the block; call before anything else. Returns their number. */
  absorb(): number {
    const merge = this.#kernelBlock!.merge
    if (merge.added === 0) return 0
    const added = this.#figures.absorb(merge)
    const { count, lastKeyAt, lastKeyLength } = merge
    for (let i = count - added; i < count; i++) if (merge.isFirst(i)) this.#filter.add(merge.hashOf(i))
    if (lastKeyLength > this.#lastKey.length) this.#growLastKey(lastKeyLength, 0)
    copyBytes(merge.memory, lastKeyAt, lastKeyAt + lastKeyLength, this.#lastKey, 0)
    this.#lastKeyLength = lastKeyLength
    this.#lastSeq = merge.lastSeq
    return added
  }

  /** In any order. Empty ones (start >= end) are ignored. */
  addRange(tombstone: RangeTombstone): void {
    const { start, end, seq } = tombstone
    if (this.#finished) throw invalidArgument(`${this.#file.path} is finished; nothing can be added`)
    if (!Number.isSafeInteger(seq) || seq < 1) throw invalidArgument(`a range tombstone with sequence number ${seq}`)
    if (start.length > MAX_KEY_BYTES || end.length > MAX_KEY_BYTES) {
      throw invalidArgument(
        `a range tombstone with a key of ${Math.max(start.length, end.length)} bytes; at most ${MAX_KEY_BYTES} are allowed`
      )
    }
    if (compareKeys(start, end) >= 0) return
    const at = this.#ranges.reserve(RANGE_HEADER_BYTES + start.length + end.length)
    const bytes = this.#ranges.bytes
    writeU64(bytes, at, seq)
    writeU32(bytes, at + 8, start.length)
    writeU32(bytes, at + 12, end.length)
    bytes.set(start, at + RANGE_HEADER_BYTES)
    bytes.set(end, at + RANGE_HEADER_BYTES + start.length)
    this.#figures.addRange(start, end, seq)
  }

  /** `syncs: false` leaves durability to the caller. */
  finish(syncs = true): TableProperties {
    if (this.#finished) throw invalidArgument(`${this.#file.path} is finished already`)
    this.#finished = true
    if (this.#block.count > 0) this.#writeBlock()
    if (this.#unindexed) this.#index.addBlock(this.#lastKey, 0, this.#lastKeyLength, this.#unindexedOffset, this.#unindexedBytes)
    this.#index.finish()
    this.#ranges.finish()
    const valueFiles = [...this.#valueFiles].sort((a, b) => a - b)
    const list = new ListWriter(this.#stored, BLOCK_VALUE_FILES)
    for (const fileNumber of valueFiles) {
      const at = list.reserve(VALUE_FILE_BYTES)
      writeU48(list.bytes, at, fileNumber)
    }
    list.finish()
    this.#index.writeRoot()

    const properties = this.#figures.properties(this.#fileNumber, this.#firstKey, this.#lastKey.slice(0, this.#lastKeyLength), valueFiles)
    const { memory, a } = this.#kernels
    const length = encodeProperties(memory, a, {
      properties, valueFileCount: valueFiles.length, valueFilesOffset: list.headOffset, valueFilesBytes: list.headBytes,
    }) - a
    this.#stored.store(length)
    properties.fileBytes = this.#stored.offset + FOOTER_BYTES
    encodeFooter(memory, a, {
      rangesOffset: this.#ranges.headOffset, rangesBytes: this.#ranges.headBytes,
      rootOffset: this.#index.rootOffset, rootBytes: this.#index.rootBytes,
      propertiesOffset: this.#stored.lastOffset, propertiesBytes: this.#stored.lastBytes,
      fileBytes: properties.fileBytes, fileNumber: this.#fileNumber,
    })
    this.#stored.storeSealed(FOOTER_BODY_BYTES)
    this.#stored.flush()
    if (syncs) this.#file.syncSync()
    return properties
  }

  #writeBlock(): void {
    const { memory, a } = this.#kernels
    const length = this.#block.encode(memory, a) - a
    this.#block.reset()
    this.#storeBlock(length)
  }

  #storeBlock(length: number): void {
    this.#stored.store(length)
    this.#figures.blocks++
    this.#unindexed = true
    this.#unindexedOffset = this.#stored.lastOffset
    this.#unindexedBytes = this.#stored.lastBytes
  }

  /** Under the shortest key that separates it from the next. */
  #indexBlock(next: Uint8Array, start: number, end: number, shared: number): void {
    this.#unindexed = false
    const short = shared + 1
    // One byte past the shared part, unless that is the next key itself, or the last key is no longer.
    if (short < end - start && short < this.#lastKeyLength) {
      this.#index.addBlock(next, start, start + short, this.#unindexedOffset, this.#unindexedBytes)
    }
    else this.#index.addBlock(this.#lastKey, 0, this.#lastKeyLength, this.#unindexedOffset, this.#unindexedBytes)
  }

  #noteValueFile(value: Uint8Array, start: number, end: number): void {
    if (end - start < VALUE_FILE_BYTES) {
      throw invalidArgument(`a reference to a value file of ${end - start} bytes; it starts with a number of ${VALUE_FILE_BYTES}`)
    }
    this.#valueFiles.add(readU48(value, start))
  }

  #growLastKey(needed: number, keep: number): void {
    const larger = new Uint8Array(Math.min(2 * needed, MAX_KEY_BYTES))
    copyBytes(this.#lastKey, 0, keep, larger, 0)
    this.#lastKey = larger
  }

  #refusal(cursor: Entry): Error {
    return invalidArgument(
      `an entry of kind ${cursor.kind}, sequence number ${cursor.seq}, ` +
      `key of ${cursor.keyEnd - cursor.keyStart} and value of ${cursor.valueEnd - cursor.valueStart} bytes: ` +
      `a table takes keys up to ${MAX_KEY_BYTES} and values up to ${MAX_VALUE_BYTES} bytes. Put larger values into value files`)
  }

  #disorder(cursor: Entry): Error {
    const order = compareBytes(this.#lastKey, 0, this.#lastKeyLength, cursor.key, cursor.keyStart, cursor.keyEnd)
    return invalidArgument(order === 0
      ? `entry ${this.#figures.entries} is out of order: sequence number ${cursor.seq} follows ${this.#lastSeq} of the same key`
      : `entry ${this.#figures.entries} is out of order: its key is smaller than the one before`)
  }
}
