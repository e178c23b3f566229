/**
 * A position in the index: which data block, and how to get to its neighbours.
 *
 * Invariants
 * 1. Of every level above the partitions only (node, child number) is kept; nodes are loaded again when a step leaves
 *    a partition, once in about a hundred blocks. Of the partition, only its handles are kept.
 * 2. Data blocks are visited in file order (backwards: in reverse), so a damaged index cannot lead in circles.
 *
 * Cost: 1 KiB for the handles of a partition, and 16 bytes a level.
 */
import { EMPTY } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import type { BlockSource } from '../block/block-source.ts'
import { BLOCK_INDEX, MAX_PARTITION_BLOCKS } from '../format.ts'
import { readU32 } from '../little-endian.ts'
import type { TableReader } from '../table-reader.ts'
import { handleAt, nodeCount, nodeLevel, searchIndexNode } from './index-node.ts'

const FIRST = 0
const LAST = 1
const SEARCH = 2
/** Of a data block: offset and stored size. */
const HANDLE_BYTES = 8

export class IndexPath {
  /** Handle of the current data block. */
  blockOffset = 0
  blockBytes = 0
  readonly #table: TableReader
  /** Per level: the node's handle, the child taken, the children. Level 0 is the partition. */
  readonly #offsets: Uint32Array
  readonly #sizes: Uint32Array
  readonly #children: Uint32Array
  readonly #counts: Uint32Array
  /** Offset and stored size of each data block of the partition. */
  readonly #handles = new Uint8Array(MAX_PARTITION_BLOCKS * HANDLE_BYTES)
  /** The node in hand, valid until the next load. */
  #bytes: Uint8Array
  #start = 0

  constructor(table: TableReader) {
    const levels = table.rootLevel + 1
    this.#table = table
    this.#offsets = new Uint32Array(levels)
    this.#sizes = new Uint32Array(levels)
    this.#children = new Uint32Array(levels)
    this.#counts = new Uint32Array(levels)
    this.#bytes = table.root
  }

  first(source: BlockSource): boolean {
    return this.#table.root.length > 0 && this.#descend(source, this.#table.rootLevel, FIRST, EMPTY, 0, 0)
  }

  last(source: BlockSource): boolean {
    return this.#table.root.length > 0 && this.#descend(source, this.#table.rootLevel, LAST, EMPTY, 0, 0)
  }

  /** To the first block that may hold the key or a larger one; false when every key of the table is smaller. */
  seek(source: BlockSource, key: Uint8Array, start: number, end: number): boolean {
    return this.#table.root.length > 0 && this.#descend(source, this.#table.rootLevel, SEARCH, key, start, end)
  }

  next(source: BlockSource): boolean {
    const before = this.blockOffset
    let level = 0
    while (level <= this.#table.rootLevel && this.#children[level]! + 1 >= this.#counts[level]!) level++
    if (level > this.#table.rootLevel) return false
    this.#children[level]!++
    this.#step(source, level, FIRST)
    if (this.blockOffset <= before) {
      throw this.#corrupt(this.blockOffset, `the index leads from the block at ${before} back to ${this.blockOffset}`)
    }
    return true
  }

  prev(source: BlockSource): boolean {
    const before = this.blockOffset
    let level = 0
    while (level <= this.#table.rootLevel && this.#children[level] === 0) level++
    if (level > this.#table.rootLevel) return false
    this.#children[level]!--
    this.#step(source, level, LAST)
    if (this.blockOffset >= before) {
      throw this.#corrupt(this.blockOffset, `the index leads from the block at ${before} forward to ${this.blockOffset}`)
    }
    return true
  }

  /** The child of `level` was changed: go down from there. */
  #step(source: BlockSource, level: number, how: number): void {
    if (level === 0) {
      this.#takeBlock()
      return
    }
    this.#loadNode(source, level)
    this.#enterChild(level)
    this.#descend(source, level - 1, how, EMPTY, 0, 0)
  }

  /** From the node of `level` (its handle is set; the root needs none) down to a data block. */
  #descend(source: BlockSource, level: number, how: number, key: Uint8Array, start: number, end: number): boolean {
    for (;;) {
      this.#loadNode(source, level)
      const count = nodeCount(this.#bytes, this.#start)
      let child = 0
      if (how === LAST) child = count - 1
      else if (how === SEARCH) child = searchIndexNode(this.#bytes, this.#start, key, start, end)
      if (child === count) {
        if (level === this.#table.rootLevel) return false
        throw this.#corrupt(this.#offsets[level]!, 'an index node ends before the separator that its parent has for it')
      }
      this.#children[level] = child
      this.#counts[level] = count
      if (level === 0) break
      this.#enterChild(level)
      level--
    }
    const from = handleAt(this.#bytes, this.#start, 0)
    this.#handles.set(this.#bytes.subarray(from, from + this.#counts[0]! * HANDLE_BYTES))
    this.#takeBlock()
    return true
  }

  /** Note the handle of the chosen child of the node in hand. */
  #enterChild(level: number): void {
    const handle = handleAt(this.#bytes, this.#start, this.#children[level]!)
    this.#offsets[level - 1] = readU32(this.#bytes, handle)
    this.#sizes[level - 1] = readU32(this.#bytes, handle + 4)
  }

  #loadNode(source: BlockSource, level: number): void {
    if (level === this.#table.rootLevel) {
      this.#bytes = this.#table.root
      this.#start = 0
      return
    }
    const offset = this.#offsets[level]!
    source.load(this.#table, offset, this.#sizes[level]!)
    if (source.bytes[source.start] !== BLOCK_INDEX || nodeLevel(source.bytes, source.start) !== level) {
      throw this.#corrupt(offset, `no index node of level ${level} where its parent says`)
    }
    this.#bytes = source.bytes
    this.#start = source.start
  }

  #takeBlock(): void {
    const at = this.#children[0]! * HANDLE_BYTES
    this.blockOffset = readU32(this.#handles, at)
    this.blockBytes = readU32(this.#handles, at + 4)
  }

  #corrupt(offset: number, what: string): CorruptionError {
    return new CorruptionError(this.#table.file.path, offset, what)
  }
}
