/** The public store. Each call goes on in `write-calls.ts`, `read-calls.ts`, `transaction/`, `background/` or `open/`. */
import type { InspectOptions } from 'node:util'
import { Uncloneable } from '../base/identity.ts'
import { INSPECT, inspectFields, inspectPrototype } from '../base/inspect.ts'
import type { Inspect } from '../base/inspect.ts'
import { checkOptions } from '../base/option-names.ts'
import { parseSize } from '../base/sizes.ts'
import type { MemoryReport } from '../memory/budget.ts'
import { approximateBytes } from './approximate-size.ts'
import { EncodeBuffers, reentryError } from './api/encode-buffers.ts'
import type { AnyEncodings, Decoded, Encodable, EncodingsGiven, GivenEncoding, KeyEncodingGiven } from '../encoding/encoding-types.ts'
import type { SpillwayIterator } from './scan/iterator.ts'
import { closeStore, openStore } from './open/lifecycle.ts'
import type { OpenStore } from './open/lifecycle.ts'
import { RANGE_OPTIONS, byteRange, isEmptyRange } from './api/key-range.ts'
import type { ByteRange } from './api/key-range.ts'
import { ReadCalls } from './read-calls.ts'
import type { ReadCallOptions } from './read-calls.ts'
import { PointReader } from './read/point-reader.ts'
import { statsOf, verifyStore } from './stats.ts'
import type { Snapshot } from './api/snapshots.ts'
import { Conflicts } from './transaction/conflicts.ts'
import type { Transaction } from './transaction/transaction.ts'
import { TransactionRunner } from './transaction/retry.ts'
import type {
  BatchOperation, BeginOptions, DurableOptions, IteratorOptions, OpenOptions, OrderOptions, RangeOptions, ReadOptions, SnapshotOptions, StoreOptions, TransactionOptions,
} from './api/options.ts'
import type { StoreStats, VerifyReport } from './api/reports.ts'
import { WriteCalls } from './write-calls.ts'

/**
 * An embedded, ordered key-value store that keeps all its memory inside one budget.
 *
 * Keys are at most 65,535 bytes and sort by their bytes; values are at most 256 MiB. A missing key is `undefined`. `K` and `V` are
 * the types of keys and values, by default strings.
 *
 * Errors are `SpillwayError`s with a `code`. Beside those listed, every call may throw SPILLWAY_CLOSED, and INVALID_ARGUMENT for
 * options and arguments it cannot take; encodings that fail throw SPILLWAY_ENCODING.
 * @example
 * ```ts
 * await db.put('city:paris', 'Paris')
 * console.log(await db.get('city:paris'))
 * for await (const [key, value] of db.iterator({ gte: 'city:', lt: 'city;' })) console.log(key, value)
 * ```
 */
export class Spillway<K = string, V = string> extends Uncloneable implements AsyncDisposable {
  readonly #store: OpenStore
  readonly #scratch: EncodeBuffers
  readonly #writes: WriteCalls
  readonly #reads: ReadCalls
  readonly #transactions: TransactionRunner
  #closing: Promise<void> | undefined

  private constructor(store: OpenStore) {
    super()
    const { core, background, committer, writer } = store
    const scratch = new EncodeBuffers(core.settings)
    const reader = new PointReader(core, core.engine.reading.blocks, core.engine.reading.cache)
    const writes = new WriteCalls(core, writer, scratch)
    const reads = new ReadCalls(core, committer, reader, scratch)
    this.#store = store
    this.#scratch = scratch
    this.#writes = writes
    this.#reads = reads
    this.#transactions = new TransactionRunner({
      core, background, committer, writer, conflicts: new Conflicts(core), reader,
      keyScratch: scratch.key, valueScratch: scratch.value, targetScratch: scratch.target,
      settle: () => reads.settle(), checkReentry: () => scratch.checkReentry(), letGo: () => writes.letGo(), counters: { committed: 0, conflicts: 0 },
    })
  }

  /**
   * Open a store, creating it if the directory has none. One process at a time may have it open.
   *
   * Keys and values are strings, or the types of `keyEncoding` and `valueEncoding`: 'buffer' a Buffer, 'view' a Uint8Array, 'json'
   * unknown, a codec its own type. `open<string, User>(directory, { valueEncoding: 'json' })` types the JSON; encodings that cannot
   * give the types do not compile.
   * @throws SPILLWAY_INVALID_ARGUMENT an option, or a directory that is no store
   * @throws SPILLWAY_LOCKED another process has it open; names the holder
   * @throws SPILLWAY_BUDGET_TOO_SMALL names the parts of the floor
   * @throws SPILLWAY_CORRUPTION names file and offset
   * @throws SPILLWAY_UNAVAILABLE a newer format, or a file error
   * @throws SPILLWAY_NO_SPACE the disk is full
   * @example
   * ```ts
   * const users = await Spillway.open<string, { name: string }>('users', { budget: '32 MiB', valueEncoding: 'json' })
   * await users.put('1', { name: 'Ada' })
   * await users.close()
   * ```
   */
  static open<K extends string = string, V extends string = string>(directory: string): Promise<Spillway<K, V>>
  /** With keys of type `K` and values of type `V`, which the encodings must support. */
  static open<K, V>(directory: string, options: OpenOptions<K, V>): Promise<Spillway<K, V>>
  /** With the types of the encodings. */
  static open<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    directory: string, options?: StoreOptions & EncodingsGiven<KE, VE>,
  ): Promise<Spillway<Decoded<KE>, Decoded<VE>>>
  static async open(directory: string, options: StoreOptions & AnyEncodings = {}): Promise<Spillway<any, any>> {
    return new Spillway<any, any>(await openStore(directory, options))
  }

  /**
   * Store a value under a key. Resolves once the write survives what `options.durability` promises (default: the store's). Puts of
   * one event-loop turn share one log write and one promise.
   * @throws SPILLWAY_INVALID_ARGUMENT key over 65,535 bytes, value over 256 MiB, null or undefined
   * @throws SPILLWAY_ABORTED `signal` fired while the write waited for memory; nothing was written
   * @throws SPILLWAY_NO_SPACE | SPILLWAY_READ_ONLY | SPILLWAY_BUDGET_TOO_SMALL | SPILLWAY_UNAVAILABLE | SPILLWAY_CLOSED
   * @example
   * ```ts
   * await db.put('city:paris', 'Paris', { durability: 'disk' })
   * ```
   */
  put<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, value: Encodable<VE, V>, options?: DurableOptions & EncodingsGiven<KE, VE>): Promise<void> {
    return this.#writes.put(key, value, options)
  }

  /** `put` within this call; it may block while memory is freed. Throws as `put`. */
  putSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, value: Encodable<VE, V>, options?: DurableOptions & EncodingsGiven<KE, VE>): void {
    this.#writes.putSync(key, value, options)
  }

  /** Delete a key, existing or not. Resolves and throws as `put`. */
  del<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: DurableOptions & EncodingsGiven<KE, VE>): Promise<void> {
    return this.#writes.del(key, options)
  }

  /** `del` within this call. Throws as `put`. */
  delSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: DurableOptions & EncodingsGiven<KE, VE>): void {
    this.#writes.delSync(key, options)
  }

  /**
   * Delete every key of a range with one small write, whatever the number of keys; `{}` deletes all. Resolves and throws as `put`;
   * a bound that is undefined is INVALID_ARGUMENT.
   * @example
   * ```ts
   * await db.deleteRange({ gte: 'session:', lt: 'session;' })
   * ```
   */
  deleteRange<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>>, options?: DurableOptions & EncodingsGiven<KE, VE>): Promise<void> {
    return this.#writes.deleteRange(range, options)
  }

  /** `deleteRange` within this call. Throws as `put`. */
  deleteRangeSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>>, options?: DurableOptions & EncodingsGiven<KE, VE>): void {
    this.#writes.deleteRangeSync(range, options)
  }

  /**
   * Write several operations atomically: all or none, also after a crash. Later operations on a key win. Resolves and throws as
   * `put`.
   * @example
   * ```ts
   * await db.batch([{ type: 'put', key: 'balance:ada', value: '10' }, { type: 'del', key: 'pending:ada' }])
   * ```
   */
  batch<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(operations: readonly BatchOperation<Encodable<KE, K>, Encodable<VE, V>>[], options?: DurableOptions & EncodingsGiven<KE, VE>): Promise<void> {
    return this.#writes.batch(operations, options)
  }

  /** `batch` within this call. Throws as `put`. */
  batchSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(operations: readonly BatchOperation<Encodable<KE, K>, Encodable<VE, V>>[], options?: DurableOptions & EncodingsGiven<KE, VE>): void {
    this.#writes.batchSync(operations, options)
  }

  /**
   * Run a function in a transaction and commit its writes: all or none. The function reads the store as of its start with its own
   * writes on top, and may write more than fits in memory. If another writer changed a key that it writes, or read with
   * `getForUpdate`, it runs again, up to `retries` times (default 5). An error it throws aborts the transaction. Resolves to the
   * function's result.
   * @throws SPILLWAY_CONFLICT after the last retry
   * @throws SPILLWAY_ABORTED | SPILLWAY_NO_SPACE | SPILLWAY_READ_ONLY | SPILLWAY_BUDGET_TOO_SMALL | SPILLWAY_UNAVAILABLE |
   *   SPILLWAY_CLOSED
   * @example
   * ```ts
   * await db.transaction(async transaction => {
   *   const count = Number(await transaction.getForUpdate('count') ?? 0)
   *   await transaction.put('count', String(count + 1))
   * })
   * ```
   */
  transaction<T>(work: (transaction: Transaction<K, V>) => Promise<T> | T, options?: TransactionOptions): Promise<T> {
    return this.#transactions.run(work, options)
  }

  /**
   * Begin a transaction to commit or abort by hand; `await using` aborts one that was not committed. It holds a snapshot while it
   * is open.
   * @throws SPILLWAY_READ_ONLY | SPILLWAY_ABORTED | SPILLWAY_CLOSED
   */
  async begin(options?: BeginOptions): Promise<Transaction<K, V>> {
    return this.#transactions.begin<K, V>(options)
  }

  /**
   * The value of a key; undefined if it does not exist.
   * @throws SPILLWAY_CORRUPTION a block is damaged; names file and offset
   * @throws SPILLWAY_UNAVAILABLE | SPILLWAY_CLOSED
   */
  get(key: K, options?: ReadOptions): Promise<V | undefined>
  get<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: SnapshotOptions & EncodingsGiven<KE, VE>): Promise<Decoded<VE, V> | undefined>
  get(key: unknown, options?: ReadCallOptions): Promise<any> {
    return this.#reads.get(key, options)
  }

  /** The value of a key; undefined if it does not exist. Reads within this call. Throws as `get`. */
  getSync(key: K, options?: ReadOptions): V | undefined
  getSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: SnapshotOptions & EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getSync(key: unknown, options?: ReadCallOptions): any {
    return this.#reads.getSync(key, options)
  }

  /** The values of several keys, in their order, as of one moment. Throws as `get`. */
  getMany(keys: readonly K[], options?: ReadOptions): Promise<(V | undefined)[]>
  getMany<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(keys: readonly Encodable<KE, K>[], options: SnapshotOptions & EncodingsGiven<KE, VE>): Promise<(Decoded<VE, V> | undefined)[]>
  getMany(keys: readonly unknown[], options?: ReadCallOptions): Promise<any[]> {
    return this.#reads.getMany(keys, options)
  }

  /** The values of several keys, in their order, read within this call. Throws as `get`. */
  getManySync(keys: readonly K[], options?: ReadOptions): (V | undefined)[]
  getManySync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(keys: readonly Encodable<KE, K>[], options: SnapshotOptions & EncodingsGiven<KE, VE>): (Decoded<VE, V> | undefined)[]
  getManySync(keys: readonly unknown[], options?: ReadCallOptions): any[] {
    return this.#reads.getManySync(keys, options)
  }

  /** Whether a key exists. Does not decode its value. Throws as `get`. */
  has<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: SnapshotOptions & EncodingsGiven<KE, VE>): Promise<boolean> {
    return this.#reads.has(key, options)
  }

  /** Whether a key exists, read within this call. Throws as `get`. */
  hasSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: SnapshotOptions & EncodingsGiven<KE, VE>): boolean {
    return this.#reads.hasSync(key, options)
  }

  /**
   * A cursor over the entries of a range in key order, as of now or of `snapshot`: async iterable, or by `next`, `nextv`, `all`,
   * `seek`, `close`. Never fails for memory.
   * @throws SPILLWAY_INVALID_ARGUMENT | SPILLWAY_CLOSED
   * @example
   * ```ts
   * for await (const [key, value] of db.iterator({ gte: 'a', reverse: true, limit: 3 })) console.log(key, value)
   * ```
   */
  iterator(options?: IteratorOptions<K>): SpillwayIterator<[K, V], K>
  iterator<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<[Decoded<KE, K>, Decoded<VE, V>], Encodable<KE, K>>
  iterator(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, true, true)
  }

  /** A cursor over the keys of a range, see `iterator`; values are not decoded. */
  keys(options?: IteratorOptions<K>): SpillwayIterator<K, K>
  keys<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<Decoded<KE, K>, Encodable<KE, K>>
  keys(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, true, false)
  }

  /** A cursor over the values of a range, see `iterator`; keys are not decoded. */
  values(options?: IteratorOptions<K>): SpillwayIterator<V, K>
  values<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<Decoded<VE, V>, Encodable<KE, K>>
  values(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, false, true)
  }

  /** The entries of a range as a synchronous generator. Leaving the loop or reaching its end closes the iterator. Throws as `get`. */
  entriesSync(options?: IteratorOptions<K>): Generator<[K, V], void, undefined>
  entriesSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): Generator<[Decoded<KE, K>, Decoded<VE, V>], void, undefined>
  entriesSync(options: OrderOptions<unknown> & ReadCallOptions = {}): Generator<any, void, undefined> {
    return this.#reads.iterator(options, true, true).entriesSync()
  }

  /** The number of keys in a range, by walking it in steps that leave the event loop its turns. Throws as `get`. */
  count<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & SnapshotOptions & KeyEncodingGiven<KE> = {}): Promise<number> {
    return this.#reads.count(range)
  }

  /** Approximate bytes of a range on disk, from the indexes alone; entries in memory are not counted. Throws as `get`. */
  async approximateSize<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & KeyEncodingGiven<KE> = {}): Promise<number> {
    const { core } = this.#store
    core.health.checkOpen()
    return approximateBytes(core, this.#range(range, 'approximateSize'))
  }

  /**
   * Hold the present state for later reads: pass it as `snapshot`. It keeps old versions on disk until it is closed (`close`, or
   * `using`).
   * @throws SPILLWAY_CLOSED
   */
  snapshot(): Snapshot {
    return this.#reads.snapshot()
  }

  /**
   * Write everything in memory to tables.
   * @throws SPILLWAY_NO_SPACE | SPILLWAY_READ_ONLY | SPILLWAY_UNAVAILABLE | SPILLWAY_CLOSED
   */
  async flush(): Promise<void> {
    this.#scratch.checkReentry()
    this.#store.core.health.checkWritable()
    await this.#store.writer.flush()
  }

  /**
   * Merge all tables that overlap a range, dropping deleted and overwritten entries; without a range all tables. Resolves when the
   * disk space is free.
   * @throws SPILLWAY_BUDGET_TOO_SMALL | SPILLWAY_NO_SPACE | SPILLWAY_READ_ONLY | SPILLWAY_UNAVAILABLE | SPILLWAY_CLOSED
   */
  async compact<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & KeyEncodingGiven<KE> = {}): Promise<void> {
    const { core, background, writer } = this.#store
    core.health.checkWritable()
    const bytes = this.#range(range, 'compact')
    if (isEmptyRange(bytes)) return
    await writer.flush()
    await background.compact(bytes.start, bytes.end)
    // Callers want the disk space back.
    await core.files.io.removed()
  }

  /**
   * Read and check every byte on disk. Damage is listed in the report, not thrown.
   * @throws SPILLWAY_CLOSED
   */
  async verify(): Promise<VerifyReport> {
    const { core, committer } = this.#store
    core.health.checkOpen()
    return verifyStore(core, committer)
  }

  /** The memory ledger: every account with its bytes, high-water mark and bound. */
  memory(): MemoryReport {
    return this.#store.core.engine.budget.report()
  }

  /**
   * Change the budget, in bytes or as "64 MiB"; with a shared budget, for all its stores. Raising takes effect at once. Lowering
   * shrinks caches at once and memtables as they are flushed; reads go on, and writes are delayed, not failed.
   * @throws SPILLWAY_BUDGET_TOO_SMALL below the floor; nothing has changed
   */
  setBudget(budget: number | string): void {
    const { core } = this.#store
    core.health.checkOpen()
    this.#scratch.checkReentry()
    core.engine.setBudget(parseSize(budget, 'budget'), core.settings.blockBytes)
  }

  /**
   * Figures of the store: tables, memory, writes, stalls, cache. All since it was opened.
   * @throws SPILLWAY_CLOSED
   */
  stats(): StoreStats {
    const { core, committer, writer, recovery } = this.#store
    core.health.checkOpen()
    return statsOf(core, committer, writer, recovery, this.#transactions.report())
  }

  /** Absolute path of its directory. */
  get directory(): string { return this.#store.core.files.directory }
  /** Whether `close` was called. */
  get isClosed(): boolean { return this.#closing !== undefined }
  get [Symbol.toStringTag](): string { return 'Spillway' }

  /**
   * Make everything acknowledged durable on disk and release the store: iterators and snapshots end, waiting writes fail. May be
   * called again.
   * @throws SPILLWAY_UNAVAILABLE | SPILLWAY_NO_SPACE the log could not be written or synced: the store is closed, and acknowledged writes may not be on disk
   */
  close(): Promise<void> {
    if (this.#closing === undefined && this.#scratch.isBusy) return Promise.reject(reentryError())
    return this.#closing ??= closeStore(this.#store)
  }

  /** `close`, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal Shows no contents. */
  [INSPECT](depth: number | null, options: InspectOptions, inspect: Inspect): string {
    if (!(#store in this)) return inspectPrototype('Spillway')
    return inspectFields(this, 'Spillway', { directory: this.directory, state: this.isClosed ? 'closed' : 'open' }, { depth, options, inspect })
  }

  #range(range: RangeOptions<unknown> & Pick<AnyEncodings, 'keyEncoding'>, where: string): ByteRange {
    this.#scratch.checkReentry()
    checkOptions(range, [...RANGE_OPTIONS, 'keyEncoding'], where)
    return byteRange(range, this.#scratch.keys(range), this.#scratch.key)
  }
}
