/**
 * Writes without a log, straight into the memtable: the twin of `group-commit.ts` for scratch stores.
 *
 * Invariants
 * 1. One operation at a time, applied inside its call: nothing is ever pending.
 * 2. An operation that throws or must wait leaves no trace.
 * 3. While there are no tables, a memtable full of deleted entries is copied into a fresh one instead of being flushed.
 *
 * Cost: one copy of key and value.
 */
import { KIND_DELETE } from '../../base/cursor.ts'
import { applyOperation, recordBytesOf } from '../state/apply-to-memtable.ts'
import type { ScratchDirectory } from '../../host/scratch-directory.ts'
import { arenaSize, arenaSizeAbove } from '../engine/arena-pool.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import { LargeValues } from '../write/large-values.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import { MemtableRotation } from '../write/memtable-rotation.ts'
import type { PendingGroup } from '../write/memtable-rotation.ts'
import type { Operations } from '../api/operation.ts'
import { NoLog } from './null-parts.ts'
import { WriteStalls } from '../write/write-stalls.ts'
import type { Appender } from '../write/writer.ts'

const DONE = Promise.resolve()
/** A memtable with this many value files, or bytes in them, is sealed: overwritten files go only with their memtable. */
const MAX_VALUE_FILES = 1024
const MAX_BUFFERED_VALUE_BYTES = 256 * 1024 * 1024

export class ScratchWriter implements Appender, PendingGroup {
  /** It has no log. */
  readonly isAppending = false
  readonly stalls: WriteStalls
  readonly exchange: MemtableRotation
  readonly hasPending = false
  isDraining = false
  readonly #core: StoreState
  readonly #values: LargeValues
  readonly #directory: ScratchDirectory
  /** When the active memtable began. */
  #valueBytes = 0
  #valueSlot: object | undefined

  constructor(core: StoreState, background: Background, directory: ScratchDirectory) {
    this.#core = core
    this.#directory = directory
    this.stalls = new WriteStalls(core)
    this.#values = new LargeValues(core)
    this.exchange = new MemtableRotation(core, background, new NoLog(), this.stalls, this)
  }

  /** False: it must wait for a flush. Throws for operations that can never be written. */
  tryAppend(operations: Operations): boolean {
    try {
      for (;;) {
        const left = this.#append(operations)
        if (left === 'none') {
          this.#values.keep()
          this.#values.settled()
          return true
        }
        if (left === 'memtable' && this.#rebuild()) continue
        if (left === 'memory' || !this.exchange.makeRoom(operations.count)) break
      }
    } catch (error) {
      this.#values.forget(operations)
      throw error
    }
    this.#values.forget(operations)
    return false
  }

  acknowledgement(): Promise<void> { return DONE }
  commitGroup(): undefined { return undefined }
  commitPending(): void {}

  /** One operation always fits a memtable. */
  endSegment(): void {}
  skipTo(): void {}
  syncNow(): void {}
  vacate(): void {}

  #append(operations: Operations): 'none' | 'memtable' | 'memory' {
    const core = this.#core
    const slot = core.view.active
    if (slot.isPlaceholder) return 'memtable'
    operations.load(0)
    const keyBytes = operations.keyEnd - operations.keyStart
    const storedBytes = this.#values.storedBytes(operations)
    if (!slot.memtable.fits(keyBytes, storedBytes) && !slot.memtable.fitsBatch(1, recordBytesOf(operations.kind, keyBytes, storedBytes))) return 'memtable'
    if (slot.valueFiles.length > 0 && this.#sealsForValues(slot.valueFiles.length)) return 'memtable'
    if (storedBytes !== operations.valueEnd - operations.valueStart || operations.longText !== '') this.#directory.make()
    if (!this.#values.replace(operations, 0, false)) return 'memory'
    const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
    applyOperation(core, core.lastSeq + 1, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
    const bytes = keyBytes + valueEnd - valueStart
    const { governor } = core.engine
    if (!this.isDraining) governor.recordDemand(bytes)
    governor.traffic.writtenBytes += bytes
    core.counters.userBytes += bytes
    core.counters.operations++
    this.stalls.owe(bytes)
    return 'none'
  }

  /** Copy the live entries of the active memtable into another one. False: too many are live, or it is not possible. */
  #rebuild(): boolean {
    const core = this.#core
    const slot = core.view.active
    const { memtable } = slot
    const live = memtable.entryCount - memtable.deleteCount
    if (slot.isPlaceholder || core.view.tree.runs.length > 0 || core.view.sealed.length > 0 || slot.valueFiles.length > 0) return false
    if (memtable.deleteCount < live || memtable.rangeCount > 0) return false
    const { admission } = core.engine
    const wantBytes = Math.min(slot.buffer.byteLength, arenaSize(admission.limitBytes - admission.usedBytes))
    // Deletions take about as much as the entries they delete: unless half of it becomes free, it does not pay.
    if (wantBytes > admission.limitBytes - admission.usedBytes || wantBytes < arenaSizeAbove(memtable.liveBytes / 2)) return false
    const buffer = admission.take(this, wantBytes, wantBytes)
    if (buffer === undefined || core.view.active !== slot) {
      if (buffer === undefined) admission.leave(this)
      else admission.give(buffer)
      return core.view.active !== slot
    }
    const fresh = new MemtableSlot(buffer, slot.logNumber, core.engine.metadata)
    const cursor = memtable.cursor()
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = cursor
      if (kind === KIND_DELETE) continue
      if (!fresh.memtable.fits(keyEnd - keyStart, valueEnd - valueStart)) {
        admission.give(buffer)
        return false
      }
      // There are no older versions, so sequence numbers do not matter.
      fresh.memtable.put(key, keyStart, keyEnd, core.lastSeq, kind, value, valueStart, valueEnd, 0)
    }
    core.setMemtables(fresh)
    slot.close()
    admission.give(slot.buffer)
    return true
  }

  #sealsForValues(files: number): boolean {
    const { view: { active }, counters: { valueFileBytes } } = this.#core
    if (this.#valueSlot !== active) {
      this.#valueSlot = active
      this.#valueBytes = valueFileBytes
    }
    return (files >= MAX_VALUE_FILES || valueFileBytes - this.#valueBytes >= MAX_BUFFERED_VALUE_BYTES) && this.exchange.canSeal
  }
}
