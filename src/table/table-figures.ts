/** Sums and bounds of a table, for its properties. */
import { compareKeys } from '../base/bytes.ts'
import { KIND_DELETE } from '../base/cursor.ts'
import type { MergeKernel } from '../kernels/merge-kernel.ts'
import type { TableProperties } from './properties.ts'

export class TableFigures {
  entries = 0
  blocks = 0
  /** Hull of the range tombstones. */
  rangeStart: Uint8Array | undefined
  rangeEnd: Uint8Array | undefined
  #deletes = 0
  #rangeDeletes = 0
  #rawKeyBytes = 0
  #rawValueBytes = 0
  #minSeq = Infinity
  #maxSeq = 0

  get hullBytes(): number { return (this.rangeStart?.length ?? 0) + (this.rangeEnd?.length ?? 0) }

  add(keyLength: number, valueLength: number, seq: number, kind: number): void {
    this.entries++
    if (kind === KIND_DELETE) this.#deletes++
    this.#rawKeyBytes += keyLength
    this.#rawValueBytes += valueLength
    if (seq < this.#minSeq) this.#minSeq = seq
    if (seq > this.#maxSeq) this.#maxSeq = seq
  }

  /** Add the entries of a kernel merge; returns their number. */
  absorb(merge: MergeKernel): number {
    this.#deletes += merge.takeDeletes()
    this.#rawKeyBytes += merge.takeKeyBytes()
    this.#rawValueBytes += merge.takeValueBytes()
    if (merge.addedMinSeq < this.#minSeq) this.#minSeq = merge.addedMinSeq
    if (merge.addedMaxSeq > this.#maxSeq) this.#maxSeq = merge.addedMaxSeq
    const added = merge.takeAdded()
    this.entries += added
    return added
  }

  addRange(start: Uint8Array, end: Uint8Array, seq: number): void {
    this.#rangeDeletes++
    if (this.rangeStart === undefined || compareKeys(start, this.rangeStart) < 0) this.rangeStart = start.slice()
    if (this.rangeEnd === undefined || compareKeys(end, this.rangeEnd) > 0) this.rangeEnd = end.slice()
    if (seq < this.#minSeq) this.#minSeq = seq
    if (seq > this.#maxSeq) this.#maxSeq = seq
  }

  /** Undefined keys: no point entries. */
  properties(fileNumber: number, firstKey: Uint8Array | undefined, lastKey: Uint8Array, valueFiles: number[]): TableProperties {
    const { entries, blocks, rangeStart, rangeEnd } = this
    return {
      fileNumber, fileBytes: 0, entries, deletes: this.#deletes, rangeDeletes: this.#rangeDeletes,
      blocks, rawKeyBytes: this.#rawKeyBytes, rawValueBytes: this.#rawValueBytes,
      minSeq: this.#maxSeq === 0 ? 0 : this.#minSeq, maxSeq: this.#maxSeq, valueFiles,
      ...(firstKey === undefined ? {} : { firstKey, lastKey }),
      ...(rangeStart === undefined || rangeEnd === undefined ? {} : { rangeStart, rangeEnd }),
    }
  }
}
