/**
 * A transaction as its users see it: reads at the snapshot of its start with its own writes on top, and a commit that makes all of
 * them visible at once, or none.
 *
 * Invariants
 * 1. Until it is committed nobody else sees anything of it; after an abort, a failed commit or a crash nothing of it is left.
 * 2. Writes are applied in the order of their calls. One waits for room as a copy of its own; the next call waits inside itself
 *    for that one.
 * 3. A write that failed for want of room or disk fails the transaction: it cannot be committed without it.
 *
 * Accounts: those of `transaction-tables.ts`, and 4 KiB of `transactions` while it is open.
 */
import { EMPTY, KIND_DELETE, KIND_PUT } from '../base/cursor.ts'
import { SpillwayError, invalidArgument } from '../base/errors.ts'
import type { Lease } from '../memory/budget.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import type { OpenTransaction } from './core.ts'
import { copyOf, describe, transcoder } from './encoding.ts'
import type { Scratch, Transcoder } from './encoding.ts'
import { ioError, readError } from './io-error.ts'
import { SpillwayIterator } from './iterator.ts'
import type { ScanOverlay } from './iterator-plan.ts'
import { MAX_KEY_BYTES, checkLengths, encodeKey, encodeValue } from './operations.ts'
import { checkOptions, checkedDurability } from './options.ts'
import { RANGE_OPTIONS, byteRange, isEmptyRange } from './range.ts'
import { ReadSet } from './read-set.ts'
import { Reader, decodeValue } from './reader.ts'
import { Scan } from './scan.ts'
import type { EntryScan } from './scan.ts'
import type { Snapshot } from './snapshots.ts'
import { commitSmall, commitTables } from './transaction-commit.ts'
import type { StoreParts } from './transaction-commit.ts'
import { TransactionScan } from './transaction-scan.ts'
import { TransactionTables } from './transaction-tables.ts'
import { storedValue } from './transaction-values.ts'
import type { StoredValue } from './transaction-values.ts'
import type { Durability, IteratorOptions, RangeOptions, TransactionReadOptions, TransactionWriteOptions } from './types.ts'

const WRITE_OPTIONS = ['keyEncoding', 'valueEncoding']
const ITERATOR_OPTIONS = [...RANGE_OPTIONS, ...WRITE_OPTIONS, 'reverse', 'limit']
/** Objects of an open transaction and its memtable's placeholder. */
const OBJECT_BYTES = 4096
/** After so long without giving it a turn, a write lets the event loop run. */
const TURN_MS = 5
const LOOK_EVERY = 32
const DONE = Promise.resolve()

/** @internal What all transactions of a store share. */
export interface TransactionParts extends StoreParts {
  readonly reader: Reader
  readonly keyScratch: Scratch
  readonly valueScratch: Scratch
  readonly targetScratch: Scratch
  /** Refuse calls from inside a codec; what was written before is in the memtable. */
  readonly settle: () => void
  readonly letGo: () => void
  readonly counters: { committed: number, conflicts: number }
}

/** @internal */
export interface TransactionSettings {
  durability: Durability
  signal: AbortSignal | undefined
}

export type TransactionState = 'open' | 'committing' | 'committed' | 'aborted'

interface WaitingWrite {
  kind: number
  key: Uint8Array
  value: Uint8Array
  isRead: boolean
  /** Why it will not be written. */
  error: Error | undefined
}

export class Transaction<K = string, V = string> implements AsyncDisposable, Disposable {
  readonly #parts: TransactionParts
  readonly #settings: TransactionSettings
  readonly #snapshot: Snapshot
  readonly #readLease: Lease
  readonly #reads: ReadSet
  readonly #iterators = new Set<SpillwayIterator<unknown>>()
  readonly #entry: OpenTransaction
  #own: TransactionTables | undefined
  #ownReader: Reader | undefined
  #state: TransactionState = 'open'
  #waiting: WaitingWrite | undefined
  #failure: Error | undefined
  /** A large value that is in its file, and whose reference has found no room yet. */
  #unplaced: StoredValue | undefined
  #turnMs: number
  #writes = 0

  /** @internal Made by `db.begin()` and `db.transaction()`. */
  constructor(parts: TransactionParts, settings: TransactionSettings) {
    const { core } = parts
    this.#parts = parts
    this.#settings = settings
    const account = core.engine.transactions
    this.#readLease = account.lease(0)
    core.engine.transactionObjects.change(OBJECT_BYTES)
    this.#reads = new ReadSet(this.#readLease, () => this.#makeTables())
    this.#snapshot = core.snapshots.add(core.lastSeq)
    this.#turnMs = core.host.clock.nowMs()
    const size = (bytesOf: (tables: TransactionTables) => number): number => {
      let sum = 0
      for (const tables of [this.#own, this.#reads.tables]) if (tables !== undefined) sum += bytesOf(tables)
      return sum
    }
    this.#entry = {
      openedMs: this.#turnMs,
      get bytes() { return size(tables => tables.bytes) },
      get tableBytes() { return size(tables => tables.tableBytes()) },
      abandon: () => { this.#end('aborted') },
    }
    core.transactions.add(this.#entry)
  }

  /** 'open' until it is committed or aborted. */
  get state(): TransactionState { return this.#state }
  get #isOver(): boolean { return this.#state === 'committed' || this.#state === 'aborted' }

  // ---- writing

  /** Store a value, for the time being in this transaction only. Resolves when it has room. */
  put(key: K, value: V, options?: TransactionWriteOptions): Promise<void> {
    try {
      return this.#write(() => this.#loadPut(key, value, options))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.#parts.letGo()
    }
  }

  putSync(key: K, value: V, options?: TransactionWriteOptions): void {
    try {
      this.#writeSync(() => this.#loadPut(key, value, options))
    } finally {
      this.#parts.letGo()
    }
  }

  /** Remove a key; fine if it is not there. */
  del(key: K, options?: Pick<TransactionWriteOptions, 'keyEncoding'>): Promise<void> {
    try {
      return this.#write(() => this.#loadDel(key, options))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  delSync(key: K, options?: Pick<TransactionWriteOptions, 'keyEncoding'>): void {
    this.#writeSync(() => this.#loadDel(key, options))
  }

  /** Remove every key of a range, as this transaction sees it. `{}` removes all. Any write of others in the range is a conflict. */
  async deleteRange(range: RangeOptions<K>, options?: Pick<TransactionWriteOptions, 'keyEncoding'>): Promise<void> {
    for (const load of this.#loadRange(range, options)) await this.#write(load)
  }

  deleteRangeSync(range: RangeOptions<K>, options?: Pick<TransactionWriteOptions, 'keyEncoding'>): void {
    for (const load of this.#loadRange(range, options)) this.#writeSync(load)
  }

  // ---- reading

  async get(key: K, options?: TransactionReadOptions): Promise<V | undefined> {
    return this.getSync(key, options)
  }

  getSync(key: K, options?: TransactionReadOptions): V | undefined {
    return this.#get(key, options, true) as V | undefined
  }

  /**
   * The value of a key, which nobody else may write until this transaction is committed, or the commit is refused: what is decided
   * on its value still holds then.
   */
  async getForUpdate(key: K, options?: TransactionReadOptions): Promise<V | undefined> {
    this.#check()
    await this.#write(() => this.#loadRead(key, options))
    return this.getSync(key, options)
  }

  getForUpdateSync(key: K, options?: TransactionReadOptions): V | undefined {
    this.#writeSync(() => this.#loadRead(key, options))
    return this.getSync(key, options)
  }

  async getMany(keys: readonly K[], options?: TransactionReadOptions): Promise<(V | undefined)[]> {
    this.#check()
    if (!Array.isArray(keys)) throw invalidArgument(`getMany takes an array of keys, not ${describe(keys)}`)
    return keys.map(key => this.getSync(key, options))
  }

  async has(key: K, options?: Pick<TransactionReadOptions, 'keyEncoding'>): Promise<boolean> {
    return this.hasSync(key, options)
  }

  hasSync(key: K, options?: Pick<TransactionReadOptions, 'keyEncoding'>): boolean {
    return this.#get(key, options, false) === true
  }

  /** Entries of a range in key order, as this transaction sees them at this moment. It closes with the transaction. */
  iterator(options: Omit<IteratorOptions<K, V>, 'snapshot'> = {}): SpillwayIterator<[K, V]> {
    this.#check()
    checkOptions(options, ITERATOR_OPTIONS, 'iterator')
    const { core, keyScratch, targetScratch } = this.#parts
    const { reverse = false, limit } = options
    if (typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
    if (limit !== undefined && limit !== Infinity && (!Number.isSafeInteger(limit) || limit < -1)) {
      throw invalidArgument(`limit must be a whole number, or -1 or Infinity for all, not ${describe(limit)}`)
    }
    const keys = this.#keys(options)
    const range = byteRange(options, keys, keyScratch)
    const overlay = this.#overlay(() => { this.#iterators.delete(iterator as SpillwayIterator<unknown>) })
    const iterator: SpillwayIterator<[K, V]> = new SpillwayIterator<[K, V]>(core, {
      range, reverse, limit: limit === undefined || limit === -1 ? Infinity : limit, keys, values: this.#values(options),
      targets: keys, targetScratch,
      snapshotSeq: this.#snapshot.seq, overlay,
    })
    this.#iterators.add(iterator as SpillwayIterator<unknown>)
    return iterator
  }

  entriesSync(options: Omit<IteratorOptions<K, V>, 'snapshot'> = {}): Generator<[K, V], void, undefined> {
    return this.iterator(options).entriesSync()
  }

  // ---- its end

  /**
   * Make all of it visible and durable as one. Throws CONFLICT if somebody else has written what it wrote or read for update since
   * it began; then, as after any error, nothing of it was written and it is over.
   */
  async commit(): Promise<void> {
    this.#checkState()
    const { core, background, counters } = this.#parts
    const { durability, signal } = this.#settings
    try {
      this.#check()
      // From here on nobody else writes to it or ends it, also while a write waits.
      this.#state = 'committing'
      while (this.#waiting !== undefined) await this.#finishWaiting(this.#waiting)
      if (this.#failure !== undefined) throw this.#failure
      this.#closeIterators()
      core.checkOpen()
      checkSignal(signal)
      const own = this.#own
      const since = this.#snapshot.seq
      if (own === undefined || own.isEmpty) {
        // It has changed nothing: what it has read was so at its snapshot.
      } else if (!await commitSmall(this.#parts, own, this.#reads, since, durability, signal)) {
        core.checkWritable()
        for (const step of commitTables(this.#parts, own, this.#reads, since)) {
          if (step === 'turn') await new Promise<void>(resolve => core.host.scheduler.soon(resolve))
          else if (step !== 'job') await step
          else {
            if (!core.engine.isBusy) own.checkStuck()
            await background.changed()
          }
          checkSignal(signal)
          core.checkWritable()
        }
        background.schedule()
      }
      counters.committed++
      this.#end('committed')
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SPILLWAY_CONFLICT') counters.conflicts++
      this.#end('aborted')
      throw ioError(error, 'committing a transaction')
    }
  }

  /** Forget all of it. Fine if it is over already. Resolves when what it held is given back. */
  async abort(): Promise<void> {
    if (this.#state === 'committing') throw invalidArgument('a transaction that is being committed cannot be aborted any more. Give db.begin a signal for that')
    this.#end('aborted')
    const { core, background } = this.#parts
    const isBusy = (): boolean => [this.#own, this.#reads.tables].some(tables => tables?.isBusy === true)
    while (!core.closed && isBusy()) await background.changed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === 'open') await this.abort()
  }

  [Symbol.dispose](): void {
    if (this.#state === 'open') this.#end('aborted')
  }

  // ---- between the two

  #checkState(): void {
    this.#parts.core.checkOpen()
    if (this.#state !== 'open') {
      throw new SpillwayError('SPILLWAY_CLOSED', `the transaction is ${this.#state === 'committing' ? 'being committed' : this.#state}. Begin a new one with db.begin or db.transaction`)
    }
    this.#parts.settle()
  }

  #check(): void {
    this.#checkState()
    const { signal } = this.#settings
    checkSignal(signal)
    if (this.#failure !== undefined) throw this.#failure
  }

  #end(state: 'committed' | 'aborted'): void {
    if (this.#isOver) return
    this.#state = state
    this.#closeIterators()
    this.#unplaced?.forget(this.#parts.core)
    this.#own?.discard()
    this.#reads.tables?.discard()
    this.#snapshot.close()
    this.#readLease.release()
    this.#parts.core.engine.transactionObjects.change(-OBJECT_BYTES)
    this.#parts.core.transactions.delete(this.#entry)
  }

  #closeIterators(): void {
    for (const iterator of [...this.#iterators]) iterator.closeSync()
  }

  #tables(): TransactionTables {
    if (this.#own !== undefined) return this.#own
    this.#own = this.#makeTables()
    this.#ownReader = new Reader(this.#own)
    return this.#own
  }

  #makeTables(): TransactionTables {
    const tables = new TransactionTables(this.#parts.core, this.#parts.background)
    tables.onRoom = this.#onRoom
    return tables
  }

  /**
   * Inside the end of a job: whoever was given memory has to take it at once, because others may wait for it in calls that give the
   * event loop no turn.
   */
  readonly #onRoom = (): void => {
    const waiting = this.#waiting
    if (waiting === undefined || this.#isOver || this.#parts.core.closing) return
    const { key, value } = waiting
    try {
      if (this.#tryWrite({ ...waiting, keyStart: 0, keyEnd: key.length, valueStart: 0, valueEnd: value.length })) this.#waiting = undefined
    } catch (error) {
      waiting.error = error as Error
      this.#waiting = undefined
    }
  }

  /** `load` encodes the operation into the store's scratch: after anything that waits it would have to be done again. */
  #write(load: () => LoadedWrite): Promise<void> {
    this.#check()
    this.#settleWaiting()
    const write = load()
    if (this.#tryWrite(write)) {
      if (++this.#writes % LOOK_EVERY !== 0) return DONE
      const { clock, scheduler } = this.#parts.core.host
      if (clock.nowMs() - this.#turnMs < TURN_MS) return DONE
      return new Promise(resolve => scheduler.soon(() => {
        this.#turnMs = clock.nowMs()
        resolve()
      }))
    }
    const { kind, key, keyStart, keyEnd, value, valueStart, valueEnd, isRead } = write
    this.#waiting = { kind, key: copyOf(key, keyStart, keyEnd), value: copyOf(value, valueStart, valueEnd), isRead, error: undefined }
    return this.#finishWaiting(this.#waiting)
  }

  #writeSync(load: () => LoadedWrite): void {
    this.#check()
    this.#settleWaiting()
    const write = load()
    try {
      while (!this.#tryWrite(write)) this.#waitInside()
    } catch (error) {
      throw this.#fail(error as Error)
    }
  }

  /** False: no room now. A large value is in its file already. */
  #tryWrite({ kind, key, keyStart, keyEnd, value, valueStart, valueEnd, isRead }: LoadedWrite): boolean {
    try {
      if (isRead) return this.#reads.tryAdd(key, keyStart, keyEnd)
      if (!this.#tables().tryWrite(kind, key, keyStart, keyEnd, value, valueStart, valueEnd)) return false
      this.#unplaced = undefined
      return true
    } catch (error) {
      throw this.#fail(error as Error)
    }
  }

  /** Wait in the event loop until the write has room. Another call may have written it meanwhile, or seen it fail. */
  async #finishWaiting(waiting: WaitingWrite): Promise<void> {
    const { core, background } = this.#parts
    const { key, value } = waiting
    while (this.#waiting === waiting) {
      try {
        if (!core.engine.isBusy) this.#checkStuck(waiting)
        await background.changed()
        if (this.#waiting !== waiting) break
        if (this.#isOver) throw new SpillwayError('SPILLWAY_CLOSED', 'the transaction was aborted while this write waited')
        core.checkOpen()
        const { signal } = this.#settings
        checkSignal(signal)
        if (this.#tryWrite({ ...waiting, keyStart: 0, keyEnd: key.length, valueStart: 0, valueEnd: value.length })) this.#waiting = undefined
      } catch (error) {
        this.#waiting = undefined
        waiting.error = this.#fail(error as Error)
      }
    }
    if (waiting.error !== undefined) throw waiting.error
  }

  /** The write before this call waits for room: wait for it here. */
  #settleWaiting(): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const { key, value } = waiting
    try {
      while (!this.#tryWrite({ ...waiting, keyStart: 0, keyEnd: key.length, valueStart: 0, valueEnd: value.length })) this.#waitInside()
    } catch (error) {
      throw waiting.error = this.#fail(error as Error)
    } finally {
      this.#waiting = undefined
    }
  }

  #waitInside(): void {
    const { core, background } = this.#parts
    if (!background.waitInside()) this.#checkStuck(this.#waiting)
    core.checkOpen()
  }

  #checkStuck(waiting: WaitingWrite | undefined): void {
    const tables = waiting?.isRead === true ? this.#reads.tables : this.#own
    tables?.checkStuck()
  }

  #fail(error: Error): Error {
    return this.#failure ??= error
  }

  #loadPut(key: K, value: V, options: TransactionWriteOptions | undefined): LoadedWrite {
    const { core, committer, keyScratch, valueScratch } = this.#parts
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'put')
    encodeKey(key, this.#keys(options), keyScratch)
    encodeValue(value, this.#values(options), valueScratch)
    const { start, end, longText } = valueScratch
    checkLengths(keyScratch.end - keyScratch.start, end - start)
    if (longText !== '' || end - start > core.plan.inlineValueBytes) {
      this.#parts.core.checkWritable()
      committer.commitPending()
    }
    const stored = this.#unplaced = storedValue(core, { kind: KIND_PUT, value: valueScratch.bytes, valueStart: start, valueEnd: end, longText })
    return {
      kind: stored.kind, key: keyScratch.bytes, keyStart: keyScratch.start, keyEnd: keyScratch.end,
      value: stored.bytes, valueStart: stored.start, valueEnd: stored.end, isRead: false,
    }
  }

  #loadDel(key: K, options: Pick<TransactionWriteOptions, 'keyEncoding'> | undefined): LoadedWrite {
    return { ...this.#loadKey(key, options, 'del'), isRead: false }
  }

  #loadRead(key: K, options: TransactionReadOptions | undefined): LoadedWrite {
    return { ...this.#loadKey(key, options, 'getForUpdate'), isRead: true }
  }

  #loadKey(key: K, options: TransactionReadOptions | undefined, where: string): Omit<LoadedWrite, 'isRead'> {
    const { keyScratch } = this.#parts
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, where)
    encodeKey(key, this.#keys(options), keyScratch)
    checkLengths(keyScratch.end - keyScratch.start, 0)
    return { kind: KIND_DELETE, key: keyScratch.bytes, keyStart: keyScratch.start, keyEnd: keyScratch.end, value: EMPTY, valueStart: 0, valueEnd: 0 }
  }

  /** Usually one write; see `Spillway.deleteRange` for the longest possible key. */
  #loadRange(range: RangeOptions<K>, options: Pick<TransactionWriteOptions, 'keyEncoding'> | undefined): (() => LoadedWrite)[] {
    this.#check()
    this.#settleWaiting()
    if (range === undefined || range === null) throw invalidArgument('deleteRange takes a range such as { gte, lt }; {} removes everything')
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'deleteRange')
    checkOptions(range, RANGE_OPTIONS, 'deleteRange')
    const bytes = byteRange(range, this.#keys(options), this.#parts.keyScratch)
    const start = bytes.start ?? EMPTY
    let end = bytes.end ?? this.#behindLastKey()
    if (end === undefined || start.length > MAX_KEY_BYTES || isEmptyRange({ start, end })) return []
    const loads: (() => LoadedWrite)[] = []
    const add = (kind: number, key: Uint8Array, value: Uint8Array): void => {
      loads.push(() => ({ kind, key, keyStart: 0, keyEnd: key.length, value, valueStart: 0, valueEnd: value.length, isRead: false }))
    }
    if (end.length > MAX_KEY_BYTES) {
      end = end.subarray(0, MAX_KEY_BYTES)
      add(KIND_DELETE, end, EMPTY)
    }
    add(KIND_DELETE_RANGE, start, end)
    return loads
  }

  #behindLastKey(): Uint8Array | undefined {
    const overlay = this.#overlay(() => {})
    const scan = overlay.open(this.#snapshot.seq, true)
    try {
      scan.seek(undefined)
      if (!scan.valid) return undefined
      const end = new Uint8Array(scan.keyLength + 1)
      end.set(scan.key.subarray(0, scan.keyLength))
      return end
    } finally {
      scan.close()
      overlay.close()
    }
  }

  #get(key: K, options: TransactionReadOptions | undefined, decodes: boolean): unknown {
    this.#check()
    this.#settleWaiting()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'get')
    const { core, reader, keyScratch } = this.#parts
    encodeKey(key, this.#keys(options), keyScratch)
    const { bytes, start, end } = keyScratch
    if (end - start > MAX_KEY_BYTES) return undefined
    try {
      let hit = this.#ownReader?.find(bytes, start, end, Number.MAX_SAFE_INTEGER)
      if (hit === undefined && this.#ownReader?.touched !== true) hit = reader.find(bytes, start, end, this.#snapshot.seq)
      if (hit === undefined || !decodes) return hit === undefined ? undefined : true
      return decodeValue(core, this.#values(options), hit.kind, hit.value, hit.valueStart, hit.valueEnd)
    } catch (error) {
      throw readError(error)
    }
  }

  /** What it has written up to now, laid over the store. */
  #overlay(onClose: () => void): ScanOverlay {
    this.#settleWaiting()
    const { core } = this.#parts
    const own = this.#own
    if (own === undefined) {
      return { shape: 0, lastSeq: 0, open: (seq: number, reverse: boolean): EntryScan => new Scan(core, seq, reverse), close: onClose }
    }
    const ownSeq = own.lastSeq
    const snapshot = own.snapshots.add(ownSeq)
    return {
      get shape() { return own.shape },
      get lastSeq() { return own.lastSeq },
      open: (seq, reverse) => new TransactionScan(own, ownSeq, core, seq, reverse),
      close: () => {
        snapshot.close()
        onClose()
      },
    }
  }

  #keys(options: { keyEncoding?: TransactionWriteOptions['keyEncoding'] } | undefined): Transcoder {
    return options?.keyEncoding === undefined ? this.#parts.core.settings.key : transcoder(options.keyEncoding, 'keyEncoding')
  }

  #values(options: { valueEncoding?: TransactionWriteOptions['valueEncoding'] } | undefined): Transcoder {
    return options?.valueEncoding === undefined ? this.#parts.core.settings.value : transcoder(options.valueEncoding, 'valueEncoding')
  }
}

function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted !== true) return
  throw new SpillwayError('SPILLWAY_ABORTED', 'the transaction was aborted by its signal; nothing of it was written. Run it again, or allow it more time', { cause: signal.reason })
}

interface LoadedWrite {
  kind: number
  key: Uint8Array
  keyStart: number
  keyEnd: number
  value: Uint8Array
  valueStart: number
  valueEnd: number
  isRead: boolean
}

/** @internal Options of `begin` and `transaction`, checked. */
export function transactionSettings(options: { durability?: Durability, signal?: AbortSignal } | undefined, fallback: Durability): TransactionSettings {
  const signal = options?.signal
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument(`signal must be an AbortSignal, not ${describe(signal)}`)
  return { durability: checkedDurability(options?.durability, fallback), signal }
}
