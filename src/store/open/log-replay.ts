/**
 * Replays the history in the log into memtables, flushing full ones. The epoch has begun: the history (`log-history.ts`) is
 * recorded, and no other process writes manifests.
 */
import { KIND_VALUE_FILE } from '../../base/cursor.ts'
import { CorruptionError } from '../../base/errors.ts'
import { nextLogged } from '../../manifest/version.ts'
import { VALUE_REFERENCE_BYTES } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import { deliverLog } from '../../wal/log-reader.ts'
import { applyOperation, recordBytesOf } from '../state/apply-to-memtable.ts'
import { SMALLEST_ARENA_BYTES } from '../engine/arena-pool.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import type { LogPart } from './log-history.ts'
import { MAX_RANGES } from '../state/memtable-tombstones.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import { MemoryWait } from '../state/memory-wait.ts'

/** Returns the number of operations. */
export function replay(core: StoreState, background: Background, parts: readonly LogPart[], buffer: Uint8Array): number {
  core.files.logs = parts.map(({ number }) => number)
  core.setMemtables(new MemtableSlot(undefined, core.files.logs[0] ?? Atomics.load(core.files.nextNumber, 0), core.engine.metadata))
  const recoveredSeq = core.view.version.lastSeq
  const patience = new MemoryWait(
    core, 'no memory to replay the log: every arena is in use and no flush is running', true)
  let operations = 0
  for (const part of parts) {
    const { number } = part
    const path = core.files.logPath(number)
    const file = core.files.io.openRead(path)
    try {
      deliverLog(file, number, buffer, core.engine.kernels, part, (seq, kind, bytes, keyStart, keyEnd, valueStart, valueEnd) => {
        if (seq <= recoveredSeq) return
        if (seq !== nextLogged(core.view.version, core.lastSeq)) throw missing(path, seq, core.lastSeq)
        if (kind === KIND_VALUE_FILE && valueEnd - valueStart !== VALUE_REFERENCE_BYTES) {
          throw new CorruptionError(path, 0, `the reference to a large value has ${valueEnd - valueStart} bytes, expected ${VALUE_REFERENCE_BYTES}`)
        }
        makeRoom(core, background, patience, number, kind, keyEnd - keyStart, valueEnd - valueStart)
        while (kind === KIND_VALUE_FILE && !core.valueFiles.reserve(1) && core.engine.memory.flushInside());
        applyOperation(core, seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
        operations++
      })
    } finally {
      file.close()
    }
  }
  core.lastSeq = nextLogged(core.view.version, core.lastSeq) - 1
  return operations
}

function missing(path: string, found: number, last: number): CorruptionError {
  return new CorruptionError(path, 0, `the log goes on at sequence number ${found}, but what comes before it ends at ${last}: a log segment is missing`)
}

/** Flush when the next operation does not fit, and take a new arena. */
function makeRoom(
  core: StoreState, background: Background, patience: MemoryWait, logNumber: number, kind: number, keyBytes: number, valueBytes: number,
): void {
  const { engine, view: { active, sealed } } = core
  const hasPlace = kind !== KIND_DELETE_RANGE || active.memtable.rangeCount < MAX_RANGES
  if (!active.isPlaceholder && hasPlace && active.memtable.fitsBatch(1, recordBytesOf(kind, keyBytes, valueBytes))) return
  if (!active.isPlaceholder) {
    core.setMemtables(new MemtableSlot(undefined, logNumber, engine.metadata), [...sealed, active])
    background.flusher.flush(active)
    while (core.view.sealed.length > 0) waitForJob(background)
  }
  // Small arenas gain nothing for reading: data in memory needs no scratch files.
  const wish = { isScratch: core.settings.isReadOnly }
  let buffer = engine.memory.takeArena(core, SMALLEST_ARENA_BYTES, wish)
  for (; buffer === undefined; buffer = engine.memory.takeArena(core, SMALLEST_ARENA_BYTES, wish)) {
    // Stores that share the budget hold the arenas. Their timers do not run during this call.
    if (!waitForJob(background)) patience.check()
  }
  patience.renew()
  core.setMemtables(new MemtableSlot(buffer, core.view.active.logNumber, engine.metadata))
}

/** False: no job runs. */
function waitForJob(background: Background): boolean {
  background.flusher.retry()
  const waited = background.waitInside()
  if (background.flusher.error !== undefined) throw background.flusher.error
  return waited
}
