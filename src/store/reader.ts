/**
 * Point reads: active memtable, sealed ones, then the tree; values copied out or decoded on the spot.
 *
 * Invariants
 * 1. The newest version with a sequence number <= the snapshot's wins, unless a newer range tombstone covers it,
 *    wherever either of them is.
 * 2. What is returned shares no memory with the store.
 */
import { Hit, KIND_DELETE, KIND_VALUE_FILE } from '../base/cursor.ts'
import { hashKey } from '../base/hash.ts'
import { readValueFile } from '../table/value-file-reader.ts'
import { decodeValueReference } from '../table/value-file.ts'
import type { Core } from './core.ts'
import type { MemtableSlot } from './memtables.ts'

export class Reader {
  readonly #core: Core
  readonly #hit = new Hit()
  #cover = 0

  constructor(core: Core) {
    this.#core = core
  }

  /** The visible value of a key, as views that hold until the next read or write; undefined if there is none. */
  find(key: Uint8Array, start: number, end: number, snapshotSeq: number): Hit | undefined {
    const core = this.#core
    const hit = this.#hit
    hit.seq = 0
    this.#cover = 0
    if (!this.#inMemtable(core.active, key, start, end, snapshotSeq)) {
      let done = false
      for (let i = core.sealed.length - 1; i >= 0 && !done; i--) done = this.#inMemtable(core.sealed[i]!, key, start, end, snapshotSeq)
      if (!done) this.#cover = core.tree.get(core.blocks, key, start, end, hashKey(key, start, end), snapshotSeq, this.#cover, hit)
    }
    return hit.seq > this.#cover && hit.kind !== KIND_DELETE ? hit : undefined
  }

  /** True when nothing older can matter: memtables are strictly newer than all that comes after them. */
  #inMemtable(slot: MemtableSlot, key: Uint8Array, start: number, end: number, snapshotSeq: number): boolean {
    const ranges = slot.ranges
    if (ranges.size > 0) this.#cover = Math.max(this.#cover, ranges.coveringSeq(key, start, end, snapshotSeq))
    return slot.memtable.get(key, start, end, snapshotSeq, this.#hit) || this.#cover > 0
  }
}

/** The bytes of a found value: views, or for a large value its whole content read from its file. */
export function valueOf(core: Core, kind: number, value: Uint8Array, start: number, end: number): { bytes: Uint8Array, start: number, end: number } {
  if (kind !== KIND_VALUE_FILE) return { bytes: value, start, end }
  const { fileNumber, lengthBytes } = decodeValueReference(value, start, end)
  const bytes = readValueFile(core.host.files, core.valuePath(fileNumber), fileNumber, lengthBytes, core.kernels)
  return { bytes, start: 0, end: bytes.length }
}
