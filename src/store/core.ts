/**
 * What all parts of an open store share: its files, its memory, its state. Parts change it only through what they are for:
 * `commit.ts` the memtables and the log, `background.ts` the tree.
 */
import { SpillwayError } from '../base/errors.ts'
import { Kernels } from '../base/kernels/kernels.ts'
import { BlockCache } from '../cache/block-cache.ts'
import { KERNEL_REGION_BYTES } from '../compaction/jobs.ts'
import type { Strategy } from '../compaction/strategy.ts'
import type { Host, HostLock } from '../host/host.ts'
import { ManifestStore } from '../manifest/manifest-store.ts'
import { logName, tableName, valueName } from '../manifest/names.ts'
import type { Version } from '../manifest/version.ts'
import { Budget } from '../memory/budget.ts'
import type { Account, Lease } from '../memory/budget.ts'
import { WindowPool } from '../memory/windows.ts'
import { CachedBlocks } from '../table/block/block-source.ts'
import type { TableReader } from '../table/table-reader.ts'
import { TableSet } from './table-set.ts'
import { Arenas } from './memtables.ts'
import type { MemtableSlot } from './memtables.ts'
import type { Settings } from './options.ts'
import type { Plan } from './plan.ts'
import { SnapshotList } from './snapshots.ts'
import type { Tree } from './tree.ts'
import { ValueFiles } from './value-files.ts'

/** Bytes and events since the store was opened. */
export class Counters {
  userBytes = 0
  operations = 0
  logBytes = 0
  flushBytes = 0
  mergeBytes = 0
  valueFileBytes = 0
  flushes = 0
  merges = 0
  backgroundErrors = 0
  stallCount = 0
  stallMs = 0
}

export class Core {
  readonly host: Host
  readonly directory: string
  readonly settings: Settings
  readonly plan: Plan
  readonly budget: Budget
  readonly kernels: Kernels
  readonly cache: BlockCache
  readonly blocks: CachedBlocks
  readonly windows: WindowPool
  readonly snapshots: SnapshotList
  readonly manifests: ManifestStore
  readonly tables: TableSet
  readonly valueFiles: ValueFiles
  readonly arenas: Arenas
  readonly jobsAccount: Account
  readonly metadataAccount: Account
  readonly logBuffer: Uint8Array
  readonly counters = new Counters()
  /** The next free file number, shared with the worker. */
  readonly nextFile = new Int32Array(new SharedArrayBuffer(4))

  // Set by recovery before anything else runs.
  lock!: HostLock
  version!: Version
  strategy!: Strategy
  tree!: Tree
  active!: MemtableSlot
  /** Being flushed, oldest first. */
  sealed: MemtableSlot[] = []
  lastSeq = 0
  /** Numbers of all log segments on disk, ascending. */
  logs: number[] = []
  /** Changes when memtables or tables are exchanged: iterators look for their place again. */
  shape = 0
  readonly iterators = new Set<{ closeSync(): void }>()
  /** Scans that stand between two calls of their iterators: closed when their windows are needed. */
  readonly idleScans = new Set<() => void>()
  /** Set once: no write is taken any more. */
  readOnlyReason: Error | undefined
  lastBackgroundError: Error | undefined
  closed = false
  readonly #leases: Lease[] = []

  constructor(host: Host, directory: string, settings: Settings, plan: Plan) {
    this.host = host
    this.directory = directory
    this.settings = settings
    this.plan = plan
    const budget = new Budget(plan.budgetBytes)
    this.budget = budget
    this.metadataAccount = budget.account('table metadata', 'grows with tables: top index, range tombstones, key ranges')
    this.jobsAccount = budget.account('flush and merge', 'one flush and one smallest merge are reserved; wider merges lease more')
    const reserve = (name: string, bound: string, bytes: number): void => {
      this.#leases.push(budget.account(name, bound).lease(bytes))
    }
    reserve('kernels', 'fixed: wasm memory for checksums and compression', plan.kernelBytes)
    reserve('worker', plan.mode === 'worker' ? 'fixed: one isolate with a small heap' : 'fixed: wasm memory of background jobs', plan.workerBytes)
    reserve('log', 'fixed: one buffer', plan.logBufferBytes)
    reserve('write queue', 'fixed: writes waiting for a flush', plan.queueBytes)
    reserve('encoding', 'fixed: scratch for keys and values', plan.scratchBytes)
    this.#leases.push(this.jobsAccount.lease(plan.flushBytes + plan.mergeReserveBytes))
    this.arenas = new Arenas(budget.account('memtables', 'fixed: two arenas'), plan.memtableBytes)
    this.kernels = new Kernels(KERNEL_REGION_BYTES)
    this.logBuffer = new Uint8Array(plan.logBufferBytes)
    this.cache = new BlockCache(budget.account('block cache', 'whatever nobody else needs'))
    this.windows = new WindowPool(budget.account('iterators', 'one window per run and open iterator, given back when idle'), plan.keepWindowBytes)
    budget.addReclaimer(bytes => this.cache.shrink(bytes))
    budget.addReclaimer(bytes => this.windows.releaseFree(bytes))
    budget.addReclaimer(bytes => this.#releaseIdleScans(bytes))
    this.blocks = new CachedBlocks(this.cache, this.kernels)
    this.snapshots = new SnapshotList(host.clock)
    this.manifests = new ManifestStore(host, directory, this.kernels)
    this.tables = new TableSet(host, number => this.tablePath(number), this.kernels, this.metadataAccount)
    this.valueFiles = new ValueFiles(host.files, number => this.valuePath(number), this.metadataAccount)
  }

  tablePath(number: number): string { return this.host.join(this.directory, tableName(number)) }
  logPath(number: number): string { return this.host.join(this.directory, logName(number)) }
  valuePath(number: number): string { return this.host.join(this.directory, valueName(number)) }
  takeFileNumber(): number { return Atomics.add(this.nextFile, 0, 1) }
  reader(number: number): TableReader { return this.tables.get(number) }

  /** Oldest first, until so many bytes of windows are free again. */
  #releaseIdleScans(bytes: number): number {
    let given = 0
    for (const release of this.idleScans) {
      if (given >= bytes) break
      this.idleScans.delete(release)
      release()
      given += this.windows.releaseFree(bytes - given)
    }
    return given
  }

  checkOpen(): void {
    if (this.closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the store is closed. Open it again with Spillway.open')
  }

  checkWritable(): void {
    this.checkOpen()
    if (this.readOnlyReason !== undefined) {
      throw new SpillwayError(
        'SPILLWAY_READ_ONLY',
        `the store takes no more writes: ${this.readOnlyReason.message}. Reads go on; close it, mend the cause and open it again`,
        { cause: this.readOnlyReason },
      )
    }
  }

  /** Give back everything held; the ledger is empty afterwards. */
  releaseMemory(): void {
    this.cache.close()
    this.windows.close()
    this.arenas.close()
    this.tables.close()
    this.valueFiles.close()
    for (const lease of this.#leases.splice(0)) lease.release()
  }
}
