/**
 * What a large write has written and nobody else may see yet: a memtable, and tables that no manifest names. A small tree of its
 * own, read like the store's (`Reader`, `Scan`), with sequence numbers of its own, from 1.
 *
 * Invariants
 * 1. Memory comes from the engine's admission like any memtable's (`staged-arena.ts`): when somebody else needs it, what is in it
 *    is flushed to a table in final format (`staged-jobs.ts`), and the arena goes back. Nothing is held that a flush could not give back.
 * 2. A table is only a file until the store's manifest names it (`staged-runs.ts`). `discard` removes all of them; a crash leaves
 *    them to recovery.
 * 3. A write is refused, not queued: whoever was refused asks again when a job has ended.
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

/** With so many runs writers wait for a merge. */
const STOP_RUNS = 24

export class StagedTables implements ArenaOwner, JobsOwner {
  /** It is being committed: no more merges. */
  finishing = false
  /** Called when a job has ended: there may be room for a write that waits. */
  onRoom: () => void = () => {}
  /** A manifest may name its tables: they must not be removed. */
  keepsFiles = false
  /** Of the last write. */
  lastSeq = 0
  /** Keys and values written so far. */
  userBytes = 0
  /** Open iterators over what is here. */
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
  /** No memory is given back now: what is written is being read. */
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
      core, 'a transaction waits for memory that nobody is about to give back')
    this.#view = { active: new MemtableSlot(undefined, 0, core.engine.metadata), sealed: [], tree: this.#runs.tree, generation: 0 }
  }

  get view(): View { return this.#view }
  get active(): MemtableSlot { return this.#view.active }
  /** Being flushed: none or one. */
  get sealed(): readonly MemtableSlot[] { return this.#view.sealed }
  get tree(): Tree { return this.#view.tree }

  /** Replace memtables or tables. */
  exchange(change: Partial<View>): void {
    this.#view = { ...this.#view, ...change, generation: this.#view.generation + 1 }
  }

  get isEmpty(): boolean { return this.lastSeq === 0 }
  /** Nothing is in a table, or on its way to one. */
  get isInMemory(): boolean { return this.#runs.length === 0 && this.sealed.length === 0 }
  /** Some job runs. */
  get isBusy(): boolean { return this.#jobs.isFlushing || this.#jobs.isMerging }
  /** It was handed over or discarded. */
  get isClosed(): boolean { return this.#isClosed }
  get runs(): readonly RunRecord[] { return this.#runs.records }
  get bytes(): number { return this.tree.tableBytes + [this.active, ...this.sealed].reduce((sum, { memtable }) => sum + memtable.liveBytes, 0) }

  // ---- writing

  /** Write one operation; false: there is no room now, and a job runs or somebody was asked to make some. Throws what a flush failed with. */
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

  /** Called when a wait found nobody to wait for. Throws when nobody ever will make room. */
  checkStuck(): void { this.#patience.check() }

  /** Hand all that is in memory to a flush. False: not now, one is running. */
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

  /** While frozen its memtable stays in memory, whoever asks for it. Not across a turn of the event loop. */
  freeze(frozen: boolean): void {
    this.#frozen = frozen
  }

  // ---- the end

  /** What was in memory has been copied: give the arena back. Returns how to let go of the large values that it refers to. */
  releaseMemory(): () => void {
    const core = this.#core
    const valueFiles = this.active.valueFiles.splice(0)
    this.#dropActive()
    return () => { releaseValues(core, valueFiles) }
  }

  /** The tables are the store's from now on: let go of them. */
  handOver(): void {
    this.#close()
    this.#runs.handOver()
  }

  /** Remove all of it. Jobs that run end soon and clean up after themselves. */
  discard(): void {
    if (this.#isClosed) return
    this.#jobs.stop()
    this.#close()
    this.#runs.discard(this.keepsFiles)
    // One that is being flushed goes when its job has ended.
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
      'SPILLWAY_UNAVAILABLE', `memory is needed that a transaction cannot give back: ${cause.message}. Mend that or abort it, or raise the budget`, { cause })
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

  /** A memtable with more room, if it can be had now. */
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
