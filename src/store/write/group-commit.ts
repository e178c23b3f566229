/**
 * Group commit: the operations of one turn go to the log as one group, then to the memtable, then they are acknowledged.
 *
 * Invariants
 * 1. The log is written before the memtable; a group whose log write fails leaves no trace.
 * 2. Groups and their operations are applied in append order.
 * 3. A call is in one group as a whole: while it is being appended nothing else is appended, committed or sealed, even by user
 *    code.
 *
 * Account: `log`. Cost: one file write and one promise per group, no allocation per operation.
 */
import { SpillwayError } from '../../base/errors.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import { applyEdit } from '../../manifest/version.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { applyOperation, recordBytesOf } from '../state/apply-to-memtable.ts'
import type { Background } from '../background/background.ts'
import { reentryError } from '../api/encode-buffers.ts'
import type { StoreState } from '../state/store-state.ts'
import { deferred } from '../api/deferred.ts'
import type { Deferred } from '../api/deferred.ts'
import { ioError } from '../api/io-errors.ts'
import { LargeValues } from './large-values.ts'
import { LogSegments } from './log-segments.ts'
import { LogSync } from './log-sync.ts'
import { MAX_RANGES } from '../state/memtable-tombstones.ts'
import { MemtableRotation } from './memtable-rotation.ts'
import type { PendingGroup } from './memtable-rotation.ts'
import type { Operations } from '../api/operation.ts'
import { WriteStalls } from './write-stalls.ts'
import type { Durability } from '../api/options.ts'

interface Group {
  /** The group is written to the file when committed; not if all its writes are 'none'. */
  writes: boolean
  written: Deferred | undefined
  synced: Deferred | undefined
}

/** What is missing: space in the memtable or the log buffer, or memory for large values. */
type Problem = 'none' | 'memtable' | 'log' | 'memory'

const DONE = Promise.resolve()
const MAX_REPLAYED_LOGS = 8
export class GroupCommit implements PendingGroup {
  readonly stalls: WriteStalls
  readonly exchange: MemtableRotation
  /** While draining the wait queue: those writes were counted as demand when they were queued. */
  isDraining = false
  /** A write is being framed, and its codecs run. */
  isAppending = false
  readonly #core: StoreState
  readonly #logs: LogSegments
  readonly #sync: LogSync
  readonly #values: LargeValues
  readonly #acknowledgements: Acknowledgements
  #group: Group | undefined
  #groupEntries = 0
  #groupRecordBytes = 0
  #groupRanges = 0
  #isFlushPrepared = false
  constructor(core: StoreState, background: Background) {
    this.#core = core
    this.stalls = new WriteStalls(core)
    this.#logs = new LogSegments(core)
    this.#sync = new LogSync(core, this.#logs)
    this.#values = new LargeValues(core)
    this.#acknowledgements = new Acknowledgements(core.host.clock, core.host.scheduler)
    this.exchange = new MemtableRotation(core, background, this.#logs, this.stalls, this)
    background.flusher.onFlushed = floor => {
      this.stalls.pace.end(core.host.clock.nowMs())
      this.#logs.drop(floor)
    }
  }

  get hasPending(): boolean { return this.#group !== undefined }

  /** Start the first log segment. Many short lives leave many small segments; then a flush is started. */
  start(): void {
    this.#core.engine.logBuffer.claim(this)
    this.#logs.begin()
    if (this.#core.files.logs.length > MAX_REPLAYED_LOGS && this.exchange.canSeal) this.exchange.seal()
  }

  /** Commit the pending group. Reads call it first, so that they see every earlier write. Returns the error of a failed log write. */
  commitGroup(): Error | undefined {
    this.#checkReentry()
    const group = this.#group
    if (group === undefined) return undefined
    const core = this.#core
    this.#group = undefined
    this.#groupEntries = 0
    this.#groupRecordBytes = 0
    this.#groupRanges = 0
    const log = this.#logs.current
    const before = log.writtenBytes
    const lastSeq = core.lastSeq
    const userBytes = core.counters.userBytes
    try {
      log.commit(group.writes, this.#apply)
    } catch (cause) {
      const error = ioError(cause, 'writing the log')
      group.written?.reject(error)
      group.synced?.reject(error)
      this.#values.lost()
      return error
    }
    this.#values.settled()
    core.counters.operations += core.lastSeq - lastSeq
    core.counters.logBytes += log.writtenBytes - before
    core.engine.governor.traffic.writtenBytes += core.counters.userBytes - userBytes
    this.stalls.owe(core.counters.userBytes - userBytes)
    if (!core.ownership.isWatched) core.ownership.watch()
    if (!this.#isFlushPrepared) this.#prepareFlush()
    const { written, synced } = group
    if (written === undefined && synced === undefined) return undefined
    const delayMs = this.stalls.takeDelay()
    if (synced !== undefined) this.#sync.add({ resolve: () => this.#acknowledgements.add(synced.resolve, delayMs), reject: synced.reject })
    if (written !== undefined) this.#acknowledgements.add(written.resolve, delayMs)
    return undefined
  }

  /** Starting the flush thread takes as long as filling a memtable, so it starts while the first one fills. */
  #prepareFlush(): void {
    const { view: { active: { memtable, isPlaceholder } }, engine } = this.#core
    if (isPlaceholder || memtable.usedBytes < memtable.capacityBytes / 4) return
    this.#isFlushPrepared = true
    engine.jobs.runner.prepare?.()
  }

  /** Commit the pending group; throws when the log write fails. */
  commitPending(): void {
    const error = this.commitGroup()
    if (error !== undefined) throw error
  }

  /** Make everything acknowledged durable and close the log. Throws when something acknowledged may not be durable. */
  async close(): Promise<void> {
    this.commitGroup()
    try {
      this.#core.engine.logBuffer.claim(this)
      this.#logs.writeOut()
      await this.#sync.close()
      this.#core.ownership.check()
    } finally {
      this.#logs.close()
      this.#core.engine.logBuffer.leave(this)
    }
    this.#recordClose()
  }

  /** Opening failed before anything was written: release the log and its buffer. */
  abandon(): void {
    this.#core.engine.logBuffer.leave(this)
    this.#logs.close()
  }

  /** Recorded in the manifest, a lost or truncated log is detected at the next open. */
  #recordClose(): void {
    const core = this.#core
    if (core.lastSeq <= core.view.version.lastSeq || core.health.readOnlyReason !== undefined || this.#logs.hasTail) return
    const closed = { lastSeq: core.lastSeq, logs: this.#logs.written() }
    const version = applyEdit(core.view.version, { nextFile: Atomics.load(core.files.nextNumber, 0), closed }, tables => tables)
    try {
      core.files.manifests.commit(version)
      core.setVersion(version)
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SPILLWAY_FENCED') throw error
      // Acknowledged writes are durable without it: the next open treats the store as crashed.
    }
  }

  /** Number and bytes of every log segment still needed. */
  writtenLogs(): [number, number][] { return this.#logs.written() }

  /** Another store needs the log buffer. */
  vacate(): void {
    const { current } = this.#logs
    // If that fails, its callers are told and no trace remains.
    this.commitGroup()
    try {
      this.#logs.writeOut()
    } catch (error) {
      // Frames cannot stay in the buffer. They were acknowledged as 'none', but nothing may follow a gap in the log.
      this.#core.health.loseWrites(lostFrames(error as Error))
      current.abandon(current.writtenBytes, this.#core.lastSeq + 1)
    }
  }

  readonly #apply = (
    seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
  ): void => {
    const core = this.#core
    applyOperation(core, seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
    core.counters.userBytes += keyEnd - keyStart + valueEnd - valueStart
  }

  /** Append the operations to the pending group. False: they must wait for a flush. Throws for operations that can never be written. */
  tryAppend(operations: Operations, durability: Durability): boolean {
    this.#checkReentry()
    try {
      if (operations.prepare !== undefined) {
        this.commitPending()
        operations.prepare()
      }
      for (;;) {
        const problem = this.#append(operations, durability)
        if (problem === 'none') {
          this.#values.keep()
          this.exchange.settle()
          return true
        }
        if (this.#group !== undefined) {
          this.commitPending()
        } else if (problem === 'log' && this.#logs.current.hasUnwritten) {
          this.#logs.writeOut()
        } else {
          const left = problem === 'log' ? this.#appendLarge(operations, durability) : problem
          if (left === 'none') {
            this.exchange.settle()
            return true
          }
          if (left === 'memory' || !this.exchange.makeRoom(operations.count)) break
        }
      }
    } catch (error) {
      this.#values.forget(operations)
      throw error
    }
    this.#values.forget(operations)
    return false
  }

  #checkReentry(): void {
    if (this.isAppending) throw reentryError()
  }

  /** Try to append; unless 'none' is returned, nothing has changed. */
  #append(operations: Operations, durability: Durability): Problem {
    const writes = durability !== 'none'
    if (this.#core.view.active.isPlaceholder || this.exchange.isTimeToSeal) return 'memtable'
    this.#core.engine.logBuffer.claim(this)
    if (this.#group !== undefined && this.#group.writes !== writes) this.commitPending()
    const log = this.#logs.current
    const memtable = this.#core.view.active.memtable
    const mark = operations.count > 1 ? log.mark() : undefined
    let entries = this.#groupEntries
    let recordBytes = this.#groupRecordBytes
    let ranges = this.#groupRanges
    let problem: Problem = 'none'
    this.isAppending = true
    try {
      for (let i = 0; i < operations.count && problem === 'none'; i++) {
        operations.load(i)
        entries++
        recordBytes += recordBytesOf(operations.kind, operations.keyEnd - operations.keyStart, this.#values.storedBytes(operations))
        if (operations.kind === KIND_DELETE_RANGE) ranges++
        if (!memtable.fitsBatch(entries, recordBytes) || memtable.rangeCount + ranges > MAX_RANGES) {
          problem = 'memtable'
          break
        }
        if (!this.#values.replace(operations, i, durability === 'disk')) {
          problem = 'memory'
          break
        }
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        if (!log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) problem = 'log'
      }
    } catch (error) {
      if (mark !== undefined) log.rewind(mark)
      throw error
    } finally {
      this.isAppending = false
    }
    if (problem !== 'none') {
      if (mark !== undefined) log.rewind(mark)
      return problem
    }
    if (operations.count === 0) return 'none'
    if (!this.isDraining) this.#core.engine.governor.recordDemand(recordBytes - this.#groupRecordBytes)
    this.#groupEntries = entries
    this.#groupRecordBytes = recordBytes
    this.#groupRanges = ranges
    this.#group ??= { writes, written: undefined, synced: undefined }
    return 'none'
  }

  /** A batch larger than the log buffer is written in several frames and applied after the last one. */
  #appendLarge(operations: Operations, durability: Durability): Problem {
    const core = this.#core
    const log = this.#logs.current
    const startBytes = log.writtenBytes
    const firstSeq = core.lastSeq + 1
    let recordBytes = 0
    this.isAppending = true
    try {
      for (let i = 0; i < operations.count; i++) {
        operations.load(i)
        recordBytes += recordBytesOf(operations.kind, operations.keyEnd - operations.keyStart, this.#values.storedBytes(operations))
        if (!core.view.active.memtable.fitsBatch(i + 1, recordBytes)) {
          log.abandon(startBytes, firstSeq)
          return 'memtable'
        }
        if (!this.#values.replace(operations, i, durability === 'disk')) {
          log.abandon(startBytes, firstSeq)
          return 'memory'
        }
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        if (log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) continue
        log.spill()
        if (!log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) throw new Error('one operation does not fit the log buffer')
      }
      log.commit(true, () => {})
    } catch (error) {
      log.abandon(startBytes, firstSeq)
      throw ioError(error, 'writing the log')
    } finally {
      this.isAppending = false
    }
    this.isAppending = true
    try {
      this.#applyLarge(operations, durability, firstSeq)
    } catch (error) {
      // It is in the log and would reappear at the next open: nothing may follow it.
      core.health.failStop(error as Error)
      throw error
    } finally {
      this.isAppending = false
    }
    core.counters.operations += operations.count
    core.counters.logBytes += log.writtenBytes - startBytes
    this.#values.keep()
    this.#group = { writes: true, written: undefined, synced: undefined }
    return 'none'
  }

  /** Apply the operations `#appendLarge` has logged, encoding them again. */
  #applyLarge(operations: Operations, durability: Durability, firstSeq: number): void {
    const core = this.#core
    for (let i = 0; i < operations.count; i++) {
      operations.load(i)
      this.#values.replace(operations, i, durability === 'disk')
      const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
      applyOperation(core, firstSeq + i, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
      core.counters.userBytes += keyEnd - keyStart + valueEnd - valueStart
    }
  }

  /** Acknowledgement of the last append. Writes to memory only are acknowledged at once, unless writers are being slowed. */
  acknowledgement(durability: Durability): Promise<void> {
    const group = this.#group
    if (group === undefined || (durability === 'none' && !this.stalls.owes)) return DONE
    if (durability === 'disk') return (group.synced ??= deferred()).promise
    return (group.written ??= deferred()).promise
  }

  /** Resolves when everything written before is durable. */
  syncLog(): Promise<void> {
    const { promise, resolve, reject } = deferred()
    this.commitGroup()
    this.#sync.add({ resolve, reject })
    return promise
  }

  /** Before a manifest with sequence numbers beyond the log's: make the log durable and begin a new segment. */
  endSegment(): void {
    this.commitPending()
    this.#core.engine.logBuffer.claim(this)
    const { current } = this.#logs
    if (this.exchange.canSeal) this.exchange.seal()
    else if (!current.isEmpty || current.hasUnwritten) this.#logs.begin()
    this.#sync.now()
  }

  /** The next log record has this sequence number. The segment must be empty. */
  skipTo(seq: number): void {
    const { current } = this.#logs
    current.abandon(current.writtenBytes, seq)
  }

  /** Make everything written durable, synchronously. */
  syncNow(): void {
    this.#sync.now()
  }
}

function lostFrames(error: Error): SpillwayError {
  const { message } = (error.cause ?? error) as Error
  return new SpillwayError(
    'SPILLWAY_UNAVAILABLE',
    `writes at durability 'none' are lost: another store of the budget needed the log buffer, and they could not be written (${message}). Fix that, close the store and open it again`,
    { cause: error },
  )
}
