/**
 * Writes of a transaction and its reads for update: applied at once if there is memory, else waiting.
 *
 * Invariants
 * 1. Writes are applied in call order. One may wait, as a copy; the next call waits inside itself for it.
 * 2. A write that failed for memory or disk fails the transaction.
 * 3. A large value whose reference finds no memory is dropped with the transaction.
 *
 * Accounts: those of `staged-tables.ts` and `read-set.ts`.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Lease } from '../../memory/budget.ts'
import { copyOf } from '../../encoding/encoding.ts'
import { ReadSet } from './read-set.ts'
import { PointReader } from '../read/point-reader.ts'
import type { EncodedCall } from './encode-calls.ts'
import { checkSignal } from './transaction-settings.ts'
import type { TransactionParts } from './transaction-settings.ts'
import { StagedTables } from '../staged/staged-tables.ts'
import type { StoredValue } from '../staged/staged-values.ts'

/** Time without a turn of the event loop after which a write yields. */
const TURN_MS = 5
const LOOK_EVERY = 32
const DONE = Promise.resolve()

interface WaitingWrite extends EncodedCall {
  /** Why it will not be written. */
  error: Error | undefined
}

export class TransactionWrites {
  readonly reads: ReadSet
  readonly #parts: TransactionParts
  readonly #signal: AbortSignal | undefined
  #own: StagedTables | undefined
  #ownReader: PointReader | undefined
  #waiting: WaitingWrite | undefined
  #failure: Error | undefined
  /** A large value in its file, whose reference waits for memory. */
  #unplaced: StoredValue | undefined
  #isOver = false
  #turnMs: number
  #writes = 0

  /** `readLease` is for the keys read for update; its owner releases it. */
  constructor(parts: TransactionParts, signal: AbortSignal | undefined, readLease: Lease) {
    this.#parts = parts
    this.#signal = signal
    this.reads = new ReadSet(readLease, () => this.#makeTables())
    this.#turnMs = parts.core.host.clock.nowMs()
  }

  /** Its writes; undefined: none yet. */
  get own(): StagedTables | undefined { return this.#own }
  get ownReader(): PointReader | undefined { return this.#ownReader }
  /** A job of it runs. */
  get isBusy(): boolean { return this.#own?.isBusy === true || this.reads.tables?.isBusy === true }
  get bytes(): number { return (this.#own?.bytes ?? 0) + (this.reads.tables?.bytes ?? 0) }
  get tableBytes(): number { return (this.#own?.tableBytes() ?? 0) + (this.reads.tables?.tableBytes() ?? 0) }

  /** Throws the error that failed it. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  /** `load` encodes the operation into the store's scratch; after a wait it must run again. */
  write(load: () => EncodedCall): Promise<void> {
    this.settle()
    const write = load()
    if (this.#try(write)) {
      if (++this.#writes % LOOK_EVERY !== 0) return DONE
      const { clock, scheduler } = this.#parts.core.host
      if (clock.nowMs() - this.#turnMs < TURN_MS) return DONE
      return new Promise(resolve => scheduler.soon(() => {
        this.#turnMs = clock.nowMs()
        resolve()
      }))
    }
    const key = copyOf(write.key, write.keyStart, write.keyEnd)
    const value = copyOf(write.value, write.valueStart, write.valueEnd)
    this.#waiting = {
      kind: write.kind, key, keyStart: 0, keyEnd: key.length, value, valueStart: 0, valueEnd: value.length,
      isRead: write.isRead, stored: write.stored, error: undefined,
    }
    return this.#finish(this.#waiting)
  }

  writeSync(load: () => EncodedCall): void {
    this.settle()
    const write = load()
    try {
      while (!this.#try(write)) this.#waitInside(write)
    } catch (error) {
      throw this.#fail(error as Error)
    }
  }

  /** Wait here for the previous write. */
  settle(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    try {
      while (!this.#try(waiting)) this.#waitInside(waiting)
    } catch (error) {
      throw waiting.error = this.#fail(error as Error)
    } finally {
      this.#waiting = undefined
    }
  }

  /** Resolves when no write waits; undefined: none does. Throws the error that failed it. */
  finish(): Promise<void> | undefined {
    return this.#waiting === undefined ? undefined : this.#finishAll()
  }

  /** Release everything: it was committed or dropped. */
  end(): void {
    this.#isOver = true
    this.#unplaced?.forget(this.#parts.core)
    this.#own?.discard()
    this.reads.tables?.discard()
  }

  async #finishAll(): Promise<void> {
    while (this.#waiting !== undefined) await this.#finish(this.#waiting)
  }

  #makeTables(): StagedTables {
    const tables = new StagedTables(this.#parts.core, this.#parts.background)
    tables.onRoom = this.#onRoom
    return tables
  }

  #tables(): StagedTables {
    if (this.#own !== undefined) return this.#own
    this.#own = this.#makeTables()
    this.#ownReader = new PointReader(this.#own, this.#own.engine.reading.blocks)
    return this.#own
  }

  /** Inside the end of a job, so that freed memory is taken at once: other waiting calls may give the event loop no turn. */
  readonly #onRoom = (): void => {
    const waiting = this.#waiting
    if (waiting === undefined || this.#isOver || this.#parts.core.health.closing) return
    try {
      if (this.#try(waiting)) this.#waiting = undefined
    } catch (error) {
      waiting.error = error as Error
      this.#waiting = undefined
    }
  }

  /** False: no memory now. A large value is in its file already. */
  #try(write: EncodedCall): boolean {
    try {
      if (write.isRead) return this.reads.tryAdd(write.key, write.keyStart, write.keyEnd)
      if (write.stored !== undefined) this.#unplaced = write.stored
      if (!this.#tables().tryWrite(write.kind, write.key, write.keyStart, write.keyEnd, write.value, write.valueStart, write.valueEnd)) return false
      this.#unplaced = undefined
      return true
    } catch (error) {
      throw this.#fail(error as Error)
    }
  }

  /** Wait in the event loop until the write is applied. Another call may have applied it meanwhile, or seen it fail. */
  async #finish(waiting: WaitingWrite): Promise<void> {
    const { core, background } = this.#parts
    while (this.#waiting === waiting) {
      try {
        if (!core.engine.jobs.isBusy) this.#checkStuck(waiting)
        await background.changed()
        if (this.#waiting !== waiting) break
        if (this.#isOver) throw new SpillwayError('SPILLWAY_CLOSED', 'the transaction was aborted while this write waited')
        core.health.checkOpen()
        checkSignal(this.#signal)
        if (this.#try(waiting)) this.#waiting = undefined
      } catch (error) {
        this.#waiting = undefined
        waiting.error = this.#fail(error as Error)
      }
    }
    if (waiting.error !== undefined) throw waiting.error
  }

  #waitInside(write: EncodedCall): void {
    const { core, background } = this.#parts
    if (!background.waitInside()) this.#checkStuck(write)
    core.health.checkOpen()
  }

  /** Call when no job runs that could end the wait. Throws when no progress is possible. */
  #checkStuck(write: EncodedCall): void {
    const tables = write.isRead ? this.reads.tables : this.#own
    tables?.checkStuck()
  }

  #fail(error: Error): Error {
    return this.#failure ??= error
  }
}
