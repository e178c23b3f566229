/** What the parts of this room see of an open table; `table-reader.ts` is the one implementation. */
import type { Kernels } from '../kernels/kernels.ts'
import type { BlockFile } from './block/stored-block-reader.ts'
import type { ListBlocks } from './list-reader.ts'
import type { ResidentProperties } from './properties.ts'

/** Enough to load blocks through a cache. */
export interface OpenTable extends BlockFile {
  /** The cache's name for the table, unique while it is open. */
  readonly id: number
  /** False once its owner has dropped it. */
  readonly isOpen: boolean
}

/** Enough to walk its index and entries. */
export interface IndexedTable extends OpenTable {
  /** The top index node, possibly followed by other bytes; empty without entries. */
  readonly root: Uint8Array
  /** At least 1. */
  readonly rootLevel: number
  /** Added to every sequence number in the file. */
  readonly seqOffset: number
}

/** Enough to verify it. */
export interface VerifiableTable extends IndexedTable {
  readonly properties: ResidentProperties
  rangeBlocks(kernels: Kernels): ListBlocks
}
