/** Interfaces of an open table; `table-reader.ts` implements them. */
import type { Kernels } from '../kernels/kernels.ts'
import type { BlockFile } from './block/stored-block-reader.ts'
import type { ListBlocks } from './list-reader.ts'
import type { ResidentProperties } from './properties.ts'

/** Enough to load its blocks. */
export interface OpenTable extends BlockFile {
  /** The cache's name for the table. */
  readonly id: number
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
