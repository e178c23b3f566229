/**
 * A range deletion as operations: one range tombstone, and a deletion for the one key a range tombstone cannot reach.
 *
 * Invariant: no key of the range that is visible when the operations are appended is visible afterwards.
 *
 * Cost: for an open end, one key lookup.
 */
import { EMPTY, KIND_DELETE } from '../../base/cursor.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { StoreState } from '../state/store-state.ts'
import { MAX_KEY_BYTES, OperationList } from '../api/operations.ts'
import { isEmptyRange } from '../api/key-range.ts'
import type { ByteRange } from '../api/key-range.ts'
import { Scan } from '../scan/entry-scan.ts'
import type { EntryScan } from '../scan/entry-scan.ts'

/** Operations that delete a range; undefined: nothing to delete. */
export function rangeDelete(core: StoreState, { start = EMPTY, end }: ByteRange): OperationList | undefined {
  const list = new OperationList()
  if (end !== undefined) {
    removeRange(start, end, list)
    return list.count === 0 ? undefined : list
  }
  // An open end depends on all earlier writes, some of which may still wait.
  list.prepare = () => {
    list.clear()
    removeRange(start, behindLastKey(new Scan(core, core.lastSeq, true)), list)
  }
  list.preparedBytes = start.length
  return list
}

/** Add operations that delete [start, end) to a list; undefined: none needed. */
export function removeRange(start: Uint8Array, end: Uint8Array | undefined, list: Pick<OperationList, 'add'>): void {
  if (end === undefined || start.length > MAX_KEY_BYTES || isEmptyRange({ start, end })) return
  if (end.length > MAX_KEY_BYTES) {
    // The range ends with the longest possible key, which has no successor: delete that key by itself.
    end = end.subarray(0, MAX_KEY_BYTES)
    list.add(KIND_DELETE, end, EMPTY)
  }
  list.add(KIND_DELETE_RANGE, start, end)
}

/** The successor of the last key a backward scan sees; undefined: none. Closes the scan. */
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
