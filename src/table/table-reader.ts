/**
 * Reads one immutable table.
 *
 * Invariants
 * 1. Bytes are used only after their checksum and bounds were checked; else CorruptionError with path and offset.
 * 2. Resident are the index root, the properties and the packed range tombstones: `residentBytes`. All else comes through a
 *    BlockSource.
 * 3. `admit` is called before anything resident is allocated. The owner accounts for `residentBytes` and closes the file.
 * 4. Sequence numbers in the file count from `seqOffset` (0 except in tables of large transactions); reader and cursors add it.
 *
 * Cost of a get: filter partition, index partition, data block; of a miss, nearly always the filter alone.
 */
import { CorruptionError, SpillwayError, invalidArgument } from '../base/errors.ts'
import { EMPTY, type Hit, type RangeTombstone } from '../base/cursor.ts'
import { FragmentList, type RangeLookup } from '../base/fragment-list.ts'
import type { Kernels } from '../kernels/kernels.ts'
import { RangeSet } from '../base/ranges.ts'
import type { HostFile } from '../host/host.ts'
import type { WindowPool } from '../memory/windows.ts'
import { SEQ_MISSED, type BlockSource } from './block/block-source.ts'
import { DataBlock } from './block/data-block.ts'
import { StoredBlockReader } from './block/stored-block-reader.ts'
import { filterMayContain } from './filter/filter.ts'
import { FOOTER_BODY_BYTES, FOOTER_BYTES, FORMAT_VERSION, decodeFooter, formatVersion, hasMagic, type Footer } from './footer.ts'
import { BLOCK_DATA, BLOCK_FILTER, BLOCK_INDEX, KERNEL_REGION_BYTES, seedOf } from './format.ts'
import { handleAt, nodeCount, nodeLevel, searchIndexNode } from './index/index-node.ts'
import { IndexPath } from './index/index-path.ts'
import { packRanges, rangeBlocks, readRanges, readValueFiles, type ListBlocks } from './list-reader.ts'
import { readU32 } from './little-endian.ts'
import type { VerifiableTable } from './open-table.ts'
import { ResidentProperties, decodeProperties } from './properties.ts'
import { TableCursor } from './table-cursor.ts'
import { verifyTable } from './table-verify.ts'

/** Measured: reader, properties and key array, with the overhead of V8 and malloc. */
const OBJECT_BYTES = 768
/**
 * Result of looking a key up in one block. NOT_FOUND: no visible version. FURTHER: every version here is newer than the snapshot
 * and the block ends inside the key, so look in the next block.
 */
const NOT_FOUND = 0
const FOUND = 1
const FURTHER = 2
/** Shared: only one is read at a time. */
const block = new DataBlock()

export interface TableReaderOptions {
  /** False: `ranges` is empty. Default true. */
  holdsRanges?: boolean
  /** Called with the total before allocation, again when it grows; throws without memory. */
  admit?: (residentBytes: number) => void
  /** Default 0. */
  seqOffset?: number
}

export class TableReader implements VerifiableTable {
  isOpen = true
  /** Set by the owner, unique while the table is open. */
  id = 0
  readonly file: HostFile
  readonly fileNumber: number
  readonly properties: ResidentProperties
  get ranges(): RangeLookup { return this.#ranges }
  get seqOffset(): number { return this.#seqOffset }
  readonly residentBytes: number
  /** @internal Start of the footer. */
  readonly blockEnd: number
  /** @internal */
  readonly root: Uint8Array
  /** @internal */
  readonly rootLevel: number
  readonly #rootOffset: number
  readonly #storedRanges: RangeLookup
  #ranges: RangeLookup
  #seqOffset = 0

  /** Check and read the resident parts. Throws CorruptionError. */
  static open(file: HostFile, fileNumber: number, kernels: Kernels, options: TableReaderOptions = {}): TableReader {
    return new TableReader(file, fileNumber, kernels, options)
  }

  private constructor(file: HostFile, fileNumber: number, kernels: Kernels, { holdsRanges = true, admit, seqOffset = 0 }: TableReaderOptions) {
    if (kernels.regionBytes < KERNEL_REGION_BYTES) {
      throw invalidArgument(`a table reader needs kernels with regions of ${KERNEL_REGION_BYTES} bytes, not ${kernels.regionBytes}`)
    }
    this.file = file
    this.fileNumber = fileNumber
    const { rootOffset, rootBytes, propertiesOffset, propertiesBytes, rangesOffset, rangesBytes, fileBytes } = readFooter(file, fileNumber, kernels)
    this.blockEnd = fileBytes - FOOTER_BYTES
    this.#rootOffset = rootOffset
    const loader = new StoredBlockReader(kernels)
    const { memory } = kernels

    loader.load(this, propertiesOffset, propertiesBytes)
    const stored = decodeProperties(memory, loader.start, loader.end, fileBytes)
    if (typeof stored === 'string') throw this.#corrupt(propertiesOffset, stored)
    const { properties } = stored
    if (properties.fileNumber !== fileNumber) {
      throw this.#corrupt(propertiesOffset, `the properties are those of table ${properties.fileNumber}, not ${fileNumber}`)
    }
    if ((properties.firstKey !== undefined) !== properties.entries > 0 || (rootBytes > 0) !== properties.entries > 0) {
      throw this.#corrupt(propertiesOffset, `${properties.entries} entries, but an index of ${rootBytes} bytes`)
    }
    if ((properties.rangeStart !== undefined) !== properties.rangeDeletes > 0) {
      throw this.#corrupt(propertiesOffset, 'the hull of the range tombstones is missing')
    }
    let residentBytes = OBJECT_BYTES + ResidentProperties.keyBytes(properties) + stored.valueFileCount * 8
    admit?.(residentBytes)
    const valueFiles = readValueFiles(this, loader, stored.valueFilesOffset, stored.valueFilesBytes)
    if (valueFiles.length !== stored.valueFileCount) {
      throw this.#corrupt(propertiesOffset, `${valueFiles.length} value files are listed, not ${stored.valueFileCount}`)
    }
    this.#storedRanges = RangeSet.EMPTY
    if (rangesBytes > 0 || properties.rangeDeletes > 0) {
      const blocks = rangeBlocks(this, loader, rangesOffset, rangesBytes)
      if (blocks.records !== properties.rangeDeletes) {
        throw this.#corrupt(propertiesOffset, `${blocks.records} range tombstones are stored, not ${properties.rangeDeletes}`)
      }
      if (holdsRanges) {
        const { records, keyBytes, isSorted } = blocks
        residentBytes += isSorted ? FragmentList.bytesFor(records, keyBytes) : RangeSet.bytesFor(records, keyBytes)
        admit?.(residentBytes)
        this.#storedRanges = isSorted ? packRanges(this, loader, blocks) : RangeSet.of(readRanges(this, loader, rangesOffset, rangesBytes))
      }
    }

    let rootLength = 0
    this.rootLevel = 1
    if (rootBytes > 0) {
      loader.load(this, rootOffset, rootBytes)
      if (memory[loader.start] !== BLOCK_INDEX || nodeLevel(memory, loader.start) === 0) {
        throw this.#corrupt(rootOffset, 'no top index where the footer says')
      }
      rootLength = loader.end - loader.start
      this.rootLevel = nodeLevel(memory, loader.start)
      residentBytes += rootLength
      admit?.(residentBytes)
    }
    const resident = new Uint8Array(rootLength + ResidentProperties.keyBytes(properties))
    if (rootLength > 0) resident.set(memory.subarray(loader.start, loader.end))
    this.root = rootLength === 0 ? EMPTY : resident
    this.properties = new ResidentProperties(properties, valueFiles, resident, rootLength)
    this.residentBytes = residentBytes
    this.#ranges = this.#storedRanges
    if (seqOffset !== 0) this.shift(seqOffset)
  }

  /** Change `seqOffset`. No cursor may be open. */
  shift(seqOffset: number): void {
    this.properties.shift(seqOffset - this.#seqOffset)
    this.#seqOffset = seqOffset
    this.#ranges = seqOffset === 0 || this.#storedRanges.size === 0 ? this.#storedRanges : new ShiftedRanges(this.#storedRanges, seqOffset)
  }

  /**
   * Find the newest version with a sequence number <= snapshotSeq. False: none (hit.seq = 0), or a deferring source has missed the
   * data block (SEQ_MISSED). Deletions are versions; range tombstones are not applied. The value is a view, valid until the
   * source's next load. `hash` = hashKey(key).
   */
  get(source: BlockSource, key: Uint8Array, start: number, end: number, hash: number, snapshotSeq: number, hit: Hit): boolean {
    hit.seq = 0
    let bytes = this.root
    let at = 0
    if (bytes.length === 0) return false
    let child = searchIndexNode(bytes, at, key, start, end)
    if (child === nodeCount(bytes, at)) return false
    for (let level = this.rootLevel; level > 1; level--) {
      const handle = handleAt(bytes, at, child)
      this.#loadNode(source, readU32(bytes, handle), readU32(bytes, handle + 4), level - 1)
      bytes = source.bytes
      at = source.start
      child = this.#search(bytes, at, key, start, end)
    }

    let handle = handleAt(bytes, at, child)
    const partitionOffset = readU32(bytes, handle)
    const partitionBytes = readU32(bytes, handle + 4)
    const filterOffset = readU32(bytes, handle + 8)
    const filterBytes = readU32(bytes, handle + 12)
    if (filterBytes > 0) {
      source.load(this, filterOffset, filterBytes)
      if (source.bytes[source.start] !== BLOCK_FILTER) throw this.#corrupt(filterOffset, 'no filter where the index says')
      if (!filterMayContain(source.bytes, source.start, hash)) return false
    }

    this.#loadNode(source, partitionOffset, partitionBytes, 0)
    child = this.#search(source.bytes, source.start, key, start, end)
    handle = handleAt(source.bytes, source.start, child)
    const offset = readU32(source.bytes, handle)
    if (!source.tryLoad(this, offset, readU32(source.bytes, handle + 4))) {
      hit.seq = SEQ_MISSED
      return false
    }
    this.#openData(source, offset)
    const found = this.#findInBlock(key, start, end, hash, snapshotSeq, hit)
    return found === FURTHER ? this.#getFurther(source, key, start, end, snapshotSeq, hit) : found === FOUND
  }

  /** Resume a `get` in the block at `offset`. False: undecided. */
  getFrom(
    source: BlockSource, offset: number, storedBytes: number, key: Uint8Array, start: number, end: number, hash: number, snapshotSeq: number, hit: Hit,
  ): boolean {
    hit.seq = 0
    source.load(this, offset, storedBytes)
    if (source.bytes[source.start] !== BLOCK_DATA) return false
    block.open(source.bytes, source.start)
    return this.#findInBlock(key, start, end, hash, snapshotSeq, hit) === FOUND
  }

  #findInBlock(key: Uint8Array, start: number, end: number, hash: number, snapshotSeq: number, hit: Hit): number {
    const first = block.find(key, start, end, hash)
    if (first < 0) return NOT_FOUND
    for (let i = first; i < block.count; i++) {
      if (i > first && !block.hasKey(i, key, start, end)) return NOT_FOUND
      const seq = block.seq(i) + this.#seqOffset
      if (seq <= snapshotSeq) {
        fillHit(hit, block, i, seq)
        return FOUND
      }
    }
    return FURTHER
  }

  /** Older versions may follow in the next block. */
  #getFurther(source: BlockSource, key: Uint8Array, start: number, end: number, snapshotSeq: number, hit: Hit): boolean {
    const path = new IndexPath(this)
    if (!path.seek(source, key, start, end)) return false
    while (path.next(source)) {
      this.#loadData(source, path.blockOffset, path.blockBytes)
      for (let i = 0; i < block.count; i++) {
        if (!block.hasKey(i, key, start, end)) return false
        const seq = block.seq(i) + this.#seqOffset
        if (seq <= snapshotSeq) {
          fillHit(hit, block, i, seq)
          return true
        }
      }
    }
    return false
  }

  /** Takes a window when first positioned; close it. Blocks that fit go to `slot` instead. */
  cursor(source: BlockSource, windows: WindowPool, slot?: Uint8Array<ArrayBuffer>): TableCursor {
    return new TableCursor(this, source, windows, slot)
  }

  /** Exact to a block. */
  approximateOffset(source: BlockSource, key: Uint8Array): number {
    const path = new IndexPath(this)
    return path.seek(source, key, 0, key.length) ? path.blockOffset : this.root.length === 0 ? 0 : this.blockEnd
  }

  /** See `table-verify.ts`. Throws CorruptionError. Allocates some 100 KiB. */
  verify(kernels: Kernels): void {
    verifyTable(this, readFooter(this.file, this.fileNumber, kernels), kernels)
  }

  /** From the file, for tools and tests. */
  readRanges(kernels: Kernels): RangeTombstone[] {
    const { rangesOffset, rangesBytes } = readFooter(this.file, this.fileNumber, kernels)
    const ranges = readRanges(this, new StoredBlockReader(kernels), rangesOffset, rangesBytes)
    for (const range of ranges) range.seq += this.#seqOffset
    return ranges
  }

  /** @internal */
  rangeBlocks(kernels: Kernels): ListBlocks {
    const { rangesOffset, rangesBytes } = readFooter(this.file, this.fileNumber, kernels)
    return rangeBlocks(this, new StoredBlockReader(kernels), rangesOffset, rangesBytes)
  }

  #search(bytes: Uint8Array, at: number, key: Uint8Array, start: number, end: number): number {
    const child = searchIndexNode(bytes, at, key, start, end)
    if (child === nodeCount(bytes, at)) {
      throw this.#corrupt(this.#rootOffset, 'an index node ends before the separator that its parent has for it')
    }
    return child
  }

  #loadNode(source: BlockSource, offset: number, storedBytes: number, level: number): void {
    source.load(this, offset, storedBytes)
    if (source.bytes[source.start] !== BLOCK_INDEX || nodeLevel(source.bytes, source.start) !== level) {
      throw this.#corrupt(offset, `no index node of level ${level} where its parent says`)
    }
  }

  #loadData(source: BlockSource, offset: number, storedBytes: number): void {
    source.load(this, offset, storedBytes)
    this.#openData(source, offset)
  }

  #openData(source: BlockSource, offset: number): void {
    if (source.bytes[source.start] !== BLOCK_DATA) throw this.#corrupt(offset, 'no data block where the index says')
    block.open(source.bytes, source.start)
  }

  #corrupt(offset: number, what: string): CorruptionError {
    return new CorruptionError(this.file.path, offset, what)
  }
}

class ShiftedRanges implements RangeLookup {
  readonly size: number
  readonly #ranges: RangeLookup
  readonly #seqOffset: number

  constructor(ranges: RangeLookup, seqOffset: number) {
    this.size = ranges.size
    this.#ranges = ranges
    this.#seqOffset = seqOffset
  }

  coveringSeq(key: Uint8Array, start: number, end: number, snapshotSeq: number): number {
    const seq = this.#ranges.coveringSeq(key, start, end, snapshotSeq - this.#seqOffset)
    return seq === 0 ? 0 : seq + this.#seqOffset
  }
}

function fillHit(hit: Hit, block: DataBlock, i: number, seq: number): void {
  hit.seq = seq
  hit.kind = block.kind(i)
  hit.value = block.bytes
  hit.valueStart = block.valueStart(i)
  hit.valueEnd = block.valueEnd(i)
}

export function readFooter(file: HostFile, fileNumber: number, kernels: Kernels): Footer {
  const size = file.size()
  const offset = size - FOOTER_BYTES
  if (offset < 0) {
    throw new CorruptionError(file.path, size,
      `the file ends after ${size} bytes; a table has at least its footer of ${FOOTER_BYTES}`
    )
  }
  const { memory, a } = kernels
  const read = file.readSync(memory, a, FOOTER_BYTES, offset)
  if (read !== FOOTER_BYTES) {
    throw new CorruptionError(file.path, offset, `${read} bytes of the footer could be read, not ${FOOTER_BYTES}`)
  }
  kernels.hash(a, FOOTER_BODY_BYTES, seedOf(fileNumber), offset)
  if (readU32(memory, a + FOOTER_BODY_BYTES) !== kernels.hashLow || readU32(memory, a + FOOTER_BODY_BYTES + 4) !== kernels.hashHigh) {
    throw new CorruptionError(file.path, offset, hasMagic(memory, a)
      ? `the footer is damaged, or not that of table ${fileNumber}`
      : `no footer of a table: the file is cut short, or no table`)
  }
  const version = formatVersion(memory, a)
  if (!hasMagic(memory, a) || version < FORMAT_VERSION) {
    throw new CorruptionError(file.path, offset, `a footer of format ${version} that no version of Spillway wrote`)
  }
  if (version > FORMAT_VERSION) {
    throw new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `${file.path} has table format ${version}, this version reads ${FORMAT_VERSION}. Open the store with a newer Spillway`,
      { details: { file: file.path, format: version, supported: FORMAT_VERSION } },
    )
  }
  const footer = decodeFooter(memory, a)
  if (footer.fileNumber !== fileNumber || footer.fileBytes !== size) {
    throw new CorruptionError(file.path, offset, `the footer is that of table ${footer.fileNumber} with ${footer.fileBytes} bytes, not of ${fileNumber} with ${size}`)
  }
  return footer
}
