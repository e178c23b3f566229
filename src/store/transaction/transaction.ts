/**
 * A transaction as its users see it: reads at the snapshot of its start with its own writes on top, and a commit that makes all of
 * them visible at once, or none.
 *
 * Invariants
 * 1. Until it is committed nobody else sees anything of it; after an abort, a failed commit or a crash nothing of it is left.
 * 2. Once it is being committed nobody writes to it or ends it; once it is over it holds nothing.
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

  /** Store a value, for the time being in this transaction only. Resolves when it has room. */
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

  putSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    key: Encodable<KE, K>, value: Encodable<VE, V>, options?: EncodingsGiven<KE, VE>,
  ): void {
    try {
      this.#writeSync(() => loadPut(this.#parts, key, value, options))
    } finally {
      this.#parts.letGo()
    }
  }

  /** Remove a key; fine if it is not there. */
  del<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): Promise<void> {
    try {
      return this.#write(() => loadDel(this.#parts, key, options))
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.#parts.letGo()
    }
  }

  delSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): void {
    try {
      this.#writeSync(() => loadDel(this.#parts, key, options))
    } finally {
      this.#parts.letGo()
    }
  }

  /** Remove every key of a range, as this transaction sees it. `{}` removes all. Any write of others in the range is a conflict. */
  async deleteRange<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: EncodingsGiven<KE, VE>,
  ): Promise<void> {
    for (const write of this.#loadRange(range, options)) await this.#write(() => write)
  }

  deleteRangeSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: EncodingsGiven<KE, VE>,
  ): void {
    for (const write of this.#loadRange(range, options)) this.#writeSync(() => write)
  }

  // ---- reading

  get(key: K, options?: NoEncodings): Promise<V | undefined>
  get<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Promise<Decoded<VE, V> | undefined>
  async get(key: unknown, options?: AnyEncodings): Promise<any> {
    return this.#get(key, options, true)
  }

  getSync(key: K, options?: NoEncodings): V | undefined
  getSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getSync(key: unknown, options?: AnyEncodings): any {
    return this.#get(key, options, true)
  }

  /**
   * The value of a key, which nobody else may write until this transaction is committed, or the commit is refused: what is decided
   * on its value still holds then.
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

  getForUpdateSync(key: K, options?: NoEncodings): V | undefined
  getForUpdateSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getForUpdateSync(key: unknown, options?: AnyEncodings): any {
    this.#writeSync(() => loadRead(this.#parts, key, options))
    return this.#get(key, options, true)
  }

  getMany(keys: readonly K[], options?: NoEncodings): Promise<(V | undefined)[]>
  getMany<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(keys: readonly Encodable<KE, K>[], options: EncodingsGiven<KE, VE>): Promise<(Decoded<VE, V> | undefined)[]>
  async getMany(keys: readonly unknown[], options?: AnyEncodings): Promise<any[]> {
    this.#check()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'getMany')
    if (!Array.isArray(keys)) throw invalidArgument(`getMany takes an array of keys, not ${describe(keys)}`)
    return keys.map(key => this.#get(key, options, true))
  }

  async has<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): Promise<boolean> {
    return this.#get(key, options, false) === true
  }

  hasSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: EncodingsGiven<KE, VE>): boolean {
    return this.#get(key, options, false) === true
  }

  /** Entries of a range in key order, as this transaction sees them at this moment. It closes with the transaction. */
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
    // Not the iterator itself, and not this transaction: neither may lead to the other once the program has lost it.
    const { iterators, pin } = this.#holding
    const overlay = this.#view.overlay(() => { iterators.delete(holding) })
    const iterator = new SpillwayIterator<unknown>(core, {
      range, reverse, limit, keys, values: valueTranscoder(core, options), targets: keys, targetScratch, snapshotSeq: pin.seq, overlay,
    })
    const { holding } = iterator
    iterators.add(holding)
    return iterator
  }

  entriesSync(options?: OrderOptions<K> & NoEncodings): Generator<[K, V], void, undefined>
  entriesSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & EncodingsGiven<KE, VE>,
  ): Generator<[Decoded<KE, K>, Decoded<VE, V>], void, undefined>
  entriesSync(options: OrderOptions<any> & AnyEncodings = {}): Generator<any, void, undefined> {
    return this.iterator(options as OrderOptions<K>).entriesSync()
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
        // It has changed nothing: what it has read was so at its snapshot.
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

  /** Forget all of it. Fine if it is over already. Resolves when what it held is given back. */
  async abort(): Promise<void> {
    if (this.state === 'committing') throw invalidArgument('a transaction that is being committed cannot be aborted any more. Give db.begin a signal for that')
    this.#parts.checkReentry()
    this.#holding.end('aborted')
    const { core, background } = this.#parts
    while (!core.health.closed && this.#writes.isBusy) await background.changed()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.state === 'open') await this.abort()
  }

  [Symbol.dispose](): void {
    if (this.state !== 'open') return
    this.#parts.checkReentry()
    this.#holding.end('aborted')
  }

  get [Symbol.toStringTag](): string { return 'Transaction' }

  /** @internal Nothing of what was written. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#holding in this)) return inspectPrototype('Transaction')
    return inspectFields(this, 'Transaction', { state: this.state }, { depth, options, inspect })
  }

  // ---- between the two

  #checkState(): void {
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
