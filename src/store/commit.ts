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
import { KIND_PUT, KIND_VALUE_FILE } from '../base/cursor.ts'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import { stallVerdict } from '../compaction/stall.ts'
import { Memtable } from '../memtable/memtable.ts'
import { VALUE_REFERENCE_BYTES, decodeValueReference, encodeValueReference, writeValueFile } from '../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import { LogWriter } from '../wal/log-writer.ts'
import type { Background } from './background.ts'
import type { Core } from './core.ts'
import { ioError } from './io-error.ts'
import { MemtableSlot } from './memtables.ts'
import type { Operations } from './operations.ts'
import type { Durability } from './types.ts'

interface Deferred {
  promise: Promise<void>
  resolve: () => void
  reject: (error: Error) => void
}

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

/** The delay of a stall verdict is for so many bytes; smaller writes owe their share. */
const STALL_QUANTUM_BYTES = 64 * 1024
const DONE = Promise.resolve()

export class Committer {
  readonly #core: Core
  readonly #background: Background
  #log!: LogWriter
  /** Segments before the current one that the memtable being flushed still needs. */
  #olderLogs: LogWriter[] = []
  #directorySynced = false
  #group: Group | undefined
  #groupEntries = 0
  #groupRecordBytes = 0
  #commitScheduled = false
  #queue: Waiter[] = []
  #queuedBytes = 0
  #stalledSinceMs: number | undefined
  #stallCause = ''
  #owedMs = 0
  #syncing: Deferred[] = []
  #syncRunning = false
  /** Value files of the call being appended, by operation. */
  readonly #references = new Map<number, Uint8Array>()

  constructor(core: Core, background: Background) {
    this.#core = core
    this.#background = background
    background.onProgress = () => this.#drainQueue()
    background.onFlushed = floor => this.#dropLogs(floor)
  }

  get hasPending(): boolean { return this.#group !== undefined }
  get currentStall(): { cause: string, ageMs: number } | undefined {
    return this.#stalledSinceMs === undefined ? undefined : { cause: this.#stallCause, ageMs: this.#core.host.clock.nowMs() - this.#stalledSinceMs }
  }

  /** Start the first log segment. Its number is the memtable's unless recovery replayed older ones into it. */
  start(): void {
    this.#log = this.#createLog()
  }

  write(operations: Operations, durability: Durability): Promise<void> {
    this.#core.checkWritable()
    if (this.#queue.length === 0 && this.#tryAppend(operations, durability)) {
      if (!this.#commitScheduled) {
        this.#commitScheduled = true
        this.#core.host.scheduler.microtask(this.#commitSoon)
      }
      return this.#acknowledgement(durability)
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
    if (durability === 'disk') this.#syncNow()
    if (this.#owedMs >= 1) {
      const delayMs = this.#takeOwed()
      core.host.scheduler.sleepSync(delayMs)
    }
  }

  /** Commit what was appended in this turn. Reads call it first, so that they see every write before them. */
  commitGroup(): Error | undefined {
    const group = this.#group
    if (group === undefined) return undefined
    const core = this.#core
    this.#group = undefined
    this.#groupEntries = 0
    this.#groupRecordBytes = 0
    const before = this.#log.writtenBytes
    const lastSeq = core.lastSeq
    const userBytes = core.counters.userBytes
    try {
      this.#log.commit(group.writes, this.#apply)
    } catch (cause) {
      const error = ioError(cause, 'writing the log')
      group.written?.reject(error)
      group.synced?.reject(error)
      return error
    }
    core.counters.operations += core.lastSeq - lastSeq
    core.counters.logBytes += this.#log.writtenBytes - before
    this.#oweFor(core.counters.userBytes - userBytes)
    if (group.synced !== undefined) {
      this.#syncing.push(group.synced)
      void this.#syncLoop()
    }
    if (group.written !== undefined) {
      const { resolve } = group.written
      if (this.#owedMs < 1) resolve()
      else core.host.scheduler.later(this.#takeOwed(), resolve)
    }
    return undefined
  }

  /** Seal the active memtable, if it holds anything, as soon as that can be; resolves when all it held is in tables. */
  async flush(): Promise<void> {
    const core = this.#core
    this.#throwIfFailed(this.commitGroup())
    const target = core.lastSeq
    while (core.version.lastSeq < target) {
      if (this.#queue.length === 0 && !core.active.isEmpty && this.#canRotate()) this.#rotate()
      const error = this.#background.flushError
      if (error !== undefined) throw error
      if (core.sealed.length === 0 && core.active.isEmpty) break
      await this.#background.changed()
      core.checkOpen()
    }
  }

  /** Everything acknowledged is durable; waiting calls fail with CLOSED. */
  async close(): Promise<void> {
    this.commitGroup()
    for (const waiter of this.#queue.splice(0)) {
      waiter.deferred.reject(new SpillwayError('SPILLWAY_CLOSED', 'the store was closed while this write waited; it was not written'))
    }
    try {
      this.#log.writeOut()
      await this.#syncAll()
    } finally {
      this.#log.close()
      for (const log of this.#olderLogs) log.close()
    }
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
      for (;;) {
        const problem = this.#append(operations, durability)
        if (problem === 'none') {
          this.#references.clear()
          return true
        }
        if (this.#group !== undefined) {
          this.#throwIfFailed(this.commitGroup())
        } else if (problem === 'log' && this.#log.hasUnwritten) {
          this.#writeOut()
        } else if (problem === 'log') {
          if (this.#appendLarge(operations)) return true
          if (!this.#rotateIfPossible(operations)) return false
        } else if (!this.#rotateIfPossible(operations)) {
          return false
        }
      }
    } catch (error) {
      this.#forgetReferences()
      throw error
    }
  }

  /** What keeps the operations out of the group: nothing, the memtable's room or the log buffer's. Then nothing has changed. */
  #append(operations: Operations, durability: Durability): 'none' | 'memtable' | 'log' {
    const writes = durability !== 'none'
    if (this.#group !== undefined && this.#group.writes !== writes) this.#throwIfFailed(this.commitGroup())
    const log = this.#log
    const memtable = this.#core.active.memtable
    const mark = operations.count > 1 ? log.mark() : undefined
    let entries = this.#groupEntries
    let recordBytes = this.#groupRecordBytes
    let problem: 'none' | 'memtable' | 'log' = 'none'
    try {
      for (let i = 0; i < operations.count && problem === 'none'; i++) {
        this.#load(operations, i)
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        entries++
        recordBytes += recordBytesOf(kind, keyEnd - keyStart, valueEnd - valueStart)
        if (!memtable.fitsBatch(entries, recordBytes)) problem = 'memtable'
        else if (!log.append(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) problem = 'log'
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
    this.#groupEntries = entries
    this.#groupRecordBytes = recordBytes
    this.#group ??= { writes, written: undefined, synced: undefined }
    return 'none'
  }

  /** A batch larger than the log buffer: written in several frames, applied when the last one is out. False: no room in the memtable. */
  #appendLarge(operations: Operations): boolean {
    const core = this.#core
    const log = this.#log
    const startBytes = log.writtenBytes
    const firstSeq = core.lastSeq + 1
    let recordBytes = 0
    try {
      for (let i = 0; i < operations.count; i++) {
        this.#load(operations, i)
        const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
        recordBytes += recordBytesOf(kind, keyEnd - keyStart, valueEnd - valueStart)
        if (!core.active.memtable.fitsBatch(i + 1, recordBytes)) {
          log.abandon(startBytes, firstSeq)
          return false
        }
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
      this.#load(operations, i)
      const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd } = operations
      applyOperation(core, firstSeq + i, kind, key, keyStart, keyEnd, value, valueStart, valueEnd)
      core.counters.userBytes += keyEnd - keyStart + valueEnd - valueStart
    }
    core.counters.operations += operations.count
    core.counters.logBytes += log.writtenBytes - startBytes
    this.#references.clear()
    this.#group = { writes: true, written: undefined, synced: undefined }
    return true
  }

  /** Make operation i the current one; a large value goes to its file and is replaced by a reference. */
  #load(operations: Operations, i: number): void {
    operations.load(i)
    if (operations.kind !== KIND_PUT || operations.valueEnd - operations.valueStart <= this.#core.plan.inlineValueBytes) return
    let reference = this.#references.get(i)
    if (reference === undefined) {
      reference = this.#writeValue(operations.value.subarray(operations.valueStart, operations.valueEnd))
      this.#references.set(i, reference)
    }
    operations.kind = KIND_VALUE_FILE
    operations.value = reference
    operations.valueStart = 0
    operations.valueEnd = reference.length
  }

  #writeValue(value: Uint8Array): Uint8Array {
    const core = this.#core
    const number = core.takeFileNumber()
    try {
      writeValueFile(core.host.files, core.valuePath(number), number, value, core.kernels, core.settings.durability === 'disk')
    } catch (error) {
      throw ioError(error, 'writing a large value')
    }
    core.counters.valueFileBytes += value.length
    core.counters.userBytes += value.length
    const reference = new Uint8Array(VALUE_REFERENCE_BYTES)
    encodeValueReference(reference, 0, number, value.length)
    return reference
  }

  #forgetReferences(): void {
    for (const reference of this.#references.values()) {
      this.#core.host.files.remove(this.#core.valuePath(decodeValueReference(reference, 0, reference.length).fileNumber))
    }
    this.#references.clear()
  }

  #rotateIfPossible(operations: Operations): boolean {
    if (this.#core.active.isEmpty) {
      const capacityBytes = this.#core.plan.memtableBytes
      throw invalidArgument(
        `a batch of ${operations.count} operations does not fit a memtable of ${capacityBytes} bytes. Split it, or open the store with a larger budget (a memtable is an eighth of it)`,
        { operations: operations.count, capacityBytes },
      )
    }
    if (!this.#canRotate()) return false
    this.#rotate()
    return true
  }

  #canRotate(): boolean {
    const core = this.#core
    if (!core.arenas.available) return false
    const { runCount: runs, debtBytes } = core.tree
    return !(this.#background.mergesRunning > 0 && stallVerdict({ runs, debtBytes }, core.plan.stall).stop)
  }

  /** Seal the active memtable and its log segment and begin new ones. */
  #rotate(): void {
    const core = this.#core
    this.#writeOut()
    const older = this.#log
    this.#log = this.#createLog()
    this.#olderLogs.push(older)
    const slot = core.active
    core.sealed.push(slot)
    core.active = new MemtableSlot(core.arenas.take(), this.#log.fileNumber)
    core.shape++
    this.#background.flush(slot)
  }

  #createLog(): LogWriter {
    const core = this.#core
    const number = core.takeFileNumber()
    const path = core.logPath(number)
    try {
      const file = core.host.files.create(path)
      try {
        const log = new LogWriter(file, number, core.logBuffer, core.kernels, core.host.bootId(), core.lastSeq + 1)
        core.logs.push(number)
        this.#directorySynced = false
        return log
      } catch (error) {
        file.close()
        core.host.files.remove(path)
        throw error
      }
    } catch (error) {
      throw ioError(error, 'creating a log segment')
    }
  }

  #writeOut(): void {
    const before = this.#log.writtenBytes
    try {
      this.#log.writeOut()
    } catch (error) {
      throw ioError(error, 'writing the log')
    }
    this.#core.counters.logBytes += this.#log.writtenBytes - before
  }

  /** The segments below `floor` are no longer needed. */
  #dropLogs(floor: number): void {
    const core = this.#core
    this.#olderLogs = this.#olderLogs.filter(log => {
      if (log.fileNumber >= floor) return true
      log.close()
      return false
    })
    for (const number of core.logs) if (number < floor) core.host.files.remove(core.logPath(number))
    core.logs = core.logs.filter(number => number >= floor)
  }

  #acknowledgement(durability: Durability): Promise<void> {
    const group = this.#group
    if (durability === 'none' || group === undefined) return DONE
    if (durability === 'disk') return (group.synced ??= deferred()).promise
    return (group.written ??= deferred()).promise
  }

  #enqueue(operations: Operations, durability: Durability): Promise<void> {
    const core = this.#core
    const kept = operations.keep()
    const bytes = kept.count === 1 ? kept.keyEnd - kept.keyStart + kept.valueEnd - kept.valueStart + 128 : 1024
    const waiter: Waiter = { operations: kept, durability, bytes, deferred: deferred() }
    this.#queue.push(waiter)
    this.#queuedBytes += bytes
    this.#beginStall()
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
    return waiter.deferred.promise
  }

  #drainQueue(): void {
    if (this.#core.closed) return
    const failed = this.#background.flushError
    while (this.#queue.length > 0) {
      const waiter = this.#queue[0]!
      let appended: boolean
      try {
        appended = this.#tryAppend(waiter.operations, waiter.durability)
      } catch (error) {
        this.#shiftQueue().deferred.reject(error as Error)
        continue
      }
      if (!appended) {
        if (failed !== undefined) this.#failQueue(failed)
        break
      }
      this.#shiftQueue()
      this.#acknowledgement(waiter.durability).then(waiter.deferred.resolve, waiter.deferred.reject)
    }
    this.commitGroup()
    if (this.#queue.length === 0) this.#endStall()
  }

  #shiftQueue(): Waiter {
    const waiter = this.#queue.shift()!
    this.#queuedBytes -= waiter.bytes
    return waiter
  }

  #failQueue(error: Error): void {
    while (this.#queue.length > 0) this.#shiftQueue().deferred.reject(error)
    this.#endStall()
  }

  /** Wait in this call until some background job has ended. Throws when none runs that could make room. */
  #waitInside(): void {
    const background = this.#background
    this.#beginStall()
    background.retryNow()
    const waited = background.waitInside()
    if (this.#queue.length === 0) this.#endStall()
    const error = background.flushError
    if (error !== undefined && !this.#core.arenas.available) throw error
    if (!waited && !this.#canRotate()) {
      throw this.#core.readOnlyReason ?? new Error('a write waits, but nothing runs that could make room for it')
    }
    this.#core.checkWritable()
  }

  #beginStall(): void {
    if (this.#stalledSinceMs !== undefined) return
    this.#stalledSinceMs = this.#core.host.clock.nowMs()
    this.#stallCause = this.#core.arenas.available ? 'compaction' : 'flush'
    this.#core.counters.stallCount++
  }

  #endStall(): void {
    if (this.#stalledSinceMs === undefined) return
    this.#core.counters.stallMs += this.#core.host.clock.nowMs() - this.#stalledSinceMs
    this.#stalledSinceMs = undefined
  }

  /** What the tree's present state makes a write of so many bytes owe. */
  #oweFor(bytes: number): void {
    const { tree: { runCount: runs, debtBytes }, plan } = this.#core
    const { delayMs } = stallVerdict({ runs, debtBytes }, plan.stall)
    if (delayMs > 0) this.#owedMs += delayMs * bytes / STALL_QUANTUM_BYTES
    else this.#owedMs = 0
  }

  #takeOwed(): number {
    const { counters, plan } = this.#core
    const delayMs = Math.min(this.#owedMs, 10 * plan.stall.maxDelayMs)
    this.#owedMs = 0
    counters.stallCount++
    counters.stallMs += delayMs
    return delayMs
  }

  async #syncLoop(): Promise<void> {
    if (this.#syncRunning) return
    this.#syncRunning = true
    try {
      while (this.#syncing.length > 0) {
        const waiting = this.#syncing.splice(0)
        try {
          await this.#syncAll()
          for (const { resolve } of waiting) resolve()
        } catch (cause) {
          this.#syncFailed(cause, waiting)
        }
      }
    } finally {
      this.#syncRunning = false
    }
  }

  /** Older segments first: what is durable must be a prefix. */
  async #syncAll(): Promise<void> {
    for (const log of this.#olderLogs) if (!log.isSynced) await log.sync()
    this.#syncDirectory()
    if (!this.#log.isSynced) await this.#log.sync()
  }

  #syncNow(): void {
    try {
      for (const log of this.#olderLogs) if (!log.isSynced) log.syncSync()
      this.#syncDirectory()
      if (!this.#log.isSynced) this.#log.syncSync()
    } catch (cause) {
      throw this.#syncFailed(cause, [])
    }
  }

  #syncDirectory(): void {
    if (this.#directorySynced) return
    this.#core.host.files.syncDirectory(this.#core.directory)
    this.#directorySynced = true
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

function recordBytesOf(kind: number, keyBytes: number, valueBytes: number): number {
  return kind === KIND_DELETE_RANGE ? Memtable.rangeBytes(keyBytes, valueBytes) : Memtable.recordBytes(keyBytes, valueBytes)
}

/** One logged operation into the active memtable: by a commit, and by recovery. */
export function applyOperation(
  core: Core, seq: number, kind: number, key: Uint8Array, keyStart: number, keyEnd: number,
  value: Uint8Array, valueStart: number, valueEnd: number,
): void {
  const slot = core.active
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
}

function deferred(): Deferred {
  let resolve!: () => void
  let reject!: (error: Error) => void
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
