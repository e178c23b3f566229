/**
 * The writes of a small transaction as operations of one write call: range tombstones first, then for each key they do not cover
 * its newest version.
 *
 * Cost: read in order from the transaction's memtable, without search or copy.
 */
import { EMPTY, KIND_PUT, MAX_SEQ } from '../../base/cursor.ts'
import type { Cursor, RangeTombstone } from '../../base/cursor.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { MemtableSlot } from '../state/memtable-slot.ts'
import type { Operations } from '../api/operation.ts'
import { PackedOperations, packedBytes } from '../api/packed-operations.ts'

export class TransactionBatch implements Operations {
  readonly count: number
  kind: number = KIND_PUT
  key: Uint8Array = EMPTY
  keyStart = 0
  keyEnd = 0
  value: Uint8Array = EMPTY
  valueStart = 0
  valueEnd = 0
  readonly longText = ''
  prepare?: () => void
  readonly #slot: MemtableSlot
  readonly #ranges: readonly RangeTombstone[]
  readonly #cursor: Cursor
  #at = -1
  #contentBytes = 0

  constructor(slot: MemtableSlot) {
    this.#slot = slot
    this.#ranges = slot.memtable.ranges()
    this.#cursor = slot.memtable.cursor()
    let count = this.#ranges.length
    for (const { start, end } of this.#ranges) this.#contentBytes += start.length + end.length
    for (this.#toFirst(); this.#cursor.valid; this.#toNext()) {
      const { keyStart, keyEnd, valueStart, valueEnd } = this.#cursor
      this.#contentBytes += keyEnd - keyStart + valueEnd - valueStart
      count++
    }
    this.count = count
  }

  get bytes(): number { return packedBytes(this.count, this.#contentBytes) }

  keep(): Operations {
    const packed: Operations = new PackedOperations(this, this.#contentBytes)
    if (this.prepare !== undefined) packed.prepare = this.prepare
    return packed
  }

  load(i: number): void {
    const range = this.#ranges[i]
    if (range !== undefined) {
      this.kind = KIND_DELETE_RANGE
      this.key = range.start
      this.keyStart = 0
      this.keyEnd = range.start.length
      this.value = range.end
      this.valueStart = 0
      this.valueEnd = range.end.length
      return
    }
    const wanted = i - this.#ranges.length
    if (wanted < this.#at || wanted === 0) {
      this.#at = 0
      this.#toFirst()
    }
    for (; this.#at < wanted; this.#at++) this.#toNext()
    const cursor = this.#cursor
    this.kind = cursor.kind
    this.key = cursor.key
    this.keyStart = cursor.keyStart
    this.keyEnd = cursor.keyEnd
    this.value = cursor.value
    this.valueStart = cursor.valueStart
    this.valueEnd = cursor.valueEnd
  }

  #toFirst(): void {
    this.#cursor.seekToFirst()
    this.#settle()
  }

  /** To the newest version of the next uncovered key. */
  #toNext(): void {
    this.#leaveKey()
    this.#settle()
  }

  #settle(): void {
    const { ranges } = this.#slot
    const cursor = this.#cursor
    while (ranges.size > 0 && cursor.valid && ranges.coveringSeq(cursor.key, cursor.keyStart, cursor.keyEnd, MAX_SEQ) > cursor.seq) this.#leaveKey()
  }

  /** Past older versions, kept for open iterators. */
  #leaveKey(): void {
    const cursor = this.#cursor
    const start = cursor.keyStart
    do cursor.next()
    while (cursor.valid && cursor.keyStart === start)
  }
}
