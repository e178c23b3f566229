/**
 * Write calls: appended at once if there is space, else queued, in the event loop or inside the call.
 *
 * Invariants
 * 1. Writes are appended in call order.
 * 2. A write waits only while a job runs that will end its wait; if that fails, the write fails with its error.
 * 3. A call that must not return (a synchronous one, or one too many in a loop without await) waits inside itself.
 * 4. A write that is aborted, closed or failed while waiting leaves no trace.
 *
 * Account: `write queue`. Cost: none for a write that finds space.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Background } from '../background/background.ts'
import type { GroupCommit } from './group-commit.ts'
import type { StoreState } from '../state/store-state.ts'
import { ioError } from '../api/io-errors.ts'
import { BatchTooLarge } from './memtable-rotation.ts'
import type { MemtableRotation } from './memtable-rotation.ts'
import type { Operations } from '../api/operation.ts'
import type { WriteStalls } from './write-stalls.ts'
import { extendEmptyRange } from '../scan/empty-range-walk.ts'
import { writeLargeBatch } from '../staged/commit-staged.ts'
import { StagedTables } from '../staged/staged-tables.ts'
import type { Durability } from '../api/options.ts'
import { WriteQueue, abortedError } from './write-queue.ts'
import type { QueuedWrite } from './write-queue.ts'

/** Waits in a row without progress before a write fails. */
const MAX_FRUITLESS = 24

/** What it uses of `group-commit.ts`, or of its twin without a log. */
export type Appender = Pick<GroupCommit,
  'stalls' | 'exchange' | 'isAppending' | 'isDraining' | 'tryAppend' | 'acknowledgement' | 'commitGroup' | 'commitPending' | 'endSegment' | 'skipTo' | 'syncNow'>

export class Writer {
  readonly #core: StoreState
  readonly #background: Background
  readonly #committer: Appender
  readonly #exchange: MemtableRotation
  readonly #stalls: WriteStalls
  readonly #queue: WriteQueue
  #commitScheduled = false
  #checkScheduled = false
  #fruitless = 0
  /** The last idle wait made other stores retry their flushes: their end alone is no progress. */
  #retried = false

  /** The first queued call fits no memtable. */
  #largeHead: QueuedWrite | undefined
  #isSpilling = false

  constructor(core: StoreState, background: Background, committer: Appender) {
    this.#core = core
    this.#background = background
    this.#committer = committer
    this.#exchange = committer.exchange
    this.#stalls = committer.stalls
    this.#queue = new WriteQueue(() => this.#waiterLeft(), bytes => { core.engine.tenants.queuedBytes += bytes })
  }

  /** Queued writes. */
  get waiting(): number { return this.#queue.length }
  get waitingBytes(): number { return this.#queue.bytes }

  write(operations: Operations, durability: Durability, signal: AbortSignal | undefined): Promise<void> {
    this.#core.health.checkWritable()
    if (signal?.aborted === true) throw abortedError(signal)
    let appended: boolean
    try {
      appended = this.#queue.length === 0 && this.#committer.tryAppend(operations, durability)
    } catch (error) {
      if (!(error instanceof BatchTooLarge)) throw error
      this.#spill(operations)
      return Promise.resolve()
    }
    if (appended) {
      if (!this.#commitScheduled) {
        this.#commitScheduled = true
        this.#core.host.scheduler.microtask(this.#commitSoon)
      }
      // Before helping: a job that ends may commit the group.
      const acknowledgement = this.#committer.acknowledgement(durability)
      if (this.#exchange.owedSteps > 0) this.#helpJobs()
      return acknowledgement
    }
    return this.#enqueue(operations, durability, signal)
  }

  /** Write if there is space now; undefined: nothing was written or queued. */
  tryNow(operations: Operations, durability: Durability): Promise<void> | undefined {
    this.#core.health.checkWritable()
    if (this.#queue.length > 0) return undefined
    if (!this.#committer.tryAppend(operations, durability)) {
      this.#endIfNobodyWaits()
      return undefined
    }
    if (!this.#commitScheduled) {
      this.#commitScheduled = true
      this.#core.host.scheduler.microtask(this.#commitSoon)
    }
    return this.#committer.acknowledgement(durability)
  }

  writeSync(operations: Operations, durability: Durability, signal: AbortSignal | undefined): void {
    const core = this.#core
    const committer = this.#committer
    core.health.checkWritable()
    if (signal?.aborted === true) throw abortedError(signal)
    try {
      while (this.#queue.length > 0) {
        this.#waitOrSpill()
        this.#drain()
      }
      while (!committer.tryAppend(operations, durability)) this.#waitInside()
    } catch (error) {
      if (!(error instanceof BatchTooLarge)) throw error
      this.#spill(operations)
      return
    } finally {
      this.#endIfNobodyWaits()
    }
    committer.commitPending()
    if (core.emptyRange.isDue) extendEmptyRange(core)
    if (this.#exchange.owedSteps > 0) this.#helpJobs()
    if (durability === 'disk') committer.syncNow()
    if (this.#stalls.owes) core.host.scheduler.sleepSync(this.#stalls.takeOwed())
  }

  /** Flush everything written so far; resolves when it is in tables. */
  async flush(): Promise<void> {
    const core = this.#core
    this.#committer.commitPending()
    const target = core.lastSeq
    // Earlier failures do not count: only an attempt from now on.
    this.#background.flusher.retry(true)
    while (core.view.version.lastSeq < target) {
      if (this.#queue.length === 0 && this.#exchange.canSeal) this.#exchange.seal()
      const error = this.#flushError
      if (error !== undefined) throw error
      if (core.view.sealed.length === 0 && core.view.active.isEmpty) break
      await this.#background.changed()
      core.health.checkWritable()
    }
  }

  /** A job has ended: queued writes go on, in order. */
  onProgress(): void {
    if (this.#queue.length > 0) this.#drain()
  }

  /** Queued writes fail. */
  close(): void {
    this.#queue.fail(new SpillwayError('SPILLWAY_CLOSED', 'the store was closed while this write waited; it was not written'))
    this.#endIfNobodyWaits()
  }

  readonly #commitSoon = (): void => {
    this.#commitScheduled = false
    this.#committer.commitGroup()
    if (this.#core.emptyRange.isDue) extendEmptyRange(this.#core)
  }

  #enqueue(operations: Operations, durability: Durability, signal: AbortSignal | undefined): Promise<void> {
    const core = this.#core
    const queue = this.#queue
    // Larger than the queue: wait inside this call, without a copy, while the caller cannot change it.
    const { bytes } = operations
    const kept = bytes > core.engine.plan.queueBytes ? operations : operations.keep()
    const { promise } = queue.push(kept, durability, bytes, signal).deferred
    const { engine } = core
    core.engine.governor.recordDemand(bytes)
    this.#stalls.begin(this.#exchange.stallCause)
    this.#background.flusher.retry()
    // A loop without await gives the event loop no turn: the call that overfills the queue waits for all of them.
    while (engine.tenants.queuedBytes > core.engine.plan.queueBytes && queue.length > 0) {
      try {
        this.#waitOrSpill()
      } catch (error) {
        this.#fail(error as Error)
      }
      this.#drain()
    }
    this.#checkSoon()
    return promise
  }

  #drain(): void {
    if (this.#core.health.closed || this.#isSpilling || this.#committer.isAppending || (this.#largeHead !== undefined && this.#largeHead === this.#queue.first)) return
    const queue = this.#queue
    const committer = this.#committer
    const failed = this.#flushError
    for (let write = queue.first; write !== undefined; write = queue.first) {
      let appended: boolean
      committer.isDraining = true
      try {
        appended = committer.tryAppend(write.operations, write.durability)
      } catch (error) {
        if (error instanceof BatchTooLarge) {
          // Not inside the end of a job.
          this.#largeHead = write
          this.#core.host.scheduler.soon(this.#spillHead)
          break
        }
        queue.shift().deferred.reject(error as Error)
        continue
      } finally {
        committer.isDraining = false
      }
      if (!appended) {
        if (failed !== undefined) this.#fail(failed)
        break
      }
      queue.shift()
      committer.acknowledgement(write.durability).then(write.deferred.resolve, write.deferred.reject)
    }
    committer.commitGroup()
    this.#endIfNobodyWaits()
    this.#checkSoon()
  }

  /** Write operations that fit no memtable to tables, within this call. */
  #spill(operations: Operations): void {
    const core = this.#core
    const tables = new StagedTables(core, this.#background)
    this.#isSpilling = true
    try {
      writeLargeBatch({ core, background: this.#background, committer: this.#committer }, tables, operations)
    } catch (error) {
      throw ioError(error, 'writing a large batch')
    } finally {
      this.#isSpilling = false
      tables.discard()
    }
  }

  readonly #spillHead = (): void => {
    const write = this.#largeHead
    if (write === undefined || this.#core.health.closing || this.#isSpilling) return
    this.#largeHead = undefined
    // It may have been aborted.
    if (write === this.#queue.first) {
      let failure: Error | undefined
      try {
        this.#spill(write.operations)
      } catch (error) {
        failure = error as Error
      }
      // No listener can run in between.
      const { deferred } = this.#queue.shift()
      if (failure === undefined) deferred.resolve()
      else deferred.reject(failure)
    }
    this.#drain()
  }

  #waitOrSpill(): void {
    if (this.#largeHead !== undefined && this.#largeHead === this.#queue.first) this.#spillHead()
    else this.#waitInside()
  }

  #fail(error: Error): void {
    this.#queue.fail(error)
    this.#endIfNobodyWaits()
  }

  #endIfNobodyWaits(): void {
    if (this.#queue.length > 0) return
    this.#fruitless = 0
    this.#retried = false
    this.#exchange.leave()
    this.#stalls.end()
  }

  /** A queued write was aborted. */
  #waiterLeft(): void {
    this.#endIfNobodyWaits()
    // It may have blocked smaller ones.
    this.#checkSoon()
  }

  /** Wait inside this call until a job has ended. Throws when none runs that could free memory. */
  #waitInside(): void {
    const core = this.#core
    const background = this.#background
    this.#stalls.begin(this.#exchange.stallCause)
    background.flusher.retry()
    const waited = background.waitInside()
    const error = this.#flushError
    if (error !== undefined && core.view.sealed.length > 0) throw error
    if (waited) this.#fruitless = this.#retried ? this.#fruitless : 0
    else if (!core.engine.jobs.isBusy && this.#isStuck()) {
      // Other stores may be unable to give back their memory: that is the reason then.
      throw core.health.readOnlyReason ?? core.engine.memory.heldBy() ?? new SpillwayError(
        'SPILLWAY_BUDGET_TOO_SMALL', `no memory for this write: every arena is in use and no flush is running. Split it if it is a batch. ${core.engine.budget.advice()}`)
    }
    core.health.checkWritable()
  }

  /** No job runs and no memory is available: waiting would never end. */
  #isStuck(): boolean {
    const { engine } = this.#core
    engine.memory.makeRoom()
    if (engine.jobs.isBusy) return false
    // Memory freed at once is found by the next attempt, or by the store whose turn it is.
    engine.jobs.progress()
    if (engine.jobs.isBusy) return false
    // Stores with failed flushes hold the memory: retry them now.
    this.#retried = engine.memory.retryFlushes()
    return ++this.#fruitless > MAX_FRUITLESS
  }

  /** Error of the last failed flush; undefined while another one runs. */
  get #flushError(): Error | undefined {
    return this.#background.flusher.isRunning ? undefined : this.#background.flusher.error
  }

  /** Without a running job that would wake the queue: try again soon, or fail the writes. */
  #checkSoon(): void {
    const { engine, host } = this.#core
    if (this.#checkScheduled || this.#queue.length === 0 || engine.jobs.isBusy) return
    this.#checkScheduled = true
    host.scheduler.soon(this.#checkQueue)
  }

  readonly #checkQueue = (): void => {
    this.#checkScheduled = false
    if (this.#core.health.closing || this.#queue.length === 0 || this.#core.engine.jobs.isBusy) return
    try {
      this.#drain()
      if (this.#queue.length > 0 && !this.#core.engine.jobs.isBusy) {
        this.#waitInside()
        this.#drain()
      }
    } catch (error) {
      this.#fail(error as Error)
    }
    this.#checkSoon()
  }

  /** Run jobs on this thread at the pace of the writer; not inside an append, since ending jobs resumes other writes. */
  #helpJobs(): void {
    const steps = this.#exchange.owedSteps
    this.#exchange.owedSteps = 0
    const { engine, host } = this.#core
    const sinceMs = host.clock.nowMs()
    engine.jobs.runner.help(steps)
    if (engine.jobs.runner.mode === 'inline') this.#stalls.helped(sinceMs)
  }
}
