/**
 * When the active memtable is sealed and where the next one's memory comes from.
 *
 * Invariants
 * 1. A memtable is sealed together with its log segment, and only when the one before it is in a table.
 * 2. While the tree is so far behind that writers must stop, none is sealed before a merge has ended.
 * 3. A store that has nothing in memory holds no arena that somebody else asks for.
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

/** A log segment grows to so many times its memtable's arena at most. */
const LOG_PER_ARENA = 4
/** For each byte of memtable so many bytes of flush and merge, where those have no thread of their own. */
const HELP_PER_BYTE = 4

/** No memtable has room for all operations of a call: they have to go to tables (`commit.ts`). */
export class BatchTooLarge extends SpillwayError {
  constructor(operations: number, capacityBytes: number) {
    super(
      'SPILLWAY_INVALID_ARGUMENT', `a batch of ${operations} operations does not fit a memtable of ${capacityBytes} bytes. Split it, or open the store with a larger budget`,
      { details: { operations, capacityBytes } },
    )
  }
}

/** The group of writes that is in the log buffer and not yet in the memtable. */
export interface PendingGroup extends LogBufferOwner {
  readonly hasPending: boolean
  /** Throws what kept it from being written. */
  commitPending(): void
}

/** The log as far as memtables are concerned: `log-segments.ts`. */
export interface Segments {
  readonly current: { readonly writtenBytes: number }
  /** Begin a new one; returns its number. */
  begin(): number
}

export class MemtableRotation {
  readonly #core: StoreState
  readonly #background: Background
  readonly #logs: Segments
  readonly #stalls: WriteStalls
  readonly #group: PendingGroup
  /** Why it could not be sealed for others, the last time. */
  #yieldError: Error | undefined
  /** An arena that the operations which wait fit into, as far as is known: smaller ones are of no use to them. */
  #neededBytes = SMALLEST_ARENA_BYTES
  /** Steps of jobs that a writer owes for the memtable it filled. */
  owedSteps = 0

  constructor(core: StoreState, background: Background, logs: Segments, stalls: WriteStalls, group: PendingGroup) {
    this.#core = core
    this.#background = background
    this.#logs = logs
    this.#stalls = stalls
    this.#group = group
  }

  /** True when the active memtable holds something and can be handed to a flush now: not in the middle of a call, whose codec may write to other stores. */
  get canSeal(): boolean {
    const core = this.#core
    if (core.health.closing || this.#group.isAppending || core.view.active.isEmpty || core.view.sealed.length > 0 || core.health.readOnlyReason !== undefined) return false
    return !(this.#background.merger.running > 0 && this.#stalls.stop)
  }

  /** Bytes of arena that `yield` would bring back, now or after a flush. */
  get reclaimableBytes(): number {
    return this.canSeal || this.#holdsEmptyArena ? this.#core.view.active.buffer.byteLength : 0
  }

  /** Why what this store holds in memory cannot be flushed now: for others who wait for it. */
  get heldBy(): SpillwayError | undefined {
    const { view: { active, sealed }, health: { readOnlyReason }, files: { directory } } = this.#core
    const cause = readOnlyReason ?? this.#background.flusher.error ?? this.#yieldError
    if (cause === undefined || (sealed.length === 0 && active.isPlaceholder)) return undefined
    const { code } = cause as Partial<SpillwayError>
    return new SpillwayError(
      code ?? 'SPILLWAY_UNAVAILABLE',
      `memory is needed that the store in ${directory} cannot give back: ${cause.message}. Mend that or close it, or raise the budget`,
      { cause, details: { directory } },
    )
  }

  /** What a write that finds no room waits for. */
  get stallCause(): StallCause {
    if (this.#core.view.sealed.length > 0) return 'flush'
    return this.#background.merger.running > 0 && this.#stalls.stop ? 'merge' : 'memory'
  }

  /**
   * The sizer may want a memtable sealed before its arena is full. And overwrites fill the log without filling the memtable: then
   * the log decides.
   */
  get isTimeToSeal(): boolean {
    const { view: { active }, engine } = this.#core
    if (this.#group.hasPending) return false
    const isLarge = engine.governor.sizer.shouldSeal(active.memtable.usedBytes) || this.#logs.current.writtenBytes > LOG_PER_ARENA * active.buffer.byteLength
    return isLarge && this.canSeal
  }

  /** A memtable with more room than the active one has for `count` operations, if it can be had now. Throws when they fit none. */
  makeRoom(count: number): boolean {
    const { view: { active }, engine, engine: { plan } } = this.#core
    if (!active.isPlaceholder && active.isEmpty) {
      // Not even an empty one has room: only a larger arena helps.
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

  /** What waited for room has it, or waits no longer. */
  settle(): void {
    this.#neededBytes = SMALLEST_ARENA_BYTES
  }

  /** Hand the active memtable to a flush, its log segment with it. */
  seal(): void {
    const core = this.#core
    core.ownership.check()
    // What was appended in this turn belongs to the segment and the memtable that end here.
    this.#group.commitPending()
    core.engine.logBuffer.claim(this.#group)
    const logNumber = this.#logs.begin()
    const slot = core.view.active
    core.setMemtables(new MemtableSlot(undefined, logNumber, core.engine.metadata), [...core.view.sealed, slot])
    this.#stalls.pace.begin(slot.buffer.byteLength, core.host.clock.nowMs())
    this.#background.flusher.flush(slot)
    this.owedSteps = HELP_PER_BYTE * slot.buffer.byteLength / STEP_BYTES
  }

  /** Flush the active memtable because somebody else needs its arena. False: it cannot now. Never throws. */
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
      // This store's trouble, not that of the one that needs the room.
      this.#yieldError = error as Error
      core.health.lastBackgroundError = error as Error
      core.counters.backgroundErrors++
      emitError({ directory: core.files.directory, error: error as Error, readOnly: core.health.readOnlyReason !== undefined })
      return false
    }
  }

  /** Nobody waits for an arena any more. */
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

  /** An empty memtable takes the place of an empty one; the log goes on. */
  #replaceActive(buffer: SharedArrayBuffer | undefined): void {
    const core = this.#core
    core.setMemtables(new MemtableSlot(buffer, core.view.active.logNumber, core.engine.metadata))
  }
}
