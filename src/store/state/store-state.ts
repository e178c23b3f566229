/**
 * What all parts of an open store share: its files, its memory, its state. Parts change it only through what they are for:
 * `group-commit.ts` the memtables and the log, `background.ts` the tree.
 */
import { SpillwayError } from '../../base/errors.ts'
import type { Kernels } from '../../kernels/kernels.ts'
import { LinkedList } from '../../base/linked-list.ts'
import type { ReadCache } from '../../cache/read-cache.ts'
import type { Strategy } from '../../compaction/strategy.ts'
import type { DirectoryReference, Host, HostFiles } from '../../host/host.ts'
import { ManifestStore } from '../../manifest/manifest-store.ts'
import { logName, tableName, valueName } from '../../base/file-names.ts'
import type { Version } from '../../manifest/version.ts'
import type { Lease } from '../../memory/budget.ts'
import type { WindowPool } from '../../memory/windows.ts'
import type { CachedBlocks } from '../../table/block/block-source.ts'
import type { TableReader } from '../../table/table-reader.ts'
import { EmptyRange } from './empty-range.ts'
import type { BudgetEngine } from '../engine/budget-engine.ts'
import { LostHandles } from '../api/lost-handles.ts'
import type { YoungHolding } from '../api/lost-handles.ts'
import type { MemtableSlot } from './memtable-slot.ts'
import { Ownership } from './ownership.ts'
import type { Settings } from '../api/settings.ts'
import type { BudgetPlan } from '../engine/budget-plan.ts'
import { ObsoleteFiles } from './obsolete-files.ts'
import { SnapshotList } from '../api/snapshots.ts'
import { NoManifests } from '../../manifest/no-manifests.ts'
import { ReadOnlyManifests, ReadOnlyFiles, ReadOnlyObsoleteFiles } from './read-only-files.ts'
import { TableSet } from './table-set.ts'
import type { Tree } from './tree.ts'
import type { WriteWatcher } from './write-watcher.ts'
import { ValueFileRefs } from './value-file-refs.ts'

/** Bytes and events since the store was opened. */
export class Counters {
  userBytes = 0
  /** Of `userBytes`, what went to files of large values. */
  largeBytes = 0
  operations = 0
  logBytes = 0
  flushBytes = 0
  mergeBytes = 0
  valueFileBytes = 0
  flushes = 0
  merges = 0
  backgroundErrors = 0
}

/** What a store knows of its open transactions. */
export interface OpenTransaction {
  readonly openedMs: number
  /** Bytes of what it has written, in memory and in tables. */
  readonly bytes: number
  /** Of those, in tables. */
  readonly tableBytes: number
  /** Abort it. */
  close(): void
}

/** Where a store's files are. */
export interface StorePlace {
  readonly path: string
  readonly files: HostFiles
  /** For jobs. Undefined: by its path alone. */
  readonly reference: DirectoryReference | undefined
}

export class StoreState {
  readonly host: Host
  readonly directory: string
  /** Those of the directory that was opened, whatever its path leads to now. All of the store's files go through them. */
  readonly files: HostFiles
  readonly place: DirectoryReference | undefined
  readonly ownership: Ownership
  readonly settings: Settings
  readonly engine: BudgetEngine
  readonly kernels: Kernels
  readonly cache: ReadCache
  readonly blocks: CachedBlocks
  readonly windows: WindowPool
  readonly snapshots: SnapshotList
  readonly manifests: Pick<ManifestStore, keyof ManifestStore> & { readonly stored?: Version | undefined }
  readonly tables: TableSet
  readonly valueFiles: ValueFileRefs
  readonly counters = new Counters()
  readonly removals: ObsoleteFiles
  /** Of a store that was opened for reading only: what it keeps elsewhere. */
  readonly spill: ReadOnlyFiles | undefined
  /** The next free file number, shared with the worker. */
  readonly nextFile = new Int32Array(new SharedArrayBuffer(4))
  /** Not 0: the store's jobs are to stop. Shared with the worker. */
  readonly stop = new Int32Array(new SharedArrayBuffer(4))

  // Set by recovery before anything else runs.
  version!: Version
  strategy!: Strategy
  tree!: Tree
  active!: MemtableSlot
  /** Being flushed, oldest first. */
  sealed: MemtableSlot[] = []
  lastSeq = 0
  /** Numbers of all log segments on disk, ascending. */
  logs: number[] = []
  /** Files of large values that are not durable yet: they must be before the log that refers to them is. */
  readonly unsyncedValues = new Set<number>()
  /** Changes when memtables or tables are exchanged: iterators look for their place again. */
  shape = 0
  readonly iterators = new LinkedList<YoungHolding>()
  readonly lostHandles: LostHandles
  /** Open transactions, and how many jobs run for them. */
  readonly transactions = new Set<OpenTransaction>()
  transactionJobs = 0
  /** Transactions that are being committed want to know of every write. */
  readonly watchers = new Set<WriteWatcher>()
  /** What scans need not walk through again. */
  readonly emptyRange = new EmptyRange(this)
  /** When the event loop had its last turn, as far as a call waited for it: see `event-loop-yield.ts`. */
  turnMs: number
  /** Set once: no write is taken any more. */
  readOnlyReason: Error | undefined
  lastBackgroundError: Error | undefined
  /** Set first when the store closes: no call is taken any more. */
  closing = false
  closed = false
  readonly #leases: Lease[]

  /** `leases`: of the engine's `storeNeeds`. */
  constructor(engine: BudgetEngine, { path: directory, files, reference }: StorePlace, settings: Settings, leases: Lease[] = engine.leaseStore()) {
    const { host } = engine
    this.host = host
    this.files = files
    this.place = reference
    this.ownership = new Ownership(this)
    this.turnMs = host.clock.nowMs()
    this.directory = directory
    this.settings = settings
    this.engine = engine
    this.kernels = engine.kernels
    this.cache = engine.cache
    this.blocks = engine.blocks
    this.windows = engine.windows
    this.#leases = leases
    this.snapshots = new SnapshotList(host.clock)
    this.lostHandles = new LostHandles(host, directory, this.iterators)
    this.spill = settings.isReadOnly ? new ReadOnlyFiles(host, directory) : undefined
    this.manifests = settings.isScratch ? new NoManifests() : new (settings.isReadOnly ? ReadOnlyManifests : ManifestStore)({ files, join: host.join }, directory, this.kernels)
    this.removals = this.spill === undefined ? new ObsoleteFiles(files, directory) : new ReadOnlyObsoleteFiles(host.files, directory, this.spill)
    this.tables = new TableSet(engine, files, number => this.tablePath(number), () => this.ownership.check())
    this.valueFiles = new ValueFileRefs(number => this.discardSoon(this.valuePath(number)), engine.metadata)
  }

  get plan(): BudgetPlan { return this.engine.plan }

  tablePath(number: number): string { return this.host.join(this.spill?.directoryOf(number) ?? this.directory, tableName(number)) }
  logPath(number: number): string { return this.host.join(this.directory, logName(number)) }
  valuePath(number: number): string { return this.host.join(this.directory, valueName(number)) }
  takeFileNumber(): number { return Atomics.add(this.nextFile, 0, 1) }
  reader(number: number): TableReader { return this.tables.get(number) }

  /** Remove a file that nothing needs any more. One that cannot be removed now is, when the store is opened next. */
  discard(path: string): void {
    if (this.ownership.isOurs) this.removals.now(path)
  }

  /** The same for files whose number is never given again, without waiting for it. */
  discardSoon(path: string): void {
    if (this.ownership.isOurs) this.removals.soon(path)
  }

  checkOpen(): void {
    if (this.closing || this.closed) throw new SpillwayError('SPILLWAY_CLOSED', 'the store is closed. Open it again with Spillway.open')
  }

  checkWritable(): void {
    this.checkOpen()
    if (this.ownership.lost !== undefined) throw this.ownership.lost
    if (this.readOnlyReason !== undefined) {
      if (this.settings.isReadOnly) throw this.readOnlyReason
      throw new SpillwayError(
        'SPILLWAY_READ_ONLY',
        `the store takes no more writes: ${this.readOnlyReason.message}. Reads go on; close it, mend the cause and open it again`,
        { cause: this.readOnlyReason },
      )
    }
  }

  /** Give back everything this store holds. */
  releaseMemory(): void {
    for (const slot of [this.active as MemtableSlot | undefined, ...this.sealed]) {
      slot?.close()
      if (slot !== undefined && !slot.isPlaceholder) this.engine.admission.give(slot.buffer)
    }
    this.sealed = []
    this.engine.admission.leave(this)
    for (const number of this.tables.readers.keys()) this.cache.dropTable(this.tables.get(number).id)
    if (this.tree as Tree | undefined) this.cache.rows.drop(this.tree.space)
    this.tables.close()
    this.valueFiles.close()
    for (const lease of this.#leases) lease.release()
    this.spill?.close()
  }
}
