/**
 * The entries of a large write, invisible to others: a memtable and tables that no manifest names. A small tree of its own, read
 * like the store's (`PointReader`, `Scan`), with its own sequence numbers, from 1.
 *
 * Invariants
 * 1. Memory comes from the engine's admission, as for any memtable (`staged-arena.ts`). When others need it, the memtable is
 *    flushed to a table in final format (`staged-jobs.ts`).
 * 2. A table is only a file until the store's manifest names it (`staged-runs.ts`). `discard` removes all of them; after a crash
 *    recovery does.
 * 3. A write is refused, not queued: the caller tries again when a job has ended.
 *
 * Accounts: `memtables`, `table metadata`, `flush and merge` as for the store, and `transactions` for the runs.
 */
import { KIND_VALUE_FILE } from '../../base/cursor.ts'
import { SpillwayError } from '../../base/errors.ts'
import type { RunRecord } from '../../manifest/version.ts'
import { Memtable } from '../../memtable/memtable.ts'
import { decodeValueReference } from '../../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../../wal/frame.ts'
import type { Background } from '../background/background.ts'
import type { StoreState } from '../state/store-state.ts'
import { MAX_RANGES } from '../state/memtable-tombstones.ts'
import { MemtableSlot } from '../state/memtable-slot.ts'
import { MemoryWait } from '../state/memory-wait.ts'
import { SnapshotList } from '../api/snapshots.ts'
import { StagedArena, releaseValues } from './staged-arena.ts'
import type { ArenaOwner } from './staged-arena.ts'
import { StagedJobs } from './staged-jobs.ts'
import type { JobsOwner } from './staged-jobs.ts'
import { StagedRuns } from './staged-runs.ts'
import type { Settings } from '../api/settings.ts'
import type { BudgetEngine } from '../engine/budget-engine.ts'
import type { View } from '../state/store-view.ts'
import type { Tree } from '../state/tree.ts'

/** From this many runs on writers wait for a merge. */
const STOP_RUNS = 24

export class StagedTables implements ArenaOwner, JobsOwner {
  /** Being committed: no more merges. */
  finishing = false
  /** Called when a job has ended: a waiting write may try again. */
  onRoom: () => void = () => {}
  /** A manifest may name its tables: they must not be removed. */
  keepsFiles = false
  /** Of the last write. */
  lastSeq = 0
  /** Keys and values written so far. */
  userBytes = 0
  /** Of open iterators over these tables. */
  readonly snapshots: SnapshotList
  readonly engine: BudgetEngine
  readonly settings: Settings
  readonly #core: StoreState
  readonly #arena: StagedArena
  readonly #runs: StagedRuns
  readonly #jobs: StagedJobs
  readonly #patience: MemoryWait
  #view: View
  #isClosed = false
  /** The entries are being read: no memory is given back. */
  #frozen = false

  constructor(core: StoreState, background: Background) {
    this.#core = core
    this.engine = core.engine
    this.settings = core.settings
    this.snapshots = new SnapshotList(core.host.clock)
    this.#arena = new StagedArena(core, this)
    this.#runs = new StagedRuns(core)
    this.#jobs = new StagedJobs(core, background, this, this.#runs)
    this.#patience = new MemoryWait(
      core, 'no memory for this transaction: every arena is in use and no flush is running')
    this.#view = { active: new MemtableSlot(undefined, 0, core.engine.metadata), sealed: [], tree: this.#runs.tree, generation: 0 }
  }

  get view(): View { return this.#view }
  get active(): MemtableSlot { return this.#view.active }
  /** Being flushed: at most one. */
  get sealed(): readonly MemtableSlot[] { return this.#view.sealed }
  get tree(): Tree { return this.#view.tree }

  /** Replace memtables or tables. */
  exchange(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change, generation: this.#view.generation + 1 }
  }

  get isEmpty(): boolean { return this.lastSeq === 0 }
  /** No entry is in a table or being flushed. */
  get isInMemory(): boolean { return this.#runs.length === 0 && this.sealed.length === 0 }
  /** A job runs. */
  get isBusy(): boolean { return this.#jobs.isFlushing || this.#jobs.isMerging }
  /** Handed over or discarded. */
  get isClosed(): boolean { return this.#isClosed }
  get runs(): readonly RunRecord[] { return this.#runs.records }
  get bytes(): number { return this.tree.tableBytes + [this.active, ...this.sealed].reduce((sum, { memtable }) => sum + memtable.liveBytes, 0) }

  // ---- writing

  /** Write one operation. False: no memory now, and a job runs or a flush was requested. Throws the error of a failed flush. */
  tryWrite(
    kind: number, key: Uint8Array, keyStart: number, keyEnd: number, value: Uint8Array, valueStart: number, valueEnd: number,
  ): boolean {
    const keyBytes = keyEnd - keyStart
    const valueBytes = valueEnd - valueStart
    while (!this.#fits(kind, keyBytes, valueBytes)) if (!this.#makeRoom()) return false
    const { memtable, valueFiles } = this.active
    const seq = this.lastSeq + 1
    if (kind === KIND_DELETE_RANGE) memtable.deleteRange(key.slice(keyStart, keyEnd), value.slice(valueStart, valueEnd), seq)
    else memtable.put(key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd, this.snapshots.newestSeq)
    this.lastSeq = seq
    // Its file was counted when it was written.
    if (kind === KIND_VALUE_FILE) valueFiles.push(decodeValueReference(value, valueStart, valueEnd).fileNumber)
    this.userBytes += keyBytes + valueBytes
    this.#core.engine.governor.recordDemand(keyBytes + valueBytes)
    this.#patience.renew()
    return true
  }

  /** Call when no job runs that could end a wait. Throws when no progress is possible. */
  checkStuck(): void { this.#patience.check() }

  /** Flush everything in memory. False: not now, a flush runs. */
  sealAll(): boolean {
    if (this.sealed.length > 0) {
      this.#jobs.check()
      this.#jobs.retryFlush()
      return false
    }
    if (!this.active.isPlaceholder && this.active.isEmpty) this.releaseMemory()
    else if (!this.active.isPlaceholder) this.#seal()
    return this.sealed.length === 0
  }

  /** Keep the memtable in memory, whatever others need. Not across turns of the event loop. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen
  }

  // ---- the end

  /** The entries have been copied: return the arena. Returns the release of their value files. */
  releaseMemory(): () => void {
    const core = this.#core
    const valueFiles = this.active.valueFiles.splice(0)
    this.#dropActive()
    return () => { releaseValues(core, valueFiles) }
  }

  /** The tables belong to the store now. */
  handOver(): void {
    this.#close()
    this.#runs.handOver()
  }

  /** Remove everything. Running jobs end soon and clean up themselves. */
  discard(): void {
    if (this.#isClosed) return
    this.#jobs.stop()
    this.#close()
    this.#runs.discard(this.keepsFiles)
    // The memtable being flushed is released when its job has ended.
    if (this.#jobs.isFlushing) return
    for (const slot of this.sealed) this.giveBack(slot)
    this.exchange({ sealed: [] })
  }

  #close(): void {
    this.#isClosed = true
    const { engine } = this.#core
    engine.memory.dismiss(this)
    engine.admission.leave(this)
    this.#dropActive()
  }

  // ---- what the engine asks

  get owner(): object { return this }
  writtenBytes(): number { return this.userBytes }
  reclaimableBytes(): number {
    if (this.#isClosed || this.#frozen || this.active.isPlaceholder || this.#arena.isFirst) return 0
    return this.active.isEmpty || this.sealed.length === 0 ? this.active.buffer.byteLength : 0
  }

  unflushedBytes(): number { return this.#arena.isFirst ? 0 : this.active.memtable.liveBytes }

  yieldMemtable(): boolean {
    if (this.reclaimableBytes() === 0) return false
    if (this.active.isEmpty) this.#dropActive()
    else this.#seal()
    return true
  }

  retryFlush(isAskedFor: boolean): boolean {
    this.#jobs.retryMerge(isAskedFor)
    return this.#jobs.retryFlush(isAskedFor)
  }

  heldBy(): SpillwayError | undefined {
    const cause = this.#jobs.error
    if (cause === undefined || this.sealed.length === 0) return undefined
    return new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `memory is needed that a transaction cannot give back: ${cause.message}. Fix that, abort the transaction, or raise the budget`, { cause })
  }

  tableBytes(): number { return this.tree.tableBytes }
  waitingBytes(): number { return 0 }
  onProgress(): void { this.onRoom() }
  schedule(): void { this.#jobs.schedule() }

  // ---- what its jobs ask

  onTables(): void {
    this.exchange({ tree: this.#runs.tree })
  }

  giveBack(slot: MemtableSlot): void { this.#arena.giveBack(slot) }

  // ---- between them

  #fits(kind: number, keyBytes: number, valueBytes: number): boolean {
    const { active } = this
    if (active.isPlaceholder) return false
    const { memtable } = active
    if (kind !== KIND_DELETE_RANGE) return memtable.fits(keyBytes, valueBytes)
    return memtable.rangeCount < MAX_RANGES && Memtable.rangeBytes(keyBytes, valueBytes) <= memtable.freeBytes
  }

  /** A memtable with more space, if available now. */
  #makeRoom(): boolean {
    const arena = this.#arena
    if (this.lastSeq === 0 && this.active.isPlaceholder && arena.takeFirst()) return true
    if (arena.isFirst) return arena.leaveFirst()
    if (!this.active.isPlaceholder && arena.grow()) return true
    this.#jobs.check()
    this.#jobs.retryFlush()
    if (!this.active.isPlaceholder) {
      if (this.sealed.length > 0) return false
      if (this.#jobs.isMerging && this.#runs.length >= STOP_RUNS) return false
      this.#seal()
    }
    return arena.take()
  }

  #seal(): void {
    const slot = this.active
    this.exchange({ sealed: [...this.sealed, slot] })
    this.#arena.replace(undefined)
    this.#jobs.flush(slot)
  }

  #dropActive(): void {
    const { active } = this
    this.#arena.replace(undefined)
    this.#arena.giveBack(active)
  }
}
