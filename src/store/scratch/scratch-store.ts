/**
 * A store that does not outlive its process: the engine without log, manifests, syncs and lock, used synchronously and in bytes.
 * Tables go to a temporary directory, made when the first one is written.
 *
 * Invariants
 * 1. Every write is applied inside its call; one that throws has changed nothing.
 * 2. `close` and `clear` stop the jobs of this store at their next step and wait for that, so that no file is made afterwards.
 * 3. The directory is removed by `close`, else at the end of the process, after a crash by the next process that needs one.
 *
 * Accounts: those of a store (MEMORY.md); log and queue stay unused.
 */
import { EMPTY, KIND_DELETE, KIND_PUT } from '../../base/cursor.ts'
import type { Hit } from '../../base/cursor.ts'
import { SpillwayError } from '../../base/errors.ts'
import type { Host } from '../../host/host.ts'
import { nodeHost } from '../../host/node/node-host.ts'
import { temporaryDirectory } from '../../host/node/temporary-directory.ts'
import { ScratchDirectory } from '../../host/scratch-directory.ts'
import type { Version } from '../../manifest/version.ts'
import type { Budget, Lease, MemoryReport } from '../../memory/budget.ts'
import { StoreState } from '../state/store-state.ts'
import type { Transcoder } from '../../encoding/encoding.ts'
import { BudgetEngine } from '../engine/budget-engine.ts'
import type { Tenant } from '../engine/tenant.ts'
import { ioError, readError } from '../api/io-errors.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import { SingleOperation, checkLengths } from '../api/operations.ts'
import { checkedSettings, chooseStrategy } from '../api/settings.ts'
import { checkFloor } from '../engine/budget-plan.ts'
import { PointReader, decodeValue } from '../read/point-reader.ts'
import { withMemory } from '../engine/wait-for-lease.ts'
import { Scan } from '../scan/entry-scan.ts'
import { ScratchWriter } from './scratch-writer.ts'
import { Background } from '../background/background.ts'
import { scratchPlace } from './null-parts.ts'
import { Tree } from '../state/tree.ts'
import { Writer } from '../write/writer.ts'

export interface ScratchOptions {
  budget: number | string | Budget
  /** Parent of its directory; undefined: the system's temporary directory. */
  directory: string | undefined
  /** Default: this machine. */
  host?: Host | undefined
}

/** Counters, for reports and tests. */
export interface ScratchStats {
  runs: number
  tables: number
  tableBytes: number
  flushes: number
  merges: number
  flushBytes: number
  mergeBytes: number
  cacheHits: number
  cacheMisses: number
  stalledMs: number
}

export class ScratchStore {
  readonly #core: StoreState
  readonly #files: ScratchDirectory
  readonly #background: Background
  readonly #committer: ScratchWriter
  readonly #writer: Writer
  readonly #reader: PointReader
  readonly #tenant: Tenant
  readonly #single = new SingleOperation()

  /** Throws INVALID_ARGUMENT, and BUDGET_TOO_SMALL with the parts of the floor. */
  constructor({ budget, directory, host = nodeHost() }: ScratchOptions) {
    const settings = { ...checkedSettings({ budget, durability: 'none' }, host), isScratch: true }
    const engine = BudgetEngine.acquire(host, settings)
    let core: StoreState | undefined
    try {
      this.#files = new ScratchDirectory(host, directory ?? temporaryDirectory())
      this.#core = core = new StoreState(engine, scratchPlace(host, host.resolve(this.#files.place)), settings, withMemory(engine, () => engine.leaseStore()))
      core.strategy = chooseStrategy(undefined, undefined, core.engine.plan.maxRuns)
      this.#begin()
      checkFloor(core.engine.plan, engine.metadataBytes)
      this.#background = new Background(core, { output: () => { this.#files.make(); return {} } })
      this.#committer = new ScratchWriter(core, this.#background, this.#files)
      this.#writer = new Writer(core, this.#background, this.#committer)
      this.#reader = new PointReader(core, core.engine.reading.blocks, core.engine.reading.cache)
    } catch (error) {
      core?.releaseMemory()
      engine.releaseSync()
      throw error
    }
    const { exchange } = this.#committer
    const made = core
    this.#tenant = {
      owner: exchange,
      writtenBytes: () => made.counters.userBytes - made.counters.largeBytes,
      reclaimableBytes: () => exchange.reclaimableBytes,
      unflushedBytes: () => made.view.active.memtable.liveBytes,
      yieldMemtable: () => exchange.yield(),
      retryFlush: isAskedFor => this.#background.flusher.retry(isAskedFor),
      heldBy: () => exchange.heldBy,
      tableBytes: () => made.view.tree.tableBytes,
      waitingBytes: () => this.#writer.waitingBytes,
      schedule: () => this.#background.schedule(),
      onProgress: () => {
        this.#background.wake()
        this.#writer.onProgress()
      },
    }
    engine.memory.admit(this.#tenant)
  }

  get budget(): Budget { return this.#core.engine.budget }
  get blockBytes(): number { return this.#core.settings.blockBytes }
  /** Larger values take a file each. */
  get inlineValueBytes(): number { return this.#core.engine.plan.inlineValueBytes }
  /** Its directory; undefined: none yet. */
  get directory(): string | undefined { return this.#files.path }

  /** `longText`: see `Scratch`; then only the value's length counts. No argument is kept. */
  put(key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number, longText = ''): void {
    const single = this.#single
    checkLengths(keyEnd - keyStart, valueEnd - valueStart)
    single.kind = KIND_PUT
    single.key = key
    single.keyStart = keyStart
    single.keyEnd = keyEnd
    single.value = value
    single.valueStart = valueStart
    single.valueEnd = valueEnd
    single.longText = longText
    this.#write()
  }

  del(key: Uint8Array, keyStart: number, keyEnd: number): void {
    const single = this.#single
    single.kind = KIND_DELETE
    single.key = key
    single.keyStart = keyStart
    single.keyEnd = keyEnd
    single.value = EMPTY
    single.valueStart = single.valueEnd = 0
    single.longText = ''
    this.#write()
  }

  /** The value of a key, as views valid until the next call; undefined: none. */
  find(key: Uint8Array, start: number, end: number): Hit | undefined {
    try {
      return this.#reader.find(key, start, end, this.#core.lastSeq)
    } catch (error) {
      throw readError(error)
    }
  }

  /** Decode a hit; the result shares nothing with the store. */
  decode(values: Transcoder, kind: number, value: Uint8Array, start: number, end: number): unknown {
    try {
      return decodeValue(this.#core, values, kind, value, start, end)
    } catch (error) {
      throw readError(error)
    }
  }

  /** A cursor over all present entries, valid while `isCurrent`. */
  scan(reverse: boolean): Scan {
    return new Scan(this.#core, this.#core.lastSeq, reverse)
  }

  /** Whether a scan opened at `seq` still sees the present state. A low-memory scan never counts: it blocks the reserve. */
  isCurrent(scan: Scan, seq: number): boolean {
    const core = this.#core
    return seq === core.lastSeq && scan.generation === core.view.generation && !scan.isNarrow
  }

  /** Called to release scans kept between calls, when others need the read reserve. */
  get scanHolders(): Set<() => void> { return this.#core.engine.reading.windows.holders }

  get lastSeq(): number { return this.#core.lastSeq }

  /** Memory for prefetching; undefined: none now. */
  leaseReading(bytes: number): Lease | undefined {
    return this.#core.engine.reading.windows.account.tryLease(bytes)
  }

  /** Register a reclaimer. Returns its removal. */
  addReclaimer(reclaimer: (bytes: number) => number): () => void {
    return this.budget.addReclaimer('collections', reclaimer)
  }

  /** Drop everything. Constant cost, plus the removal of its files. */
  clear(): void {
    const core = this.#core
    this.#stopJobs()
    this.#dropAll()
    core.health.reset()
    this.#begin()
    core.engine.jobs.progress()
  }

  memory(): MemoryReport { return this.budget.report() }

  stats(): ScratchStats {
    const { view: { tree }, counters: { flushes, merges, flushBytes, mergeBytes }, engine: { reading: { cache } } } = this.#core
    const { hits, misses } = cache.stats()
    return {
      runs: tree.runs.length, tables: tree.tableCount, tableBytes: tree.tableBytes, flushes, merges, flushBytes, mergeBytes,
      cacheHits: hits, cacheMisses: misses, stalledMs: this.#committer.stalls.report().totalMs,
    }
  }

  /** Throws UNAVAILABLE when files cannot be removed; the rest is released, and the next process that needs a directory removes them. */
  close(): void {
    const core = this.#core
    if (core.health.closing) return
    core.health.closing = true
    try {
      this.#stopJobs()
      this.#writer.close()
      core.engine.memory.dismiss(this.#tenant)
      core.engine.logBuffer.leave(this.#committer)
      core.releaseMemory()
      core.engine.releaseSync()
    } finally {
      this.#removeFiles()
    }
  }

  #removeFiles(): void {
    try {
      this.#files.close()
    } catch (error) {
      throw ioError(error, 'removing scratch files')
    }
  }

  #write(): void {
    const single = this.#single
    try {
      this.#writer.writeSync(single, 'none', undefined)
    } catch (error) {
      throw ioError(error, 'writing')
    } finally {
      // Keep nothing of the caller's.
      if (single.valueEnd > 0) single.release()
    }
  }

  /** An empty version. Numbers go on, so that none is used twice. */
  #begin(): void {
    const core = this.#core
    const { name, parameters } = core.strategy
    const before = core.view.version as Version | undefined
    const version = {
      number: (before?.number ?? 0) + 1, epoch: 1, lastSeq: core.lastSeq, logFloor: 1,
      nextFile: Atomics.add(core.files.nextNumber, 0, 1) + 1, nextRun: before?.nextRun ?? 1, strategy: { name, parameters }, runs: [],
    }
    core.tables.holdRuns(0)
    core.setTables(version, new Tree(version, core.tables.readers, core.strategy))
    core.setMemtables(new MemtableSlot(undefined, 1, core.engine.metadata), [])
  }

  /** Returns when no job of this store runs; their output is removed. */
  #stopJobs(): void {
    const core = this.#core
    core.health.closed = true
    core.health.stopJobs()
    while (!this.#background.isIdle && this.#background.waitInside()) { /* one of somebody's jobs has ended */ }
  }

  #dropAll(): void {
    const core = this.#core
    core.engine.reading.cache.rows.drop(core.view.tree.space)
    for (const slot of [core.view.active, ...core.view.sealed]) {
      core.valueFiles.release(slot.valueFiles)
      slot.close()
      if (!slot.isPlaceholder) core.engine.admission.give(slot.buffer)
    }
    core.setMemtables(core.view.active, [])
    core.files.unsyncedValues.clear()
    for (const reader of [...core.tables.readers.values()]) {
      const { fileNumber, valueFiles } = reader.properties
      core.engine.reading.cache.dropTable(reader.id)
      core.tables.drop(fileNumber)
      core.files.discard(core.files.tablePath(fileNumber))
      core.valueFiles.release(valueFiles)
    }
  }
}

/** The error of a closed collection. */
export function closedError(what: string): SpillwayError {
  return new SpillwayError('SPILLWAY_CLOSED', `the ${what} was disposed of. Make a new one`)
}
