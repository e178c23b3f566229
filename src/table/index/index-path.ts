/**
 * A position in the index: a data block and the way to its neighbours.
 *
 * Invariants
 * 1. Above the partitions only (node, child number) is kept; nodes are loaded again about every 100 blocks. Some handles of the
 *    partition are kept.
 * 2. Data blocks are visited in file order (or its reverse), so a damaged index cannot loop.
 *
 * Cost: 1 KiB for all handles of a partition, and 16 bytes a level. Few handles fit a typed array in V8's heap; larger ones are
 * allocated outside, which takes as long as a seek.
 */
import { EMPTY } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import type { BlockSource } from '../block/block-source.ts'
import { BLOCK_INDEX, MAX_PARTITION_BLOCKS } from '../format.ts'
import { readU32 } from '../little-endian.ts'
import type { IndexedTable } from '../open-table.ts'
import { handleAt, nodeCount, nodeLevel, searchIndexNode } from './index-node.ts'

const FIRST = 0
const LAST = 1
const SEARCH = 2
/** Enough where the partition stays cached. */
export const FEW_HANDLES = 8
const HANDLE_BYTES = 8

export class IndexPath {
  blockOffset = 0
  blockBytes = 0
  /** 0 bytes: none. */
  filterOffset = 0
  filterBytes = 0
  readonly #table: IndexedTable
  /** Per level (0: the partition): the node's handle, the child taken, the children. */
  readonly #offsets: Uint32Array
  readonly #sizes: Uint32Array
  readonly #children: Uint32Array
  readonly #counts: Uint32Array
  /** Handles of the partition's children [#heldFrom, #heldTo). */
  readonly #held: Uint8Array
  #heldFrom = 0
  #heldTo = 0
  /** Valid until the next load. */
  #bytes: Uint8Array
  #start = 0

  /** `handles`: kept handles; that many steps load no index. */
  constructor(table: IndexedTable, handles = MAX_PARTITION_BLOCKS) {
    this.#held = new Uint8Array(HANDLE_BYTES * handles)
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

  /** False: all keys are smaller. */
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

  #step(source: BlockSource, level: number, how: number): void {
    if (level === 0) {
      const child = this.#children[0]!
      if (child < this.#heldFrom || child >= this.#heldTo) {
        this.#loadNode(source, 0)
        this.#hold(how)
      }
      this.#takeBlock()
      return
    }
    this.#loadNode(source, level)
    this.#enterChild(level)
    this.#descend(source, level - 1, how, EMPTY, 0, 0)
  }

  /** The handle of `level` is set; the root needs none. */
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
    this.#hold(how)
    this.#takeBlock()
    return true
  }

  /** Keep handles around the current child. */
  #hold(how: number): void {
    const child = this.#children[0]!
    const held = this.#held
    const most = held.length / HANDLE_BYTES
    const count = this.#counts[0]!
    const from = count <= most ? 0 : how === LAST ? Math.max(0, child + 1 - most) : child
    const to = Math.min(count, from + most)
    const bytes = this.#bytes
    const at = handleAt(bytes, this.#start, from)
    const length = (to - from) * HANDLE_BYTES
    if (length > FEW_HANDLES * HANDLE_BYTES) held.set(bytes.subarray(at, at + length))
    else for (let i = 0; i < length; i++) held[i] = bytes[at + i]!
    this.#heldFrom = from
    this.#heldTo = to
  }

  #enterChild(level: number): void {
    const handle = handleAt(this.#bytes, this.#start, this.#children[level]!)
    this.#offsets[level - 1] = readU32(this.#bytes, handle)
    this.#sizes[level - 1] = readU32(this.#bytes, handle + 4)
    if (level !== 1) return
    this.filterOffset = readU32(this.#bytes, handle + 8)
    this.filterBytes = readU32(this.#bytes, handle + 12)
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
    const at = (this.#children[0]! - this.#heldFrom) * HANDLE_BYTES
    this.blockOffset = readU32(this.#held, at)
    this.blockBytes = readU32(this.#held, at + 4)
  }

  #corrupt(offset: number, what: string): CorruptionError {
    return new CorruptionError(this.#table.file.path, offset, what)
  }
}
