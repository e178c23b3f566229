/** One open store: its view, health, files and counters, and what its parts share. */
import { LinkedList } from '../../base/linked-list.ts'
import type { Strategy } from '../../compaction/strategy.ts'
import type { Host } from '../../host/host.ts'
import type { Version } from '../../manifest/version.ts'
import type { Lease } from '../../memory/budget.ts'
import { LostHandles } from '../api/lost-handles.ts'
import type { YoungHolding } from '../api/lost-handles.ts'
import type { Settings } from '../api/settings.ts'
import { SnapshotList } from '../api/snapshots.ts'
import type { BudgetEngine } from '../engine/budget-engine.ts'
import { Counters } from './counters.ts'
import { EmptyRange } from './empty-range.ts'
import type { MemtableSlot } from './memtable-slot.ts'
import { OpenTransactions } from './open-transactions.ts'
import { Ownership } from './ownership.ts'
import { StoreFiles } from './store-files.ts'
import type { StorePlace } from './store-files.ts'
import { StoreHealth } from './store-health.ts'
import type { StoreView } from './store-view.ts'
import { TableSet } from './table-set.ts'
import type { Tree } from './tree.ts'
import { ValueFileRefs } from './value-file-refs.ts'
import type { WriteWatcher } from './write-watcher.ts'

/** Before recovery has found the version. */
const NOTHING = { version: undefined!, tree: undefined!, active: undefined!, sealed: [], generation: 0 } as StoreView

export class StoreState {
  readonly host: Host
  readonly engine: BudgetEngine
  readonly settings: Settings
  readonly health: StoreHealth
  readonly ownership: Ownership
  readonly files: StoreFiles
  readonly tables: TableSet
  readonly valueFiles: ValueFileRefs
  readonly counters = new Counters()
  readonly snapshots: SnapshotList
  readonly iterators = new LinkedList<YoungHolding>()
  readonly lostHandles: LostHandles
  readonly transactions = new OpenTransactions()
  /** Called for every write, by transactions that are committing and the empty range. */
  readonly watchers = new Set<WriteWatcher>()
  readonly emptyRange = new EmptyRange(this)
  /** Chosen by recovery. */
  strategy!: Strategy
  lastSeq = 0
  /** When the event loop last had its turn, as far as a call has waited for one (`event-loop-yield.ts`). */
  turnMs: number
  #view = NOTHING
  readonly #leases: Lease[]

  /** `leases`: of the engine's `storeNeeds`. */
  constructor(engine: BudgetEngine, place: StorePlace, settings: Settings, leases: Lease[] = engine.leaseStore()) {
    const { host } = engine
    this.host = host
    this.engine = engine
    this.settings = settings
    this.health = new StoreHealth(settings.isReadOnly)
    this.ownership = new Ownership(host, place.path, this.health, () => engine.jobs.isBusy)
    const files = this.files = new StoreFiles(place, this.ownership)
    this.tables = new TableSet(engine, place.files, number => files.tablePath(number), () => this.ownership.check())
    this.valueFiles = new ValueFileRefs(number => files.discardSoon(files.valuePath(number)), engine.metadata)
    this.snapshots = new SnapshotList(host.clock)
    this.lostHandles = new LostHandles(host, place.path, this.iterators)
    this.turnMs = host.clock.nowMs()
    this.#leases = leases
  }

  get view(): StoreView { return this.#view }

  /** Exchange the memtables. */
  setMemtables(active: MemtableSlot, sealed: readonly MemtableSlot[] = this.#view.sealed): void {
    this.#view = { ...this.#view, active, sealed, generation: this.#view.generation + 1 }
  }

  /** Exchange the tables. */
  setTables(version: Version, tree: Tree): void {
    this.#view = { ...this.#view, version, tree, generation: this.#view.generation + 1 }
  }

  /** Replace the version; its tables stay. */
  setVersion(version: Version): void {
    this.#view = { ...this.#view, version }
  }

  /** Give back everything this store holds. */
  releaseMemory(): void {
    const { active, sealed, tree } = this.#view
    const { engine } = this
    for (const slot of [active as MemtableSlot | undefined, ...sealed]) {
      slot?.close()
      if (slot !== undefined && !slot.isPlaceholder) engine.admission.give(slot.buffer)
    }
    this.#view = { ...this.#view, sealed: [] }
    engine.admission.leave(this)
    for (const number of this.tables.readers.keys()) engine.reading.cache.dropTable(this.tables.get(number).id)
    if (tree as Tree | undefined) engine.reading.cache.rows.drop(tree.space)
    this.tables.close()
    this.valueFiles.close()
    for (const lease of this.#leases) lease.release()
    this.files.close()
  }
}
