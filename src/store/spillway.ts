/**
 * The store as its users see it. What a call means is said here; what it does is in the part it is handed to: `write-calls.ts` and
 * `writer.ts` (writes), `read-calls.ts` and `point-reader.ts` (gets), `iterator.ts` (ranges), `retry.ts`, `background.ts` (flush and
 * merge), `lifecycle.ts` with `recovery.ts` (open, close).
 */
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
 * Keys are at most 65 535 bytes and sort by their bytes; values are at most 256 MiB. A missing key is `undefined`.
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
   * Open a store, making it if the directory has none.
   *
   * Throws INVALID_ARGUMENT (an option, or a directory that is no store), LOCKED (names the holder), BUDGET_TOO_SMALL (names
   * the parts of the floor), CORRUPTION (names file and offset), UNAVAILABLE (a newer format).
   *
   * Keys and values are strings, or what `keyEncoding` and `valueEncoding` give: 'buffer' a Buffer, 'view' a Uint8Array, 'json' unknown, a
   * codec its own type. `open<string, User>(directory, { valueEncoding: 'json' })` says what the JSON is; that 'utf8' gives numbers, say,
   * does not compile.
   */
  static open<K extends string = string, V extends string = string>(directory: string): Promise<Spillway<K, V>>
  /** With keys that are a `K` and values that are a `V`: the encodings have to back both. */
  static open<K, V>(directory: string, options: OpenOptions<K, V>): Promise<Spillway<K, V>>
  /** With keys and values as the encodings give them. */
  static open<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    directory: string, options?: StoreOptions & EncodingsGiven<KE, VE>,
  ): Promise<Spillway<Decoded<KE>, Decoded<VE>>>
  static async open(directory: string, options: StoreOptions & AnyEncodings = {}): Promise<Spillway<any, any>> {
    return new Spillway<any, any>(await openStore(directory, options))
  }

  // ---- writing

  /** Store a value. Resolves when the write survives what `durability` says. */
  put<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    key: Encodable<KE, K>, value: Encodable<VE, V>, options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): Promise<void> {
    return this.#writes.put(key, value, options)
  }

  putSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    key: Encodable<KE, K>, value: Encodable<VE, V>, options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): void {
    this.#writes.putSync(key, value, options)
  }

  /** Remove a key; fine if it is not there. */
  del<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: DurableOptions & EncodingsGiven<KE, VE>): Promise<void> {
    return this.#writes.del(key, options)
  }

  delSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: DurableOptions & EncodingsGiven<KE, VE>): void {
    this.#writes.delSync(key, options)
  }

  /** Remove every key of a range at the cost of one small write, whatever the number of keys. `{}` removes all; a bound that is undefined is INVALID_ARGUMENT. */
  deleteRange<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): Promise<void> {
    return this.#writes.deleteRange(range, options)
  }

  deleteRangeSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    range: RangeOptions<Encodable<KE, K>>, options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): void {
    this.#writes.deleteRangeSync(range, options)
  }

  /** Write several operations, all or none. Later operations on a key win over earlier ones. */
  batch<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    operations: readonly BatchOperation<Encodable<KE, K>, Encodable<VE, V>>[], options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): Promise<void> {
    return this.#writes.batch(operations, options)
  }

  batchSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    operations: readonly BatchOperation<Encodable<KE, K>, Encodable<VE, V>>[], options?: DurableOptions & EncodingsGiven<KE, VE>,
  ): void {
    this.#writes.batchSync(operations, options)
  }

  /**
   * Run a function in a transaction, and commit what it wrote: all of it or nothing. It reads the store as of its start, with its
   * own writes on top, and may write more than fits in memory. When somebody else has written meanwhile what it writes, or has read
   * with `getForUpdate`, the function is run again, up to `retries` times (default 5), and then it is CONFLICT. What it throws
   * aborts the transaction. Resolves to what the function returns.
   */
  transaction<T>(work: (transaction: Transaction<K, V>) => Promise<T> | T, options?: TransactionOptions): Promise<T> {
    return this.#transactions.run(work, options)
  }

  /** A transaction to commit or abort by hand; `await using` aborts one that was not committed. It holds a snapshot while it is open. */
  async begin(options?: BeginOptions): Promise<Transaction<K, V>> {
    return this.#transactions.begin<K, V>(options)
  }

  // ---- reading

  /** The value of a key, or undefined. */
  get(key: K, options?: ReadOptions): Promise<V | undefined>
  get<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: SnapshotOptions & EncodingsGiven<KE, VE>): Promise<Decoded<VE, V> | undefined>
  get(key: unknown, options?: ReadCallOptions): Promise<any> {
    return this.#reads.get(key, options)
  }

  getSync(key: K, options?: ReadOptions): V | undefined
  getSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options: SnapshotOptions & EncodingsGiven<KE, VE>): Decoded<VE, V> | undefined
  getSync(key: unknown, options?: ReadCallOptions): any {
    return this.#reads.getSync(key, options)
  }

  /** The values of several keys, in their order, as of one moment. */
  getMany(keys: readonly K[], options?: ReadOptions): Promise<(V | undefined)[]>
  getMany<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    keys: readonly Encodable<KE, K>[], options: SnapshotOptions & EncodingsGiven<KE, VE>,
  ): Promise<(Decoded<VE, V> | undefined)[]>
  getMany(keys: readonly unknown[], options?: ReadCallOptions): Promise<any[]> {
    return this.#reads.getMany(keys, options)
  }

  getManySync(keys: readonly K[], options?: ReadOptions): (V | undefined)[]
  getManySync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    keys: readonly Encodable<KE, K>[], options: SnapshotOptions & EncodingsGiven<KE, VE>,
  ): (Decoded<VE, V> | undefined)[]
  getManySync(keys: readonly unknown[], options?: ReadCallOptions): any[] {
    return this.#reads.getManySync(keys, options)
  }

  has<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: SnapshotOptions & EncodingsGiven<KE, VE>): Promise<boolean> {
    return this.#reads.has(key, options)
  }

  hasSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(key: Encodable<KE, K>, options?: SnapshotOptions & EncodingsGiven<KE, VE>): boolean {
    return this.#reads.hasSync(key, options)
  }

  /** Entries of a range in key order, as of this moment or of `snapshot`. Async iterable; or next, nextv, all, seek, close. */
  iterator(options?: IteratorOptions<K>): SpillwayIterator<[K, V], K>
  iterator<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<[Decoded<KE, K>, Decoded<VE, V>], Encodable<KE, K>>
  iterator(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, true, true)
  }

  keys(options?: IteratorOptions<K>): SpillwayIterator<K, K>
  keys<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<Decoded<KE, K>, Encodable<KE, K>>
  keys(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, true, false)
  }

  values(options?: IteratorOptions<K>): SpillwayIterator<V, K>
  values<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): SpillwayIterator<Decoded<VE, V>, Encodable<KE, K>>
  values(options: OrderOptions<unknown> & ReadCallOptions = {}): SpillwayIterator<any> {
    return this.#reads.iterator(options, false, true)
  }

  /** The entries of a range without promises. Leave the loop, or run it to its end: either closes the iterator. */
  entriesSync(options?: IteratorOptions<K>): Generator<[K, V], void, undefined>
  entriesSync<KE extends GivenEncoding = undefined, VE extends GivenEncoding = undefined>(
    options: OrderOptions<Encodable<KE, K>> & SnapshotOptions & EncodingsGiven<KE, VE>,
  ): Generator<[Decoded<KE, K>, Decoded<VE, V>], void, undefined>
  entriesSync(options: OrderOptions<unknown> & ReadCallOptions = {}): Generator<any, void, undefined> {
    return this.#reads.iterator(options, true, true).entriesSync()
  }

  /** How many keys a range has, by walking it. The event loop gets its turns. */
  count<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & SnapshotOptions & KeyEncodingGiven<KE> = {}): Promise<number> {
    return this.#reads.count(range)
  }

  /** About how many bytes a range takes on disk, from the indexes alone. What is still in memory is not counted. */
  async approximateSize<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & KeyEncodingGiven<KE> = {}): Promise<number> {
    const { core } = this.#store
    core.health.checkOpen()
    return approximateBytes(core, this.#range(range, 'approximateSize'))
  }

  /** Hold the present state for reading: pass it as `snapshot`. Close it, or `using`, when done: it keeps old versions on disk. */
  snapshot(): Snapshot {
    return this.#reads.snapshot()
  }

  // ---- looking after it

  /** Write everything in memory to tables. */
  async flush(): Promise<void> {
    this.#scratch.checkReentry()
    this.#store.core.health.checkWritable()
    await this.#store.writer.flush()
  }

  /** Merge what overlaps a range into one run, dropping all that is dead. Without a range: everything. */
  async compact<KE extends GivenEncoding = undefined>(range: RangeOptions<Encodable<KE, K>> & KeyEncodingGiven<KE> = {}): Promise<void> {
    const { core, background, writer } = this.#store
    core.health.checkWritable()
    const bytes = this.#range(range, 'compact')
    if (isEmptyRange(bytes)) return
    await writer.flush()
    await background.compact(bytes.start, bytes.end)
    // Who asks for it wants the disk back.
    await core.files.io.removed()
  }

  /** Read and check every byte on disk. Damage is listed in the report, not thrown. */
  async verify(): Promise<VerifyReport> {
    const { core, committer } = this.#store
    core.health.checkOpen()
    return verifyStore(core, committer)
  }

  /** The ledger: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport {
    return this.#store.core.engine.budget.report()
  }

  /**
   * Change the budget while the store is open; with a shared budget, for all its stores. Raising takes effect at once. Lowering
   * shrinks caches at once and memtables as they are flushed; reads go on and writes are delayed, not failed.
   * Throws BUDGET_TOO_SMALL, and nothing changes, when the floor does not fit.
   */
  setBudget(budget: number | string): void {
    const { core } = this.#store
    core.health.checkOpen()
    this.#scratch.checkReentry()
    core.engine.setBudget(parseSize(budget, 'budget'), core.settings.blockBytes)
  }

  stats(): StoreStats {
    const { core, committer, writer, recovery } = this.#store
    core.health.checkOpen()
    return statsOf(core, committer, writer, recovery, this.#transactions.report())
  }

  get directory(): string { return this.#store.core.files.directory }
  get isClosed(): boolean { return this.#closing !== undefined }
  get [Symbol.toStringTag](): string { return 'Spillway' }

  /** Close: everything acknowledged is on disk, iterators and snapshots end, waiting writes fail. Closing twice is fine. */
  close(): Promise<void> {
    if (this.#closing === undefined && this.#scratch.isBusy) return Promise.reject(reentryError())
    return this.#closing ??= closeStore(this.#store)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  /** @internal Nothing of what it holds. */
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
