/**
 * What a large write has written and nobody else may see yet: a memtable, and tables that no manifest names. A small tree of its
 * own, read like the store's (`Reader`, `Scan`), with sequence numbers of its own, from 1.
 *
 * Invariants
 * 1. Memory comes from the engine's admission like any memtable's: when somebody else needs it, what is in it is flushed to a
 *    table in final format, and the arena goes back. Nothing is held that a flush could not give back.
 * 2. A table is only a file until the store's manifest names it. `discard` removes all of them; a crash leaves them to recovery.
 * 3. Runs stay few: a table that overlaps none of a run joins it, unless that is being merged, and the smallest are merged when
 *    there are many. Tables stay few for what they hold: a run of many small ones is merged into one.
 * 4. Tombstones stay: they hide what is in the store.
 *
 * Accounts: `memtables`, `table metadata`, `flush and merge` as for the store, and `transactions` for the runs.
 * Cost: each byte is written once, and once more for every eightfold of runs that overlap.
 */
import { compareKeys } from '../base/bytes.ts'
import { KIND_VALUE_FILE } from '../base/cursor.ts'
import { SpillwayError } from '../base/errors.ts'
import { isNotDurable } from '../compaction/not-durable.ts'
import type { FlushArgs, JobOutput, MergeArgs } from '../compaction/jobs.ts'
import type { RunRecord } from '../manifest/version.ts'
import type { Lease } from '../memory/budget.ts'
import { arenaBuffer } from '../memtable/arena.ts'
import { Memtable } from '../memtable/memtable.ts'
import { decodeValueReference } from '../table/value-file.ts'
import { KIND_DELETE_RANGE } from '../wal/frame.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES } from './arenas.ts'
import type { Background } from './background.ts'
import type { Core } from './core.ts'
import type { Tenant } from './engine.ts'
import { ioError } from './io-error.ts'
import { MAX_RANGES } from './memtable-ranges.ts'
import { MemtableSlot } from './memtables.ts'
import { Patience } from './patience.ts'
import { METADATA_SPARE_BYTES } from './plan.ts'
import type { Run } from './run.ts'
import { SnapshotList } from './snapshots.ts'
import { Tree, recordOf } from './tree.ts'

/** With so many runs the smallest are merged, so many at once; with the larger number writers wait for it. */
const MERGE_FROM_RUNS = 12
const MERGE_WIDTH = 8
const STOP_RUNS = 24
/** A run of so many tables, which are smaller than this on average, is merged into one: the metadata of each takes memory. */
const MERGE_FROM_TABLES = 8
const SMALL_TABLE_BYTES = 32 * 1024
/** Runs of a tree, and of the version it is made from. */
const RUN_BYTES = 640
/** The first memtable, leased apart, so that small transactions take no arena; those of all take a part of the budget at most. */
const FIRST_BYTES = 16 * 1024
const FIRST_SHARE = 1 / 32
const MERGE_PRIORITY = 1
/** Flushes and merges in a row that failed for want of memory. */
const MOST_DENIALS = 24

export class TransactionTables implements Tenant {
  active: MemtableSlot
  /** Being flushed: none or one. */
  readonly sealed: MemtableSlot[] = []
  tree: Tree
  /** Changes when memtables or tables are exchanged. */
  shape = 0
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
  readonly blocks
  readonly windows
  readonly settings
  readonly #core: Core
  readonly #background: Background
  readonly #stop = new Int32Array(new SharedArrayBuffer(4))
  readonly #runLease: Lease
  readonly #patience: Patience
  /** While the active memtable is the first, small one. */
  #firstLease: Lease | undefined
  #runs: RunRecord[] = []
  #nextRun = 1
  #isAdmitted = false
  #closed = false
  /** No memory is given back now: what is written is being read. */
  #frozen = false
  #flushRunning = false
  #mergeRunning = false
  /** Runs that a merge takes the place of when it ends: no table may join them. */
  #merging: ReadonlySet<number> = new Set()
  /** A merge found no memory: the next one begins when something has changed, or when nothing else goes on. */
  #isMergeDenied = false
  #windowFactor = 1
  #denials = 0
  #error: Error | undefined
  /** A large value could not be made durable: a later attempt that succeeds would prove nothing. */
  #isLost = false

  constructor(core: Core, background: Background) {
    this.#core = core
    this.#background = background
    this.blocks = core.blocks
    this.windows = core.windows
    this.settings = core.settings
    this.snapshots = new SnapshotList(core.host.clock)
    this.#runLease = core.engine.transactions.lease(0)
    this.#patience = new Patience(
      core, 'a transaction waits for memory that nobody is about to give back. Close iterators or other transactions, or raise the budget')
    this.active = new MemtableSlot(undefined, 0, core.engine.metadata)
    this.tree = this.#makeTree()
  }

  get isEmpty(): boolean { return this.lastSeq === 0 }
  /** Nothing is in a table, or on its way to one. */
  get isInMemory(): boolean { return this.#runs.length === 0 && this.sealed.length === 0 }
  /** Some job runs. */
  get isBusy(): boolean { return this.#flushRunning || this.#mergeRunning }
  get runs(): readonly RunRecord[] { return this.#runs }
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

  /** Start what can go on, after a job has ended or before waiting for one. */
  retry(): void {
    if (!this.#closed && !this.#flushRunning && !this.#isLost && this.sealed.length > 0) this.#flush(this.sealed[0]!)
  }

  /** Called when a wait found nobody to wait for. Throws when nobody ever will make room. */
  checkStuck(): void { this.#patience.check() }

  /** Hand all that is in memory to a flush. False: not now, one is running. */
  sealAll(): boolean {
    if (this.sealed.length > 0) {
      this.#throwError()
      this.retry()
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

  /** A key that was written, for a message. There are tables. */
  someKey(): Uint8Array {
    const { firstKey, rangeStart } = this.tree.runs[0]!.readers[0]!.properties
    return (firstKey ?? rangeStart)!
  }

  // ---- the end

  /** What was in memory has been copied: give the arena back. Returns how to let go of the large values that it refers to. */
  releaseMemory(): () => void {
    const core = this.#core
    const { active } = this
    const valueFiles = active.valueFiles.splice(0)
    this.#replaceActive(undefined)
    this.#giveBack(active)
    return () => { releaseValues(core, valueFiles) }
  }

  /** The tables are the store's from now on: let go of them. */
  handOver(): void {
    this.#close()
    this.#runs = []
  }

  /** Remove all of it. Jobs that run end soon and clean up after themselves. */
  discard(): void {
    if (this.#closed) return
    Atomics.store(this.#stop, 0, 1)
    this.#close()
    for (const { tables } of this.#runs) for (const { fileNumber } of tables) this.#drop(fileNumber, this.keepsFiles)
    this.#runs = []
    // One that is being flushed goes when its job has ended.
    if (!this.#flushRunning) for (const slot of this.sealed.splice(0)) this.#giveBack(slot)
  }

  #close(): void {
    this.#closed = true
    const { engine } = this.#core
    engine.dismiss(this)
    engine.admission.leave(this)
    const { active } = this
    this.active = new MemtableSlot(undefined, 0, engine.metadata)
    this.#giveBack(active)
    this.#runLease.release()
    this.shape++
  }

  // ---- what the engine asks

  reclaimableBytes(): number {
    if (this.#closed || this.#frozen || this.active.isPlaceholder || this.#firstLease !== undefined) return 0
    return this.active.isEmpty || this.sealed.length === 0 ? this.active.buffer.byteLength : 0
  }

  unflushedBytes(): number { return this.#firstLease === undefined ? this.active.memtable.liveBytes : 0 }

  yieldMemtable(): boolean {
    if (this.reclaimableBytes() === 0) return false
    if (this.active.isEmpty) {
      const { active } = this
      this.#replaceActive(undefined)
      this.#giveBack(active)
    } else {
      this.#seal()
    }
    return true
  }

  retryFlush(): boolean {
    if (this.#isMergeDenied) {
      this.#isMergeDenied = false
      this.schedule()
    }
    if (this.#closed || this.#flushRunning || this.#isLost || this.sealed.length === 0) return false
    this.retry()
    return true
  }

  heldBy(): SpillwayError | undefined {
    const cause = this.#error
    if (cause === undefined || this.sealed.length === 0) return undefined
    return new SpillwayError(
      'SPILLWAY_UNAVAILABLE', `a write waits for memory that a transaction cannot give back: ${cause.message}. Mend that or abort it, or raise the budget`, { cause })
  }

  tableBytes(): number { return this.tree.tableBytes }
  waitingBytes(): number { return 0 }
  onProgress(): void { this.onRoom() }

  schedule(): void {
    if (this.#closed || this.#mergeRunning || this.#isMergeDenied || this.finishing || this.#core.closing) return
    const scattered = this.tree.runs.find(({ readers, bytes }) => readers.length >= MERGE_FROM_TABLES && bytes < readers.length * SMALL_TABLE_BYTES)
    if (scattered !== undefined) this.#merge([scattered])
    else if (this.#runs.length >= MERGE_FROM_RUNS) this.#merge([...this.tree.runs].sort((a, b) => a.bytes - b.bytes))
  }

  // ---- between the two

  #fits(kind: number, keyBytes: number, valueBytes: number): boolean {
    const { active } = this
    if (active.isPlaceholder) return false
    const { memtable } = active
    if (kind !== KIND_DELETE_RANGE) return memtable.fits(keyBytes, valueBytes)
    return memtable.rangeCount < MAX_RANGES && Memtable.rangeBytes(keyBytes, valueBytes) <= memtable.freeBytes
  }

  /** A memtable with more room, if it can be had now. */
  #makeRoom(): boolean {
    const { engine } = this.#core
    if (this.lastSeq === 0 && this.active.isPlaceholder && this.#takeFirst()) return true
    if (this.#firstLease !== undefined) return this.#leaveFirst()
    if (!this.active.isPlaceholder && this.#grow()) return true
    this.#throwError()
    this.retry()
    if (!this.active.isPlaceholder) {
      if (this.sealed.length > 0) return false
      if (this.#mergeRunning && this.#runs.length >= STOP_RUNS) return false
      this.#seal()
    }
    this.#admit()
    const buffer = engine.takeArena(this, SMALLEST_ARENA_BYTES)
    if (buffer === undefined) return false
    this.#replaceActive(buffer)
    return true
  }

  #admit(): void {
    if (this.#isAdmitted) return
    this.#isAdmitted = true
    this.#core.engine.admit(this)
  }

  #takeFirst(): boolean {
    const { transactions, budget } = this.#core.engine
    if (transactions.bytes > budget.totalBytes * FIRST_SHARE) return false
    this.#firstLease = transactions.tryLeaseLeaving(FIRST_BYTES, HEADROOM_BYTES)
    if (this.#firstLease === undefined) return false
    // It may have waited for an arena before.
    this.#core.engine.admission.leave(this)
    this.#replaceActive(arenaBuffer(FIRST_BYTES))
    return true
  }

  /** From the first memtable to an arena, with all versions. */
  #leaveFirst(): boolean {
    this.#admit()
    const buffer = this.#core.engine.takeArena(this, SMALLEST_ARENA_BYTES, { mostBytes: SMALLEST_ARENA_BYTES })
    if (buffer === undefined) return false
    const { active } = this
    const from = active.memtable
    const versions: { seq: number, apply: (to: Memtable) => void }[] = from.ranges().map(({ start, end, seq }) => (
      { seq, apply: to => { to.deleteRange(start, end, seq) } }))
    const cursor = from.cursor()
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      const { key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd } = cursor
      versions.push({ seq, apply: to => { to.put(key, keyStart, keyEnd, seq, kind, value, valueStart, valueEnd, this.snapshots.newestSeq) } })
    }
    versions.sort((a, b) => a.seq - b.seq)
    this.#replaceActive(buffer)
    for (const { apply } of versions) apply(this.active.memtable)
    this.active.valueFiles.push(...active.valueFiles.splice(0))
    active.close()
    this.#firstLease!.release()
    this.#firstLease = undefined
    return true
  }

  /** From the smallest arena to a larger one, if one is free. */
  #grow(): boolean {
    const { active } = this
    const { engine } = this.#core
    const isFirst = this.isInMemory && active.buffer.byteLength === SMALLEST_ARENA_BYTES
    if (!isFirst || active.memtable.rangeCount > 0 || this.snapshots.size > 0) return false
    this.#frozen = true
    const buffer = engine.takeArena(this, 2 * SMALLEST_ARENA_BYTES)
    this.#frozen = false
    if (buffer === undefined || buffer.byteLength <= active.buffer.byteLength) {
      if (buffer === undefined) engine.admission.leave(this)
      else engine.admission.give(buffer)
      return false
    }
    this.#replaceActive(buffer)
    const { memtable, valueFiles } = this.active
    const cursor = active.memtable.cursor()
    // Each key is there once, so that one sequence number does for all.
    for (cursor.seekToFirst(); cursor.valid; cursor.next()) {
      memtable.put(cursor.key, cursor.keyStart, cursor.keyEnd, this.lastSeq, cursor.kind, cursor.value, cursor.valueStart, cursor.valueEnd, 0)
    }
    valueFiles.push(...active.valueFiles.splice(0))
    this.#giveBack(active)
    return true
  }

  #throwError(): void {
    const error = this.#error
    // The next attempt begins anew.
    if (!this.#isLost) this.#error = undefined
    if (error !== undefined) throw error
  }

  #replaceActive(buffer: SharedArrayBuffer | undefined): void {
    this.active = new MemtableSlot(buffer, 0, this.#core.engine.metadata)
    this.shape++
  }

  #seal(): void {
    const slot = this.active
    this.sealed.push(slot)
    this.#replaceActive(undefined)
    this.#flush(slot)
  }

  #giveBack(slot: MemtableSlot): void {
    const core = this.#core
    slot.close()
    releaseValues(core, slot.valueFiles)
    if (slot.buffer.byteLength === FIRST_BYTES) {
      this.#firstLease?.release()
      this.#firstLease = undefined
    } else if (!slot.isPlaceholder) {
      core.engine.admission.give(slot.buffer)
    }
  }

  #flush(slot: MemtableSlot): void {
    const core = this.#core
    this.#flushRunning = true
    core.transactionJobs++
    const args: FlushArgs = {
      ...this.#background.output(0, Number.MAX_SAFE_INTEGER), stop: this.#stop,
      buffer: slot.buffer, snapshots: this.snapshots.seqs(), outside: undefined,
    }
    core.engine.flush(args, (error, output) => core.engine.endFlush(() => this.#flushed(slot, error, output)))
  }

  #flushed(slot: MemtableSlot, error: Error | undefined, output: JobOutput): void {
    const core = this.#core
    core.transactionJobs--
    this.#flushRunning = false
    if (this.#closed) {
      this.#discardOutput(output)
      this.sealed.length = 0
      this.#giveBack(slot)
      return
    }
    try {
      if (error !== undefined) throw error
      this.#install(output, [])
    } catch (cause) {
      this.#failed(cause as Error, 'flushing a transaction')
      return
    }
    this.sealed.length = 0
    for (const number of slot.valueFiles) core.unsyncedValues.delete(number)
    this.#giveBack(slot)
    this.#denials = 0
    this.#error = undefined
    core.counters.flushBytes += output.bytesWritten
    core.engine.governor.traffic.flushedBytes += output.bytesWritten
    this.schedule()
  }

  /** The first ones become one run. */
  #merge(runs: readonly Run[]): void {
    const core = this.#core
    const { engine } = core
    let picked: Run[] = []
    let memory
    for (const width of [MERGE_WIDTH, MERGE_WIDTH / 2, 2]) {
      picked = runs.slice(0, width)
      memory = engine.admitMerge(Math.max(2, picked.length), this.#windowFactor, core.settings.blockBytes)
      if (memory !== undefined) break
    }
    if (memory === undefined) return
    const { readAheadBytes, windowBytes, release } = memory
    const args: MergeArgs = {
      ...this.#background.output(0, core.strategy.parameters['targetTableBytes']!), stop: this.#stop,
      runs: picked.map(run => run.readers.map(({ fileNumber }) => fileNumber)),
      snapshots: this.snapshots.seqs(), outside: undefined, readAheadBytes, windowBytes,
    }
    const bytes = picked.reduce((sum, run) => sum + run.bytes, 0)
    this.#mergeRunning = true
    this.#merging = new Set(picked.map(({ id }) => id))
    core.transactionJobs++
    engine.runner.submit({ name: 'merge', args, priority: MERGE_PRIORITY + bytes }, (error, result) => {
      core.transactionJobs--
      this.#mergeRunning = false
      this.#merging = new Set()
      release()
      const output = result as JobOutput | undefined
      if (this.#closed) this.#discardOutput(output)
      else this.#merged(error, output, picked)
      engine.progress()
    })
  }

  #merged(error: Error | undefined, output: JobOutput | undefined, picked: readonly Run[]): void {
    const { code, details } = (error ?? {}) as { code?: unknown, details?: { account?: unknown } }
    if (code === 'SPILLWAY_BUDGET_TOO_SMALL' && details?.account === 'windows' && this.#windowFactor < 64) {
      this.#windowFactor *= 2
      return
    }
    try {
      if (error !== undefined) throw error
      this.#install(output!, picked)
      this.#core.counters.mergeBytes += output!.bytesWritten
      this.#denials = 0
    } catch (cause) {
      this.#isMergeDenied = true
      this.#failed(cause as Error, 'merging the tables of a transaction')
    }
  }

  /** New tables take the place of those of some runs. Throws, and they are removed, when they cannot be opened. */
  #install(output: JobOutput, replaced: readonly Run[]): void {
    const core = this.#core
    const { tableMemory } = core.engine
    const opened: number[] = []
    const gone = new Set(replaced.map(({ id }) => id))
    const records = output.tables.map(recordOf)
    try {
      // What is kept for the store's own flushes and merges stays theirs, but for a moment when more comes back at once.
      const replacedTables = replaced.reduce((sum, run) => sum + run.readers.length, 0)
      tableMemory.keptBytes = records.length < replacedTables ? 0 : METADATA_SPARE_BYTES
      for (const record of records) {
        core.tables.open(record)
        opened.push(record.fileNumber)
      }
      const most = this.#runs.length + 1
      if (!this.#runLease.resize(most * RUN_BYTES)) throw new SpillwayError('SPILLWAY_BUDGET_TOO_SMALL', `no room for the ${most} runs of a transaction. Raise the budget`)
    } catch (error) {
      for (const number of opened) core.tables.drop(number)
      this.#discardOutput(output)
      throw error
    } finally {
      tableMemory.keptBytes = 0
    }
    for (const { valueFiles } of output.tables) core.valueFiles.retain(valueFiles)
    this.#runs = this.#runs.filter(({ id }) => !gone.has(id))
    this.#addRun({ id: this.#nextRun++, level: 0, tables: records })
    this.tree = this.#makeTree()
    this.shape++
    this.#isMergeDenied = false
    for (const run of replaced) for (const { fileNumber } of run.readers) this.#drop(fileNumber, false)
  }

  /** Where keys come in order, or in large pieces, most tables overlap no other: then they are one run. */
  #addRun(added: RunRecord): void {
    const { tree } = this
    const isApart = ({ id }: RunRecord): boolean => !this.#merging.has(id) && (tree.runs.find(run => run.id === id)?.tables.every(table => {
      for (const record of added.tables) if (this.#overlap(record.fileNumber, table)) return false
      return true
    }) ?? false)
    const at = this.#runs.findIndex(isApart)
    if (at < 0) {
      this.#runs.push(added)
      return
    }
    const run = this.#runs[at]!
    const tables = [...run.tables, ...added.tables].sort((a, b) => compareKeys(this.#hull(a.fileNumber)[0], this.#hull(b.fileNumber)[0]))
    this.#runs[at] = { ...run, tables }
  }

  #overlap(fileNumber: number, table: { firstKey: Uint8Array, lastKey: Uint8Array }): boolean {
    const [first, last] = this.#hull(fileNumber)
    return compareKeys(first, table.lastKey) <= 0 && compareKeys(table.firstKey, last) <= 0
  }

  /** First and last key of entries and range tombstones. */
  #hull(fileNumber: number): [Uint8Array, Uint8Array] {
    const { firstKey, lastKey, rangeStart, rangeEnd } = this.#core.reader(fileNumber).properties
    const first = firstKey === undefined || rangeStart !== undefined && compareKeys(rangeStart, firstKey) < 0 ? rangeStart! : firstKey
    const last = lastKey === undefined || rangeEnd !== undefined && compareKeys(rangeEnd, lastKey) > 0 ? rangeEnd! : lastKey
    return [first, last]
  }

  #makeTree(): Tree {
    const { tables, strategy } = this.#core
    return new Tree({ ...NO_VERSION, strategy: { name: strategy.name, parameters: {} }, runs: this.#runs }, tables.readers, strategy, this.tree as Tree | undefined)
  }

  #drop(fileNumber: number, keepsFile: boolean): void {
    const core = this.#core
    const reader = core.reader(fileNumber)
    const { valueFiles } = reader.properties
    core.cache.dropTable(reader.id)
    core.tables.drop(fileNumber)
    if (keepsFile) return
    core.discard(core.tablePath(fileNumber))
    core.valueFiles.release(valueFiles)
  }

  #discardOutput(output: JobOutput | undefined): void {
    for (const { fileNumber } of output?.tables ?? []) this.#core.discard(this.#core.tablePath(fileNumber))
  }

  /** Its writer is told at the next write; for want of memory it is tried again first. */
  #failed(cause: Error, doing: string): void {
    const isDenied = (cause as { code?: unknown }).code === 'SPILLWAY_BUDGET_TOO_SMALL'
    if (isDenied && ++this.#denials <= MOST_DENIALS) return
    this.#denials = 0
    this.#error = ioError(cause, doing)
    this.#isLost ||= isNotDurable(cause)
  }
}

function releaseValues(core: Core, numbers: readonly number[]): void {
  if (numbers.length === 0) return
  core.valueFiles.release(numbers)
  for (const number of numbers) if (!core.valueFiles.has(number)) core.unsyncedValues.delete(number)
}

const NO_VERSION = { number: 0, epoch: 0, lastSeq: 0, logFloor: 0, nextFile: 0, nextRun: 0 }
