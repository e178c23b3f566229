/**
 * A memtable with what the store knows of it: the active one, or one being flushed. A store that has not written since its last
 * flush holds a placeholder of a few KiB instead of an arena.
 */
import type { RangeSet as RangeSetType } from '../base/ranges.ts'
import { RangeSet } from '../base/ranges.ts'
import { Memtable } from '../memtable/memtable.ts'

export class MemtableSlot {
  readonly memtable: Memtable
  readonly buffer: SharedArrayBuffer
  /** First log segment that holds any of its entries. */
  readonly logNumber: number
  /** Value files its entries refer to, or referred to before they were overwritten. */
  readonly valueFiles: number[] = []
  #ranges: RangeSetType = RangeSet.EMPTY
  #rangeCount = 0

  /** True: nothing may be written to it. */
  readonly isPlaceholder: boolean

  constructor(buffer: SharedArrayBuffer | undefined, logNumber: number) {
    this.isPlaceholder = buffer === undefined
    buffer ??= new SharedArrayBuffer(Memtable.MIN_BYTES)
    this.buffer = buffer
    this.logNumber = logNumber
    this.memtable = new Memtable(buffer)
    this.memtable.reset()
  }

  get isEmpty(): boolean { return this.memtable.entryCount === 0 && this.memtable.rangeCount === 0 }

  /** The range tombstones, resolved for reading; rebuilt when one was added. */
  get ranges(): RangeSetType {
    if (this.memtable.rangeCount !== this.#rangeCount) {
      this.#ranges = RangeSet.of(this.memtable.ranges())
      this.#rangeCount = this.memtable.rangeCount
    }
    return this.#ranges
  }
}
