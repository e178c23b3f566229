/**
 * Checks a whole table.
 *
 * Checked
 * 1. Every byte of the file belongs to exactly one block with correct checksum and structure, or to the footer.
 * 2. Keys and versions ascend through the whole table and lie between their separators.
 * 3. The filter and the hash slots find every key.
 * 4. Counts, sums, bounds and value files match the properties.
 *
 * Cost: one pass over the file with a read-ahead of 64 KiB, a copy of each filter and index partition.
 */
import { compareBytes, compareKeys, copyBytes, describeBytes } from '../base/bytes.ts'
import { EMPTY, KIND_DELETE, KIND_VALUE_FILE } from '../base/cursor.ts'
import { CorruptionError } from '../base/errors.ts'
import { hashKey } from '../base/hash.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { StreamedBlocks } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { StoredBlockReader } from './block/stored-block-reader.ts'
import { filterMayContain } from './filter/filter.ts'
import { BLOCK_DATA, BLOCK_FILTER, BLOCK_INDEX, MAX_KEY_BYTES } from './format.ts'
import { compareSeparator, handleAt, nodeCount, nodeLevel } from './index/index-node.ts'
import { VALUE_FILE_BYTES, listStoredBytes } from './list-reader.ts'
import { readU32, readU48 } from './little-endian.ts'
import type { Footer } from './footer.ts'
import { decodeProperties } from './properties.ts'
import { RangeRecords } from './range-records.ts'
import type { VerifiableTable } from './open-table.ts'

const READ_AHEAD_BYTES = 64 * 1024

export function verifyTable(table: VerifiableTable, footer: Footer, kernels: Kernels): void {
  new TableVerifier(table, footer, kernels).run()
}

class TableVerifier {
  readonly #table: VerifiableTable
  readonly #footer: Footer
  readonly #kernels: Kernels
  readonly #source: StreamedBlocks
  readonly #block = new DataBlock()
  #key: Uint8Array = new Uint8Array(1024)
  #last: Uint8Array = new Uint8Array(1024)
  #lastLength = 0
  #lastSeq = 0
  #entries = 0
  #deletes = 0
  #blocks = 0
  #keyBytes = 0
  #valueBytes = 0
  #minSeq = Infinity
  #maxSeq = 0
  #storedBytes = 0
  readonly #valueFiles = new Set<number>()

  constructor(table: VerifiableTable, footer: Footer, kernels: Kernels) {
    this.#table = table
    this.#footer = footer
    this.#kernels = kernels
    this.#source = new StreamedBlocks(kernels, READ_AHEAD_BYTES)
  }

  run(): void {
    const table = this.#table
    const footer = this.#footer
    if (table.root.length > 0) {
      this.#storedBytes += footer.rootBytes
      this.#load(footer.rootOffset, footer.rootBytes, BLOCK_INDEX)
      if (!isPrefix(this.#source.bytes.subarray(this.#source.start, this.#source.end), table.root)) {
        throw this.#corrupt(footer.rootOffset, 'the top index changed since the table was opened')
      }
      this.#checkNode(table.root, table.rootLevel, footer.rootOffset)
    }
    this.#checkLists()
    this.#checkProperties()
    if (this.#storedBytes !== table.blockEnd) {
      throw this.#corrupt(table.blockEnd, `the blocks add up to ${this.#storedBytes} bytes of ${table.blockEnd}`)
    }
  }

  /** `bytes` is a copy: loading children moves the source on. */
  #checkNode(bytes: Uint8Array, level: number, offset: number): void {
    const count = nodeCount(bytes, 0)
    for (let i = 0; i < count; i++) {
      const handle = handleAt(bytes, 0, i)
      const child = readU32(bytes, handle)
      const childBytes = readU32(bytes, handle + 4)
      const node = this.#load(child, childBytes, BLOCK_INDEX)
      if (nodeLevel(node, 0) !== level - 1) {
        throw this.#corrupt(child, `an index node of level ${nodeLevel(node, 0)} below one of ${level}`)
      }
      this.#storedBytes += childBytes
      if (level > 1) {
        this.#checkNode(node, level - 1, child)
      } else {
        const filterBytes = readU32(bytes, handle + 12)
        const filter = filterBytes === 0 ? EMPTY : this.#load(readU32(bytes, handle + 8), filterBytes, BLOCK_FILTER)
        this.#storedBytes += filterBytes
        this.#checkPartition(node, filter, child)
      }
      this.#checkSeparator(bytes, i, offset)
    }
  }

  #checkPartition(node: Uint8Array, filter: Uint8Array, offset: number): void {
    const count = nodeCount(node, 0)
    for (let i = 0; i < count; i++) {
      const handle = handleAt(node, 0, i)
      const blockOffset = readU32(node, handle)
      const blockBytes = readU32(node, handle + 4)
      this.#source.load(this.#table, blockOffset, blockBytes)
      this.#storedBytes += blockBytes
      this.#blocks++
      const { bytes, start } = this.#source
      if (bytes[start] !== BLOCK_DATA) throw this.#corrupt(blockOffset, 'no data block where the index says')
      this.#block.open(bytes, start)
      if (i > 0 || this.#entries > 0) this.#checkAfterSeparator(node, i, blockOffset)
      this.#checkBlock(filter, blockOffset)
      this.#checkSeparator(node, i, offset)
    }
  }

  #checkBlock(filter: Uint8Array, offset: number): void {
    const block = this.#block
    for (let i = 0; i < block.count; i++) {
      const length = this.#readKey(i)
      const key = this.#key
      const seq = block.seq(i)
      const kind = block.kind(i)
      const valueStart = block.valueStart(i)
      const valueLength = block.valueEnd(i) - valueStart
      const order = this.#entries === 0 ? 1 : compareBytes(key, 0, length, this.#last, 0, this.#lastLength)
      if (order < 0 || (order === 0 && seq >= this.#lastSeq)) {
        throw this.#corrupt(offset, `entry ${i} (key ${describeBytes(key.subarray(0, length))}, sequence number ${seq}) is out of order`)
      }
      if (order > 0 || i === 0) {
        const hash = hashKey(key, 0, length)
        if (block.find(key, 0, length, hash) !== i) throw this.#corrupt(offset, `the hash slots do not find entry ${i}`)
        if (order > 0 && filter.length > 0 && !filterMayContain(filter, 0, hash)) {
          throw this.#corrupt(offset, `the filter denies the key of entry ${i}`)
        }
      }
      if (this.#entries === 0 && compareKeys(key.subarray(0, length), this.#table.properties.firstKey!) !== 0) {
        throw this.#corrupt(offset, 'the first key is not that of the properties')
      }
      if (kind === KIND_DELETE) this.#deletes++
      if (kind === KIND_VALUE_FILE) {
        if (valueLength < VALUE_FILE_BYTES) {
          throw this.#corrupt(offset, `entry ${i} has a reference to a value file of ${valueLength} bytes`)
        }
        this.#valueFiles.add(readU48(block.bytes, valueStart))
      }
      this.#entries++
      this.#keyBytes += length
      this.#valueBytes += valueLength
      if (seq < this.#minSeq) this.#minSeq = seq
      if (seq > this.#maxSeq) this.#maxSeq = seq
      this.#key = this.#last
      this.#last = key
      this.#lastLength = length
      this.#lastSeq = seq
    }
  }

  /** The last entry is <= separator `i`, which closes its child. */
  #checkSeparator(node: Uint8Array, i: number, offset: number): void {
    if (compareSeparator(node, 0, i, this.#last, 0, this.#lastLength) < 0) {
      throw this.#corrupt(offset, `separator ${i} is smaller than a key before it`)
    }
  }

  /** The first key of a block is > the separator before, or equal to it and to the key before. */
  #checkAfterSeparator(node: Uint8Array, i: number, offset: number): void {
    if (i === 0) return
    const length = this.#readKey(0)
    const order = compareSeparator(node, 0, i - 1, this.#key, 0, length)
    const straddles = order === 0 && compareBytes(this.#key, 0, length, this.#last, 0, this.#lastLength) === 0
    if (order >= 0 && !straddles) throw this.#corrupt(offset, 'a block starts with a key that belongs before it')
  }

  #readKey(i: number): number {
    const block = this.#block
    const start = block.suffixStart(i)
    const end = block.suffixEnd(i)
    const length = block.prefixLength + end - start
    if (length > this.#key.length) this.#key = new Uint8Array(Math.min(2 * length, MAX_KEY_BYTES))
    copyBytes(block.bytes, block.prefixAt, block.prefixAt + block.prefixLength, this.#key, 0)
    copyBytes(block.bytes, start, end, this.#key, block.prefixLength)
    return length
  }

  #checkLists(): void {
    const footer = this.#footer
    const loader = new StoredBlockReader(this.#kernels)
    loader.load(this.#table, footer.propertiesOffset, footer.propertiesBytes)
    const stored = decodeProperties(this.#kernels.memory, loader.start, loader.end, footer.fileBytes)
    if (typeof stored === 'string') throw this.#corrupt(footer.propertiesOffset, stored)
    this.#storedBytes += footer.propertiesBytes +
      listStoredBytes(this.#table, loader, stored.valueFilesOffset, stored.valueFilesBytes) +
      listStoredBytes(this.#table, loader, footer.rangesOffset, footer.rangesBytes)
  }

  #checkProperties(): void {
    const { properties, seqOffset } = this.#table
    const footer = this.#footer
    const { rangeStart = EMPTY, rangeEnd = EMPTY } = properties
    const ranges = new RangeRecords(this.#table, this.#kernels, this.#table.rangeBlocks(this.#kernels))
    while (ranges.next()) {
      const { bytes, start, split, end, seq } = ranges
      if (seq < this.#minSeq) this.#minSeq = seq
      if (seq > this.#maxSeq) this.#maxSeq = seq
      if (compareBytes(bytes, start, split, rangeStart, 0, rangeStart.length) < 0 || compareBytes(bytes, split, end, rangeEnd, 0, rangeEnd.length) > 0) {
        throw this.#corrupt(footer.propertiesOffset, 'a range tombstone leaves the hull of the properties')
      }
    }
    const empty = this.#maxSeq === 0
    this.#expect('entries', this.#entries, properties.entries)
    this.#expect('deletes', this.#deletes, properties.deletes)
    this.#expect('data blocks', this.#blocks, properties.blocks)
    this.#expect('key bytes', this.#keyBytes, properties.rawKeyBytes)
    this.#expect('value bytes', this.#valueBytes, properties.rawValueBytes)
    this.#expect('as smallest sequence number', empty ? 0 : this.#minSeq, properties.minSeq - seqOffset)
    this.#expect('as largest sequence number', this.#maxSeq, properties.maxSeq - seqOffset)
    this.#expect('value files', this.#valueFiles.size, properties.valueFiles.length)
    if (!properties.valueFiles.every((fileNumber) => this.#valueFiles.has(fileNumber))) {
      throw this.#corrupt(footer.propertiesOffset, 'other value files are listed than entries refer to')
    }
    if (properties.lastKey !== undefined && compareKeys(properties.lastKey, this.#last.subarray(0, this.#lastLength)) !== 0) {
      throw this.#corrupt(footer.propertiesOffset, 'the last key is not that of the properties')
    }
  }

  #expect(what: string, found: number, stated: number): void {
    if (found !== stated) {
      throw this.#corrupt(this.#footer.propertiesOffset, `${found} ${what}, but the properties state ${stated}`)
    }
  }

  /** A copy of a block of that type. */
  #load(offset: number, storedBytes: number, type: number): Uint8Array {
    const source = this.#source
    source.load(this.#table, offset, storedBytes)
    if (source.bytes[source.start] !== type) {
      throw this.#corrupt(offset, `a block of type ${source.bytes[source.start]} where one of ${type} should be`)
    }
    return source.bytes.slice(source.start, source.end)
  }

  #corrupt(offset: number, what: string): CorruptionError {
    return new CorruptionError(this.#table.file.path, offset, what)
  }
}

function isPrefix(bytes: Uint8Array, longer: Uint8Array): boolean {
  return bytes.length <= longer.length && compareKeys(bytes, longer.subarray(0, bytes.length)) === 0
}
