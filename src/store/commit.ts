/**
 * The write path: operations go to the log as one group per turn, then to the memtable, then they are acknowledged.
 *
 * Invariants
 * 1. Nothing is in the memtable that is not in the log before it; a group whose write fails leaves no trace.
 * 2. Groups, and the operations in them, are applied in the order of the calls: nobody passes a waiter.
 * 3. A write waits only while a flush or merge runs that will end its wait; if that fails, the write fails with its error.
 * 4. A call that may not wait (a sync one, or one too many in a loop without await) runs the wait inside itself.
 *
 * Accounts: `log`, `write queue`. Cost: one write to the file and one promise per group, nothing allocated per operation.
 */
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { STEP_BYTES } from '../compaction/jobs.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import { applyEdit } from '../manifest/version.ts'
import { applyOperation, recordBytesOf } from './apply.ts'
import type { Background } from './background.ts'
import type { Core } from './core.ts'
import { deferred } from './deferred.ts'
import type { Deferred } from './deferred.ts'
import { ioError } from './io-error.ts'
import { LargeValues } from './large-values.ts'
import type { LogBufferOwner } from './log-buffer.ts'
import { LogSegments } from './log-segments.ts'
import { MAX_RANGES } from './memtable-ranges.ts'
import { MemtableSlot } from './memtables.ts'
import type { Operations } from './operations.ts'
import { Stalls } from './stalls.ts'
import type { Durability } from './types.ts'

interface Group {
  /** Written when committed; a group of 'none' writes is not. */
  writes: boolean
  written: Deferred | undefined
  synced: Deferred | undefined
}

interface Waiter {
  operations: Operations
  durability: Durability
  bytes: number
  deferred: Deferred
}

const DONE = Promise.resolve()
const MOST_REPLAYED_LOGS = 8
/** A log segment grows to so many times its memtable's arena at most. */
const LOG_PER_ARENA = 4
/** For each byte of memtable so many bytes of flush and merge, where those have no thread of their own. */
const HELP_PER_BYTE = 4
const MOST_FRUITLESS = 4

export class Committer implements LogBufferOwner {
  readonly #core: Core
  readonly #background: Background
  readonly #logs: LogSegments
  readonly #values: LargeValues
  readonly #stalls: Stalls
  #group: Group | undefined
  #groupEntries = 0
  #groupRecordBytes = 0
  #groupRanges = 0
  #commitScheduled = false
  #queue: Waiter[] = []
  #queuedBytes = 0
  #syncing: Deferred[] = []
  #syncRunning = false
  /** What is appended was counted as demand when it began to wait. */
  #isDraining = false
  /** Waits in a row that nobody could end. */
  #fruitless = 0
  /** Steps of jobs that a writer owes for the memtable it filled. */
  #owedSteps = 0

  constructor(core: Core, background: Background) {
    this.#core = core
    this.#background = background
    this.#logs = new LogSegments(core)
    this.#values = new LargeValues(core)
    this.#stalls = new Stalls(core)
    background.onFlushed = floor => this.#logs.drop(floor)
  }

  get hasPending(): boolean { return this.#group !== undefined }
  get currentStall(): { cause: string, ageMs: number } | undefined { return this.#stalls.current }

  /** Start the first log segment. Many short lives leave many small segments behind: then what they held is flushed. */
  start(): void {
    this.#core.engine.logBuffer.claim(this)
    this.#logs.begin()
    if (this.#core.logs.length > MOST_REPLAYED_LOGS && this.canSeal) this.#seal()
  }

  write(operations: Operations, durability: Durability): Promise<void> {
    this.#core.checkWritable()
    if (this.#queue.length === 0 && this.#tryAppend(operations, durability)) {
      if (!this.#commitScheduled) {
        this.#commitScheduled = true
        this.#core.host.scheduler.microtask(this.#commitSoon)
      }
      // Before helping: a job that ends may have the group committed.
      const acknowledgement = this.#acknowledgement(durability)
      if (this.#owedSteps > 0) this.#helpJobs()
      return acknowledgement
    }
    return this.#enqueue(operations, durability)
  }

  writeSync(operations: Operations, durability: Durability): void {
    const core = this.#core
    core.checkWritable()
    while (this.#queue.length > 0) {
      this.#waitInside()
      this.#drainQueue()
    }
    while (!this.#tryAppend(operations, durability)) this.#waitInside()
    const error = this.commitGroup()
    if (error !== undefined) throw error
    if (this.#owedSteps > 0) this.#helpJobs()
    if (durability === 'disk') this.#syncNow()
    if (this.#stalls.owes) core.host.scheduler.sleepSync(this.#stalls.takeOwed())
  }

  /** Commit what was appended in this turn. Reads call it first, so that they see every write before them. */
  commitGroup(): Error | undefined {
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
    this.#stalls.owe(core.counters.userBytes - userBytes)
    if (group.synced !== undefined) {
      this.#syncing.push(group.synced)
      void this.#syncLoop()
    }
    if (group.written !== undefined) {
      const { resolve } = group.written
      if (this.#stalls.owes) core.host.scheduler.later(this.#stalls.takeOwed(), resolve)
      else resolve()
    }
    return undefined
  }

  /** Seal the active memtable, if it holds anything, as soon as that can be; resolves when all it held is in tables. */
  async flush(): Promise<void> {
    const core = this.#core
    this.#throwIfFailed(this.commitGroup())
    const target = core.lastSeq
    while (core.version.lastSeq < target) {
      if (this.#queue.length === 0 && this.canSeal) this.#seal()
      const error = this.#background.flushError
      if (error !== undefined) throw error
      if (core.sealed.length === 0 && core.active.isEmpty) break
      await this.#background.changed()
      core.checkWritable()
    }
  }

  /** Everything acknowledged is durable; waiting calls fail with CLOSED. */
  async close(): Promise<void> {
    this.commitGroup()
    for (const waiter of this.#queue.splice(0)) {
      waiter.deferred.reject(new SpillwayError('SPILLWAY_CLOSED', 'the store was closed while this write waited; it was not written'))
    }
    try {
      this.#core.engine.logBuffer.claim(this)
      this.#logs.writeOut()
      await this.#logs.sync()
    } finally {
      this.#logs.close()
      this.#core.engine.logBuffer.leave(this)
    }
    this.#recordClose()
  }

  /** Written down in the manifest, a log that is lost or cut short from now on shows at the next open. */
  #recordClose(): void {
    const core = this.#core
    if (core.lastSeq <= core.version.lastSeq || core.readOnlyReason !== undefined || this.#logs.hasTail) return
    const closed = { lastSeq: core.lastSeq, logs: this.#logs.written() }
    const version = applyEdit(core.version, { nextFile: Atomics.load(core.nextFile, 0), closed }, tables => tables)
    try {
      core.manifests.commit(version)
      core.version = version
    } catch {
      // What was acknowledged is durable without it: the store is closed as one that died is.
    }
  }

  /** Number and bytes of every log segment that is still needed. */
  writtenLogs(): [number, number][] { return this.#logs.written() }

  /** True when the active memtable holds something and can be handed to a flush now. */
  get canSeal(): boolean {
    const core = this.#core
    if (core.closing || core.active.isEmpty || core.sealed.length > 0 || core.readOnlyReason !== undefined) return false
    return !(this.#background.mergesRunning > 0 && this.#stalls.stop)
  }

  /** Flush the active memtable because somebody else needs its arena. */
  yieldMemtable(): boolean {
    const core = this.#core
    try {
      this.#throwIfFailed(this.commitGroup())
      if (this.#holdsEmptyArena()) {
        const { buffer } = core.active
        this.#replaceActive(undefined)
        core.engine.arenas.give(buffer)
        return true
      }
      if (!this.canSeal) return false
      this.#seal()
      return true
    } catch (error) {
      // This store's trouble, not that of the one that needs the room.
      core.lastBackgroundError = error as Error
      core.counters.backgroundErrors++
      return false
    }
  }

  /** Bytes of arena that `yieldMemtable` would bring back, now or after a flush. */
  get reclaimableBytes(): number {
    return this.canSeal || this.#holdsEmptyArena() ? this.#core.active.buffer.byteLength : 0
  }

  #holdsEmptyArena(): boolean {
    const { active, closing } = this.#core
    return !closing && this.#group === undefined && !active.isPlaceholder && active.isEmpty
  }

  /** Another store needs the log buffer. */
  vacate(): void {
    const { current } = this.#logs
    // If it fails its callers are told, and it leaves nothing here.
    this.commitGroup()
    try {
      this.#logs.writeOut()
    } catch (error) {
      // Its frames cannot wait here. They were acknowledged as 'none'; after a gap in the log nothing may follow.
      this.#core.readOnlyReason ??= error as Error
      current.abandon(current.writtenBytes, this.#core.lastSeq + 1)
    }
  }

  /** Some job has ended: those that wait go on, in their order. */
  onProgress(): void {
    this.#drainQueue()
  }

  readonly #commitSoon = (): void => {
    this.#commitScheduled = false
    this.commitGroup()
  }

  readonly #apply = (
    seq: number, kind: number, bytes: Uint8Array, keyStart: number, keyEnd: number, valueStart: number, valueEnd: number,
  ): void => {
    const core = this.#core
    applyOperation(core, seq, kind, bytes, keyStart, keyEnd, bytes, valueStart, valueEnd)
    core.counters.userBytes += keyEnd - keyStart + valueEnd - valueStart
  }

  /**
   * Put the operations into the pending group; false when they must wait for a flush. Throws for what can never be written.
   */
  #tryAppend(operations: Operations, durability: Durability): boolean {
    try {
      if (operations.prepare !== undefined) {
        this.#throwIfFailed(this.commitGroup())
        operations.prepare()
      }
      for (;;) {
        const problem = this.#append(operations, durability)
        if (problem === 'none') {
          this.#values.keep()
          return true
        }
        if (this.#group !== undefined) {
          this.#throwIfFailed(this.commitGroup())
        } else if (problem === 'log' && this.#logs.current.hasUnwritten) {
          this.#logs.writeOut()
        } else if (problem === 'log') {
          if (this.#appendLarge(operations, durability)) return true
          if (!this.#makeRoom(operations)) break
        } else if (!this.#makeRoom(operations)) {
          break
        }
      }
    } catch (error) {
      this.#values.forget(operations)
      throw error
    }
    this.#values.forget(operations)
    return false
  }

  /** What keeps the operations out of the group: nothing, the memtable's room or the log buffer's. Then nothing has changed. */
  #append(operations: Operations, durability: Durability): 'none' | 'memtable' | 'log' {
    const writes = durability !== 'none'
    if (this.#core.active.isPlaceholder || this.#isTimeToSeal()) return 'memtable'
    this.#core.engine.logBuffer.claim(this)
    if (this.#group !== undefined && this.#group.writes !== writes) this.#throwIfFailed(this.commitGroup())
    const log = this.#logs.current
    const memtable = this.#core.active.memtable
    const mark = operations.count > 1 ? log.mark() : undefined
    let entries = this.#groupEntries
    let recordBytes = this.#groupRecordBytes
    let ranges = this.#groupRanges
    let problem: 'none' | 'memtable' | 'log' = 'none'
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
        this.#values.replace(operations, i, durability === 'disk')
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        if (!log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) problem = 'log'
      }
    } catch (error) {
      if (mark !== undefined) log.rewind(mark)
      throw error
    }
    if (problem !== 'none') {
      if (mark !== undefined) log.rewind(mark)
      return problem
    }
    if (operations.count === 0) return 'none'
    if (!this.#isDraining) this.#core.engine.sizer.recordWrite(recordBytes - this.#groupRecordBytes)
    this.#groupEntries = entries
    this.#groupRecordBytes = recordBytes
    this.#groupRanges = ranges
    this.#group ??= { writes, written: undefined, synced: undefined }
    return 'none'
  }

  /** A batch larger than the log buffer: written in several frames, applied when the last one is out. False: no room in the memtable. */
  #appendLarge(operations: Operations, durability: Durability): boolean {
    const core = this.#core
    const log = this.#logs.current
    const startBytes = log.writtenBytes
    const firstSeq = core.lastSeq + 1
    let recordBytes = 0
    try {
      for (let i = 0; i < operations.count; i++) {
        operations.load(i)
        recordBytes += recordBytesOf(operations.kind, operations.keyEnd - operations.keyStart, this.#values.storedBytes(operations))
        if (!core.active.memtable.fitsBatch(i + 1, recordBytes)) {
          log.abandon(startBytes, firstSeq)
          return false
        }
        this.#values.replace(operations, i, durability === 'disk')
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        if (log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) continue
        log.spill()
        if (!log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) throw new Error('one operation does not fit the log buffer')
      }
      log.commit(true, () => {})
    } catch (error) {
      log.abandon(startBytes, firstSeq)
      throw ioError(error, 'writing the log')
    }
    for (let i = 0; i < operations.count; i++) {
      operations.load(i)
      this.#values.replace(operations, i, durability === 'disk')
      const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
      applyOperation(core, firstSeq + i, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
      core.counters.userBytes += keyEnd - keyStart + valueEnd - valueStart
    }
    core.counters.operations += operations.count
    core.counters.logBytes += log.writtenBytes - startBytes
    this.#values.keep()
    this.#group = { writes: true, written: undefined, synced: undefined }
    return true
  }

  /** A memtable with more room, if one can be had now. Throws when the operations fit none. */
  #makeRoom(operations: Operations): boolean {
    const core = this.#core
    const { active, engine } = core
    if (!active.isPlaceholder && active.isEmpty) {
      // Not even an empty one has room: only a larger arena helps.
      const capacityBytes = active.buffer.byteLength
      if (capacityBytes < core.plan.largestArenaBytes) {
        this.#replaceActive(undefined)
        engine.arenas.give(active.buffer)
        if (this.#takeArena(2 * capacityBytes)) return true
        // Others may give back what is missing; if nobody is about to, it is not to be had.
        if (engine.runner.pending > 0) return false
      }
      throw invalidArgument(
        `a batch of ${operations.count} operations does not fit a memtable of ${capacityBytes} bytes. Split it, or open the store with a larger budget (a memtable is at most an eighth of it)`,
        { operations: operations.count, capacityBytes },
      )
    }
    if (!active.isPlaceholder) {
      if (!this.canSeal) return false
      this.#seal()
    }
    return this.#takeArena(engine.plan.smallestArenaBytes)
  }

  /**
   * The sizer may want a memtable sealed before its arena is full. And overwrites fill the log without filling the memtable: then
   * the log decides.
   */
  #isTimeToSeal(): boolean {
    const { active, engine } = this.#core
    if (this.#group !== undefined) return false
    const isLarge = engine.sizer.shouldSeal(active.memtable.usedBytes) || this.#logs.current.writtenBytes > LOG_PER_ARENA * active.buffer.byteLength
    return isLarge && this.canSeal
  }

  #takeArena(leastBytes: number): boolean {
    const buffer = this.#core.engine.takeArena(leastBytes)
    if (buffer === undefined) return false
    this.#replaceActive(buffer)
    return buffer.byteLength >= leastBytes
  }

  /** An empty memtable takes the place of an empty one; the log goes on. */
  #replaceActive(buffer: SharedArrayBuffer | undefined): void {
    const core = this.#core
    core.active = new MemtableSlot(buffer, core.active.logNumber)
    core.shape++
  }

  /** Hand the active memtable to a flush, its log segment with it. */
  #seal(): void {
    const core = this.#core
    // What was appended in this turn belongs to the segment and the memtable that end here.
    this.#throwIfFailed(this.commitGroup())
    core.engine.logBuffer.claim(this)
    const logNumber = this.#logs.begin()
    const slot = core.active
    core.sealed.push(slot)
    core.active = new MemtableSlot(undefined, logNumber)
    core.shape++
    this.#background.flush(slot)
    this.#owedSteps = HELP_PER_BYTE * slot.buffer.byteLength / STEP_BYTES
  }

  /** Jobs on this thread keep pace with the writer; not from inside an append, since what they end goes on with other writes. */
  #helpJobs(): void {
    const steps = this.#owedSteps
    this.#owedSteps = 0
    this.#core.engine.runner.help(steps)
  }

  #acknowledgement(durability: Durability): Promise<void> {
    const group = this.#group
    if (durability === 'none' || group === undefined) return DONE
    if (durability === 'disk') return (group.synced ??= deferred()).promise
    return (group.written ??= deferred()).promise
  }

  #enqueue(operations: Operations, durability: Durability): Promise<void> {
    const core = this.#core
    // What is larger than the queue waits inside this call, where nobody can change it: it is not copied.
    const { bytes } = operations
    const kept = bytes > core.plan.queueBytes ? operations : operations.keep()
    const waiter: Waiter = { operations: kept, durability, bytes, deferred: deferred() }
    this.#queue.push(waiter)
    this.#queuedBytes += bytes
    core.engine.sizer.recordWrite(bytes)
    this.#stalls.begin(this.#stallCause())
    this.#background.retryNow()
    // A loop without await gives the event loop no turn: the call that is one too many waits here for all of them.
    while (this.#queuedBytes > core.plan.queueBytes && this.#queue.length > 0) {
      try {
        this.#waitInside()
      } catch (error) {
        this.#failQueue(error as Error)
      }
      this.#drainQueue()
    }
    if (this.#queue.length > 0 && !core.engine.isBusy) core.host.scheduler.soon(this.#checkQueue)
    return waiter.deferred.promise
  }

  #drainQueue(): void {
    if (this.#core.closed) return
    const failed = this.#background.flushError
    while (this.#queue.length > 0) {
      const waiter = this.#queue[0]!
      let appended: boolean
      this.#isDraining = true
      try {
        appended = this.#tryAppend(waiter.operations, waiter.durability)
      } catch (error) {
        this.#shiftQueue().deferred.reject(error as Error)
        continue
      } finally {
        this.#isDraining = false
      }
      if (!appended) {
        if (failed !== undefined) this.#failQueue(failed)
        break
      }
      this.#shiftQueue()
      this.#acknowledgement(waiter.durability).then(waiter.deferred.resolve, waiter.deferred.reject)
    }
    this.commitGroup()
    if (this.#queue.length === 0) this.#stalls.end()
  }

  #shiftQueue(): Waiter {
    const waiter = this.#queue.shift()!
    this.#queuedBytes -= waiter.bytes
    return waiter
  }

  #failQueue(error: Error): void {
    while (this.#queue.length > 0) this.#shiftQueue().deferred.reject(error)
    this.#stalls.end()
  }

  /** Wait in this call until some background job has ended. Throws when none runs that could make room. */
  #waitInside(): void {
    const background = this.#background
    this.#stalls.begin(this.#stallCause())
    background.retryNow()
    const waited = background.waitInside()
    if (this.#queue.length === 0) this.#stalls.end()
    const error = background.flushError
    if (error !== undefined && this.#core.sealed.length > 0) throw error
    if (waited) this.#fruitless = 0
    else if (!this.#core.engine.isBusy && this.#isStuck()) {
      throw this.#core.readOnlyReason ?? new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL', 'a write waits for memory that nobody is about to give back. Close iterators, or raise the budget')
    }
    this.#core.checkWritable()
  }

  /** No job runs and no memory can be had: waiting would never end. */
  #isStuck(): boolean {
    const { engine } = this.#core
    engine.makeRoom()
    if (engine.isBusy) return false
    // What was given back at once is found by the next attempt.
    return ++this.#fruitless > MOST_FRUITLESS
  }

  /** Nobody runs whose end would wake those that wait: try again, or tell them. */
  readonly #checkQueue = (): void => {
    if (this.#core.closing || this.#queue.length === 0 || this.#core.engine.isBusy) return
    try {
      this.#waitInside()
      this.#drainQueue()
    } catch (error) {
      this.#failQueue(error as Error)
    }
    if (this.#queue.length > 0 && !this.#core.engine.isBusy) this.#core.host.scheduler.soon(this.#checkQueue)
  }

  #stallCause(): string { return this.#core.sealed.length > 0 ? 'flush' : this.#stalls.stop ? 'compaction' : 'memory' }

  async #syncLoop(): Promise<void> {
    if (this.#syncRunning) return
    this.#syncRunning = true
    try {
      while (this.#syncing.length > 0) {
        const waiting = this.#syncing.splice(0)
        try {
          await this.#logs.sync()
          for (const { resolve } of waiting) resolve()
        } catch (cause) {
          this.#syncFailed(cause, waiting)
        }
      }
    } finally {
      this.#syncRunning = false
    }
  }

  #syncNow(): void {
    try {
      this.#logs.syncNow()
    } catch (cause) {
      throw this.#syncFailed(cause, [])
    }
  }

  /** After a failed sync nobody knows what is on the disk: a later one that succeeds proves nothing. */
  #syncFailed(cause: unknown, waiting: Deferred[]): Error {
    const error = ioError(cause, 'making the log durable')
    this.#core.readOnlyReason ??= error
    for (const { reject } of [...waiting, ...this.#syncing.splice(0)]) reject(error)
    return error
  }

  #throwIfFailed(error: Error | undefined): void {
    if (error !== undefined) throw error
  }
}
