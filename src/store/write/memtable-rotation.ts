/**
 * When the active memtable is sealed, and where the next one's memory comes from.
 *
 * Invariants
 * 1. A memtable is sealed together with its log segment, and only after the previous one has been flushed.
 * 2. While the tree is so far behind that writers must stop, none is sealed before a merge ends.
 * 3. A store without entries in memory holds no arena that another store wants.
 */
import { SpillwayError } from '../../base/errors.ts'
import { STEP_BYTES } from '../../compaction/jobs.ts'
import { SMALLEST_ARENA_BYTES } from '../engine/arena-pool.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import { emitError } from '../api/events.ts'
import type { LogBufferOwner } from '../engine/log-buffer.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import type { WriteStalls } from './write-stalls.ts'
import type { StallCause } from '../api/events.ts'

/** Maximum log segment size, in arenas of its memtable. */
const LOG_PER_ARENA = 4
/** Without a worker: bytes of flush and merge work per byte of memtable. */
const HELP_PER_BYTE = 4

/** No memtable can hold all operations of the call: they must go to tables. */
export class BatchTooLarge extends SpillwayError {
  constructor(operations: number, capacityBytes: number) {
    super(
      'SPILLWAY_INVALID_ARGUMENT', `a batch of ${operations} operations does not fit a memtable of ${capacityBytes} bytes. Split it, or open the store with a larger budget`,
      { details: { operations, capacityBytes } },
    )
  }
}

/** Writes in the log buffer that are not in the memtable yet. */
export interface PendingGroup extends LogBufferOwner {
  readonly hasPending: boolean
  /** Throws when the log write fails. */
  commitPending(): void
}

/** The log, as seen by memtables: `log-segments.ts`. */
export interface Segments {
  readonly current: { readonly writtenBytes: number }
  /** Begin a new segment; returns its number. */
  begin(): number
}

export class MemtableRotation {
  readonly #core: StoreState
  readonly #background: Background
  readonly #logs: Segments
  readonly #stalls: WriteStalls
  readonly #group: PendingGroup
  /** Why the last `yield` failed. */
  #yieldError: Error | undefined
  /** Arena size the waiting operations need, as far as known. */
  #neededBytes = SMALLEST_ARENA_BYTES
  /** Job steps a writer owes for the memtable it filled. */
  owedSteps = 0

  constructor(core: StoreState, background: Background, logs: Segments, stalls: WriteStalls, group: PendingGroup) {
    this.#core = core
    this.#background = background
    this.#logs = logs
    this.#stalls = stalls
    this.#group = group
  }

  /** The active memtable holds entries and may be flushed now: not in the middle of a call, whose codec may write to other stores. */
  get canSeal(): boolean {
    const core = this.#core
    if (core.health.closing || this.#group.isAppending || core.view.active.isEmpty || core.view.sealed.length > 0 || core.health.readOnlyReason !== undefined) return false
    return !(this.#background.merger.running > 0 && this.#stalls.stop)
  }

  /** Arena bytes that `yield` would free, now or after a flush. */
  get reclaimableBytes(): number {
    return this.canSeal || this.#holdsEmptyArena ? this.#core.view.active.buffer.byteLength : 0
  }

  /** Why this store's memory cannot be flushed now, for stores that wait for it. */
  get heldBy(): SpillwayError | undefined {
    const { view: { active, sealed }, health: { readOnlyReason }, files: { directory } } = this.#core
    const cause = readOnlyReason ?? this.#background.flusher.error ?? this.#yieldError
    if (cause === undefined || (sealed.length === 0 && active.isPlaceholder)) return undefined
    const { code } = cause as Partial<SpillwayError>
    return new SpillwayError(
      code ?? 'SPILLWAY_UNAVAILABLE',
      `memory is needed that the store in ${directory} cannot give back: ${cause.message}. Fix that, close the store, or raise the budget`,
      { cause, details: { directory } },
    )
  }

  /** Cause of the wait of a write that finds no space. */
  get stallCause(): StallCause {
    if (this.#core.view.sealed.length > 0) return 'flush'
    return this.#background.merger.running > 0 && this.#stalls.stop ? 'merge' : 'memory'
  }

  /**
   * The sizer may want a memtable sealed before its arena is full. Overwrites fill the log but not the memtable: then the log
   * decides.
   */
  get isTimeToSeal(): boolean {
    const { view: { active }, engine } = this.#core
    if (this.#group.hasPending) return false
    const isLarge = engine.governor.sizer.shouldSeal(active.memtable.usedBytes) || this.#logs.current.writtenBytes > LOG_PER_ARENA * active.buffer.byteLength
    return isLarge && this.canSeal
  }

  /**
   * Replace the active memtable by one with more space for `count` operations, if available now. Throws when no memtable can hold
   * them.
   */
  makeRoom(count: number): boolean {
    const { view: { active }, engine, engine: { plan } } = this.#core
    if (!active.isPlaceholder && active.isEmpty) {
      // An empty one is too small: only a larger arena helps.
      const capacityBytes = active.buffer.byteLength
      if (capacityBytes < plan.batchArenaBytes) {
        this.#replaceActive(undefined)
        this.#neededBytes = Math.min(plan.batchArenaBytes, 2 * capacityBytes)
        engine.admission.give(active.buffer)
        return this.#takeArena(this.#neededBytes)
      }
      throw new BatchTooLarge(count, capacityBytes)
    }
    if (!active.isPlaceholder) {
      if (!this.canSeal) return false
      this.seal()
    }
    return this.#takeArena(this.#neededBytes)
  }

  /** The waiting write has space, or no longer waits. */
  settle(): void {
    this.#neededBytes = SMALLEST_ARENA_BYTES
  }

  /** Hand the active memtable and its log segment to a flush. */
  seal(): void {
    const core = this.#core
    core.ownership.check()
    // Operations appended in this turn belong to the old segment and memtable.
    this.#group.commitPending()
    core.engine.logBuffer.claim(this.#group)
    const logNumber = this.#logs.begin()
    const slot = core.view.active
    core.setMemtables(new MemtableSlot(undefined, logNumber, core.engine.metadata), [...core.view.sealed, slot])
    this.#stalls.pace.begin(slot.buffer.byteLength, core.host.clock.nowMs())
    this.#background.flusher.flush(slot)
    this.owedSteps = HELP_PER_BYTE * slot.buffer.byteLength / STEP_BYTES
  }

  /** Flush the active memtable because another store needs its arena. False: not now. Never throws. */
  yield(): boolean {
    const core = this.#core
    this.#yieldError = undefined
    if (this.#group.isAppending) return false
    try {
      this.#group.commitPending()
      if (this.#holdsEmptyArena) {
        const { buffer } = core.view.active
        this.#replaceActive(undefined)
        core.engine.admission.give(buffer)
        return true
      }
      if (!this.canSeal) return false
      this.seal()
      return true
    } catch (error) {
      // The error concerns this store, not the one that needs memory.
      this.#yieldError = error as Error
      core.health.lastBackgroundError = error as Error
      core.counters.backgroundErrors++
      emitError({ directory: core.files.directory, error: error as Error, readOnly: core.health.readOnlyReason !== undefined })
      return false
    }
  }

  /** No write waits for an arena any more. */
  leave(): void {
    this.settle()
    this.#core.engine.admission.leave(this)
  }

  get #holdsEmptyArena(): boolean {
    const { view: { active }, health: { closing } } = this.#core
    return !closing && !this.#group.isAppending && !this.#group.hasPending && !active.isPlaceholder && active.isEmpty
  }

  #takeArena(leastBytes: number): boolean {
    const buffer = this.#core.engine.memory.takeArena(this, leastBytes, this.#core.settings)
    if (buffer === undefined) return false
    this.#replaceActive(buffer)
    return buffer.byteLength >= leastBytes
  }

  /** Replace an empty memtable by another empty one; the log continues. */
  #replaceActive(buffer: SharedArrayBuffer | undefined): void {
    const core = this.#core
    core.setMemtables(new MemtableSlot(buffer, core.view.active.logNumber, core.engine.metadata))
  }
}
