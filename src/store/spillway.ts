/**
 * The store as its users see it. Every method checks its arguments, encodes, and hands over to the part that does the work:
 * `commit.ts` (writes), `reader.ts` (gets), `iterator.ts` (ranges), `background.ts` (flush and merge), `recovery.ts` (open).
 */
import { compareBytes } from '../base/bytes.ts'
import { EMPTY, KIND_DELETE, KIND_PUT } from '../base/cursor.ts'
import type { Hit } from '../base/cursor.ts'
import { invalidArgument } from '../base/errors.ts'
import { parseSize } from '../base/sizes.ts'
import type { Host, HostLock } from '../host/host.ts'
import { nodeHost } from '../host/node/node-host.ts'
import type { MemoryReport } from '../memory/budget.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import { Background } from './background.ts'
import { Committer } from './commit.ts'
import { findBeside } from './cold-reads.ts'
import { Core } from './core.ts'
import { Engine } from './engine.ts'
import type { Tenant } from './engine.ts'
import { Scratch, describe, transcoder } from './encoding.ts'
import type { Transcoder } from './encoding.ts'
import { ioError, readError } from './io-error.ts'
import { SpillwayIterator } from './iterator.ts'
import { BatchOperations, MAX_KEY_BYTES, OperationList, SingleOperation, checkLengths, encodeKey, encodeValue } from './operations.ts'
import { checkOptions, checkedDurability, checkedSettings } from './options.ts'
import { RANGE_OPTIONS, byteRange, isEmptyRange } from './range.ts'
import type { ByteRange } from './range.ts'
import { Reader, decodeValue } from './reader.ts'
import { inspect, recover } from './recovery.ts'
import type { RecoveryReport } from './recovery.ts'
import { statsOf, verifyStore } from './report.ts'
import { Scan } from './scan.ts'
import type { Snapshot } from './snapshots.ts'
import { Conflicts } from './transaction-conflicts.ts'
import type { Transaction } from './transaction.ts'
import { Transactions } from './transactions.ts'
import type {
  BatchOperation, BeginOptions, Durability, IteratorOptions, OpenOptions, RangeOptions, ReadOptions, StoreStats, TransactionOptions, VerifyReport,
  WriteOptions,
} from './types.ts'
import { warmUp } from './warm-up.ts'
import { Writer } from './writer.ts'

const WRITE_OPTIONS = ['durability', 'signal', 'keyEncoding', 'valueEncoding']
const READ_OPTIONS = ['snapshot', 'keyEncoding', 'valueEncoding']
const ITERATOR_OPTIONS = [...RANGE_OPTIONS, ...READ_OPTIONS, 'reverse', 'limit']
const COUNT_OPTIONS = [...RANGE_OPTIONS, 'snapshot', 'keyEncoding']
const KEY_SCRATCH_BYTES = 66 * 1024
const VALUE_SCRATCH_BYTES = 200 * 1024
/** With more log segments than this, closing waits for a flush. */
const MOST_LOGS_LEFT = 8
/** How many gets in a row are answered at once. */
const GETS_PER_TURN = 1024
/** How long a count may hold the event loop at a time, in entries. */
const COUNT_SLICE = 20_000

/**
 * An embedded, ordered key-value store that keeps all its memory inside one budget.
 *
 * Keys are at most 65 535 bytes and sort by their bytes; values are at most 256 MiB. A missing key is `undefined`.
 */
export class Spillway<K = string, V = string> implements AsyncDisposable {
  readonly #core: Core
  readonly #background: Background
  readonly #committer: Committer
  readonly #writer: Writer
  readonly #reader: Reader
  readonly #recovery: RecoveryReport
  readonly #tenant: Tenant
  readonly #keyScratch = new Scratch(KEY_SCRATCH_BYTES)
  readonly #valueScratch = new Scratch(VALUE_SCRATCH_BYTES, true)
  readonly #targetScratch = new Scratch(KEY_SCRATCH_BYTES)
  readonly #single = new SingleOperation()
  readonly #transactions: Transactions
  #closing: Promise<void> | undefined
  #gets = 0

  private constructor(core: Core, background: Background, committer: Committer, writer: Writer, recovery: RecoveryReport) {
    this.#core = core
    this.#background = background
    this.#committer = committer
    this.#writer = writer
    this.#reader = new Reader(core)
    this.#recovery = recovery
    this.#tenant = {
      reclaimableBytes: () => committer.exchange.reclaimableBytes,
      unflushedBytes: () => core.active.memtable.liveBytes,
      yieldMemtable: () => committer.exchange.yield(),
      retryFlush: () => background.retryNow(),
      heldBy: () => committer.exchange.heldBy,
      tableBytes: () => core.tree.tableBytes,
      waitingBytes: () => writer.waitingBytes,
      schedule: () => background.schedule(),
      mergeForReaders: () => background.mergeForReaders(),
      onProgress: () => {
        background.wake()
        writer.onProgress()
      },
    }
    core.engine.admit(this.#tenant)
    this.#transactions = new Transactions({
      core, background, committer, writer, conflicts: new Conflicts(core), reader: this.#reader,
      keyScratch: this.#keyScratch, valueScratch: this.#valueScratch, targetScratch: this.#targetScratch,
      settle: () => this.#settle(), letGo: () => this.#letGo(), counters: { committed: 0, conflicts: 0 },
    })
  }

  /**
   * Open a store, making it if the directory has none.
   *
   * Throws INVALID_ARGUMENT (an option, or a directory that is no store), LOCKED (names the holder), BUDGET_TOO_SMALL (names
   * the parts of the floor), CORRUPTION (names file and offset), UNAVAILABLE (a newer format).
   */
  static async open<K = string, V = string>(directory: string, options: OpenOptions<K, V> = {}): Promise<Spillway<K, V>> {
    if (typeof directory !== 'string' || directory === '') throw invalidArgument(`Spillway.open takes the path of a directory, not ${describe(directory)}`)
    const host: Host = options?.host ?? nodeHost()
    const settings = checkedSettings(options, host)
    await Engine.settled(settings.budget)
    const engine = Engine.acquire(settings.budget, host, settings.blockBytes, {
      isShared: settings.sharesBudget, writeShare: settings.writeShare, compressedCache: settings.compressedCache, rowCache: settings.rowCache, coldReads: settings.coldReads,
    })
    let core: Core | undefined
    let background: Background | undefined
    try {
      core = new Core(engine, directory, settings)
      inspect(core, false)
      host.files.makeDirectory(directory)
      core.lock = await host.lock(directory)
      const made = core
      const recovered = recover(core, () => background = new Background(made))
      const committer = new Committer(core, recovered.background)
      committer.start()
      const writer = new Writer(core, recovered.background, committer)
      const store = new Spillway<K, V>(core, recovered.background, committer, writer, recovered.report)
      recovered.background.schedule()
      // Simulated hosts are to do the same in every process.
      if (options?.host === undefined) warmUp(core)
      return store
    } catch (error) {
      if (core !== undefined) {
        core.closed = true
        await background?.close()
        core.releaseMemory()
        await (core.lock as HostLock | undefined)?.release()
      }
      await engine.release()
      throw ioError(error, `opening ${directory}`)
    }
  }

  // ---- writing

  /** Store a value. Resolves when the write survives what `durability` says. */
  put(key: K, value: V, options?: WriteOptions): Promise<void> {
    // Not an async function: writers of one turn share one promise.
    try {
      return this.#writer.write(this.#single, this.#loadPut(key, value, options), options?.signal)
    } catch (error) {
      return Promise.reject(error)
    } finally {
      this.#letGo()
    }
  }

  putSync(key: K, value: V, options?: WriteOptions): void {
    try {
      this.#writer.writeSync(this.#single, this.#loadPut(key, value, options), options?.signal)
    } finally {
      this.#letGo()
    }
  }

  /** Remove a key; fine if it is not there. */
  del(key: K, options?: WriteOptions): Promise<void> {
    try {
      return this.#writer.write(this.#single, this.#loadDel(key, options), options?.signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  delSync(key: K, options?: WriteOptions): void {
    const durability = this.#loadDel(key, options)
    this.#writer.writeSync(this.#single, durability, options?.signal)
  }

  /** Remove every key of a range at the cost of one small write, whatever the number of keys. `{}` removes all. */
  async deleteRange(range: RangeOptions<K>, options?: WriteOptions): Promise<void> {
    const operations = this.#rangeOperations(range, options)
    if (operations.count > 0 || operations.prepare !== undefined) await this.#writer.write(operations, this.#durability(options), options?.signal)
  }

  deleteRangeSync(range: RangeOptions<K>, options?: WriteOptions): void {
    const operations = this.#rangeOperations(range, options)
    if (operations.count > 0 || operations.prepare !== undefined) this.#writer.writeSync(operations, this.#durability(options), options?.signal)
  }

  /** Write several operations, all or none. Later operations on a key win over earlier ones. */
  async batch(operations: readonly BatchOperation<K, V>[], options?: WriteOptions): Promise<void> {
    const loaded = this.#batchOperations(operations, options)
    if (loaded.count === 0) return
    const durability = this.#durability(options)
    let written: Promise<void>
    try {
      written = this.#writer.write(loaded, durability, options?.signal)
    } finally {
      this.#letGo()
    }
    await written
  }

  batchSync(operations: readonly BatchOperation<K, V>[], options?: WriteOptions): void {
    const loaded = this.#batchOperations(operations, options)
    if (loaded.count === 0) return
    try {
      this.#writer.writeSync(loaded, this.#durability(options), options?.signal)
    } finally {
      this.#letGo()
    }
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
  get(key: K, options?: ReadOptions): Promise<V | undefined> {
    try {
      const isLast = ++this.#gets % GETS_PER_TURN === 0
      if (this.#core.engine.readsBeside && !isLast) {
        const values = this.#valueTranscoder(options)
        return this.#findBeside(key, options, hit => this.#valueOf(hit, values))
      }
      const value = this.getSync(key, options)
      return isLast ? this.#turn(value) : Promise.resolve(value)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  getSync(key: K, options?: ReadOptions): V | undefined {
    const hit = this.#find(key, options)
    if (hit === undefined) return undefined
    const values = this.#valueTranscoder(options)
    try {
      return this.#valueOf(hit, values)
    } catch (error) {
      throw readError(error)
    }
  }

  /** The values of several keys, in their order, as of one moment. */
  async getMany(keys: readonly K[], options?: ReadOptions): Promise<(V | undefined)[]> {
    if (!this.#core.engine.readsBeside || !Array.isArray(keys)) return this.getManySync(keys, options)
    return Promise.all(keys.map(key => this.get(key, options)))
  }

  getManySync(keys: readonly K[], options?: ReadOptions): (V | undefined)[] {
    if (!Array.isArray(keys)) throw invalidArgument(`getMany takes an array of keys, not ${describe(keys)}`)
    return keys.map(key => this.getSync(key, options))
  }

  async has(key: K, options?: ReadOptions): Promise<boolean> {
    const isLast = ++this.#gets % GETS_PER_TURN === 0
    if (this.#core.engine.readsBeside && !isLast) return this.#findBeside(key, options, hit => hit !== undefined)
    const isThere = this.hasSync(key, options)
    return isLast ? this.#turn(isThere) : isThere
  }

  hasSync(key: K, options?: ReadOptions): boolean {
    return this.#find(key, options) !== undefined
  }

  /** Entries of a range in key order, as of this moment or of `snapshot`. Async iterable; or next, nextv, all, seek, close. */
  iterator(options: IteratorOptions<K, V> = {}): SpillwayIterator<[K, V]> {
    return this.#iterator(options, true, true)
  }

  keys(options: IteratorOptions<K, V> = {}): SpillwayIterator<K> {
    return this.#iterator(options, true, false)
  }

  values(options: IteratorOptions<K, V> = {}): SpillwayIterator<V> {
    return this.#iterator(options, false, true)
  }

  /** The entries of a range without promises. Leave the loop, or run it to its end: either closes the iterator. */
  entriesSync(options: IteratorOptions<K, V> = {}): Generator<[K, V], void, undefined> {
    return this.iterator(options).entriesSync()
  }

  /** How many keys a range has, by walking it. The event loop gets its turns. */
  async count(range: RangeOptions<K> & ReadOptions = {}): Promise<number> {
    checkOptions(range, COUNT_OPTIONS, 'count')
    const iterator = this.#iterator(range as IteratorOptions<K, V>, true, false)
    try {
      let count = 0
      while (!iterator.ended) {
        count += iterator.countSync(COUNT_SLICE)
        if (!iterator.ended) await new Promise<void>(resolve => this.#core.host.scheduler.soon(resolve))
      }
      return count
    } finally {
      iterator.closeSync()
    }
  }

  /** About how many bytes a range takes on disk, from the indexes alone. What is still in memory is not counted. */
  async approximateSize(range: RangeOptions<K> & Pick<ReadOptions, 'keyEncoding'> = {}): Promise<number> {
    const core = this.#core
    core.checkOpen()
    checkOptions(range, [...RANGE_OPTIONS, 'keyEncoding'], 'approximateSize')
    const { start, end } = byteRange(range, this.#keyTranscoder(range), this.#keyScratch)
    let bytes = 0
    for (const run of core.tree.runs) {
      for (const reader of run.pointReaders) {
        const { firstKey, lastKey, fileBytes } = reader.properties
        const from = start === undefined || compareBytes(start, 0, start.length, firstKey!, 0, firstKey!.length) <= 0
          ? 0 : compareBytes(start, 0, start.length, lastKey!, 0, lastKey!.length) > 0 ? fileBytes : reader.approximateOffset(core.blocks, start)
        const to = end === undefined || compareBytes(end, 0, end.length, lastKey!, 0, lastKey!.length) > 0
          ? fileBytes : compareBytes(end, 0, end.length, firstKey!, 0, firstKey!.length) <= 0 ? 0 : reader.approximateOffset(core.blocks, end)
        bytes += Math.max(0, to - from)
      }
    }
    return bytes
  }

  /** Hold the present state for reading: pass it as `snapshot`. Close it, or `using`, when done: it keeps old versions on disk. */
  snapshot(): Snapshot {
    this.#settle()
    return this.#core.snapshots.add(this.#core.lastSeq)
  }

  // ---- looking after it

  /** Write everything in memory to tables. */
  async flush(): Promise<void> {
    this.#core.checkWritable()
    await this.#writer.flush()
  }

  /** Merge what overlaps a range into one run, dropping all that is dead. Without a range: everything. */
  async compact(range: RangeOptions<K> & Pick<ReadOptions, 'keyEncoding'> = {}): Promise<void> {
    this.#core.checkWritable()
    checkOptions(range, [...RANGE_OPTIONS, 'keyEncoding'], 'compact')
    const bytes = byteRange(range, this.#keyTranscoder(range), this.#keyScratch)
    if (isEmptyRange(bytes)) return
    await this.#writer.flush()
    await this.#background.compact(bytes.start, bytes.end)
    // Who asks for it wants the disk back.
    await this.#core.host.files.removed()
  }

  /** Read and check every byte on disk. Damage is listed in the report, not thrown. */
  async verify(): Promise<VerifyReport> {
    this.#core.checkOpen()
    return verifyStore(this.#core, this.#committer)
  }

  /** The ledger: every account, its bytes, its high-water mark and what bounds it. */
  memory(): MemoryReport {
    return this.#core.engine.budget.report()
  }

  /**
   * Change the budget while the store is open; with a shared budget, for all its stores. Raising takes effect at once. Lowering
   * shrinks caches at once and memtables as they are flushed; reads go on and writes are delayed, not failed.
   * Throws BUDGET_TOO_SMALL, and nothing changes, when the floor does not fit.
   */
  setBudget(budget: number | string): void {
    this.#core.checkOpen()
    this.#core.engine.setBudget(parseSize(budget, 'budget'), this.#core.settings.blockBytes)
  }

  stats(): StoreStats {
    this.#core.checkOpen()
    return statsOf(this.#core, this.#committer, this.#writer, this.#recovery, this.#transactions.report())
  }

  get directory(): string { return this.#core.directory }
  get isClosed(): boolean { return this.#closing !== undefined }

  /** Close: everything acknowledged is on disk, iterators and snapshots end, waiting writes fail. Closing twice is fine. */
  close(): Promise<void> {
    return this.#closing ??= this.#close()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #close(): Promise<void> {
    const core = this.#core
    // A life too short for a flush must not leave ever more log behind. What it cannot flush is in the log.
    if (core.logs.length > MOST_LOGS_LEFT && core.readOnlyReason === undefined) await this.#writer.flush().catch(() => {})
    core.closing = true
    for (const transaction of [...core.transactions]) transaction.abandon()
    for (const iterator of [...core.iterators]) iterator.closeSync()
    core.snapshots.closeAll()
    this.#writer.close()
    try {
      // What ends from now on is not installed any more: the manifest that says how the store was closed is the last one.
      await this.#background.installed()
      await this.#committer.close()
    } catch (error) {
      throw ioError(error, 'closing the log')
    } finally {
      core.closed = true
      try {
        await this.#background.close()
        core.engine.dismiss(this.#tenant)
        core.releaseMemory()
        await core.engine.release()
        await core.host.files.removed()
      } finally {
        await core.lock.release()
      }
    }
  }

  // ---- between the two

  #loadPut(key: K, value: V, options: WriteOptions | undefined): Durability {
    const single = this.#single
    this.#checkReentry()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'put')
    encodeKey(key, this.#keyTranscoder(options), this.#keyScratch)
    encodeValue(value, this.#valueTranscoder(options), this.#valueScratch)
    single.kind = KIND_PUT
    single.key = this.#keyScratch.bytes
    single.keyStart = this.#keyScratch.start
    single.keyEnd = this.#keyScratch.end
    single.value = this.#valueScratch.bytes
    single.valueStart = this.#valueScratch.start
    single.valueEnd = this.#valueScratch.end
    single.longText = this.#valueScratch.longText
    checkLengths(single.keyEnd - single.keyStart, single.valueEnd - single.valueStart)
    return this.#durability(options)
  }

  #loadDel(key: K, options: WriteOptions | undefined): Durability {
    const single = this.#single
    this.#checkReentry()
    if (options !== undefined) checkOptions(options, WRITE_OPTIONS, 'del')
    encodeKey(key, this.#keyTranscoder(options), this.#keyScratch)
    single.kind = KIND_DELETE
    single.key = this.#keyScratch.bytes
    single.keyStart = this.#keyScratch.start
    single.keyEnd = this.#keyScratch.end
    single.valueStart = 0
    single.valueEnd = 0
    checkLengths(single.keyEnd - single.keyStart, 0)
    return this.#durability(options)
  }

  #batchOperations(operations: readonly BatchOperation<K, V>[], options: WriteOptions | undefined): BatchOperations {
    this.#checkReentry()
    checkOptions(options, WRITE_OPTIONS, 'batch')
    return new BatchOperations(operations, this.#keyTranscoder(options), this.#valueTranscoder(options), this.#keyScratch, this.#valueScratch)
  }

  #rangeOperations(range: RangeOptions<K>, options: WriteOptions | undefined): OperationList {
    const core = this.#core
    core.checkWritable()
    checkOptions(options, WRITE_OPTIONS, 'deleteRange')
    checkOptions(range, RANGE_OPTIONS, 'deleteRange')
    if (range === undefined || range === null) throw invalidArgument('deleteRange takes a range such as { gte, lt }; {} removes everything')
    const bytes = byteRange(range, this.#keyTranscoder(options), this.#keyScratch)
    const start = bytes.start ?? new Uint8Array(0)
    const list = new OperationList()
    const fill = (end: Uint8Array | undefined): void => {
      list.clear()
      if (end === undefined || start.length > MAX_KEY_BYTES || isEmptyRange({ start, end })) return
      if (end.length > MAX_KEY_BYTES) {
        // The range ends with the longest possible key, which has no successor of a key's length: that one goes by itself.
        end = end.subarray(0, MAX_KEY_BYTES)
        list.add(KIND_DELETE, end, new Uint8Array(0))
      }
      list.add(KIND_DELETE_RANGE, start, end)
    }
    // Where "to the end" is depends on every write before it, and those may still be waiting.
    if (bytes.end === undefined) {
      list.prepare = () => fill(this.#behindLastKey())
      list.preparedBytes = start.length
    } else {
      fill(bytes.end)
    }
    return list
  }

  /** The first possible key behind all visible ones; undefined when there are none. */
  #behindLastKey(): Uint8Array | undefined {
    const scan = new Scan(this.#core, this.#core.lastSeq, true)
    try {
      scan.seek(undefined)
      if (!scan.valid) return undefined
      const end = new Uint8Array(scan.keyLength + 1)
      end.set(scan.key.subarray(0, scan.keyLength))
      return end
    } finally {
      scan.close()
    }
  }

  #find(key: K, options: ReadOptions | undefined): Hit | undefined {
    const core = this.#core
    this.#settle()
    if (options !== undefined) checkOptions(options, READ_OPTIONS, 'get')
    const snapshotSeq = options === undefined ? core.lastSeq : core.snapshots.seqOf(options.snapshot, core.lastSeq)
    const scratch = this.#keyScratch
    encodeKey(key, this.#keyTranscoder(options), scratch)
    if (scratch.end - scratch.start > MAX_KEY_BYTES) return undefined
    try {
      return this.#reader.find(scratch.bytes, scratch.start, scratch.end, snapshotSeq)
    } catch (error) {
      throw readError(error)
    }
  }

  /** The same where blocks come from a device. Of `answer` views are no longer valid when it returns. */
  #findBeside<T>(key: K, options: ReadOptions | undefined, answer: (hit: Hit | undefined) => T): Promise<T> {
    const core = this.#core
    this.#settle()
    if (options !== undefined) checkOptions(options, READ_OPTIONS, 'get')
    const snapshotSeq = options === undefined ? core.lastSeq : core.snapshots.seqOf(options.snapshot, core.lastSeq)
    const scratch = this.#keyScratch
    encodeKey(key, this.#keyTranscoder(options), scratch)
    if (scratch.end - scratch.start > MAX_KEY_BYTES) return Promise.resolve(answer(undefined))
    return findBeside(core, this.#reader, scratch.bytes, scratch.start, scratch.end, snapshotSeq, answer)
  }

  #valueOf(hit: Hit | undefined, values: Transcoder): V | undefined {
    if (hit === undefined) return undefined
    const { value } = hit
    // The memtable's arena may be given back before the next read.
    hit.value = EMPTY
    return decodeValue(this.#core, values, hit.kind, value, hit.valueStart, hit.valueEnd) as V
  }

  /** After a write: what waits has been copied, so nothing of the caller's is held any longer, least of all a large value. */
  #letGo(): void {
    if (!this.#keyScratch.holdsForeign && !this.#valueScratch.holdsForeign) return
    // A codec that calls the store is refused, and the call it is part of goes on.
    if (this.#keyScratch.busy || this.#valueScratch.busy) return
    this.#single.release()
    this.#keyScratch.release()
    this.#valueScratch.release()
  }

  /** A codec that calls its own store would overwrite the key or value being encoded. */
  #checkReentry(): void {
    if (this.#keyScratch.busy || this.#valueScratch.busy) {
      throw invalidArgument('a codec called the store it encodes for. Look up what it needs before, and let encode only encode')
    }
  }

  /** Reads see every write called before them, but for those that wait for room: what waits for the end of this turn is committed now. */
  #settle(): void {
    this.#core.checkOpen()
    this.#checkReentry()
    if (this.#committer.hasPending) this.#committer.commitGroup()
    if (this.#core.engine.readersPay) this.#core.engine.lookAfterReaders()
  }

  /** The value, when the event loop has had its turn: a loop of reads that are answered at once would leave it none. */
  #turn<T>(value: T): Promise<T> {
    return new Promise(resolve => this.#core.host.scheduler.soon(() => resolve(value)))
  }

  #iterator<T>(options: IteratorOptions<K, V>, withKeys: boolean, withValues: boolean): SpillwayIterator<T> {
    const core = this.#core
    this.#settle()
    checkOptions(options, ITERATOR_OPTIONS, 'iterator')
    const { reverse = false, limit } = options
    if (typeof reverse !== 'boolean') throw invalidArgument(`reverse must be true or false, not ${describe(reverse)}`)
    if (limit !== undefined && limit !== Infinity && (!Number.isSafeInteger(limit) || limit < -1)) {
      throw invalidArgument(`limit must be a whole number, or -1 or Infinity for all, not ${describe(limit)}`)
    }
    const keys = this.#keyTranscoder(options)
    const range: ByteRange = byteRange(options, keys, this.#keyScratch)
    return new SpillwayIterator<T>(core, {
      range, reverse, limit: limit === undefined || limit === -1 ? Infinity : limit,
      keys: withKeys ? keys : undefined,
      values: withValues ? this.#valueTranscoder(options) : undefined,
      targets: keys, targetScratch: this.#targetScratch,
      snapshotSeq: core.snapshots.seqOf(options.snapshot, core.lastSeq),
    })
  }

  #durability(options: WriteOptions | undefined): Durability {
    const signal = options?.signal
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidArgument(`signal must be an AbortSignal, not ${describe(signal)}`)
    return checkedDurability(options?.durability, this.#core.settings.durability)
  }

  #keyTranscoder(options: { keyEncoding?: WriteOptions['keyEncoding'] } | undefined): Transcoder {
    return options?.keyEncoding === undefined ? this.#core.settings.key : transcoder(options.keyEncoding, 'keyEncoding')
  }

  #valueTranscoder(options: { valueEncoding?: WriteOptions['valueEncoding'] } | undefined): Transcoder {
    return options?.valueEncoding === undefined ? this.#core.settings.value : transcoder(options.valueEncoding, 'valueEncoding')
  }
}
