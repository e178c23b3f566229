/**
 * The removal of a range as operations: a range tombstone, whatever is in the range, and where a range tombstone cannot reach, a deletion.
 *
 * Invariant: no key of the range that is visible when the operations are appended is visible afterwards.
 *
 * Cost: for a range that is open at its end, one key looked up.
 */
import { EMPTY, KIND_DELETE } from '../../base/cursor.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { StoreState } from '../state/store-state.ts'
import { MAX_KEY_BYTES, OperationList } from '../api/operations.ts'
import { isEmptyRange } from '../api/key-range.ts'
import type { ByteRange } from '../api/key-range.ts'
import { Scan } from '../scan/entry-scan.ts'
import type { EntryScan } from '../scan/entry-scan.ts'

/** The removal of a range from a store; undefined: there is nothing to remove. */
export function rangeDelete(core: StoreState, { start = EMPTY, end }: ByteRange): OperationList | undefined {
  const list = new OperationList()
  if (end !== undefined) {
    removeRange(start, end, list)
    return list.count === 0 ? undefined : list
  }
  // Where "to the end" is depends on every write before it, and those may still be waiting.
  list.prepare = () => {
    list.clear()
    removeRange(start, behindLastKey(new Scan(core, core.lastSeq, true)), list)
  }
  list.preparedBytes = start.length
  return list
}

/** Add what removes [start, end) to a list; undefined: nothing. */
export function removeRange(start: Uint8Array, end: Uint8Array | undefined, list: Pick<OperationList, 'add'>): void {
  if (end === undefined || start.length > MAX_KEY_BYTES || isEmptyRange({ start, end })) return
  if (end.length > MAX_KEY_BYTES) {
    // The range ends with the longest possible key, which has no successor of a key's length: that one goes by itself.
    end = end.subarray(0, MAX_KEY_BYTES)
    list.add(KIND_DELETE, end, EMPTY)
  }
  list.add(KIND_DELETE_RANGE, start, end)
}

/** The first possible key behind all that a scan backward sees, which is closed; undefined: it sees none. */
export function behindLastKey(scan: EntryScan): Uint8Array | undefined {
  try {
    scan.seek(undefined)
    if (!scan.valid) return undefined
    const end = new Uint8Array(scan.keyLength + 1)
    end.set(scan.key.subarray(0, scan.keyLength))
    return end
  } finally {
    scan.close()
  }
}
