/** Applies one logged operation to the active memtable, after the log has it and when a log is replayed. */
import { KIND_DELETE, KIND_VALUE_FILE } from '../../base/cursor.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { decodeValueReference } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { StoreState } from './store-state.ts'

export function applyOperation(
  core: StoreState, seq: number, kind: number, key: Uint8Array, keyStart: number, keyEnd: number,
  value: Uint8Array, valueStart: number, valueEnd: number,
): void {
  const slot = core.view.active
  if (kind === KIND_DELETE_RANGE) {
    slot.memtable.deleteRange(key.slice(keyStart, keyEnd), value.slice(valueStart, valueEnd), seq)
  } else {
    slot.memtable.put(key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd, core.snapshots.newestSeq)
    if (kind === KIND_VALUE_FILE) {
      const { fileNumber } = decodeValueReference(value, valueStart, valueEnd)
      slot.valueFiles.push(fileNumber)
      core.valueFiles.retain([fileNumber])
    }
  }
  core.lastSeq = seq
  if (kind === KIND_DELETE) core.emptyRange.onDelete(key, keyStart, keyEnd)
  if (core.watchers.size > 0) tellWatchers(core, kind, key, keyStart, keyEnd)
}

function tellWatchers(core: StoreState, kind: number, key: Uint8Array, keyStart: number, keyEnd: number): void {
  for (const watcher of core.watchers) {
    if (kind === KIND_DELETE_RANGE) watcher.onMany(true)
    else watcher.onWrite(key, keyStart, keyEnd, kind)
  }
}

/** Arena bytes of one operation without inner nodes, for `Memtable.fitsBatch`. */
export function recordBytesOf(kind: number, keyBytes: number, valueBytes: number): number {
  return kind === KIND_DELETE_RANGE ? Memtable.rangeBytes(keyBytes, valueBytes) : Memtable.recordBytes(keyBytes, valueBytes)
}
