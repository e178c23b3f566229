/**
 * Builds the index while data blocks are written: partitions of block handles, each with its filter after its blocks, and a tree
 * with a small root above.
 *
 * Invariants
 * 1. A partition has at most MAX_PARTITION_BLOCKS children and about PARTITION_BYTES, a node above about NODE_BYTES, unless two
 *    separators alone are longer. This bounds the resident root.
 * 2. The root is at level 1 or above: entries of level 1 know the filters.
 */
import type { StoredBlockWriter } from '../block/stored-block-writer.ts'
import type { FilterWriter } from '../filter/filter-writer.ts'
import { MAX_PARTITION_BLOCKS } from '../format.ts'
import { IndexNodeWriter } from './index-node-writer.ts'

const PARTITION_BYTES = 4096
const NODE_BYTES = 32 * 1024
const MAX_NODE_CHILDREN = 1024
/** Per filter, give or take a block. */
const PARTITION_KEYS = 8192
/** Share of a key's unwritten filter in `pendingBytes`. */
export const PENDING_KEY_BYTES = 2

export class IndexWriter {
  /** After `finish`; 0 bytes without entries. */
  rootOffset = 0
  rootBytes = 0
  readonly #blocks: StoredBlockWriter
  readonly #filter: FilterWriter
  readonly #partition: IndexNodeWriter
  /** Level 1 first. */
  readonly #nodes: IndexNodeWriter[] = []
  readonly #kept: IndexNodeWriter[]

  /** `kept`: empty node writers by level, for reuse; missing ones are added. */
  constructor(blocks: StoredBlockWriter, filter: FilterWriter, kept: IndexNodeWriter[]) {
    this.#blocks = blocks
    this.#filter = filter
    this.#kept = kept
    this.#partition = kept[0] ??= new IndexNodeWriter(0, MAX_PARTITION_BLOCKS, PARTITION_BYTES)
  }

  /** Maximum allocation. */
  static bytesFor(longestKeyBytes: number, levels: number): number {
    return IndexNodeWriter.bytesFor(MAX_PARTITION_BLOCKS, PARTITION_BYTES, longestKeyBytes) +
      (levels - 1) * IndexNodeWriter.bytesFor(MAX_NODE_CHILDREN, NODE_BYTES, longestKeyBytes)
  }

  get bufferBytes(): number { return this.#nodes.reduce((sum, node) => sum + node.bufferBytes, this.#partition.bufferBytes) }
  get levels(): number { return 1 + this.#nodes.length }

  /** Approximate, unwritten. */
  get pendingBytes(): number {
    return this.#nodes.reduce((sum, node) => sum + node.encodedBytes, this.#partition.encodedBytes + this.#filter.count * PENDING_KEY_BYTES)
  }

  /** The separator is >= the block's last key and < the next block's first (or that key, if both share it). */
  addBlock(separator: Uint8Array, start: number, end: number, offset: number, storedBytes: number): void {
    // This block goes to the next partition, as its unmarked hashes do.
    if (!this.#partition.hasRoom(separator, start, end)) this.#cutPartition()
    this.#partition.add(separator, start, end, offset, storedBytes, 0, 0)
    this.#filter.mark()
    if (this.#partition.isFull || this.#filter.count >= PARTITION_KEYS) this.#cutPartition()
  }

  /** Write everything below the root. */
  finish(): void {
    if (this.#partition.count > 0) this.#cutPartition()
    for (let i = 0; i + 1 < this.#nodes.length; i++) this.#cutNode(i)
  }

  /** After `finish`. */
  writeRoot(): void {
    const root = this.#nodes.at(-1)
    if (root === undefined) return
    this.#store(root)
    this.rootOffset = this.#blocks.lastOffset
    this.rootBytes = this.#blocks.lastBytes
  }

  #cutPartition(): void {
    const { kernels } = this.#blocks
    let filterOffset = 0
    let filterBytes = 0
    const filterLength = this.#filter.encode(kernels) - kernels.a
    if (filterLength > 0) {
      this.#blocks.store(filterLength, false)
      filterOffset = this.#blocks.lastOffset
      filterBytes = this.#blocks.lastBytes
    }
    const partition = this.#partition
    this.#store(partition)
    this.#addChild(0, partition, filterOffset, filterBytes)
  }

  #cutNode(i: number): void {
    const node = this.#nodes[i]!
    if (node.count === 0) return
    this.#store(node)
    this.#addChild(i + 1, node, 0, 0)
  }

  /** Enter a stored child in the node above it, and empty it. */
  #addChild(i: number, child: IndexNodeWriter, filterOffset: number, filterBytes: number): void {
    const offset = this.#blocks.lastOffset
    const storedBytes = this.#blocks.lastBytes
    if (i === this.#nodes.length) this.#nodes.push(this.#kept[i + 1] ??= new IndexNodeWriter(i + 1, MAX_NODE_CHILDREN, NODE_BYTES))
    const node = this.#nodes[i]!
    if (!node.hasRoom(child.last, 0, child.lastLength)) this.#cutNode(i)
    node.add(child.last, 0, child.lastLength, offset, storedBytes, filterOffset, filterBytes)
    child.reset()
  }

  #store(node: IndexNodeWriter): void {
    const { memory, a } = this.#blocks.kernels
    this.#blocks.store(node.encode(memory, a) - a)
  }
}

/** A partition is cut after the block that brings it to PARTITION_KEYS. */
export function maxPartitionKeys(blockBytes: number): number {
  return PARTITION_KEYS + Math.ceil(blockBytes / 8)
}
