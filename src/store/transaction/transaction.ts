/**
 * Public transactions: reads at the snapshot of the start with its own writes on top, and a commit that makes all of them visible
 * at once, or none.
 *
 * Invariants
 * 1. Until the commit no other reader sees anything of it; after an abort, a failed commit or a crash nothing of it remains.
 * 2. During the commit no call writes to it or ends it; once ended it holds nothing.
 *
 * Accounts: those of `staged-tables.ts`, and 4 KiB of `transactions` while it is open.
 */
import type { InspectOptions } from 'node:util'
import { SpillwayError, invalidArgument } from '../../base/errors.ts'
import { IDENTITY, nextIdentity } from '../../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../../base/inspect.ts'
import type { Inspect } from '../../base/inspect.ts'
import { checkOptions } from '../../base/option-names.ts'
import { describe } from '../../encoding/encoding.ts'
import type { AnyEncodings, Decoded, Encodable, EncodingsGiven, GivenEncoding, NoEncodings } from '../../encoding/encoding-types.ts'
import { ioError } from '../api/io-errors.ts'
import { SpillwayIterator } from '../scan/iterator.ts'
import { checkedOrder } from '../scan/iterator-plan.ts'
import { RANGE_OPTIONS, byteRange } from '../api/key-range.ts'
import { commitSmall, commitTables } from './commit.ts'
import type { Step } from './commit.ts'
import { TransactionResources } from './transaction-resources.ts'
import type { TransactionState } from './transaction-resources.ts'
import { loadDel, loadPut, loadRange, loadRead } from './encode-calls.ts'
import type { EncodedCall } from './encode-calls.ts'
import { WRITE_OPTIONS, checkSignal, keyTranscoder, valueTranscoder } from './transaction-settings.ts'
import type { TransactionParts, TransactionSettings } from './transaction-settings.ts'
import { TransactionView } from './transaction-view.ts'
import type { TransactionWrites } from './transaction-writes.ts'
import type { OrderOptions, RangeOptions } from '../api/options.ts'

const ITERATOR_OPTIONS = [...RANGE_OPTIONS, ...WRITE_OPTIONS, 'reverse', 'limit']
/**
 * Writes that become visible together, made by `db.begin` and `db.transaction`. Reads see the store as of its start, with its own
 * writes on top. It may write more than fits in memory.
 * @example
 * ```ts
 * await using transaction = await db.begin()
 * await transaction.put('a', '1')
 * await transaction.del('b')
 * await transaction.commit()
 * ```
 */
export class Transaction<K = string, V = string> implements AsyncDisposable, Disposable {
  readonly #parts: TransactionParts
  readonly #settings: TransactionSettings
  readonly #holding: TransactionResources
  readonly #writes: TransactionWrites
  readonly #view: TransactionView
  /** @internal */
  readonly [IDENTITY]: number = nextIdentity()

  /** @internal Made by `db.begin()` and `db.transaction()`. */
  constructor(parts: TransactionParts, settings: TransactionSettings) {
    this.#parts = parts
    this.#settings = settings
    this.#holding = new TransactionResources(parts, settings.signal)
    this.#writes = this.#holding.writes
    this.#view = new TransactionView(parts, this.#writes, this.#holding.pin.seq)
    parts.core.lostHandles.watch(this, this.#holding)
  }

  /** 'open' until it is committed or aborted. */
  get state(): TransactionState { return this.#holding.state }

  // ---- writing

  /**
   * Store a value in this transaction. Resolves when there is memory for it.
   * @throws SPILLWAY_INVALID_ARGUMENT key over 65,535 bytes, value over 256 MiB, null or undefined
   * @throws SPILLWAY_ABORTED its signal has fired
   * @throws SPILLWAY_CLOSED it has ended
   * @throws SPILLWAY_NO_SPACE | SPILLWAY_BUDGET_TOO_SMALL | SPILLWAY_UNAVAILABLE then it cannot be committed
   */
  put<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    key: Encodable<KE, K>, value: Encodable<VE, V>, options?: EncodingsGiven<KE, VE>,
  ): Promise<void> {
    try {
      return this.#write(() => loadPut(this.#parts, key, value, options))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.#parts.letGo()
    }
  }

  /** `put` within this call. Throws as `put`. */
  putSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    key: Encodable<KE, K>, value: Encodable<VE, V>, options?: EncodingsGiven<KE, VE>,
  ): void {
    try {
      this.#writeSync(() => loadPut(this.#parts, key, value, options))
    } finally {
      this.#parts.letGo()
    }
  }

  /** Delete a key, existing or not. Throws as `put`. */
  del<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): Promise<void> {
    try {
      return this.#write(() => loadDel(this.#parts, key, options))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.#parts.letGo()
    }
  }

  /** `del` within this call. Throws as `put`. */
  delSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): void {
    try {
      this.#writeSync(() => loadDel(this.#parts, key, options))
    } finally {
      this.#parts.letGo()
    }
  }

  /**
   * Delete every key of a range, as this transaction sees it; `{}` deletes all. A concurrent write in the range is a conflict.
   * Throws as `put`.
   */
  async deleteRange<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: EncodingsGiven<KE, VE>,
  ): Promise<void> {
    for (const write of this.#loadRange(range, options)) await this.#write(() => write)
  }

  /** `deleteRange` within this call. Throws as `put`. */
  deleteRangeSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: EncodingsGiven<KE, VE>,
  ): void {
    for (const write of this.#loadRange(range, options)) this.#writeSync(() => write)
  }

  // ---- reading

  /**
   * The value of a key, as this transaction sees it; undefined if it does not exist.
   * @throws SPILLWAY_CORRUPTION | SPILLWAY_ABORTED | SPILLWAY_CLOSED | SPILLWAY_UNAVAILABLE
   */
  get(key: K, options?: NoEncodings): Promise<V | undefined>
  get<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Promise<Decoded<VE, V> | undefined>
  async get(key: unknown, options?: AnyEncodings): Promise<any> {
    return this.#get(key, options, true)
  }

  /** `get` within this call. Throws as `get`. */
  getSync(key: K, options?: NoEncodings): V | undefined
  getSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getSync(key: unknown, options?: AnyEncodings): any {
    return this.#get(key, options, true)
  }

  /**
   * The value of a key, protected until the commit: if another writer changes the key first, the commit throws CONFLICT. Throws as
   * `get` and `put`.
   */
  getForUpdate(key: K, options?: NoEncodings): Promise<V | undefined>
  getForUpdate<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Promise<Decoded<VE, V> | undefined>
  async getForUpdate(key: unknown, options?: AnyEncodings): Promise<any> {
    this.#check()
    let isRead: Promise<void>
    try {
      isRead = this.#write(() => loadRead(this.#parts, key, options))
    } finally {
      this.#parts.letGo()
    }
    await isRead
    return this.#get(key, options, true)
  }

  /** `getForUpdate` within this call. Throws as `getForUpdate`. */
  getForUpdateSync(key: K, options?: NoEncodings): V | undefined
  getForUpdateSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getForUpdateSync(key: unknown, options?: AnyEncodings): any {
    this.#writeSync(() => loadRead(this.#parts, key, options))
    return this.#get(key, options, true)
  }

  /** The values of several keys, in their order, as this transaction sees them. Throws as `get`. */
  getMany(keys: readonly K[], options?: NoEncodings): Promise<(V | undefined)[]>
  getMany<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(keys: readonly Encodable<KE, K>[], options: EncodingsGiven<KE, VE>): Promise<(Decoded<VE, V> | undefined)[]>
  async getMany(keys: readonly unknown[], options?: AnyEncodings): Promise<any[]> {
    this.#check()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'getMany')
    if (!Array.isArray(keys)) throw invalidArgument(`getMany takes an array of keys, not ${describe(keys)}`)
    return keys.map(key => this.#get(key, options, true))
  }

  /** Whether a key exists, as this transaction sees it. Throws as `get`. */
  async has<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): Promise<boolean> {
    return this.#get(key, options, false) === true
  }

  /** `has` within this call. Throws as `get`. */
  hasSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): boolean {
    return this.#get(key, options, false) === true
  }

  /**
   * A cursor over a range as this transaction sees it now; it closes with the transaction.
   * @throws SPILLWAY_INVALID_ARGUMENT | SPILLWAY_CLOSED
   */
  iterator(options?: OrderOptions<K> & NoEncodings): SpillwayIterator<[K, V], K>
  iterator<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<[Decoded<KE, K>, Decoded<VE, V>], Encodable<KE, K>>
  iterator(options: OrderOptions<unknown> & AnyEncodings = {}): SpillwayIterator<any> {
    this.#check()
    checkOptions(options, ITERATOR_OPTIONS, 'iterator')
    const { core, keyScratch, targetScratch } = this.#parts
    const { reverse, limit } = checkedOrder(options)
    const keys = keyTranscoder(core, options)
    const range = byteRange(options, keys, keyScratch)
    // Only the resources: neither the iterator nor the transaction may reference the other once the program has lost it.
    const { iterators, pin } = this.#holding
    const overlay = this.#view.overlay(() => { iterators.delete(holding) })
    const iterator = new SpillwayIterator<unknown>(core, {
      range, reverse, limit, keys, values: valueTranscoder(core, options), targets: keys, targetScratch, snapshotSeq: pin.seq, overlay,
      parent: this.#holding.listed,
    })
    const { holding } = iterator
    iterators.add(holding)
    return iterator
  }

  /** The entries of a range as a synchronous generator, as this transaction sees them. Throws as `get`. */
  entriesSync(options?: OrderOptions<K> & NoEncodings): Generator<[K, V], void, undefined>
  entriesSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & EncodingsGiven<KE, VE>,
  ): Generator<[Decoded<KE, K>, Decoded<VE, V>], void, undefined>
  entriesSync(options: OrderOptions<any> & AnyEncodings = {}): Generator<any, void, undefined> {
    return this.iterator(options as OrderOptions<K>).entriesSync()
  }

  // ---- its end

  /**
   * Make all writes visible and durable as one. After any error nothing was written and the transaction has ended.
   * @throws SPILLWAY_CONFLICT another writer changed a key it wrote or read for update since it began
   * @throws SPILLWAY_ABORTED | SPILLWAY_CLOSED | SPILLWAY_READ_ONLY | SPILLWAY_NO_SPACE | SPILLWAY_BUDGET_TOO_SMALL |
   *   SPILLWAY_UNAVAILABLE
   */
  async commit(): Promise<void> {
    this.#checkState()
    const { core, background, counters } = this.#parts
    const { durability, signal } = this.#settings
    try {
      this.#check()
      // From here on no call writes to it or ends it, even while a write waits.
      this.#holding.state = 'committing'
      const finished = this.#writes.finish()
      if (finished !== undefined) await finished
      this.#writes.check()
      this.#holding.closeIterators()
      core.health.checkOpen()
      checkSignal(signal)
      const { own, reads } = this.#writes
      const since = this.#holding.pin.seq
      if (own === undefined || own.isEmpty) {
        // Read-only: all reads were consistent at its snapshot.
      } else if (!await commitSmall(this.#parts, own, reads, since, durability, signal)) {
        core.health.checkWritable()
        const check = (): void => {
          checkSignal(signal)
          core.health.checkWritable()
        }
        const wait = async (step: Step): Promise<void> => {
          if (step === 'turn') await new Promise<void>(resolve => core.host.scheduler.soon(resolve))
          else if (step !== 'job') await step
          else {
            if (!core.engine.jobs.isBusy) own.checkStuck()
            await background.changed()
          }
          check()
        }
        await commitTables(this.#parts, own, reads, since, { check, wait, done: () => { this.#holding.end('committed') } })
        background.schedule()
      }
      counters.committed++
      this.#holding.end('committed')
    } catch (error) {
      if ((error as { code?: unknown }).code === 'SPILLWAY_CONFLICT') counters.conflicts++
      this.#holding.end('aborted')
      throw ioError(error, 'committing a transaction')
    }
  }

  /**
   * Drop all writes and release everything. May be called again.
   * @throws SPILLWAY_INVALID_ARGUMENT it is being committed
   */
  async abort(): Promise<void> {
    if (this.state === 'committing') throw invalidArgument('a transaction that is being committed cannot be aborted any more. Give db.begin a signal for that')
    this.#parts.checkReentry()
    this.#holding.end('aborted')
    const { core, background } = this.#parts
    while (!core.health.closed && this.#writes.isBusy) await background.changed()
  }

  /** Abort it unless it was committed, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state === 'open') await this.abort()
  }

  /** Abort it unless it was committed, for `using`. */
  [Symbol.dispose](): void {
    if (this.state !== 'open') return
    this.#parts.checkReentry()
    this.#holding.end('aborted')
  }

  get [Symbol.toStringTag](): string { return 'Transaction' }

  /** @internal Shows nothing of its writes. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#holding in this)) return inspectPrototype('Transaction')
    return inspectFields(this, 'Transaction', { state: this.state }, { depth, options, inspect })
  }

  // ---- between the two

  #checkState(): void {
    this.#holding.uses++
    this.#parts.core.health.checkOpen()
    if (this.state !== 'open') {
      throw new SpillwayError('SPILLWAY_CLOSED', `the transaction is ${this.state === 'committing' ? 'being committed' : this.state}. Begin a new one with db.begin or db.transaction`)
    }
    this.#parts.settle()
  }

  #check(): void {
    this.#checkState()
    const { signal } = this.#settings
    checkSignal(signal)
    this.#writes.check()
  }

  #write(load: () => EncodedCall): Promise<void> {
    this.#check()
    return this.#writes.write(load)
  }

  #writeSync(load: () => EncodedCall): void {
    this.#check()
    this.#writes.writeSync(load)
  }

  #loadRange(range: RangeOptions<unknown>, options: AnyEncodings | undefined): EncodedCall[] {
    this.#check()
    this.#writes.settle()
    return loadRange(this.#parts, range, options, () => this.#view.behindLastKey())
  }

  #get(key: unknown, options: AnyEncodings | undefined, decodes: boolean): unknown {
    this.#check()
    return this.#view.get(key, options, decodes)
  }
}
