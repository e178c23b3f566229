/**
 * A memtable with its log segment, value files and range tombstones. A store that has not written since its last flush has a
 * placeholder of a few KiB instead of an arena.
 */
import type { Account } from '../../memory/budget.ts'
import { arenaBuffer } from '../../memtable/arena.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { MemtableTombstones } from './memtable-tombstones.ts'

export class MemtableSlot {
  readonly memtable: Memtable
  readonly buffer: SharedArrayBuffer
  /** First log segment that holds any of its entries. */
  readonly logNumber: number
  /** Value files of its entries, also of overwritten ones. */
  readonly valueFiles: number[] = []
  /** Its range tombstones, for reading; later ones are included. */
  readonly ranges: MemtableTombstones

  /** Nothing may be written to it. */
  readonly isPlaceholder: boolean

  /** `account`: for resolved range tombstones. */
  constructor(buffer: SharedArrayBuffer | undefined, logNumber: number, account: Account) {
    this.isPlaceholder = buffer === undefined
    buffer ??= arenaBuffer(Memtable.MIN_BYTES)
    this.buffer = buffer
    this.logNumber = logNumber
    this.memtable = new Memtable(buffer)
    this.memtable.reset()
    this.ranges = new MemtableTombstones(this.memtable, account)
  }

  get isEmpty(): boolean { return this.memtable.entryCount === 0 && this.memtable.rangeCount === 0 }

  /** Release all but the arena; no reads follow. */
  close(): void { this.ranges.close() }
}
