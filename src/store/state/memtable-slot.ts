/**
 * A memtable with what the store knows of it: the active one, or one being flushed. A store that has not written since its last
 * flush holds a placeholder of a few KiB instead of an arena.
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
  /** Value files its entries refer to, or referred to before they were overwritten. */
  readonly valueFiles: number[] = []
  /** Its range tombstones, for reading; those added later are in it too. */
  readonly ranges: MemtableTombstones

  /** True: nothing may be written to it. */
  readonly isPlaceholder: boolean

  /** `account`: for what reading its range tombstones takes. */
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

  /** Nobody reads it any more: give back what it holds besides its arena. */
  close(): void { this.ranges.close() }
}
