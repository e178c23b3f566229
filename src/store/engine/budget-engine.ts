/**
 * What the stores of one budget share: the ledger's fixed parts, kernels, block cache, windows, memtable arenas, the log buffer,
 * the job runner, and the reserve for one flush and one smallest merge. A store on a budget of its own has an engine of its own.
 *
 * Invariants
 * 1. Whoever waits for memory waits while a job runs that frees some, or this engine has asked a store to flush.
 * 2. Who finds no memory has the store with the most to give flush its memtable, idle or not. Who finds less than is his has idle
 *    stores give theirs back, once that pays (`idle-memory.ts`).
 * 3. One flush runs at a time and comes before all merges; merges of all stores share a number of places.
 */
import { invalidArgument } from '../../base/errors.ts'
import type { SpillwayError } from '../../base/errors.ts'
import { Kernels } from '../../kernels/kernels.ts'
import { LinkedList } from '../../base/linked-list.ts'
import { formatSize } from '../../base/sizes.ts'
import { BlockCache } from '../../cache/block-cache.ts'
import { ReadCache } from '../../cache/read-cache.ts'
import { TwoLevelCache } from '../../cache/two-level-cache.ts'
import { KERNEL_REGION_BYTES, jobs, mergeWorkingBytes } from '../../compaction/jobs.ts'
import type { FlushArgs, JobOutput } from '../../compaction/jobs.ts'
import { hasWorkerCode, workerCode } from '../../compaction/worker-code.ts'
import { Ghosts } from '../../cache/ghosts.ts'
import type { Host, JobRunner } from '../../host/host.ts'
import { Overdraft } from '../../memory/overdraft.ts'
import type { Account, Budget, Lease } from '../../memory/budget.ts'
import { ReservedLease } from '../../memory/reserved-lease.ts'
import { WindowPool } from '../../memory/windows.ts'
import { AsyncBlockReads } from './async-block-reads.ts'
import { CachedBlocks } from '../../table/block/block-source.ts'
import { ReadAhead } from '../../table/block/read-ahead.ts'
import { ArenaAdmission } from './arena-admission.ts'
import { HEADROOM_BYTES, SMALLEST_ARENA_BYTES, arenaSize, arenaSizeAbove } from './arena-pool.ts'
import { emitBudget, emitError } from '../api/events.ts'
import { Governor } from './governor.ts'
import { IdleMemory } from './idle-memory.ts'
import { LogBuffer } from './log-buffer.ts'
import { GHOST_SHARE, METADATA_SPARE_BYTES, READING_BYTES, WORKER_FROM_BYTES, checkFloor, makePlan } from './budget-plan.ts'
import type { BudgetPlan } from './budget-plan.ts'
import type { Tenant } from './tenant.ts'
import { CacheWarmer } from './cache-warmer.ts'
import type { Warmed } from './cache-warmer.ts'

export interface ArenaWish {
  /** Of a store without a log. Default false. */
  isScratch?: boolean
  /** A larger one is not wanted. Default: no limit. */
  mostBytes?: number
}

export interface EngineOptions {
  /** Further stores may come. Default true. */
  isShared?: boolean
  /** A fixed share of the budget for memtables; undefined: tuned. */
  writeShare?: number | undefined
  /** Whether blocks may be kept as they are stored. Default true. */
  compressedCache?: boolean
  rowCache?: boolean
  coldReads?: boolean
}

export interface MergeMemory {
  readAheadBytes: number
  windowBytes: number
  release(): void
}

const FLUSH_PRIORITY = 0
/** Writers who ask for nothing for so long are at rest. */
const QUIET_MS = 250
/** And for so long, likely to stay so for the time of a merge. */
const LONG_QUIET_MS = 1000
/** Dropped arenas may add up to this, or a sixteenth of the budget, before a collection is asked for. */
const MIN_DROPPED_BYTES = 4 * 1024 * 1024
const engines = new WeakMap<Budget, BudgetEngine>()
/** Of budgets whose last store is closing, when it has given everything back. */
const closings = new WeakMap<Budget, Promise<void>>()

export class BudgetEngine {
  readonly host: Host
  readonly budget: Budget
  readonly kernels: Kernels
  readonly cache: ReadCache
  readonly coldReads: AsyncBlockReads
  /** Readers have missed many blocks, or looked into tables often, since somebody looked after them: call `lookAfterReaders` between reads. */
  readersPay = false
  readonly blocks: CachedBlocks
  readonly warming: CacheWarmer
  readonly windows: WindowPool
  readonly admission: ArenaAdmission
  readonly logBuffer: LogBuffer
  readonly runner: JobRunner
  /** Why jobs run on the main thread; undefined: they do not. */
  readonly whyInline: string | undefined
  readonly metadata: Account
  /** Of `metadata`, what open tables take; its spare lets a flush or merge install its tables. */
  readonly tableMemory: ReservedLease
  readonly governor: Governor
  /** Of open transactions: their objects, runs, and the keys they read for update. */
  readonly transactions: Account
  /** Of `transactions`, the objects themselves: one is begun whether or not there is room for them. */
  readonly transactionObjects: Overdraft
  /** The objects of iterators themselves: an iterator is opened whether or not there is room for them. */
  readonly iteratorObjects: Overdraft
  /**
   * Iterators that hold a scan or entries read ahead between two calls. Each gives back its scan when it is called, and is here
   * again if it has entries; those when it is called once more.
   */
  readonly idleScans = new LinkedList<() => void>()
  readonly #jobsAccount: Account
  readonly #scratchAccount: Account
  readonly #objectsAccount: Account
  readonly #ghostsAccount: Account
  #ghostLease: Lease | undefined
  readonly #closers: (() => void)[] = []
  readonly #tenants = new Set<Tenant>()
  readonly #idleMemory = new IdleMemory()
  /** Those who wait for memory and are no writers (`wait-for-lease.ts`). */
  readonly #openers: { take: () => void, resolve: () => void }[] = []
  readonly #writeShare: number | undefined
  readonly #isShared: boolean
  readonly #keepsRows: boolean
  readonly #alwaysBeside: boolean
  /** Bytes that writers had asked for when somebody last looked, and since when they ask for no more. */
  #demandSeen = -1
  #quietSinceMs = 0
  /** As of the last sample. */
  #demandSampled = 0
  #sampledMs = 0
  #bytesPerSecond = 0
  readonly #objectsLease: Lease
  readonly #workerLease: Lease
  #plan: BudgetPlan
  #holders = 0
  #flushRunning = false
  readonly #flushes: { args: FlushArgs, done: (error: Error | undefined, output: unknown) => void }[] = []
  #mergesRunning = 0
  #reserveInUse = false
  #nextTableId = 1
  #droppedBytes = 0
  /** What the budget's total is, or comes down to. */
  #targetBytes: number
  #progressScheduled = false
  /** What the waiting writes of all stores hold. */
  queuedBytes = 0

  /** Resolves when no engine of this budget is closing: until then its memory is taken. */
  static async settled(budget: Budget): Promise<void> {
    for (let closing; (closing = closings.get(budget)) !== undefined;) await closing
  }

  /** The engine of a budget; undefined: it has no store now. */
  static of(budget: Budget): BudgetEngine | undefined { return engines.get(budget) }

  /** The engine of a budget, made by its first store. Each call is matched by one of `release`. */
  static acquire(budget: Budget, host: Host, blockBytes: number, options: EngineOptions = {}): BudgetEngine {
    let engine = engines.get(budget)
    if (engine === undefined) {
      engine = new BudgetEngine(budget, host, blockBytes, options)
      engines.set(budget, engine)
    } else if (engine.host !== host && engine.host.constructor !== host.constructor) {
      throw invalidArgument('stores that share a budget must share their host too')
    }
    // What a further store holds must fit beside what the others hold.
    if (engine.#holders > 0) checkFloor(engine.#plan, engine.metadataBytes, engine.#holders + 1)
    engine.#holders++
    return engine
  }

  private constructor(budget: Budget, host: Host, blockBytes: number, { isShared = true, writeShare, compressedCache = true, rowCache = true, coldReads = false }: EngineOptions) {
    const whyNoWorker = hasWorkerCode ? host.shortcomings?.().worker : 'its code is missing: this copy of the package was not built'
    const plan = makePlan(budget.totalBytes, blockBytes, whyNoWorker === undefined ? undefined : 'inline', writeShare, isShared)
    this.#writeShare = writeShare
    this.#isShared = isShared
    this.#keepsRows = rowCache
    this.#alwaysBeside = coldReads
    checkFloor(plan, 0)
    this.host = host
    this.budget = budget
    this.#targetBytes = budget.totalBytes
    this.#plan = plan
    try {
      this.metadata = budget.account('table metadata', 'grows with tables: top index, range tombstones, key ranges')
      this.#jobsAccount = budget.account('flush and merge', 'one flush and one smallest merge are reserved; wider merges lease more')
      this.#scratchAccount = budget.account('encoding', 'fixed per store: scratch for keys and values')
      this.#objectsAccount = budget.account('objects', 'an allowance: JavaScript objects, 384 KiB and 32 KiB a store; from 48 MiB of budget on a 32nd of it for garbage')
      const hold = (account: Account, bytes: number): Lease => {
        const lease = account.lease(bytes)
        this.#closers.push(() => {
          account.measure = undefined
          lease.release()
        })
        return lease
      }
      const reserve = (name: string, bound: string, bytes: number): Account => hold(budget.account(name, bound), bytes).account
      this.#objectsLease = hold(this.#objectsAccount, plan.objectBytes)
      const kernelsAccount = reserve('kernels', 'fixed: wasm memory for checksums and compression', plan.kernelBytes)
      const workerBound = plan.mode === 'worker' ? 'one isolate with a small heap: 6 MiB, from 48 MiB of budget on 13' : 'fixed: wasm memory of background jobs'
      this.#workerLease = hold(budget.account('worker', workerBound), plan.workerBytes)
      const logAccount = reserve('log', 'fixed: one buffer', plan.logBufferBytes)
      const queueAccount = reserve('write queue', 'fixed: writes waiting for a flush', plan.queueBytes)
      hold(this.#jobsAccount, plan.flushBytes + plan.mergeReserveBytes)
      this.tableMemory = new ReservedLease(this.metadata, METADATA_SPARE_BYTES)
      this.#closers.push(() => this.tableMemory.close())
      const memtablesAccount = budget.account('memtables', 'their share of the budget, moved by the tuner; two of the smallest are reserved')
      this.admission = new ArenaAdmission(memtablesAccount, plan.writeBytes, {
        onStarved: () => this.makeRoom(),
        onGranted: () => this.progressSoon(),
        onAccountingError: error => emitError({ error, readOnly: false }),
      })
      this.#closers.push(() => {
        this.admission.close()
        memtablesAccount.measure = undefined
      })
      this.admission.arenas.onDropped = bytes => this.#arenasDropped(bytes)
      this.kernels = new Kernels(KERNEL_REGION_BYTES)
      // The jobs' own are made at the first flush, where it would be too late to say so.
      Kernels.checkRoom()
      this.logBuffer = new LogBuffer(plan.logBufferBytes)
      this.transactions = budget.account('transactions', '4 KiB for each that is open, 640 bytes a run, keys read for update up to 16 KiB each')
      this.#ghostsAccount = budget.account('cache ghosts', 'fixed: names of blocks dropped lately, to measure what more cache would be worth')
      const cacheAccount = budget.account('block cache', 'whatever nobody else needs')
      const secondAccount = budget.account('compressed blocks', 'a share of what the block cache would have, where that is cheaper')
      const rowAccount = budget.account('rows', 'a share of what the block cache would have, where rows are worth more; 1/256 of the budget to know them')
      const levels = new TwoLevelCache(new BlockCache(cacheAccount, { makeRoom: bytes => this.#lendArenas(bytes) }), secondAccount, () => host.clock.nowMs())
      levels.isEnabled = compressedCache
      this.cache = new ReadCache(levels, rowAccount, plan.rowSlotBytes)
      levels.onWindow = () => { this.readersPay = true }
      this.#closers.push(() => {
        this.cache.close()
        cacheAccount.measure = undefined
        secondAccount.measure = undefined
        rowAccount.measure = undefined
      })
      this.governor = new Governor({
        host, budget, cache: this.cache, ghosts: undefined, admission: this.admission,
        tableBytes: () => [...this.#tenants].reduce((bytes, tenant) => bytes + tenant.tableBytes(), 0),
        gets: () => this.blocks.gets,
        makeRoom: () => this.makeRoom(),
        onSample: () => {
          const bytesPerSecond = this.#sampleWrites()
          for (const tenant of this.#tenants) tenant.mergeForReaders?.(bytesPerSecond)
        },
      }, plan)
      this.#closers.push(() => this.governor.close())
      this.#closers.push(() => this.#ghostLease?.release())
      this.#makeGhosts()
      this.#rememberRows()
      this.transactions.remedy = 'end transactions'
      this.#scratchAccount.remedy = this.metadata.remedy = 'close stores that share it'
      const iterators = budget.account('iterators', 'a window per run and entries read ahead, given back when idle; about 1.1 KiB each; a reserve for one read')
      iterators.remedy = 'close iterators'
      this.windows = new WindowPool(iterators, plan.keepWindowBytes, READING_BYTES / 2, true)
      this.#closers.push(() => this.windows.close())
      this.iteratorObjects = new Overdraft(iterators, 32 * 1024, HEADROOM_BYTES)
      this.#closers.push(() => this.iteratorObjects.close())
      this.transactionObjects = new Overdraft(this.transactions, 16 * 1024, HEADROOM_BYTES)
      this.#closers.push(() => this.transactionObjects.close())
      // In the order of what giving back costs: nothing, reading blocks again, looking up places. Of the cache and idle
      // iterators the larger gives first, so that neither starves the other.
      this.#closers.push(
        budget.addReclaimer(bytes => this.windows.releaseFree(bytes)),
        budget.addReclaimer(bytes => this.admission.arenas.releaseFree(bytes)),
        budget.addReclaimer(bytes => this.cache.bytesHeld > iterators.bytes ? this.cache.shrink(bytes) : 0),
        budget.addReclaimer(bytes => this.#releaseIdleScans(bytes)),
        budget.addReclaimer(bytes => this.cache.shrink(bytes)),
      )
      kernelsAccount.measure = () => this.kernels.memory.buffer.byteLength
      logAccount.measure = () => this.logBuffer.bytes.buffer.byteLength
      queueAccount.measure = () => [...this.#tenants].reduce((bytes, tenant) => bytes + tenant.waitingBytes(), 0)
      cacheAccount.measure = () => levels.first.measure()
      secondAccount.measure = () => levels.measureSecond()
      rowAccount.measure = () => this.cache.rows.measure()
      memtablesAccount.measure = () => this.admission.arenas.measure()
      const ahead = new ReadAhead(budget.account('read ahead', '8 stretches of 1/1024 of the budget, 16 to 64 KiB each, where as much is left; given back when asked'), () => this.#plan.stretchBytes)
      this.#closers.push(() => ahead.close())
      this.blocks = new CachedBlocks(levels.first, this.kernels, levels, ahead)
      this.blocks.onManyGets = () => { this.readersPay = true }
      this.warming = new CacheWarmer(host, this.blocks, bytes => this.#lendArenas(bytes))
      this.#closers.push(() => this.warming.close())
      this.coldReads = new AsyncBlockReads(budget, this.blocks, levels, host.scheduler)
      this.#closers.push(() => this.coldReads.close())
      const isSmall = budget.totalBytes < WORKER_FROM_BYTES
      if (plan.mode === 'inline') this.whyInline = isSmall ? `the budget is below ${formatSize(WORKER_FROM_BYTES)}` : whyNoWorker
      if (!isSmall && whyNoWorker !== undefined) host.warnOnce('SPILLWAY_INLINE', `flushes and merges run on the main thread: ${whyNoWorker}`)
      this.runner = host.runner({
        worker: workerCode,
        module: { jobs },
        mode: plan.mode,
        heapBytes: plan.workerHeapBytes,
      })
    } catch (error) {
      // What could be leased must not stay leased: the next store that is opened begins anew.
      this.#close()
      throw error
    }
  }

  get plan(): BudgetPlan { return this.#plan }
  /** What tables hold, without the spare, which is part of what the floor has for reading. */
  get metadataBytes(): number { return this.metadata.bytes - this.tableMemory.spareBytes }
  /** Some job runs that will give memory back. */
  get isBusy(): boolean { return this.runner.pending > 0 }
  /** Merges that ended, of all stores. */
  mergesEnded = 0
  get mergesRunning(): number { return this.#mergesRunning }
  /** What is kept for the metadata of new tables is used up: runs must be merged, whether or not a strategy would. */
  get isMetadataShort(): boolean { return this.tableMemory.spareBytes < METADATA_SPARE_BYTES }
  get hasMergePlace(): boolean { return this.#mergesRunning < this.#plan.maxMerges }

  takeTableId(): number { return this.#nextTableId++ }

  /** What one more store holds for as long as it is open: scratch and objects. */
  get storeNeeds(): [Account, number][] {
    return [[this.#scratchAccount, this.#plan.scratchBytes], [this.#objectsAccount, this.#plan.storeObjectBytes]]
  }

  /** Leases of that. Throws BUDGET_TOO_SMALL, and nothing is held. */
  leaseStore(): Lease[] {
    const leases: Lease[] = []
    try {
      for (const [account, bytes] of this.storeNeeds) leases.push(account.lease(bytes))
      return leases
    } catch (error) {
      for (const lease of leases) lease.release()
      throw error
    }
  }

  admit(tenant: Tenant): void {
    this.#tenants.add(tenant)
    this.#idleMemory.admit(tenant)
  }

  dismiss(tenant: Tenant): void {
    this.#tenants.delete(tenant)
    this.#idleMemory.dismiss(tenant)
  }

  /** Let go of the engine; the last holder closes it. */
  async release(): Promise<void> {
    if (--this.#holders > 0) return
    engines.delete(this.budget)
    this.governor.close()
    let isOver!: () => void
    const closing = new Promise<void>(resolve => isOver = resolve)
    closings.set(this.budget, closing)
    try {
      await this.runner.close()
      await this.coldReads.idle()
      this.#close()
      this.budget.setTotal(this.#targetBytes)
    } finally {
      if (closings.get(this.budget) === closing) closings.delete(this.budget)
      isOver()
    }
  }

  /** The same within this call. What the worker holds stays leased until its thread has ended. */
  releaseSync(): void {
    if (--this.#holders > 0) return
    engines.delete(this.budget)
    this.governor.close()
    const ended = this.runner.close()
    this.#close()
    this.budget.setTotal(this.#targetBytes)
    if (this.runner.mode !== 'worker') return
    const lease = this.budget.account('worker', '').tryLease(this.#plan.workerBytes)
    const release = (): void => lease?.release()
    ended.then(release, (error: Error) => {
      release()
      emitError({ error, readOnly: false })
    })
  }

  /** Give everything back, what came last first. */
  #close(): void {
    for (const close of this.#closers.splice(0).reverse()) close()
  }

  /**
   * An arena for a store that begins to write; undefined: something was asked to make room, and it is to ask again after every
   * job, or to tell `admission.leave` that it waits no longer.
   */
  takeArena(store: object, leastBytes: number, { isScratch = false, mostBytes = Infinity }: ArenaWish = {}): SharedArrayBuffer | undefined {
    const { governor, admission } = this
    governor.tick()
    const idle = this.#idleMemory
    idle.look(admission.limitBytes)
    const share = Math.floor(admission.limitBytes / 2 * idle.shareOf(this.#tenantOf(store)))
    // Without a log there is nothing to gain by sealing early: what fits is never written.
    const size = isScratch ? Infinity : arenaSizeAbove(governor.sizer.sizeBytes)
    const want = Math.max(leastBytes, Math.min(size, Math.max(share, SMALLEST_ARENA_BYTES), mostBytes))
    const buffer = admission.take(store, want, leastBytes)
    if (buffer === undefined) {
      this.makeRoom()
      // A memtable that held nothing gives its arena back at once.
      return admission.take(store, want, leastBytes)
    }
    idle.recordTaken(buffer.byteLength / arenaSize(want))
    // One that is larger than this is larger than it should be; many that are as small may belong to stores that rest.
    if (buffer.byteLength < want / 2) this.makeRoom(buffer.byteLength + 1)
    this.#giveIdleBack()
    return buffer
  }

  #tenantOf(owner: object): Tenant | undefined {
    for (const tenant of this.#tenants) if (tenant.owner === owner) return tenant
    return undefined
  }

  /** Have an idle store flush, if that pays by now and nobody does already: one after the other. */
  #giveIdleBack(): void {
    if (this.#flushRunning) return
    const refused = new Set<Tenant>()
    for (let victim; (victim = this.#idleMemory.victim(refused)) !== undefined;) {
      this.#idleMemory.gaveBack(victim)
      this.admission.preferLarger()
      if (victim.yieldMemtable() && this.#flushRunning) return
      refused.add(victim)
    }
  }

  /** Ask the store with the most to give to flush, if that is `leastBytes` at least, unless a flush is on its way already. */
  makeRoom(leastBytes = 0): void {
    // Whoever still waits when it has ended asks again.
    if (this.#flushRunning) return
    const refused = new Set<Tenant>()
    for (;;) {
      let victim: Tenant | undefined
      let most = 0
      for (const tenant of this.#tenants) {
        // Of arenas that are equally large the fullest makes the best table.
        const arenaBytes = tenant.reclaimableBytes()
        const bytes = refused.has(tenant) ? 0 : arenaBytes + tenant.unflushedBytes()
        if (bytes > most && arenaBytes >= leastBytes) {
          most = bytes
          victim = tenant
        }
      }
      // One that cannot (its disk fails) must not keep the others from it.
      if (victim === undefined || victim.yieldMemtable()) return
      refused.add(victim)
    }
  }

  /** Have memory given back and wait in this call until a job has ended that may bring some. False: nobody can. */
  flushInside(): boolean {
    const { usedBytes } = this.admission
    if (!this.isBusy) this.makeRoom()
    // An empty memtable gives its arena back at once.
    return this.runner.pump(true) || this.admission.usedBytes < usedBytes
  }

  /** Resolves when the next job has ended. `take` is called then, before writers go on. */
  jobEnded(take: () => void): Promise<void> {
    return new Promise(resolve => this.#openers.push({ take, resolve }))
  }

  /** Flushes that failed begin again now, those in their pause only if that is asked for: true if there are any. */
  retryFlushes(isAskedFor = false): boolean {
    let any = false
    for (const tenant of this.#tenants) if (tenant.retryFlush(isAskedFor)) any = true
    return any
  }

  /** Why a store cannot give back what it holds, if there is one. */
  heldBy(): SpillwayError | undefined {
    for (const tenant of this.#tenants) {
      const error = tenant.heldBy()
      if (error !== undefined) return error
    }
    return undefined
  }

  /** Flushes of all stores, one after the other: each until `endFlush` is called, in `done` or later. */
  flush(args: FlushArgs, done: (error: Error | undefined, output: JobOutput) => void): void {
    this.#flushes.push({ args, done: (error, output) => done(error, output as JobOutput) })
    this.#nextFlush()
  }

  /** The flush whose job was done last is over: `finish` is the end of it, then others go on. */
  endFlush(finish: () => void): void {
    this.#flushRunning = false
    try {
      finish()
    } finally {
      this.#nextFlush()
      this.#giveIdleBack()
      this.progress()
    }
  }

  /** Memory and a place for a merge of so many runs; undefined: later. */
  admitMerge(runs: number, windowFactor: number, blockBytes: number): MergeMemory | undefined {
    const plan = this.#plan
    if (!this.hasMergePlace) return undefined
    const windowBytes = runs * plan.windowBytesPerRun * windowFactor
    for (const readAheadBytes of [plan.readAheadBytes, plan.readAheadBytes / 2, plan.readAheadBytes / 4]) {
      const bytes = mergeWorkingBytes({ blockBytes }, runs, readAheadBytes, windowBytes)
      const extra = this.#reserveInUse ? bytes : Math.max(0, bytes - plan.mergeReserveBytes)
      // What it takes beyond the reserve leaves readers their room, but for a merge that cannot be narrower.
      const lease = this.#jobsAccount.tryLeaseLeaving(extra, extra === 0 || runs <= 2 ? 0 : HEADROOM_BYTES)
      if (lease === undefined) continue
      const usesReserve = !this.#reserveInUse
      if (usesReserve) this.#reserveInUse = true
      this.#mergesRunning++
      return {
        readAheadBytes, windowBytes,
        release: () => {
          this.#mergesRunning--
          this.mergesEnded++
          lease.release()
          if (usesReserve) this.#reserveInUse = false
        },
      }
    }
    return undefined
  }

  /** Memory for reading a log back: the reserve of a smallest merge, unless one uses it. Returns how to give it back. */
  leaseLogReading(bytes: number): () => void {
    if (this.#reserveInUse || bytes > this.#plan.mergeReserveBytes) {
      const lease = this.#jobsAccount.lease(bytes)
      return () => { lease.release() }
    }
    this.#reserveInUse = true
    return () => { this.#reserveInUse = false }
  }

  /** Called after every job: all stores go on, the merges of others may have a place now. */
  progress(): void {
    this.#comeDown()
    for (const { take, resolve } of this.#openers.splice(0)) {
      take()
      resolve()
    }
    for (const tenant of this.#tenants) tenant.schedule()
    for (const tenant of this.#tenants) tenant.onProgress()
  }

  /** Change the budget while stores are open. Throws BUDGET_TOO_SMALL, and nothing changes, below the floor. */
  setBudget(budgetBytes: number, blockBytes: number): void {
    const plan = makePlan(budgetBytes, blockBytes, this.#plan.mode, this.#writeShare, this.#isShared)
    checkFloor(plan, this.metadataBytes, this.#holders)
    this.#plan = plan
    this.governor.configure(plan)
    this.#makeGhosts()
    this.#rememberRows()
    this.#targetBytes = budgetBytes
    if (budgetBytes > this.budget.totalBytes) this.budget.setTotal(budgetBytes)
    // Where there is no room for more they stay as they are: with less memory there is less garbage.
    this.#objectsLease.resize(plan.objectBytes)
    this.#workerLease.resize(plan.workerBytes)
    emitBudget({ budgetBytes: this.budget.totalBytes, targetBytes: budgetBytes, usedBytes: this.budget.usedBytes })
    // Arenas larger than the new share come back by being flushed.
    for (const tenant of this.#tenants) if (tenant.reclaimableBytes() > this.admission.limitBytes / 2) tenant.yieldMemtable()
    this.progress()
  }

  /** Whether blocks that are missed are better read beside the thread. */
  get readsBeside(): boolean { return this.#alwaysBeside || this.cache.blocks.readsAreSlow }

  /** While nobody writes, arenas that hold nothing are better used by readers: the next writer takes them back. */
  #lendArenas(bytes: number): void {
    if (this.#quietMs() >= QUIET_MS) this.admission.arenas.releaseFree(bytes)
  }

  /** For how long writers have asked for nothing, as far as somebody looked. */
  #quietMs(): number {
    const { demandBytes } = this.governor.traffic
    const nowMs = this.host.clock.nowMs()
    if (demandBytes !== this.#demandSeen) {
      this.#demandSeen = demandBytes
      this.#quietSinceMs = nowMs
    }
    return nowMs - this.#quietSinceMs
  }

  /** What is written a second: 0 after a second without writes, else the most of late. */
  #sampleWrites(): number {
    const { demandBytes } = this.governor.traffic
    const nowMs = this.host.clock.nowMs()
    const seconds = (nowMs - this.#sampledMs) / 1000
    if (seconds > 0) this.#bytesPerSecond = Math.max(this.#bytesPerSecond / 2, (demandBytes - this.#demandSampled) / seconds)
    this.#demandSampled = demandBytes
    this.#sampledMs = nowMs
    return this.#quietMs() >= LONG_QUIET_MS ? 0 : this.#bytesPerSecond
  }

  /** Readers that give the event loop no turn have no ticks of the governor's timer. */
  lookAfterReaders(): void {
    this.readersPay = false
    this.governor.tick()
    this.cache.look()
    this.warming.step()
  }

  /**
   * Tables that a merge made for readers: have their blocks in the cache, if all of them fit in what nobody uses. Blocks that take long to
   * read are left to who needs them.
   */
  warm(tables: readonly Warmed[]): void {
    if (!this.readsBeside) this.warming.add(tables, this.#quietMs() >= QUIET_MS ? this.admission.arenas.releasableBytes : 0)
  }

  #rememberRows(): void {
    this.cache.rows.configure(this.#keepsRows ? this.#plan.rowTags : 0)
  }

  /** Ghosts for the plan's budget. What was remembered is forgotten when their number changes; without room for them there are none. */
  #makeGhosts(): void {
    const { ghostBytes, budgetBytes } = this.#plan
    if (ghostBytes === (this.#ghostLease?.bytes ?? 0)) return
    this.cache.setGhosts(undefined)
    this.governor.setGhosts(undefined)
    this.#ghostLease?.release()
    this.#ghostLease = ghostBytes === 0 ? undefined : this.#ghostsAccount.tryLease(ghostBytes)
    if (this.#ghostLease === undefined) return
    const ghosts = new Ghosts(Ghosts.capacityFor(ghostBytes), GHOST_SHARE * budgetBytes)
    this.cache.setGhosts(ghosts)
    this.governor.setGhosts(ghosts)
  }

  /** Not from inside the call that made room: whose turn it is may be in the middle of something. */
  progressSoon(): void {
    if (this.#progressScheduled) return
    this.#progressScheduled = true
    this.host.scheduler.soon(() => {
      this.#progressScheduled = false
      if (this.#holders > 0) this.progress()
    })
  }

  /**
   * After the budget was lowered: flush one memtable after the other until what is held fits. Meanwhile the total comes down
   * with what is used, and leaves room for the metadata of the tables that those flushes make: without it none could end.
   */
  #comeDown(): void {
    const { budget } = this
    const beforeBytes = budget.totalBytes
    if (beforeBytes === this.#targetBytes) return
    // Asks for all that can be given back without a flush.
    budget.setTotal(this.#targetBytes)
    if (budget.makeRoom(HEADROOM_BYTES) || (budget.usedBytes <= this.#targetBytes && !this.admission.arenas.holdsLeased)) {
      emitBudget({ budgetBytes: budget.totalBytes, targetBytes: this.#targetBytes, usedBytes: budget.usedBytes })
      return
    }
    budget.setTotal(Math.max(this.#targetBytes, Math.min(beforeBytes, budget.usedBytes + HEADROOM_BYTES)))
    this.makeRoom()
  }

  #nextFlush(): void {
    if (this.#flushRunning) return
    const next = this.#flushes.shift()
    if (next === undefined) return
    this.#flushRunning = true
    this.runner.submit({ name: 'flush', args: next.args, priority: FLUSH_PRIORITY }, next.done)
  }

  /** Oldest first, until so many bytes are free again: of all of them the scans, then what was read ahead. */
  #releaseIdleScans(bytes: number): number {
    const { budget } = this
    const before = budget.usedBytes
    for (let idle = this.idleScans.first; idle !== undefined; idle = this.idleScans.first) {
      this.idleScans.delete(idle)
      idle.value()
      this.windows.releaseFree(bytes - (before - budget.usedBytes))
      if (before - budget.usedBytes >= bytes) break
    }
    return before - budget.usedBytes
  }

  #arenasDropped(bytes: number): void {
    this.#droppedBytes += bytes
    // Both threads know the memory under objects of their own.
    this.runner.collectGarbage()
    if (this.#droppedBytes < Math.max(MIN_DROPPED_BYTES, this.budget.totalBytes / 16)) return
    this.#droppedBytes = 0
    this.host.collectGarbage()
  }
}
