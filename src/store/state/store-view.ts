/** The state a read looks at. Replaced as a whole when memtables or tables are exchanged, never changed in place. */
import type { Version } from '../../manifest/version.ts'
import type { MemtableSlot } from './memtable-slot.ts'
import type { Tree } from './tree.ts'

/** Of a store, or of the staged tables of a transaction. */
export interface View {
  readonly active: MemtableSlot
  /** Being flushed, oldest first. */
  readonly sealed: readonly MemtableSlot[]
  readonly tree: Tree
  /** Differs between two views whose memtables or tables differ: iterators seek again then. */
  readonly generation: number
}

export interface StoreView extends View {
  readonly version: Version
}
